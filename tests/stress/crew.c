/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/audit.h"

#define TICK_SECONDS 0.001

uint64_t crew_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

void *crew_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory: %s", strerror(errno));
	return memory;
}

void crew_fault(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "FAULT: ");
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	/* Not exit(): what the parent has registered is not ours. */
	_exit(1);
}

void crew_fail(struct crew *crew, const char *text, long value)
{
	for (unsigned int i = 0; i < crew->n; i++) {
		if (crew->pids[i] == 0)
			continue;
		kill(crew->pids[i], SIGKILL);
		waitpid(crew->pids[i], NULL, 0);
	}
	private_daemon_deinit(&crew->daemon);
	die("FAULT: %s (%ld), after %llu kills", text, value,
	    (unsigned long long)crew->n_kills);
}

struct mempool_client *crew_open(const struct crew *crew)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = crew->daemon.socket_path,
		.timeout_ns = -1,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		crew_fault("open: %s", strerror(-r));
	return client;
}

static void set_next_kill(struct crew *crew)
{
	if (crew->steps_a_kill)
		crew->kill_at = crew->progress() + 1 +
				crew_random(&crew->random) % (2 * crew->steps_a_kill);
	else
		crew->kill_at = UINT64_MAX;
}

/*
 * We sleep most of the time, and are to kill in time also on a busy machine. The workers do not
 * inherit it. Where it is refused, fewer are killed there.
 */
static void come_first(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

static void start(struct crew *crew, unsigned int number)
{
	pid_t parent = getpid(), pid = fork();
	struct mempool_client *client;

	if (pid < 0)
		crew_fail(crew, "fork", errno);
	crew->pids[number] = pid;
	if (pid != 0)
		return;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	client = crew_open(crew);
	crew->run(number, client);
	mempool_client_close(client);
	_exit(0);
}

void crew_start(struct crew *crew, const char *segment_keys, uint64_t seed)
{
	crew->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	private_daemon_init(&crew->daemon, segment_keys);
	private_daemon_start(&crew->daemon);
	set_next_kill(crew);
	come_first();
	patience_begin(&crew->standstill);
	for (unsigned int i = 0; i < crew->n; i++)
		start(crew, i);
}

bool crew_is_over(const struct crew *crew, unsigned int n_workers)
{
	for (unsigned int i = 0; i < n_workers; i++)
		if (crew->pids[i] != 0)
			return false;
	return true;
}

static void collect(struct crew *crew, unsigned int number, int options)
{
	int status;

	if (crew->pids[number] == 0 || waitpid(crew->pids[number], &status, options) <= 0)
		return;
	crew->pids[number] = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		crew->on_kill(number);
		start(crew, number);
	} else if (status != 0) {
		crew_fail(crew, "a worker ended with status", status);
	}
}

static void look_at_progress(struct crew *crew)
{
	double ms = patience_ms(&crew->standstill);
	uint64_t n = crew->progress();

	if (ms > crew->longest_standstill_ms)
		crew->longest_standstill_ms = ms;
	if (n != crew->n_seen) {
		crew->n_seen = n;
		patience_end(&crew->standstill);
		patience_begin(&crew->standstill);
	} else if (ms > CREW_HUNG_MS) {
		crew_fail(crew, "HANG: nobody gets on", (long)n);
	}
}

static void kill_one(struct crew *crew)
{
	unsigned int victim = crew->first_mortal +
			      (unsigned int)(crew_random(&crew->random) % crew->n_mortal);

	/* Killed is what runs: one that has ended in time is not told apart. */
	if (crew->pids[victim] == 0)
		return;
	kill(crew->pids[victim], SIGKILL);
	crew->n_kills++;
	collect(crew, victim, 0);
	set_next_kill(crew);
}

void crew_watch(struct crew *crew, unsigned int n_workers, double seconds)
{
	struct timespec tick = { .tv_nsec = (long)(TICK_SECONDS * 1e9) };
	double begin = seconds_now();

	while (!crew_is_over(crew, n_workers) && seconds_now() - begin < seconds) {
		if (crew->progress() >= crew->kill_at)
			kill_one(crew);
		for (unsigned int i = 0; i < crew->n; i++)
			collect(crew, i, WNOHANG);
		look_at_progress(crew);
		/* Hear what it has to say about its status: when nobody does, it waits. */
		for (int i = 0; i < 10; i++)
			private_daemon_is_ready(&crew->daemon, 0);
		nanosleep(&tick, NULL);
	}
}

static void on_fault(const char *text, void *userdata)
{
	(void)userdata;
	fprintf(stderr, "audit: %s\n", text);
}

static uint64_t count_held(const struct segment *segment)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i <= segment->n_pools; i++)
		n += pool_count_used(&segment->pools[i]);
	return n;
}

void crew_end(struct crew *crew)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment;
	struct audit audit;
	char name[PRIVATE_DAEMON_NAME_BYTES];

	private_daemon_object(crew->daemon.segment, name);
	if (segment_open(name, SEGMENT_READ_ONLY, &memory) < 0 ||
	    segment_attach(&memory, &segment) < 0)
		crew_fail(crew, "cannot map the segment", 0);
	patience_end(&crew->standstill);
	patience_begin(&crew->standstill);
	while (count_held(segment) > 0) {
		if (patience_ms(&crew->standstill) > CREW_HUNG_MS)
			crew_fail(crew, "chunks are held by nobody",
			     (long)count_held(segment));
		usleep(1000);
	}
	patience_end(&crew->standstill);
	private_daemon_stop(&crew->daemon);
	audit_segment(segment, AUDIT_HINTS, on_fault, NULL, &audit);
	segment_free(segment);
	if (audit.n_faults > 0)
		crew_fail(crew, "the audit found faults", (long)audit.n_faults);
	private_daemon_deinit(&crew->daemon);
}
