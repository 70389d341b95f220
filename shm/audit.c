/* SPDX-License-Identifier: MIT */
#include "audit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "chunk_manager.h"
#include "holder.h"
#include "queue.h"
#include "topic.h"

/* Relaxed in this file: nothing is read through a word, and what looks wrong is read again. */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* So often a word that keeps moving is read again before it is left to the next audit. */
#define LOOKS 3

struct auditor {
	const struct segment *segment;
	unsigned int flags;
	audit_fault_fn fault;
	void *userdata;
	struct queue_snapshots snapshots;
	struct budget *budget;
	bool is_spent;			/* the budget */
	struct audit audit;
};

__attribute__((format(printf, 2, 3))) static void fault(struct auditor *auditor,
							const char *format, ...)
{
	char text[256];
	va_list arguments;

	if (auditor->audit.n_faults++ >= AUDIT_MAX_FAULTS || !auditor->fault)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	auditor->fault(text, auditor->userdata);
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

static void audit_holders(struct auditor *auditor)
{
	const struct segment *segment = auditor->segment;
	struct holder holder;

	for (uint32_t id = 1; id < segment->n_holders; id++) {
		const char *mistake;

		holder_read(segment, id, &holder);
		mistake = holder_mistake(segment, &holder);
		if (mistake)
			fault(auditor, "holder %u (pid %u, \"%s\") %s", id, holder.pid,
			      holder.name, mistake);
	}
}

/* Why this holder may hold nothing, or NULL. */
static const char *cannot_hold(const struct auditor *auditor, uint32_t id)
{
	struct holder holder;

	if (holder_read(auditor->segment, id, &holder) < 0)
		return "which does not exist";
	if (holder.state == MEMPOOL_HOLDER_FREE)
		return "which is FREE";
	if (holder.state == MEMPOOL_HOLDER_REAPING && (auditor->flags & AUDIT_REAPED))
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

static uint32_t manager_chunk(const struct pool *managers, uint32_t index)
{
	struct mempool_chunk_manager *manager = pool_chunk(managers, index);

	return GET(manager->chunk);
}

static struct finding judge_shared(const struct auditor *auditor, const struct pool *pool,
				   uint32_t index, uint64_t word)
{
	const struct segment *segment = auditor->segment;
	const struct pool *managers = &segment->pools[segment->n_pools];
	uint32_t manager = word_value(word);
	uint64_t seen;

	if (manager >= managers->n_chunks)
		return (struct finding){ "SHARED, with a manager that does not exist:",
					 manager, NULL };
	seen = GET(managers->entries[manager].word);
	/*
	 * A collector takes the manager before the chunk: in between it owns the manager, for as
	 * long as it may be stopped there.
	 */
	if (word_kind(seen) == MEMPOOL_OWNED && cannot_hold(auditor, word_value(seen)))
		return (struct finding){ "SHARED, but one who is gone has manager",
					 manager, NULL };
	if (word_kind(seen) != MEMPOOL_SHARED && word_kind(seen) != MEMPOOL_OWNED)
		return (struct finding){ "SHARED, but its manager is not:",
					 manager, NULL };
	if (manager_chunk(managers, manager) != handle_chunk(pool->id, index))
		return (struct finding){ "SHARED, but another chunk's is manager",
					 manager, NULL };
	return (struct finding){ NULL, 0, NULL };
}

/* One more word or slot was checked. */
static void pay(struct auditor *auditor, uint64_t units)
{
	if (!budget_pay(auditor->budget, units))
		auditor->is_spent = true;
}

/* Who has a bit, and may not; or that nobody has one. */
static struct finding judge_sharers(struct auditor *auditor, const struct pool *managers,
				    uint32_t index)
{
	const struct mempool_chunk_manager *manager = pool_chunk(managers, index);

	for (uint32_t i = 0; i < auditor->segment->n_holders / 64; i++) {
		uint64_t bits = GET(manager->sharers[i]);

		/* A record is some words long. */
		pay(auditor, 1 + 16 * (uint64_t)__builtin_popcountll(bits));
		for (; bits != 0; bits &= bits - 1) {
			uint32_t id = i * 64 + (uint32_t)__builtin_ctzll(bits);

			const char *why = cannot_hold(auditor, id);

			if (why)
				return (struct finding){ "SHARED by holder", id, why };
		}
	}
	/* Without the flag, a leaver may be between its bit and the collecting. */
	if ((auditor->flags & AUDIT_REAPED) && !chunk_manager_is_held(auditor->segment, index))
		return (struct finding){ "SHARED, but nobody holds manager",
					 index, NULL };
	return (struct finding){ NULL, 0, NULL };
}

/* A ChunkManager that is SHARED has holders, and a chunk that is SHARED by it. */
static struct finding judge_manager(struct auditor *auditor, const struct pool *managers,
				    uint32_t index)
{
	const struct segment *segment = auditor->segment;
	uint32_t chunk = manager_chunk(managers, index);
	uint32_t pool = chunk >> 26;
	uint32_t of = chunk & (MEMPOOL_MAX_CHUNKS_PER_POOL - 1);

	if (pool >= segment->n_pools || of >= segment->pools[pool].n_chunks)
		return (struct finding){ "SHARED, of a chunk that does not exist:",
					 chunk, NULL };
	/*
	 * Without the flag, somebody may be about to make the chunk lead to it, or have found
	 * the chunk shared by another thread.
	 */
	if ((auditor->flags & AUDIT_REAPED) && !chunk_manager_is_named(segment, index))
		return (struct finding){ "SHARED, but its chunk does not name it:",
					 of, NULL };
	return judge_sharers(auditor, managers, index);
}

/* In its queue; or, while things move, about to be put there by a living sender. */
static struct finding judge_queued(struct auditor *auditor, const struct pool *pool,
				   uint32_t index, uint64_t word)
{
	uint64_t handle = handle_make(word_generation(word), pool->id, index);
	int r = queue_snapshots_has(&auditor->snapshots, word_sent_queue(word), handle);

	if (r == -ENOMEM)
		return (struct finding){ "SENT, and no memory to look into queue",
					 word_sent_queue(word), NULL };
	if (r == -EINVAL)
		return (struct finding){ "SENT to what is no queue:",
					 word_sent_queue(word), NULL };
	if (r == 0 && (auditor->flags & AUDIT_REAPED))
		return (struct finding){ "SENT, but not in queue",
					 word_sent_queue(word), NULL };
	return (struct finding){ NULL, 0, NULL };
}

static struct finding judge(struct auditor *auditor, const struct pool *pool,
			    uint32_t index, uint64_t word)
{
	bool is_manager = pool->id == auditor->segment->n_pools;
	const char *why;
	uint32_t holder;

	if (word_generation(word) == 0)
		return (struct finding){ "of generation", 0, NULL };
	switch (word_kind(word)) {
	case MEMPOOL_FREE:
		if (word_value(word) != 0)
			return (struct finding){ "FREE, with the value",
						 word_value(word), NULL };
		break;
	case MEMPOOL_OWNED:
		holder = word_value(word);
		why = cannot_hold(auditor, holder);
		if (why)
			return (struct finding){ "OWNED by holder", holder, why };
		break;
	case MEMPOOL_SENT:
		if (is_manager)
			return (struct finding){ "SENT, though a manager", index, NULL };
		if (word_sent_queue(word) != 0)
			return judge_queued(auditor, pool, index, word);
		holder = word_sent_sender(word);
		why = cannot_hold(auditor, holder);
		if (why)
			return (struct finding){ "given away by holder", holder, why };
		break;
	case MEMPOOL_SHARED:
		return is_manager ? judge_manager(auditor, pool, index)
				  : judge_shared(auditor, pool, index, word);
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

static void audit_word(struct auditor *auditor, const struct pool *pool, uint32_t index)
{
	const _Atomic uint64_t *entry = &pool->entries[index].word;
	bool is_manager = pool->id == auditor->segment->n_pools;
	struct finding finding = { NULL, 0, NULL };
	uint64_t word = GET(*entry), again;

	/* Judged until it stood still from before to after. */
	for (int look = 0; look < LOOKS; look++) {
		finding = judge(auditor, pool, index, word);
		if (!finding.what)
			break;
		again = GET(*entry);
		if (again == word && look > 0)
			break;
		word = again;
		finding.what = NULL;
	}
	if (!is_manager)
		count(&auditor->audit, word);
	if (finding.what)
		fault(auditor, "%s %u of pool %u is %s %u%s%s",
		      is_manager ? "manager" : "chunk", index, pool->id, finding.what,
		      finding.who, finding.why ? ", " : "", finding.why ? finding.why : "");
	if ((auditor->flags & AUDIT_HINTS) && word_is_free(word) &&
	    !free_list_has(&pool->list, index))
		fault(auditor, "%s %u of pool %u is FREE and no hint leads to it",
		      is_manager ? "manager" : "chunk", index, pool->id);
}

/* What a topic keeps is SHARED, has the topic's bit, and was published where it stands. */
static void audit_topic(struct auditor *auditor, uint32_t ring)
{
	const struct segment *segment = auditor->segment;
	const struct pool *managers = &segment->pools[segment->n_pools];
	struct topic topic;

	if (topic_view(&topic, segment, ring) < 0)
		return;
	for (uint64_t i = 0; i < topic.capacity && !auditor->is_spent; i++) {
		uint64_t seen = GET(topic.slots[i]);
		uint32_t manager = (uint32_t)seen;

		pay(auditor, 4);
		auditor->audit.n_checked++;
		if (manager == TOPIC_NO_MANAGER)
			continue;
		if (manager >= managers->n_chunks)
			fault(auditor, "topic %s keeps manager %u, which does not exist",
			      segment->config.rings[ring].name, manager);
		else if ((word_kind(GET(managers->entries[manager].word)) != MEMPOOL_SHARED ||
			  !chunk_manager_has(segment, manager, topic.holder)) &&
			 GET(topic.slots[i]) == seen)
			fault(auditor, "topic %s keeps manager %u, which it does not share",
			      segment->config.rings[ring].name, manager);
	}
}

static void audit_pool(struct auditor *auditor, const struct pool *pool)
{
	const struct free_list *list = &pool->list;
	uint32_t in_last_leaf = list->n % 64;

	for (uint32_t i = 0; i < pool->n_chunks && !auditor->is_spent; i++) {
		pay(auditor, 4);
		audit_word(auditor, pool, i);
		auditor->audit.n_checked++;
	}
	if (in_last_leaf != 0 && GET(list->leaves[list->n_leaves - 1]) >> in_last_leaf != 0)
		fault(auditor, "the free list of pool %u has hints beyond its last chunk",
		      pool->id);
}

static uint64_t count_all(const struct segment *segment)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i <= segment->n_pools; i++)
		n += segment->pools[i].n_chunks;
	for (size_t i = 0; i < segment->config.n_rings; i++)
		if (segment->config.rings[i].kind == MEMPOOL_RING_TOPIC)
			n += segment->config.rings[i].capacity;
	return n;
}

int audit_segment_within(const struct segment *segment, unsigned int flags,
			 struct budget *budget, audit_fault_fn on_fault, void *userdata,
			 struct audit *ret_audit)
{
	struct auditor auditor = {
		.segment = segment,
		.flags = flags,
		.fault = on_fault,
		.userdata = userdata,
		.budget = budget,
		.audit = { .n_total = count_all(segment) },
	};

	if (queue_snapshots_init(&auditor.snapshots, segment) < 0)
		return -ENOMEM;
	audit_holders(&auditor);
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		audit_pool(&auditor, &segment->pools[i]);
	for (uint32_t i = 0; i < segment->config.n_rings; i++)
		audit_topic(&auditor, i);
	queue_snapshots_deinit(&auditor.snapshots);
	*ret_audit = auditor.audit;
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
