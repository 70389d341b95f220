/* SPDX-License-Identifier: MIT */
/*
 * search.c - which schedules there are, and a failing one made short
 *
 * Whatever can go one way or another is asked here. The answer 0, or the first option, is what
 * happens if nothing is to happen: who runs goes on, a load returns the latest store, nobody is
 * killed. So a schedule is the list of its other answers, each by who was asked at which of its
 * steps. That list is printed, given back (--replay), and made shorter: one answer after the other
 * is left out, as long as it stays wrong.
 *
 * Exhaustive: depth first, by a stack of the answers. Without a bound on preemptions there are sleep
 * sets: who was tried first at some point sleeps in the other branches until somebody does what
 * its step depends on. Godefroid, Partial-Order Methods (1996).
 *
 * Random: each schedule has a style of its own. Priorities that change at a few points (Burckhardt
 * and others, A randomized scheduler with probabilistic guarantees, 2010), coin tosses of several
 * weights, and long stops: somebody stands still until nobody else can go on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

struct search_mutants search_mutants;

static enum { EXHAUSTS, TRIES, REPLAYS } mode;
static const struct scenario *scenario;

/* ---- a schedule as a list of answers ---- */

struct answer {
	uint8_t choice;
	uint8_t thread;
	uint16_t op;
	uint16_t serial;		/* asked again at the same step */
	uint16_t value;
};

#define MAX_ANSWERS 4096

struct answers {
	struct answer all[MAX_ANSWERS];
	uint32_t n;
};

static struct answers given;		/* in this schedule */
static struct answers wanted;		/* in a replay */
static bool is_used[MAX_ANSWERS];	/* of those */
static struct answer asked;		/* just now */
static struct answer last[N_CHOICES];	/* of each kind */

static void ask(enum choice choice, const struct thread *subject)
{
	struct answer *before = &last[choice];
	bool again = before->choice == choice && before->thread == subject->id &&
		     before->op == (uint16_t)subject->n_ops;

	asked = (struct answer){
		.choice = (uint8_t)choice,
		.thread = (uint8_t)subject->id,
		.op = (uint16_t)subject->n_ops,
		.serial = again ? before->serial + 1 : 0,
	};
	*before = asked;
}

static void note_answer(uint32_t value)
{
	if (given.n == MAX_ANSWERS)
		return;
	given.all[given.n] = asked;
	given.all[given.n++].value = (uint16_t)value;
}

static bool is_wanted(uint32_t *ret_value)
{
	for (uint32_t i = 0; i < wanted.n; i++) {
		struct answer answer = wanted.all[i];

		if (answer.choice == asked.choice && answer.thread == asked.thread &&
		    answer.op == asked.op && answer.serial == asked.serial && !is_used[i]) {
			is_used[i] = true;
			*ret_value = answer.value;
			return true;
		}
	}
	return false;
}

static const char letters[] = "tsofk";

static void print_answers(FILE *to, const struct answers *answers)
{
	for (uint32_t i = 0; i < answers->n; i++) {
		const struct answer *answer = &answers->all[i];

		fprintf(to, "%s%c%u.%u", i ? "," : "", letters[answer->choice], answer->thread,
			answer->op);
		if (answer->serial)
			fprintf(to, ".%u", answer->serial);
		fprintf(to, "=%u", answer->value);
	}
	fprintf(to, "\n");
}

static bool read_answers(const char *text, struct answers *answers)
{
	answers->n = 0;
	while (*text) {
		unsigned int thread, op, serial = 0, value;
		const char *letter = strchr(letters, *text);
		int n = 0;

		if (!letter || answers->n == MAX_ANSWERS)
			return false;
		if (sscanf(text + 1, "%u.%u=%u%n", &thread, &op, &value, &n) < 3 || n == 0) {
			n = 0;
			if (sscanf(text + 1, "%u.%u.%u=%u%n", &thread, &op, &serial, &value, &n) < 4)
				return false;
		}
		answers->all[answers->n++] = (struct answer){
			.choice = (uint8_t)(letter - letters),
			.thread = (uint8_t)thread,
			.op = (uint16_t)op,
			.serial = (uint16_t)serial,
			.value = (uint16_t)value,
		};
		text += 1 + n;
		if (*text == ',')
			text++;
	}
	return true;
}

/* ---- exhaustive ---- */

struct node {
	uint8_t choice;
	uint8_t n;
	uint8_t chosen;
	uint8_t options[EXPLORE_THREADS];
	uint8_t asleep;			/* on arrival */
	uint8_t done;
};

#define MAX_NODES 65536

static struct node *nodes;
static uint32_t n_nodes, depth;
static uint8_t asleep;
static bool sleeps;			/* there are sleep sets */
static int n_preemptions, n_stale;	/* of this schedule */
static struct search_result *counts;

static struct node *next_node(enum choice choice, uint32_t n)
{
	struct node *node = &nodes[depth];

	if (depth == MAX_NODES)
		explore_fail("endless: %d decisions", MAX_NODES);
	if (depth++ < n_nodes)
		return node;
	n_nodes++;
	counts->n_states++;
	*node = (struct node){ .choice = (uint8_t)choice, .n = (uint8_t)n, .asleep = asleep };
	return node;
}

static bool is_independent(const struct thread *a, const struct thread *b)
{
	if (a->op == OP_ALL || b->op == OP_ALL)
		return false;
	return a->place != b->place || (a->op == OP_LOAD && b->op == OP_LOAD);
}

static void fall_asleep(uint8_t mask, uint32_t runs)
{
	asleep = 0;
	for (uint32_t i = 0; i < n_threads; i++)
		if (mask >> i & 1 && i != runs && is_independent(&threads[i], &threads[runs]))
			asleep |= (uint8_t)(1 << i);
}

/* The next that is neither asleep nor done; n: none. */
static uint8_t next_option(const struct node *node, uint8_t i)
{
	while (i < node->n && (node->asleep | node->done) >> node->options[i] & 1)
		i++;
	return i;
}

static uint32_t exhaust_thread(const uint32_t *options, uint32_t n, bool is_free)
{
	struct node *node;
	bool is_new;

	if (!is_free && scenario->bounds.preemptions >= 0 &&
	    n_preemptions >= scenario->bounds.preemptions)
		n = 1;
	if (n == 1 && !sleeps)
		return options[0];
	if (n == 1) {
		if (asleep >> options[0] & 1)
			schedule_redundant();
		fall_asleep(asleep, options[0]);
		return options[0];
	}
	is_new = depth == n_nodes;
	node = next_node(CHOICE_THREAD, n);
	if (is_new) {
		for (uint32_t i = 0; i < n; i++)
			node->options[i] = (uint8_t)options[i];
		node->chosen = sleeps ? next_option(node, 0) : 0;
		if (node->chosen == node->n) {
			n_nodes--;
			schedule_redundant();
		}
	}
	if (sleeps)
		fall_asleep(node->asleep | node->done, node->options[node->chosen]);
	return node->options[node->chosen];
}

/* To the next schedule. Return: whether there is one. */
static bool backtrack(void)
{
	for (; n_nodes > 0; n_nodes--) {
		struct node *node = &nodes[n_nodes - 1];

		if (node->choice != CHOICE_THREAD) {
			if (++node->chosen < node->n)
				return true;
			continue;
		}
		if (!sleeps) {
			if (++node->chosen < node->n)
				return true;
			continue;
		}
		node->done |= (uint8_t)(1 << node->options[node->chosen]);
		node->chosen = next_option(node, 0);
		if (node->chosen < node->n)
			return true;
	}
	return false;
}

/* ---- random ---- */

static uint64_t random_state;

static uint64_t random_next(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)((random_next() >> 32) * n >> 32);
}

#define CHANGES 4
#define KILLS 4

static struct {
	enum { PRIORITIES, COINS, STOPS, N_STYLES } style;
	uint32_t one_in;		/* to change who runs, or to stop somebody */
	uint32_t stale_one_in;		/* 0: never */
	uint32_t priority[EXPLORE_THREADS];
	uint32_t change_at[CHANGES];	/* questions who goes on */
	uint32_t kill_at[KILLS];	/* questions whether to kill */
	uint32_t stopped;		/* threads */
	uint32_t n_asked, n_asked_kill;
} style;

/* Which question: of a short schedule or of a long one. So a schedule depends on its seed alone. */
static uint32_t random_moment(void)
{
	return 1 + random_below(UINT32_C(8) << random_below(6));
}

static void choose_style(void)
{
	static const uint32_t coins[] = { 2, 4, 8, 16, 32, 64 };
	static const uint32_t stales[] = { 0, 2, 3, 4, 8, 16, 32 };

	memset(&style, 0, sizeof(style));
	style.style = random_below(N_STYLES);
	style.one_in = coins[random_below(sizeof(coins) / sizeof(coins[0]))];
	style.stale_one_in = stales[random_below(sizeof(stales) / sizeof(stales[0]))];
	for (uint32_t i = 0; i < EXPLORE_THREADS; i++)
		style.priority[i] = CHANGES + random_below(1000);
	for (uint32_t i = 0; i < CHANGES; i++)
		style.change_at[i] = random_moment();
	for (uint32_t i = 0; i < KILLS; i++)
		style.kill_at[i] = random_moment();
}

static uint32_t random_option(const uint32_t *options, uint32_t n)
{
	uint32_t found[EXPLORE_THREADS], n_found = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!(style.stopped >> options[i] & 1))
			found[n_found++] = options[i];
	if (n_found == 0) {
		style.stopped = 0;
		return options[random_below(n)];
	}
	return found[random_below(n_found)];
}

static uint32_t random_thread(const uint32_t *options, uint32_t n, bool is_free)
{
	uint32_t best = options[0];

	style.n_asked++;
	switch (style.style) {
	case PRIORITIES:
		for (uint32_t i = 0; i < CHANGES; i++)
			if (style.change_at[i] == style.n_asked)
				style.priority[options[0]] = i;
		for (uint32_t i = 1; i < n; i++)
			if (style.priority[options[i]] > style.priority[best])
				best = options[i];
		return best;
	case STOPS:
		if (n > 1 && random_below(style.one_in) == 0)
			style.stopped |= UINT32_C(1) << options[0];
		if (!is_free && !(style.stopped >> options[0] & 1))
			return options[0];
		return random_option(options, n);
	default:
		return is_free || random_below(style.one_in) == 0 ? options[random_below(n)]
								  : options[0];
	}
}

static uint32_t random_choose(enum choice choice, uint32_t n)
{
	if (choice == CHOICE_KILL) {
		style.n_asked_kill++;
		for (int i = 0; i < KILLS && i < scenario->kills; i++)
			if (style.kill_at[i] == style.n_asked_kill)
				return 1;
		return 0;
	}
	if (style.stale_one_in == 0 || random_below(style.stale_one_in) != 0)
		return 0;
	return random_below(n);
}

/* ---- what is asked ---- */

uint32_t search_thread(const uint32_t *options, uint32_t n, bool is_free,
		       const struct thread *subject)
{
	uint32_t thread = options[0];

	ask(CHOICE_THREAD, subject);
	if (mode == EXHAUSTS) {
		thread = exhaust_thread(options, n, is_free);
	} else if (mode == TRIES) {
		if (n > 1)
			thread = random_thread(options, n, is_free);
	} else {
		uint32_t value;

		if (is_wanted(&value))
			for (uint32_t i = 0; i < n; i++)
				if (options[i] == value)
					thread = value;
	}
	if (thread != options[0]) {
		n_preemptions += !is_free;
		note_answer(thread);
	}
	return thread;
}

uint32_t search_choose(enum choice choice, uint32_t n, const struct thread *subject)
{
	bool is_bounded = choice != CHOICE_KILL;
	uint32_t value = 0;

	if (n < 2 || (choice == CHOICE_KILL ? search_mutants.never_kill : search_mutants.never_stale))
		return 0;
	ask(choice, subject);
	if (mode == EXHAUSTS) {
		if (is_bounded && scenario->bounds.stale >= 0 && n_stale >= scenario->bounds.stale)
			return 0;
		value = next_node(choice, n)->chosen;
	} else if (mode == TRIES) {
		value = random_choose(choice, n);
	} else if (is_wanted(&value)) {
		value = value < n ? value : n - 1;
	}
	if (value != 0) {
		n_stale += is_bounded;
		note_answer(value);
		/* A kill meets whatever others do. */
		if (choice == CHOICE_KILL)
			asleep = 0;
	}
	return value;
}

void search_begin(void)
{
	given.n = 0;
	depth = 0;
	asleep = 0;
	n_preemptions = n_stale = 0;
	for (int i = 0; i < N_CHOICES; i++)
		last[i] = (struct answer){ .choice = N_CHOICES };
	memset(is_used, 0, sizeof(is_used));
	if (mode == TRIES)
		choose_style();
}

/* ---- many ---- */

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count(struct search_result *result, enum outcome outcome)
{
	result->n_redundant += outcome == OUTCOME_REDUNDANT;
	result->n_schedules += outcome != OUTCOME_REDUNDANT;
	result->n_kills += schedule_counts.n_kills;
	result->n_steps += step;
	result->n_stale += (uint64_t)n_stale;
	result->is_wrong = outcome == OUTCOME_WRONG;
}

void search_exhaust(const struct scenario *of, uint64_t max_schedules, double max_seconds,
		    void (*after)(void), struct search_result *result)
{
	double start = seconds_now();

	if (!nodes)
		nodes = malloc(MAX_NODES * sizeof(*nodes));
	if (!nodes)
		abort();
	*result = (struct search_result){ .n_schedules = 0 };
	counts = result;
	scenario = of;
	mode = EXHAUSTS;
	n_nodes = 0;
	sleeps = of->bounds.preemptions < 0;
	schedule_init(of);
	for (;;) {
		enum outcome outcome = schedule_run();

		count(result, outcome);
		if (after && outcome == OUTCOME_RIGHT)
			after();
		if (result->is_wrong)
			break;
		if (!backtrack()) {
			result->is_complete = true;
			break;
		}
		if (result->n_schedules >= max_schedules ||
		    (result->n_schedules % 64 == 0 && seconds_now() - start > max_seconds))
			break;
	}
	result->seconds = seconds_now() - start;
}

void search_random(const struct scenario *of, uint64_t seed, uint64_t min_schedules,
		   double max_seconds, struct search_result *result)
{
	double start = seconds_now();

	*result = (struct search_result){ .n_schedules = 0 };
	scenario = of;
	mode = TRIES;
	schedule_init(of);
	while (!result->is_wrong &&
	       (result->n_schedules < min_schedules || result->n_schedules % 64 != 0 ||
		seconds_now() - start < max_seconds)) {
		random_state = (seed + result->n_schedules) * UINT64_C(0xd1342543de82ef95);
		count(result, schedule_run());
	}
	result->seconds = seconds_now() - start;
	if (result->is_wrong)
		printf("%s: the schedule of --seed %#llx\n", of->name,
		       (unsigned long long)(seed + result->n_schedules - 1));
}

/* ---- one again ---- */

static bool is_wrong_with(const struct answers *answers, const char *kind)
{
	mode = REPLAYS;
	wanted = *answers;
	return schedule_run() == OUTCOME_WRONG && (!kind || schedule_fault_kind() == kind);
}

/* Leave out what it is wrong without. */
static void shorten(struct answers *answers, const char *kind)
{
	static struct answers fewer;
	uint32_t n = answers->n;

	while (n > 0) {
		bool any = false;

		for (uint32_t i = 0; i < answers->n;) {
			uint32_t out = n < answers->n - i ? n : answers->n - i;

			fewer.n = answers->n - out;
			memcpy(fewer.all, answers->all, i * sizeof(fewer.all[0]));
			memcpy(fewer.all + i, answers->all + i + out,
			       (fewer.n - i) * sizeof(fewer.all[0]));
			if (is_wrong_with(&fewer, kind)) {
				*answers = fewer;
				any = true;
			} else {
				i += out;
			}
		}
		if (!any || n > 1)
			n /= 2;
	}
}

static bool show(const struct answers *answers)
{
	bool is_wrong;

	tracing = true;
	trace_private = strncmp(schedule_fault(), "data race", 9) == 0;
	trace_begin();
	is_wrong = is_wrong_with(answers, NULL);
	tracing = false;
	trace_print();
	if (is_wrong)
		printf("%s: WRONG: %s\n", scenario->name, schedule_fault());
	return is_wrong;
}

void search_explain(const struct scenario *of)
{
	static struct answers answers;
	const char *kind = schedule_fault_kind();
	uint32_t n_before;

	scenario = of;
	answers = given;
	n_before = answers.n;
	if (is_wrong_with(&answers, kind))
		shorten(&answers, kind);
	else
		printf("(the schedule does not go the same way again)\n");
	printf("%s: %u decisions, of %u:\n", of->name, answers.n, n_before);
	show(&answers);
	printf("again: --replay %s ", of->name);
	print_answers(stdout, &answers);
}

bool search_replay(const struct scenario *of, const char *text)
{
	static struct answers answers;

	if (!read_answers(text, &answers)) {
		fprintf(stderr, "that is no schedule\n");
		return false;
	}
	scenario = of;
	schedule_init(of);
	return show(&answers);
}
