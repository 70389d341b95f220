/* SPDX-License-Identifier: MIT */
/*
 * answer.c - how long the daemon takes to answer, while it sweeps for many dead clients
 *
 *	bench-answer [--ms N] answer BYTES CHUNKS DEAD		(sweeps.h)
 *
 * Each answer is one turn of the daemon's loop, and what it has to do beside. The same is asked
 * before, when nothing happens.
 *
 *	idle, answer		how long that takes: the median, the slowest of each 1000, the slowest
 *	idle-work, answer-work	the same in processor time of the daemon. On a busy machine that is
 *				too much as well: it sweeps on until we are let run and see the
 *				answer
 */
#include "measure.h"
#include "sweeps.h"

#define IDLE_ANSWERS 1000

struct answers {
	struct slices *waited;
	struct slices *worked;
};

static void on_answer(uint64_t waited_ns, uint64_t worked_ns, void *userdata)
{
	const struct answers *answers = userdata;

	slices_add(answers->waited, (double)waited_ns);
	slices_add(answers->worked, (double)worked_ns);
}

static void report(const char *name, struct answers *answers)
{
	char text[32];

	slices_report(name, answers->waited);
	snprintf(text, sizeof(text), "%s-work", name);
	slices_report(text, answers->worked);
}

int main(int argc, char *argv[])
{
	struct answers idle = { slices_new(), slices_new() };
	struct answers busy = { slices_new(), slices_new() };
	struct sweeps sweeps;

	sweeps_init(&sweeps, argc, argv, "answer");
	sweeps_start(&sweeps);
	sweeps_ask(&sweeps, IDLE_ANSWERS, on_answer, &idle);
	sweeps_run(&sweeps, on_answer, &busy);
	report("idle", &idle);
	report("answer", &busy);
	sweeps_stop(&sweeps);
	return 0;
}
