/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/audit.h"
#include "shm/bytes.h"
#include "shm/chunk_manager.h"
#include "shm/end.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/queue.h"
#include "shm/reap.h"
#include "tracee.h"

/* More than any operation takes; then it hangs, which is a fault as well. */
#define MAX_STEPS 5000000

/* ---- the segment ---- */

static void add_holder(struct segment *segment, uint32_t id)
{
	struct holder holder = {
		.id = id,
		.kind = id == MEMPOOL_HOLDER_DAEMON_ID ? MEMPOOL_HOLDER_DAEMON
						       : MEMPOOL_HOLDER_CLIENT,
		.pid = (uint32_t)getpid(),
		.name = "crash",
	};

	holder_set_live(segment, &holder);
}

static void set_config(struct config *config, bool has_stamps, uint32_t roles)
{
	config_init(config, "crash");
	config->max_clients = 16;
	config_add_pool(config, 64, CHUNKS_OF_POOL_0);
	config_add_pool(config, 200, CHUNKS_OF_POOL_1);
	config->pools[0].cache = 8;
	config->pools[1].cache = 0;
	config_add_ring(config, "queue", MEMPOOL_RING_QUEUE, QUEUE_CAPACITY);
	config_add_ring(config, "topic", MEMPOOL_RING_TOPIC, TOPIC_CAPACITY);
	/* But for a victim that is to take a message: what is free is all that the others can have. */
	config->rings[TOPIC_RING].flags = MEMPOOL_RING_HOLDS;
	config->rings[QUEUE_RING].flags = roles & ~SLOTS;
	if (roles & SLOTS) {
		config_add_ring(config, "slots", MEMPOOL_RING_QUEUE, SLOTS_CAPACITY);
		config->rings[SLOTS_RING].flags = CONFIG_SLOTS_NEED;
		config->rings[SLOTS_RING].slot_bytes = SLOT_BYTES;
	}
	if (has_stamps)
		for (size_t i = 0; i < config->n_rings; i++)
			config->rings[i].flags |= MEMPOOL_RING_STAMPS;
}

/* Zeroed, with its space taken, and without a name. */
static struct segment_memory blank_memory(const struct config *config)
{
	struct segment_permissions perms = { .mode = 0600, .group = (gid_t)-1 };
	struct segment_memory memory;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "/mempool-crash-%d.1", (int)getpid());
	r = segment_create(name, config, SEGMENT_READ_WRITE, SEGMENT_CREATE, &perms, NULL, NULL,
			   &memory);
	if (r < 0)
		die("segment_create", r);
	segment_unlink(name);
	return memory;
}

struct segment *harness_segment(const struct operation *operation)
{
	struct segment_memory memory;
	struct segment *segment;
	struct config config;
	int r;

	set_config(&config, operation->has_stamps, operation->roles);
	memory = blank_memory(&config);
	r = segment_layout(memory.base, memory.size, &config, NULL);
	if (r == 0)
		r = segment_attach(&memory, &segment);
	if (r < 0)
		die("segment", r);
	lane_turn(&segment->lanes, operation->has_claims);
	add_holder(segment, MEMPOOL_HOLDER_DAEMON_ID);
	for (uint32_t id = VICTIM; id <= NEWCOMER; id++)
		add_holder(segment, id);
	return segment;
}

/* A private copy, attached; what is done to it harms nobody. */
static struct segment_memory copy_of_memory(const struct segment_memory *from)
{
	struct segment_memory memory = {
		.size = from->size,
		.fd = -1,
		.data_fd = -1,
		.access = SEGMENT_READ_WRITE,
	};

	memory.base = mmap(NULL, memory.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory.base == MAP_FAILED)
		die("mmap", errno);
	memcpy(memory.base, from->base, memory.size);
	return memory;
}

static struct segment *copy_of(const struct segment *segment)
{
	struct segment_memory memory = copy_of_memory(&segment->memory);
	struct segment *copy;
	int r;

	r = segment_attach(&memory, &copy);
	if (r < 0)
		die("attach a copy", r);
	return copy;
}

/* ---- judging what is left ---- */

struct judge {
	const struct operation *operation;
	const struct segment *before;	/* as the operation found it */
	uint64_t step;
	bool faulty;
};

__attribute__((format(printf, 2, 3))) static void fault(struct judge *judge, const char *format,
							...)
{
	va_list arguments;

	judge->faulty = true;
	printf("%s, killed after instruction %lu: ", judge->operation->name,
	       (unsigned long)judge->step);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void on_audit_fault(const char *text, void *userdata)
{
	fault(userdata, "audit: %s", text);
}

static uint64_t word_of(const struct segment *segment, uint32_t pool, uint32_t index)
{
	return atomic_load(&segment->pools[pool].entries[index].word);
}

static uint32_t count_queued(const struct segment *segment)
{
	uint32_t n = 0;

	for (uint32_t pool = 0; pool < 2; pool++)
		for (uint32_t i = 0; i < segment->pools[pool].n_chunks; i++) {
			uint64_t word = word_of(segment, pool, i);

			n += word_kind(word) == MEMPOOL_SENT && word_sent_queue(word) != 0;
		}
	return n;
}

/* A message has its stamp, and what was never received has none. */
static void check_stamp(struct judge *judge, struct mempool_client *client, const void *chunk,
			bool is_message, const char *when)
{
	uint64_t sent_ns;
	int r = mempool_message_stamp(client, chunk, &sent_ns);

	if (r != (is_message ? 0 : -ENODATA))
		fault(judge, "%s: a %s has %s stamp", when, is_message ? "message" : "new chunk",
		      is_message ? "no" : "a");
}

/* Receive all, then send to capacity: exactly so many. Returns how many were received. */
static uint32_t use_queue(struct judge *judge, const struct segment *segment, bool is_reaped)
{
	struct segment *copy = copy_of(segment);
	uint32_t n_queued = count_queued(copy), n_received, n_sent;
	const char *when = is_reaped ? "after the reap" : "while it stands still";
	struct mempool_client *client;
	struct mempool_queue *queue;
	void *chunk;

	if (client_new(copy, NEWCOMER, 0, &client) < 0 ||
	    mempool_queue_open(client, "queue", &queue) < 0)
		die("queue", EINVAL);
	for (n_received = 0; mempool_queue_receive(queue, &chunk, NULL, 0) == 0; n_received++)
		check_stamp(judge, client, chunk, judge->operation->has_stamps, when);
	/* Before the reap, one may be SENT and not published. */
	if (n_received > n_queued || n_received + !is_reaped < n_queued)
		fault(judge, "%s: %u messages are SENT, %u could be received", when, n_queued,
		      n_received);
	for (n_sent = 0; n_sent <= QUEUE_CAPACITY; n_sent++) {
		chunk = mempool_alloc(client, 64);
		if (!chunk || mempool_queue_send(queue, chunk, 0, 0) < 0)
			break;
	}
	/* Before the reap, the pool may be dry. */
	if (chunk && n_sent != QUEUE_CAPACITY)
		fault(judge, "%s: the queue took %u messages", when, n_sent);
	mempool_queue_close(queue);
	mempool_client_close(client);
	return n_received;
}

/* What the topic keeps can be read, and another be published. */
static void use_topic(struct judge *judge, const struct segment *segment, const char *when)
{
	struct segment *copy = copy_of(segment);
	struct mempool_subscriber *subscriber;
	struct mempool_client *client;
	struct mempool_topic *topic;
	const void *message;
	uint32_t n_read;
	void *chunk;

	if (client_new(copy, NEWCOMER, 0, &client) < 0 ||
	    mempool_topic_open(client, "topic", &topic) < 0 ||
	    mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber) < 0)
		die("topic", EINVAL);
	for (n_read = 0; mempool_subscriber_next(subscriber, &message, NULL, NULL, 0) == 0;
	     n_read++) {
		check_stamp(judge, client, message, judge->operation->has_stamps, when);
		mempool_free(client, message);
	}
	if (n_read != TOPIC_CAPACITY &&
	    !(judge->operation->takes_message && n_read == TOPIC_CAPACITY - 1))
		fault(judge, "%s: the topic gave %u messages", when, n_read);
	chunk = mempool_alloc(client, 64);
	if (chunk && (mempool_topic_publish(topic, chunk, 1) < 0 ||
		      mempool_subscriber_next(subscriber, &message, NULL, NULL, 0) < 0))
		fault(judge, "%s: the topic took or gave no new message", when);
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic);
	mempool_client_close(client);
}

/* Chunks that stand free, and that a thread was stopped in claiming: who looks for them finishes that. */
static uint32_t count_claiming(const struct segment *segment)
{
	uint32_t n = 0;

	for (uint32_t lane = 1; lane < segment->lanes.n; lane++)
		n += lane_is_claiming(&segment->lanes, lane);
	return n;
}

/*
 * Take all chunks and give them back, as a client does. They must be exactly as many; but for one that
 * is found to be claimed, and which its intent does not say for certain: not if its epoch is over.
 */
static void take_all(struct judge *judge, const struct segment *segment, const char *when)
{
	struct segment *copy = copy_of(segment);
	struct mempool_client *client;
	uint32_t n_claiming = count_claiming(copy), n_free[2], n_got;
	int r;

	for (uint32_t pool = 0; pool < 2; pool++)
		n_free[pool] = copy->pools[pool].n_chunks - pool_count_used(&copy->pools[pool]);
	copy->config.fallback = false;
	r = client_new(copy, NEWCOMER, 0, &client);
	if (r < 0)
		die("client_new", r);
	for (uint32_t pool = 0; pool < 2; pool++) {
		void *chunk;

		for (n_got = 0; (chunk = mempool_alloc(client, pool == 0 ? 64 : 200)); n_got++)
			check_stamp(judge, client, chunk, false, when);
		if (errno != EAGAIN || n_got > n_free[pool] || n_got + n_claiming < n_free[pool])
			fault(judge, "%s: %u chunks of pool %u are free, %u could be had (%s)", when,
			      n_free[pool], pool, n_got, strerror(errno));
		n_free[pool] = n_got;
	}
	r = mempool_client_close(client);
	if (r != (int)(n_free[0] + n_free[1]))
		fault(judge, "%s: close freed %d of %u chunks", when, r, n_free[0] + n_free[1]);
}

/* Whether a word was the bystander's, and has to stay as it is. */
static bool is_bystanders(const struct segment *segment, uint32_t pool, uint32_t index)
{
	uint64_t word = word_of(segment, pool, index);

	if (word_kind(word) == MEMPOOL_SHARED)
		return chunk_manager_has(segment,
					 pool == segment->n_pools ? index : word_value(word),
					 BYSTANDER);
	return word_is_owned_by(word, BYSTANDER);
}

/* Of a manager, others may have moved the stamp. */
static bool is_same(const struct segment *segment, uint32_t pool, uint64_t old, uint64_t new)
{
	if (pool == segment->n_pools && word_kind(old) == MEMPOOL_SHARED)
		return word_generation(old) == word_generation(new) &&
		       word_kind(new) == MEMPOOL_SHARED;
	return old == new;
}

/* The audit has found that the ring holds it, and nobody else does. */
static bool is_kept_by_topic(const struct segment *segment, uint32_t pool, uint32_t index)
{
	uint64_t word = word_of(segment, pool, index);

	return word_kind(word) == MEMPOOL_SHARED &&
	       chunk_manager_has(segment, pool == segment->n_pools ? index : word_value(word),
				 TOPIC);
}

/* After the reap: the bystander's is as it was (or, given, taken by the dead); all else free. */
static void compare(struct judge *judge, const struct segment *after)
{
	for (uint32_t pool = 0; pool <= after->n_pools; pool++) {
		for (uint32_t i = 0; i < after->pools[pool].n_chunks; i++) {
			uint64_t old = word_of(judge->before, pool, i);
			uint64_t new = word_of(after, pool, i);
			/* A message that was sent outlives its sender; the audit finds it in the queue. */
			bool is_right = word_is_free(new) ||
					(word_kind(new) == MEMPOOL_SENT &&
					 word_sent_queue(new) != 0 && word_sent_sender(new) == 0);

			if (!judge->operation->is_reaper) {
				if (is_bystanders(judge->before, pool, i))
					is_right = is_same(after, pool, old, new);
				else if (word_kind(old) == MEMPOOL_SENT)
					is_right |= old == new;
			}
			if (!is_right && !is_kept_by_topic(after, pool, i))
				fault(judge, "chunk %u of pool %u: %016lx became %016lx", i, pool,
				      (unsigned long)old, (unsigned long)new);
		}
	}
}

/* A handle in the ring before its word says SENT would be dropped as stale. */
static void judge_ring(struct judge *judge, const struct segment *segment)
{
	struct queue queue;

	if (queue_view(&queue, segment, 0) < 0)
		die("queue", EINVAL);
	for (uint64_t i = 0; i <= queue.mask; i++) {
		uint64_t handle = atomic_load(&queue.slots[i]);
		uint64_t word;

		if (handle_pool(handle) >= segment->n_pools)
			continue;
		word = word_of(segment, handle_pool(handle), handle_index(handle));
		if ((int32_t)(word_generation(word) - handle_generation(handle)) < 0)
			fault(judge, "handle %016lx is in the queue before its word",
			      (unsigned long)handle);
	}
}

/* A hint to a chunk that is not FREE yet would be dropped as stale. */
static void judge_new_hints(struct judge *judge, const struct segment *segment)
{
	for (uint32_t id = 0; id <= segment->n_pools; id++) {
		const struct free_list *old = &judge->before->pools[id].list;
		const struct free_list *new = &segment->pools[id].list;

		for (uint32_t i = 0; i < new->n; i++)
			if (free_list_has(new, i) && !free_list_has(old, i) &&
			    !word_is_free(word_of(segment, id, i)))
				fault(judge, "the hint of chunk %u of pool %u is set before its word",
				      i, id);
	}
}

/* Whether anybody receives from the queue, by the table. */
static bool has_receiver(const struct segment *segment)
{
	struct end end;

	for (uint32_t line = 0; end_find(segment, &line, &end); line++)
		if (end.kind == MEMPOOL_END_RECEIVER && end.ring == QUEUE_RING)
			return true;
	return false;
}

/* Who watches since before the operation is told that the last receiver has left when there is none. */
static void judge_ends(struct judge *judge, const struct segment *segment, const char *when)
{
	struct end_watch watch;
	bool is_gone;

	end_watch_init(&watch, judge->before, MEMPOOL_END_RECEIVER, QUEUE_RING);
	watch.segment = segment;
	is_gone = end_watch_is_gone(&watch);
	if (has_receiver(segment) ? is_gone : watch.has_seen && !is_gone)
		fault(judge, "%s: the last receiver has %s", when,
		      is_gone ? "not left, as is told" : "left, and nobody is told");
}

size_t harness_message(unsigned char bytes[static SLOT_BYTES], uint32_t n)
{
	memset(bytes, (int)(n * 7 + 1), SLOT_BYTES);
	return SLOT_BYTES - n % 11;
}

static struct queue slots_of(const struct segment *segment)
{
	struct queue queue;

	if (queue_view_any(&queue, segment, SLOTS_RING) < 0)
		die("slots", EINVAL);
	return queue;
}

/* The victim may have sent one, or received one; nothing is torn, and the next ones go on from there. */
static void use_slots(struct judge *judge, struct segment *segment)
{
	unsigned char bytes[SLOT_BYTES], expected[SLOT_BYTES];
	struct queue queue = slots_of(segment), before = slots_of(judge->before);
	uint64_t old_head, old_end, head, end, at;
	size_t length;

	bytes_ends(&before, &old_head, &old_end);
	bytes_ends(&queue, &head, &end);
	if (head - old_head + (end - old_end) > 1)
		fault(judge, "in slots stand %lu to %lu, it were %lu to %lu", (unsigned long)head,
		      (unsigned long)end, (unsigned long)old_head, (unsigned long)old_end);
	bytes_begin_sending(&queue);
	queue_begin_receiving(&queue);
	for (at = end; at - head < SLOTS_CAPACITY; at++)
		if (bytes_send(&queue, bytes, harness_message(bytes, (uint32_t)at)) < 0)
			fault(judge, "no room for message %lu in slots", (unsigned long)at);
	if (bytes_send(&queue, bytes, 1) != -EAGAIN)
		fault(judge, "there is room for more than slots");
	for (end = at, at = head; at != end; at++)
		if (bytes_receive(&queue, bytes, sizeof(bytes), &length) < 0 ||
		    length != harness_message(expected, (uint32_t)at) ||
		    memcmp(bytes, expected, length) != 0)
			fault(judge, "message %lu in slots is not what was sent", (unsigned long)at);
}

static bool judge_state(struct judge *judge, const struct segment *segment)
{
	uint32_t dead = judge->operation->is_reaper ? BYSTANDER : VICTIM;
	uint32_t n_messages, n_left;
	struct segment *copy;
	struct audit audit;

	judge->faulty = false;
	tracee_watch(judge->operation->name);
	judge_ring(judge, segment);
	judge_new_hints(judge, segment);
	take_all(judge, segment, "while it stands still");
	n_messages = judge->operation->roles ? 0 : use_queue(judge, segment, false);
	use_topic(judge, segment, "while it stands still");
	judge_ends(judge, segment, "while it stands still");

	copy = copy_of(segment);
	if (reap_holder(copy, dead) < 0)
		die("reap", ENOMEM);
	if (judge->operation->is_reaper && reap_holder(copy, VICTIM) < 0)
		die("reap", ENOMEM);
	holder_set_state(copy, dead, MEMPOOL_HOLDER_FREE);
	audit_segment(copy, AUDIT_HINTS | AUDIT_REAPED, on_audit_fault, judge, &audit);
	compare(judge, copy);
	judge_ends(judge, copy, "after the reap");
	take_all(judge, copy, "after the reap");
	n_left = use_queue(judge, copy, true);
	/* A message that could be received outlives its sender. */
	if (!judge->operation->roles && n_left != n_messages)
		fault(judge, "the reap left %u of %u messages", n_left, n_messages);
	use_topic(judge, copy, "after the reap");
	if (judge->operation->roles & SLOTS)
		use_slots(judge, copy);
	segment_free(copy);
	return !judge->faulty;
}

/* ---- the victim ---- */

/* It has both roles from then on; one message waits. */
static int use_both_ends(struct mempool_client *bystander)
{
	unsigned char bytes[SLOT_BYTES];
	struct mempool_queue *queue;
	int r = mempool_queue_open(bystander, "slots", &queue);

	for (uint32_t i = 0; i < 2 && r == 0; i++)
		r = mempool_queue_send_bytes(queue, bytes, harness_message(bytes, i), 0);
	return r < 0 ? r : mempool_queue_receive_bytes(queue, bytes, sizeof(bytes), NULL, 0);
}

static void give_away(const struct operation *operation, struct scene *scene)
{
	struct mempool_client *bystander;
	struct mempool_queue *queue;
	struct mempool_topic *topic;
	void *chunk;
	int r;

	/* The bystander is this process too, before the fork: it holds some and gives one. */
	r = client_new(scene->segment, BYSTANDER, 0, &bystander);
	if (r < 0)
		die("client_new", r);
	for (int i = 0; i < 5; i++)
		if (!mempool_alloc(bystander, 64) || !mempool_alloc(bystander, 200))
			die("bystander", errno);
	/* With claims by stores, it is free for the bystander. */
	if (mempool_free(bystander, mempool_alloc(bystander, 200)) < 0)
		die("bystander", errno);
	chunk = mempool_alloc(bystander, 64);
	r = mempool_give(bystander, chunk, 33, &scene->given);
	if (r == 0)
		r = mempool_share(bystander, mempool_alloc(bystander, 64), 34, &scene->shared);
	if (r == 0)
		r = mempool_queue_open(bystander, "queue", &queue);
	for (int i = 0; i < QUEUED && r == 0; i++)
		r = mempool_queue_send(queue, mempool_alloc(bystander, 64), 35, 0);
	if (r == 0 && operation->roles & SLOTS && operation->is_reaper)
		r = use_both_ends(bystander);
	/* The victim is to have the roles, unless the bystander is the one that is reaped. */
	if (r == 0 && operation->roles && !operation->is_reaper)
		mempool_queue_close(queue);
	if (r == 0)
		r = mempool_topic_open(bystander, "topic", &topic);
	for (int i = 0; i < PUBLISHED && r == 0; i++)
		r = mempool_topic_publish(topic, mempool_alloc(bystander, 64), 36);
	if (r < 0)
		die("bystander", r);
}

/* What the victim is told. */
struct role {
	const struct operation *operation;
	struct scene *scene;
};

static void be_the_victim(void *userdata)
{
	const struct role *role = userdata;
	struct scene *scene = role->scene;
	int r;

	r = client_new(scene->segment, VICTIM, role->operation->is_checked ? MEMPOOL_CLIENT_DEBUG : 0,
		       &scene->client);
	if (r < 0)
		die("client_new", r);
	role->operation->prepare(scene);
	raise(SIGSTOP);
	role->operation->run(scene);
	raise(SIGSTOP);
}

/* A child, stopped just before its operation. */
static pid_t start_victim(const struct operation *operation, struct scene *scene)
{
	struct role role = { operation, scene };

	scene->segment = harness_segment(operation);
	give_away(operation, scene);
	return tracee_start(be_the_victim, &role);
}

static bool differs(const struct segment *a, const struct segment *b)
{
	return memcmp(a->memory.base, b->memory.base, a->memory.size) != 0;
}

static int run_stepped(const struct operation *operation, struct outcome *outcome)
{
	struct judge judge = { .operation = operation };
	struct scene scene = { .segment = NULL };
	struct segment *last;
	pid_t pid = start_victim(operation, &scene);

	if (pid < 0)
		return (int)pid;
	judge.before = copy_of(scene.segment);
	last = copy_of(scene.segment);
	if (!judge_state(&judge, scene.segment))
		outcome->n_lost++;
	for (judge.step = 1; tracee_step(pid); judge.step++) {
		if (judge.step > MAX_STEPS) {
			fault(&judge, "still not done");
			break;
		}
		if (!differs(scene.segment, last))
			continue;
		outcome->n_changes++;
		outcome->n_lost += !judge_state(&judge, scene.segment);
		segment_free(last);
		last = copy_of(scene.segment);
	}
	outcome->n_steps = judge.step;
	tracee_end(pid);
	segment_free(last);
	segment_free((struct segment *)judge.before);
	segment_free(scene.segment);
	return 0;
}

/* Run anew, kill for real after k instructions, for every k. */
static int run_killed(const struct operation *operation, struct outcome *outcome)
{
	for (uint64_t k = 0; k < outcome->n_steps; k++) {
		struct judge judge = { .operation = operation, .step = k };
		struct scene scene = { .segment = NULL };
		pid_t pid = start_victim(operation, &scene);

		if (pid < 0)
			return (int)pid;
		judge.before = copy_of(scene.segment);
		for (uint64_t i = 0; i < k; i++)
			if (!tracee_step(pid))
				break;
		tracee_end(pid);
		outcome->n_kills++;
		outcome->n_lost += !judge_state(&judge, scene.segment);
		segment_free((struct segment *)judge.before);
		segment_free(scene.segment);
	}
	return 0;
}

int harness_run(const struct operation *operation, struct outcome *ret_outcome)
{
	int r;

	*ret_outcome = (struct outcome){ .n_steps = 0 };
	tracee_watch(operation->name);
	r = run_stepped(operation, ret_outcome);
	if (r == 0 && operation->kill_for_real)
		r = run_killed(operation, ret_outcome);
	alarm(0);
	return r;
}

/* ---- the layout ---- */

static const struct operation layout_operation = { .name = "daemon: lay out" };

static void be_the_builder(void *userdata)
{
	struct segment_memory *memory = userdata;
	struct config config;
	int r;

	set_config(&config, false, 0);
	raise(SIGSTOP);
	r = segment_layout(memory->base, memory->size, &config, NULL);
	if (r < 0)
		die("segment_layout", r);
	raise(SIGSTOP);
}

/* Not there yet, or whole. Returns whether it is READY. */
static bool judge_layout(struct judge *judge, const struct segment_memory *memory)
{
	struct segment_memory copy = copy_of_memory(memory);
	struct segment *segment;
	struct audit audit;
	int r;

	judge->faulty = false;
	r = segment_attach(&copy, &segment);
	if (r < 0) {
		if (r != -EAGAIN)
			fault(judge, "attach says %s", segment_strerror(r));
		segment_memory_deinit(&copy);
		return false;
	}
	audit_segment(segment, AUDIT_HINTS | AUDIT_REAPED, on_audit_fault, judge, &audit);
	if (audit.n_free != CHUNKS_OF_POOL_0 + CHUNKS_OF_POOL_1)
		fault(judge, "only %lu chunks are free", (unsigned long)audit.n_free);
	segment_free(segment);
	return true;
}

int harness_run_layout(struct outcome *ret_outcome)
{
	struct judge judge = { .operation = &layout_operation };
	struct segment_memory memory, last;
	struct config config;
	bool is_ready = false;
	pid_t pid;

	*ret_outcome = (struct outcome){ .n_steps = 0 };
	set_config(&config, false, 0);
	memory = blank_memory(&config);
	last = copy_of_memory(&memory);
	tracee_watch(layout_operation.name);
	pid = tracee_start(be_the_builder, &memory);
	if (pid < 0)
		return (int)pid;

	for (judge.step = 1; tracee_step(pid); judge.step++) {
		if (memcmp(memory.base, last.base, memory.size) == 0)
			continue;
		ret_outcome->n_changes++;
		is_ready = judge_layout(&judge, &memory);
		ret_outcome->n_lost += judge.faulty;
		segment_memory_deinit(&last);
		last = copy_of_memory(&memory);
	}
	if (!is_ready) {
		printf("daemon: lay out: never READY\n");
		ret_outcome->n_lost++;
	}
	ret_outcome->n_steps = judge.step;
	tracee_end(pid);
	segment_memory_deinit(&last);
	segment_memory_deinit(&memory);
	return 0;
}
