/* SPDX-License-Identifier: MIT */
#include <mempool.h>
#include <stdio.h>

int main(void)
{
	printf("libmempool-client %s\n", mempool_version());
	return 0;
}
