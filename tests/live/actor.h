/* SPDX-License-Identifier: MIT */
/*
 * actor.h - another process of a live test, that uses libmempool-client as a program would
 *
 * It runs a function and talks with the test in numbers. It dies with the test. Both sides
 * fail the test when the other does not answer.
 */
#ifndef TESTS_LIVE_ACTOR_H
#define TESTS_LIVE_ACTOR_H

#include <stdint.h>
#include <sys/types.h>

#include "fixture.h"
#include "mempool.h"

struct actor {
	pid_t pid;
	int fd;
};

/* What it does; fd is its end. Returning ends it with status 0. */
typedef void (*actor_fn)(const struct fixture *fixture, int fd);

void actor_start(struct actor *actor, const struct fixture *fixture, actor_fn run);

/* Wait for its end, which must be with status 0. */
void actor_join(struct actor *actor);

/* SIGKILL, and wait for its end. */
void actor_kill(struct actor *actor);

void tell(int fd, uint64_t number);
uint64_t hear(int fd);

/* The other's next number must be that one. */
void expect_to_hear(int fd, uint64_t number);

/* Open a client of the fixture's daemon, with its segment. Return: mempool_client_open(). */
int try_open(const struct fixture *fixture, int64_t timeout_ns,
	     struct mempool_client **ret_client);

/* The same, which must succeed. */
struct mempool_client *open_client(const struct fixture *fixture);

/* ---- what the operator sees: mempoolctl status --json ---- */

struct status_holder {
	uint32_t id;
	pid_t pid;
	uint64_t chunks;
	uint64_t bytes;
	uint64_t shared;
	uint64_t stride_bytes;		/* of chunks and shared */
	uint64_t max_chunks;		/* its bound; 0: none */
	uint64_t max_bytes;
	bool is_reader;
};

/* Of the segment that new clients get; clients only among its holders. */
struct status {
	char shm_name[MEMPOOL_SHM_NAME_BYTES];
	unsigned int n_pools;
	struct mempool_pool_info pools[64];
	unsigned int n_holders;
	struct status_holder holders[256];
};

void status_read(const struct fixture *fixture, struct status *ret_status);

/* NULL: it is no holder. */
const struct status_holder *status_find(const struct status *status, pid_t pid);

/* The segment that stands in /dev/shm as this generation, mapped for reading. */
struct segment *map_generation(const struct fixture *fixture, uint64_t generation);

/* Clients that the holder table knows, in any state but FREE. */
unsigned int count_clients(const struct segment *segment);
uint64_t count_used(const struct segment *segment);

/* Conditions for wait_until(), with a segment: no client is in it; nothing is held, either. */
bool has_no_client(void *segment);
bool is_deserted(void *segment);

#endif
