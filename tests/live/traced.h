/* SPDX-License-Identifier: MIT */
/*
 * traced.h - a daemon that is stopped before each of its system calls, and killed before one
 *
 * By ptrace(2), from the thread that spawns it. is_over says whether the daemon has done what there
 * was to do; it is asked when the daemon waits again.
 */
#ifndef TESTS_LIVE_TRACED_H
#define TESTS_LIVE_TRACED_H

#include <stdbool.h>
#include <stdint.h>

#include "fixture.h"

/* In the child: be traced. */
void traced_ask(void *userdata);

/* Start it, stopped behind its exec. in_child: traced_ask(), or what calls it. */
void traced_spawn(struct fixture *fixture, void (*in_child)(void *userdata));

/* Start it; it is ready, and stopped before it waits. */
void traced_start(struct fixture *fixture, void (*in_child)(void *userdata));

/* Let it run to its next call, which is not made yet. Return: which one. */
uint64_t traced_next_call(const struct fixture *fixture);

/* Whether that call waits for something to happen. */
bool traced_is_at_rest(uint64_t call);

/*
 * Let it make k calls, and kill it before the next one. Return: false, it was over with fewer calls;
 * then it is killed as well.
 */
bool traced_kill_before(struct fixture *fixture, unsigned int k, bool (*is_over)(void));

/* The same, of a daemon that is stopped before it waits. The calls of each thread that it starts from
 * now on count, too. */
bool traced_kill_any_before(struct fixture *fixture, unsigned int k, bool (*is_over)(void));

#endif
