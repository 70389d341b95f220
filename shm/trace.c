/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <stddef.h>
#include <string.h>

#include "word.h"

#define OFFSET_BITS 48
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)

/* Relaxed, all of this file: hints, whose check says whether they belong together. */
static uint64_t load(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

static void store(_Atomic uint64_t *to, uint64_t value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

/* ---- holds ---- */

static struct mempool_hold *holds_of(const struct segment *segment, struct chunk_ref chunk)
{
	const struct geometry *geometry = &segment->geometry;
	struct mempool_trace *traces =
		(void *)((unsigned char *)segment->modules +
			 (geometry->pools[chunk.pool].traces_off - geometry->modules_off));

	return traces[chunk.index].holds;
}

/* The finalizer of splitmix64: each bit of the value changes about half of those of the result. */
static uint64_t scatter(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

/* Never 0: memory that nobody has written is no hold. */
static uint32_t check_of(uint64_t held, uint64_t since_ns, uint64_t site, uint32_t thread)
{
	return (uint32_t)scatter(scatter(scatter(held) ^ since_ns) ^ site ^ scatter(thread)) | 1;
}

static uint64_t held_by(uint32_t generation, uint32_t holder)
{
	return (uint64_t)generation << 32 | holder;
}

static void put_hold(struct mempool_hold *hold, uint64_t held, const struct trace *trace)
{
	uint64_t site = (uint64_t)trace->module << OFFSET_BITS | (trace->offset & OFFSET_MASK);

	store(&hold->held, held);
	store(&hold->since_ns, trace->since_ns);
	store(&hold->site, site);
	atomic_store_explicit(&hold->thread, trace->thread, memory_order_relaxed);
	atomic_store_explicit(&hold->check,
			      check_of(held, trace->since_ns, site, trace->thread),
			      memory_order_relaxed);
}

/* Whether it is a whole one; of whom, and what it says. */
static bool read_hold(const struct mempool_hold *hold, uint64_t *ret_held,
		      struct trace *ret_trace)
{
	uint64_t held = load(&hold->held), since_ns = load(&hold->since_ns);
	uint64_t site = load(&hold->site);
	uint32_t thread = atomic_load_explicit(&hold->thread, memory_order_relaxed);

	if (atomic_load_explicit(&hold->check, memory_order_relaxed) !=
	    check_of(held, since_ns, site, thread))
		return false;
	*ret_held = held;
	*ret_trace = (struct trace){
		.since_ns = since_ns,
		.offset = site & OFFSET_MASK,
		.module = (uint32_t)(site >> OFFSET_BITS),
		.thread = thread,
	};
	return true;
}

static bool is_sharer(const struct segment *segment, uint32_t manager, uint32_t holder)
{
	return manager < segment->pools[segment->n_pools].n_chunks &&
	       holder < segment->n_holders && chunk_manager_has(segment, manager, holder);
}

/* Where one more sharer puts its own: its line, else one that is nobody's now, else another's. */
static struct mempool_hold *place_of(const struct segment *segment, struct mempool_hold *holds,
				     uint64_t word, uint32_t holder)
{
	struct mempool_hold *idle = NULL;
	struct trace unused;
	uint64_t held;

	for (uint32_t i = 1; i < MEMPOOL_TRACE_HOLDS; i++) {
		bool is_whole = read_hold(&holds[i], &held, &unused);

		if (is_whole && held == held_by(word_generation(word), holder))
			return &holds[i];
		if (!idle && (!is_whole || held >> 32 != word_generation(word) ||
			      !is_sharer(segment, word_value(word), (uint32_t)held)))
			idle = &holds[i];
	}
	return idle ? idle : &holds[1 + holder % (MEMPOOL_TRACE_HOLDS - 1)];
}

void trace_put(const struct segment *segment, struct chunk_ref chunk, uint64_t word,
	       uint32_t holder, const struct trace *trace)
{
	struct mempool_hold *hold = holds_of(segment, chunk);
	bool is_shared = word_kind(word) == MEMPOOL_SHARED &&
			 is_sharer(segment, word_value(word), holder);

	if (!is_shared && !word_is_owned_by(word, holder))
		return;
	if (is_shared)
		hold = place_of(segment, hold, word, holder);
	put_hold(hold, held_by(word_generation(word), holder), trace);
}

void trace_renew(const struct segment *segment, struct chunk_ref chunk, uint64_t word)
{
	struct mempool_hold *hold = holds_of(segment, chunk);
	struct trace trace;
	uint64_t held;

	if (read_hold(hold, &held, &trace) && (uint32_t)held == word_owner(word) &&
	    word_next_generation(held) == word_generation(word))
		put_hold(hold, held_by(word_generation(word), word_owner(word)), &trace);
}

static bool find_sharer(const struct mempool_hold *holds, uint32_t generation, uint32_t holder,
			struct trace *ret_trace)
{
	struct trace trace;
	uint64_t held;

	/* The line of who had it alone last: it may have come again since. */
	for (uint32_t i = MEMPOOL_TRACE_HOLDS; i-- > 0;)
		if (read_hold(&holds[i], &held, &trace) &&
		    held == held_by(generation, holder)) {
			*ret_trace = trace;
			return true;
		}
	return false;
}

bool trace_find(const struct segment *segment, struct chunk_ref chunk, uint64_t word,
		uint32_t holder, struct trace *ret_trace)
{
	const struct mempool_hold *holds = holds_of(segment, chunk);
	struct trace trace;
	uint64_t held;
	bool is_found;

	if (word_kind(word) == MEMPOOL_SHARED &&
	    find_sharer(holds, word_generation(word), holder, ret_trace))
		return true;
	if (!read_hold(&holds[0], &held, &trace))
		return false;
	switch (word_kind(word)) {
	case MEMPOOL_OWNED:
		is_found = held == held_by(word_generation(word), word_owner(word));
		break;
	case MEMPOOL_SENT:
		/* The sender had it, in the generation before; the word may not name him any more. */
		is_found = word_next_generation(held) == word_generation(word);
		break;
	case MEMPOOL_SHARED:
		/* A topic holds what its publisher had. */
		is_found = held >> 32 == word_generation(word) &&
			   holder - MEMPOOL_HOLDER_DAEMON_ID - 1 < segment->geometry.n_topics;
		break;
	default:
		is_found = false;
	}
	if (is_found)
		*ret_trace = trace;
	return is_found;
}

/* ---- modules ---- */

static void store_bytes(_Atomic unsigned char *to, const void *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		atomic_store_explicit(&to[i], ((const unsigned char *)from)[i],
				      memory_order_relaxed);
}

static void load_bytes(void *to, const _Atomic unsigned char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
}

/* FNV-1a, scattered; never 0. */
static uint64_t key_of(const struct trace_module *module)
{
	const unsigned char *bytes = (const unsigned char *)module;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(*module); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return scatter(hash) | 1;
}

/* Several may be at it at once: they write the same. */
static void write_module(struct mempool_module *to, const struct trace_module *from)
{
	store_bytes(to->build_id, from->build_id, sizeof(to->build_id));
	store_bytes(to->path, from->path, sizeof(to->path));
	atomic_store_explicit(&to->build_id_bytes, from->build_id_bytes, memory_order_relaxed);
}

bool trace_read_module(const struct segment *segment, uint32_t line,
		       struct trace_module *ret_module)
{
	const struct mempool_module *from;

	if (line == 0 || line > MEMPOOL_MAX_MODULES)
		return false;
	from = &segment->modules[line - 1];
	ret_module->build_id_bytes =
		atomic_load_explicit(&from->build_id_bytes, memory_order_relaxed);
	load_bytes(ret_module->build_id, from->build_id, sizeof(ret_module->build_id));
	load_bytes(ret_module->path, from->path, sizeof(ret_module->path));
	return key_of(ret_module) == load(&from->key) &&
	       ret_module->build_id_bytes <= MEMPOOL_BUILD_ID_BYTES &&
	       memchr(ret_module->path, '\0', sizeof(ret_module->path));
}

uint32_t trace_add_module(const struct segment *segment, const struct trace_module *module)
{
	struct trace_module there;
	uint64_t key = key_of(module);

	for (uint32_t i = 0; i < MEMPOOL_MAX_MODULES; i++) {
		struct mempool_module *line = &segment->modules[i];
		uint64_t seen = load(&line->key);

		if (seen == 0 &&
		    atomic_compare_exchange_strong_explicit(&line->key, &seen, key,
							    memory_order_relaxed,
							    memory_order_relaxed))
			seen = key;
		if (seen != key)
			continue;
		/* Whoever took it may be dead. */
		if (!trace_read_module(segment, i + 1, &there))
			write_module(line, module);
		return i + 1;
	}
	return 0;
}
