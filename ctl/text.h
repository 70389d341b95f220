/* SPDX-License-Identifier: MIT */
/*
 * text.h - what reports for a person are made of: sizes, names, times, bars
 *
 * Bars are block characters where the locale is UTF-8, else ASCII; colour only on a
 * terminal and where NO_COLOR is unset or empty (no-color.org).
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

struct text_style {
	bool utf8;
	bool colour;
};

/* Of standard output. */
struct text_style text_style(void);

/* Whether NO_COLOR and TERM leave room for colours, if it is a terminal. */
bool text_may_colour(void);
bool text_is_utf8(void);

/* "19.5 MiB"; exact below 1 KiB. */
void text_bytes(uint64_t bytes, char *ret_text, size_t size);

/* "0", "7.5", "120", "12.3k", "1.2M" a second. */
#define TEXT_RATE_BYTES 12
void text_rate(double rate, char ret_text[static TEXT_RATE_BYTES]);

/* "3/50": so many in use of those in reserve; "-": there are none. */
#define TEXT_RESERVE_BYTES 24
void text_reserve(const struct snapshot_reserve *reserve, char ret_text[static TEXT_RESERVE_BYTES]);

/* "850 us", "1200 ms", "600 s", "23 h", "213503 d". */
#define TEXT_SPAN_BYTES 24
void text_span(uint64_t ns, char ret_text[static TEXT_SPAN_BYTES]);

/* "camera", "daemon mempoold", "(reaping) camera"; "~" at its end: cut. */
#define TEXT_LABEL_BYTES 33
void text_label(const struct holder *record, char ret_label[static TEXT_LABEL_BYTES]);

/* "-" of what is no process, as a topic. */
#define TEXT_PID_BYTES 12
void text_pid(const struct holder *record, char ret_text[static TEXT_PID_BYTES]);

/* Of CLOCK_REALTIME: "14:03:59" within the last day, else "Nov 25", else "2026-11". */
#define TEXT_SINCE_BYTES 12
void text_since(uint64_t realtime_ns, char ret_text[static TEXT_SINCE_BYTES]);

/* So many bytes of an object's name are for people; --shm takes that, too. */
int text_object_length(const char *shm_name);

/* "default: /mempool-default.1, generation 1, 21.4 MiB, ready", and ", counted 40 %" of a part */
#define TEXT_HEADING_BYTES 256
void text_heading(const struct snapshot *snapshot, char ret_text[static TEXT_HEADING_BYTES]);

/* How much of it is left, for the colour of a bar. */
enum text_level {
	TEXT_PLENTY,			/* green */
	TEXT_SHORT,			/* yellow: from 75 % on */
	TEXT_FULL,			/* red: from 95 % on */
};
enum text_level text_level(uint64_t used, uint64_t total);

/*
 * A bar of so many columns, and how many per cent. One that is used at all never shows as
 * empty.
 */
#define TEXT_BAR_MAX_COLUMNS 64
#define TEXT_BAR_BYTES (TEXT_BAR_MAX_COLUMNS * 3 + 1)
void text_bar(bool utf8, uint64_t used, uint64_t total, int columns,
	      char ret_text[static TEXT_BAR_BYTES]);
int text_percent(uint64_t used, uint64_t total);

/**
 * text_bar_columns() - how long a bar can be in the room behind a table
 *
 * Return: columns for the bar, with two spaces before and " 100%" behind it; 0: there is no
 *	   room for one.
 */
int text_bar_columns(int room);

/* Such a bar to standard output, in the colour of its level. */
void text_print_bar(struct text_style style, enum text_level level, uint64_t used,
		    uint64_t total, int room);

#endif
