/* SPDX-License-Identifier: MIT */
/*
 * trace.c - a schedule in words
 *
 * Only of a schedule that is gone through again, to be printed. Where an access stands is found by
 * its return address, with addr2line(1), for all at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define MAX_LINES 20000
#define LINE_BYTES 160

struct line {
	uint64_t step;
	void *pc;
	char who[24];
	char text[LINE_BYTES];
};

bool tracing, trace_private;

static struct line *lines;
static uint32_t n_lines;
static char old[80];			/* of the access that comes next */

void trace_begin(void)
{
	if (!lines)
		lines = malloc(MAX_LINES * sizeof(*lines));
	if (!lines)
		abort();
	n_lines = 0;
	old[0] = '\0';
}

static struct line *new_line(void *pc)
{
	struct line *line = &lines[n_lines < MAX_LINES - 1 ? n_lines++ : MAX_LINES - 1];

	line->step = step;
	line->pc = pc;
	snprintf(line->who, sizeof(line->who), "%s", self->of->name);
	return line;
}

static const char *order_name(int order)
{
	static const char *const names[] = { "relaxed", "consume", "acquire",
					     "release", "acq_rel", "seq_cst" };

	return order >= 0 && order < 6 ? names[order] : "";
}

static void name_place(uintptr_t address, char *to, size_t room)
{
	uintptr_t private = address - (uintptr_t)region - SHARED_BYTES;

	if (address == 0)
		to[0] = '\0';
	else if (memory_is_shared(address) && stage_name(address, to, room))
		return;
	else if (memory_is_shared(address))
		snprintf(to, room, "shared+0x%zx", (size_t)(address - (uintptr_t)region));
	else if (private < EXPLORE_THREADS * PRIVATE_BYTES)
		snprintf(to, room, "private+0x%zx", (size_t)(private % PRIVATE_BYTES));
	else
		snprintf(to, room, "static %p", (void *)address);
}

void trace_access(const char *what, uintptr_t address, uint32_t size, int order, uint64_t value,
		  void *pc)
{
	char place[64];
	struct line *line;

	if (!tracing || !exploring || (order < 0 && !trace_private && !memory_is_shared(address)))
		return;
	name_place(address, place, sizeof(place));
	line = new_line(pc);
	if (order < 0)
		snprintf(line->text, sizeof(line->text), "%-11s %-26s %u bytes", what, place, size);
	else if (size == 0)
		snprintf(line->text, sizeof(line->text), "%-11s %s", what, order_name(order));
	else
		snprintf(line->text, sizeof(line->text), "%-11s %-26s %#-14llx %s%s", what, place,
			 (unsigned long long)value, order_name(order), old);
	old[0] = '\0';
}

void trace_old(uint64_t of_step, uint64_t latest)
{
	if (tracing)
		snprintf(old, sizeof(old), "  OLD: of step %llu; the latest is %#llx",
			 (unsigned long long)of_step, (unsigned long long)latest);
}

void trace_event(const char *format, ...)
{
	struct line *line;
	va_list arguments;

	if (!tracing)
		return;
	line = new_line(NULL);
	va_start(arguments, format);
	vsnprintf(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
}

void explore_note(const char *format, ...)
{
	struct line *line;
	va_list arguments;

	if (!tracing)
		return;
	line = new_line(NULL);
	memcpy(line->text, "-- ", 3);
	va_start(arguments, format);
	vsnprintf(line->text + 3, sizeof(line->text) - 3, format, arguments);
	va_end(arguments);
}

/* "function file:line" of each, from innermost to outermost in one line. */
static FILE *open_symbols(char *path)
{
	char command[256];
	FILE *list;
	int fd = mkstemp(path);

	if (fd < 0)
		return NULL;
	list = fdopen(fd, "w");
	for (uint32_t i = 0; i < n_lines; i++)
		/* The call is before the return address. */
		fprintf(list, "%p\n", (void *)((char *)lines[i].pc - (lines[i].pc != NULL)));
	fclose(list);
	snprintf(command, sizeof(command), "addr2line -a -f -i -s -e /proc/%d/exe < %s 2>/dev/null",
		 (int)getpid(), path);
	return popen(command, "r");
}

static void print_line(const struct line *line, const char *where)
{
	printf("%5llu  %-10s %-72s %s\n", (unsigned long long)line->step, line->who, line->text,
	       line->pc ? where : "");
}

void trace_print(void)
{
	char path[] = "/tmp/explore-XXXXXX", text[512], where[256] = "", function[128];
	FILE *symbols = n_lines ? open_symbols(path) : NULL;
	uint32_t i = 0, n = 0;

	while (symbols && fgets(text, sizeof(text), symbols)) {
		text[strcspn(text, "\n")] = '\0';
		if (strncmp(text, "0x", 2) == 0) {
			if (n > 0 && i < n_lines)
				print_line(&lines[i++], where);
			n = 1;
			where[0] = '\0';
		} else if (n % 2 == 1) {
			snprintf(function, sizeof(function), "%.100s", text);
			n++;
		} else {
			text[strcspn(text, " ")] = '\0';
			/* Three are enough to see who called. */
			if (n < 8)
				snprintf(where + strlen(where), sizeof(where) - strlen(where),
					 "%s%.40s %.30s", where[0] ? " < " : "", function, text);
			n++;
		}
	}
	for (; i < n_lines; i++)
		print_line(&lines[i], i + 1 == n_lines ? where : "");
	if (symbols)
		pclose(symbols);
	unlink(path);
}
