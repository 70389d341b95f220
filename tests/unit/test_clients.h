/* SPDX-License-Identifier: MIT */
/* test_clients.h - two clients of a segment of three pools, for each case anew */
#ifndef TEST_CLIENTS_H
#define TEST_CLIENTS_H

#include "test_segment.h"

#include "client/client.h"

enum { N_SMALL = 200, N_MIDDLE = 50, N_LARGE = 10 };

/* Not in the order of their sizes. */
extern const struct test_pool pools[3];
enum { MIDDLE, SMALL, LARGE };

extern struct segment *segment;			/* keeps the memory */
extern struct mempool_client *client, *other;

struct mempool_client *client_of(struct segment *from, uint32_t holder, uint64_t flags);
void setup(void);
void teardown(void);
uint32_t used(uint32_t pool);
uint32_t used_in_all(void);
void *must_alloc(struct mempool_client *by, size_t size);
void assert_no_chunk(struct mempool_client *by, size_t size, int error);

#endif
