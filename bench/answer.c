/* SPDX-License-Identifier: MIT */
/*
 * answer.c - how long the daemon takes to answer, while it sweeps for many dead clients
 *
 *	bench-answer [--ms N] answer BYTES CHUNKS DEAD
 *
 * So many clients that hold chunks are killed at once, and from then on LIST is asked again
 * and again, until all that they held is free: each answer is one turn of the daemon's loop, and
 * what it has to do beside. The same is asked before, when nothing happens.
 *
 *	idle, answer		how long that takes: the median, the slowest of each 1000, the slowest
 *	idle-work, answer-work	the same in processor time of the daemon. On a busy machine that is
 *				too much as well: it sweeps on until we are let run and see the
 *				answer
 */
#include <errno.h>
#include <poll.h>

#include "measure.h"
#include "mempool.h"
#include "shm/packet.h"
#include "support/private_daemon.h"

#define HELD 100
#define IDLE_ANSWERS 1000
#define MAX_DEAD 1000

static struct private_daemon broker;

/* ---- those who die ---- */

static struct mempool_client *open_client(void)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = broker.socket_path,
		.segment = broker.segment,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		die("open: %s", strerror(-r));
	return client;
}

static void hold_and_wait(int told)
{
	struct mempool_client *client;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	client = open_client();
	for (int i = 0; i < HELD; i++)
		if (!mempool_alloc(client, 1))
			die("no chunk");
	if (write(told, "x", 1) != 1)
		die("nobody listens");
	pause();
}

static void start_clients(pid_t *pids, int n)
{
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		die("pipe: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (pids[i] == 0)
			hold_and_wait(fds[1]);
	}
	for (int i = 0; i < n; i++)
		if (read(fds[0], &byte, 1) != 1)
			die("a client has failed");
	close(fds[0]);
	close(fds[1]);
}

/* ---- the daemon ---- */

static uint64_t daemon_ns(void)
{
	static clockid_t clock;
	struct timespec now;

	if (clock == 0 && clock_getcpuclockid(broker.pid, &clock) != 0)
		die("no clock of the daemon");
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct answers {
	struct slices *waited;
	struct slices *worked;
};

static void ask(int fd, struct answers *answers)
{
	struct mempool_msg_list list = { .msg = packet_head(MEMPOOL_MSG_LIST, sizeof(list)) };
	unsigned char answer[MEMPOOL_MSG_MAX_BYTES];
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t worked = daemon_ns(), begin = clock_ns();
	int passed;

	if (packet_send(fd, &list, sizeof(list), -1) < 0 || poll(&poll_fd, 1, 60000) != 1 ||
	    packet_receive(fd, answer, sizeof(answer), &passed) <= 0)
		die("no answer");
	slices_add(answers->waited, (double)(clock_ns() - begin));
	slices_add(answers->worked, (double)(daemon_ns() - worked));
}

static uint64_t count_used(struct mempool_client *client)
{
	struct mempool_pool_info info;

	if (mempool_client_pools(client, &info, 1) < 1)
		die("no pools");
	return info.used;
}

/* The one of so many that is slower than all but a part; 0: the slowest. */
static double slowest(struct slices *slices, double part)
{
	size_t from_end = (size_t)((double)slices->n * part);

	qsort(slices->ns, slices->n, sizeof(slices->ns[0]), compare_doubles);
	return slices->n ? slices->ns[slices->n - 1 - from_end] : 0;
}

static void report_slices(const char *name, struct slices *slices)
{
	char text[64];

	snprintf(text, sizeof(text), "%s-p99.9", name);
	print_figure(text, slowest(slices, 0.001) / 1e3, "us", 0);
	snprintf(text, sizeof(text), "%s-slowest", name);
	print_figure(text, slowest(slices, 0) / 1e3, "us", 0);
	print_figure(name, slices_finish(slices) / 1e3, "us", 0);
}

static void report(const char *name, struct answers *answers)
{
	char text[32];

	report_slices(name, answers->waited);
	snprintf(text, sizeof(text), "%s-work", name);
	report_slices(text, answers->worked);
}

/* Look at the words rarely: that takes a while itself. */
static void ask_while_swept(struct mempool_client *client, int fd, struct answers *answers)
{
	uint64_t looked = clock_ns();

	for (;;) {
		ask(fd, answers);
		if (clock_ns() - looked < 20000000)
			continue;
		if (count_used(client) == 0)
			return;
		looked = clock_ns();
	}
}

int main(int argc, char *argv[])
{
	struct answers idle = { slices_new(), slices_new() };
	struct answers busy = { slices_new(), slices_new() };
	struct mempool_client *client;
	pid_t pids[MAX_DEAD];
	uint64_t ms = 1000, until;
	int first = 1, n, fd;
	char keys[256];

	if (argc > 2 && strcmp(argv[1], "--ms") == 0) {
		ms = strtoull(argv[2], NULL, 0);
		first = 3;
	}
	if (argc != first + 4 || strcmp(argv[first], "answer") != 0)
		skip("it has no such thing");
	n = (int)strtol(argv[first + 3], NULL, 0);
	if (n > MAX_DEAD)
		n = MAX_DEAD;
	snprintf(keys, sizeof(keys),
		 "    max_clients: %d\n"
		 "    pools: [ { chunk_size: %s, chunk_count: %s } ]\n",
		 2 * n, argv[first + 1], argv[first + 2]);
	private_daemon_init(&broker, keys);
	private_daemon_start(&broker);
	client = open_client();
	fd = packet_connect(broker.socket_path);
	if (fd < 0)
		die("connect: %s", strerror(-fd));
	for (int i = 0; i < IDLE_ANSWERS; i++)
		ask(fd, &idle);

	until = clock_ns() + ms * 1000000;
	do {
		start_clients(pids, n);
		for (int i = 0; i < n; i++)
			kill(pids[i], SIGKILL);
		ask_while_swept(client, fd, &busy);
		for (int i = 0; i < n; i++)
			waitpid(pids[i], NULL, 0);
	} while (clock_ns() < until);

	report("idle", &idle);
	report("answer", &busy);
	close(fd);
	mempool_client_close(client);
	private_daemon_stop(&broker);
	private_daemon_deinit(&broker);
	return 0;
}
