/* SPDX-License-Identifier: MIT */
/* test-conf_value.c - each scalar in its spellings, and what is said of the others */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/yaml/value.h"

typedef int (*number_fn)(const char *value, uint64_t *ret_number,
			 const char **reterr_text);

static void assert_number(number_fn parse, const char *value, uint64_t expected)
{
	const char *text = "untouched";
	uint64_t number = 0;

	ck_assert_int_eq(parse(value, &number, &text), 0);
	ck_assert_uint_eq(number, expected);
	ck_assert_str_eq(text, "untouched");
}

/* @expected: a part of the text that tells this mistake from others */
static void assert_refused(number_fn parse, const char *value, const char *expected)
{
	uint64_t number = 4711;
	const char *text = NULL;

	ck_assert_int_eq(parse(value, &number, &text), -EINVAL);
	ck_assert_uint_eq(number, 4711);
	ck_assert_msg(strstr(text, expected), "'%s': %s", value, text);
}

START_TEST(test_count_digits_only)
{
	assert_number(conf_value_count, "0", 0);
	assert_number(conf_value_count, "10000", 10000);
	assert_number(conf_value_count, "18446744073709551615", UINT64_MAX);
	assert_refused(conf_value_count, "18446744073709551616", "64 bits");
	assert_refused(conf_value_count, "99999999999999999999999", "64 bits");
	assert_refused(conf_value_count, "-1", "negative");
	assert_refused(conf_value_count, "+1", "not a number");
	assert_refused(conf_value_count, "", "not a number");
	assert_refused(conf_value_count, "ten", "not a number");
	assert_refused(conf_value_count, "010", "leading zero");
	assert_refused(conf_value_count, "1.5", "whole numbers");
	assert_refused(conf_value_count, "1,000", "whole numbers");
	assert_refused(conf_value_count, "10k", "no unit");
	assert_refused(conf_value_count, "1 0", "no unit");
	assert_refused(conf_value_count, "0x10", "no unit");
}
END_TEST

START_TEST(test_size_units_are_powers_of_1024)
{
	assert_number(conf_value_size, "128", 128);
	assert_number(conf_value_size, "1KiB", 1024);
	assert_number(conf_value_size, "3MiB", 3u << 20);
	assert_number(conf_value_size, "2GiB", UINT64_C(2) << 30);
	assert_number(conf_value_size, "17179869183GiB", UINT64_C(17179869183) << 30);
	assert_refused(conf_value_size, "17179869184GiB", "64 bits");
	assert_refused(conf_value_size, "1KB", "write KiB");
	assert_refused(conf_value_size, "1kB", "write KiB");
	assert_refused(conf_value_size, "1MB", "write KiB");
	assert_refused(conf_value_size, "1K", "write KiB");
	assert_refused(conf_value_size, "1kib", "write KiB");
	assert_refused(conf_value_size, "1 KiB", "right behind");
	assert_refused(conf_value_size, "KiB", "not a number");
	assert_refused(conf_value_size, "1.5KiB", "whole numbers");
	assert_refused(conf_value_size, "-1KiB", "negative");
}
END_TEST

START_TEST(test_duration_needs_unit)
{
	assert_number(conf_value_duration, "7ns", 7);
	assert_number(conf_value_duration, "7us", 7000);
	assert_number(conf_value_duration, "500ms", UINT64_C(500000000));
	assert_number(conf_value_duration, "5s", UINT64_C(5000000000));
	assert_number(conf_value_duration, "1min", UINT64_C(60000000000));
	assert_number(conf_value_duration, "2h", UINT64_C(7200000000000));
	assert_refused(conf_value_duration, "5", "write ms, s");
	assert_refused(conf_value_duration, "5m", "write ms, s");
	assert_refused(conf_value_duration, "1.5s", "whole numbers");
	assert_refused(conf_value_duration, "9999999999h", "64 bits");
}
END_TEST

START_TEST(test_mode_is_octal)
{
	static const struct {
		const char *value;
		mode_t mode;
	} good[] = { { "0660", 0660 }, { "660", 0660 }, { "0o660", 0660 }, { "0", 0 },
		     { "0777", 0777 }, { "00660", 0660 } };
	static const struct {
		const char *value;
		const char *text;
	} bad[] = { { "0o888", "octal digits" }, { "0690", "octal digits" },
		    { "1000", "larger than 0777" }, { "4755", "larger than 0777" },
		    { "77777777777777777777777777", "larger than 0777" },
		    { "rw-rw----", "in octal" }, { "", "in octal" }, { "0o", "in octal" },
		    { "-1", "in octal" }, { "066x", "in octal" } };
	const char *text = NULL;
	mode_t mode = 0;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(conf_value_mode(good[i].value, &mode, &text), 0);
		ck_assert_uint_eq(mode, good[i].mode);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(conf_value_mode(bad[i].value, &mode, &text), -EINVAL);
		ck_assert_msg(strstr(text, bad[i].text), "'%s': %s", bad[i].value, text);
	}
}
END_TEST

START_TEST(test_bool_true_and_false_only)
{
	static const char *const bad[] = { "yes", "no", "True", "1", "", "truee" };
	const char *text = NULL;
	bool value = false;
	size_t i;

	ck_assert_int_eq(conf_value_bool("true", &value, &text), 0);
	ck_assert(value);
	ck_assert_int_eq(conf_value_bool("false", &value, &text), 0);
	ck_assert(!value);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(conf_value_bool(bad[i], &value, &text), -EINVAL);
}
END_TEST

START_TEST(test_user_and_group_by_name_or_number)
{
	const char *text = NULL;
	uid_t uid = 4711;
	gid_t gid = 4711;

	ck_assert_int_eq(conf_value_user("root", &uid, &text), 0);
	ck_assert_uint_eq(uid, 0);
	ck_assert_int_eq(conf_value_group("root", &gid, &text), 0);
	ck_assert_uint_eq(gid, 0);
	ck_assert_int_eq(conf_value_user("4294967294", &uid, &text), 0);
	ck_assert_uint_eq(uid, UINT32_MAX - 1);
	ck_assert_int_eq(conf_value_group("54321", &gid, &text), 0);
	ck_assert_uint_eq(gid, 54321);
}
END_TEST

START_TEST(test_user_and_group_unknown_refused)
{
	const char *text = NULL;
	uid_t uid = 4711;
	gid_t gid = 4711;

	ck_assert_int_eq(conf_value_user("no-such-user-here", &uid, &text), -EINVAL);
	ck_assert_str_eq(text, "no such user");
	ck_assert_int_eq(conf_value_group("no-such-group-here", &gid, &text), -EINVAL);
	ck_assert_str_eq(text, "no such group");
	ck_assert_int_eq(conf_value_user("4294967295", &uid, &text), -EINVAL);
	ck_assert_str_eq(text, "larger than any id");
	ck_assert_int_eq(conf_value_user("", &uid, &text), -EINVAL);
	ck_assert_str_eq(text, "a name or a number is missing");
	ck_assert_int_eq(conf_value_group("010", &gid, &text), -EINVAL);
	ck_assert_uint_eq(uid, 4711);
	ck_assert_uint_eq(gid, 4711);
}
END_TEST

START_TEST(test_nearest_typing_mistakes_found)
{
	static const char *const known[] = {"name", "chunk_size", "chunk_count",
					    "alignment", NULL};

	ck_assert_str_eq(conf_value_nearest("chunck_size", known), "chunk_size");
	ck_assert_str_eq(conf_value_nearest("chunk-count", known), "chunk_count");
	ck_assert_str_eq(conf_value_nearest("nmae", known), "name");
	ck_assert_str_eq(conf_value_nearest("Alignment", known), "alignment");
	ck_assert_str_eq(conf_value_nearest("count", known), "chunk_count");
}
END_TEST

START_TEST(test_nearest_other_words_not_guessed)
{
	static const char *const known[] = { "name", "chunk_size", NULL };
	static const char long_word[] = "chunk_sizechunk_sizechunk_sizechunk_size";

	ck_assert_ptr_null(conf_value_nearest("numa", known));
	ck_assert_ptr_null(conf_value_nearest("", known));
	ck_assert_ptr_null(conf_value_nearest("prefault", known));
	ck_assert_ptr_null(conf_value_nearest(long_word, known));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf_value");
	TCase *tcase = tcase_create("values");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, test_count_digits_only);
	tcase_add_test(tcase, test_size_units_are_powers_of_1024);
	tcase_add_test(tcase, test_duration_needs_unit);
	tcase_add_test(tcase, test_mode_is_octal);
	tcase_add_test(tcase, test_bool_true_and_false_only);
	tcase_add_test(tcase, test_user_and_group_by_name_or_number);
	tcase_add_test(tcase, test_user_and_group_unknown_refused);
	tcase_add_test(tcase, test_nearest_typing_mistakes_found);
	tcase_add_test(tcase, test_nearest_other_words_not_guessed);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
