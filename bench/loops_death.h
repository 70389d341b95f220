/* SPDX-License-Identifier: MIT */
/* loops_death.h - the loops of death: processes that are killed, and what a system does about it; a part of loops.h */
#ifndef BENCH_LOOPS_DEATH_H
#define BENCH_LOOPS_DEATH_H

#ifdef HAS_COUNT

#define KILLED 200
#define AT_ONCE 8
#define HANG_MS 5000

static bool is_handing_over;

/* Until it is killed, or so often. */
static void live(uint64_t n_rounds, int ready_fd)
{
	system_join(0);
	for (uint64_t i = 0; i < n_rounds; i++) {
		void *chunks[4], *message;
		int n = 1 + (int)(i % 4);

		for (int k = 0; k < n; k++)
			chunks[k] = system_alloc(setup.bytes);
		for (int k = 0; k < n; k++)
			if (chunks[k])
				system_free(chunks[k]);
		if (is_handing_over) {
			message = channel_begin(0, setup.bytes);
			if (message && !channel_send(0, message, setup.bytes))
				system_free(message);
			message = channel_receive(0, false);
			if (message)
				channel_done(0, message);
		}
		if (i == 0 && write(ready_fd, "", 1) != 1)
			_exit(1);
	}
	system_leave(0);
	exit(0);
}

static pid_t start_life(uint64_t n_rounds, int ready_fd)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("no child");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		live(n_rounds, ready_fd);
	}
	return pid;
}

/* Return: whether it ended by itself; if not, it was killed, too. */
static bool ends(pid_t pid)
{
	int status;

	for (int ms = 0; ms < HANG_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status == 0;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return false;
}

/* Return: whether a survivor got its work done. */
static bool kill_some(const int ready[2])
{
	pid_t pids[AT_ONCE];
	char byte;

	for (int i = 0; i < AT_ONCE; i++)
		pids[i] = start_life(UINT64_MAX, ready[1]);
	for (int i = 0; i < AT_ONCE; i++)
		if (read(ready[0], &byte, 1) != 1)
			fail("none is ready");
	for (int i = 0; i < AT_ONCE; i++) {
		usleep(200 + (unsigned int)(rand() % 2000));
		kill(pids[i], SIGKILL);
	}
	for (int i = 0; i < AT_ONCE; i++)
		waitpid(pids[i], NULL, 0);
	return ends(start_life(1000, ready[1])) && read(ready[0], &byte, 1) == 1;
}

static void kill_clients(void)
{
	uint64_t begin, n_held = 0;
	int ready[2], n_killed = 0;
	bool hangs = false;
	void *message;

	if (pipe(ready) < 0)
		fail("pipe");
	system_open();
	srand(1);
	is_handing_over = strcmp(bench_work, "kill") == 0;
	while (n_killed < KILLED && !hangs) {
		hangs = !kill_some(ready);
		n_killed += AT_ONCE;
	}
	begin = clock_ns();
	print_figure("killed", n_killed, "clients", 0);
	print_figure("hangs", hangs, "times", 0);
	if (!hangs) {
		system_join(0);
		/* What was sent and not received is nobody's loss. */
		while ((message = channel_receive(0, false)))
			channel_done(0, message);
		do {
			usleep(1000);
			n_held = system_n_held();
		} while (n_held > 0 && clock_ns() - begin < (uint64_t)HANG_MS * 1000000);
		print_figure("lost", (double)n_held, "chunks", 0);
		system_leave(0);
	}
	system_close();
}

/* Return: whether there were such a number within a time. */
static bool awaits(bool (*is_wanted)(uint64_t n_held))
{
	uint64_t until = ms_from_now(HANG_MS);

	while (!is_wanted(system_n_held())) {
		if (clock_ns() > until)
			return false;
		usleep(100);
	}
	return true;
}

static bool is_some(uint64_t n_held)
{
	return n_held > 0;
}

static bool is_none(uint64_t n_held)
{
	return n_held == 0;
}

static void death(void)
{
	uint64_t begin;
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		fail("pipe");
	system_open();
	pid = fork();
	if (pid < 0)
		fail("no child");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		system_join(0);
		for (int i = 0; i < BATCH && system_alloc(setup.bytes); i++)
			;
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("none is ready");
	system_join(0);
	if (!awaits(is_some))
		fail("it holds nothing");
	kill(pid, SIGKILL);
	begin = clock_ns();
	waitpid(pid, NULL, 0);
	if (!awaits(is_none))
		skip("what the dead one held is never free again");
	print_figure(bench_work, (double)(clock_ns() - begin) / 1e6, "ms", 0);
	leave_alone();
}

#endif /* HAS_COUNT */

#endif
