/* SPDX-License-Identifier: MIT */
/* test-header-plain.c - the installed header is plain C of any year, on its own, and pedantically */
#include "mempool.h"

int main(void)
{
	struct mempool_client_options options = { 0 };
	struct mempool_client *client;

	options.flags = MEMPOOL_CLIENT_DEBUG;
	/* 0 is no size of the options: refused before anything is asked of a daemon. */
	return mempool_version()[0] != '\0' && mempool_client_open(&options, &client) < 0 ? 0 : 1;
}
