/* SPDX-License-Identifier: MIT */
#include "support/control.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOMENT_MS 10

static double read_ms(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		abort();
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void control_start(struct control *control)
{
	/* Without the handlers that the library has for fork(), and their lock. */
	pid_t parent = getpid(), pid = _Fork();

	if (pid == 0) {
		/* Whoever waits for a hang-up is not to wait for this one. */
		syscall(SYS_close_range, 0, ~0U, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			for (;;)
				;
		_exit(0);
	}
	if (pid < 0 || clock_getcpuclockid(pid, &control->clock) != 0)
		abort();
	control->pid = pid;
}

double control_ms(const struct control *control)
{
	return read_ms(control->clock);
}

double control_stop(struct control *control)
{
	double ms = control_ms(control);

	kill(control->pid, SIGKILL);
	waitpid(control->pid, NULL, 0);
	return ms;
}

void patience_begin(struct patience *patience)
{
	*patience = (struct patience){ .begin_ms = read_ms(CLOCK_MONOTONIC) };
}

double patience_ms(struct patience *patience)
{
	double ms = read_ms(CLOCK_MONOTONIC) - patience->begin_ms;

	if (patience->has_control)
		return MOMENT_MS + control_ms(&patience->control);
	if (ms < MOMENT_MS)
		return ms;
	control_start(&patience->control);
	patience->has_control = true;
	return MOMENT_MS;
}

double patience_end(struct patience *patience)
{
	if (!patience->has_control)
		return read_ms(CLOCK_MONOTONIC) - patience->begin_ms;
	patience->has_control = false;
	return MOMENT_MS + control_stop(&patience->control);
}

bool patience_poll(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct patience patience;
	bool is_readable;

	patience_begin(&patience);
	do
		is_readable = poll(&poll_fd, 1, MOMENT_MS / 2) == 1;
	while (!is_readable && patience_ms(&patience) < timeout_ms);
	patience_end(&patience);
	return is_readable;
}
