/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define MAX_OPS 16
#define MAX_RESULTS 4096
#define LOCATIONS 3

struct operation {
	char kind;
	uint32_t location;
	uint64_t value;
	int order;
	uint32_t place;			/* among what is read */
};

static struct {
	struct operation ops[MAX_OPS];
	uint32_t n;
} program[EXPLORE_THREADS];

static uint64_t *locations;
static uint32_t n_read;
static struct {
	char read[MAX_OPS + 1];		/* digits */
} world;

static char results[MAX_RESULTS][MAX_OPS + LOCATIONS + 2];
static uint32_t n_results;

static int order_of(char letter)
{
	switch (letter) {
	case 'r':
		return __ATOMIC_RELAXED;
	case 'a':
		return __ATOMIC_ACQUIRE;
	case 'l':
		return __ATOMIC_RELEASE;
	case 'q':
		return __ATOMIC_ACQ_REL;
	case 's':
		return __ATOMIC_SEQ_CST;
	default:
		return -1;
	}
}

/* Return: behind it; NULL: it is none. */
static const char *read_operation(const char *text, struct operation *op)
{
	*op = (struct operation){ .kind = *text };
	if (!strchr("WRAF", *text) || *text++ == '\0')
		return NULL;
	if (op->kind != 'F') {
		op->location = (uint32_t)(*text++ - 'x');
		if (op->location >= LOCATIONS)
			return NULL;
	}
	if (op->kind == 'W' || op->kind == 'A')
		op->value = (uint64_t)(*text++ - '0');
	if (op->kind == 'R' || op->kind == 'A')
		op->place = n_read++;
	op->order = order_of(*text);
	return op->order < 0 ? NULL : text + 1;
}

/* Return: threads; 0: it is no program. */
static uint32_t read_program(const char *text)
{
	uint32_t n = 1;

	n_read = 0;
	memset(program, 0, sizeof(program));
	while (text && *text) {
		if (n >= EXPLORE_THREADS - 1 || program[n].n == MAX_OPS || n_read == MAX_OPS)
			return 0;
		text = read_operation(text, &program[n].ops[program[n].n++]);
		if (text && *text == '|')
			n++;
		if (text && *text)
			text++;
	}
	return text ? n : 0;
}

static void run(void)
{
	for (uint32_t i = 0; i < program[self->id].n; i++) {
		const struct operation *op = &program[self->id].ops[i];
		uintptr_t at = (uintptr_t)&locations[8 * op->location];
		uint64_t seen = 0;

		if (op->kind == 'W')
			memory_store(at, 8, op->value, op->order, NULL);
		else if (op->kind == 'R')
			seen = memory_load(at, 8, op->order, NULL);
		else if (op->kind == 'A')
			seen = memory_rmw(at, 8, RMW_ADD, op->value, op->order, NULL);
		else
			memory_fence(op->order, NULL);
		if (op->kind == 'R' || op->kind == 'A')
			world.read[op->place] = (char)('0' + seen);
	}
}

static void set_up(void)
{
	locations = explore_shared(LOCATIONS * 64, 64);
}

static void after(void)
{
	char *result = results[n_results];

	memcpy(result, world.read, n_read);
	result[n_read] = ' ';
	for (uint32_t i = 0; i < LOCATIONS; i++)
		result[n_read + 1 + i] = (char)('0' + locations[8 * i]);
	result[n_read + 1 + LOCATIONS] = '\0';
	for (uint32_t i = 0; i < n_results; i++)
		if (strcmp(results[i], result) == 0)
			return;
	if (++n_results == MAX_RESULTS)
		abort();
}

int program_run(const char *text)
{
	struct scenario_thread threads_of[EXPLORE_THREADS];
	struct search_result result;
	struct scenario scenario = {
		.name = "program",
		.threads = threads_of,
		.n_threads = read_program(text),
		.set_up = set_up,
		.world = &world,
		.world_bytes = sizeof(world),
		.bounds = { -1, -1 },
	};

	if (scenario.n_threads == 0)
		return 2;
	for (uint32_t i = 0; i < scenario.n_threads; i++)
		threads_of[i] = (struct scenario_thread){ "thread", i + 1, NULL, run };
	n_results = 0;
	search_exhaust(&scenario, UINT64_MAX, 1e9, after, &result);
	for (uint32_t i = 0; i < n_results; i++)
		puts(results[i]);
	puts("end");
	fflush(stdout);
	return 0;
}
