/* SPDX-License-Identifier: MIT */
/* api.h - one copy of the library in a process, as a table; see test-copies.c and plugin.c */
#ifndef TESTS_LIVE_API_H
#define TESTS_LIVE_API_H

#include "mempool.h"

#define API_FUNCTIONS(X)                                                                           \
	X(client_open)                                                                             \
	X(client_close)                                                                            \
	X(client_pools)                                                                            \
	X(alloc)                                                                                   \
	X(free)                                                                                    \
	X(give)                                                                                    \
	X(take)                                                                                    \
	X(share)                                                                                   \
	X(acquire)

struct api {
#define X(name) __typeof__(&mempool_##name) name;
	API_FUNCTIONS(X)
#undef X
};

#define API_TABLE                                                                                  \
	{                                                                                          \
		API_FUNCTIONS(API_MEMBER)                                                          \
	}
#define API_MEMBER(name) .name = mempool_##name,

#endif
