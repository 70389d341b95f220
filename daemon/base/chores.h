/* SPDX-License-Identifier: MIT */
/*
 * chores.h - what takes the event loop more than a moment, a little at a time
 *
 * Who has much to do does it in steps of some microseconds. All that have something to do take
 * turns, step by step; and between two looks at the sockets all of them together get no more
 * than CHORES_TURN_NS, by the clock. A step is small whatever anybody has written into shared
 * memory, and there is at least one a turn, so that nothing stands still on a slow machine.
 *
 * Turns and sockets share one priority of the loop: neither a large sweep nor a client that
 * never stops talking keeps the other waiting.
 */
#ifndef DAEMON_BASE_CHORES_H
#define DAEMON_BASE_CHORES_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Well under the millisecond in which the daemon answers, with what a socket may need beside. */
#define CHORES_TURN_NS UINT64_C(200000)

/* One step. It may free its chore, and then there is no more. Return: is there more? */
typedef bool (*chore_fn)(void *userdata);

struct chores {
	struct event turn;
	TAILQ_HEAD(, chore) list;	/* that have something to do */
	uint64_t turn_ns;
};

struct chore {
	TAILQ_ENTRY(chore) link;
	struct chores *chores;
	chore_fn step;
	void *userdata;
	bool is_due;
};

void chores_init(struct chores *chores, struct event_base *base, uint64_t turn_ns);

/* All chores have been stopped. */
void chores_deinit(struct chores *chores);

void chore_init(struct chore *chore, struct chores *chores, chore_fn step, void *userdata);

/* Its turn comes soon, once or until a step says that there is no more; or it does not come. Both
 * are harmless where it is so already. */
void chore_start(struct chore *chore);
void chore_stop(struct chore *chore);

#endif
