/* SPDX-License-Identifier: MIT */
#include "interleave.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/reap.h"
#include "shm/topic.h"
#include "tracee.h"

#define A 3
#define B 4
#define C 5
#define RING_OF_TOPIC 1

/* The segment, and what it looks like when nothing has happened yet. */
static struct segment_memory memory = { .fd = -1, .data_fd = -1, .access = SEGMENT_READ_WRITE };
static void *image;
static struct scene *scene;
static bool are_threads;
static bool has_claims;

/* ---- the segment ---- */

static void *shared_memory(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		die("mmap", errno);
	return shared;
}

static struct segment *attach(void)
{
	struct segment_memory copy = memory;
	struct segment *segment;
	int r = segment_attach(&copy, &segment);

	if (r < 0)
		die("segment_attach", r);
	/* munmap() of no bytes: the memory stays when this is freed. */
	segment->memory.size = 0;
	return segment;
}

static void add_holder(struct segment *segment, uint32_t id, enum mempool_holder_kind kind)
{
	struct holder holder = {
		.id = id, .kind = kind, .pid = (uint32_t)getpid(), .name = "crash",
	};

	holder_set_live(segment, &holder);
}

static void make_image(void)
{
	struct segment *segment;
	struct config config;
	int r;

	config_init(&config, "crash");
	config.max_clients = 16;
	config_add_pool(&config, MEETING_CHUNK_SIZE, MEETING_CHUNKS);
	config.pools[0].cache = MEETING_CACHE;
	config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, MEETING_QUEUE);
	config_add_ring(&config, "topic", MEMPOOL_RING_TOPIC, MEETING_TOPIC);
	memory.size = segment_size_bytes(&config);
	memory.base = shared_memory(memory.size);
	r = segment_layout(memory.base, memory.size, &config, NULL);
	if (r < 0)
		die("segment_layout", r);
	config_deinit(&config);

	segment = attach();
	lane_turn(&segment->lanes, has_claims);
	add_holder(segment, MEMPOOL_HOLDER_DAEMON_ID, MEMPOOL_HOLDER_DAEMON);
	add_holder(segment, A, MEMPOOL_HOLDER_CLIENT);
	add_holder(segment, B, MEMPOOL_HOLDER_CLIENT);
	add_holder(segment, C, MEMPOOL_HOLDER_CLIENT);
	segment_free(segment);

	image = shared_memory(memory.size);
	memcpy(image, memory.base, memory.size);
	scene = shared_memory(sizeof(*scene));
}

/* ---- the two ---- */

static void enter(struct side *side, uint32_t holder)
{
	int r = client_new(attach(), holder, 0, &side->client);

	if (r == 0)
		r = mempool_queue_open(side->client, "queue", &side->queue);
	if (r == 0)
		r = mempool_topic_open(side->client, "topic", &side->topic);
	if (r == 0)
		r = mempool_topic_subscribe(side->topic, MEMPOOL_TOPIC_OLDEST, &side->subscriber);
	if (r < 0)
		die("enter", r);
	side->holder = holder;
}

static int leave(struct side *side)
{
	int n = mempool_client_close(side->client);

	mempool_subscriber_close(side->subscriber);
	mempool_topic_close(side->topic);
	mempool_queue_close(side->queue);
	return n;
}

static void act(act_fn fn, struct side *side)
{
	if (fn)
		fn(scene, side);
}

/* What threads of one client have in common in private memory: what share.c counts. */
static void use_references(struct mempool_client *client, _Atomic uint32_t *references)
{
	munmap(client->references,
	       segment_managers(client->segment)->n_chunks * sizeof(*client->references));
	client->references = references;
}

static void be_a(void *userdata)
{
	const struct meeting *meeting = userdata;

	enter(&scene->a, are_threads ? B : A);
	if (are_threads)
		use_references(scene->a.client, scene->references);
	act(meeting->prepare_a, &scene->a);
	raise(SIGSTOP);
	act(meeting->run_a, &scene->a);
	raise(SIGSTOP);
	act(meeting->finish_a, &scene->a);
	raise(SIGSTOP);
}

/* ---- judging ---- */

struct judge {
	const struct meeting *meeting;
	const struct segment *segment;
	uint64_t k;
	bool is_wrong;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct judge *judge, const char *format,
							...)
{
	va_list arguments;

	judge->is_wrong = true;
	printf("%s, met before instruction %lu: ", judge->meeting->name, (unsigned long)judge->k);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void on_audit_fault(const char *text, void *userdata)
{
	wrong(userdata, "audit: %s", text);
}

/* The summary rule: what is in a leaf can be found by the summary. */
static void judge_hints(struct judge *judge)
{
	for (uint32_t id = 0; id <= judge->segment->n_pools; id++) {
		const struct free_list *list = &judge->segment->pools[id].list;

		for (uint32_t leaf = 0; leaf < list->n_leaves; leaf++)
			if (atomic_load(&list->leaves[leaf]) != 0 &&
			    !(atomic_load(&list->summary[leaf / 64]) >> leaf % 64 & 1))
				wrong(judge, "leaf %u of pool %u has hints, and no summary bit",
				      leaf, id);
	}
}

static bool has(const struct segment *segment, uint64_t word, uint32_t holder)
{
	return word_is_owned_by(word, holder) ||
	       (word_kind(word) == MEMPOOL_SHARED &&
		chunk_manager_has(segment, word_value(word), holder));
}

/* Its chunks by the words are those that it believes to hold. */
static void judge_side(struct judge *judge, const struct side *side)
{
	const struct pool *pool = &judge->segment->pools[0];
	uint32_t n = 0, index;

	if (side->is_refused)
		wrong(judge, "%u was refused what must work", side->holder);
	for (index = 0; index < pool->n_chunks; index++)
		n += has(judge->segment, atomic_load(&pool->entries[index].word), side->holder);
	if (n != side->n_held)
		wrong(judge, "%u has %u chunks, and believes to have %u", side->holder, n,
		      side->n_held);
	for (uint32_t i = 0; i < side->n_held; i++) {
		uint64_t off = (uint64_t)((unsigned char *)side->held[i] - pool->data);
		uint64_t word;

		if (pool_index(pool, off, &index) < 0) {
			wrong(judge, "%u has %p, which is no chunk", side->holder, side->held[i]);
			continue;
		}
		word = atomic_load(&pool->entries[index].word);
		if (!has(judge->segment, word, side->holder))
			wrong(judge, "%u believes to have chunk %u, whose word is %016lx",
			      side->holder, index, (unsigned long)word);
	}
}

/* Both are through, and stand still. */
static void judge_both(struct judge *judge)
{
	struct audit audit;

	judge_side(judge, &scene->a);
	judge_side(judge, &scene->b);
	judge_hints(judge);
	audit_segment(judge->segment, AUDIT_REAPED, on_audit_fault, judge, &audit);
	if (judge->meeting->is_right && !judge->meeting->is_right(scene))
		wrong(judge, "A has %u (%d), B has %u (%d), %lu missed", scene->a.n_held,
		      scene->a.result, scene->b.n_held, scene->b.result,
		      (unsigned long)scene->a.n_missed);
}

/* Both have gone. */
static void judge_rest(struct judge *judge)
{
	struct topic topic;
	struct audit audit;

	audit_segment(judge->segment, AUDIT_HINTS | AUDIT_REAPED, on_audit_fault, judge, &audit);
	topic_view(&topic, judge->segment, RING_OF_TOPIC);
	if (audit.n_owned + audit.n_given != 0 || audit.n_shared != topic_count(&topic, 0, topic.capacity))
		wrong(judge, "%lu owned, %lu given, %lu shared chunks are left",
		      (unsigned long)audit.n_owned, (unsigned long)audit.n_given,
		      (unsigned long)audit.n_shared);
}

/* A third one empties the queue, fills and empties it, publishes and reads. */
static void judge_use(struct judge *judge)
{
	struct side c = { .holder = 0 };
	uint32_t n_sent, n_received;
	const void *message;
	void *chunk;
	int r;

	enter(&c, C);
	while ((r = mempool_queue_receive(c.queue, &chunk, NULL, 0)) == 0)
		mempool_free(c.client, chunk);
	if (r != -EAGAIN)
		wrong(judge, "the queue says %d", r);
	for (n_sent = 0; n_sent <= MEETING_QUEUE; n_sent++) {
		chunk = mempool_alloc(c.client, 1);
		if (!chunk || mempool_queue_send(c.queue, chunk, n_sent, 0) < 0)
			break;
	}
	for (n_received = 0; n_received < n_sent; n_received++) {
		size_t length;

		if (mempool_queue_receive(c.queue, &chunk, &length, 0) < 0 ||
		    length != n_received)
			break;
		mempool_free(c.client, chunk);
	}
	if (n_sent != MEETING_QUEUE || n_received != n_sent)
		wrong(judge, "the queue took %u messages and gave %u", n_sent, n_received);

	mempool_subscriber_close(c.subscriber);
	chunk = mempool_alloc(c.client, 1);
	if (mempool_topic_subscribe(c.topic, MEMPOOL_TOPIC_NEW, &c.subscriber) < 0)
		die("subscribe", EINVAL);
	if (!chunk || mempool_topic_publish(c.topic, chunk, 1) < 0 ||
	    mempool_subscriber_next(c.subscriber, &message, NULL, NULL, 0) < 0 ||
	    message != chunk)
		wrong(judge, "the topic took or gave no new message");
	leave(&c);
}

/* ---- meeting ---- */

/* Where A is before each of its instructions. */
struct path {
	uint64_t *places;
	uint64_t n;
};

/* Both prepared, and A stopped. Return: its pid, -errno. */
static pid_t begin(const struct meeting *meeting)
{
	tracee_watch(meeting->name);
	memcpy(memory.base, image, memory.size);
	memset(scene, 0, sizeof(*scene));
	enter(&scene->b, B);
	if (are_threads) {
		/* Unmapped by B's close. */
		scene->references = shared_memory(
			segment_managers(scene->b.client->segment)->n_chunks *
			sizeof(*scene->references));
		use_references(scene->b.client, scene->references);
	}
	act(meeting->prepare_b, &scene->b);
	return tracee_start(be_a, (void *)meeting);
}

/* A by itself, a step at a time. */
static int find_path(const struct meeting *meeting, struct path *path)
{
	uint64_t room = 0;
	pid_t a = begin(meeting);

	if (a < 0)
		return (int)a;
	path->n = 0;
	do {
		if (path->n == room) {
			room += 1000;
			path->places = realloc(path->places, room * sizeof(*path->places));
			if (!path->places)
				die("realloc", ENOMEM);
		}
		path->places[path->n++] = tracee_place(a);
	} while (tracee_step(a));
	/* The last one is that of its stop. */
	path->n--;
	tracee_end(a);
	leave(&scene->b);
	return 0;
}

/* To its instruction k. It is the same program at the same addresses, so it goes the same way. */
static void run_to(pid_t a, const struct path *path, uint64_t k)
{
	uint32_t n = 0;

	for (uint64_t i = 0; i <= k; i++)
		n += path->places[i] == path->places[k];
	if (!tracee_run_to(a, path->places[k], n))
		die("A went another way than before", EINVAL);
}

/* Return: whether all was as it must be. */
static bool meet(const struct meeting *meeting, const struct path *path, uint64_t k)
{
	struct segment *segment = attach();
	struct judge judge = { meeting, segment, k, false };
	pid_t a = begin(meeting);
	int n;

	run_to(a, path, k);
	act(meeting->run_b, &scene->b);
	tracee_run(a);
	tracee_run(a);
	act(meeting->finish_b, &scene->b);
	judge_both(&judge);

	tracee_end(a);
	if (reap_holder(segment, A) < 0)
		die("reap", ENOMEM);
	n = leave(&scene->b);
	if (n != (int)scene->b.n_held)
		wrong(&judge, "B's close freed %d chunks", n);
	judge_rest(&judge);
	judge_use(&judge);
	segment_free(segment);
	return !judge.is_wrong;
}

void interleave_with_claims(void)
{
	has_claims = true;
}

int64_t interleave(const struct meeting *meeting, bool as_threads, uint64_t *ret_n_wrong)
{
	struct path path = { .n = 0 };
	int r;

	if (!image)
		make_image();
	are_threads = as_threads;
	*ret_n_wrong = 0;
	r = find_path(meeting, &path);
	for (uint64_t k = 0; r == 0 && k < path.n; k++)
		*ret_n_wrong += !meet(meeting, &path, k);
	alarm(0);
	free(path.places);
	return r < 0 ? r : (int64_t)path.n;
}
