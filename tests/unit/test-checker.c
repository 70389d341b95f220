/* SPDX-License-Identifier: MIT */
/* test-checker.c - MEMPOOL_CLIENT_DEBUG: writes beyond a chunk, and to a freed one, are found */
/* First: as in test-trace.c. */
#include "client/checker.h"

#include "test_clients.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/bound.h"
#include "shm/word.h"

/* Asked for, of a chunk of 1000 bytes that stand 1024 apart. */
enum { ASKED = 900, CHUNK = 1000, STRIDE = 1024, N_CHUNKS = 8, CAPACITY = 2 };

/* `client` checks, and `other` does not. */
static struct mempool_client *second;	/* checks, too */
static struct mempool_queue *queue, *queue_of_second, *queue_of_other;
static struct mempool_topic *topic;
static uint64_t handle;

static void make(bool traces)
{
	static const struct test_pool one = {
		.chunk_size = CHUNK, .n_chunks = N_CHUNKS, .alignment = STRIDE,
	};
	struct config config;

	test_config_init(&config, &one, 1);
	config.traces = traces;
	ck_assert_int_eq(config_add_ring(&config, "q", MEMPOOL_RING_QUEUE, CAPACITY), 0);
	ck_assert_int_eq(config_add_ring(&config, "t", MEMPOOL_RING_TOPIC, CAPACITY), 0);
	segment = test_segment_new_of(&config);
	config_deinit(&config);
	client = client_of(segment, TEST_HOLDER + 2, MEMPOOL_CLIENT_DEBUG);
	other = client_of(segment, TEST_HOLDER + 3, 0);
	second = client_of(segment, TEST_HOLDER + 4, MEMPOOL_CLIENT_DEBUG);
	ck_assert_int_eq(mempool_queue_open(client, "q", &queue), 0);
	ck_assert_int_eq(mempool_queue_open(second, "q", &queue_of_second), 0);
	ck_assert_int_eq(mempool_queue_open(other, "q", &queue_of_other), 0);
	ck_assert_int_eq(mempool_topic_open(client, "t", &topic), 0);
}

static void setup_checked(void)
{
	make(false);
}

static void setup_traced(void)
{
	make(true);
}

static void teardown_checked(void)
{
	mempool_queue_close(queue);
	mempool_queue_close(queue_of_second);
	mempool_queue_close(queue_of_other);
	mempool_topic_close(topic);
	mempool_client_close(second);
	teardown();
}

/* Filled to the last byte that was asked for. */
static unsigned char *alloc_filled(struct mempool_client *by)
{
	unsigned char *chunk = must_alloc(by, ASKED);

	memset(chunk, 0x11, ASKED);
	return chunk;
}

/* What was found last; and all that was said is in one line. */
static void assert_told(const char *words)
{
	const char *error = mempool_client_error();

	ck_assert_msg(strstr(error, words), "\"%s\" is not in: %s", words, error);
	ck_assert_ptr_null(strchr(error, '\n'));
}

/* ---- where a chunk leaves ---- */

static int by_free(void *chunk)
{
	return mempool_free(client, chunk);
}

static int by_free_many(void *chunk)
{
	ssize_t n = mempool_free_many(client, &chunk, 1);

	return n < 0 ? (int)n : 0;
}

static int by_give(void *chunk)
{
	return mempool_give(client, chunk, 10, &handle);
}

static int by_share(void *chunk)
{
	return mempool_share(client, chunk, 10, &handle);
}

static int by_send(void *chunk)
{
	return mempool_queue_send(queue, chunk, 10, 0);
}

static int by_send_many(void *chunk)
{
	size_t length = 10;
	ssize_t n = mempool_queue_send_many(queue, &chunk, &length, 1, 0);

	return n < 0 ? (int)n : 0;
}

static int by_send_evict(void *chunk)
{
	void *oldest;
	int r = mempool_queue_send_evict(queue, chunk, 10, &oldest, NULL);

	ck_assert_ptr_null(oldest);
	return r;
}

static int by_publish(void *chunk)
{
	return mempool_topic_publish(topic, chunk, 10);
}

static int by_unshare(void *chunk)
{
	return mempool_unshare(client, chunk, &chunk);
}

static int (*const leaving[])(void *chunk) = {
	by_free, by_free_many, by_give, by_share, by_send, by_send_many, by_send_evict, by_publish,
	by_unshare,
};

START_TEST(test_checker_write_beyond_found_where_the_chunk_leaves_and_told_once)
{
	unsigned char *chunk = alloc_filled(client);
	struct mempool_queue_counts counts;

	chunk[ASKED] = 0x22;
	ck_assert_int_eq(leaving[_i](chunk), -EFAULT);
	assert_told("byte 900 is 0x22");
	assert_told("beyond its 900 bytes");
	assert_told("of pool 0, handle 0x");
	/* It is where it was, and the same call does it now. */
	ck_assert_uint_eq(used(0), 1);
	ck_assert_int_eq(mempool_chunk_is_exclusive(client, chunk), 1);
	ck_assert_int_eq(mempool_queue_info(queue, &counts), 0);
	ck_assert_uint_eq(counts.length, 0);
	ck_assert_int_eq(leaving[_i](chunk), 0);
}
END_TEST

START_TEST(test_checker_nothing_written_nothing_found)
{
	unsigned char *chunk = alloc_filled(client);

	ck_assert_int_eq(leaving[_i](chunk), 0);
	ck_assert_str_eq(mempool_client_error(), "");
}
END_TEST

START_TEST(test_checker_each_byte_behind_is_found_and_none_before)
{
	for (size_t at = 0; at < STRIDE; at++) {
		unsigned char *chunk = alloc_filled(client);
		char words[32];

		chunk[at] = 0x22;
		if (at < ASKED) {
			ck_assert_int_eq(mempool_free(client, chunk), 0);
			continue;
		}
		ck_assert_int_eq(mempool_free(client, chunk), -EFAULT);
		snprintf(words, sizeof(words), "byte %zu is 0x22", at);
		assert_told(words);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
}
END_TEST

START_TEST(test_checker_finding_names_chunk_handle_and_holder)
{
	unsigned char *chunk = alloc_filled(client);
	const struct pool *pool = &client->segment->pools[0];
	uint32_t index = (uint32_t)((size_t)(chunk - pool->data) / STRIDE);
	char words[128];

	chunk[STRIDE - 1] = 0;
	ck_assert_int_eq(mempool_free(client, chunk), -EFAULT);
	snprintf(words, sizeof(words), "chunk %u of pool 0, handle 0x%" PRIx64 ", of holder %u", index,
		 handle_make(word_generation(atomic_load(&pool->entries[index].word)), 0, index),
		 TEST_HOLDER + 2);
	assert_told(words);
}
END_TEST

static void *by_alloc(void)
{
	return mempool_alloc(client, ASKED);
}

static void *by_alloc_zeroed(void)
{
	return mempool_alloc_zeroed(client, ASKED);
}

static void *by_alloc_aligned(void)
{
	return mempool_alloc_aligned(client, ASKED, STRIDE);
}

static void *by_alloc_wait(void)
{
	return mempool_alloc_wait(client, ASKED, 1000);
}

static void *by_alloc_many(void)
{
	void *chunk = NULL;
	ssize_t n = mempool_alloc_many(client, ASKED, &chunk, 1);

	errno = n < 0 ? (int)-n : 0;
	return n == 1 ? chunk : NULL;
}

static void *by_alloc_all(void)
{
	void *chunk = NULL;

	errno = -mempool_alloc_all(client, ASKED, &chunk, 1);
	return errno == 0 ? chunk : NULL;
}

static void *(*const coming[])(void) = {
	by_alloc, by_alloc_zeroed, by_alloc_aligned, by_alloc_wait, by_alloc_many, by_alloc_all,
};

START_TEST(test_checker_each_alloc_has_a_zone_and_is_usable_as_asked)
{
	unsigned char *chunk = coming[_i]();

	ck_assert_ptr_nonnull(chunk);
	ck_assert_int_eq(mempool_usable_size(client, chunk), ASKED);
	chunk[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free(client, chunk), -EFAULT);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

START_TEST(test_checker_without_the_flag_usable_is_all_and_nothing_is_looked_at)
{
	unsigned char *chunk = alloc_filled(other);

	ck_assert_int_eq(mempool_usable_size(other, chunk), CHUNK);
	memset(chunk, 0x22, CHUNK);
	ck_assert_int_eq(mempool_free(other, chunk), 0);
	ck_assert_ptr_eq(must_alloc(other, ASKED), chunk);
	ck_assert_int_eq(chunk[0], 0x22);
}
END_TEST

START_TEST(test_checker_message_longer_than_asked_emsgsize)
{
	unsigned char *chunk = alloc_filled(client);

	ck_assert_int_eq(mempool_give(client, chunk, ASKED + 1, &handle), -EMSGSIZE);
	ck_assert_int_eq(mempool_share(client, chunk, ASKED + 1, &handle), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, ASKED + 1, 0), -EMSGSIZE);
	ck_assert_int_eq(mempool_topic_publish(topic, chunk, ASKED + 1), -EMSGSIZE);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, ASKED, 0), 0);
	ck_assert_int_eq(mempool_queue_send(queue, chunk, ASKED + 1, 0), -EPERM);
}
END_TEST

/* ---- freed chunks ---- */

/* A chunk that is freed and written to: the next alloc of this thread gets it. */
static unsigned char *freed_and_written(size_t at)
{
	unsigned char *chunk = alloc_filled(client);

	ck_assert_int_eq(mempool_free(client, chunk), 0);
	for (size_t i = 0; i < STRIDE; i++)
		ck_assert_int_eq(chunk[i], 0xde);
	chunk[at] = 0x33;
	return chunk;
}

START_TEST(test_checker_write_after_free_found_by_the_next_alloc_and_told_once)
{
	static const size_t places[] = { 0, 1, ASKED, STRIDE - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		unsigned char *chunk = freed_and_written(places[i]);
		char words[64];

		errno = 0;
		ck_assert_ptr_null(coming[_i]());
		ck_assert_int_eq(errno, EFAULT);
		snprintf(words, sizeof(words), "byte %zu is 0x33: it was written to after", places[i]);
		assert_told(words);
		ck_assert_uint_eq(used(0), 0);
		ck_assert_ptr_eq(coming[_i](), chunk);
		ck_assert_int_eq(mempool_free(client, chunk), 0);
	}
	ck_assert_int_eq(mempool_client_close(client), 0);
	client = NULL;
}
END_TEST

START_TEST(test_checker_chunk_that_another_has_had_meanwhile_is_not_looked_at)
{
	void *chunks[N_CHUNKS];
	unsigned char *chunk;

	/* All of them, so that it does not matter which one either gets. */
	for (int i = 0; i < N_CHUNKS; i++)
		chunks[i] = alloc_filled(client);
	for (int i = 0; i < N_CHUNKS; i++)
		ck_assert_int_eq(mempool_free(client, chunks[i]), 0);
	for (int i = 0; i < N_CHUNKS; i++)
		chunks[i] = memset(must_alloc(other, CHUNK), 0x44, CHUNK);
	for (int i = 0; i < N_CHUNKS; i++)
		ck_assert_int_eq(mempool_free(other, chunks[i]), 0);
	for (int i = 0; i < N_CHUNKS; i++) {
		chunk = must_alloc(client, ASKED);
		ck_assert_int_eq(chunk[0], 0x44);
	}
}
END_TEST

START_TEST(test_checker_bounded_a_finding_costs_no_credit)
{
	struct mempool_client *bounded = client_of(segment, TEST_HOLDER + 5, MEMPOOL_CLIENT_DEBUG);
	unsigned char *chunk;

	bound_init(bounded, &(struct holder_bound){ 1, 0 });
	for (int i = 0; i < 3; i++) {
		chunk = alloc_filled(bounded);
		assert_no_chunk(bounded, ASKED, EDQUOT);
		chunk[ASKED] = 0x22;
		ck_assert_int_eq(mempool_free(bounded, chunk), -EFAULT);
		assert_no_chunk(bounded, ASKED, EDQUOT);
		ck_assert_int_eq(mempool_free(bounded, chunk), 0);
		chunk[0] = 0x33;
		assert_no_chunk(bounded, ASKED, EFAULT);
	}
	ck_assert_int_eq(mempool_client_close(bounded), 0);
}
END_TEST

START_TEST(test_checker_many_end_at_the_finding)
{
	void *chunks[N_CHUNKS];

	ck_assert_int_eq(mempool_alloc_many(client, ASKED, chunks, 4), 4);
	((unsigned char *)chunks[2])[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free_many(client, chunks, 4), 2);
	assert_told("byte 900 is 0x22");
	ck_assert_int_eq(mempool_free_many(client, chunks + 2, 2), 2);
	/* The one that was freed last comes first. */
	((unsigned char *)chunks[2])[0] = 0x33;
	ck_assert_int_eq(mempool_alloc_many(client, ASKED, chunks + 4, 4), 1);
	assert_told("byte 0 is 0x33");
	ck_assert_uint_eq(used(0), 1);
}
END_TEST

/* ---- from one to another ---- */

START_TEST(test_checker_not_sent_after_all_the_zone_is_still_known)
{
	unsigned char *chunk;

	for (int i = 0; i < CAPACITY; i++)
		ck_assert_int_eq(mempool_queue_send(queue_of_other, alloc_filled(other), 10, 0), 0);
	chunk = alloc_filled(client);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(mempool_queue_send(queue, chunk, 10, 0), -EAGAIN);
	ck_assert_int_eq(mempool_usable_size(client, chunk), ASKED);
	chunk[ASKED] = 0x22;
	ck_assert_int_eq(mempool_queue_send(queue, chunk, 10, 0), -EFAULT);
}
END_TEST

START_TEST(test_checker_write_while_the_chunk_is_shared_found_at_its_free)
{
	unsigned char *chunk = alloc_filled(client);
	void *exclusive;

	ck_assert_int_eq(mempool_share(client, chunk, ASKED, &handle), 0);
	ck_assert_int_eq(mempool_usable_size(client, chunk), ASKED);
	chunk[ASKED] = 0x22;
	if (_i == 0)
		ck_assert_int_eq(mempool_free(client, chunk), -EFAULT);
	else
		ck_assert_int_eq(mempool_unshare(client, chunk, &exclusive), -EFAULT);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert_uint_eq(used(0), 0);
}
END_TEST

/* A message of a client, as the second one gets it. */
static unsigned char *received(struct mempool_queue *from, void *chunk, size_t length)
{
	void *came;

	ck_assert_int_eq(mempool_queue_send(from, chunk, length, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(queue_of_second, &came, NULL, 0), 0);
	return came;
}

START_TEST(test_checker_receiver_finds_its_own_write_beyond)
{
	unsigned char *chunk = received(queue, alloc_filled(client), 10);

	ck_assert_int_eq(mempool_usable_size(second, chunk), ASKED);
	memset(chunk, 0x55, ASKED);
	if (_i == 1)
		chunk[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free(second, chunk), _i == 1 ? -EFAULT : 0);
}
END_TEST

START_TEST(test_checker_receiver_knows_no_zone_of_a_sender_that_does_not_check)
{
	unsigned char *chunk = alloc_filled(other);

	memset(chunk, 0x11, STRIDE);
	chunk = received(queue_of_other, chunk, 10);
	ck_assert_int_eq(mempool_usable_size(second, chunk), CHUNK);
	memset(chunk, 0x22, CHUNK);
	ck_assert_int_eq(mempool_free(second, chunk), 0);
}
END_TEST

START_TEST(test_checker_receiver_takes_no_byte_of_the_message_for_a_zone)
{
	unsigned char *chunk = must_alloc(client, ASKED);

	memset(chunk, 0xfd, ASKED);
	chunk = received(queue, chunk, ASKED);
	ck_assert_int_eq(mempool_usable_size(second, chunk), ASKED);
}
END_TEST

START_TEST(test_checker_few_bytes_at_the_end_are_no_zone)
{
	unsigned char *chunk = alloc_filled(other);

	memset(chunk, 0x11, STRIDE);
	memset(chunk + STRIDE - 15, 0xfd, 15);
	chunk = received(queue_of_other, chunk, 10);
	memset(chunk, 0x22, STRIDE);
	ck_assert_int_eq(mempool_free(second, chunk), 0);
}
END_TEST

START_TEST(test_checker_one_that_does_not_check_may_use_the_room_in_between)
{
	unsigned char *chunk = alloc_filled(client);
	void *came;

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 10, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(queue_of_other, &came, NULL, 0), 0);
	ck_assert_int_eq(mempool_usable_size(other, came), CHUNK);
	memset(came, 0x66, CHUNK);
	ck_assert_int_eq(mempool_queue_send(queue_of_other, came, CHUNK, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(queue, &came, NULL, 0), 0);
	ck_assert_int_eq(mempool_usable_size(client, came), CHUNK);
	memset(came, 0x77, CHUNK);
	ck_assert_int_eq(mempool_free(client, came), 0);
	ck_assert_str_eq(mempool_client_error(), "");
}
END_TEST

START_TEST(test_checker_what_was_given_and_taken_back_has_its_zone)
{
	void *taken;

	ck_assert_int_eq(mempool_give(client, alloc_filled(client), 10, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &taken, NULL), 0);
	ck_assert_int_eq(mempool_usable_size(client, taken), ASKED);
	((unsigned char *)taken)[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free(client, taken), -EFAULT);
}
END_TEST

START_TEST(test_checker_what_is_unshared_has_its_zone)
{
	unsigned char *chunk = alloc_filled(client);
	void *exclusive;

	ck_assert_int_eq(mempool_share(client, chunk, 10, &handle), 0);
	ck_assert_int_eq(mempool_unshare(client, chunk, &exclusive), 0);
	ck_assert_int_eq(mempool_usable_size(client, exclusive), ASKED);
	chunk[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free(client, exclusive), -EFAULT);
}
END_TEST

START_TEST(test_checker_evicted_and_many_received_have_their_zones)
{
	unsigned char *chunk = alloc_filled(client);
	void *came = NULL;

	ck_assert_int_eq(mempool_queue_send(queue, chunk, 10, 0), 0);
	if (_i == 0) {
		ck_assert_int_eq(mempool_queue_receive_many(queue_of_second, &came, NULL, 1, 0), 1);
	} else {
		while (mempool_queue_send(queue, alloc_filled(client), 10, 0) == 0)
			;
		ck_assert_int_eq(mempool_queue_send_evict(queue_of_second, alloc_filled(second), 10,
							  &came, NULL),
				 0);
	}
	ck_assert_ptr_nonnull(came);
	ck_assert_int_eq(mempool_usable_size(second, came), ASKED);
	((unsigned char *)came)[ASKED] = 0x22;
	ck_assert_int_eq(mempool_free(second, came), -EFAULT);
}
END_TEST

/* A reader has the messages mapped for reading alone: it would end here. */
START_TEST(test_checker_reader_writes_to_no_message)
{
	struct mempool_client *reader;
	struct mempool_queue *from;
	unsigned char *chunk = alloc_filled(other);
	void *came;

	ck_assert_int_eq(client_new_as(MEMPOOL_ROLE_READER, 0, test_segment_view(segment),
				       TEST_HOLDER + 5, MEMPOOL_CLIENT_DEBUG, &reader), 0);
	ck_assert_int_eq(mempool_queue_open(reader, "q", &from), 0);
	ck_assert_int_eq(mempool_queue_send(queue_of_other, chunk, 10, 0), 0);
	ck_assert_int_eq(mempool_queue_receive(from, &came, NULL, 0), 0);
	ck_assert_int_eq(mempool_usable_size(reader, came), CHUNK);
	ck_assert_int_eq(mempool_free(reader, came), 0);
	ck_assert_int_eq(mempool_free(reader, came), -EPERM);
	for (size_t i = 0; i < ASKED; i++)
		ck_assert_int_eq(((unsigned char *)came)[i], 0x11);
	mempool_queue_close(from);
	ck_assert_int_eq(mempool_client_close(reader), 0);
}
END_TEST

/* ---- how it is told ---- */

__attribute__((noinline)) static unsigned char *alloc_here(void)
{
	unsigned char *chunk = mempool_alloc(client, ASKED);

	/* No tail call: that would be our caller's. */
	__asm__ volatile("" : : "g"(chunk) : "memory");
	return chunk;
}

START_TEST(test_checker_with_traces_the_call_is_told)
{
	unsigned char *chunk = alloc_here();

	if (_i == 0) {
		chunk[ASKED] = 0x22;
		ck_assert_int_eq(mempool_free(client, chunk), -EFAULT);
	} else {
		ck_assert_int_eq(mempool_free(client, chunk), 0);
		chunk[0] = 0x22;
		assert_no_chunk(client, ASKED, EFAULT);
	}
	assert_told("; it came at 0x");
	assert_told(" of test-checker");
}
END_TEST

/* What a child says on standard error before its end. */
static int end_of(void (*run)(void), char *said, size_t size)
{
	int ends[2], status;
	size_t length = 0;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		run();
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], said + length, size - 1 - length)) > 0)
		length += (size_t)n;
	said[length] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static uint64_t flags_of_child;

static void write_beyond_and_free(void)
{
	struct mempool_client *mine = client_of(segment, TEST_HOLDER + 5, flags_of_child);
	unsigned char *chunk = alloc_filled(mine);

	signal(SIGABRT, SIG_DFL);
	chunk[ASKED] = 0x22;
	mempool_free(mine, chunk);
}

START_TEST(test_checker_abort_only_where_asked_for)
{
	char said[512];

	flags_of_child = MEMPOOL_CLIENT_DEBUG_ABORT;
	ck_assert_int_eq(end_of(write_beyond_and_free, said, sizeof(said)), SIGABRT);
	ck_assert_ptr_eq(strstr(said, "libmempool-client: chunk "), said);
	ck_assert_ptr_nonnull(strstr(said, "byte 900 is 0x22"));
	/* In one line. What a wrapper says of the signal may come behind it. */
	ck_assert_ptr_nonnull(strchr(said, '\n'));
	ck_assert_ptr_null(strstr(strchr(said, '\n'), "libmempool-client: "));

	flags_of_child = MEMPOOL_CLIENT_DEBUG;
	ck_assert_int_eq(end_of(write_beyond_and_free, said, sizeof(said)), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

/* ---- the address sanitizer ---- */

extern int __asan_address_is_poisoned(const volatile void *address) __attribute__((weak));

static bool is_hidden(const void *address)
{
	return __asan_address_is_poisoned(address) != 0;
}

START_TEST(test_checker_sanitizer_is_told_of_zones_and_freed_chunks)
{
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic_of_other;
	unsigned char *chunk;
	const void *came;
	void *taken;

	if (!__asan_address_is_poisoned)
		return;
	checker_use_asan(client);
	chunk = alloc_filled(client);
	ck_assert(!is_hidden(chunk) && !is_hidden(chunk + ASKED - 1));
	ck_assert(is_hidden(chunk + ASKED) && is_hidden(chunk + STRIDE - 1));
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert(is_hidden(chunk) && is_hidden(chunk + STRIDE - 1));
	/* Each way that a chunk comes by shows it again; what was asked for, and no more. */
	ck_assert_ptr_eq(alloc_filled(client), chunk);
	ck_assert_int_eq(mempool_give(client, chunk, 10, &handle), 0);
	ck_assert_int_eq(mempool_take(client, handle, &taken, NULL), 0);
	ck_assert(!is_hidden(taken) && is_hidden((unsigned char *)taken + ASKED));
	/* By way of another process, which has other addresses: all of it may be the message. */
	ck_assert_int_eq(mempool_topic_open(other, "t", &topic_of_other), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber), 0);
	ck_assert_int_eq(mempool_give(client, taken, 10, &handle), 0);
	ck_assert_int_eq(mempool_take(other, handle, &taken, NULL), 0);
	ck_assert_int_eq(mempool_topic_publish(topic_of_other, taken, 10), 0);
	ck_assert_int_eq(mempool_subscriber_next(subscriber, &came, NULL, NULL, 0), 0);
	ck_assert(!is_hidden((const unsigned char *)came + ASKED));
	mempool_subscriber_close(subscriber);
	mempool_topic_close(topic_of_other);
}
END_TEST

static void *acquire_and_let_go(void *unused)
{
	const void *shared;

	(void)unused;
	for (int i = 0; i < 20000; i++)
		if (mempool_acquire(client, handle, &shared, NULL) < 0 ||
		    mempool_free(client, shared) < 0)
			return client;
	return NULL;
}

/* One has looked and hides the zone again, while the other one looks. */
START_TEST(test_checker_sanitizer_lets_two_threads_look_at_one_chunk)
{
	unsigned char *chunk = alloc_filled(client);
	pthread_t thread;
	void *failed;

	if (__asan_address_is_poisoned)
		checker_use_asan(client);
	ck_assert_int_eq(mempool_share(client, chunk, ASKED, &handle), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, acquire_and_let_go, NULL), 0);
	ck_assert_ptr_null(acquire_and_let_go(NULL));
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	ck_assert_int_eq(mempool_free(client, chunk), 0);
}
END_TEST

START_TEST(test_checker_sanitizer_is_told_nothing_of_a_client_that_peeks)
{
	struct mempool_subscriber *subscriber;
	unsigned char *chunk;
	const void *peeked;

	if (!__asan_address_is_poisoned)
		return;
	checker_use_asan(client);
	ck_assert_int_eq(mempool_free(client, alloc_filled(client)), 0);
	ck_assert_int_eq(mempool_topic_publish(topic, alloc_filled(client), 10), 0);
	ck_assert_int_eq(mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber), 0);
	ck_assert_int_eq(mempool_subscriber_peek(subscriber, &peeked, NULL, NULL, NULL, 0), 0);
	for (size_t i = 0; i < STRIDE; i++)
		ck_assert(!is_hidden((const unsigned char *)peeked + i));
	chunk = alloc_filled(client);
	ck_assert(!is_hidden(chunk + ASKED));
	ck_assert_int_eq(mempool_free(client, chunk), 0);
	ck_assert(!is_hidden(chunk));
	mempool_subscriber_close(subscriber);
}
END_TEST

START_TEST(test_checker_sanitizer_forgets_at_the_close)
{
	struct mempool_client *mine;
	unsigned char *chunk;

	if (!__asan_address_is_poisoned)
		return;
	mine = client_of(segment, TEST_HOLDER + 5, MEMPOOL_CLIENT_DEBUG);
	checker_use_asan(mine);
	chunk = alloc_filled(mine);
	ck_assert(is_hidden(chunk + ASKED));
	ck_assert_int_eq(mempool_client_close(mine), 1);
	ck_assert(!is_hidden(chunk + ASKED));
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_checked, teardown_checked);
	/* The last one, an unshare of what is not shared, is not refused for it. */
	tcase_add_loop_test(tcase,
			    test_checker_write_beyond_found_where_the_chunk_leaves_and_told_once, 0,
			    ARRAY_SIZE(leaving));
	tcase_add_loop_test(tcase, test_checker_nothing_written_nothing_found, 0,
			    ARRAY_SIZE(leaving));
	tcase_add_test(tcase, test_checker_each_byte_behind_is_found_and_none_before);
	tcase_add_test(tcase, test_checker_finding_names_chunk_handle_and_holder);
	tcase_add_loop_test(tcase, test_checker_each_alloc_has_a_zone_and_is_usable_as_asked, 0,
			    ARRAY_SIZE(coming));
	tcase_add_test(tcase,
		       test_checker_without_the_flag_usable_is_all_and_nothing_is_looked_at);
	tcase_add_test(tcase, test_checker_message_longer_than_asked_emsgsize);
	tcase_add_loop_test(tcase,
			    test_checker_write_after_free_found_by_the_next_alloc_and_told_once, 0,
			    ARRAY_SIZE(coming));
	tcase_add_test(tcase, test_checker_chunk_that_another_has_had_meanwhile_is_not_looked_at);
	tcase_add_test(tcase, test_checker_bounded_a_finding_costs_no_credit);
	tcase_add_test(tcase, test_checker_many_end_at_the_finding);
	tcase_add_test(tcase, test_checker_not_sent_after_all_the_zone_is_still_known);
	tcase_add_loop_test(tcase, test_checker_write_while_the_chunk_is_shared_found_at_its_free, 0,
			    2);
	tcase_add_loop_test(tcase, test_checker_receiver_finds_its_own_write_beyond, 0, 2);
	tcase_add_test(tcase,
		       test_checker_receiver_knows_no_zone_of_a_sender_that_does_not_check);
	tcase_add_test(tcase, test_checker_receiver_takes_no_byte_of_the_message_for_a_zone);
	tcase_add_test(tcase, test_checker_few_bytes_at_the_end_are_no_zone);
	tcase_add_test(tcase, test_checker_one_that_does_not_check_may_use_the_room_in_between);
	tcase_add_test(tcase, test_checker_what_was_given_and_taken_back_has_its_zone);
	tcase_add_test(tcase, test_checker_what_is_unshared_has_its_zone);
	tcase_add_loop_test(tcase, test_checker_evicted_and_many_received_have_their_zones, 0, 2);
	tcase_add_test(tcase, test_checker_reader_writes_to_no_message);
	tcase_add_test(tcase, test_checker_abort_only_where_asked_for);
	tcase_add_test(tcase, test_checker_sanitizer_is_told_of_zones_and_freed_chunks);
	tcase_add_test(tcase, test_checker_sanitizer_lets_two_threads_look_at_one_chunk);
	tcase_add_test(tcase, test_checker_sanitizer_is_told_nothing_of_a_client_that_peeks);
	tcase_add_test(tcase, test_checker_sanitizer_forgets_at_the_close);
}

static void add_traced(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_traced, teardown_checked);
	tcase_add_loop_test(tcase, test_checker_with_traces_the_call_is_told, 0, 2);
}

int main(void)
{
	int failed = test_run("checker", add_tests);

	return test_run("checker where traces are kept", add_traced) || failed;
}
