/* SPDX-License-Identifier: MIT */
/* test-metrics.c - what mempoolctl writes for Prometheus, from names and numbers of any kind */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/exposition.h"
#include "ctl/metrics.h"

static char *text;
static size_t size;

static void setup(void)
{
	text = NULL;
}

static void teardown(void)
{
	free(text);
}

static void escape(const char *value)
{
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	exposition_escape(file, value);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(test_escape_plain_is_itself)
{
	escape("camera-1:a@b.c d");
	ck_assert_str_eq(text, "camera-1:a@b.c d");
}
END_TEST

START_TEST(test_escape_quote_backslash_newline)
{
	escape("a\"b\\c\nd\\n");
	ck_assert_str_eq(text, "a\\\"b\\\\c\\nd\\\\n");
}
END_TEST

START_TEST(test_escape_not_ascii_becomes_question_marks)
{
	escape("\x01\x1b[31m\x7f\xc3\xa4\xff\r\t");
	ck_assert_str_eq(text, "??[31m??????");
}
END_TEST

/* What a reader makes of it, or that it ends too early. */
static void unescape(const char *escaped, char *ret_value)
{
	for (; *escaped; escaped++) {
		ck_assert_msg(*escaped >= ' ' && *escaped <= '~' && *escaped != '"', "%s", text);
		if (*escaped != '\\') {
			*ret_value++ = *escaped;
			continue;
		}
		escaped++;
		ck_assert_msg(*escaped == '\\' || *escaped == '"' || *escaped == 'n', "%s", text);
		*ret_value++ = *escaped;
		if (*escaped == 'n')
			ret_value[-1] = '\n';
	}
	*ret_value = '\0';
}

START_TEST(test_escape_any_bytes_come_back)
{
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		char value[48], expected[48], found[48];
		size_t n = (size_t)rand_r(&seed) % (sizeof(value) - 1);

		for (size_t i = 0; i < n; i++) {
			/* Half of them from where it is difficult. */
			int c = rand_r(&seed) & 1 ? rand_r(&seed) % 255 + 1 :
						    "\\\"\nn{},= "[rand_r(&seed) % 9];

			value[i] = (char)c;
			expected[i] = (c >= ' ' && c <= '~') || c == '\n' ? (char)c : '?';
		}
		value[n] = expected[n] = '\0';

		escape(value);
		unescape(text, found);
		ck_assert_str_eq(found, expected);
		free(text);
		text = NULL;
	}
}
END_TEST

START_TEST(test_sample_labels_and_value)
{
	const struct exposition_family family = { "a_total", "counter", "Of a." };
	const struct exposition_label labels[] = { { "one", "1" }, { "two", "\"" } };
	FILE *file = open_memstream(&text, &size);

	exposition_begin(file, &family);
	exposition_sample(file, &family, labels, 2, UINT64_MAX);
	exposition_sample(file, &family, NULL, 0, 0);
	exposition_seconds(file, &family, labels, 1, UINT64_C(1000000001));
	exposition_seconds(file, &family, NULL, 0, UINT64_MAX);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_str_eq(text, "# HELP a_total Of a.\n"
			       "# TYPE a_total counter\n"
			       "a_total{one=\"1\",two=\"\\\"\"} 18446744073709551615\n"
			       "a_total 0\n"
			       "a_total{one=\"1\"} 1.000000001\n"
			       "a_total 18446744073.709551615\n");
}
END_TEST

static void write_counted(size_t n, unsigned int percent)
{
	const struct ctl_options options = { .socket_path = "/nonexistent" };
	struct snapshot snapshot = {
		.name = "test",
		.generation = 7,
		.counted_percent = percent,
		.n_holders = n,
		.n_pools = 1,
	};
	struct gathering gathering = { .snapshots = &snapshot, .n_snapshots = 1 };
	FILE *file = open_memstream(&text, &size);

	snapshot.holders = calloc(n, sizeof(*snapshot.holders));
	for (size_t i = 0; i < n; i++) {
		snapshot.holders[i].record.id = (uint32_t)i;
		snapshot.holders[i].counts.all.chunks = i;
	}
	metrics_write(file, &options, &gathering);
	ck_assert_int_eq(fclose(file), 0);
	free(snapshot.holders);
}

static void write_holders(size_t n)
{
	write_counted(n, 100);
}

/* How many series of a holder's chunks there are, and their sum. */
static size_t count_holders(uint64_t *ret_sum)
{
	const char *name = "\nmempool_holder_chunks{";
	size_t n = 0;

	*ret_sum = 0;
	for (const char *at = text; (at = strstr(at, name)) != NULL; n++) {
		at += strlen(name);
		*ret_sum += strtoull(strchr(at, ' '), NULL, 10);
	}
	return n;
}

/* What was counted of a part would be believed. What needs no counting is there. */
START_TEST(test_metrics_of_a_part_are_left_out)
{
	static const char *const counted[] = {
		"mempool_segment_in_flight_chunks{", "mempool_segment_shared_chunks{",
		"mempool_segment_stray_chunks{", "mempool_pool_used_chunks{",
		"mempool_pool_free_chunks{", "mempool_holder_chunks{", "mempool_holder_bytes{",
		"mempool_holder_shared_chunks{", "mempool_holder_shared_bytes{",
	};
	static const char *const known[] = {
		"mempool_segment_up{segment=\"test\",generation=\"7\"} 1\n",
		"mempool_segment_clients{", "mempool_segment_bytes{", "mempool_pool_chunks{",
		"mempool_pool_exhausted_total{", "mempool_holder_exhausted_total{",
		"mempool_segment_counted_timestamp_seconds{",
	};
	const char *all = "mempool_segment_counted{segment=\"test\",generation=\"7\"} ";

	write_counted(1, 40);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		ck_assert_msg(!strstr(text, counted[i]), "%s", counted[i]);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		ck_assert_msg(strstr(text, known[i]) != NULL, "%s", known[i]);
	ck_assert_int_eq(atoi(strstr(text, all) + strlen(all)), 0);
	free(text);

	write_counted(1, 100);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		ck_assert_msg(strstr(text, counted[i]) != NULL, "%s", counted[i]);
	ck_assert_int_eq(atoi(strstr(text, all) + strlen(all)), 1);
}
END_TEST

START_TEST(test_metrics_holders_each_its_series)
{
	uint64_t sum;

	write_holders(METRICS_MAX_HOLDERS);
	ck_assert_uint_eq(count_holders(&sum), METRICS_MAX_HOLDERS);
	ck_assert_uint_eq(sum, METRICS_MAX_HOLDERS * (METRICS_MAX_HOLDERS - 1) / 2);
	ck_assert_ptr_null(strstr(text, "\"others\""));
}
END_TEST

START_TEST(test_metrics_many_holders_bounded_and_add_up)
{
	uint64_t sum;

	write_holders(1000);
	ck_assert_uint_eq(count_holders(&sum), METRICS_MAX_HOLDERS + 1);
	ck_assert_uint_eq(sum, 1000 * 999 / 2);
	ck_assert_ptr_nonnull(strstr(text, "holder=\"999\""));
	ck_assert_ptr_nonnull(strstr(text, "{segment=\"test\",generation=\"7\",holder=\"others\"}"));
	ck_assert_ptr_null(strstr(text, "holder=\"0\""));
}
END_TEST

START_TEST(test_metrics_failure_is_told)
{
	const struct ctl_options options = { .socket_path = "/nonexistent" };
	struct gather_failure failure = {
		.place = { .segment = "broken", .generation = 3 },
		.error = -ESTALE,
	};
	struct gathering gathering = { .failures = &failure, .n_failures = 1 };
	FILE *file = open_memstream(&text, &size);

	metrics_write(file, &options, &gathering);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_ptr_nonnull(strstr(text, "\nmempool_up 1\n"));
	ck_assert_ptr_nonnull(strstr(
		text, "\nmempool_segment_up{segment=\"broken\",generation=\"3\"} 0\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tcase = tcase_create("metrics");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_escape_plain_is_itself);
	tcase_add_test(tcase, test_escape_quote_backslash_newline);
	tcase_add_test(tcase, test_escape_not_ascii_becomes_question_marks);
	tcase_add_test(tcase, test_escape_any_bytes_come_back);
	tcase_add_test(tcase, test_sample_labels_and_value);
	tcase_add_test(tcase, test_metrics_of_a_part_are_left_out);
	tcase_add_test(tcase, test_metrics_holders_each_its_series);
	tcase_add_test(tcase, test_metrics_many_holders_bounded_and_add_up);
	tcase_add_test(tcase, test_metrics_failure_is_told);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
