/* SPDX-License-Identifier: MIT */
/* test-json.c - numbers as every reader of JSON has them */
#include <check.h>
#include <stdlib.h>

#include "ctl/json.h"

START_TEST(test_add_number_too_large_is_cut)
{
	struct json_object *object = json_object_new_object();

	ck_assert_int_eq(json_add_number(object, "zero", 0), 0);
	ck_assert_int_eq(json_add_number(object, "most", (UINT64_C(1) << 53) - 1), 0);
	ck_assert_int_eq(json_add_number(object, "more", UINT64_C(1) << 53), 0);
	ck_assert_int_eq(json_add_number(object, "all", UINT64_MAX), 0);
	ck_assert_str_eq(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN),
			 "{\"zero\":0,\"most\":9007199254740991,"
			 "\"more\":9007199254740991,\"all\":9007199254740991}");
	json_object_put(object);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = tcase_create("json");
	SRunner *runner;
	int n_failed;

	tcase_add_test(tcase, test_add_number_too_large_is_cut);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
