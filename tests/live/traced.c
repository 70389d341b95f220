/* SPDX-License-Identifier: MIT */
#include "traced.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void traced_ask(void *userdata)
{
	(void)userdata;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

void traced_spawn(struct fixture *fixture, void (*in_child)(void *userdata))
{
	int status;

	fixture->in_child = in_child;
	fixture_spawn(fixture);
	fixture->in_child = NULL;
	ck_assert_int_eq(waitpid(fixture->pid, &status, 0), fixture->pid);
	ck_assert_msg(WIFSTOPPED(status), "status %#x", (unsigned int)status);
	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, fixture->pid, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
}

uint64_t traced_next_call(const struct fixture *fixture)
{
	struct __ptrace_syscall_info info;
	int status;

	do {
		ck_assert_int_eq(ptrace(PTRACE_SYSCALL, fixture->pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(fixture->pid, &status, 0), fixture->pid);
		ck_assert_msg(WIFSTOPPED(status), "it ended, with status %#x", (unsigned int)status);
		info = (struct __ptrace_syscall_info){ .op = 0 };
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, fixture->pid, sizeof(info),
						&info), 0);
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY);
	return info.entry.nr;
}

bool traced_is_at_rest(uint64_t call)
{
	return call == SYS_epoll_pwait ||
#ifdef SYS_epoll_pwait2
	       call == SYS_epoll_pwait2 ||
#endif
#ifdef SYS_epoll_wait
	       call == SYS_epoll_wait ||
#endif
	       false;
}

void traced_start(struct fixture *fixture, void (*in_child)(void *userdata))
{
	traced_spawn(fixture, in_child);
	while (!traced_is_at_rest(traced_next_call(fixture)))
		;
}

bool traced_kill_before(struct fixture *fixture, unsigned int k, bool (*is_over)(void))
{
	bool is_in = true;

	for (unsigned int i = 0; i < k && is_in; i++) {
		uint64_t call = traced_next_call(fixture);

		is_in = !(traced_is_at_rest(call) && is_over());
	}
	fixture_kill(fixture);
	return is_in;
}

/* ---- with its threads ---- */

/*
 * As traced_next_call(), of a daemon whose threads are traced, of any of them. *tid: the thread
 * that was stopped last, or 0; then the one that is.
 */
static uint64_t next_call_of_any(const struct fixture *fixture, pid_t *tid)
{
	struct __ptrace_syscall_info info;
	int status;

	for (;;) {
		if (*tid)
			ck_assert_int_eq(ptrace(PTRACE_SYSCALL, *tid, NULL, NULL), 0);
		*tid = waitpid(-1, &status, __WALL);
		ck_assert_int_gt(*tid, 0);
		if (!WIFSTOPPED(status)) {
			ck_assert_msg(*tid != fixture->pid, "it ended, with status %#x",
				      (unsigned int)status);
			*tid = 0;
			continue;
		}
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		ck_assert_int_gt(ptrace(PTRACE_GET_SYSCALL_INFO, *tid, sizeof(info), &info), 0);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			return info.entry.nr;
	}
}

/* The kernel tells of the end of a process once the ends of its traced threads are known. */
static void kill_all_threads(struct fixture *fixture)
{
	kill(fixture->pid, SIGKILL);
	while (waitpid(-1, NULL, __WALL) != fixture->pid)
		;
	fixture->pid = 0;
}

bool traced_kill_any_before(struct fixture *fixture, unsigned int k, bool (*is_over)(void))
{
	pid_t tid = fixture->pid;
	bool is_in = true;

	ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, fixture->pid, NULL,
				PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE),
			 0);
	for (unsigned int i = 0; i < k && is_in; i++) {
		uint64_t call = next_call_of_any(fixture, &tid);

		is_in = !(tid == fixture->pid && traced_is_at_rest(call) && is_over());
	}
	kill_all_threads(fixture);
	return is_in;
}
