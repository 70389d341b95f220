/* SPDX-License-Identifier: MIT */
/*
 * scribble.c - the daemon killed under load, one segment overwritten, and started again
 *
 * Two segments. Workers hold chunks of both and exchange them for others all the time. In each
 * round the daemon is killed at a random moment; in every second one all of the first segment
 * but its chunk data is then overwritten, as a member can do; sometimes a worker is killed as
 * well. What must hold of the next daemon:
 *
 *	it is READY as soon as in the rounds without overwriting, by the median of both
 *	exactly those who live are its clients, in both segments
 *	a new worker is welcome in both: header and tables are whole again
 *	no chunk of the second segment is lost, or held twice
 *
 *	scribble [--rounds N]
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mempool.h"
#include "shm/holder.h"
#include "shm/segment.h"
#include "support/private_daemon.h"

#define N_WORKERS 4
#define N_HELD 20
#define N_CHUNKS 1000
#define CHUNK_BYTES 64
#define MAX_ROUNDS 100000
#define DEFAULT_ROUNDS 60
#define ADOPTED_SECONDS 5.0
#define SLOWER 3			/* than the control, by no more than that */

static struct private_daemon daemon_of_ours;
static struct segment *scribbled, *beside;
static pid_t workers[N_WORKERS];
static double times[2][MAX_ROUNDS];	/* without, and with overwriting */
static size_t n_times[2];

static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* ---- workers ---- */

static struct mempool_client *open_client(const char *segment)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = daemon_of_ours.socket_path,
		.segment = segment,
		.timeout_ns = -1,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		die("worker %d cannot open %s: %s", (int)getpid(), segment, strerror(-r));
	return client;
}

static void beside_name(char ret_name[static 40])
{
	snprintf(ret_name, 40, "%s-b", daemon_of_ours.segment);
}

/* Each chunk is ours alone: what we wrote there is there. */
static void exchange(struct mempool_client *client, uint64_t *held[N_HELD])
{
	uint64_t **one = &held[random_number() % N_HELD];

	if (*one && **one != (uint64_t)getpid())
		die("worker %d: a chunk of the segment beside is somebody else's", (int)getpid());
	if (*one && mempool_free(client, *one) < 0)
		die("worker %d: a chunk of the segment beside is lost", (int)getpid());
	*one = mempool_alloc(client, CHUNK_BYTES);
	if (!*one)
		die("worker %d: the segment beside has no chunks", (int)getpid());
	**one = (uint64_t)getpid();
}

/* What is overwritten may give any error; only not harm us. */
static void play(struct mempool_client *client)
{
	void *chunk = mempool_alloc(client, CHUNK_BYTES);

	if (chunk)
		mempool_free(client, chunk);
}

static atomic_bool is_over;

static void on_term(int signal_number)
{
	(void)signal_number;
	atomic_store(&is_over, true);
}

static void work(void)
{
	struct mempool_client *first, *second;
	uint64_t *held[N_HELD] = { NULL };
	char name[40];

	signal(SIGTERM, on_term);
	seed += (uint64_t)getpid() * 7919;
	beside_name(name);
	first = open_client(daemon_of_ours.segment);
	second = open_client(name);
	while (!atomic_load(&is_over)) {
		for (int i = 0; i < 50; i++) {
			exchange(second, held);
			play(first);
		}
		usleep(200);
	}
	mempool_client_close(first);
	mempool_client_close(second);
}

static void start_worker(size_t i)
{
	pid_t parent = getpid();

	workers[i] = fork();
	if (workers[i] < 0)
		die("fork: %s", strerror(errno));
	if (workers[i] > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	work();
	_exit(0);
}

static void check_workers(void)
{
	int status;

	for (size_t i = 0; i < N_WORKERS; i++)
		if (workers[i] && waitpid(workers[i], &status, WNOHANG) != 0)
			die("a worker ended, with status %#x", (unsigned int)status);
}

/* ---- what the daemon knows ---- */

static struct segment *map(const char *segment_name)
{
	struct segment_memory memory;
	struct segment *segment;
	char name[PRIVATE_DAEMON_NAME_BYTES];

	private_daemon_object(segment_name, name);
	if (segment_open(name, SEGMENT_READ_WRITE, &memory) < 0 ||
	    segment_attach(&memory, &segment) < 0)
		die("cannot map %s", name);
	return segment;
}

static unsigned int count_living(const struct segment *segment)
{
	struct holder holder;
	unsigned int n = 0;

	for (uint32_t id = holder_first_client(segment); id < segment->n_holders; id++)
		n += holder_read(segment, id, &holder) == 0 &&
		     holder.state != MEMPOOL_HOLDER_FREE;
	return n;
}

static void wait_for_living(const struct segment *segment, unsigned int n, const char *what)
{
	double begin = seconds_now();

	while (count_living(segment) != n) {
		check_workers();
		if (seconds_now() - begin > ADOPTED_SECONDS)
			die("%s has %u clients, and %u live", what, count_living(segment), n);
		usleep(200);
	}
}

/* ---- the member ---- */

/* All but the chunks of the data pools. */
static void scribble(void)
{
	unsigned char *base = scribbled->memory.base;

	for (uint64_t at = 0; at < scribbled->geometry.control_bytes; at++)
		base[at] = (unsigned char)random_number();
}

/* ---- rounds ---- */

static void do_round(bool is_scribbled)
{
	size_t victim = random_number() % N_WORKERS;
	bool is_killed = random_number() % 4 == 0;
	double took;

	usleep((useconds_t)(random_number() % 10000));
	private_daemon_kill(&daemon_of_ours);
	check_workers();
	if (is_killed) {
		kill(workers[victim], SIGKILL);
		waitpid(workers[victim], NULL, 0);
		workers[victim] = 0;
	}
	if (is_scribbled)
		scribble();
	took = private_daemon_start(&daemon_of_ours);
	times[is_scribbled][n_times[is_scribbled]++] = took;
	wait_for_living(scribbled, N_WORKERS - is_killed, "the segment that was overwritten");
	wait_for_living(beside, N_WORKERS - is_killed, "the segment beside it");
	if (is_killed) {
		start_worker(victim);
		wait_for_living(scribbled, N_WORKERS, "the segment that was overwritten");
		wait_for_living(beside, N_WORKERS, "the segment beside it");
	}
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(int which)
{
	qsort(times[which], n_times[which], sizeof(double), compare_doubles);
	return times[which][n_times[which] / 2];
}

/* Nobody is there any more: all of it can be had, and no more. */
static void count_chunks(void)
{
	struct mempool_client *client;
	unsigned int n = 0;
	char name[40];

	beside_name(name);
	client = open_client(name);
	while (mempool_alloc(client, CHUNK_BYTES))
		n++;
	if (n != N_CHUNKS)
		die("of %d chunks of the segment beside, %u can be had", N_CHUNKS, n);
	mempool_client_close(client);
}

static void end_workers(void)
{
	int status;

	for (size_t i = 0; i < N_WORKERS; i++)
		kill(workers[i], SIGTERM);
	for (size_t i = 0; i < N_WORKERS; i++) {
		waitpid(workers[i], &status, 0);
		workers[i] = 0;
		if (status != 0)
			die("a worker ended with status %#x", (unsigned int)status);
	}
}

static pid_t main_pid;

/* However it ends. A worker that dies leaves that to us. */
static void clean_up(void)
{
	struct private_daemon other = daemon_of_ours;
	char name[40];

	if (getpid() != main_pid)
		return;
	private_daemon_deinit(&daemon_of_ours);
	beside_name(name);
	snprintf(other.segment, sizeof(other.segment), "%.31s", name);
	private_daemon_remove_objects(&other);
}

int main(int argc, char **argv)
{
	size_t n_rounds = DEFAULT_ROUNDS;
	char keys[512], name[40];
	double without, with;

	if (argc == 3 && strcmp(argv[1], "--rounds") == 0)
		n_rounds = strtoul(argv[2], NULL, 10);
	if (n_rounds < 2 || n_rounds > MAX_ROUNDS)
		die("--rounds is from 2 to %d", MAX_ROUNDS);
	/* The second one has the name of the first, and "-b". */
	snprintf(keys, sizeof(keys),
		 "    pools: [ { chunk_size: %d, chunk_count: %d } ]\n"
		 "    queues: [ { name: q, capacity: 64 } ]\n"
		 "    topics: [ { name: t, capacity: 64 } ]\n"
		 "  - name: private-%d-b\n"
		 "    pools: [ { chunk_size: %d, chunk_count: %d } ]\n",
		 CHUNK_BYTES, N_CHUNKS, (int)getpid(), CHUNK_BYTES, N_CHUNKS);
	private_daemon_init(&daemon_of_ours, keys);
	main_pid = getpid();
	atexit(clean_up);
	private_daemon_start(&daemon_of_ours);
	beside_name(name);
	scribbled = map(daemon_of_ours.segment);
	beside = map(name);
	for (size_t i = 0; i < N_WORKERS; i++)
		start_worker(i);
	wait_for_living(scribbled, N_WORKERS, "the segment that is overwritten");
	wait_for_living(beside, N_WORKERS, "the segment beside it");

	for (size_t i = 0; i < n_rounds; i++)
		do_round(i % 2);
	end_workers();
	wait_for_living(beside, 0, "the segment beside it");
	count_chunks();
	without = median(0);
	with = median(1);
	printf("%zu rounds, READY within %.1f ms by the median, %.1f ms after overwriting\n",
	       n_rounds, without * 1e3, with * 1e3);
	if (with > SLOWER * without)
		die("a segment that was overwritten makes the start slow");
	segment_free(scribbled);
	segment_free(beside);
	return 0;
}
