/* SPDX-License-Identifier: MIT */
/*
 * fuzz-reap.c - what the daemon does in a segment, while an enemy writes into it
 *
 * input: shape, then steps: slices of a sweep, counts, audits, reads, claims, and pokes
 * between them. The geometry was copied before the first poke, so nothing may go out of
 * bounds, every sweep ends after so many slices, and a sweep that nobody disturbs puts
 * right whatever was wrong: the dead hold nothing, and each free chunk has its hint.
 */
#include <string.h>

#include "arena.h"
#include "shm/audit.h"
#include "shm/census.h"
#include "shm/drain.h"
#include "shm/holder.h"
#include "shm/reap.h"
#include "shm/topic.h"

#define MAX_STEPS 100

struct daemon_side {
	struct arena *arena;
	struct segment *segment;
	struct reap reap;
	uint64_t n_slices;		/* of the sweep at hand */
	struct census census;
};

static uint64_t n_words(const struct segment *segment)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i <= segment->n_pools; i++)
		n += segment->pools[i].n_chunks;
	return n;
}

/*
 * No sweep takes more, whatever the words say: each slice has a word at least, or a lane, a slot, a
 * poller word, an end, a line of a queue that lags, or one more ring.
 */
static uint64_t max_slices(const struct segment *segment)
{
	uint64_t n = n_words(segment) + 2 * segment->geometry.n_lanes + segment->geometry.n_ends + 2;

	for (uint32_t i = 0; i < segment->config.n_rings; i++)
		n += 2 * segment->config.rings[i].capacity + segment->n_holders / 64 + 2;
	return n;
}

static void begin_sweep(struct daemon_side *side)
{
	FUZZ_CHECK(reap_init(&side->reap, side->segment) == 0);
	side->n_slices = 0;
}

static void slice(struct daemon_side *side, uint32_t max)
{
	bool is_over = reap_step(&side->reap, max);

	FUZZ_CHECK(++side->n_slices <= max_slices(side->segment));
	/* Each manager may lead to one chunk, in two ways. */
	FUZZ_CHECK(side->reap.n_freed <= 3 * n_words(side->segment));
	if (is_over) {
		reap_deinit(&side->reap);
		begin_sweep(side);
	}
}

static void count(struct daemon_side *side)
{
	uint64_t n_chunks = 0, n_used = 0;

	FUZZ_CHECK(census_take(side->segment, &side->census) == 0);
	for (uint32_t i = 0; i <= side->segment->n_pools; i++) {
		const struct census_pool *pool = &side->census.pools[i];

		FUZZ_CHECK(pool->used + pool->free == pool->total);
		FUZZ_CHECK(pool->used ==
			   pool->alone + pool->in_flight + pool->shared + pool->stray);
		FUZZ_CHECK(pool_count_used(&side->segment->pools[i]) == pool->used);
		n_used += i < side->segment->n_pools ? pool->used : 0;
	}
	for (uint32_t id = 0; id < side->census.n_holders; id++)
		n_chunks += side->census.holders[id].all.chunks;
	FUZZ_CHECK(n_chunks <= n_used);
	segment_state(side->segment);
}

static void on_fault(const char *text, void *userdata)
{
	unsigned int *n = userdata;

	FUZZ_CHECK(text[0] != '\0' && strlen(text) < 256);
	FUZZ_CHECK(++*n <= AUDIT_MAX_FAULTS);
}

/* The audit says what is wrong, but counts every chunk once. */
static void audit(struct daemon_side *side, unsigned int flags)
{
	struct segment *segment = side->segment;
	unsigned int n_texts = 0;
	struct audit audit;

	audit_segment(segment, flags, on_fault, &n_texts, &audit);
	FUZZ_CHECK(audit.n_faults <= AUDIT_MAX_FAULTS ? n_texts == audit.n_faults :
							n_texts == AUDIT_MAX_FAULTS);
	FUZZ_CHECK(audit.n_free + audit.n_owned + audit.n_given + audit.n_in_flight +
			   audit.n_shared ==
		   n_words(segment) - segment->pools[segment->n_pools].n_chunks);
}

static void read_holder(struct daemon_side *side, uint32_t id)
{
	struct holder holder;
	int r = holder_read(side->segment, id, &holder);

	FUZZ_CHECK((r == 0) == (id > 0 && id < side->segment->n_holders));
	if (r < 0)
		return;
	FUZZ_CHECK(holder.name[sizeof(holder.name) - 1] == '\0');
	for (const char *c = holder.name; *c != '\0'; c++)
		FUZZ_CHECK(*c >= ' ' && *c <= '~');
}

static void claim(struct daemon_side *side, struct fuzz_input *input)
{
	struct pool *pool =
		&side->segment->pools[fuzz_u8(input) % (side->segment->n_pools + 1)];
	uint32_t holder = 1 + fuzz_u8(input) % (side->segment->n_holders - 1);
	uint32_t indices[64], start = fuzz_u32(input), index;
	struct pool_scan scan;
	uint8_t what = fuzz_u8(input);
	uint32_t n;

	switch (what % 4) {
	case 0:
		pool_scan_begin(&scan, pool, start, holder);
		if (pool_scan_step(&scan, UINT32_MAX, &index) == 0) {
			FUZZ_CHECK(index < pool->n_chunks);
			FUZZ_CHECK(pool_release(pool, index, holder, what & 4) == 0);
		}
		break;
	case 1:
		n = free_list_pop(&pool->list, &start, indices, 1 + (what >> 2));
		FUZZ_CHECK(n <= 1U + (what >> 2));
		FUZZ_CHECK(n == 0 || start < pool->list.n_leaves);
		for (uint32_t i = 0; i < n; i++)
			FUZZ_CHECK(indices[i] < pool->n_chunks);
		free_list_push_many(&pool->list, indices, n);
		break;
	case 2:
		FUZZ_CHECK(pool_claim(pool, start, holder) != 0 || start < pool->n_chunks);
		break;
	case 3:
		pool_set_dry(pool);
		pool_hint(pool, start % pool->n_chunks);
		break;
	}
}

/* As mempoolctl asks for it; nothing, if this is no topic. */
static void drain(struct daemon_side *side, uint32_t id)
{
	uint64_t n_drained, n_freed;
	struct topic topic;

	if (topic_view_holder(&topic, side->segment, id) < 0)
		return;
	n_drained = drain_topic(&topic, MEMPOOL_HOLDER_DAEMON_ID, &n_freed);
	FUZZ_CHECK(n_freed <= n_drained && n_drained <= topic.capacity);
	FUZZ_CHECK(topic_count(&topic, 0, topic.capacity) <= topic.capacity - n_drained);
}

static void step(struct daemon_side *side, struct fuzz_input *input)
{
	uint32_t id;

	switch (fuzz_u8(input) % 9) {
	case 0:
	case 1:
		arena_poke(side->arena, input);
		break;
	case 2:
		/* One leaf a slice is the least. */
		slice(side, 1 + fuzz_u8(input));
		break;
	case 3:
		slice(side, UINT32_MAX);
		break;
	case 4:
		reap_add(&side->reap, fuzz_u16(input));
		break;
	case 5:
		count(side);
		break;
	case 6:
		id = fuzz_u16(input);
		read_holder(side, id);
		drain(side, id);
		break;
	case 7:
		claim(side, input);
		break;
	case 8:
		audit(side, fuzz_u8(input) % 4);
		break;
	}
}

/* An undisturbed sweep for all ids, and what must hold after it. */
static void check_recovery(struct daemon_side *side)
{
	struct segment *segment = side->segment;

	reap_deinit(&side->reap);
	begin_sweep(side);
	for (uint32_t id = 0; id < segment->n_holders; id++)
		reap_add(&side->reap, id);
	FUZZ_CHECK(reap_step(&side->reap, UINT32_MAX));

	count(side);
	audit(side, AUDIT_HINTS | AUDIT_REAPED);
	for (uint32_t id = 0; id < segment->n_holders; id++)
		FUZZ_CHECK(side->census.holders[id].all.chunks == 0);
	for (uint32_t i = 0; i <= segment->n_pools; i++) {
		const struct pool *pool = &segment->pools[i];

		for (uint32_t index = 0; index < pool->n_chunks; index++)
			FUZZ_CHECK(!pool_is_open(pool, atomic_load_explicit(
						       &pool->entries[index].word,
						       memory_order_relaxed)) ||
				   (free_list_has(&pool->list, index) && !pool_is_dry(pool)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct daemon_side side = {
		.arena = arena_reset(fuzz_u8(&input)),
		.census = CENSUS_NULL,
	};

	FUZZ_CHECK(arena_attach(side.arena, &side.segment) == 0);
	begin_sweep(&side);
	for (size_t i = 0; i < MAX_STEPS && input.size > 0; i++)
		step(&side, &input);
	check_recovery(&side);

	reap_deinit(&side.reap);
	census_deinit(&side.census);
	arena_release(side.segment);
	return 0;
}
