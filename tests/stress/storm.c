/* SPDX-License-Identifier: MIT */
/*
 * storm.c - clients and the daemon are killed at random moments, and nothing is lost
 *
 *	storm [--seconds N] [--seed N] [--clients N] [--threads N]
 *
 * Clients (storm_client.c) do at random what clients do; the manager kills them with
 * SIGKILL, some after they were stopped for a while, sometimes all at once, but spares one
 * in four, for those must never hang. It kills the daemon, also while that is still
 * starting, and starts it again. Meanwhile the audit looks at the living segment. In the
 * end all clients are gone, the audit must find nothing wrong, and every chunk of every
 * pool must be obtainable.
 *
 * A fault is also: a client or daemon that ends otherwise than planned, a client that is
 * neither stopped nor dead and does nothing for 10 s, a daemon not ready within 10 s.
 * Interrupted (SIGINT, SIGTERM), the storm comes to its end and its checks at once.
 * A seed determines what is done, not when: how processes meet remains the machine's.
 */
#include <errno.h>
#include <getopt.h>
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

#include "mempool.h"
#include "shm/audit.h"
#include "shm/holder.h"
#include "storm.h"
#include "support/control.h"
#include "support/private_daemon.h"

#define HUNG_SECONDS 10.0		/* by the wall clock, and as much again by a control */
#define TICK_NS 1000000
#define KILLS_PER_SECOND 20.0
#define DAEMON_KILLS_PER_SECOND 0.5
#define AUDITS_PER_SECOND 2.0

/* Small, so that they run dry all the time; of one leaf, a part of one, and several. */
static const char pools[] =
	"    max_clients: 254\n"
	"    pools:\n"
	"      - { chunk_size: 64, chunk_count: 200, cache: 16 }\n"
	"      - { chunk_size: 256, chunk_count: 128 }\n"
	"      - { chunk_size: 1024, chunk_count: 37, cache: 4 }\n"
	"    queues: [ { name: " STORM_QUEUE ", capacity: 16 } ]\n"
	"    topics: [ { name: " STORM_TOPIC ", capacity: 8 } ]\n";
#define TOPIC_CAPACITY 8

/* A client process, as the manager sees it. */
struct target {
	pid_t pid;
	double kill_at;			/* it is stopped, and killed then; 0: it runs */
	uint64_t n_seen;		/* operations, at the last look */
	double seen_at;			/* when they were fewer */
};

struct storm {
	double seconds;
	uint64_t seed;
	uint64_t random;
	unsigned int n_clients;
	unsigned int n_mortal;		/* the first ones; the others are not killed */
	unsigned int n_threads;
	struct private_daemon daemon;
	bool is_ready;			/* the daemon has said so */
	double spawned_at;
	struct storm_arena *arena;
	struct segment *segment;
	struct target targets[STORM_MAX_CLIENTS];
	uint64_t n_kills;
	uint64_t n_stopped;		/* of them were stopped before */
	uint64_t n_ends;		/* ended by themselves */
	uint64_t n_daemon_kills;
	uint64_t n_daemon_kills_early;	/* of them before it was ready */
	uint64_t n_audits;
	bool is_overdue;		/* something; then there is a patience */
	struct patience patience;
};

static _Atomic bool is_interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	atomic_store(&is_interrupted, true);
}

/* ---- ends of the program ---- */

static void clear_away(struct storm *storm)
{
	for (unsigned int i = 0; i < storm->n_clients; i++) {
		if (storm->targets[i].pid <= 0)
			continue;
		kill(storm->targets[i].pid, SIGKILL);
		waitpid(storm->targets[i].pid, NULL, 0);
		storm->targets[i].pid = 0;
	}
	segment_free(storm->segment);
	private_daemon_deinit(&storm->daemon);
}

static void print_counts(const struct storm *storm)
{
	struct storm_counts sum = { .n_operations = 0 };

	for (unsigned int i = 0; i < storm->n_clients; i++) {
		for (unsigned int k = 0; k < storm->n_threads; k++) {
			const struct storm_counts *counts = &storm->arena->places[i].counts[k];

			sum.n_operations += counts->n_operations;
			sum.n_checked += counts->n_checked;
			sum.n_allocated += counts->n_allocated;
			sum.n_exhausted += counts->n_exhausted;
			sum.n_taken += counts->n_taken;
			sum.n_acquired += counts->n_acquired;
			sum.n_received += counts->n_received;
			sum.n_read += counts->n_read;
			sum.n_stale += counts->n_stale;
			sum.n_opened += counts->n_opened;
		}
	}
	printf("kills of clients %llu (%llu of them stopped before), of the daemon %llu (%llu of "
	       "them before it was ready)\n"
	       "operations %llu: allocated %llu, exhausted %llu, taken %llu, acquired %llu, stale "
	       "%llu, received %llu, read %llu; opened %llu, ended without close %llu\n"
	       "chunks checked %llu, audits of the living segment %llu\n",
	       (unsigned long long)storm->n_kills, (unsigned long long)storm->n_stopped,
	       (unsigned long long)storm->n_daemon_kills,
	       (unsigned long long)storm->n_daemon_kills_early,
	       (unsigned long long)sum.n_operations, (unsigned long long)sum.n_allocated,
	       (unsigned long long)sum.n_exhausted, (unsigned long long)sum.n_taken,
	       (unsigned long long)sum.n_acquired, (unsigned long long)sum.n_stale,
	       (unsigned long long)sum.n_received, (unsigned long long)sum.n_read,
	       (unsigned long long)sum.n_opened,
	       (unsigned long long)storm->n_ends, (unsigned long long)sum.n_checked,
	       (unsigned long long)storm->n_audits);
	fflush(stdout);
}

static void fail(struct storm *storm, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));

static void fail(struct storm *storm, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_counts(storm);
	private_daemon_print_log(&storm->daemon);
	clear_away(storm);
	die("FAULT, seed %llu: %s", (unsigned long long)storm->seed, text);
}

/* ---- chance ---- */

static uint64_t pick(struct storm *storm, uint64_t n)
{
	return storm_random(&storm->random) % n;
}

/* Whether something that happens so often happens in this tick. */
static bool happens(struct storm *storm, double per_second, double tick_seconds)
{
	return (double)pick(storm, 1U << 30) < per_second * tick_seconds * (1U << 30);
}

/* ---- clients ---- */

static uint64_t count_operations(const struct storm *storm, unsigned int i)
{
	uint64_t n = 0;

	for (unsigned int k = 0; k < storm->n_threads; k++) {
		const struct storm_counts *counts = &storm->arena->places[i].counts[k];

		/* Short lives are progress, too. */
		n += counts->n_operations + counts->n_opened;
	}
	return n;
}

static void target_start(struct storm *storm, unsigned int i)
{
	struct target *target = &storm->targets[i];
	const struct storm_client_options options = {
		.arena = storm->arena,
		.socket_path = storm->daemon.socket_path,
		.place = i,
		.n_threads = storm->n_threads,
		.seed = storm_random(&storm->random),
	};
	pid_t parent = getpid();

	atomic_store(&storm->arena->places[i].token, 0);
	atomic_store(&storm->arena->places[i].doomed, false);
	target->kill_at = 0;
	target->seen_at = seconds_now();
	target->pid = fork();
	if (target->pid < 0)
		fail(storm, "fork: %s", strerror(errno));
	if (target->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Not interrupted from the terminal: that is the manager's business. */
		setpgid(0, 0);
		if (getppid() != parent)
			_exit(0);
		storm_client_run(&options);
	}
}

static void target_kill(struct storm *storm, unsigned int i)
{
	struct target *target = &storm->targets[i];

	/* What it holds is nobody's before it is dead; see storm.h. */
	atomic_store(&storm->arena->places[i].doomed, true);
	kill(target->pid, SIGKILL);
	storm->n_kills++;
	storm->n_stopped += target->kill_at > 0;
}

static void kill_some(struct storm *storm)
{
	unsigned int i = (unsigned int)pick(storm, storm->n_mortal);
	uint64_t dice = pick(storm, 100);

	if (dice == 0) {
		for (i = 0; i < storm->n_mortal; i++)
			if (!atomic_load(&storm->arena->places[i].doomed))
				target_kill(storm, i);
	} else if (storm->targets[i].kill_at > 0 ||
		   atomic_load(&storm->arena->places[i].doomed)) {
		return;
	} else if (dice < 25) {
		/* Stopped wherever it is: nobody may wait for it. */
		kill(storm->targets[i].pid, SIGSTOP);
		storm->targets[i].kill_at = seconds_now() + (double)pick(storm, 500) / 1e3;
	} else {
		target_kill(storm, i);
	}
}

static void kill_stopped(struct storm *storm)
{
	double now = seconds_now();

	for (unsigned int i = 0; i < storm->n_clients; i++)
		if (storm->targets[i].kill_at > 0 && storm->targets[i].kill_at < now &&
		    !atomic_load(&storm->arena->places[i].doomed))
			target_kill(storm, i);
}

static void target_ended(struct storm *storm, unsigned int i, int status)
{
	bool doomed = atomic_load(&storm->arena->places[i].doomed);

	storm->targets[i].pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STORM_EXIT_FAULT)
		fail(storm, "client in place %u: %s", i, storm->arena->fault);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && doomed)
		return;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail(storm, "client in place %u ended with status %#x", i, (unsigned int)status);
	storm->n_ends++;
}

/* Whoever has ended. Return: false when nobody has. */
static bool collect_one(struct storm *storm, bool start_again)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid <= 0)
		return false;
	if (pid == storm->daemon.pid) {
		storm->daemon.pid = 0;
		fail(storm, "the daemon ended by itself, with status %#x", (unsigned int)status);
	}
	for (unsigned int i = 0; i < storm->n_clients; i++) {
		if (storm->targets[i].pid != pid)
			continue;
		target_ended(storm, i, status);
		if (start_again)
			target_start(storm, i);
	}
	return true;
}

/* ---- the daemon ---- */

static void daemon_spawn(struct storm *storm)
{
	private_daemon_spawn(&storm->daemon);
	storm->is_ready = false;
	storm->spawned_at = seconds_now();
}

static void daemon_kill(struct storm *storm)
{
	storm->n_daemon_kills++;
	storm->n_daemon_kills_early += !storm->is_ready;
	private_daemon_kill(&storm->daemon);
	daemon_spawn(storm);
	/* Sometimes once more, anywhere in its start. */
	if (pick(storm, 3) == 0) {
		struct timespec moment = { .tv_nsec = (long)pick(storm, 8000000) };

		nanosleep(&moment, NULL);
		storm->is_ready = private_daemon_is_ready(&storm->daemon, 0);
		daemon_kill(storm);
	}
}

/* ---- watching ---- */

/*
 * Something has not happened for HUNG_SECONDS: then nobody is killed any more, and it has as
 * long again, as a control counts it. NULL: all is well.
 */
static void be_patient(struct storm *storm, const char *overdue)
{
	if (overdue && !storm->is_overdue)
		patience_begin(&storm->patience);
	else if (overdue && patience_ms(&storm->patience) > HUNG_SECONDS * 1e3)
		fail(storm, "HANG: %s, and nobody is killed", overdue);
	else if (!overdue && storm->is_overdue)
		patience_end(&storm->patience);
	storm->is_overdue = overdue;
}

static void watch(struct storm *storm)
{
	const char *overdue = NULL;
	double now = seconds_now();

	if (!storm->is_ready)
		storm->is_ready = private_daemon_is_ready(&storm->daemon, 0);
	if (!storm->is_ready && now - storm->spawned_at > HUNG_SECONDS)
		overdue = "the daemon does not become ready";

	for (unsigned int i = 0; i < storm->n_clients; i++) {
		struct target *target = &storm->targets[i];
		uint64_t n = count_operations(storm, i);

		if (n != target->n_seen || target->kill_at > 0 || target->pid == 0) {
			target->n_seen = n;
			target->seen_at = now;
		} else if (now - target->seen_at > HUNG_SECONDS) {
			overdue = "a client does nothing";
		}
	}
	be_patient(storm, overdue);
}

static void on_fault(const char *text, void *userdata)
{
	(void)userdata;
	fprintf(stderr, "audit: %s\n", text);
}

static void audit(struct storm *storm, unsigned int flags)
{
	struct audit result;

	int r;

	storm->n_audits++;
	r = audit_segment(storm->segment, flags, on_fault, NULL, &result);
	if (r < 0)
		fail(storm, "audit: %s", strerror(-r));
	if (result.n_faults > 0)
		fail(storm, "the audit found %llu faults", (unsigned long long)result.n_faults);
}

static void map_segment(struct storm *storm)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	char name[PRIVATE_DAEMON_NAME_BYTES];
	int r;

	private_daemon_object(storm->daemon.segment, name);
	r = segment_open(name, SEGMENT_READ_ONLY, &memory);
	if (r == 0)
		r = segment_attach(&memory, &storm->segment);
	if (r < 0)
		fail(storm, "%s: %s", name, strerror(-r));
}

/* ---- the end ---- */

static bool any_client_runs(const struct storm *storm)
{
	for (unsigned int i = 0; i < storm->n_clients; i++)
		if (storm->targets[i].pid)
			return true;
	return false;
}

/* Half of them are killed, the others close. */
static void end_clients(struct storm *storm)
{
	for (unsigned int i = 0; i < storm->n_clients; i++)
		if (storm->targets[i].pid && (i % 2 || storm->targets[i].kill_at > 0) &&
		    !atomic_load(&storm->arena->places[i].doomed))
			target_kill(storm, i);
	atomic_store(&storm->arena->stop, true);
	while (any_client_runs(storm)) {
		while (collect_one(storm, false))
			;
		watch(storm);
		usleep(1000);
	}
}

static unsigned int count_clients(const struct storm *storm)
{
	unsigned int n = 0;
	struct holder holder;

	for (uint32_t id = holder_first_client(storm->segment); id < storm->segment->n_holders;
	     id++) {
		if (holder_read(storm->segment, id, &holder) < 0 ||
		    holder.state != MEMPOOL_HOLDER_FREE)
			n++;
	}
	return n;
}

static void wait_for_reap(struct storm *storm)
{
	struct patience patience;

	patience_begin(&patience);
	while (!storm->is_ready || count_clients(storm) > 0) {
		watch(storm);
		if (patience_ms(&patience) > HUNG_SECONDS * 1e3)
			fail(storm, "%u dead clients are not reaped after %.0f s",
			     count_clients(storm), HUNG_SECONDS);
		usleep(1000);
	}
	patience_end(&patience);
}

/* What was sent and nobody has received outlives its sender. */
static void empty_queue(struct storm *storm, struct mempool_client *client)
{
	struct mempool_queue *queue;
	void *chunk;
	int r = mempool_queue_open(client, STORM_QUEUE, &queue);

	while (r == 0) {
		r = mempool_queue_receive(queue, &chunk, NULL, 0);
		if (r == 0)
			r = mempool_free(client, chunk);
	}
	if (r != -EAGAIN)
		fail(storm, "receive in the end: %s", strerror(-r));
	mempool_queue_close(queue);
}

/* With nobody else there, these are what the topic keeps, and has not yielded. */
static uint64_t count_kept(const struct pool *pool)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < pool->n_chunks; i++)
		n += word_kind(atomic_load(&pool->entries[i].word)) == MEMPOOL_SHARED;
	return n;
}

/* Of each pool exactly as many as it has, from the largest on: smaller ones fall back. */
static void take_all(struct storm *storm)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = storm->daemon.socket_path,
		.timeout_ns = -1,
	};
	struct mempool_client *client;
	uint64_t n_all = 0, n_kept = 0;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		fail(storm, "open in the end: %s", strerror(-r));
	empty_queue(storm, client);
	for (uint32_t i = storm->segment->n_pools; i-- > 0;) {
		const struct pool *pool = &storm->segment->pools[i];
		uint64_t kept, n = 0;

		while (mempool_alloc(client, pool->chunk_size))
			n++;
		kept = count_kept(pool);
		if (errno != EAGAIN || n + kept != pool->n_chunks)
			fail(storm, "LOST: pool %u gave %llu of %u chunks, the topic keeps %llu, "
			     "then: %s", i, (unsigned long long)n, pool->n_chunks,
			     (unsigned long long)kept, strerror(errno));
		n_all += n;
		n_kept += kept;
	}
	if (n_kept > TOPIC_CAPACITY)
		fail(storm, "LOST: %llu chunks are shared, the topic keeps %d",
		     (unsigned long long)n_kept, TOPIC_CAPACITY);
	r = mempool_client_close(client);
	if (r < 0 || (uint64_t)r != n_all)
		fail(storm, "close freed %d of %llu chunks", r, (unsigned long long)n_all);
}

/* ---- the whole ---- */

static void rage(struct storm *storm)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	double begin = seconds_now(), before = begin, now;

	for (now = begin; now - begin < storm->seconds && !atomic_load(&is_interrupted); now = seconds_now()) {
		double passed = now - before;

		before = now;
		while (collect_one(storm, true))
			;
		kill_stopped(storm);
		if (!storm->is_overdue && happens(storm, KILLS_PER_SECOND, passed))
			kill_some(storm);
		if (!storm->is_overdue && happens(storm, DAEMON_KILLS_PER_SECOND, passed))
			daemon_kill(storm);
		if (happens(storm, AUDITS_PER_SECOND, passed))
			audit(storm, 0);
		watch(storm);
		nanosleep(&tick, NULL);
	}
}

static void run(struct storm *storm)
{
	storm->arena = mmap(NULL, sizeof(*storm->arena), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm->arena == MAP_FAILED)
		die("no memory");
	private_daemon_init(&storm->daemon, pools);
	private_daemon_start(&storm->daemon);
	storm->is_ready = true;
	map_segment(storm);
	for (unsigned int i = 0; i < storm->n_clients; i++)
		target_start(storm, i);

	rage(storm);
	end_clients(storm);
	wait_for_reap(storm);
	audit(storm, AUDIT_HINTS | AUDIT_REAPED);
	take_all(storm);
	wait_for_reap(storm);
	audit(storm, AUDIT_HINTS | AUDIT_REAPED);
	private_daemon_stop(&storm->daemon);

	print_counts(storm);
	clear_away(storm);
	if (storm->n_kills == 0 || storm->n_daemon_kills == 0)
		die("nobody was killed: too short to show anything");
	puts("0 lost, 0 doubled, 0 hangs");
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end || value < min || value > max)
		die("'%s': a number from %llu to %llu", text, (unsigned long long)min,
		    (unsigned long long)max);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "clients", required_argument, NULL, 'c' },
		{ "threads", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct storm storm = {
		.seconds = 30,
		.seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid(),
		.n_clients = 12,
		.n_threads = 3,
	};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 's':
			storm.seconds = (double)number(optarg, 1, 1000000);
			break;
		case 'r':
			storm.seed = number(optarg, 1, UINT64_MAX);
			break;
		case 'c':
			storm.n_clients = (unsigned int)number(optarg, 2, STORM_MAX_CLIENTS);
			break;
		case 't':
			storm.n_threads = (unsigned int)number(optarg, 1, STORM_MAX_THREADS);
			break;
		default:
			fputs("usage: storm [--seconds N] [--seed N] [--clients N] [--threads N]\n",
			      stderr);
			return 64;
		}
	}
	signal(SIGINT, on_interrupt);
	signal(SIGTERM, on_interrupt);
	storm.n_mortal = storm.n_clients - (storm.n_clients + 3) / 4;
	storm.random = storm.seed;
	printf("storm of %.0f s, seed %llu: %u clients of %u threads\n", storm.seconds,
	       (unsigned long long)storm.seed, storm.n_clients, storm.n_threads);
	fflush(stdout);
	run(&storm);
	return 0;
}
