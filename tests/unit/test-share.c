/* SPDX-License-Identifier: MIT */
/*
 * test-share.c - a chunk with several holders: sharer bits in the segment, references in
 *		  each process
 */
#include "client/client.h"
#include "test_segment.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "build_config.h"
#include "client/cache.h"
#include "client/locate.h"
#include "client/share.h"
#include "shm/audit.h"
#include "shm/chunk_manager.h"
#include "shm/holder.h"
#include "shm/reap.h"
#include "support/control.h"

enum { N_CHUNKS = 20, CHUNK_SIZE = 64, N_CLIENTS = 4 };

static const struct test_pool pools[] = {
	{ .chunk_size = CHUNK_SIZE, .n_chunks = N_CHUNKS, .cache = 4 },
	{ .chunk_size = 256, .n_chunks = 3 },
};

/* Sharer bits in 1, 4 and 16 words; TEST_HOLDER upwards, and the last id there is. */
static const uint32_t holder_counts[] = { 64, 256, 1024 };

static struct segment *segment;
static struct mempool_client *clients[N_CLIENTS];

/* What another thread does while the library lets it run (--wrap); once. */
static void (*_Atomic others_step)(void);

int __wrap_sched_yield(void);
int __real_sched_yield(void);

int __wrap_sched_yield(void)
{
	void (*step)(void) = atomic_exchange(&others_step, NULL);

	if (step)
		step();
	return __real_sched_yield();
}

static void make(uint32_t n_holders)
{
	struct config config;

	test_config_init(&config, pools, ARRAY_SIZE(pools));
	config.max_clients = n_holders - 2;
	segment = test_segment_new_of(&config);
	ck_assert_uint_eq(segment->n_holders, n_holders);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		struct holder holder = {
			.id = i < N_CLIENTS - 1 ? TEST_HOLDER + i * 17 : n_holders - 1,
			.kind = MEMPOOL_HOLDER_CLIENT,
			.pid = 1,
			.name = "test",
		};

		holder_set_live(segment, &holder);
		ck_assert_int_eq(client_new(test_segment_view(segment), holder.id, 0,
					    &clients[i]), 0);
	}
}

static void setup(void)
{
	make(64);
}

static void teardown(void)
{
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		mempool_client_close(clients[i]);
	segment_free(segment);
}

static void must_be_deserted(void)
{
	struct audit audit;

	ck_assert_uint_eq(test_segment_used(segment, 0), 0);
	ck_assert_uint_eq(test_segment_used(segment, 1), 0);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), 0);
	ck_assert_int_eq(audit_segment(segment, AUDIT_REAPED, NULL, NULL, &audit), 0);
	ck_assert_uint_eq(audit.n_faults, 0);
}

static uint64_t must_share(uint32_t by, uint64_t number, void **ret_chunk)
{
	uint64_t *chunk = mempool_alloc(clients[by], CHUNK_SIZE), handle;

	ck_assert_ptr_nonnull(chunk);
	*chunk = number;
	ck_assert_int_eq(mempool_share(clients[by], chunk, 8, &handle), 0);
	*ret_chunk = chunk;
	return handle;
}

static const void *must_acquire(uint32_t by, uint64_t handle, uint64_t number)
{
	const void *chunk = NULL;
	size_t length = 0;

	ck_assert_int_eq(mempool_acquire(clients[by], handle, &chunk, &length), 0);
	ck_assert_uint_eq(length, 8);
	ck_assert_uint_eq(*(const uint64_t *)chunk, number);
	return chunk;
}

static void must_be_stale(uint32_t by, uint64_t handle)
{
	const void *chunk = &pools;

	ck_assert_int_eq(mempool_acquire(clients[by], handle, &chunk, NULL), -ESTALE);
	ck_assert_ptr_eq(chunk, &pools);
}

static void must_free(uint32_t by, const void *chunk)
{
	ck_assert_int_eq(mempool_free(clients[by], chunk), 0);
}

static uint64_t word_of_handle(uint64_t handle)
{
	return atomic_load(&segment->pools[handle_pool(handle)]
				    .entries[handle_index(handle)].word);
}

/* ---- one after the other ---- */

START_TEST(test_share_is_held_until_the_last_lets_go)
{
	void *shared;
	const void *chunks[N_CLIENTS];
	uint64_t handle;

	make(holder_counts[_i]);
	/* In every order of leaving. */
	for (uint32_t first = 0; first < N_CLIENTS; first++) {
		handle = must_share(0, first, &shared);
		chunks[0] = shared;
		for (uint32_t i = 1; i < N_CLIENTS; i++)
			chunks[i] = must_acquire(i, handle, first);
		for (uint32_t i = 0; i < N_CLIENTS; i++) {
			uint32_t by = (first + i) % N_CLIENTS;

			ck_assert_uint_eq(test_segment_used(segment, 0), 1);
			must_free(by, chunks[by]);
			ck_assert_int_eq(mempool_free(clients[by], chunks[by]), -EPERM);
			if (i < N_CLIENTS - 1)
				must_free((by + 1) % N_CLIENTS,
					  must_acquire((by + 1) % N_CLIENTS, handle, first));
		}
		must_be_deserted();
		for (uint32_t i = 0; i < N_CLIENTS; i++)
			must_be_stale(i, handle);
	}
	teardown();
}
END_TEST

START_TEST(test_share_each_chunk_at_the_same_time)
{
	void *chunks[N_CHUNKS];
	uint64_t handles[N_CHUNKS];

	make(holder_counts[_i]);
	/* There is a manager for every chunk, also when all others are used up. */
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			handles[i] = must_share(i % N_CLIENTS, i, &chunks[i]);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			must_acquire((i + 1) % N_CLIENTS, handles[i], i);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			must_free(i % N_CLIENTS, chunks[i]);
		ck_assert_uint_eq(test_segment_used(segment, 0), N_CHUNKS);
		ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), N_CHUNKS);
		for (uint32_t i = 0; i < N_CHUNKS; i++)
			must_free((i + 1) % N_CLIENTS, chunks[i]);
		must_be_deserted();
	}
	teardown();
}
END_TEST

START_TEST(test_share_of_one_process_is_counted)
{
	void *shared;
	uint64_t handle = must_share(0, 5, &shared), again;

	/* The process has one bit, whoever of its threads holds how often. */
	for (int i = 0; i < 9; i++)
		ck_assert_ptr_eq(must_acquire(0, handle, 5), shared);
	ck_assert_int_eq(mempool_share(clients[0], shared, 3, &again), 0);
	ck_assert_uint_eq(again, handle);
	must_acquire(1, handle, 5);
	must_free(1, shared);
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq(test_segment_used(segment, 0), 1);
		must_free(0, shared);
	}
	ck_assert_int_eq(mempool_free(clients[0], shared), -EPERM);
	must_be_stale(0, handle);
	must_be_deserted();
}
END_TEST

START_TEST(test_share_bad_calls_change_nothing)
{
	void *chunk = mempool_alloc(clients[0], CHUNK_SIZE), *taken = &chunk;
	const void *acquired = &chunk;
	uint64_t handle = 77;

	ck_assert_int_eq(mempool_share(NULL, chunk, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_share(clients[0], NULL, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_share(clients[0], (char *)chunk + 8, 1, &handle), -EINVAL);
	ck_assert_int_eq(mempool_share(clients[0], chunk, 1, NULL), -EINVAL);
	ck_assert_int_eq(mempool_share(clients[0], chunk, CHUNK_SIZE + 1, &handle), -EMSGSIZE);
	ck_assert_int_eq(mempool_share(clients[1], chunk, 1, &handle), -EPERM);
	ck_assert_uint_eq(handle, 77);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), 0);

	ck_assert_int_eq(mempool_share(clients[0], chunk, CHUNK_SIZE, &handle), 0);
	ck_assert_int_eq(mempool_acquire(NULL, handle, &acquired, NULL), -EINVAL);
	ck_assert_int_eq(mempool_acquire(clients[1], handle, NULL, NULL), -EINVAL);
	ck_assert_int_eq(mempool_acquire(clients[1], MEMPOOL_HANDLE_NONE, &acquired, NULL),
			 -EINVAL);
	/* Who does not hold it cannot pass it on; who has no share has nothing to free. */
	ck_assert_int_eq(mempool_share(clients[1], chunk, 1, &handle), -EPERM);
	ck_assert_int_eq(mempool_free(clients[1], chunk), -EPERM);
	/* And nobody has it alone. */
	ck_assert_int_eq(mempool_take(clients[1], handle, &taken, NULL), -ESTALE);
	ck_assert_int_eq(mempool_give(clients[0], chunk, 1, &handle), -EBUSY);
	ck_assert_int_eq(mempool_give(clients[1], chunk, 1, &handle), -EPERM);
	ck_assert_int_eq(mempool_chunk_set_tag(clients[0], chunk, 1), -EBUSY);
	ck_assert_int_eq(mempool_chunk_set_tag(clients[1], chunk, 1), -EPERM);
	ck_assert_int_eq(mempool_usable_size(clients[0], chunk), CHUNK_SIZE);
	ck_assert_int_eq(mempool_usable_size(clients[1], chunk), -EPERM);
	ck_assert_ptr_eq(acquired, &chunk);
	ck_assert_ptr_eq(taken, &chunk);
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

START_TEST(test_share_stale_handles_never_lead_to_others_data)
{
	enum { N = 200 };
	uint64_t old[N], handle;
	void *chunk;

	/* The same few chunks and managers again and again. */
	for (uint32_t i = 0; i < N; i++) {
		old[i] = must_share(i % N_CLIENTS, i, &chunk);
		must_free(i % N_CLIENTS, chunk);
	}
	for (uint32_t i = 0; i < N_CHUNKS; i++)
		must_share(0, 1000 + i, &chunk);
	for (uint32_t i = 0; i < N; i++)
		must_be_stale(1, old[i]);
	ck_assert_int_eq(mempool_client_close(clients[0]), N_CHUNKS);

	/* Handles that no one ever made. */
	handle = handle_make(1, 63, 0);
	must_be_stale(1, handle);
	must_be_stale(1, handle_make(1, 0, N_CHUNKS));
	must_be_stale(1, handle_make(1, 2, 0));
	must_be_stale(1, UINT64_MAX);
	must_be_deserted();
	clients[0] = NULL;
}
END_TEST

START_TEST(test_share_owned_given_free_chunks_are_stale)
{
	void *chunk = mempool_alloc(clients[0], CHUNK_SIZE);
	uint64_t handle, shared;

	ck_assert_int_eq(mempool_give(clients[0], chunk, 1, &handle), 0);
	must_be_stale(1, handle);
	ck_assert_int_eq(mempool_take(clients[0], handle, &chunk, NULL), 0);
	must_be_stale(1, handle + (UINT64_C(1) << 32));		/* OWNED, of that incarnation */
	ck_assert_int_eq(mempool_share(clients[0], chunk, 1, &shared), 0);
	ck_assert_uint_eq(shared, handle + (UINT64_C(1) << 32));
	must_be_stale(1, handle);
	must_be_stale(1, shared + (UINT64_C(1) << 32));
	must_free(0, chunk);
	must_be_stale(1, shared + (UINT64_C(1) << 32));
}
END_TEST

START_TEST(test_share_close_counts_and_frees)
{
	void *chunks[3];
	uint64_t handles[3];

	for (uint32_t i = 0; i < 3; i++)
		handles[i] = must_share(0, i, &chunks[i]);
	must_acquire(0, handles[0], 0);
	must_acquire(1, handles[0], 0);
	must_acquire(1, handles[1], 1);
	ck_assert_ptr_nonnull(mempool_alloc(clients[0], 200));
	ck_assert_int_eq(mempool_client_close(clients[0]), 4);
	clients[0] = NULL;
	/* The other's shares are as they were. */
	ck_assert_uint_eq(test_segment_used(segment, 0), 2);
	must_acquire(2, handles[0], 0);
	must_be_stale(2, handles[2]);
	ck_assert_int_eq(mempool_client_close(clients[1]), 2);
	clients[1] = NULL;
	must_free(2, chunks[0]);
	must_be_deserted();
}
END_TEST

/* ---- alone again ---- */

static void *must_unshare(uint32_t by, const void *chunk)
{
	void *alone = NULL;

	ck_assert_int_eq(mempool_unshare(clients[by], chunk, &alone), 0);
	ck_assert_ptr_eq(alone, chunk);
	return alone;
}

static void must_not_unshare(uint32_t by, const void *chunk, int error)
{
	void *alone = &segment;

	ck_assert_int_eq(mempool_unshare(clients[by], chunk, &alone), error);
	ck_assert_ptr_eq(alone, &segment);
}

START_TEST(test_share_unshared_is_ours_to_write_and_share)
{
	void *chunk;
	uint64_t handle, old, *number;
	uint32_t tag;

	make(holder_counts[_i]);
	/* By the one that has shared it, and by each that has acquired it and is the last. */
	for (uint32_t by = 0; by < N_CLIENTS; by++) {
		old = must_share(0, 1, &chunk);
		if (by > 0) {
			must_acquire(by, old, 1);
			must_not_unshare(by, chunk, -EBUSY);
			must_not_unshare(0, chunk, -EBUSY);
			ck_assert_int_eq(mempool_chunk_is_exclusive(clients[by], chunk), 0);
			must_free(0, chunk);
		}
		ck_assert_int_eq(mempool_chunk_is_exclusive(clients[by], chunk), 1);
		number = must_unshare(by, chunk);
		ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), 0);
		ck_assert_int_eq(mempool_chunk_is_exclusive(clients[by], chunk), 1);
		must_be_stale((by + 1) % N_CLIENTS, old);
		*number = 2;
		ck_assert_int_eq(mempool_chunk_set_tag(clients[by], chunk, 7), 0);
		ck_assert_int_eq(mempool_share(clients[by], chunk, 8, &handle), 0);
		ck_assert_uint_ne(handle, old);
		must_be_stale((by + 1) % N_CLIENTS, old);
		must_acquire((by + 1) % N_CLIENTS, handle, 2);
		ck_assert_int_eq(mempool_chunk_tag(clients[by], chunk, &tag), 0);
		ck_assert_uint_eq(tag, 7);
		must_free((by + 1) % N_CLIENTS, chunk);
		must_free(by, must_unshare(by, chunk));
		must_be_deserted();
	}
	teardown();
}
END_TEST

START_TEST(test_share_unshare_with_another_hold_of_ours_ebusy)
{
	void *chunk;
	uint64_t handle = must_share(0, 3, &chunk);

	must_acquire(0, handle, 3);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[0], chunk), 0);
	must_not_unshare(0, chunk, -EBUSY);
	must_acquire(1, handle, 3);
	must_free(0, chunk);
	/* Refused by the other process: all is as it was, its bit and ours, and the handle. */
	must_not_unshare(0, chunk, -EBUSY);
	must_not_unshare(0, chunk, -EBUSY);
	must_free(2, must_acquire(2, handle, 3));
	must_free(1, chunk);
	must_free(2, must_acquire(2, handle, 3));
	must_free(0, must_unshare(0, chunk));
	ck_assert_int_eq(mempool_free(clients[0], chunk), -EPERM);
	must_be_deserted();
}
END_TEST

START_TEST(test_share_unshare_bad_calls_change_nothing)
{
	void *chunk, *alone = NULL, *owned = mempool_alloc(clients[0], CHUNK_SIZE);

	must_share(0, 4, &chunk);
	ck_assert_int_eq(mempool_unshare(NULL, chunk, &alone), -EINVAL);
	ck_assert_int_eq(mempool_unshare(clients[0], chunk, NULL), -EINVAL);
	must_not_unshare(0, NULL, -EINVAL);
	must_not_unshare(0, (char *)chunk + 8, -EINVAL);
	must_not_unshare(1, chunk, -EPERM);
	must_not_unshare(1, owned, -EPERM);
	ck_assert_int_eq(mempool_chunk_is_exclusive(NULL, chunk), -EINVAL);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[0], (char *)chunk + 8), -EINVAL);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[1], chunk), -EPERM);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[1], owned), -EPERM);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[0], owned), 1);
	must_unshare(0, owned);
	must_free(0, owned);
	must_not_unshare(0, owned, -EPERM);
	must_free(0, chunk);
	must_not_unshare(0, chunk, -EPERM);
	ck_assert_int_eq(mempool_chunk_is_exclusive(clients[0], chunk), -EPERM);
	must_be_deserted();
}
END_TEST

/* What a client holds stays countable: close says how much there was. */
START_TEST(test_share_unshared_is_counted_by_close)
{
	void *chunks[2];
	uint64_t handle = must_share(0, 1, &chunks[0]);

	must_acquire(1, handle, 1);
	must_free(0, chunks[0]);
	must_unshare(1, chunks[0]);
	must_share(0, 2, &chunks[1]);
	must_unshare(0, chunks[1]);
	ck_assert_int_eq(mempool_client_close(clients[0]), 1);
	ck_assert_int_eq(mempool_client_close(clients[1]), 1);
	clients[0] = clients[1] = NULL;
	must_be_deserted();
}
END_TEST

/* A bit that is set, and not stamped yet: its holder may have the chunk in a moment. */
START_TEST(test_share_unshare_meets_one_who_comes)
{
	void *chunk;
	uint64_t handle = must_share(0, 1, &chunk);
	uint32_t manager = word_value(word_of_handle(handle));

	ck_assert_int_eq(share_add(clients[1], manager), 0);
	must_not_unshare(0, chunk, -EBUSY);
	ck_assert_int_eq(chunk_manager_stamp(segment, manager), 0);
	must_not_unshare(0, chunk, -EBUSY);
	ck_assert_int_eq(share_drop(clients[1], manager), 0);
	must_unshare(0, chunk);
	/* Too late. */
	ck_assert_int_eq(share_add(clients[1], manager), 0);
	ck_assert_int_eq(chunk_manager_stamp(segment, manager), -ESTALE);
	ck_assert_int_eq(share_drop(clients[1], manager), 0);
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

/* By the dead, the reaper is what lets go. */
START_TEST(test_share_unshare_when_the_others_are_reaped)
{
	void *chunk;
	uint64_t handle = must_share(0, 1, &chunk);

	must_acquire(1, handle, 1);
	must_not_unshare(0, chunk, -EBUSY);
	ck_assert_int_eq(reap_holder(segment, clients[1]->holder), 0);
	must_free(0, must_unshare(0, chunk));
	must_be_deserted();
}
END_TEST

/* What an unshare finds in a segment that somebody writes to as he likes. */
START_TEST(test_share_unshare_of_what_was_damaged)
{
	_Atomic uint64_t *word;
	uint64_t handle, seen;
	void *chunk;

	handle = must_share(0, 1, &chunk);
	word = &segment_managers(segment)->entries[word_value(word_of_handle(handle))].word;
	seen = atomic_load(word);
	atomic_store(word, word_freed(seen));
	must_not_unshare(0, chunk, -EBUSY);
	atomic_store(word, seen);
	must_free(0, must_unshare(0, chunk));
	must_be_deserted();
}
END_TEST

/* ---- bits and death ---- */

/* Too late for the last incarnation: a bit is set, not yet counted by a stamp. */
START_TEST(test_share_late_bit_is_wiped_by_the_next_share)
{
	void *chunk;
	uint64_t handle = must_share(0, 1, &chunk);
	uint32_t manager = word_value(word_of_handle(handle));

	must_free(0, chunk);
	chunk_manager_set(segment, manager, clients[3]->holder);
	must_be_deserted();

	/* Shared anew: the late one's bit is gone, and does not keep the chunk. */
	do {
		handle = must_share(0, 2, &chunk);
	} while (word_value(word_of_handle(handle)) != manager);
	ck_assert(!chunk_manager_has(segment, manager, clients[3]->holder));
	ck_assert(chunk_manager_has(segment, manager, clients[0]->holder));
	mempool_client_close(clients[0]);
	clients[0] = NULL;
	must_be_deserted();
}
END_TEST

/* A bit that comes after the share keeps the chunk until it is dropped; then it must go. */
START_TEST(test_share_late_reference_collects_when_it_is_dropped)
{
	void *chunk;
	uint64_t handle = must_share(0, 1, &chunk);
	uint32_t manager = word_value(word_of_handle(handle));

	share_add(clients[1], manager);
	must_free(0, chunk);
	ck_assert_uint_eq(test_segment_used(segment, 0), 1);
	ck_assert_int_eq(share_drop(clients[1], manager), 0);
	ck_assert_int_eq(share_drop(clients[1], manager), -EPERM);
	must_be_deserted();

	/* On a manager that is not shared at all: nothing happens. */
	share_add(clients[1], manager);
	ck_assert_int_eq(chunk_manager_stamp(segment, manager), -ESTALE);
	ck_assert_int_eq(share_drop(clients[1], manager), 0);
	must_be_deserted();
}
END_TEST

START_TEST(test_share_reaper_drops_the_shares_of_the_dead)
{
	void *chunk;
	uint64_t handle;

	make(holder_counts[_i]);
	handle = must_share(0, 8, &chunk);
	for (uint32_t i = 1; i < N_CLIENTS; i++)
		must_acquire(i, handle, 8);
	for (uint32_t i = 1; i < N_CLIENTS; i++)
		ck_assert_int_eq(reap_holder(segment, clients[i]->holder), 0);
	must_free(0, must_acquire(0, handle, 8));
	ck_assert_int_eq(reap_holder(segment, clients[0]->holder), 1);
	must_be_deserted();
	teardown();
}
END_TEST

/* The stop points of share and collect, as words. */
START_TEST(test_share_reaper_frees_both_at_every_stop)
{
	struct pool *managers = segment_managers(segment);
	uint32_t dead = clients[0]->holder, manager, index;
	uint64_t handle, word, manager_word;
	void *chunk;

	for (int stop = 0; stop < 6; stop++) {
		handle = must_share(0, 1, &chunk);
		index = handle_index(handle);
		word = word_of_handle(handle);
		manager = word_value(word);
		manager_word = atomic_load(&managers->entries[manager].word);
		switch (stop) {
		case 0:		/* sharing: the manager claimed, the chunk not yet shared */
			word = word_claimed(word, dead);
			manager_word = word_claimed(manager_word, dead);
			break;
		case 1:		/* sharing: the manager SHARED */
			word = word_claimed(word, dead);
			break;
		case 2:		/* collecting: the manager taken */
			manager_word = word_claimed(manager_word, dead);
			break;
		case 3:		/* collecting: the chunk taken, too */
			word = word_taken(word, dead);
			manager_word = word_claimed(manager_word, dead);
			break;
		case 4:		/* collecting: the manager is free */
			word = word_taken(word, dead);
			manager_word = word_freed(manager_word);
			break;
		case 5:		/* the bit cleared, not yet collected */
			chunk_manager_clear(segment, manager, dead);
			break;
		}
		atomic_store(&managers->entries[manager].word, manager_word);
		atomic_store(&segment->pools[0].entries[index].word, word);
		ck_assert_int_eq(reap_holder(segment, dead), 1);
		must_be_deserted();
		must_be_stale(1, handle);
	}
}
END_TEST

START_TEST(test_share_stamp_wraps_within_its_bits)
{
	void *chunk;
	uint64_t handle = must_share(0, 1, &chunk);
	uint32_t manager = word_value(word_of_handle(handle));
	_Atomic uint64_t *word = &segment_managers(segment)->entries[manager].word;
	uint64_t seen = atomic_load(word);

	atomic_store(word, word_make(word_generation(seen), MEMPOOL_SHARED, WORD_VALUE_MASK));
	ck_assert_int_eq(chunk_manager_stamp(segment, manager), 0);
	ck_assert_uint_eq(atomic_load(word), word_make(word_generation(seen), MEMPOOL_SHARED, 0));
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

/* What a hostile client writes into a manager or a word leads nowhere. */
static uint64_t count_faults(void)
{
	struct audit audit;

	ck_assert_int_eq(audit_segment(segment, 0, NULL, NULL, &audit), 0);
	return audit.n_faults;
}

/* A client stopped between the manager's word and the chunk's, as the audit finds it. */
START_TEST(test_share_half_made_is_a_fault_of_the_dead_alone)
{
	struct pool *managers = segment_managers(segment);
	_Atomic uint64_t *word;
	uint32_t generation;
	uint64_t handle, whole;
	void *chunk;

	handle = must_share(0, 1, &chunk);
	/* Sharing: the manager is SHARED already. */
	word = &segment->pools[0].entries[handle_index(handle)].word;
	whole = atomic_load(word);
	atomic_store(word, word_claimed(whole, clients[0]->holder));
	ck_assert_uint_eq(count_faults(), 0);
	atomic_store(word, whole);

	/* Collecting: it is not SHARED any more. */
	word = &managers->entries[word_value(segment->pools[0].entries[handle_index(handle)]
						     .word)].word;
	whole = atomic_load(word);
	generation = word_generation(whole);
	ck_assert_uint_eq(count_faults(), 0);

	atomic_store(word, word_make(generation, MEMPOOL_OWNED, clients[0]->holder));
	ck_assert_uint_eq(count_faults(), 0);
	atomic_store(word, word_make(generation, MEMPOOL_FREE, 0));
	ck_assert_uint_eq(count_faults(), 1);
	/* The chunk, and the manager itself. */
	holder_set_state(segment, clients[0]->holder + 1, MEMPOOL_HOLDER_FREE);
	atomic_store(word, word_make(generation, MEMPOOL_OWNED, clients[0]->holder + 1));
	ck_assert_uint_eq(count_faults(), 2);

	atomic_store(word, whole);
	ck_assert_int_eq(mempool_free(clients[0], chunk), 0);
	must_be_deserted();
}
END_TEST

START_TEST(test_share_hostile_links_are_not_followed)
{
	static const uint32_t links[] = {
		UINT32_MAX, 0x08000000 /* the managers' pool */, N_CHUNKS, 0xfc000000,
	};
	struct pool *managers = segment_managers(segment);

	for (uint32_t i = 0; i < ARRAY_SIZE(links); i++) {
		void *chunk;
		uint64_t handle = must_share(0, 1, &chunk);
		uint64_t word = word_of_handle(handle);
		_Atomic uint64_t *entry = &segment->pools[0].entries[handle_index(handle)].word;

		atomic_store(&segment_manager(segment, word_value(word))->chunk, links[i]);
		must_free(0, chunk);
		ck_assert(word_is_free(atomic_load(&managers->entries[word_value(word)].word)));
		/* The chunk is lost to whoever did that, and a manager out of range is stale. */
		atomic_store(entry, word_make(9, MEMPOOL_SHARED, managers->n_chunks));
		must_be_stale(1, handle_make(9, 0, handle_index(handle)));
		ck_assert_int_eq(mempool_free(clients[0], chunk), -EPERM);
		ck_assert_int_eq(mempool_give(clients[0], chunk, 1, &handle), -EPERM);
		atomic_store(entry, word_make(10, MEMPOOL_FREE, 0));
	}
	must_be_deserted();
}
END_TEST

/* ---- at the same time ---- */

enum { N_SLOTS = 3, N_STEPS = MEMPOOL_SANITIZED ? 3000 : 60000, THREADS_EACH = 2 };

static _Atomic uint64_t slots[N_SLOTS];		/* handles about; some stale by now */
static _Atomic uint64_t n_faults, n_acquired, n_stale;

struct player {
	struct mempool_client *client;
	uint64_t random;
	double end;
	pthread_t thread;
};

static uint32_t dice(struct player *player, uint32_t sides)
{
	player->random ^= player->random << 13;
	player->random ^= player->random >> 7;
	player->random ^= player->random << 17;
	return (uint32_t)(player->random >> 32) % sides;
}

/* The content says which incarnation it is of; by the time it is read it must still fit. */
static void play_share(struct player *player)
{
	uint64_t *chunk = mempool_alloc(player->client, CHUNK_SIZE), handle;

	if (!chunk)
		return;
	/* The handle is not known before, its chunk and generation are. */
	chunk[0] = (uint64_t)(uintptr_t)chunk;
	chunk[1] = 0;
	n_faults += mempool_share(player->client, chunk, 16, &handle) != 0;
	atomic_store((_Atomic uint64_t *)&chunk[1], handle);
	atomic_store(&slots[dice(player, N_SLOTS)], handle);
	if (dice(player, 2))
		sched_yield();
	n_faults += atomic_load((_Atomic uint64_t *)&chunk[1]) != handle;
	n_faults += mempool_free(player->client, chunk) != 0;
}

static void play_acquire(struct player *player)
{
	uint64_t handle = atomic_load(&slots[dice(player, N_SLOTS)]);
	const void *held;
	uint64_t *chunk;
	size_t length;
	int r;

	if (!handle)
		return;
	r = mempool_acquire(player->client, handle, &held, &length);
	if (r == -ESTALE) {
		n_stale++;
		return;
	}
	n_acquired++;
	n_faults += r != 0 || length != 16;
	chunk = (uint64_t *)(uintptr_t)held;
	for (uint32_t i = dice(player, 4) + 1; i > 0; i--) {
		n_faults += atomic_load((_Atomic uint64_t *)&chunk[1]) != handle;
		sched_yield();
	}
	n_faults += mempool_free(player->client, chunk) != 0;
}

/* Each yield costs a turn of all that run beside it: as many steps as the time allows. */
static bool may_go_on(const struct player *player, uint32_t n_steps)
{
	if (n_acquired == 0 || n_stale == 0)
		return true;
	return n_steps < N_STEPS && test_seconds() < player->end;
}

static void *play(void *userdata)
{
	struct player *player = userdata;

	for (uint32_t i = 0; may_go_on(player, i); i++)
		if (dice(player, 3) == 0)
			play_share(player);
		else
			play_acquire(player);
	return NULL;
}

/* Two threads in each of three clients, few chunks: managers change hands all the time. */
START_TEST(test_share_threads_of_several_clients)
{
	double end = test_seconds() + TEST_TRY_SECONDS;
	struct player players[3 * THREADS_EACH];

	make(holder_counts[_i]);
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++) {
		players[i] = (struct player){
			.client = clients[i / THREADS_EACH + 1],
			.random = 88172645463325252ULL + i,
			.end = end,
		};
		ck_assert_int_eq(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(players); i++)
		pthread_join(players[i].thread, NULL);
	ck_assert_uint_eq(n_faults, 0);
	ck_assert_uint_gt(n_acquired, 0);
	ck_assert_uint_gt(n_stale, 0);
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		for (uint32_t m = 0; m < segment_managers(segment)->n_chunks; m++)
			ck_assert_uint_eq(clients[i]->references[m], 0);
	must_be_deserted();
	teardown();
}
END_TEST

/* ---- two threads that share one chunk at the same time ---- */

static void *alloc_one(uint32_t by, struct chunk_ref *ret_chunk, uint64_t *ret_word)
{
	uint64_t *chunk = mempool_alloc(clients[by], CHUNK_SIZE);
	const struct pool *pool;

	ck_assert_ptr_nonnull(chunk);
	*chunk = 5;
	ck_assert_int_eq(client_locate(clients[by], chunk, &pool, &ret_chunk->index), 0);
	ret_chunk->pool = pool->id;
	*ret_word = atomic_load(&pool->entries[ret_chunk->index].word);
	return chunk;
}

/* The second one to swap the word: as if it had read it before the first one did. */
START_TEST(test_share_second_thread_gives_its_manager_back)
{
	struct cache *cache = cache_get(clients[0]);
	struct chunk_ref ref;
	uint64_t handle, word, shared;
	uint32_t manager;
	void *chunk = alloc_one(0, &ref, &word);

	ck_assert_int_eq(mempool_share(clients[0], chunk, 8, &handle), 0);
	shared = word_of_handle(handle);
	manager = word_value(shared);
	ck_assert_int_eq(share_owned(cache, ref, 8, MEMPOOL_HOLDER_NONE, &word), -EBUSY);
	ck_assert_uint_eq(word, shared);
	ck_assert_uint_eq(word_of_handle(handle), shared);
	ck_assert_uint_eq(test_segment_used(segment, segment->n_pools), 1);
	for (uint32_t m = 0; m < segment_managers(segment)->n_chunks; m++)
		ck_assert_uint_eq(clients[0]->references[m], m == manager);

	must_free(1, must_acquire(1, handle, 5));
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

/* A mistake of the caller's: nothing is lost, and nothing of another's is touched. */
START_TEST(test_share_of_what_another_thread_let_go_of_eperm)
{
	struct cache *cache = cache_get(clients[0]);
	struct chunk_ref ref;
	uint64_t handle, word, stale;
	void *chunk = alloc_one(0, &ref, &stale);

	must_free(0, chunk);
	word = stale;
	ck_assert_int_eq(share_owned(cache, ref, 8, MEMPOOL_HOLDER_NONE, &word), -EPERM);
	must_be_deserted();

	ck_assert_ptr_eq(mempool_alloc(clients[0], CHUNK_SIZE), chunk);
	ck_assert_int_eq(mempool_give(clients[0], chunk, 8, &handle), 0);
	word = stale;
	ck_assert_int_eq(share_owned(cache, ref, 8, MEMPOOL_HOLDER_NONE, &word), -EPERM);
	ck_assert_int_eq(mempool_take(clients[1], handle, &chunk, NULL), 0);
	word = stale;
	ck_assert_int_eq(share_owned(cache, ref, 8, MEMPOOL_HOLDER_NONE, &word), -EPERM);
	must_free(1, chunk);
	must_be_deserted();
}
END_TEST

/* Each such thread needs a manager for a moment, and there are only as many as chunks. */
START_TEST(test_share_without_a_manager_eagain_nothing_changed)
{
	struct pool *managers = segment_managers(segment);
	uint32_t index, holder = clients[1]->holder;
	struct cache *cache = cache_get(clients[0]);
	struct chunk_ref ref;
	uint64_t handle = 7, word, stale;
	void *chunk = alloc_one(0, &ref, &word);

	stale = word;
	for (index = 0; index < managers->n_chunks; index++)
		ck_assert_int_eq(pool_claim(managers, index, holder), 0);
	ck_assert_int_eq(mempool_share(clients[0], chunk, 8, &handle), -EAGAIN);
	ck_assert_uint_eq(handle, 7);
	ck_assert_uint_eq(atomic_load(&segment->pools[0].entries[ref.index].word), word);

	/* One is enough for both threads, if the second comes after the first. */
	ck_assert_int_eq(pool_release_checked(managers, 3, holder), 0);
	pool_hint(managers, 3);
	ck_assert_int_eq(mempool_share(clients[0], chunk, 8, &handle), 0);
	ck_assert_int_eq(share_owned(cache, ref, 8, MEMPOOL_HOLDER_NONE, &stale), -EBUSY);
	must_free(1, must_acquire(1, handle, 5));
	must_free(0, chunk);
	ck_assert_int_eq(reap_holder(segment, holder), 0);
	must_be_deserted();
}
END_TEST

static void give_a_manager_back(void)
{
	struct pool *managers = segment_managers(segment);

	ck_assert_int_eq(pool_release_checked(managers, 3, clients[1]->holder), 0);
	pool_hint(managers, 3);
}

/* Who has one too many needs it for some instructions only. */
START_TEST(test_share_lets_the_last_manager_come_back)
{
	struct pool *managers = segment_managers(segment);
	uint32_t holder = clients[1]->holder;
	struct chunk_ref ref;
	uint64_t handle, word;
	void *chunk = alloc_one(0, &ref, &word);

	for (uint32_t i = 0; i < managers->n_chunks; i++)
		ck_assert_int_eq(pool_claim(managers, i, holder), 0);
	others_step = give_a_manager_back;
	ck_assert_int_eq(mempool_share(clients[0], chunk, 8, &handle), 0);
	must_free(1, must_acquire(1, handle, 5));
	must_free(0, chunk);
	ck_assert_int_eq(reap_holder(segment, holder), 0);
	must_be_deserted();
}
END_TEST

enum { BOTH_ROUNDS = 100000 };

/* What two threads of clients[0] share, each round; and where they wait for each other. */
struct both {
	uint64_t *chunk;
	_Atomic bool is_last;
	_Atomic uint32_t n_arrived;
};

static void meet(struct both *both)
{
	uint32_t n = atomic_fetch_add(&both->n_arrived, 1) + 1;
	uint32_t last = (n + 1) & ~UINT32_C(1);

	for (uint32_t i = 1; atomic_load(&both->n_arrived) < last; i++)
		if (i % 1000 == 0)
			sched_yield();
}

/* With the handle that it was given, somebody else acquires at once. */
static void share_with(struct both *both, uint32_t other)
{
	const void *seen;
	uint64_t handle;
	int r = mempool_share(clients[0], both->chunk, 8, &handle);

	if (r == 0)
		r = mempool_acquire(clients[other], handle, &seen, NULL);
	if (r < 0 || seen != both->chunk)
		n_faults++;
	else if (*(const uint64_t *)seen != 5 || mempool_free(clients[other], seen) != 0)
		n_faults++;
}

static void *share_beside(void *userdata)
{
	struct both *both = userdata;
	bool is_last;

	do {
		meet(both);
		is_last = atomic_load(&both->is_last);
		share_with(both, 2);
		meet(both);
	} while (!is_last);
	return NULL;
}

START_TEST(test_share_of_one_chunk_by_two_threads_at_once)
{
	const uint32_t n_rounds = BOTH_ROUNDS / (MEMPOOL_SANITIZED ? 10 : 1);
	double end = test_seconds() + TEST_TRY_SECONDS;
	struct both both = { .is_last = false };
	uint32_t random = 1, n_wrong = 0;
	struct chunk_ref ref;
	pthread_t thread;
	uint64_t word;

	ck_assert_int_eq(pthread_create(&thread, NULL, share_beside, &both), 0);
	for (uint32_t i = 0; !both.is_last; i++) {
		both.chunk = alloc_one(0, &ref, &word);
		atomic_store(&both.is_last, i + 1 == n_rounds || test_seconds() > end);
		meet(&both);
		/* Now the one is first, now the other. */
		random = random * 1664525 + 1013904223;
		for (uint32_t pause = random >> 24; pause > 0; pause--)
			atomic_signal_fence(memory_order_seq_cst);
		share_with(&both, 1);
		meet(&both);
		n_wrong += mempool_free(clients[0], both.chunk) != 0;
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_eq(n_faults, 0);
	must_be_deserted();
}
END_TEST

/* ---- more references than there is room to count ---- */

#define MOST_REFERENCES (UINT32_MAX >> 1)

START_TEST(test_share_more_references_than_can_be_counted_eoverflow)
{
	const void *again = &pools;
	uint64_t handle;
	void *chunk;
	_Atomic uint32_t *references;

	handle = must_share(0, 1, &chunk);
	references = &clients[0]->references[word_value(word_of_handle(handle))];
	atomic_store(references, MOST_REFERENCES - 1);
	must_acquire(0, handle, 1);
	ck_assert_int_eq(mempool_acquire(clients[0], handle, &again, NULL), -EOVERFLOW);
	ck_assert_ptr_eq(again, &pools);
	ck_assert_uint_eq(atomic_load(references), MOST_REFERENCES);
	/* Others are not concerned, and one that is let go makes room. */
	must_free(1, must_acquire(1, handle, 1));
	must_free(0, chunk);
	must_free(0, must_acquire(0, handle, 1));
	atomic_store(references, 1);
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

/* No manager can have so many, if it is free; in a damaged segment it may. */
START_TEST(test_share_overflow_leaves_the_chunk_alone)
{
	uint32_t n_managers = segment_managers(segment)->n_chunks;
	struct chunk_ref ref;
	uint64_t handle, word;
	void *chunk = alloc_one(0, &ref, &word);

	for (uint32_t m = 0; m < n_managers; m++)
		atomic_store(&clients[0]->references[m], MOST_REFERENCES);
	ck_assert_int_eq(mempool_share(clients[0], chunk, 8, &handle), -EOVERFLOW);
	for (uint32_t m = 0; m < n_managers; m++)
		atomic_store(&clients[0]->references[m], 0);
	ck_assert_uint_eq(atomic_load(&segment->pools[0].entries[ref.index].word), word);
	must_free(0, chunk);
	must_be_deserted();
}
END_TEST

/* ---- a thread of real-time priority ---- */

static void stay_on_one_processor(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t set, all;

	ck_assert_int_eq(pthread_getaffinity_np(pthread_self(), sizeof(all), &all), 0);
	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&set) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &set);
	ck_assert_int_eq(pthread_setaffinity_np(pthread_self(), sizeof(set), &set), 0);
	/* Refused without the privilege: then it waits for one of the same priority. */
	pthread_setschedparam(pthread_self(), policy, &param);
}

static void *add_urgently(void *manager)
{
	stay_on_one_processor(SCHED_FIFO, 1);
	share_add(clients[0], *(uint32_t *)manager);
	return NULL;
}

START_TEST(test_share_urgent_thread_lets_the_last_reference_go)
{
	struct control control;
	uint32_t manager = 0;
	pthread_t thread;

	control_start(&control);
	stay_on_one_processor(SCHED_OTHER, 0);
	/* As in share_drop(), put off between its two steps. */
	atomic_store(&clients[0]->references[manager], UINT32_C(1) << 31);
	ck_assert_int_eq(pthread_create(&thread, NULL, add_urgently, &manager), 0);
	usleep(10000);
	atomic_store(&clients[0]->references[manager], 0);
	pthread_join(thread, NULL);
	/* The kernel's throttle of such threads would let it go after a second. */
	ck_assert_double_lt(control_stop(&control), 500);
	ck_assert_int_eq(share_drop(clients[0], manager), 0);
}
END_TEST

/* These make their own segment, of each number of holders. */
static void add_tests_of_each_size(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_share_is_held_until_the_last_lets_go, 0,
			    ARRAY_SIZE(holder_counts));
	tcase_add_loop_test(tcase, test_share_each_chunk_at_the_same_time, 0,
			    ARRAY_SIZE(holder_counts));
	tcase_add_loop_test(tcase, test_share_unshared_is_ours_to_write_and_share, 0,
			    ARRAY_SIZE(holder_counts));
	tcase_add_loop_test(tcase, test_share_reaper_drops_the_shares_of_the_dead, 0,
			    ARRAY_SIZE(holder_counts));
	tcase_add_loop_test(tcase, test_share_threads_of_several_clients, 0,
			    ARRAY_SIZE(holder_counts));
}

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_share_of_one_process_is_counted);
	tcase_add_test(tcase, test_share_bad_calls_change_nothing);
	tcase_add_test(tcase, test_share_stale_handles_never_lead_to_others_data);
	tcase_add_test(tcase, test_share_owned_given_free_chunks_are_stale);
	tcase_add_test(tcase, test_share_close_counts_and_frees);
	tcase_add_test(tcase, test_share_unshare_with_another_hold_of_ours_ebusy);
	tcase_add_test(tcase, test_share_unshare_bad_calls_change_nothing);
	tcase_add_test(tcase, test_share_unshared_is_counted_by_close);
	tcase_add_test(tcase, test_share_unshare_meets_one_who_comes);
	tcase_add_test(tcase, test_share_unshare_when_the_others_are_reaped);
	tcase_add_test(tcase, test_share_unshare_of_what_was_damaged);
	tcase_add_test(tcase, test_share_late_bit_is_wiped_by_the_next_share);
	tcase_add_test(tcase, test_share_late_reference_collects_when_it_is_dropped);
	tcase_add_test(tcase, test_share_reaper_frees_both_at_every_stop);
	tcase_add_test(tcase, test_share_stamp_wraps_within_its_bits);
	tcase_add_test(tcase, test_share_half_made_is_a_fault_of_the_dead_alone);
	tcase_add_test(tcase, test_share_hostile_links_are_not_followed);
	tcase_add_test(tcase, test_share_second_thread_gives_its_manager_back);
	tcase_add_test(tcase, test_share_of_what_another_thread_let_go_of_eperm);
	tcase_add_test(tcase, test_share_without_a_manager_eagain_nothing_changed);
	tcase_add_test(tcase, test_share_lets_the_last_manager_come_back);
	tcase_add_test(tcase, test_share_of_one_chunk_by_two_threads_at_once);
	tcase_add_test(tcase, test_share_more_references_than_can_be_counted_eoverflow);
	tcase_add_test(tcase, test_share_overflow_leaves_the_chunk_alone);
	tcase_add_test(tcase, test_share_urgent_thread_lets_the_last_reference_go);
}

int main(void)
{
	int sizes = test_run("share: sizes", add_tests_of_each_size);

	return test_run("share", add_tests) | sizes;
}
