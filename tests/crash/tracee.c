/* SPDX-License-Identifier: MIT */
#include "tracee.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* From one call to the next it takes milliseconds. */
#define HANG_SECONDS 120

#define EXIT_NO_PTRACE 98

static const char *busy_with;

_Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "crash: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(99);
}

static void on_alarm(int signal_number)
{
	(void)signal_number;
	printf("%s: somebody hangs\n", busy_with);
	fflush(stdout);
	_exit(1);
}

void tracee_watch(const char *what)
{
	busy_with = what;
	signal(SIGALRM, on_alarm);
	alarm(HANG_SECONDS);
}

/* Return: SIGTRAP after a step, SIGSTOP where it stopped itself; 0 it may not be traced. */
static int wait_for_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		die("waitpid", errno);
	if (WIFSTOPPED(status) &&
	    (WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP))
		return WSTOPSIG(status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PTRACE)
		return 0;
	fprintf(stderr, "crash: %s: the victim ended by itself (status %x)\n", busy_with,
		(unsigned int)status);
	exit(99);
}

pid_t tracee_start(void (*be)(void *userdata), void *userdata)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(EXIT_NO_PTRACE);
		be(userdata);
		_exit(0);
	}
	return wait_for_stop(pid) ? pid : -EPERM;
}

bool tracee_step(pid_t pid)
{
	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
		die("PTRACE_SINGLESTEP", errno);
	return wait_for_stop(pid) == SIGTRAP;
}

void tracee_run(pid_t pid)
{
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
		die("PTRACE_CONT", errno);
	wait_for_stop(pid);
}

#if defined(__x86_64__)
#define PLACE_OFF offsetof(struct user, regs.rip)
#define BREAKPOINT 0xccU		/* int3 */

uint64_t tracee_place(pid_t pid)
{
	errno = 0;
	uint64_t place = (uint64_t)ptrace(PTRACE_PEEKUSER, pid, PLACE_OFF, NULL);

	if (errno != 0)
		die("PTRACE_PEEKUSER", errno);
	return place;
}

static void poke(pid_t pid, uint64_t place, uint64_t text)
{
	if (ptrace(PTRACE_POKETEXT, pid, place, text) < 0)
		die("PTRACE_POKETEXT", errno);
}

bool tracee_run_to(pid_t pid, uint64_t place, uint32_t n)
{
	uint64_t text = (uint64_t)ptrace(PTRACE_PEEKTEXT, pid, place, NULL);
	uint64_t trap = (text & ~UINT64_C(0xff)) | BREAKPOINT;

	/* Its text is its own: it was forked. */
	for (;;) {
		bool is_there;

		poke(pid, place, trap);
		if (ptrace(PTRACE_CONT, pid, NULL, NULL) < 0)
			die("PTRACE_CONT", errno);
		is_there = wait_for_stop(pid) == SIGTRAP;
		poke(pid, place, text);
		if (!is_there)
			return false;
		if (ptrace(PTRACE_POKEUSER, pid, PLACE_OFF, place) < 0)
			die("PTRACE_POKEUSER", errno);
		if (--n == 0)
			return true;
		if (!tracee_step(pid))
			return false;
	}
}
#endif

void tracee_end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) >= 0 && !WIFSIGNALED(status) && !WIFEXITED(status))
		;
}
