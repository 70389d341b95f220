/* SPDX-License-Identifier: MIT */
/*
 * sweeps.h - a daemon that sweeps for many dead clients, and is asked meanwhile
 *
 *	bench-NAME [--ms N] NAME BYTES CHUNKS DEAD
 *
 * So many clients that hold chunks are killed at once, and from then on LIST is asked again and
 * again, until all that they held is free; then others are killed, for so long.
 */
#ifndef BENCH_SWEEPS_H
#define BENCH_SWEEPS_H

#include <stdint.h>

#include "support/private_daemon.h"

struct sweeps {
	struct private_daemon daemon;
	struct mempool_client *client;
	int fd;				/* a connection, to ask */
	int n_dead;
	uint64_t ms;
};

/* An answer: how long it took, and how much the daemon worked from question to answer. */
typedef void (*sweeps_fn)(uint64_t waited_ns, uint64_t worked_ns, void *userdata);

/* The arguments of a program of that name, and the folder of its daemon. Skips all others. */
void sweeps_init(struct sweeps *sweeps, int argc, char *argv[], const char *name);

void sweeps_start(struct sweeps *sweeps);

/* Ask so often while nothing happens; and through all the sweeps. */
void sweeps_ask(struct sweeps *sweeps, int n, sweeps_fn answered, void *userdata);
void sweeps_run(struct sweeps *sweeps, sweeps_fn answered, void *userdata);

void sweeps_stop(struct sweeps *sweeps);

#endif
