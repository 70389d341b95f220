/* SPDX-License-Identifier: MIT */
/*
 * tracee.h - a child that is run one instruction at a time
 *
 * The child stops itself, by raise(SIGSTOP), before what is to be stepped through and after
 * it. What is left of raise() is stepped as well.
 */
#ifndef TESTS_CRASH_TRACEE_H
#define TESTS_CRASH_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Something that should never fail did: says so and exits. @error: errno or -errno */
_Noreturn void die(const char *what, int error);

/*
 * From now on, and again with each call: if nobody calls for 30 s, somebody waits for one who
 * is stopped or dead, which is said under this name, and the program ends.
 */
void tracee_watch(const char *what);

/* Fork a child that runs @be, up to its first stop. Return: its pid; -EPERM no ptrace here. */
pid_t tracee_start(void (*be)(void *userdata), void *userdata);

/* One instruction. false: it has stopped itself. */
bool tracee_step(pid_t pid);

/* On to its next stop. */
void tracee_run(pid_t pid);

/* Where it is: the address of its next instruction. This and the next only on x86-64. */
uint64_t tracee_place(pid_t pid);

/*
 * On to where it is for the n-th time (from 1) at this place, without a stop at each
 * instruction. false: it has stopped itself before that.
 */
bool tracee_run_to(pid_t pid, uint64_t place, uint32_t n);

void tracee_end(pid_t pid);

#endif
