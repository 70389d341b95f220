/* SPDX-License-Identifier: MIT */
/*
 * test-state_kill.c - the daemon killed at every instruction of what it writes to its state file
 *
 * A child writes, one instruction at a time; after each of them the next daemon would find what
 * stands in the file then. It must be the record of before or the record of after, each whole:
 *
 *	admit	FREE, or LIVE with all that belongs to it
 *	move	the old process, or the new one, or none (pid 0), which is neither dead nor alive
 *	end	LIVE, or REAPING; the rest as it was
 *	release	REAPING, or FREE of the next incarnation
 *	retire	READY, or RETIRED
 *
 * tests/live/test-daemon_kill does the same for system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/segments/state.h"
#include "tracee.h"

#define HOLDER 5

static struct state *state;

static const struct state_holder first = {
	.process = {
		.pid = 1234,
		.start_time = UINT64_C(1) << 40,
		.inode = 99,
		.origin = { .boot_id = { 1, [15] = 2 }, .pid_namespace = 3, .init_start_time = 4 },
	},
	.uid = 77,
	.nonce = UINT64_MAX,
	.attached_ns = 5,
	.has_membarrier = true,
	.role = MEMPOOL_WELCOME_READER,
	.name = "0123456789012345678901234567890",
};

/* Differs in everything, and is shorter. */
static const struct state_holder second = {
	.process = {
		.pid = 4321,
		.start_time = 7,
		.inode = 8,
		.origin = { .boot_id = { 9, [15] = 10 }, .pid_namespace = 11, .init_start_time = 12 },
	},
	.uid = 13,
	.nonce = 14,
	.attached_ns = 15,
	.name = "x",
};

static void make_state(void)
{
	const struct segment_identity identity = {
		.generation = 1, .segment_id = 2, .generation_seed = 3,
	};
	struct state_object objects[GEOMETRY_N_OBJECTS] = {
		{ .shm_name = "/mempool-test.1.0123456789abcdef.fedcba9876543210" },
		{ .shm_name = "/mempool-test.1.0123456789abcdef.fedcba9876543210.data" },
	};
	char path[] = "/tmp/mempool-crash-XXXXXX";
	struct config shape;
	int folder, r;

	if (!mkdtemp(path) || config_init(&shape, "test") < 0 ||
	    config_add_pool(&shape, 100, 10) < 0)
		die("folder", errno);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	objects[0].size_bytes = objects[1].size_bytes = segment_size_bytes(&shape);
	r = state_create(folder, &shape, &identity, objects, &state);
	if (r < 0)
		die("state_create", r);
	/* The mapping is all that is needed. */
	state_unlink(folder, state);
	close(folder);
	rmdir(path);
	config_deinit(&shape);
}

/* ---- what may stand there ---- */

static bool is_process(const struct state_holder *found, const struct process *process)
{
	return memcmp(&found->process, process, sizeof(*process)) == 0;
}

static bool is_rest(const struct state_holder *found, const struct state_holder *holder)
{
	return found->uid == holder->uid && found->nonce == holder->nonce &&
	       found->attached_ns == holder->attached_ns &&
	       found->has_membarrier == holder->has_membarrier && found->role == holder->role &&
	       strcmp(found->name, holder->name) == 0;
}

static bool is_free(const struct state_holder *found, uint32_t incarnation)
{
	return found->state == MEMPOOL_HOLDER_FREE && found->incarnation == incarnation;
}

static bool is(const struct state_holder *found, enum mempool_holder_state holder_state,
	       uint32_t incarnation, const struct state_holder *holder)
{
	return found->state == holder_state && found->incarnation == incarnation &&
	       is_process(found, &holder->process) && is_rest(found, holder);
}

static bool check_admit(const struct state_holder *found)
{
	return is_free(found, 1) || is(found, MEMPOOL_HOLDER_LIVE, 1, &first);
}

static bool check_move(const struct state_holder *found)
{
	return found->state == MEMPOOL_HOLDER_LIVE && found->incarnation == 1 &&
	       is_rest(found, &first) &&
	       (found->process.pid == 0 || is_process(found, &first.process) ||
		is_process(found, &second.process));
}

static bool check_end(const struct state_holder *found)
{
	struct state_holder moved = first;

	moved.process = second.process;
	return is(found, MEMPOOL_HOLDER_LIVE, 1, &moved) ||
	       is(found, MEMPOOL_HOLDER_REAPING, 1, &moved);
}

static bool check_release(const struct state_holder *found)
{
	return found->state == MEMPOOL_HOLDER_REAPING ? found->incarnation == 1 : is_free(found, 2);
}

/* Over a record of which all is still there. */
static bool check_admit_again(const struct state_holder *found)
{
	return is_free(found, 2) || is(found, MEMPOOL_HOLDER_LIVE, 2, &second);
}

static bool check_retire(const struct state_holder *found)
{
	return is(found, MEMPOOL_HOLDER_LIVE, 2, &second);
}

/* ---- what is done ---- */

static void admit(void)
{
	state_admit(state, HOLDER, &first);
}

static void move(void)
{
	state_move_process(state, HOLDER, &second.process);
}

static void end(void)
{
	state_end(state, HOLDER);
}

static void release(void)
{
	state_release(state, HOLDER);
}

static void admit_again(void)
{
	state_admit(state, HOLDER, &second);
}

static void retire(void)
{
	state_retire(state);
}

/* In this order, each where the one before has ended. */
static const struct {
	const char *name;
	void (*write)(void);
	bool (*check)(const struct state_holder *found);
} steps[] = {
	{ "admit", admit, check_admit },
	{ "move", move, check_move },
	{ "end", end, check_end },
	{ "release", release, check_release },
	{ "admit again", admit_again, check_admit_again },
	{ "retire", retire, check_retire },
};

static void be_daemon(void *userdata)
{
	const size_t *step = userdata;

	raise(SIGSTOP);
	steps[*step].write();
	raise(SIGSTOP);
}

/* Return: how many instructions it has; 0: one of them left something else; -EPERM. */
static int run(size_t step)
{
	pid_t pid = tracee_start(be_daemon, &step);
	struct state_holder found;
	int n = 0;

	if (pid < 0)
		return (int)pid;
	tracee_watch(steps[step].name);
	do {
		state_read(state, HOLDER, &found);
		if (!steps[step].check(&found)) {
			printf("%s: killed after instruction %d: state %d of incarnation %u, pid "
			       "%d, uid %u, '%s'\n", steps[step].name, n, (int)found.state,
			       found.incarnation, (int)found.process.pid,
			       (unsigned int)found.uid, found.name);
			tracee_end(pid);
			return 0;
		}
		n++;
	} while (tracee_step(pid));
	tracee_end(pid);
	return n;
}

int main(void)
{
	make_state();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int n = run(i);

		if (n == -EPERM) {
			printf("skipped: ptrace is not permitted here\n");
			return 77;
		}
		if (n == 0)
			return EXIT_FAILURE;
		printf("%-12s killed after each of %5d instructions\n", steps[i].name, n);
	}
	if (!state_is_retired(state))
		return EXIT_FAILURE;
	state_free(state);
	return EXIT_SUCCESS;
}
