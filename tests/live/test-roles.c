/* SPDX-License-Identifier: MIT */
/*
 * test-roles.c - what members, readers and spectators may do, and what keeps them from the rest
 *
 * Two fences: the library, which refuses a call with -EACCES; and the kernel, which refuses whatever
 * a spectator tries itself with the descriptors that it has (of a reader: test-readers). Only root can be other users.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"
#include "build_config.h"
#include "support/control.h"
#include "shm/packet.h"
#include "ways.h"

#define SPECTATOR 54321
#define STRANGER 54322
#define READER 54324

static const char segment_keys[] = "    allow: { users: [ 54323 ] }\n"
				   "    spectators: { users: [ 54321 ] }\n"
				   "    pools: [ { chunk_size: 128, chunk_count: 100 } ]\n"
				   "    queues: [ { name: jobs, capacity: 8 } ]\n"
				   "    topics: [ { name: camera, capacity: 8 } ]\n";

/* Readers need memfds, which end with a daemon that has no service manager. */
static const char reader_keys[] = "    backing: memfd\n"
				  "    readers: { users: [ 54324 ] }\n";

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "", segment_keys);
	fixture_start(&fixture);
}

static void teardown(void)
{
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

static void become(uid_t uid)
{
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(uid, uid, uid), 0);
	ck_assert_int_eq(setresuid(uid, uid, uid), 0);
	/* As after the exec of a program of that user: its /proc/self is its own. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

/* ---- what the library says ---- */

/* What there is to be done something with: made by a member, known to who plays. */
struct stage {
	struct mempool_client *client;
	uint64_t given;			/* handles */
	uint64_t shared;
	struct mempool_topic *topic;
	struct mempool_subscriber *subscriber;
	struct mempool_queue *queue;	/* NULL: a spectator gets none */
	void *chunk;			/* a member's own; what a reader has taken, a spectator peeked */
	const void *acquired;
};

#define OF_ALLOC(call) ((call) ? 0 : -errno)

static int do_role(struct stage *stage)
{
	return mempool_client_role(stage->client);
}

static int do_is_stale(struct stage *stage)
{
	return mempool_client_is_stale(stage->client);
}

static int do_pools(struct stage *stage)
{
	struct mempool_pool_info info;

	return mempool_client_pools(stage->client, &info, 1);
}

static int do_wake(struct stage *stage)
{
	return mempool_client_wake(stage->client);
}

static int do_memory(struct stage *stage)
{
	struct mempool_pool_memory memory;
	int r = mempool_client_memory(stage->client, &memory, 1);

	/* To look is allowed to all. */
	return r == 1 && *(const unsigned char *)memory.base == 255 ? -EIO : r;
}

static int do_queues(struct stage *stage)
{
	struct mempool_queue_counts counts;
	int r = mempool_client_queues(stage->client, &counts, 1);

	return r == 1 && counts.capacity != 8 ? -EIO : r;
}

static int do_topics(struct stage *stage)
{
	struct mempool_topic_counts counts;
	int r = mempool_client_topics(stage->client, &counts, 1);

	return r == 1 && (counts.length != 3 || counts.published != 3) ? -EIO : r;
}

static int do_topic_info(struct stage *stage)
{
	struct mempool_topic_counts counts;
	int r = mempool_topic_info(stage->topic, &counts);

	return r == 0 ? (int)counts.length : r;
}

static int do_fd(struct stage *stage)
{
	return mempool_client_fd(stage->client) < 0 ? mempool_client_fd(stage->client) : 0;
}

static int do_topic_open(struct stage *stage)
{
	return mempool_topic_open(stage->client, "camera", &stage->topic);
}

static int do_subscribe(struct stage *stage)
{
	return mempool_topic_subscribe(stage->topic, MEMPOOL_TOPIC_OLDEST, &stage->subscriber);
}

static int do_subscribe_with(struct stage *stage)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.start = MEMPOOL_TOPIC_LAST,
		.n_last = 1,
		.flags = MEMPOOL_SUBSCRIBE_NEWEST,
	};
	struct mempool_subscriber *subscriber;
	int r = mempool_topic_subscribe_with(stage->topic, &options, &subscriber);

	if (r == 0)
		mempool_subscriber_close(subscriber);
	return r;
}

static int do_subscribe_others(struct stage *stage)
{
	const struct mempool_subscribe_options options = {
		.size = sizeof(options),
		.flags = MEMPOOL_SUBSCRIBE_OTHERS,
	};
	struct mempool_subscriber *subscriber;
	int r = mempool_topic_subscribe_with(stage->topic, &options, &subscriber);

	if (r == 0)
		mempool_subscriber_close(subscriber);
	return r;
}

static int do_peek(struct stage *stage)
{
	const void *chunk;
	int r = mempool_subscriber_peek(stage->subscriber, &chunk, NULL, NULL, NULL, 0);

	if (r == 0 && mempool_client_role(stage->client) == MEMPOOL_ROLE_SPECTATOR)
		stage->chunk = (void *)(uintptr_t)chunk;
	return r;
}

static int do_verify(struct stage *stage)
{
	return mempool_subscriber_verify(stage->subscriber);
}

static int do_copy(struct stage *stage)
{
	char buffer[128];

	return mempool_subscriber_copy(stage->subscriber, buffer, sizeof(buffer), NULL, NULL, NULL,
				       0);
}

static int do_next(struct stage *stage)
{
	const void *chunk;
	int r = mempool_subscriber_next(stage->subscriber, &chunk, NULL, NULL, 0);

	return r == 0 ? mempool_free(stage->client, chunk) : r;
}

static int do_alloc(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8);

	if (chunk)
		stage->chunk = chunk;
	return chunk ? 0 : -errno;
}

static int do_alloc_aligned(struct stage *stage)
{
	return OF_ALLOC(mempool_alloc_aligned(stage->client, 8, 8));
}

static int do_alloc_misaligned(struct stage *stage)
{
	return OF_ALLOC(mempool_alloc_aligned(stage->client, 8, 3));
}

static int do_alloc_zeroed(struct stage *stage)
{
	void *chunk = mempool_alloc_zeroed(stage->client, 8);

	return chunk ? mempool_free(stage->client, chunk) : -errno;
}

static int do_alloc_wait(struct stage *stage)
{
	return OF_ALLOC(mempool_alloc_wait(stage->client, 8, -1));
}

static int do_alloc_many(struct stage *stage)
{
	void *chunks[2];

	return (int)mempool_alloc_many(stage->client, 8, chunks, 2);
}

static int do_alloc_all(struct stage *stage)
{
	void *chunks[2];
	int r = mempool_alloc_all(stage->client, 8, chunks, 2);

	return r == 0 ? (int)mempool_free_many(stage->client, chunks, 2) : r;
}

static int do_alloc_nothing(struct stage *stage)
{
	return OF_ALLOC(mempool_alloc(stage->client, 0));
}

static int do_usable_size(struct stage *stage)
{
	return (int)mempool_usable_size(stage->client, stage->chunk);
}

static int do_set_tag(struct stage *stage)
{
	return mempool_chunk_set_tag(stage->client, stage->chunk, 1);
}

static int do_tag(struct stage *stage)
{
	uint32_t tag;

	return mempool_chunk_tag(stage->client, stage->chunk, &tag);
}

static int do_give(struct stage *stage)
{
	uint64_t handle;
	int r = mempool_give(stage->client, stage->chunk, 8, &handle);

	return r == 0 ? mempool_take(stage->client, handle, &stage->chunk, NULL) : r;
}

static int do_take(struct stage *stage)
{
	void *chunk;
	int r = mempool_take(stage->client, stage->given, &chunk, NULL);

	if (r == 0 && mempool_client_role(stage->client) == MEMPOOL_ROLE_READER)
		stage->chunk = chunk;
	return r;
}

static int do_acquire(struct stage *stage)
{
	return mempool_acquire(stage->client, stage->shared, &stage->acquired, NULL);
}

static int do_publish(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8);

	return mempool_topic_publish(stage->topic, chunk ? chunk : stage->chunk, 8);
}

static int do_queue_open(struct stage *stage)
{
	return mempool_queue_open(stage->client, "jobs", &stage->queue);
}

static int do_queue_info(struct stage *stage)
{
	struct mempool_queue_counts counts;

	return mempool_queue_info(stage->queue, &counts);
}

static int do_queue_send(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8);

	/* A reader has none that it allocated: what it was sent is all it could send. */
	return mempool_queue_send(stage->queue, chunk ? chunk : stage->chunk, 8, -1);
}

static int do_queue_send_nothing(struct stage *stage)
{
	return mempool_queue_send(stage->queue, NULL, 8, 0);
}

static int do_queue_send_many(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8);
	size_t length = 8;

	if (!chunk)
		chunk = stage->chunk;
	return (int)mempool_queue_send_many(stage->queue, &chunk, &length, 1, -1);
}

static int do_queue_send_evict(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8), *oldest;
	int r = mempool_queue_send_evict(stage->queue, chunk ? chunk : stage->chunk, 8, &oldest, NULL);

	if (oldest)
		mempool_free(stage->client, oldest);
	return r;
}

static int do_queue_receive(struct stage *stage)
{
	void *chunk;
	int r = mempool_queue_receive(stage->queue, &chunk, NULL, 0);

	return r == 0 ? mempool_free(stage->client, chunk) : r;
}

static int do_queue_receive_many(struct stage *stage)
{
	void *chunk;
	int r = (int)mempool_queue_receive_many(stage->queue, &chunk, NULL, 1, 0);

	return r == 1 ? mempool_free(stage->client, chunk) + 1 : r;
}

static int do_queue_close(struct stage *stage)
{
	mempool_queue_close(stage->queue);
	return 0;
}

static int do_share(struct stage *stage)
{
	uint64_t handle;

	return mempool_share(stage->client, stage->chunk, 8, &handle);
}

static int do_is_exclusive(struct stage *stage)
{
	return mempool_chunk_is_exclusive(stage->client, stage->chunk);
}

static int do_message_stamp(struct stage *stage)
{
	uint64_t sent_ns;

	return mempool_message_stamp(stage->client, stage->chunk, &sent_ns);
}

static int do_subscriber_stamp(struct stage *stage)
{
	uint64_t sent_ns;

	return mempool_subscriber_stamp(stage->subscriber, &sent_ns);
}

/* Then it is a chunk again as one that was never shared. */
static int do_unshare(struct stage *stage)
{
	void *chunk;

	return mempool_unshare(stage->client, stage->chunk, &chunk);
}

static int do_free_many(struct stage *stage)
{
	void *chunk = mempool_alloc(stage->client, 8);

	/* Then the next to be freed is the other one that a reader has. */
	if (!chunk) {
		chunk = stage->chunk;
		stage->chunk = (void *)(uintptr_t)stage->acquired;
	}
	return (int)mempool_free_many(stage->client, &chunk, 1);
}

static int do_free(struct stage *stage)
{
	return mempool_free(stage->client, stage->chunk);
}

static int do_subscriber_close(struct stage *stage)
{
	mempool_subscriber_close(stage->subscriber);
	return 0;
}

static int do_topic_close(struct stage *stage)
{
	mempool_topic_close(stage->topic);
	return 0;
}

static int do_close(struct stage *stage)
{
	return mempool_client_close(stage->client);
}

/* In this order: each finds what those before it have left. A member then still holds what it has
 * given to itself, what was acquired, and what came of alloc_aligned, _wait and _many. */
static const struct act {
	const char *name;
	int (*run)(struct stage *stage);
	int expected[3];		/* of a member, a reader, a spectator */
} acts[] = {
	{ "client_role", do_role, { 0, 1, 2 } },
	{ "client_is_stale", do_is_stale, { 0, 0, 0 } },
	{ "client_pools", do_pools, { 1, 1, 1 } },
	{ "client_memory", do_memory, { 1, 1, 1 } },
	{ "client_queues", do_queues, { 1, 1, 1 } },
	{ "client_topics", do_topics, { 1, 1, 1 } },
	{ "client_fd", do_fd, { 0, 0, 0 } },
	{ "client_wake", do_wake, { 0, 0, 0 } },
	{ "topic_open", do_topic_open, { 0, 0, 0 } },
	{ "topic_info", do_topic_info, { 3, 3, 3 } },
	{ "topic_subscribe", do_subscribe, { 0, 0, 0 } },
	{ "topic_subscribe_with", do_subscribe_with, { 0, 0, 0 } },
	{ "topic_subscribe_with others", do_subscribe_others, { 0, 0, 0 } },
	{ "subscriber_peek", do_peek, { 0, 0, 0 } },
	{ "subscriber_verify", do_verify, { 0, 0, 0 } },
	{ "subscriber_copy", do_copy, { 0, 0, 0 } },
	{ "subscriber_stamp", do_subscriber_stamp, { -ENODATA, -ENODATA, -ENODATA } },
	{ "subscriber_next", do_next, { 0, 0, -EACCES } },
	{ "alloc", do_alloc, { 0, -EACCES, -EACCES } },
	{ "alloc of nothing", do_alloc_nothing, { -EINVAL, -EACCES, -EACCES } },
	{ "alloc_aligned", do_alloc_aligned, { 0, -EACCES, -EACCES } },
	{ "alloc_aligned to 3", do_alloc_misaligned, { -EINVAL, -EACCES, -EACCES } },
	{ "alloc_zeroed", do_alloc_zeroed, { 0, -EACCES, -EACCES } },
	{ "alloc_wait", do_alloc_wait, { 0, -EACCES, -EACCES } },
	{ "alloc_many", do_alloc_many, { 2, -EACCES, -EACCES } },
	{ "alloc_all", do_alloc_all, { 2, -EACCES, -EACCES } },
	{ "take", do_take, { 0, 0, -EACCES } },
	{ "acquire", do_acquire, { 0, 0, -EACCES } },
	{ "usable_size", do_usable_size, { 128, 128, -EACCES } },
	{ "chunk_set_tag", do_set_tag, { 0, -EACCES, -EACCES } },
	{ "chunk_tag", do_tag, { 0, 0, -EACCES } },
	{ "message_stamp", do_message_stamp, { -ENODATA, -ENODATA, -EACCES } },
	{ "give", do_give, { 0, -EACCES, -EACCES } },
	{ "topic_publish", do_publish, { 0, -EACCES, -EACCES } },
	{ "queue_open", do_queue_open, { 0, 0, -EACCES } },
	{ "queue_info", do_queue_info, { 0, 0, -EINVAL } },
	{ "queue_send", do_queue_send, { 0, -EACCES, -EINVAL } },
	{ "queue_send of nothing", do_queue_send_nothing, { -EINVAL, -EACCES, -EINVAL } },
	{ "queue_send_evict", do_queue_send_evict, { 0, -EACCES, -EINVAL } },
	{ "queue_send_many", do_queue_send_many, { 1, -EACCES, -EINVAL } },
	{ "queue_receive", do_queue_receive, { 0, 0, -EINVAL } },
	{ "queue_receive_many", do_queue_receive_many, { 1, 1, -EINVAL } },
	{ "queue_close", do_queue_close, { 0, 0, 0 } },
	{ "share", do_share, { 0, -EACCES, -EACCES } },
	{ "chunk_is_exclusive", do_is_exclusive, { 1, 1, -EACCES } },
	{ "unshare", do_unshare, { 0, -EACCES, -EACCES } },
	{ "free_many", do_free_many, { 1, 1, -EACCES } },
	{ "free", do_free, { 0, 0, -EACCES } },
	{ "subscriber_close", do_subscriber_close, { 0, 0, 0 } },
	{ "topic_close", do_topic_close, { 0, 0, 0 } },
	{ "client_close", do_close, { 6, 0, 0 } },
};

static void play(struct stage *stage)
{
	const int role = mempool_client_role(stage->client);

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		int r = acts[i].run(stage);

		ck_assert_msg(r == acts[i].expected[role], "%s: %d", acts[i].name, r);
	}
}

/* A member's: messages in the topic and the queue, one chunk on its way, one shared. */
static struct mempool_client *set_up(struct mempool_topic **ret_topic, uint64_t *ret_given,
				     uint64_t *ret_shared)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_queue *queue;

	ck_assert_int_eq(mempool_topic_open(client, "camera", ret_topic), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mempool_topic_publish(*ret_topic, mempool_alloc(client, 8), 8), 0);
	ck_assert_int_eq(mempool_queue_open(client, "jobs", &queue), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(mempool_queue_send(queue, mempool_alloc(client, 8), 8, 0), 0);
	mempool_queue_close(queue);
	ck_assert_int_eq(mempool_give(client, mempool_alloc(client, 8), 8, ret_given), 0);
	ck_assert_int_eq(mempool_share(client, mempool_alloc(client, 8), 8, ret_shared), 0);
	return client;
}

static const struct player {
	uid_t uid;
	uint64_t flags;			/* of its options */
	enum mempool_role role;
} players[] = {
	{ 0, 0, MEMPOOL_ROLE_MEMBER },
	{ READER, 0, MEMPOOL_ROLE_READER },
	{ 0, MEMPOOL_CLIENT_READ_ONLY, MEMPOOL_ROLE_READER },
	{ READER, MEMPOOL_CLIENT_READ_ONLY, MEMPOOL_ROLE_READER },
	{ SPECTATOR, 0, MEMPOOL_ROLE_SPECTATOR },
	{ SPECTATOR, MEMPOOL_CLIENT_READ_ONLY, MEMPOOL_ROLE_SPECTATOR },
};
#define N_PLAYERS (int)(sizeof(players) / sizeof(players[0]))

static struct mempool_client *open_as(const struct fixture *with, const struct player *player)
{
	struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = with->socket_path,
		.segment = with->segment,
		.flags = player->flags,
	};
	struct mempool_client *client;

	if (player->uid != 0)
		become(player->uid);
	ck_assert_int_eq(mempool_client_open(&options, &client), 0);
	ck_assert_int_eq(mempool_client_role(client), player->role);
	return client;
}

static void run_player(const struct fixture *with, int fd)
{
	const struct player *player = &players[hear(fd)];
	struct stage stage = { .given = hear(fd) };

	stage.shared = hear(fd);
	stage.client = open_as(with, player);
	play(&stage);
}

static void configure_readers(void)
{
	struct mempool_msg_reloaded reloaded;
	char keys[1024];

	snprintf(keys, sizeof(keys), "%s%s", reader_keys, segment_keys);
	fixture_configure(&fixture, "", keys);
	wire_reload(&fixture, &reloaded);
	ck_assert_msg(reloaded.error == 0, "%s", reloaded.text);
}

START_TEST(test_each_function_in_each_role)
{
	struct mempool_topic *topic;
	struct mempool_client *client;
	uint64_t given, shared;
	struct actor actor;

	configure_readers();
	client = set_up(&topic, &given, &shared);
	actor_start(&actor, &fixture, run_player);
	tell(actor.fd, (uint64_t)_i);
	tell(actor.fd, given);
	tell(actor.fd, shared);
	actor_join(&actor);
	mempool_topic_close(topic);
	mempool_client_close(client);
}
END_TEST

/* ---- what the kernel says ---- */

/* Be welcome, and have what was passed. Return: the connection. */
static int attach_saying(const struct mempool_msg_hello *hello,
			 struct mempool_msg_welcome *ret_welcome, struct packet_passed *ret_passed)
{
	int fd = wire_connect(&fixture);

	wire_send(fd, hello, sizeof(*hello));
	ck_assert(patience_poll(fd, 5000));
	ck_assert_int_eq(packet_receive(fd, ret_welcome, sizeof(*ret_welcome), ret_passed),
			 sizeof(*ret_welcome));
	ck_assert_uint_eq(ret_welcome->msg.type, MEMPOOL_MSG_WELCOME);
	return fd;
}

static void attach_by_wire(struct mempool_msg_welcome *ret_welcome,
			   struct packet_passed *ret_passed)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);

	attach_saying(&hello, ret_welcome, ret_passed);
}

static void run_intruder(const struct fixture *with, int to)
{
	struct mempool_msg_welcome welcome;
	struct packet_passed passed;

	(void)with;
	become(SPECTATOR);
	attach_by_wire(&welcome, &passed);
	ck_assert_uint_eq(welcome.role, MEMPOOL_WELCOME_SPECTATOR);
	ck_assert_uint_eq(welcome.holder, MEMPOOL_HOLDER_NONE);
	/* Its shape, and both objects; no lock. */
	ck_assert_uint_eq(passed.n, MEMPOOL_PASSED_LOCK);
	ways_expect_refused(passed.fds[MEMPOOL_PASSED_CONTROL], WAYS_SHM, "control");
	ways_expect_refused(passed.fds[MEMPOOL_PASSED_DATA], WAYS_SHM, "data");
	/* The object is nobody's but the daemon's. */
	ck_assert_int_lt(shm_open(welcome.place.shm_name, O_RDONLY, 0), 0);
	ck_assert_int_eq(errno, EACCES);
	tell(to, 1);
}

/* Beside it, the same as a member changes the bytes each time: so each way is one. */
START_TEST(test_a_spectator_can_change_no_byte)
{
	struct mempool_msg_welcome welcome;
	unsigned char *before, *after;
	struct packet_passed passed;
	struct actor intruder;
	struct stat st;
	size_t size;
	int fd;

	attach_by_wire(&welcome, &passed);
	ck_assert_uint_eq(welcome.role, MEMPOOL_WELCOME_MEMBER);
	fd = passed.fds[MEMPOOL_PASSED_CONTROL];
	ck_assert_int_eq(fstat(fd, &st), 0);
	size = (size_t)st.st_size;

	before = ways_read(fd, size);
	actor_start(&intruder, &fixture, run_intruder);
	ck_assert_uint_eq(hear(intruder.fd), 1);
	actor_join(&intruder);
	after = ways_read(fd, size);
	ck_assert_int_eq(memcmp(before, after, size), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((size_t)st.st_size, size);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	free(after);

	/* A daemon whose segment is damaged has nothing to do with it. */
	fixture_kill(&fixture);
	/* The first byte is of the magic, and no 0. */
	ways_expect_changes(fd, WAYS_SHM);
	free(before);
	packet_close_passed(&passed);
	fixture_start(&fixture);
}
END_TEST

/* Whether two descriptors are one open file, with its locks; of the daemon, or of ours. */
static bool is_one_file(pid_t pid, int fd, int other_fd)
{
	return syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, fd, other_fd) == 0;
}

static bool has_file(pid_t pid, int fd)
{
	for (int other = 0; other < 64; other++)
		if (is_one_file(pid, fd, other))
			return true;
	return false;
}

/* Those of the next one may be open before it comes, and are its own all the same. */
START_TEST(test_each_peer_has_open_files_of_its_own)
{
	const uint32_t role = (uint32_t)_i;
	const uint32_t n = role == MEMPOOL_WELCOME_SPECTATOR ? MEMPOOL_PASSED_LOCK
							     : MEMPOOL_PASSED_MAX;
	const int access = role == MEMPOOL_WELCOME_MEMBER ? O_RDWR : O_RDONLY;
	struct mempool_msg_hello hello;
	struct mempool_msg_welcome welcome;
	struct packet_passed passed[4];
	int fds[4];

	if (role == MEMPOOL_WELCOME_SPECTATOR && geteuid() != 0) {
		printf("skipped: needs root, for other users\n");
		return;
	}
	/* The last is there so that the daemon has closed what it has passed to the others. */
	for (uint64_t i = 0; i < 4; i++) {
		hello = wire_hello(&fixture, i + 1);
		if (role == MEMPOOL_WELCOME_READER)
			hello.flags = MEMPOOL_HELLO_READ_ONLY;
		if (role == MEMPOOL_WELCOME_SPECTATOR)
			ck_assert_int_eq(seteuid(SPECTATOR), 0);
		fds[i] = attach_saying(&hello, &welcome, &passed[i]);
		if (role == MEMPOOL_WELCOME_SPECTATOR)
			ck_assert_int_eq(seteuid(0), 0);
		ck_assert_uint_eq(welcome.role, role);
		ck_assert_uint_eq(passed[i].n, n);
		ck_assert_int_eq(fcntl(passed[i].fds[MEMPOOL_PASSED_DATA], F_GETFL) & O_ACCMODE,
				 access);
	}
	if (!is_one_file(getpid(), fds[0], fds[0])) {
		printf("skipped: no kcmp(2) here: %s\n", strerror(errno));
	} else {
		/* The shape is one for all, and tells that this test sees what is shared. */
		ck_assert(is_one_file(getpid(), passed[0].fds[MEMPOOL_PASSED_SHAPE],
				      passed[1].fds[MEMPOOL_PASSED_SHAPE]));
		for (int i = 0; i < 3; i++)
			for (uint32_t kind = MEMPOOL_PASSED_CONTROL; kind < n; kind++) {
				ck_assert(!has_file(fixture.pid, passed[i].fds[kind]));
				ck_assert(!is_one_file(getpid(), passed[i].fds[kind],
						       passed[(i + 1) % 3].fds[kind]));
			}
	}
	for (int i = 0; i < 4; i++) {
		packet_close_passed(&passed[i]);
		close(fds[i]);
	}
}
END_TEST

/* ---- a role lasts ---- */

static void expect_reader(const struct mempool_msg_hello *hello)
{
	struct mempool_msg_welcome welcome;
	struct packet_passed passed;
	int fd = attach_saying(hello, &welcome, &passed);

	ck_assert_uint_eq(welcome.role, MEMPOOL_WELCOME_READER);
	ck_assert_uint_ne(welcome.holder, MEMPOOL_HOLDER_NONE);
	ck_assert_uint_eq(passed.n, MEMPOOL_PASSED_MAX);
	ck_assert_int_eq(fcntl(passed.fds[MEMPOOL_PASSED_CONTROL], F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(fcntl(passed.fds[MEMPOOL_PASSED_DATA], F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(passed.fds[MEMPOOL_PASSED_LOCK], F_GETFL) & O_ACCMODE, O_RDONLY);
	packet_close_passed(&passed);
	close(fd);
}

/* It is that of its record, after a restart, too; whatever its hello says then, and the config. */
START_TEST(test_a_role_is_that_of_the_record)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 7);
	struct mempool_msg_welcome welcome;
	struct packet_passed passed;
	int fd;

	hello.flags = MEMPOOL_HELLO_READ_ONLY;
	expect_reader(&hello);
	ck_assert(fixture_log_has(&fixture, "as reader, holder"));
	hello.flags = 0;
	expect_reader(&hello);
	if (_i)
		fixture_kill(&fixture);
	else
		fixture_stop(&fixture);
	fixture_start(&fixture);
	expect_reader(&hello);
	/* And that of a member the same. */
	hello.nonce = 8;
	close(attach_saying(&hello, &welcome, &passed));
	packet_close_passed(&passed);
	ck_assert_uint_eq(welcome.role, MEMPOOL_WELCOME_MEMBER);
	hello.flags = MEMPOOL_HELLO_READ_ONLY;
	close(attach_saying(&hello, &welcome, &passed));
	packet_close_passed(&passed);
	ck_assert_uint_eq(welcome.role, MEMPOOL_WELCOME_MEMBER);
	hello.flags = MEMPOOL_HELLO_READ_ONLY << 1;
	hello.nonce = 9;
	fd = wire_connect(&fixture);
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EINVAL, "flags that mempoold does not know");
}
END_TEST

/* ---- a life as a spectator ---- */

static void publish(struct mempool_topic *topic, struct mempool_client *client, uint64_t number)
{
	uint64_t *chunk = mempool_alloc(client, sizeof(*chunk));

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, sizeof(*chunk)), 0);
}

/* Copies each message that its descriptor tells of, and says it, until one is 0. */
static void run_watcher(const struct fixture *with, int to)
{
	struct mempool_subscriber *subscriber;
	struct mempool_client *client;
	struct mempool_topic *topic;
	uint64_t number = 1;

	become(SPECTATOR);
	client = open_client(with);
	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	tell(to, MEMPOOL_ROLE_SPECTATOR);
	while (number != 0) {
		int r = mempool_subscriber_copy(subscriber, &number, sizeof(number), NULL, NULL,
						NULL, 0);

		if (r == 0) {
			tell(to, number);
			continue;
		}
		ck_assert_int_eq(r, -EAGAIN);
		/* Without a word from anybody. */
		ck_assert(patience_poll(mempool_client_fd(client), 5000));
	}
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	ck_assert_int_eq(mempool_client_close(client), 0);
}

START_TEST(test_a_spectator_polls_and_outlives_the_daemon)
{
	struct mempool_client *client = open_client(&fixture);
	struct mempool_topic *topic;
	struct actor watcher;

	ck_assert_int_eq(mempool_topic_open(client, "camera", &topic), 0);
	actor_start(&watcher, &fixture, run_watcher);
	expect_to_hear(watcher.fd, MEMPOOL_ROLE_SPECTATOR);
	publish(topic, client, 7);
	expect_to_hear(watcher.fd, 7);
	fixture_kill(&fixture);
	publish(topic, client, 8);
	expect_to_hear(watcher.fd, 8);
	fixture_start(&fixture);
	publish(topic, client, 9);
	expect_to_hear(watcher.fd, 9);
	publish(topic, client, 0);
	expect_to_hear(watcher.fd, 0);
	actor_join(&watcher);
	mempool_topic_close(topic);
	mempool_client_close(client);
}
END_TEST

/* It peeks until nothing is there any more, and sees that its segment was retired. */
static void run_stale(const struct fixture *with, int to)
{
	struct mempool_client *client;

	become(SPECTATOR);
	client = open_client(with);
	ck_assert(!mempool_client_is_stale(client));
	tell(to, 1);
	expect_to_hear(to, 2);
	ck_assert(mempool_client_is_stale(client));
	ck_assert_int_eq(mempool_client_pools(client, NULL, 0), 1);
	mempool_client_close(client);
}

static bool is_first_gone(void *userdata)
{
	(void)userdata;
	return !fixture_object_exists(&fixture, 1);
}

/* Nobody is in it, so it goes at once; who looks into it still may. */
START_TEST(test_a_spectator_sees_its_segment_retired_and_keeps_nothing)
{
	struct mempool_msg_reloaded reloaded;
	struct actor actor;

	actor_start(&actor, &fixture, run_stale);
	expect_to_hear(actor.fd, 1);
	fixture_configure(&fixture, "", "    spectators: { users: [ 54321 ] }\n"
					"    pools: [ { chunk_size: 256, chunk_count: 10 } ]\n");
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 1);
	wait_until(is_first_gone, NULL, 5000);
	tell(actor.fd, 2);
	actor_join(&actor);
}
END_TEST

static void expect_open(uid_t uid, int expected)
{
	struct mempool_client *client;
	pid_t pid = fork();
	int status, r;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		become(uid);
		r = try_open(&fixture, 0, &client);
		if (r == 0)
			r = mempool_client_role(client);
		_exit(r == expected ? 0 : -r);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x: %s", status,
		      strerror(WEXITSTATUS(status)));
}

/* Who may what is no matter of the layout. */
START_TEST(test_a_reload_changes_roles_and_no_layout)
{
	struct mempool_msg_reloaded reloaded;
	char text[512];

	expect_open(SPECTATOR, MEMPOOL_ROLE_SPECTATOR);
	expect_open(STRANGER, -ENOENT);
	expect_open(0, MEMPOOL_ROLE_MEMBER);
	snprintf(text, sizeof(text), "    allow: { users: [ 54321 ] }\n    spectators: anybody\n%s",
		 strstr(segment_keys, "    pools:"));
	fixture_configure(&fixture, "", text);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	ck_assert_uint_eq(reloaded.n_relaid, 0);
	expect_open(SPECTATOR, MEMPOOL_ROLE_MEMBER);
	expect_open(STRANGER, MEMPOOL_ROLE_SPECTATOR);
	/* The user that many look like matches the word, and no number. */
	expect_open(65534, MEMPOOL_ROLE_SPECTATOR);
}
END_TEST

/* A spectator counts as one client, for as long as its connection lasts. */
START_TEST(test_a_spectator_counts_as_a_client)
{
	struct mempool_msg_reloaded reloaded;
	struct actor watcher;

	fixture_configure(&fixture, "limits: { clients_per_user: 1 }\n", segment_keys);
	wire_reload(&fixture, &reloaded);
	ck_assert_int_eq(reloaded.error, 0);
	actor_start(&watcher, &fixture, run_watcher);
	expect_to_hear(watcher.fd, MEMPOOL_ROLE_SPECTATOR);
	expect_open(SPECTATOR, -EDQUOT);
	actor_kill(&watcher);
	expect_open(SPECTATOR, MEMPOOL_ROLE_SPECTATOR);
}
END_TEST

/* It is no holder: it takes no id, and says nothing that one says. */
START_TEST(test_a_spectator_is_no_holder)
{
	struct mempool_msg_wake_fd wake = {
		.msg = wire_msg(MEMPOOL_MSG_WAKE_FD, sizeof(wake)),
	};
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	struct actor watcher;
	pid_t pid;
	int status;

	actor_start(&watcher, &fixture, run_watcher);
	expect_to_hear(watcher.fd, MEMPOOL_ROLE_SPECTATOR);
	/* The first id of clients is free. */
	close(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.holder, MEMPOOL_HOLDER_DAEMON_ID + 2);
	ck_assert(fixture_log_has(&fixture, "as spectator"));
	actor_kill(&watcher);

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd;

		become(SPECTATOR);
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		wire_expect_welcome(fd, &welcome);
		wire_send(fd, &wake, sizeof(wake));
		wire_expect_refused(fd, -EPROTO, "only a client");
		close(fd);
		/* There is nothing to come back to. */
		hello.segment_id = welcome.place.segment_id;
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		wire_expect_refused(fd, -ESTALE, "no record");
		close(fd);
		hello.segment_id = 0;
		fd = wire_connect(&fixture);
		wire_send(fd, &hello, sizeof(hello));
		wire_expect_welcome(fd, &welcome);
		wire_bye(fd);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}
END_TEST

/* Linux 6.3 */
#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static bool is_registered(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);

	ck_assert_int_ge(commands, 0);
	return commands & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
}

static void run_registered(const struct fixture *with, int fd)
{
	uint64_t uid = hear(fd);

	if (uid != 0)
		become((uid_t)uid);
	ck_assert(!is_registered());
	open_client(with);
	ck_assert_int_eq(is_registered(), uid == 0 && !MEMPOOL_SANITIZED);
}

/* Barriers of those who write interrupt whoever is registered. */
START_TEST(test_a_spectator_is_interrupted_by_no_barrier)
{
	static const uid_t uids[] = { 0, SPECTATOR };
	struct actor actor;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0) < 0)
		return;
	actor_start(&actor, &fixture, run_registered);
	tell(actor.fd, uids[_i]);
	actor_join(&actor);
}
END_TEST

int main(void)
{
	Suite *suite;
	TCase *tcase;
	SRunner *runner;
	int n_failed;

	if (skip_unless_root("other users"))
		return 77;
	suite = suite_create("roles");
	tcase = tcase_create("roles");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_each_function_in_each_role, 0, N_PLAYERS);
	tcase_add_test(tcase, test_a_spectator_can_change_no_byte);
	tcase_add_loop_test(tcase, test_each_peer_has_open_files_of_its_own, MEMPOOL_WELCOME_MEMBER,
			    MEMPOOL_WELCOME_SPECTATOR + 1);
	tcase_add_loop_test(tcase, test_a_role_is_that_of_the_record, 0, 2);
	tcase_add_test(tcase, test_a_spectator_polls_and_outlives_the_daemon);
	tcase_add_test(tcase, test_a_spectator_sees_its_segment_retired_and_keeps_nothing);
	tcase_add_test(tcase, test_a_reload_changes_roles_and_no_layout);
	tcase_add_test(tcase, test_a_spectator_counts_as_a_client);
	tcase_add_test(tcase, test_a_spectator_is_no_holder);
	tcase_add_loop_test(tcase, test_a_spectator_is_interrupted_by_no_barrier, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
