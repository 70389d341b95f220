/* SPDX-License-Identifier: MIT */
/* test-header-c99.c - the installed header is plain C99, on its own, and pedantic about it */
#include "mempool.h"

int main(void)
{
	struct mempool_client_options options = { 0 };
	struct mempool_client *client;

	/* 0 is no size of the options: refused before anything is asked of a daemon. */
	return mempool_version()[0] != '\0' && mempool_client_open(&options, &client) < 0 ? 0 : 1;
}
