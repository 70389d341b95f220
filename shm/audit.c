/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "bytes.h"
#include "chunk_manager.h"
#include "end.h"
#include "holder.h"
#include "queue.h"
#include "role.h"
#include "topic.h"

/* Relaxed in this file: nothing is read through a word, and what looks wrong is read again. */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* So often a word that keeps moving is read again before it is left to the next audit. */
#define LOOKS 3

__attribute__((format(printf, 2, 3))) static void fault(struct audit_run *run,
							const char *format, ...)
{
	char text[256];
	va_list arguments;

	if (run->audit.n_faults++ >= AUDIT_MAX_FAULTS || !run->fault)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	run->fault(text, run->userdata);
}

/* ---- holders ---- */

static const char *holder_mistake(const struct segment *segment, const struct holder *holder)
{
	uint32_t kind = MEMPOOL_HOLDER_CLIENT;

	if (holder->state > MEMPOOL_HOLDER_REAPING)
		return "is in no known state";
	if (holder->state == MEMPOOL_HOLDER_FREE)
		return NULL;
	if (holder->id == MEMPOOL_HOLDER_DAEMON_ID)
		kind = MEMPOOL_HOLDER_DAEMON;
	else if (holder->id < holder_first_client(segment))
		kind = MEMPOOL_HOLDER_TOPIC;
	if (holder->kind != kind)
		return "is not of the kind of its id";
	if (kind != MEMPOOL_HOLDER_TOPIC && holder->pid == 0)
		return "has no process";
	return NULL;
}

static void audit_holder(struct audit_run *run, uint32_t id)
{
	struct holder holder;
	const char *mistake;

	holder_read(run->segment, id, &holder);
	mistake = holder_mistake(run->segment, &holder);
	if (mistake)
		fault(run, "holder %u (pid %u, \"%s\") %s", id, holder.pid, holder.name, mistake);
}

/* Why this holder may hold nothing, or NULL. */
static const char *cannot_hold(const struct audit_run *run, uint32_t id)
{
	struct holder holder;

	if (holder_read(run->segment, id, &holder) < 0)
		return "which does not exist";
	if (holder.state == MEMPOOL_HOLDER_FREE)
		return "which is FREE";
	if (holder.state == MEMPOOL_HOLDER_REAPING && (run->flags & AUDIT_REAPED))
		return "which was reaped";
	return NULL;
}

/* ---- words ---- */

/* What is wrong with a word, if anything is. */
struct finding {
	const char *what;		/* NULL: nothing */
	uint32_t who;			/* of whom it is said */
	const char *why;		/* said of a holder; or NULL */
};

static struct finding judge_shared(const struct audit_run *run, const struct pool *pool,
				   uint32_t index, uint64_t word)
{
	const struct segment *segment = run->segment;
	const struct pool *managers = &segment->pools[segment->n_pools];
	uint32_t manager = word_value(word);
	uint64_t seen;

	if (pool->is_exclusive)
		return (struct finding){ "SHARED, in a pool that does not share, with manager",
					 manager, NULL };
	if (manager >= managers->n_chunks)
		return (struct finding){ "SHARED, with a manager that does not exist:",
					 manager, NULL };
	seen = GET(managers->entries[manager].word);
	/*
	 * A collector takes the manager before the chunk: in between it owns the manager, for as
	 * long as it may be stopped there.
	 */
	if (word_kind(seen) == MEMPOOL_OWNED && cannot_hold(run, word_owner(seen)))
		return (struct finding){ "SHARED, but one who is gone has manager",
					 manager, NULL };
	if (word_kind(seen) != MEMPOOL_SHARED && word_kind(seen) != MEMPOOL_OWNED)
		return (struct finding){ "SHARED, but its manager is not:",
					 manager, NULL };
	if (GET(managers->entries[manager].chunk) != handle_chunk(pool->id, index))
		return (struct finding){ "SHARED, but another chunk's is manager",
					 manager, NULL };
	return (struct finding){ NULL, 0, NULL };
}

/* One more word or slot was checked. */
static void pay(struct audit_run *run, uint64_t units)
{
	if (!budget_pay(run->budget, units))
		run->is_spent = true;
}

/* Who has a bit, and may not; or that nobody has one. */
static struct finding judge_sharers(struct audit_run *run, const struct pool *managers,
				    uint32_t index)
{
	const _Atomic uint64_t *sharers = pool_chunk(managers, index);

	for (uint32_t i = 0; i < run->segment->n_holders / 64; i++) {
		uint64_t bits = GET(sharers[i]);

		/* A record is some words long. */
		pay(run, 1 + 16 * (uint64_t)__builtin_popcountll(bits));
		for (; bits != 0; bits &= bits - 1) {
			uint32_t id = i * 64 + (uint32_t)__builtin_ctzll(bits);

			const char *why = cannot_hold(run, id);

			if (why)
				return (struct finding){ "SHARED by holder", id, why };
		}
	}
	/* Without the flag, a leaver may be between its bit and the collecting. */
	if ((run->flags & AUDIT_REAPED) && !chunk_manager_is_held(run->segment, index))
		return (struct finding){ "SHARED, but nobody holds manager",
					 index, NULL };
	return (struct finding){ NULL, 0, NULL };
}

/* A ChunkManager that is SHARED has holders, and a chunk that is SHARED by it. */
static struct finding judge_manager(struct audit_run *run, const struct pool *managers,
				    uint32_t index)
{
	const struct segment *segment = run->segment;
	uint32_t chunk = GET(managers->entries[index].chunk);
	uint32_t pool = chunk >> 26;
	uint32_t of = chunk & (MEMPOOL_MAX_CHUNKS_PER_POOL - 1);

	if (pool >= segment->n_pools || of >= segment->pools[pool].n_chunks)
		return (struct finding){ "SHARED, of a chunk that does not exist:",
					 chunk, NULL };
	/*
	 * Without the flag, somebody may be about to make the chunk lead to it, or have found
	 * the chunk shared by another thread.
	 */
	if ((run->flags & AUDIT_REAPED) && !chunk_manager_is_named(segment, index))
		return (struct finding){ "SHARED, but its chunk does not name it:",
					 of, NULL };
	return judge_sharers(run, managers, index);
}

/* In its queue; or, while things move, about to be put there by a living sender. */
static struct finding judge_queued(struct audit_run *run, const struct pool *pool,
				   uint32_t index, uint64_t word)
{
	uint64_t handle = handle_make(word_generation(word), pool->id, index);
	struct queue queue;
	int r;

	/* What is in the queue is looked at where it matters: it may be a large one. */
	r = queue_view(&queue, run->segment, word_sent_queue(word) - 1) < 0 ? -EINVAL : 1;
	if (r == 1 && (run->flags & AUDIT_REAPED))
		r = queue_snapshots_has(&run->snapshots, word_sent_queue(word), handle);
	if (r == -ENOMEM)
		return (struct finding){ "SENT, and no memory to look into queue",
					 word_sent_queue(word), NULL };
	if (r == -EINVAL)
		return (struct finding){ "SENT to what is no queue:",
					 word_sent_queue(word), NULL };
	if (r == 0)
		return (struct finding){ "SENT, but not in queue",
					 word_sent_queue(word), NULL };
	return (struct finding){ NULL, 0, NULL };
}

static struct finding judge(struct audit_run *run, const struct pool *pool,
			    uint32_t index, uint64_t word)
{
	bool is_manager = pool->id == run->segment->n_pools;
	const char *why;
	uint32_t holder;

	if (word_generation(word) == 0)
		return (struct finding){ "of generation", 0, NULL };
	switch (word_kind(word)) {
	case MEMPOOL_FREE:
		if (!pool_is_free(pool, word))
			return (struct finding){ "FREE, with the value",
						 word_value(word), NULL };
		break;
	case MEMPOOL_OWNED:
		holder = word_owner(word);
		why = cannot_hold(run, holder);
		if (why)
			return (struct finding){ "OWNED by holder", holder, why };
		break;
	case MEMPOOL_SENT:
		if (is_manager)
			return (struct finding){ "SENT, though a manager", index, NULL };
		if (word_sent_queue(word) != 0)
			return judge_queued(run, pool, index, word);
		holder = word_sent_sender(word);
		why = cannot_hold(run, holder);
		if (why)
			return (struct finding){ "given away by holder", holder, why };
		break;
	case MEMPOOL_SHARED:
		return is_manager ? judge_manager(run, pool, index)
				  : judge_shared(run, pool, index, word);
	}
	return (struct finding){ NULL, 0, NULL };
}

static void count(struct audit *audit, uint64_t word)
{
	switch (word_kind(word)) {
	case MEMPOOL_FREE:
		audit->n_free++;
		break;
	case MEMPOOL_OWNED:
		audit->n_owned++;
		break;
	case MEMPOOL_SENT:
		*(word_sent_queue(word) ? &audit->n_in_flight : &audit->n_given) += 1;
		break;
	case MEMPOOL_SHARED:
		audit->n_shared++;
		break;
	}
}

static void audit_word(struct audit_run *run, const struct pool *pool, uint32_t index)
{
	const _Atomic uint64_t *entry = &pool->entries[index].word;
	bool is_manager = pool->id == run->segment->n_pools;
	struct finding finding = { NULL, 0, NULL };
	uint64_t word = GET(*entry), again;

	/* Judged until it stood still from before to after. */
	for (int look = 0; look < LOOKS; look++) {
		finding = judge(run, pool, index, word);
		if (!finding.what)
			break;
		again = GET(*entry);
		if (again == word && look > 0)
			break;
		word = again;
		finding.what = NULL;
	}
	if (!is_manager)
		count(&run->audit, word);
	if (finding.what)
		fault(run, "%s %u of pool %u is %s %u%s%s",
		      is_manager ? "manager" : "chunk", index, pool->id, finding.what,
		      finding.who, finding.why ? ", " : "", finding.why ? finding.why : "");
	/* What is free for a thread's lane has its hint with that thread. */
	if ((run->flags & AUDIT_HINTS) && pool_is_open(pool, word) &&
	    !free_list_has(&pool->list, index))
		fault(run, "%s %u of pool %u is FREE and no hint leads to it",
		      is_manager ? "manager" : "chunk", index, pool->id);
}

/* What a topic keeps is SHARED, has the topic's bit, and was published where it stands. */
static void audit_slot(struct audit_run *run, const struct topic *topic, uint64_t slot)
{
	const struct segment *segment = run->segment;
	const struct pool *managers = &segment->pools[segment->n_pools];
	uint64_t seen = GET(topic->slots[slot]);
	uint32_t manager = (uint32_t)seen;

	if (manager == TOPIC_NO_MANAGER)
		return;
	if (manager >= managers->n_chunks)
		fault(run, "topic %s keeps manager %u, which does not exist",
		      segment->config.rings[topic->ring_index].name, manager);
	else if ((word_kind(GET(managers->entries[manager].word)) != MEMPOOL_SHARED ||
		  !chunk_manager_has(segment, manager, topic->holder)) &&
		 GET(topic->slots[slot]) == seen)
		fault(run, "topic %s keeps manager %u, which it does not share",
		      segment->config.rings[topic->ring_index].name, manager);
}

static void audit_list(struct audit_run *run, const struct pool *pool)
{
	const struct free_list *list = &pool->list;
	uint32_t in_last_leaf = list->n % 64;

	if (in_last_leaf != 0 && GET(list->leaves[list->n_leaves - 1]) >> in_last_leaf != 0)
		fault(run, "the free list of pool %u has hints beyond its last chunk", pool->id);
}

/* ---- all of it, as far as the budget goes ---- */

/* Each of them: whether there is nothing more of that kind. */

static bool go_on_holders(struct audit_run *run)
{
	for (; run->holder < run->segment->n_holders && !run->is_spent; run->holder++) {
		/* A record is some words long. */
		pay(run, 16);
		audit_holder(run, run->holder);
		run->audit.n_checked++;
	}
	return run->holder == run->segment->n_holders;
}

static bool go_on_pools(struct audit_run *run)
{
	while (run->pool <= run->segment->n_pools && !run->is_spent) {
		const struct pool *pool = &run->segment->pools[run->pool];

		for (; run->index < pool->n_chunks && !run->is_spent; run->index++) {
			pay(run, 4);
			audit_word(run, pool, (uint32_t)run->index);
			run->audit.n_checked++;
		}
		if (run->index < pool->n_chunks)
			break;
		audit_list(run, pool);
		run->index = 0;
		run->pool++;
	}
	return run->pool > run->segment->n_pools;
}

static bool go_on_topics(struct audit_run *run)
{
	struct topic topic;

	for (; run->ring < run->segment->config.n_rings && !run->is_spent; run->ring++) {
		if (topic_view(&topic, run->segment, run->ring) < 0) {
			pay(run, 4);
			continue;
		}
		for (; run->index < topic.capacity && !run->is_spent; run->index++) {
			pay(run, 4);
			audit_slot(run, &topic, run->index);
			run->audit.n_checked++;
		}
		if (run->index < topic.capacity)
			break;
		run->index = 0;
	}
	return run->ring == run->segment->config.n_rings;
}

/* An open end is a client's, which is there. */
static void audit_end_at(struct audit_run *run, uint32_t line, uint64_t word)
{
	const struct segment *segment = run->segment;
	const char *mistake = cannot_hold(run, end_holder(word));
	uint32_t found = line;
	struct end end;

	if (!mistake && (!end_find(segment, &found, &end) || found != line))
		mistake = "with no such ring";
	if (!mistake && !end_read(segment, line, &end))
		mistake = "which is another one by now";
	if (mistake && GET(segment->end_words[line]) == word)
		fault(run, "end %u is open by holder %u, %s", line, end_holder(word), mistake);
}

static bool go_on_ends(struct audit_run *run)
{
	for (; run->end < run->segment->geometry.n_ends && !run->is_spent; run->end++) {
		uint64_t word = GET(run->segment->end_words[run->end]);

		/* A record is some words long. */
		pay(run, word == 0 ? 1 : 16);
		if (word != 0)
			audit_end_at(run, run->end, word);
		run->audit.n_checked++;
	}
	return run->end == run->segment->geometry.n_ends;
}

/* A lane is a living holder's, or nobody claims by it. */
static void audit_lane(struct audit_run *run, uint32_t lane)
{
	const struct lanes *lanes = &run->segment->lanes;
	const struct mempool_lane *record = &lanes->records[lane];
	uint32_t owner = GET(record->owner);
	/* B7 (acquire), before the epoch: what is settled was over then, and epochs only go up. */
	uint64_t settled = atomic_load_explicit(&record->settled, memory_order_acquire);
	uint64_t epoch = GET(record->epoch);
	const char *mistake = owner != MEMPOOL_HOLDER_NONE ? cannot_hold(run, owner) : NULL;

	if (mistake && GET(record->owner) == owner)
		fault(run, "lane %u is of holder %u, %s", lane, owner, mistake);
	if (owner == MEMPOOL_HOLDER_NONE && lane_is_claiming(lanes, lane) &&
	    GET(record->owner) == owner)
		fault(run, "lane %u is nobody's, and claims a chunk", lane);
	if (settled >= epoch)
		fault(run, "lane %u has settled epochs that were not yet", lane);
}

static bool go_on_lanes(struct audit_run *run)
{
	for (; run->lane < run->segment->lanes.n && !run->is_spent; run->lane++) {
		pay(run, 8);
		audit_lane(run, run->lane);
		run->audit.n_checked++;
	}
	return run->lane == run->segment->lanes.n;
}

/* A role is nobody's, or a living holder's. */
static void audit_role(struct audit_run *run, const struct queue *queue,
		       enum mempool_end_kind kind)
{
	const struct config_ring *ring = &run->segment->config.rings[queue->id - 1];
	uint64_t word = role_look(queue->ring, kind);
	const char *mistake = cannot_hold(run, role_holder(word));

	if (word == 0)
		return;
	if (!role_is_of(ring, kind))
		mistake = "though it may have many";
	else if (!mistake && role_is_stray(run->segment, word))
		mistake = "in another life";
	if (mistake && role_look(queue->ring, kind) == word)
		fault(run, "the one %s of queue %s is holder %u, %s",
		      kind == MEMPOOL_END_SENDER ? "sender" : "receiver", ring->name,
		      role_holder(word), mistake);
}

/* Of messages in slots: while nobody sends, either. */
static bool is_as_left(const struct queue *queue)
{
	if (role_look(queue->ring, MEMPOOL_END_RECEIVER) != 0)
		return true;
	if (queue->slot_bytes == 0)
		return queue_is_whole(queue);
	return role_look(queue->ring, MEMPOOL_END_SENDER) != 0 || bytes_are_whole(queue);
}

/* What the last receiver has left is as it was before it began, or all done. */
static void audit_left(struct audit_run *run, const struct queue *queue)
{
	uint64_t head, end;

	if (queue->slot_bytes > 0) {
		bytes_ends(queue, &head, &end);
		pay(run, 2 * (end - head));
	}
	for (int look = 0; look < LOOKS; look++)
		if (is_as_left(queue))
			return;
	fault(run, "queue %s has no receiver, and is not as one leaves it",
	      run->segment->config.rings[queue->id - 1].name);
}

static bool go_on_roles(struct audit_run *run)
{
	struct queue queue;

	for (; run->queue < run->segment->config.n_rings && !run->is_spent; run->queue++) {
		pay(run, 32);
		run->audit.n_checked++;
		if (queue_view_any(&queue, run->segment, run->queue) < 0)
			continue;
		audit_role(run, &queue, MEMPOOL_END_SENDER);
		audit_role(run, &queue, MEMPOOL_END_RECEIVER);
		if (queue.has_one_receiver && (run->flags & AUDIT_REAPED))
			audit_left(run, &queue);
	}
	return run->queue == run->segment->config.n_rings;
}

bool audit_go_on(struct audit_run *run, struct budget *budget)
{
	run->budget = budget;
	run->is_spent = false;
	return go_on_holders(run) && go_on_pools(run) && go_on_topics(run) && go_on_ends(run) &&
	       go_on_lanes(run) && go_on_roles(run);
}

static uint64_t count_all(const struct segment *segment)
{
	uint64_t n = segment->n_holders - 1 + segment->geometry.n_ends + segment->lanes.n +
		     segment->config.n_rings;

	for (uint32_t i = 0; i <= segment->n_pools; i++)
		n += segment->pools[i].n_chunks;
	for (size_t i = 0; i < segment->config.n_rings; i++)
		if (segment->config.rings[i].kind == MEMPOOL_RING_TOPIC)
			n += segment->config.rings[i].capacity;
	return n;
}

int audit_begin(struct audit_run *run, const struct segment *segment, unsigned int flags,
		audit_fault_fn on_fault, void *userdata)
{
	*run = (struct audit_run){
		.segment = segment,
		.flags = flags,
		.fault = on_fault,
		.userdata = userdata,
		.holder = 1,
		.audit = { .n_total = count_all(segment) },
	};
	return queue_snapshots_init(&run->snapshots, segment);
}

void audit_end(struct audit_run *run)
{
	queue_snapshots_deinit(&run->snapshots);
}

int audit_segment_within(const struct segment *segment, unsigned int flags,
			 struct budget *budget, audit_fault_fn on_fault, void *userdata,
			 struct audit *ret_audit)
{
	struct audit_run run;
	int r = audit_begin(&run, segment, flags, on_fault, userdata);

	if (r < 0)
		return r;
	audit_go_on(&run, budget);
	audit_end(&run);
	*ret_audit = run.audit;
	return 0;
}

unsigned int audit_percent(const struct audit *audit)
{
	return (unsigned int)(audit->n_checked * 100 / audit->n_total);
}

int audit_segment(const struct segment *segment, unsigned int flags, audit_fault_fn on_fault,
		  void *userdata, struct audit *ret_audit)
{
	return audit_segment_within(segment, flags, NULL, on_fault, userdata, ret_audit);
}
