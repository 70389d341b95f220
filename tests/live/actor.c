/* SPDX-License-Identifier: MIT */
#include "actor.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/holder.h"
#include "shm/pool.h"
#include "support/control.h"

#define HEAR_MS 30000

void tell(int fd, uint64_t number)
{
	ck_assert_int_eq(send(fd, &number, sizeof(number), MSG_NOSIGNAL), sizeof(number));
}

uint64_t hear(int fd)
{
	uint64_t number;

	ck_assert_msg(patience_poll(fd, HEAR_MS), "nothing heard for %d ms", HEAR_MS);
	ck_assert_msg(recv(fd, &number, sizeof(number), 0) == sizeof(number),
		      "the other process has ended");
	return number;
}

void expect_to_hear(int fd, uint64_t number)
{
	uint64_t heard = hear(fd);

	ck_assert_msg(heard == number, "heard %lld, expected %lld", (long long)heard,
		      (long long)number);
}

void actor_start(struct actor *actor, const struct fixture *fixture, actor_fn run)
{
	pid_t parent = getpid();
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	actor->pid = fork();
	ck_assert_int_ge(actor->pid, 0);
	if (actor->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		if (getppid() == parent)
			run(fixture, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	actor->fd = fds[0];
}

void actor_join(struct actor *actor)
{
	int status;

	ck_assert_int_eq(waitpid(actor->pid, &status, 0), actor->pid);
	close(actor->fd);
	ck_assert_msg(status == 0, "the other process ended with status %#x",
		      (unsigned int)status);
}

void actor_kill(struct actor *actor)
{
	kill(actor->pid, SIGKILL);
	waitpid(actor->pid, NULL, 0);
	close(actor->fd);
}

int try_open(const struct fixture *fixture, int64_t timeout_ns,
	     struct mempool_client **ret_client)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = fixture->socket_path,
		.segment = fixture->segment,
		.timeout_ns = timeout_ns,
	};

	return mempool_client_open(&options, ret_client);
}

struct mempool_client *open_client(const struct fixture *fixture)
{
	struct mempool_client *client;
	int r = try_open(fixture, 0, &client);

	ck_assert_msg(r == 0, "open: %s", strerror(-r));
	return client;
}

/* ---- status ---- */

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	ck_assert_msg(json_object_object_get_ex(object, key, &value), "no \"%s\"", key);
	return value;
}

static uint64_t number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(member(object, key));
}

static struct json_object *run_mempoolctl(const struct fixture *fixture)
{
	struct json_object *root = NULL;
	static char text[1 << 20];	/* of a full table, each holder with its pools */
	char command[512];
	size_t n;
	FILE *pipe;

	snprintf(command, sizeof(command), "%s status --json --socket %s --segment %s",
		 MEMPOOLCTL, fixture->socket_path, fixture->segment);
	pipe = popen(command, "re");
	ck_assert_ptr_nonnull(pipe);
	n = fread(text, 1, sizeof(text) - 1, pipe);
	text[n] = '\0';
	ck_assert_int_eq(pclose(pipe), 0);
	root = json_tokener_parse(text);
	ck_assert_ptr_nonnull(root);
	return root;
}

static void read_holders(struct json_object *array, struct status *status)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *holder = json_object_array_get_idx(array, i);

		if (strcmp(json_object_get_string(member(holder, "kind")), "client") != 0)
			continue;
		ck_assert_uint_lt(status->n_holders, 256);
		status->holders[status->n_holders++] = (struct status_holder){
			.id = (uint32_t)number(holder, "id"),
			.pid = (pid_t)number(holder, "pid"),
			.chunks = number(holder, "chunks"),
			.bytes = number(holder, "bytes"),
			.shared = number(holder, "shared"),
			.stride_bytes = number(holder, "stride_bytes"),
			.max_chunks = number(holder, "max_chunks"),
			.max_bytes = number(holder, "max_bytes"),
			.is_reader = strcmp(json_object_get_string(member(holder, "role")),
					    "reader") == 0,
		};
	}
}

void status_read(const struct fixture *fixture, struct status *ret_status)
{
	struct json_object *root = run_mempoolctl(fixture);
	struct json_object *segments = member(root, "segments"), *segment = NULL, *pools;

	*ret_status = (struct status){ .n_pools = 0 };
	for (size_t i = 0; i < json_object_array_length(segments); i++) {
		segment = json_object_array_get_idx(segments, i);
		if (strcmp(json_object_get_string(member(segment, "state")), "ready") == 0)
			break;
	}
	ck_assert_ptr_nonnull(segment);
	snprintf(ret_status->shm_name, sizeof(ret_status->shm_name), "%s",
		 json_object_get_string(member(segment, "shm_name")));
	pools = member(segment, "pools");
	for (size_t i = 0; i < json_object_array_length(pools); i++) {
		struct json_object *pool = json_object_array_get_idx(pools, i);

		ret_status->pools[ret_status->n_pools++] = (struct mempool_pool_info){
			.chunk_size = number(pool, "chunk_size"),
			.stride = number(pool, "stride"),
			.total = number(pool, "total"),
			.used = number(pool, "used"),
			.free = number(pool, "free"),
		};
	}
	read_holders(member(segment, "holders"), ret_status);
	json_object_put(root);
}

const struct status_holder *status_find(const struct status *status, pid_t pid)
{
	for (unsigned int i = 0; i < status->n_holders; i++)
		if (status->holders[i].pid == pid)
			return &status->holders[i];
	return NULL;
}

/* ---- the segment itself ---- */

struct segment *map_generation(const struct fixture *fixture, uint64_t generation)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment;
	char path[96];

	fixture_object_path(fixture, generation, path);
	ck_assert_int_eq(segment_open(path + strlen("/dev/shm"), SEGMENT_READ_ONLY, &memory), 0);
	ck_assert_int_eq(segment_attach(&memory, &segment), 0);
	return segment;
}

unsigned int count_clients(const struct segment *segment)
{
	unsigned int n = 0;
	struct holder holder;

	for (uint32_t id = holder_first_client(segment); id < segment->n_holders; id++) {
		ck_assert_int_eq(holder_read(segment, id, &holder), 0);
		n += holder.state != MEMPOOL_HOLDER_FREE;
	}
	return n;
}

uint64_t count_used(const struct segment *segment)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < segment->n_pools; i++)
		n += pool_count_used(&segment->pools[i]);
	return n;
}

bool has_no_client(void *segment)
{
	return count_clients(segment) == 0;
}

bool is_deserted(void *segment)
{
	return has_no_client(segment) && count_used(segment) == 0;
}
