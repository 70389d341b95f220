/* SPDX-License-Identifier: MIT */
/*
 * test-move.c - the daemon killed at every instruction while it moves messages, and while the next
 * one ends that move
 *
 * The old generation has three messages in a queue and two that a topic keeps. In the new one the
 * queue has place for two, so the move also meets a full one. After each instruction that changed
 * one of the segments or the journal, copies of all are taken, and on these, as if the daemon had
 * died here:
 *
 *	a client of the new generation does nothing; or receives all; or takes a message and dies
 *	before its slot is empty; or publishes and sends
 *	the next daemon ends the move, reaps what the dead one held, and moves the rest
 *
 * Then each message was received exactly once, in order, with its content, length and tag; the
 * topic has its two, or they are evicted by what the client published; no chunk is lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/clock.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/move.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "shm/topic.h"
#include "tracee.h"

#define CLIENT 3
#define N_SENT 3
#define N_KEPT 2
#define N_ROUNDS 10			/* more than are needed for all to find a place */

/* What outlives the daemon. */
struct memory {
	struct move_journal journal;
	_Atomic uint32_t n_published[2];
};

struct world {
	struct segment *from;
	struct segment *to;
	struct memory *memory;
};

enum act {
	ACT_NOTHING,
	ACT_RECEIVE,
	ACT_TAKE_AND_DIE,
	ACT_SEND,
	N_ACTS,
};

static uint64_t n_steps, n_changes, n_faults;
static const char *phase = "at first";

static void fault(const char *text, unsigned int act)
{
	n_faults++;
	if (n_faults < 20)
		printf("%s, killed after instruction %lu, client %u: %s\n", phase,
		       (unsigned long)n_steps, act, text);
}

static bool always(void *userdata)
{
	(void)userdata;
	return true;
}

/* ---- the world ---- */

static void *map_shared(size_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		die("mmap", errno);
	return base;
}

static struct segment *attach(void *base, size_t size)
{
	struct segment_memory memory = {
		.base = base,
		.size = size,
		.fd = -1,
		.data_fd = -1,
		.access = SEGMENT_READ_WRITE,
	};
	struct segment *segment;
	int r = segment_attach(&memory, &segment);

	if (r < 0)
		die("segment_attach", r);
	return segment;
}

static struct segment *make(uint64_t chunk_size, uint64_t capacity)
{
	struct config config;
	struct holder holder = { .pid = (uint32_t)getpid(), .name = "move" };
	struct segment *segment;
	size_t size;
	void *base;
	int r;

	config_init(&config, "move");
	config.max_clients = 16;
	config_add_pool(&config, chunk_size, 8);
	config.pools[0].cache = 0;
	config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, capacity);
	config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC, 2);
	config.rings[0].flags = config.rings[1].flags = MEMPOOL_RING_STAMPS;
	size = segment_size_bytes(&config);
	base = map_shared(size);
	r = segment_layout(base, size, &config, NULL);
	if (r < 0)
		die("segment_layout", r);
	segment = attach(base, size);
	for (uint32_t id = MEMPOOL_HOLDER_DAEMON_ID; id <= CLIENT; id += 2) {
		holder.id = id;
		holder.kind = id == CLIENT ? MEMPOOL_HOLDER_CLIENT : MEMPOOL_HOLDER_DAEMON;
		holder_set_live(segment, &holder);
	}
	config_deinit(&config);
	return segment;
}

static void *numbered(struct mempool_client *client, unsigned int number)
{
	char *chunk = mempool_alloc(client, 32);

	if (!chunk)
		die("alloc", errno);
	snprintf(chunk, 32, "%u", number);
	mempool_chunk_set_tag(client, chunk, number);
	return chunk;
}

static struct mempool_client *be_client(struct segment *segment)
{
	struct mempool_client *client;
	int r = client_new(segment, CLIENT, 0, &client);

	if (r < 0)
		die("client_new", r);
	return client;
}

/* The same memory once more, at another address: a client unmaps its own. */
static struct segment *view_of(const struct segment *segment)
{
	size_t size = segment->memory.size;
	void *base = mremap(segment->memory.base, 0, size, MREMAP_MAYMOVE);

	if (base == MAP_FAILED)
		die("mremap", errno);
	return attach(base, size);
}

/* All was sent in between: that goes with a message, wherever it is moved to. */
static uint64_t first_ns, last_ns;

static bool has_its_stamp(struct mempool_client *client, const void *chunk)
{
	uint64_t sent_ns;

	return mempool_message_stamp(client, chunk, &sent_ns) == 0 && sent_ns >= first_ns &&
	       sent_ns <= last_ns;
}

static void fill(const struct segment *segment)
{
	struct mempool_client *client = be_client(view_of(segment));
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	int r;

	first_ns = (uint64_t)clock_now_ns();
	r = mempool_queue_open(client, "queue", &queue);
	for (unsigned int i = 1; i <= N_SENT && r == 0; i++)
		r = mempool_queue_send(queue, numbered(client, i), 10 + i, 0);
	if (r == 0)
		r = mempool_topic_open(client, "topic", &topic);
	/* One more than it keeps. */
	for (unsigned int i = 0; i <= N_KEPT && r == 0; i++)
		r = mempool_topic_publish(topic, numbered(client, 10 + i), 20 + i);
	if (r < 0)
		die("fill", r);
	mempool_queue_close(queue);
	mempool_topic_close(topic);
	mempool_client_close(client);
	last_ns = (uint64_t)clock_now_ns();
}

static struct world make_world(void)
{
	struct world world = {
		.from = make(64, 4),
		.to = make(128, 2),
		.memory = map_shared(sizeof(*world.memory)),
	};

	fill(world.from);
	reap_holder(world.from, CLIENT);
	return world;
}

static struct segment *copy_segment(const struct segment *segment)
{
	void *base = map_shared(segment->memory.size);

	memcpy(base, segment->memory.base, segment->memory.size);
	return attach(base, segment->memory.size);
}

static struct world copy_world(const struct world *world)
{
	struct world copy = {
		.from = copy_segment(world->from),
		.to = copy_segment(world->to),
		.memory = map_shared(sizeof(*copy.memory)),
	};

	memcpy(copy.memory, world->memory, sizeof(*copy.memory));
	return copy;
}

static void free_world(struct world *world)
{
	segment_free(world->from);
	segment_free(world->to);
	munmap(world->memory, sizeof(*world->memory));
}

static bool differs(const struct world *a, const struct world *b)
{
	return memcmp(a->from->memory.base, b->from->memory.base, a->from->memory.size) != 0 ||
	       memcmp(a->to->memory.base, b->to->memory.base, a->to->memory.size) != 0 ||
	       memcmp(a->memory, b->memory, sizeof(*a->memory)) != 0;
}

/* ---- what the daemon does ---- */

static void move_world(const struct world *world, struct move_counts *ret_counts)
{
	struct move move = {
		.from = world->from,
		.to = world->to,
		.journal = &world->memory->journal,
		.n_published = world->memory->n_published,
		.may_go_on = always,
	};
	char why[MOVE_WHY_BYTES];

	move_all(&move, ret_counts, why);
}

static void recover_world(const struct world *world)
{
	uint64_t segment_id;

	if (move_is_under_way(&world->memory->journal, &segment_id))
		move_recover(world->from, world->to, &world->memory->journal,
			     world->memory->n_published);
}

/* ---- what the client does ---- */

struct log {
	unsigned int received[2 * N_SENT + 2];
	unsigned int n_received;
	bool has_published;
	bool is_wrong;
};

static void note(struct log *log, unsigned int number)
{
	if (log->n_received < sizeof(log->received) / sizeof(log->received[0]))
		log->received[log->n_received++] = number;
}

static void receive(const struct segment *segment, struct log *log)
{
	struct mempool_client *client = be_client(view_of(segment));
	struct mempool_queue *queue;
	size_t length;
	uint32_t tag;
	void *chunk;

	if (mempool_queue_open(client, "queue", &queue) < 0)
		die("queue", EINVAL);
	while (mempool_queue_receive(queue, &chunk, &length, 0) == 0) {
		unsigned int number = (unsigned int)atoi(chunk);

		mempool_chunk_tag(client, chunk, &tag);
		/* 99 is of another client. */
		if (number != 99 && (length != 10 + number || tag != number ||
				     !has_its_stamp(client, chunk)))
			log->is_wrong = true;
		if (number != 99)
			note(log, number);
		mempool_free(client, chunk);
	}
	mempool_queue_close(queue);
	mempool_client_close(client);
}

static void take_and_die(const struct segment *segment, struct log *log)
{
	struct queue queue;
	bool is_damaged;

	queue_view(&queue, segment, 0);
	for (uint64_t at = 0; at <= queue.mask; at++) {
		uint64_t handle = queue_peek(&queue, queue_head(&queue) + at, &is_damaged);
		const struct pool *pool = &segment->pools[handle_pool(handle)];
		_Atomic uint64_t *word;

		if (handle == 0)
			continue;
		word = &pool->entries[handle_index(handle)].word;
		note(log, (unsigned int)atoi(pool_chunk(pool, handle_index(handle))));
		atomic_store(word, word_taken(atomic_load(word), CLIENT));
		return;
	}
}

static void send(const struct segment *segment, struct log *log)
{
	struct mempool_client *client = be_client(view_of(segment));
	struct mempool_queue *queue;
	struct mempool_topic *topic;

	if (mempool_queue_open(client, "queue", &queue) < 0 ||
	    mempool_topic_open(client, "topic", &topic) < 0)
		die("open", EINVAL);
	/* What finds no place goes with the client. */
	mempool_queue_send(queue, numbered(client, 99), 1, 0);
	mempool_topic_publish(topic, numbered(client, 99), 1);
	mempool_queue_close(queue);
	mempool_topic_close(topic);
	mempool_client_close(client);
	log->has_published = true;
}

static void act(const struct segment *segment, enum act act, struct log *log)
{
	switch (act) {
	case ACT_RECEIVE:
		receive(segment, log);
		break;
	case ACT_TAKE_AND_DIE:
		take_and_die(segment, log);
		break;
	case ACT_SEND:
		send(segment, log);
		break;
	case ACT_NOTHING:
	case N_ACTS:
		break;
	}
}

/* ---- judge ---- */

/* What the topic has, oldest first: at most two. Return: how many. */
static unsigned int read_topic(const struct segment *segment, unsigned int *ret_numbers)
{
	struct mempool_client *client = be_client(view_of(segment));
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	unsigned int n = 0;
	const void *chunk;

	if (mempool_topic_open(client, "topic", &topic) < 0 ||
	    mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber) < 0)
		die("topic", EINVAL);
	while (n < 3 && mempool_subscriber_next(subscriber, &chunk, NULL, NULL, 0) == 0) {
		ret_numbers[n] = (unsigned int)atoi(chunk);
		/* 99 is of another client. */
		if (ret_numbers[n] != 99 && !has_its_stamp(client, chunk))
			ret_numbers[n] = 0;
		n++;
		mempool_free(client, chunk);
	}
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
	return n;
}

static void judge_topic(const struct world *world, const struct log *log, unsigned int its_act)
{
	unsigned int numbers[3], n = read_topic(world->to, numbers);

	if (!log->has_published && (n != 2 || numbers[0] != 11 || numbers[1] != 12))
		fault("the topic has not what it kept", its_act);
	/* The client's is there, and nothing old behind it. */
	if (log->has_published && (n == 0 || (numbers[n - 1] != 99)))
		if (n == 0 || numbers[n - 1] != 12 || n < 2 || numbers[n - 2] != 11)
			fault("an old message has become the latest", its_act);
	if (log->has_published && n > 0 && numbers[n - 1] == 12)
		fault("an old message is behind a newer one", its_act);
}

static void on_fault(const char *text, void *userdata)
{
	fault(text, *(const unsigned int *)userdata);
}

static void judge_end(struct world *world, struct log *log, unsigned int its_act)
{
	struct audit audit;
	struct topic topic;

	if (log->is_wrong)
		fault("a message has changed", its_act);
	if (log->n_received != N_SENT)
		fault(log->n_received < N_SENT ? "a message is lost" : "a message came twice",
		      its_act);
	for (unsigned int i = 0; i < log->n_received; i++)
		if (log->received[i] != i + 1)
			fault("another message than the next one", its_act);
	judge_topic(world, log, its_act);
	audit_segment(world->from, AUDIT_HINTS | AUDIT_REAPED, on_fault, &its_act, &audit);
	audit_segment(world->to, AUDIT_HINTS | AUDIT_REAPED, on_fault, &its_act, &audit);
	for (uint64_t i = 0; topic_view(&topic, world->to, 1) == 0 && i < topic.capacity; i++) {
		uint32_t manager = topic_empty(&topic, i);

		if (manager != TOPIC_NO_MANAGER)
			chunk_manager_collect(world->to, manager, MEMPOOL_HOLDER_DAEMON_ID);
	}
	if (pool_count_used(&world->to->pools[0]) + pool_count_used(&world->to->pools[1]) > 0)
		fault("a chunk of the new generation is lost", its_act);
	if (pool_count_used(&world->from->pools[0]) + pool_count_used(&world->from->pools[1]) > 0)
		fault("a chunk of the old generation is lost", its_act);
}

static void judge_one(const struct world *world, unsigned int its_act)
{
	struct world copy = copy_world(world);
	struct move_counts counts = { .n_waiting = 1 };
	struct log log = { .n_received = 0 };

	act(copy.to, (enum act)its_act, &log);
	recover_world(&copy);
	reap_holder(copy.to, MEMPOOL_HOLDER_DAEMON_ID);
	reap_holder(copy.from, MEMPOOL_HOLDER_DAEMON_ID);
	reap_holder(copy.to, CLIENT);
	for (int i = 0; i < N_ROUNDS && counts.n_waiting > 0; i++) {
		move_world(&copy, &counts);
		receive(copy.to, &log);
	}
	if (counts.n_waiting > 0)
		fault("a message does not find its place", its_act);
	judge_end(&copy, &log, its_act);
	free_world(&copy);
}

static void judge(const struct world *world)
{
	for (unsigned int i = 0; i < N_ACTS; i++)
		judge_one(world, i);
}

/* ---- the daemon that is killed ---- */

static void be_the_mover(void *userdata)
{
	struct move_counts counts;

	raise(SIGSTOP);
	move_world(userdata, &counts);
	raise(SIGSTOP);
}

static void be_the_next_one(void *userdata)
{
	raise(SIGSTOP);
	recover_world(userdata);
	raise(SIGSTOP);
}

static void step_through(const char *name, void (*be)(void *userdata), struct world *world,
			 void (*look)(const struct world *world));

static void judge_next_one(const struct world *world)
{
	const char *before = phase;
	uint64_t steps_before = n_steps, segment_id;
	struct world copy;

	judge(world);
	if (!move_is_under_way(&world->memory->journal, &segment_id))
		return;
	copy = copy_world(world);
	step_through("recover", be_the_next_one, &copy, judge);
	free_world(&copy);
	phase = before;
	n_steps = steps_before;
}

static void step_through(const char *name, void (*be)(void *userdata), struct world *world,
			 void (*look)(const struct world *world))
{
	struct world last = copy_world(world);
	pid_t pid;

	phase = name;
	tracee_watch(name);
	pid = tracee_start(be, world);
	if (pid < 0) {
		printf("skipped: ptrace is not permitted here: %s\n", strerror((int)-pid));
		exit(77);
	}
	for (n_steps = 1; tracee_step(pid); n_steps++) {
		if (!differs(world, &last))
			continue;
		n_changes++;
		look(world);
		free_world(&last);
		last = copy_world(world);
	}
	tracee_end(pid);
	free_world(&last);
}

int main(void)
{
	struct world world = make_world();

	judge(&world);
	step_through("move", be_the_mover, &world, judge_next_one);
	judge(&world);
	printf("move: %lu instructions, %lu changes, %lu faults\n", (unsigned long)n_steps,
	       (unsigned long)n_changes, (unsigned long)n_faults);
	free_world(&world);
	return n_changes > 50 && n_faults == 0 ? 0 : 1;
}
