/* SPDX-License-Identifier: MIT */
/*
 * operations.c - the hot operations, one after the other, for `run` to count under callgrind
 *
 * Each is called a number of times within measured(), which is what callgrind is told to
 * count, and prints its name and that number. The first does nothing: it tells what the
 * measuring itself costs. One thread, one client, memory of its own: the same at each run. And a
 * spectator, which reads; by `watched` and `unwatched` its publisher is told what one costs that is
 * a process of its own. By the name of a kind of queue, only what is done with that.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "shm/barrier.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/segment.h"

enum { N = 1000, SIZE = 128, TOPIC_CAPACITY = 256, MANY = 10, PLAIN = 32 };

static struct mempool_client *client;
static struct mempool_queue *queue;
static struct mempool_topic *topic;
static struct mempool_subscriber *subscriber;
static struct mempool_client *spectator;	/* whose mapping is read-only */
static struct mempool_subscriber *watching;
static int memory_fd;
static uint64_t memory_size;
static void *chunks[N];
static size_t lengths[N];
static uint64_t handles[N];

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "operations: %s: not as expected\n", what);
	exit(1);
}

/* ---- what is counted: the i-th call of each ---- */

static int nothing(size_t i)
{
	(void)i;
	return 0;
}

static int alloc(size_t i)
{
	chunks[i] = mempool_alloc(client, SIZE);
	return chunks[i] ? 0 : -errno;
}

static int alloc_in_vain(size_t i)
{
	(void)i;
	return mempool_alloc(client, SIZE) || errno != EAGAIN;
}

static int free_it(size_t i)
{
	return mempool_free(client, chunks[i]);
}

static int alloc_many(size_t i)
{
	return mempool_alloc_many(client, SIZE, &chunks[i * MANY], MANY) != MANY;
}

static int free_many(size_t i)
{
	return mempool_free_many(client, &chunks[i * MANY], MANY) != MANY;
}

static int pair(size_t i)
{
	(void)i;
	return mempool_free(client, mempool_alloc(client, SIZE));
}

static int give(size_t i)
{
	return mempool_give(client, chunks[i], SIZE, &handles[i]);
}

static int take(size_t i)
{
	return mempool_take(client, handles[i], &chunks[i], &lengths[i]);
}

static int share(size_t i)
{
	return mempool_share(client, chunks[i], SIZE, &handles[i]);
}

static int acquire(size_t i)
{
	const void *chunk;

	return mempool_acquire(client, handles[i], &chunk, &lengths[i]);
}

static int send(size_t i)
{
	return mempool_queue_send(queue, chunks[i], SIZE, 0);
}

static int receive(size_t i)
{
	return mempool_queue_receive(queue, &chunks[i], &lengths[i], 0);
}

static int send_many(size_t i)
{
	return mempool_queue_send_many(queue, &chunks[i * MANY], &lengths[i * MANY], MANY, 0) !=
	       MANY;
}

static int receive_many(size_t i)
{
	return mempool_queue_receive_many(queue, &chunks[i * MANY], &lengths[i * MANY], MANY,
					  0) != MANY;
}

static int publish(size_t i)
{
	return mempool_topic_publish(topic, chunks[i], SIZE);
}

static int next(size_t i)
{
	const void *chunk;
	int r = mempool_subscriber_next(subscriber, &chunk, &lengths[i], NULL, 0);

	chunks[i] = (void *)chunk;
	return r;
}

static int peek(size_t i)
{
	const void *chunk;

	return mempool_subscriber_peek(watching, &chunk, &lengths[i], NULL, NULL, 0);
}

static int verify(size_t i)
{
	(void)i;
	return mempool_subscriber_verify(watching);
}

static int copy(size_t i)
{
	char buffer[SIZE];

	return mempool_subscriber_copy(watching, buffer, sizeof(buffer), &lengths[i], NULL, NULL,
				       0);
}

/* ---- what comes before ---- */

static void alloc_all(void)
{
	for (size_t i = 0; i < N; i++)
		check(alloc(i) == 0, "alloc");
}

static void exhaust(void)
{
	while (mempool_alloc(client, SIZE))
		;
}

static void subscribe(void)
{
	check(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber) == 0,
	      "subscribe");
}

/* Of the same object, once more. */
static struct segment *map(int prot, enum segment_access access)
{
	struct segment_memory memory = { .fd = -1, .access = access, .size = memory_size };
	struct segment *segment;

	memory.base = mmap(NULL, memory_size, prot, MAP_SHARED, memory_fd, 0);
	check(memory.base != MAP_FAILED && segment_attach(&memory, &segment) == 0, "segment");
	return segment;
}

/* Of no holder, as the daemon would make it. */
static void make_spectator(void)
{
	struct segment *segment = map(PROT_READ, SEGMENT_READ_ONLY);

	check(client_new_as(MEMPOOL_ROLE_SPECTATOR, 0, segment, MEMPOOL_HOLDER_NONE, 0,
			    &spectator) == 0,
	      "spectator");
}

static void watch(void)
{
	struct mempool_topic *watched;

	check(mempool_topic_open(spectator, "topic", &watched) == 0 &&
		      mempool_topic_subscribe(watched, MEMPOOL_TOPIC_OLDEST, &watching) == 0,
	      "watch");
	mempool_topic_close(watched);
}

/* The topic is full, and caches and lists stand as they do after so many each time. */
static void alloc_and_publish_all(void)
{
	alloc_all();
	for (size_t i = 0; i < N; i++)
		check(publish(i) == 0, "publish");
	alloc_all();
}

static void be_unwatched(void)
{
	alloc_and_publish_all();
	check(pair(0) == 0, "alloc+free");
}

/* Look, wait, and be stopped between peek and verify. */
static void watch_until_stopped(void)
{
	const void *chunk;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_spectator();
	watch();
	while (mempool_subscriber_peek(watching, &chunk, NULL, NULL, NULL, 1000000) == 0)
		;
	watch();
	check(peek(0) == 0, "peek");
	raise(SIGSTOP);
	_exit(1);
}

static void watch_and_stop(void)
{
	int status;
	pid_t pid;

	alloc_and_publish_all();
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		watch_until_stopped();
	check(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "stopped");
	check(pair(0) == 0, "alloc+free");
}

/* Each finds what the one before it has left. */
static const struct operation {
	const char *name;
	size_t n_calls;
	int (*call)(size_t i);
	void (*prepare)(void);
} operations[] = {
	{ "nothing", N, nothing, NULL },
	{ "alloc+free", N, pair, NULL },
	{ "alloc", N, alloc, NULL },
	{ "give", N, give, NULL },
	{ "take", N, take, NULL },
	{ "send", N, send, NULL },
	{ "receive", N, receive, NULL },
	{ "send-many", N / MANY, send_many, NULL },
	{ "receive-many", N / MANY, receive_many, NULL },
	{ "share", N, share, NULL },
	{ "acquire", N, acquire, NULL },
	{ "free-shared", N, free_it, NULL },
	{ "free-last-share", N, free_it, NULL },
	{ "free", N, free_it, alloc_all },
	{ "publish", N, publish, alloc_all },
	{ "next", TOPIC_CAPACITY, next, subscribe },
	{ "free-message", TOPIC_CAPACITY, free_it, NULL },
	{ "copy", TOPIC_CAPACITY, copy, watch },
	{ "peek", TOPIC_CAPACITY, peek, watch },
	{ "verify", N, verify, NULL },
	{ "alloc-exhausted", N, alloc_in_vain, exhaust },
};

/* Of a queue that keeps stamps. The clock is the C library's, which has no vDSO under callgrind. */
static const struct operation stamped[] = {
	{ "nothing", N, nothing, NULL },
	{ "send-stamped", N, send, alloc_all },
	{ "receive-stamped", N, receive, NULL },
	{ "free-many", N / MANY, free_many, NULL },
};

/* Of a queue for one sender, one receiver, or both. */
static const struct operation one_sender[] = {
	{ "nothing", N, nothing, NULL },
	{ "send-one-sender", N, send, alloc_all },
	{ "receive-one-sender", N, receive, NULL },
}, one_receiver[] = {
	{ "nothing", N, nothing, NULL },
	{ "send-one-receiver", N, send, alloc_all },
	{ "receive-one-receiver", N, receive, NULL },
}, one_and_one[] = {
	{ "nothing", N, nothing, NULL },
	{ "send-one-and-one", N, send, alloc_all },
	{ "receive-one-and-one", N, receive, NULL },
};

static unsigned char bytes[SIZE];

static int send_8(size_t i)
{
	(void)i;
	return mempool_queue_send_bytes(queue, bytes, 8, 0);
}

static int send_56(size_t i)
{
	(void)i;
	return mempool_queue_send_bytes(queue, bytes, 56, 0);
}

static int send_128(size_t i)
{
	(void)i;
	return mempool_queue_send_bytes(queue, bytes, 128, 0);
}

static int receive_bytes(size_t i)
{
	(void)i;
	return mempool_queue_receive_bytes(queue, bytes, sizeof(bytes), &lengths[0], 0);
}

/* The first call of each takes a role. */
static void take_roles(void)
{
	check(send_8(0) == 0 && receive_bytes(0) == 0, "roles");
}

/* Of messages that stand in its slots. */
static const struct operation slots[] = {
	{ "nothing", N, nothing, NULL },
	{ "send-bytes-8", N, send_8, take_roles },
	{ "receive-bytes-8", N, receive_bytes, NULL },
	{ "send-bytes-56", N, send_56, NULL },
	{ "receive-bytes-56", N, receive_bytes, NULL },
	{ "send-bytes-128", N, send_128, NULL },
	{ "receive-bytes-128", N, receive_bytes, NULL },
};

/* As many as are in the stack are free for the thread's lane. */
static void own_some(void)
{
	for (size_t i = 0; i < PLAIN; i++)
		check(alloc(i) == 0, "alloc");
	for (size_t i = 0; i < PLAIN; i++)
		check(free_it(i) == 0, "free");
}

/* The stack grows until all are in it. */
static void own_all(void)
{
	for (int round = 0; round < 6; round++) {
		for (size_t i = 0; i < N; i++)
			check(alloc(i) == 0, "alloc");
		for (size_t i = 0; i < N; i++)
			check(free_it(i) == 0, "free");
	}
}

/* Where threads have lanes. */
static const struct operation claims[] = {
	{ "nothing", N, nothing, NULL },
	{ "alloc+free-plain", N, pair, NULL },
	{ "alloc-plain", PLAIN, alloc, own_some },
	{ "free-plain", PLAIN, free_it, NULL },
	{ "alloc-grown", N, alloc, own_all },
	{ "free-grown", N, free_it, NULL },
	{ "alloc-many-grown", N / MANY, alloc_many, NULL },
	{ "free-many-grown", N / MANY, free_many, NULL },
};

/* Each in a process of its own: so they differ in nothing else. */
static const struct operation watched[] = {
	{ "nothing", N, nothing, NULL },
	{ "publish-watched", N, publish, watch_and_stop },
}, unwatched[] = {
	{ "nothing", N, nothing, NULL },
	{ "publish-unwatched", N, publish, be_unwatched },
};

/* By this name; and not merged with its caller. */
__attribute__((noinline)) static int measured(const struct operation *operation)
{
	int r = 0;

	for (size_t i = 0; i < operation->n_calls; i++)
		r |= operation->call(i);
	return r;
}

static void make_client(uint32_t flags, uint32_t slot_bytes, bool has_claims)
{
	const struct segment_identity identity = {
		.generation = 1,
		.segment_id = 1,
		.generation_seed = 1,
	};
	struct segment *segment;
	struct config config;
	uint64_t size;
	void *base;

	check(config_init(&config, "guard") == 0 && config_add_pool(&config, SIZE, 4096) == 0 &&
		      config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, 1024) == 0 &&
		      config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC, TOPIC_CAPACITY) == 0,
	      "config");
	config.rings[0].flags = flags;
	config.rings[0].slot_bytes = slot_bytes;
	size = segment_size_bytes(&config);
	memory_fd = memfd_create("guard", MFD_CLOEXEC);
	check(memory_fd >= 0 && ftruncate(memory_fd, (off_t)size) == 0, "memory");
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	check(base != MAP_FAILED && segment_layout(base, size, &config, &identity) == 0, "layout");
	munmap(base, size);

	memory_size = size;
	segment = map(PROT_READ | PROT_WRITE, SEGMENT_READ_WRITE);
	lane_turn(&segment->lanes, has_claims);
	check(client_new(segment, holder_first_client(segment), 0, &client) == 0 &&
		      mempool_queue_open(client, "queue", &queue) == 0 &&
		      mempool_topic_open(client, "topic", &topic) == 0,
	      "client");
	config_deinit(&config);
}

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* What else is counted, each in a process of its own. */
static const struct variant {
	const char *name;
	const struct operation *operations;
	size_t n;
	uint32_t flags;			/* of the queue */
	uint32_t slot_bytes;
	bool has_claims;
} variants[] = {
	{ "watched", watched, LENGTH(watched), 0, 0, false },
	{ "unwatched", unwatched, LENGTH(unwatched), 0, 0, false },
	{ "stamped", stamped, LENGTH(stamped), MEMPOOL_RING_STAMPS, 0, false },
	{ "claims", claims, LENGTH(claims), 0, 0, true },
	{ "one-sender", one_sender, LENGTH(one_sender), MEMPOOL_RING_ONE_SENDER, 0, false },
	{ "one-receiver", one_receiver, LENGTH(one_receiver), MEMPOOL_RING_ONE_RECEIVER, 0, false },
	{ "one-and-one", one_and_one, LENGTH(one_and_one), CONFIG_SLOTS_NEED, 0, false },
	{ "slots", slots, LENGTH(slots), CONFIG_SLOTS_NEED, SIZE, false },
};

static const struct variant *find_variant(const char *name)
{
	for (size_t i = 0; i < LENGTH(variants); i++)
		if (strcmp(variants[i].name, name) == 0)
			return &variants[i];
	check(false, name);
	return NULL;
}

/* operations [VARIANT] */
int main(int argc, char *argv[])
{
	const struct variant all = { "", operations, LENGTH(operations), 0, 0, false };
	const struct variant *variant = argc > 1 ? find_variant(argv[1]) : &all;

	if (!barrier_register()) {
		printf("skipped: no membarrier here\n");
		return 77;
	}
	make_client(variant->flags, variant->slot_bytes, variant->has_claims);
	if (argc == 1)
		make_spectator();
	/* The thread's first call is another matter. */
	check(pair(0) == 0, "alloc+free");
	for (size_t i = 0; i < variant->n; i++) {
		const struct operation *operation = &variant->operations[i];

		if (operation->prepare)
			operation->prepare();
		printf("%s %zu\n", operation->name, operation->n_calls);
		check(measured(operation) == 0, operation->name);
	}
	return 0;
}
