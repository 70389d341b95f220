/* SPDX-License-Identifier: MIT */
/*
 * turns.c - how long the turns of the daemon's loop are, while it sweeps for many dead clients
 *
 *	bench-turns [--ms N] turns BYTES CHUNKS DEAD		(sweeps.h)
 *
 * A turn is what the loop does between two looks at its descriptors: as long may somebody wait
 * whose question has just come. In processor time of the loop's thread (support/turns.h), so on
 * a busy machine as well. LIST is asked meanwhile; nothing is measured before the first death.
 *
 *	turn		the median
 *	turn-p99, turn-p99.9, turn-slowest
 *	turns		how many there were
 */
#include "measure.h"
#include "support/turns.h"
#include "sweeps.h"

static void on_answer(uint64_t waited_ns, uint64_t worked_ns, void *userdata)
{
	(void)waited_ns;
	(void)worked_ns;
	(void)userdata;
}

static void print_turn(const char *name, const double *ns, uint64_t n, double part)
{
	print_figure(name, ns[n - 1 - (uint64_t)((double)n * part)] / 1e3, "us", 0);
}

/* Of the turns from the first on, n there are. */
static void report(const struct turns *turns, uint64_t first, uint64_t n)
{
	double *ns;

	if (n > TURNS_MAX) {
		first += n - TURNS_MAX;
		n = TURNS_MAX;
	}
	ns = malloc(n * sizeof(*ns));
	if (!ns)
		fail("no memory");
	for (uint64_t i = 0; i < n; i++)
		ns[i] = turns_ns(turns, first + i);
	qsort(ns, n, sizeof(*ns), compare_doubles);
	print_turn("turn-p99", ns, n, 0.01);
	print_turn("turn-p99.9", ns, n, 0.001);
	print_turn("turn-slowest", ns, n, 0);
	print_figure("turns", (double)n, "turns", 0);
	print_turn("turn", ns, n, 0.5);
	free(ns);
}

int main(int argc, char *argv[])
{
	struct sweeps sweeps;
	struct turns *turns;
	uint64_t first, n;
	char path[128];

	sweeps_init(&sweeps, argc, argv, "turns");
	snprintf(path, sizeof(path), "%s/turns", sweeps.daemon.folder);
	turns = turns_new(path, TURNS_SHIM);
	if (!turns)
		fail("no file for the turns");
	sweeps_start(&sweeps);
	first = turns_count(turns);
	sweeps_run(&sweeps, on_answer, NULL);
	n = turns_count(turns) - first;
	if (n > 0)
		report(turns, first, n);
	turns_free(turns, path);
	sweeps_stop(&sweeps);
	if (n == 0)
		skip("no turn was counted: the shim is not built, or the loop has no epoll_wait()");
	return 0;
}
