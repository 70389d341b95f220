/* SPDX-License-Identifier: MIT */
#include "checker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "locate.h"
#include "trace.h"

#define ZONE 0xfd
#define POISON 0xde

/* So many bytes of ZONE at the end of a chunk are no accident. */
#define ZONE_KNOWN_BYTES 16

struct checker {
	bool aborts;
	bool uses_asan;
	_Atomic uint32_t n_peeks;	/* 0: it has not peeked yet */
	size_t n_records;
	size_t first[MEMPOOL_MAX_DATA_POOLS];	/* record of a pool */
	_Atomic uint64_t *records;	/* generation(32) | size(32) */
};

/* Weak: only there in a program that has the sanitizer. */
extern void __asan_poison_memory_region(const volatile void *start, size_t size)
	__attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *start, size_t size)
	__attribute__((weak));

int checker_new(struct mempool_client *client, bool aborts)
{
	struct checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return -ENOMEM;
	checker->aborts = aborts;
	for (uint32_t i = 0; i < client->n_pools; i++) {
		checker->first[i] = checker->n_records;
		checker->n_records += client->segment->pools[i].n_chunks;
	}
	/* Pages come when they are touched. */
	checker->records = mmap(NULL, checker->n_records * sizeof(*checker->records),
				PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				-1, 0);
	if (checker->records == MAP_FAILED) {
		free(checker);
		return -ENOMEM;
	}
	client->checker = checker;
	return 0;
}

/* All that the sanitizer was told of is forgotten: something else may be mapped there. */
static void asan_forget(const struct mempool_client *client)
{
	for (uint32_t i = 0; i < client->n_pools; i++)
		__asan_unpoison_memory_region(client->segment->pools[i].data,
					      client->segment->pools[i].data_size);
}

void checker_free(struct mempool_client *client)
{
	struct checker *checker = client->checker;

	if (!checker)
		return;
	if (checker->uses_asan)
		asan_forget(client);
	munmap(checker->records, checker->n_records * sizeof(*checker->records));
	free(checker);
}

void checker_use_asan(struct mempool_client *client)
{
	if (client->checker && __asan_poison_memory_region && __asan_unpoison_memory_region)
		client->checker->uses_asan = true;
}

/* The sanitizer is to tell of reads and writes there. */
static void hide(struct checker *checker, const unsigned char *start, size_t size)
{
	if (!checker->uses_asan)
		return;
	__asan_poison_memory_region(start, size);
	/*
	 * Z1 (acq_rel) pairs with itself in checker_peeked(): either that one comes later, and then
	 * it undoes what we have just done; or we learn of it here.
	 */
	if (atomic_fetch_add_explicit(&checker->n_peeks, 0, memory_order_acq_rel) > 0)
		__asan_unpoison_memory_region(start, size);
}

static void reveal(const struct checker *checker, const unsigned char *start, size_t size)
{
	if (checker->uses_asan)
		__asan_unpoison_memory_region(start, size);
}

void checker_peeked(struct mempool_client *client)
{
	struct checker *checker = client->checker;

	/*
	 * Z2 (acquire) pairs with Z3: 2 says that it is done. At 1 another thread is at it, and may be
	 * stopped there: so it is done twice.
	 */
	if (!checker || !checker->uses_asan ||
	    atomic_load_explicit(&checker->n_peeks, memory_order_acquire) >= 2)
		return;
	/* Z1 (acq_rel), as in hide(). */
	atomic_fetch_add_explicit(&checker->n_peeks, 1, memory_order_acq_rel);
	asan_forget(client);
	/* Z3 (release) pairs with Z2. A store: two that are here at once both say the same. */
	atomic_store_explicit(&checker->n_peeks, 2, memory_order_release);
}

/* ---- what is known of a chunk ---- */

/* Relaxed, all of them: they go with the chunk, whose word orders them. */
static _Atomic uint64_t *record_of(const struct mempool_client *client, const struct pool *pool,
				   uint32_t index)
{
	return &client->checker->records[client->checker->first[pool->id] + index];
}

static void set_record(const struct mempool_client *client, const struct pool *pool, uint32_t index,
		       uint64_t word, size_t size)
{
	atomic_store_explicit(record_of(client, pool, index),
			      (uint64_t)word_generation(word) << 32 | (uint32_t)size,
			      memory_order_relaxed);
}

/* Of a chunk with that word. Return: whether anything is known of it. */
static bool get_record(const struct mempool_client *client, const struct pool *pool, uint32_t index,
		       uint64_t word, size_t *ret_size)
{
	uint64_t record = atomic_load_explicit(record_of(client, pool, index), memory_order_relaxed);

	*ret_size = (uint32_t)record;
	return word_generation(record) == word_generation(word);
}

size_t checker_usable_size(const struct mempool_client *client, const struct pool *pool,
			   uint32_t index, uint64_t word)
{
	size_t size;

	return client->checker && get_record(client, pool, index, word, &size) && size > 0 &&
			       size < pool->chunk_size
		       ? size : (size_t)pool->chunk_size;
}

/* A chunk, as a call finds it. */
struct found {
	struct mempool_client *client;
	const struct pool *pool;
	uint32_t index;
	uint64_t word;
	unsigned char *bytes;
};

static bool find(struct cache *cache, const void *chunk, struct found *ret_found)
{
	struct mempool_client *client = cache_client(cache);

	ret_found->client = client;
	if (!client || client_locate(client, chunk, &ret_found->pool, &ret_found->index) < 0)
		return false;
	ret_found->bytes = pool_chunk(ret_found->pool, ret_found->index);
	/* Relaxed: if we hold it, we or a thread that told us wrote or acquired it. */
	ret_found->word = atomic_load_explicit(&ret_found->pool->entries[ret_found->index].word,
					       memory_order_relaxed);
	return true;
}

/* ---- telling ---- */

/* Where the chunk was allocated, if anybody keeps that. */
static void tell_site(const struct found *found, uint64_t word, char *text, size_t size)
{
	const struct segment *segment = found->client->segment;
	const struct chunk_ref chunk = { found->pool->id, found->index };
	struct trace_module module;
	struct trace trace;
	const char *name;

	text[0] = '\0';
	if (!segment->modules ||
	    !trace_find(segment, chunk, word, found->client->holder, &trace))
		return;
	if (!trace_read_module(segment, trace.module, &module))
		module = (struct trace_module){ .path = "no module" };
	name = strrchr(module.path, '/');
	snprintf(text, size, "; it came at 0x%llx of %.64s", (unsigned long long)trace.offset,
		 name ? name + 1 : module.path);
}

/* @what: was done, and is not to be. @word: of the hold whose call is told. */
static int tell(const struct found *found, size_t at, const char *what, uint64_t word)
{
	char site[128];

	tell_site(found, word, site, sizeof(site));
	error_say("chunk %u of pool %u, handle 0x%llx, of holder %u: byte %zu is 0x%02x: %s%s",
		  found->index, found->pool->id,
		  (unsigned long long)handle_make(word_generation(found->word), found->pool->id,
						  found->index),
		  found->client->holder, at, found->bytes[at], what, site);
	if (found->client->checker->aborts) {
		dprintf(STDERR_FILENO, "libmempool-client: %s\n", error_reason());
		abort();
	}
	return -EFAULT;
}

/* ---- looking at bytes ---- */

typedef uint64_t __attribute__((may_alias)) any_u64;

/*
 * The first byte that is another; @n: there is none. The sanitizer does not see these reads: another
 * thread that lets go of the same shared chunk may have hidden the bytes again.
 */
__attribute__((noinline, no_sanitize("address"))) static size_t
find_other(const unsigned char *bytes, size_t n, unsigned char byte)
{
	const uint64_t all = UINT64_C(0x0101010101010101) * byte;
	size_t i = 0;

	while (i < n && (uintptr_t)(bytes + i) % sizeof(all) != 0) {
		if (bytes[i] != byte)
			return i;
		i++;
	}
	while (n - i >= sizeof(all) && *(const any_u64 *)(const void *)(bytes + i) == all)
		i += sizeof(all);
	while (i < n && bytes[i] == byte)
		i++;
	return i;
}

/* ---- what a chunk goes through ---- */

/* Of those that are to be ZONE, or POISON. @ret_at: of the chunk. */
static bool is_written(const struct found *found, size_t from, unsigned char byte, size_t *ret_at)
{
	const unsigned char *bytes = found->bytes + from;
	size_t n = (size_t)found->pool->stride - from;

	reveal(found->client->checker, bytes, n);
	*ret_at = from + find_other(bytes, n, byte);
	return *ret_at < found->pool->stride;
}

static void set_zone(const struct found *found, size_t size)
{
	set_record(found->client, found->pool, found->index, found->word, size);
	hide(found->client->checker, found->bytes + size, (size_t)found->pool->stride - size);
}

/* The word that the chunk had when we allocated it: our free has moved it twice. */
static uint64_t word_before(const struct found *found)
{
	return word_make(word_generation(found->word) - 2, MEMPOOL_OWNED, found->client->holder);
}

int checker_allocated(struct cache *cache, void *chunk, size_t size)
{
	struct found found;
	size_t known, at;

	if (!find(cache, chunk, &found))
		return 0;
	if (get_record(found.client, found.pool, found.index, found.word, &known) && known == 0 &&
	    is_written(&found, 0, POISON, &at)) {
		set_record(found.client, found.pool, found.index, 0, 0);
		return tell(&found, at, "it was written to after it was freed", word_before(&found));
	}
	reveal(found.client->checker, found.bytes, (size_t)found.pool->stride);
	memset(found.bytes + size, ZONE, (size_t)found.pool->stride - size);
	set_zone(&found, size);
	return 0;
}

/* Return: as checker_verify(). What is SHARED, and known, was ours before: the size is still its. */
static int verify(const struct found *found, size_t length)
{
	char what[64];
	size_t size, at;

	if (!get_record(found->client, found->pool, found->index, found->word, &size) || size == 0)
		return 0;
	if (is_written(found, size, ZONE, &at)) {
		/* Told once: from here on nothing is known of it. */
		set_record(found->client, found->pool, found->index, 0, 0);
		snprintf(what, sizeof(what), "something wrote beyond its %zu bytes", size);
		return tell(found, at, what, found->word);
	}
	hide(found->client->checker, found->bytes + size, (size_t)found->pool->stride - size);
	return length > size ? -EMSGSIZE : 0;
}

int checker_verify(struct cache *cache, const void *chunk, size_t length)
{
	struct found found;
	int r;

	if (!find(cache, chunk, &found) || !found.client->checker)
		return 0;
	if (word_kind(found.word) == MEMPOOL_SHARED)
		return verify(&found, 0);
	if (pool_withhold(found.pool, found.index, found.client->holder, &found.word) < 0)
		return 0;
	r = verify(&found, length);
	pool_keep_withheld(found.pool, found.index, found.word);
	return r;
}

int checker_verify_shared(struct cache *cache, const void *chunk, size_t length)
{
	struct found found;

	if (!find(cache, chunk, &found) || !found.client->checker)
		return 0;
	if (word_kind(found.word) == MEMPOOL_SHARED)
		return verify(&found, 0);
	return word_is_owned_by(found.word, found.client->holder) ? verify(&found, length) : 0;
}

int checker_release(struct cache *cache, uint32_t index)
{
	const struct pool *pool = &cache->last->pool;
	struct mempool_client *client = cache_client(cache);
	unsigned char *bytes = pool_chunk(pool, index);
	uint64_t owned;
	int r;

	/* A reader writes to no chunk. */
	if (!client->checker)
		return pool_release_checked(pool, index, cache->holder);
	r = pool_withhold(pool, index, cache->holder, &owned);
	if (r < 0)
		return r;
	reveal(client->checker, bytes, (size_t)pool->stride);
	memset(bytes, POISON, (size_t)pool->stride);
	hide(client->checker, bytes, (size_t)pool->stride);
	set_record(client, pool, index, word_freed(word_freed(owned)), 0);
	return pool_release_withheld(pool, index, owned);
}

void checker_kept(struct cache *cache, struct chunk_ref chunk, uint64_t owned)
{
	struct mempool_client *client = cache_client(cache);
	const struct pool *pool = &client->segment->pools[chunk.pool];
	uint64_t record;

	if (!client->checker)
		return;
	record = atomic_load_explicit(record_of(client, pool, chunk.index), memory_order_relaxed);
	/* A generation stands in a record where it stands in a word. */
	if ((uint32_t)record > 0 && word_next_generation(record) == word_generation(owned))
		set_record(client, pool, chunk.index, owned, (uint32_t)record);
}

/* From where on there are ZONE bytes up to the end of the chunk, but none of the message. */
static size_t find_zone(const struct found *found)
{
	size_t stride = (size_t)found->pool->stride, from = stride;
	size_t length = pool_length(found->pool, found->index);

	while (from > length && found->bytes[from - 1] == ZONE)
		from--;
	return stride - from < ZONE_KNOWN_BYTES ? stride : from;
}

void checker_came(struct cache *cache, const void *chunk)
{
	struct found found;
	size_t size;

	if (!find(cache, chunk, &found) || !found.client->checker)
		return;
	reveal(found.client->checker, found.bytes, (size_t)found.pool->stride);
	/* What others have, too, nobody may write to. */
	if (!word_is_owned_by(found.word, found.client->holder))
		return;
	size = find_zone(&found);
	if (size > 0 && size < found.pool->stride)
		set_zone(&found, size);
	else
		set_record(found.client, found.pool, found.index, 0, 0);
}
