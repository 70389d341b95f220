/* SPDX-License-Identifier: MIT */
/*
 * control.h - a clock for time bounds, which a busy machine slows down
 *
 * On a busy machine everything takes longer, so "within 100 ms" cannot be asked of the wall
 * clock. The control is a process that runs beside what is measured and does nothing but run;
 * its clock is the processor time that it gets. On an idle machine that is the wall clock. On
 * a busy one it goes as slowly as the machine lets one process run. It never goes faster than
 * the wall clock: a lower bound is asked of that one.
 *
 * The control dies with the thread that started it.
 */
#ifndef TESTS_SUPPORT_CONTROL_H
#define TESTS_SUPPORT_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct control {
	pid_t pid;
	clockid_t clock;
};

/* Start one; or abort(). */
void control_start(struct control *control);

/* Return: milliseconds since the start, as the control counts them. */
double control_ms(const struct control *control);

/* End it. Return: as control_ms(). */
double control_stop(struct control *control);

/*
 * For waits that mostly end at once: a control that is started when the first moments have
 * passed in vain, by the wall clock.
 */
struct patience {
	double begin_ms;		/* of the wall clock */
	bool has_control;
	struct control control;
};

void patience_begin(struct patience *patience);

/* Return: milliseconds since the beginning. */
double patience_ms(struct patience *patience);

/* Return: as patience_ms(). */
double patience_end(struct patience *patience);

/* Wait until @fd is readable. Return: false, it was not for @timeout_ms of a patience. */
bool patience_poll(int fd, int timeout_ms);

#endif
