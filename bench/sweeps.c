/* SPDX-License-Identifier: MIT */
#include "sweeps.h"

#include <errno.h>
#include <poll.h>

#include "measure.h"
#include "mempool.h"
#include "shm/packet.h"

#define HELD 100
#define MAX_DEAD 1000

void sweeps_init(struct sweeps *sweeps, int argc, char *argv[], const char *name)
{
	int first = 1;
	char keys[256];

	*sweeps = (struct sweeps){ .ms = 1000 };
	if (argc > 2 && strcmp(argv[1], "--ms") == 0) {
		sweeps->ms = strtoull(argv[2], NULL, 0);
		first = 3;
	}
	if (argc != first + 4 || strcmp(argv[first], name) != 0)
		skip("it has no such thing");
	sweeps->n_dead = (int)strtol(argv[first + 3], NULL, 0);
	if (sweeps->n_dead > MAX_DEAD)
		sweeps->n_dead = MAX_DEAD;
	snprintf(keys, sizeof(keys),
		 "    max_clients: %d\n"
		 "    pools: [ { chunk_size: %s, chunk_count: %s } ]\n",
		 2 * sweeps->n_dead, argv[first + 1], argv[first + 2]);
	private_daemon_init(&sweeps->daemon, keys);
}

static struct mempool_client *open_client(const struct sweeps *sweeps)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = sweeps->daemon.socket_path,
		.segment = sweeps->daemon.segment,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		die("open: %s", strerror(-r));
	return client;
}

void sweeps_start(struct sweeps *sweeps)
{
	private_daemon_start(&sweeps->daemon);
	sweeps->client = open_client(sweeps);
	sweeps->fd = packet_connect(sweeps->daemon.socket_path);
	if (sweeps->fd < 0)
		die("connect: %s", strerror(-sweeps->fd));
}

void sweeps_stop(struct sweeps *sweeps)
{
	close(sweeps->fd);
	mempool_client_close(sweeps->client);
	private_daemon_stop(&sweeps->daemon);
	private_daemon_deinit(&sweeps->daemon);
}

/* ---- those who die ---- */

static void hold_and_wait(const struct sweeps *sweeps, int told)
{
	struct mempool_client *client;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	client = open_client(sweeps);
	for (int i = 0; i < HELD; i++)
		if (!mempool_alloc(client, 1))
			die("no chunk");
	if (write(told, "x", 1) != 1)
		die("nobody listens");
	pause();
}

static void start_clients(const struct sweeps *sweeps, pid_t *pids)
{
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		die("pipe: %s", strerror(errno));
	for (int i = 0; i < sweeps->n_dead; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (pids[i] == 0)
			hold_and_wait(sweeps, fds[1]);
	}
	for (int i = 0; i < sweeps->n_dead; i++)
		if (read(fds[0], &byte, 1) != 1)
			die("a client has failed");
	close(fds[0]);
	close(fds[1]);
}

/* ---- the daemon ---- */

static uint64_t daemon_ns(const struct sweeps *sweeps)
{
	static clockid_t clock;
	struct timespec now;

	if (clock == 0 && clock_getcpuclockid(sweeps->daemon.pid, &clock) != 0)
		die("no clock of the daemon");
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void ask(const struct sweeps *sweeps, sweeps_fn answered, void *userdata)
{
	struct mempool_msg_list list = { .msg = packet_head(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct pollfd poll_fd = { .fd = sweeps->fd, .events = POLLIN };
	uint64_t worked = daemon_ns(sweeps), begin = clock_ns(), waited;
	unsigned char answer[MEMPOOL_MSG_MAX_BYTES];
	struct packet_passed passed;

	if (packet_send(sweeps->fd, &list, sizeof(list), -1) < 0 ||
	    poll(&poll_fd, 1, 60000) != 1 ||
	    packet_receive(sweeps->fd, answer, sizeof(answer), &passed) <= 0)
		die("no answer");
	waited = clock_ns() - begin;
	packet_close_passed(&passed);
	answered(waited, daemon_ns(sweeps) - worked, userdata);
}

void sweeps_ask(struct sweeps *sweeps, int n, sweeps_fn answered, void *userdata)
{
	for (int i = 0; i < n; i++)
		ask(sweeps, answered, userdata);
}

static uint64_t count_used(struct mempool_client *client)
{
	struct mempool_pool_info info;

	if (mempool_client_pools(client, &info, 1) < 1)
		die("no pools");
	return info.used;
}

/* Look at the words rarely: that takes a while itself. */
static void ask_while_swept(const struct sweeps *sweeps, sweeps_fn answered, void *userdata)
{
	uint64_t looked = clock_ns();

	for (;;) {
		ask(sweeps, answered, userdata);
		if (clock_ns() - looked < 20000000)
			continue;
		if (count_used(sweeps->client) == 0)
			return;
		looked = clock_ns();
	}
}

void sweeps_run(struct sweeps *sweeps, sweeps_fn answered, void *userdata)
{
	uint64_t until = clock_ns() + sweeps->ms * 1000000;
	pid_t pids[MAX_DEAD];

	do {
		start_clients(sweeps, pids);
		for (int i = 0; i < sweeps->n_dead; i++)
			kill(pids[i], SIGKILL);
		ask_while_swept(sweeps, answered, userdata);
		for (int i = 0; i < sweeps->n_dead; i++)
			waitpid(pids[i], NULL, 0);
	} while (clock_ns() < until);
}
