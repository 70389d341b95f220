/* SPDX-License-Identifier: MIT */
/*
 * test-recording.c - a recording comes back as it was put, whatever happens to its file: cut at each byte,
 * a byte changed at each place, a full disk; what is whole is read, and what is not is told
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/checksum.h"
#include "ctl/recording.h"

#define LONG_BYTES (300 * 1024)
#define TRIED_BYTES (40 * 1024)

/* Where it begins, behind two topics. */
#define FIRST_MESSAGE (RECORDING_FILE_HEAD_BYTES + 2 * (RECORDING_HEAD_BYTES + 8))

static char path[64];

static void set_up(void)
{
	int fd;

	strcpy(path, "/tmp/mempool-recording.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(path);
}

static void tear_down(void)
{
	unlink(path);
}

/* Bytes that follow from a seed. */
static void fill(unsigned char *to, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
		to[i] = (unsigned char)(seed >> 24);
	}
}

static struct recording_writer *create(void)
{
	struct recording_writer *writer;

	ck_assert_int_eq(recording_create(path, &writer), 0);
	return writer;
}

static struct recording_reader *open_it(void)
{
	struct recording_reader *reader;

	ck_assert_int_eq(recording_open(path, &reader), 0);
	return reader;
}

static void put_channel(struct recording_writer *writer, enum recording_type type,
			uint32_t channel, const char *name)
{
	const struct recording_head head = { .type = type, .channel = channel,
					     .n_bytes = strlen(name) };

	ck_assert_int_eq(recording_put(writer, &head, name), 0);
}

static struct recording_head message_head(uint32_t number, size_t n_bytes)
{
	return (struct recording_head){
		.type = RECORDING_MESSAGE,
		.channel = number % 2,
		.taken_ns = 1000 + number,
		.sent_ns = number % 3 ? 900 + number : 0,
		.n_missed = number % 5,
		.tag = number * 7,
		.n_bytes = n_bytes,
	};
}

static int put_message(struct recording_writer *writer, uint32_t number, size_t n_bytes)
{
	struct recording_head head = message_head(number, n_bytes);
	unsigned char *content = malloc(n_bytes + 1);
	int r;

	fill(content, n_bytes, number);
	r = recording_put(writer, &head, content);
	free(content);
	return r;
}

static void put_channels(struct recording_writer *writer)
{
	put_channel(writer, RECORDING_TOPIC, 0, "camera");
	put_channel(writer, RECORDING_TOPIC, 1, "sound");
}

static void assert_is_message(const struct recording_head *head, const void *content,
			      uint32_t number, size_t n_bytes)
{
	struct recording_head expected = message_head(number, n_bytes);
	unsigned char *bytes = malloc(n_bytes + 1);

	fill(bytes, n_bytes, number);
	ck_assert_int_eq(head->type, expected.type);
	ck_assert_uint_eq(head->channel, expected.channel);
	ck_assert_uint_eq(head->taken_ns, expected.taken_ns);
	ck_assert_uint_eq(head->sent_ns, expected.sent_ns);
	ck_assert_uint_eq(head->n_missed, expected.n_missed);
	ck_assert_uint_eq(head->tag, expected.tag);
	ck_assert_uint_eq(head->n_bytes, n_bytes);
	ck_assert_mem_eq(content, bytes, n_bytes);
	free(bytes);
}

/* The next one that is no channel. */
static int next(struct recording_reader *reader, struct recording_head *head, const void **content,
		struct recording_gap *gap)
{
	int r;

	do {
		r = recording_next(reader, head, content, gap);
	} while (r == 0 && (head->type == RECORDING_TOPIC || head->type == RECORDING_QUEUE));
	return r;
}

static void assert_next_message(struct recording_reader *reader, uint32_t number, size_t n_bytes)
{
	struct recording_head head;
	struct recording_gap gap;
	const void *content;

	ck_assert_int_eq(next(reader, &head, &content, &gap), 0);
	assert_is_message(&head, content, number, n_bytes);
}

static const size_t sizes[] = { 0, 1, 7, 8, 9, 31, 32, 33, 1000, LONG_BYTES, 5, LONG_BYTES + 3 };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

START_TEST(test_recording_what_was_put_comes_back)
{
	struct recording_writer *writer = create();
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_sums sums;
	struct recording_gap gap;
	const void *content;
	struct stat status;

	put_channels(writer);
	for (uint32_t i = 0; i < N_SIZES; i++)
		ck_assert_int_eq(put_message(writer, i, sizes[i]), 0);
	recording_sums(writer, &sums);
	ck_assert_uint_eq(sums.n_messages, N_SIZES);
	ck_assert_int_eq(recording_finish(writer), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);

	reader = open_it();
	for (uint32_t i = 0; i < N_SIZES; i++)
		assert_next_message(reader, i, sizes[i]);
	ck_assert_str_eq(recording_channel_name(reader, 0), "camera");
	ck_assert_str_eq(recording_channel_name(reader, 1), "sound");
	ck_assert_ptr_null(recording_channel_name(reader, 2));
	ck_assert_int_eq(recording_next(reader, &head, &content, &gap), 0);
	ck_assert_int_eq(head.type, RECORDING_END);
	ck_assert_int_eq(recording_next(reader, &head, &content, &gap), -ENODATA);
	ck_assert(!recording_grows(reader));
	recording_close(reader);
}
END_TEST

START_TEST(test_recording_file_that_is_there_stays)
{
	struct recording_writer *writer = create();

	ck_assert_int_eq(recording_finish(writer), 0);
	ck_assert_int_eq(recording_create(path, &writer), -EEXIST);
}
END_TEST

START_TEST(test_recording_is_read_while_it_grows)
{
	struct recording_writer *writer = create();
	unsigned char *content = calloc(1, TRIED_BYTES);
	struct recording_head head = message_head(1, TRIED_BYTES), seen;
	struct recording_reader *reader;
	struct recording_gap gap;
	struct stat status;
	const void *bytes;

	put_channels(writer);
	ck_assert_int_eq(put_message(writer, 0, 100), 0);
	reader = open_it();
	ck_assert(recording_grows(reader));
	/* It is only collected. */
	ck_assert_int_eq(next(reader, &seen, &bytes, &gap), -EAGAIN);
	ck_assert_int_eq(recording_flush(writer), 0);
	assert_next_message(reader, 0, 100);
	ck_assert_int_eq(next(reader, &seen, &bytes, &gap), -EAGAIN);
	ck_assert_uint_eq(gap.from, gap.to);

	/* A content without a head is no record yet; another one may take its place. */
	ck_assert_int_eq(recording_try(writer, &head, content), 0);
	ck_assert_int_eq(next(reader, &seen, &bytes, &gap), -EAGAIN);
	ck_assert_uint_lt(gap.from, gap.to);
	fill(content, TRIED_BYTES, 1);
	ck_assert_int_eq(recording_try(writer, &head, content), 0);
	ck_assert_int_eq(next(reader, &seen, &bytes, &gap), -EAGAIN);
	ck_assert_int_eq(recording_commit(writer), 0);
	assert_next_message(reader, 1, TRIED_BYTES);
	ck_assert_int_eq(recording_commit(writer), -EINVAL);

	/* A shorter one in the place of a longer one, which leaves nothing behind. */
	ck_assert_int_eq(recording_try(writer, &head, content), 0);
	ck_assert_int_eq(put_message(writer, 2, 10), 0);
	ck_assert_int_eq(recording_finish(writer), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_lt(status.st_size, FIRST_MESSAGE + TRIED_BYTES + 2000);
	assert_next_message(reader, 2, 10);
	ck_assert_int_eq(next(reader, &seen, &bytes, &gap), 0);
	ck_assert_int_eq(seen.type, RECORDING_END);
	ck_assert(!recording_grows(reader));
	recording_close(reader);
	free(content);
}
END_TEST

/* ---- files that are not as they were ---- */

#define N_SMALL 12

static size_t small_size(uint32_t number)
{
	return number * 13 % 50;
}

/* Returns the bytes of a short recording, which are the caller's. */
static unsigned char *make_small(size_t *ret_size)
{
	struct recording_writer *writer = create();
	struct stat status;
	unsigned char *bytes;
	int fd;

	put_channels(writer);
	for (uint32_t i = 0; i < N_SMALL; i++)
		ck_assert_int_eq(put_message(writer, i, small_size(i)), 0);
	ck_assert_int_eq(recording_finish(writer), 0);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(fstat(fd, &status), 0);
	bytes = malloc((size_t)status.st_size);
	ck_assert_int_eq(read(fd, bytes, (size_t)status.st_size), status.st_size);
	close(fd);
	*ret_size = (size_t)status.st_size;
	return bytes;
}

static void write_file(const unsigned char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY);

	/* Not emptied before: then some file systems wait for the disk at each close. */
	ck_assert_int_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
	ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
	close(fd);
}

/* What reading all of it says. */
struct told {
	uint32_t n_messages;		/* each as it was put, in their order */
	uint32_t n_damaged;
	bool is_cut;
	bool has_ended;
	uint64_t n_bytes_damaged;
};

static struct told read_all(void)
{
	struct told told = { 0 };
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_gap gap;
	uint64_t last = 0;
	const void *content;
	int r;

	r = recording_open(path, &reader);
	if (r < 0) {
		ck_assert(r == -EBADMSG || r == -EPROTONOSUPPORT);
		told.n_damaged = 1;
		return told;
	}
	while ((r = next(reader, &head, &content, &gap)) == 0 || r == -EBADMSG) {
		if (r == -EBADMSG) {
			ck_assert_uint_lt(gap.from, gap.to);
			told.n_damaged++;
			told.n_bytes_damaged += gap.to - gap.from;
		} else if (head.type == RECORDING_MESSAGE) {
			uint32_t number = (uint32_t)(head.taken_ns - 1000);

			ck_assert_uint_gt(head.taken_ns, last);
			last = head.taken_ns;
			assert_is_message(&head, content, number, small_size(number));
			told.n_messages++;
		} else {
			told.has_ended = head.type == RECORDING_END;
		}
	}
	ck_assert(r == -EAGAIN || r == -ENODATA);
	told.is_cut = r == -EAGAIN;
	recording_close(reader);
	return told;
}

/* How many messages there are for a reader that does not want to know what they say. */
static uint32_t count_heads(void)
{
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_gap gap;
	uint32_t n = 0;

	if (recording_open(path, &reader) < 0)
		return 0;
	while (next(reader, &head, NULL, &gap) == 0)
		n += head.type == RECORDING_MESSAGE;
	recording_close(reader);
	return n;
}

START_TEST(test_recording_cut_anywhere_is_read_up_to_there)
{
	uint32_t n_before = N_SMALL;
	size_t size;
	unsigned char *bytes = make_small(&size);
	struct told told;

	for (size_t n = size; n-- > 0;) {
		ck_assert_int_eq(truncate(path, (off_t)n), 0);
		told = read_all();
		ck_assert(!told.has_ended);
		ck_assert(told.is_cut || told.n_damaged == 1);
		ck_assert_uint_le(told.n_messages, n_before);
		ck_assert_uint_le(n_before - told.n_messages, 1);
		ck_assert_uint_eq(count_heads(), told.n_messages);
		n_before = told.n_messages;
	}
	ck_assert_uint_eq(n_before, 0);
	free(bytes);
}
END_TEST

START_TEST(test_recording_damage_costs_one_record)
{
	size_t size;
	unsigned char *bytes = make_small(&size);
	uint32_t n_lost_most = 0;
	struct told told;

	told = read_all();
	ck_assert_uint_eq(told.n_messages, N_SMALL);
	ck_assert(told.has_ended && told.n_damaged == 0);
	for (size_t i = RECORDING_FILE_HEAD_BYTES; i < size; i++) {
		bytes[i] ^= (unsigned char)(1 << i % 8);
		write_file(bytes, size);
		bytes[i] ^= (unsigned char)(1 << i % 8);
		told = read_all();
		/* Of a name: all messages of that topic. */
		if (i >= FIRST_MESSAGE) {
			ck_assert_uint_ge(told.n_messages, N_SMALL - 1);
			ck_assert(told.n_messages == N_SMALL ||
				  (told.n_damaged == 1 && told.n_bytes_damaged <= 50 + 7 + 80));
		}
		if (N_SMALL - told.n_messages > n_lost_most)
			n_lost_most = N_SMALL - told.n_messages;
		ck_assert(told.n_messages == N_SMALL || told.n_damaged > 0);
	}
	ck_assert_uint_eq(n_lost_most, N_SMALL / 2);
	free(bytes);
}
END_TEST

/* Whatever stands there: what is told to be a message is one, and there is an end. Seeded. */
START_TEST(test_recording_rubbish_is_survived)
{
	size_t size, n;
	unsigned char *bytes = make_small(&size), *rubbish = malloc(size);
	unsigned int seed = (unsigned int)_i;
	struct told told;

	for (int round = 0; round < 200; round++) {
		memcpy(rubbish, bytes, size);
		n = 1 + (size_t)rand_r(&seed) % 40;
		while (n-- > 0)
			rubbish[(size_t)rand_r(&seed) % size] = (unsigned char)rand_r(&seed);
		/* A piece moved elsewhere: heads that are good, in a wrong place. */
		if (round % 4 == 0) {
			size_t from = (size_t)rand_r(&seed) % size;
			size_t to = (size_t)rand_r(&seed) % size;
			size_t room = size - (from > to ? from : to);

			memmove(rubbish + to, bytes + from, room);
		}
		write_file(rubbish, round % 3 == 0 ? size - (size_t)rand_r(&seed) % size : size);
		told = read_all();
		ck_assert_uint_le(told.n_messages, N_SMALL);
	}
	free(rubbish);
	free(bytes);
}
END_TEST

START_TEST(test_recording_of_a_recording_is_no_riddle)
{
	size_t size;
	unsigned char *inner = make_small(&size);
	struct recording_head head = message_head(0, 0);
	struct recording_writer *writer;
	struct recording_reader *reader;
	struct recording_gap gap;
	const void *content;
	int fd;

	/* Each of its records at the place that it had in its own file, and our head destroyed. */
	unlink(path);
	writer = create();
	put_channels(writer);
	ck_assert_int_eq(recording_flush(writer), 0);
	size -= FIRST_MESSAGE + RECORDING_HEAD_BYTES;
	head.n_bytes = size;
	ck_assert_int_eq(recording_put(writer, &head, inner + FIRST_MESSAGE + RECORDING_HEAD_BYTES), 0);
	ck_assert_int_eq(put_message(writer, 1, 20), 0);
	ck_assert_int_eq(recording_finish(writer), 0);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "", 1, FIRST_MESSAGE), 1);
	close(fd);

	reader = open_it();
	ck_assert_int_eq(next(reader, &head, &content, &gap), -EBADMSG);
	ck_assert_uint_ge(gap.to - gap.from, size);
	assert_next_message(reader, 1, 20);
	recording_close(reader);
	free(inner);
}
END_TEST

/* No file may become longer, that of this library neither: nothing is asserted meanwhile. */
static void limit_files(rlim_t n_bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = n_bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static size_t size_until_full(uint32_t number, int has_only_short)
{
	return has_only_short || number % 2 == 0 ? 5000 : LONG_BYTES;
}

START_TEST(test_recording_full_disk_leaves_whole_records)
{
	struct recording_writer *writer = create();
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_sums sums;
	struct recording_gap gap;
	const void *content;
	uint32_t n = 0;
	int failed, later, finished;

	put_channels(writer);
	limit_files(1000 * 1000);
	/* Found when a long one is written, or when what was collected is. */
	while ((failed = put_message(writer, n, size_until_full(n, _i))) == 0)
		n++;
	later = put_message(writer, n, 1);
	recording_sums(writer, &sums);
	finished = recording_finish(writer);
	limit_files(RLIM_INFINITY);
	ck_assert_int_eq(failed, -EFBIG);
	ck_assert_int_eq(later, -EFBIG);
	ck_assert_int_eq(finished, -EFBIG);
	ck_assert_uint_gt(sums.n_messages, 2);

	reader = open_it();
	for (uint32_t i = 0; i < sums.n_messages; i++)
		assert_next_message(reader, i, size_until_full(i, _i));
	ck_assert_int_eq(next(reader, &head, &content, &gap), 0);
	ck_assert_int_eq(head.type, RECORDING_END);
	recording_close(reader);
}
END_TEST

START_TEST(test_recording_full_disk_without_room_for_an_end)
{
	const off_t whole = FIRST_MESSAGE + RECORDING_HEAD_BYTES + 1000;
	struct recording_writer *writer = create();
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_gap gap;
	const void *content;
	struct stat failed, finished;
	int results[5];

	put_channels(writer);
	limit_files((rlim_t)whole + 50);
	results[0] = put_message(writer, 0, 1000);
	results[1] = recording_flush(writer);
	results[2] = put_message(writer, 1, 1000);
	results[3] = recording_flush(writer);
	stat(path, &failed);
	results[4] = recording_finish(writer);
	stat(path, &finished);
	limit_files(RLIM_INFINITY);
	ck_assert_int_eq(results[0], 0);
	ck_assert_int_eq(results[1], 0);
	ck_assert_int_eq(results[2], 0);
	ck_assert_int_eq(results[3], -EFBIG);
	ck_assert_int_eq(results[4], -EFBIG);
	ck_assert_int_eq(failed.st_size, whole);
	ck_assert_int_eq(finished.st_size, whole);

	reader = open_it();
	assert_next_message(reader, 0, 1000);
	ck_assert_int_eq(next(reader, &head, &content, &gap), -EAGAIN);
	recording_close(reader);
}
END_TEST

/* ---- the index ---- */

START_TEST(test_recording_seeks_by_its_index)
{
	const uint32_t n = 40;
	struct recording_writer *writer = create();
	struct recording_reader *reader;
	struct recording_head head;
	struct recording_gap gap;
	const void *content;
	uint32_t n_passed;

	put_channels(writer);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_int_eq(put_message(writer, i, LONG_BYTES), 0);
	ck_assert_int_eq(recording_finish(writer), 0);

	for (uint32_t wanted = 0; wanted < n; wanted += 13) {
		reader = open_it();
		assert_next_message(reader, 0, LONG_BYTES);
		ck_assert_int_eq(recording_seek(reader, 1000 + wanted), 0);
		n_passed = 0;
		while (wanted > 0) {
			ck_assert_int_eq(next(reader, &head, NULL, &gap), 0);
			if (head.taken_ns == 1000 + wanted)
				break;
			ck_assert_uint_lt(head.taken_ns, 1000 + wanted);
			n_passed++;
		}
		/* An entry for each MiB. */
		ck_assert_uint_le(n_passed, 4);
		ck_assert_int_eq(next(reader, &head, &content, &gap), 0);
		recording_close(reader);
	}
}
END_TEST

START_TEST(test_recording_without_end_seeks_nowhere)
{
	struct recording_writer *writer = create();
	struct recording_reader *reader;

	put_channels(writer);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(put_message(writer, i, 100), 0);
	ck_assert_int_eq(recording_flush(writer), 0);
	reader = open_it();
	assert_next_message(reader, 0, 100);
	ck_assert_int_eq(recording_seek(reader, 1002), 0);
	assert_next_message(reader, 1, 100);
	recording_close(reader);
	ck_assert_int_eq(recording_finish(writer), 0);
}
END_TEST

/* ---- the checksum ---- */

static uint32_t crc_bit_by_bit(uint32_t crc, const unsigned char *bytes, size_t n)
{
	for (; n > 0; n--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT32_C(0x82f63b78) : crc >> 1;
	}
	return crc;
}

START_TEST(test_checksum_is_what_the_page_says)
{
	unsigned char bytes[200], padded[224], last[16];
	uint32_t lanes[4], expected;

	/* The check value of CRC-32C. */
	ck_assert_uint_eq(~crc_bit_by_bit(UINT32_MAX, (const unsigned char *)"123456789", 9),
			  0xe3069283);
	fill(bytes, sizeof(bytes), 3);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		memset(padded, 0, sizeof(padded));
		memcpy(padded, bytes, n);
		for (int lane = 0; lane < 4; lane++) {
			lanes[lane] = UINT32_MAX;
			for (size_t i = 0; i < n; i += 32)
				lanes[lane] = crc_bit_by_bit(lanes[lane], padded + i + lane * 8, 8);
			for (int i = 0; i < 4; i++)
				last[lane * 4 + i] = (unsigned char)(lanes[lane] >> 8 * i);
		}
		expected = crc_bit_by_bit(UINT32_MAX, last, sizeof(last));
		ck_assert_uint_eq(checksum(bytes, n), expected);
		ck_assert_uint_eq(checksum_by_table(bytes, n), expected);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recording");
	TCase *tcase = tcase_create("recording");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, test_recording_what_was_put_comes_back);
	tcase_add_test(tcase, test_recording_file_that_is_there_stays);
	tcase_add_test(tcase, test_recording_is_read_while_it_grows);
	tcase_add_test(tcase, test_recording_cut_anywhere_is_read_up_to_there);
	tcase_add_test(tcase, test_recording_damage_costs_one_record);
	tcase_add_loop_test(tcase, test_recording_rubbish_is_survived, 0, 3);
	tcase_add_test(tcase, test_recording_of_a_recording_is_no_riddle);
	tcase_add_loop_test(tcase, test_recording_full_disk_leaves_whole_records, 0, 2);
	tcase_add_test(tcase, test_recording_full_disk_without_room_for_an_end);
	tcase_add_test(tcase, test_recording_seeks_by_its_index);
	tcase_add_test(tcase, test_recording_without_end_seeks_nowhere);
	tcase_add_test(tcase, test_checksum_is_what_the_page_says);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
