/* SPDX-License-Identifier: MIT */
/*
 * text.c - see text.h
 */
#include "text.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "name.h"

#define TAIL_DIGITS 16
#define BAR_LONG_COLUMNS 24
#define BAR_SHORT_COLUMNS 4
#define BAR_AROUND_COLUMNS 7		/* two spaces before it, " 100%" behind */
#define A_DAY_SECONDS 86400
#define HALF_A_YEAR_SECONDS (182 * A_DAY_SECONDS)

bool text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool text_may_colour(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

struct text_style text_style(void)
{
	return (struct text_style){
		.utf8 = text_is_utf8(),
		.colour = isatty(STDOUT_FILENO) && text_may_colour(),
	};
}

void text_bytes(uint64_t bytes, char *ret_text, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(ret_text, size, "%" PRIu64 " B", bytes);
		return;
	}
	for (value /= 1024; value >= 1023.95; value /= 1024)
		unit++;
	snprintf(ret_text, size, "%.1f %s", value, units[unit]);
}

void text_rate(double rate, char ret_text[static TEXT_RATE_BYTES])
{
	static const char units[] = { '\0', 'k', 'M', 'G', 'T' };
	size_t unit = 0;

	for (; rate >= 999.5 && unit + 1 < sizeof(units); unit++)
		rate /= 1000;
	/* A digit behind the point where it says something. */
	snprintf(ret_text, TEXT_RATE_BYTES, "%.*f%c", rate > 0 && rate < 99.95 && (unit || rate < 9.95),
		 rate, units[unit]);
}

void text_reserve(const struct snapshot_reserve *reserve, char ret_text[static TEXT_RESERVE_BYTES])
{
	if (reserve->total == 0)
		strcpy(ret_text, "-");
	else
		snprintf(ret_text, TEXT_RESERVE_BYTES, "%" PRIu64 "/%" PRIu64, reserve->used,
			 reserve->total);
}

void text_span(uint64_t ns, char ret_text[static TEXT_SPAN_BYTES])
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {
		{ UINT64_C(86400000000000), "d" }, { UINT64_C(3600000000000), "h" },
		{ UINT64_C(1000000000), "s" }, { UINT64_C(1000000), "ms" }, { 1000, "us" },
	};
	size_t i = 0;

	/* The largest unit of which there are two. */
	while (i + 1 < sizeof(units) / sizeof(units[0]) && ns < 2 * units[i].ns)
		i++;
	snprintf(ret_text, TEXT_SPAN_BYTES, "%" PRIu64 " %s", ns / units[i].ns, units[i].name);
}

void text_label(const struct holder *record, char ret_label[static TEXT_LABEL_BYTES])
{
	bool is_member = record->kind == MEMPOOL_HOLDER_CLIENT && !record->is_reader;
	bool is_live = record->state == MEMPOOL_HOLDER_LIVE && !record->is_unverifiable;
	int n;

	n = snprintf(ret_label, TEXT_LABEL_BYTES, "%s%s%s%s%s%s", is_live ? "" : "(",
		     is_live ? "" : name_holder_state(record), is_live ? "" : ") ",
		     is_member ? "" : name_holder_role(record), is_member ? "" : " ",
		     record->name);
	if (n >= TEXT_LABEL_BYTES)
		ret_label[TEXT_LABEL_BYTES - 2] = '~';
}

void text_pid(const struct holder *record, char ret_text[static TEXT_PID_BYTES])
{
	if (record->pid == 0)
		snprintf(ret_text, TEXT_PID_BYTES, "-");
	else
		snprintf(ret_text, TEXT_PID_BYTES, "%u", record->pid);
}

void text_since(uint64_t realtime_ns, char ret_text[static TEXT_SINCE_BYTES])
{
	time_t then = (time_t)(realtime_ns / 1000000000);
	time_t age = time(NULL) - then;
	struct tm broken;
	size_t n = 0;

	if (realtime_ns > 0 && localtime_r(&then, &broken)) {
		if (age > -A_DAY_SECONDS && age < A_DAY_SECONDS)
			n = strftime(ret_text, TEXT_SINCE_BYTES, "%H:%M:%S", &broken);
		else if (age >= 0 && age < HALF_A_YEAR_SECONDS)
			n = strftime(ret_text, TEXT_SINCE_BYTES, "%b %d", &broken);
		else
			n = strftime(ret_text, TEXT_SINCE_BYTES, "%Y-%m", &broken);
	}
	if (n == 0)
		snprintf(ret_text, TEXT_SINCE_BYTES, "-");
}

/* Whether it is ".HOUSE.RANDOM", which tell a person nothing. */
static bool is_tail(const char *tail)
{
	return tail[0] == '.' && strspn(tail + 1, "0123456789abcdef") == TAIL_DIGITS &&
	       tail[TAIL_DIGITS + 1] == '.' &&
	       strspn(tail + TAIL_DIGITS + 2, "0123456789abcdef") == TAIL_DIGITS;
}

int text_object_length(const char *shm_name)
{
	size_t length = strlen(shm_name), tail = 2 * (1 + TAIL_DIGITS);

	return (int)(length > tail && is_tail(shm_name + length - tail) ? length - tail : length);
}

void text_heading(const struct snapshot *snapshot, char ret_text[static TEXT_HEADING_BYTES])
{
	char size[16], counted[24] = "";

	text_bytes(snapshot->size_bytes, size, sizeof(size));
	if (snapshot->counted_percent < 100)
		snprintf(counted, sizeof(counted), ", counted %u %%", snapshot->counted_percent);
	snprintf(ret_text, TEXT_HEADING_BYTES, "%s: %.*s, generation %" PRIu64 ", %s, %s%s",
		 snapshot->name, text_object_length(snapshot->shm_name), snapshot->shm_name,
		 snapshot->generation, size, name_segment_state(snapshot->state), counted);
}

static double share_of(uint64_t used, uint64_t total)
{
	return total > 0 ? (double)used / (double)total : 0;
}

enum text_level text_level(uint64_t used, uint64_t total)
{
	double share = share_of(used, total);

	return share >= 0.95 ? TEXT_FULL : share >= 0.75 ? TEXT_SHORT : TEXT_PLENTY;
}

int text_percent(uint64_t used, uint64_t total)
{
	int percent = (int)(share_of(used, total) * 100);

	return used > 0 && percent == 0 ? 1 : percent;
}

void text_bar(bool utf8, uint64_t used, uint64_t total, int columns,
	      char ret_text[static TEXT_BAR_BYTES])
{
	int full = (int)(share_of(used, total) * columns);

	if (used > 0 && full == 0)
		full = 1;
	ret_text[0] = '\0';
	for (int i = 0; i < columns && i < TEXT_BAR_MAX_COLUMNS; i++)
		strcat(ret_text, i < full ? utf8 ? "█" : "#" : utf8 ? "░" : ".");
}

int text_bar_columns(int room)
{
	int columns = room - BAR_AROUND_COLUMNS;

	if (columns < BAR_SHORT_COLUMNS)
		return 0;
	return columns < BAR_LONG_COLUMNS ? columns : BAR_LONG_COLUMNS;
}

void text_print_bar(struct text_style style, enum text_level level, uint64_t used,
		    uint64_t total, int room)
{
	static const char *const colours[] = {
		[TEXT_PLENTY] = "\033[32m",
		[TEXT_SHORT] = "\033[33m",
		[TEXT_FULL] = "\033[31m",
	};
	int columns = text_bar_columns(room);
	char bar[TEXT_BAR_BYTES];

	if (columns == 0)
		return;
	text_bar(style.utf8, used, total, columns, bar);
	printf("  %s%s%s %3d%%", style.colour ? colours[level] : "", bar,
	       style.colour ? "\033[0m" : "", text_percent(used, total));
}
