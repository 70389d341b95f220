/* SPDX-License-Identifier: MIT */
/* test-table.c - tables that fit their line, and what stands in their cells */
#include <string.h>

#include "ctl/table.h"
#include "ctl/text.h"
#include "test_segment.h"

static const char *const headings[] = { ">PID", "~NAME", ">CHUNKS" };
static struct table table;

static void setup(void)
{
	table_init(&table, headings, ARRAY_SIZE(headings));
}

static void teardown(void)
{
	table_deinit(&table);
}

static void add(const char *pid, const char *name, const char *chunks)
{
	table_add(&table, "%s", pid);
	table_add(&table, "%s", name);
	table_add(&table, "%s", chunks);
}

static void assert_row(size_t row, const char *expected)
{
	char text[TABLE_ROW_BYTES];

	table_row(&table, row, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_table_columns_are_as_wide_as_their_widest)
{
	int room;

	add("1", "daemon mempoold", "0");
	add("12345", "x", "1000000");
	ck_assert_int_eq(table_layout(&table, 80, &room), 0);
	ck_assert_int_eq(room, 80 - 2 - 5 - 2 - 15 - 2 - 7);
	assert_row(TABLE_HEADINGS, "    PID  NAME              CHUNKS");
	assert_row(0, "      1  daemon mempoold        0");
	assert_row(1, "  12345  x                1000000");
}
END_TEST

START_TEST(test_table_cuts_its_long_column_to_the_line)
{
	int room;

	add("12345", "an application with a name", "1000000");
	add("12345", "short", "1");
	ck_assert_int_eq(table_layout(&table, 30, &room), 0);
	ck_assert_int_eq(room, 0);
	assert_row(0, "  12345  an applicat~  1000000");
	assert_row(1, "  12345  short               1");
}
END_TEST

START_TEST(test_table_cuts_no_further_than_six)
{
	int room;

	add("12345", "an application with a name", "1000000");
	ck_assert_int_eq(table_layout(&table, 10, &room), 0);
	ck_assert_int_lt(room, 0);
	assert_row(0, "  12345  an ap~  1000000");
}
END_TEST

START_TEST(test_table_longest_cells_stay_in_bounds)
{
	char cell[200];
	int room;

	memset(cell, 'x', sizeof(cell) - 1);
	cell[sizeof(cell) - 1] = '\0';
	add(cell, cell, cell);
	ck_assert_int_eq(table_layout(&table, 80, &room), 0);
	cell[TABLE_CELL_BYTES - 1] = '\0';
	ck_assert_str_eq(table.cells[0], cell);
}
END_TEST

static void assert_bytes(uint64_t bytes, const char *expected)
{
	char text[16];

	text_bytes(bytes, text, sizeof(text));
	ck_assert_str_eq(text, expected);
}

START_TEST(test_text_bytes)
{
	assert_bytes(0, "0 B");
	assert_bytes(1023, "1023 B");
	assert_bytes(1024, "1.0 KiB");
	assert_bytes(1024 * 1024 - 1, "1.0 MiB");
	assert_bytes(UINT64_C(5) << 40, "5.0 TiB");
	assert_bytes(UINT64_MAX, "16.0 EiB");
}
END_TEST

static void assert_rate(double rate, const char *expected)
{
	char text[TEXT_RATE_BYTES];

	text_rate(rate, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_text_rate)
{
	assert_rate(0, "0");
	assert_rate(0.25, "0.2");
	assert_rate(9.94, "9.9");
	assert_rate(9.96, "10");
	assert_rate(999.4, "999");
	assert_rate(999.6, "1.0k");
	assert_rate(12345, "12.3k");
	assert_rate(123456, "123k");
	assert_rate(1234567, "1.2M");
	assert_rate(1e15, "1000T");
}
END_TEST

static void assert_span(uint64_t ns, const char *expected)
{
	char text[TEXT_SPAN_BYTES];

	text_span(ns, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_text_span)
{
	assert_span(0, "0 us");
	assert_span(1999, "1 us");
	assert_span(1999999, "1999 us");
	assert_span(2000000, "2 ms");
	assert_span(UINT64_C(2000000000), "2 s");
	assert_span(UINT64_C(7199999999999), "7199 s");
	assert_span(UINT64_C(7200000000000), "2 h");
	assert_span(UINT64_C(172800000000000), "2 d");
	assert_span(UINT64_MAX, "213503 d");
}
END_TEST

static void assert_bar(uint64_t used, uint64_t total, const char *expected, int percent)
{
	char bar[TEXT_BAR_BYTES];

	text_bar(false, used, total, 4, bar);
	ck_assert_str_eq(bar, expected);
	ck_assert_int_eq(text_percent(used, total), percent);
}

START_TEST(test_text_bar_shows_what_is_used_at_all)
{
	assert_bar(0, 1000, "....", 0);
	assert_bar(1, 1000, "#...", 1);
	assert_bar(500, 1000, "##..", 50);
	assert_bar(999, 1000, "###.", 99);
	assert_bar(1000, 1000, "####", 100);
	assert_bar(0, 0, "....", 0);
}
END_TEST

START_TEST(test_text_bar_in_utf8_and_the_longest)
{
	char bar[TEXT_BAR_BYTES];

	text_bar(true, 1, 2, 4, bar);
	ck_assert_str_eq(bar, "██░░");
	text_bar(true, 1, 1, 1000, bar);
	ck_assert_uint_eq(strlen(bar), TEXT_BAR_BYTES - 1);
}
END_TEST

START_TEST(test_text_level)
{
	ck_assert_int_eq(text_level(74, 100), TEXT_PLENTY);
	ck_assert_int_eq(text_level(75, 100), TEXT_SHORT);
	ck_assert_int_eq(text_level(95, 100), TEXT_FULL);
}
END_TEST

START_TEST(test_text_label_of_who_is_no_client_or_gone)
{
	struct holder holder = { .state = MEMPOOL_HOLDER_LIVE, .name = "camera" };
	char label[TEXT_LABEL_BYTES];

	text_label(&holder, label);
	ck_assert_str_eq(label, "camera");
	holder.is_reader = true;
	text_label(&holder, label);
	ck_assert_str_eq(label, "reader camera");
	holder.kind = MEMPOOL_HOLDER_TOPIC;
	text_label(&holder, label);
	ck_assert_str_eq(label, "topic camera");
	holder.state = MEMPOOL_HOLDER_REAPING;
	memset(holder.name, 'x', sizeof(holder.name) - 1);
	text_label(&holder, label);
	ck_assert_str_eq(label, "(reaping) topic xxxxxxxxxxxxxxx~");
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_table_columns_are_as_wide_as_their_widest);
	tcase_add_test(tcase, test_table_cuts_its_long_column_to_the_line);
	tcase_add_test(tcase, test_table_cuts_no_further_than_six);
	tcase_add_test(tcase, test_table_longest_cells_stay_in_bounds);
	tcase_add_test(tcase, test_text_bytes);
	tcase_add_test(tcase, test_text_rate);
	tcase_add_test(tcase, test_text_span);
	tcase_add_test(tcase, test_text_bar_shows_what_is_used_at_all);
	tcase_add_test(tcase, test_text_bar_in_utf8_and_the_longest);
	tcase_add_test(tcase, test_text_level);
	tcase_add_test(tcase, test_text_label_of_who_is_no_client_or_gone);
}

int main(void)
{
	return test_run("table", add_tests);
}
