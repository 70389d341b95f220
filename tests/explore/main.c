/* SPDX-License-Identifier: MIT */
/*
 * main.c - the explorer's command line: see README.md
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "litmus.h"
#include "program.h"

static struct {
	uint64_t seed;
	uint64_t exhaustive;		/* schedules of each scenario, at most; 0: none */
	uint64_t random;		/* at least; 0: none */
	double seconds;			/* of all random searches together, at least */
	int preemptions, stale, kills;	/* instead of the scenario's; -2: as it says */
	int part, n_parts;		/* of the scenarios every n_parts'th */
	const char *replay;
} options = { .n_parts = 1, .preemptions = -2, .stale = -2, .kills = -2, .seed = 1, .exhaustive = 2000, .random = 2000 };

/* ---- litmus ---- */

#define MAX_RESULTS 64

static int results[MAX_RESULTS];
static unsigned int n_results;
static const struct litmus *litmus;

static void add_result(int result)
{
	for (unsigned int i = 0; i < n_results; i++)
		if (results[i] == result)
			return;
	if (n_results < MAX_RESULTS)
		results[n_results++] = result;
}

static void after_litmus(void)
{
	add_result(litmus->result());
}

static bool is_seen(int result)
{
	for (unsigned int i = 0; i < n_results; i++)
		if (results[i] == result)
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Without a list of what is allowed: what is never seen is at the beginning of "never". */
static bool none_of_never(void)
{
	const char *text = litmus->never;

	while (*text) {
		if (is_seen((int)strtol(text, (char **)(uintptr_t)&text, 10)))
			return false;
		text += strspn(text, ", ");
	}
	return true;
}

static bool as_allowed(void)
{
	const char *text = litmus->allowed;
	unsigned int n = 0;

	if (!text)
		return none_of_never();
	while (*text) {
		char *end;
		int result = (int)strtol(text, &end, 10);

		if (end == text) {
			result = LITMUS_RACE;
			end += strlen("race");
		}
		if (!is_seen(result))
			return false;
		n++;
		text = end + strspn(end, " ");
	}
	return n == n_results;
}

static bool run_litmus(const struct litmus *of)
{
	struct search_result result;
	bool is_right;
	int width;

	litmus = of;
	n_results = 0;
	search_exhaust(&of->scenario, UINT64_MAX, 1e9, after_litmus, &result);
	if (result.is_wrong && strncmp(schedule_fault(), "data race", 9) == 0) {
		n_results = 0;
		add_result(LITMUS_RACE);
	}
	is_right = as_allowed();
	width = of->allowed ? (int)strcspn(of->allowed, " ") : 4;
	printf("%-56s %5llu  %s ", of->scenario.name, (unsigned long long)result.n_schedules,
	       is_right ? "ok   " : "WRONG");
	qsort(results, n_results, sizeof(results[0]), by_value);
	for (unsigned int i = 0; i < n_results; i++)
		if (results[i] == LITMUS_RACE)
			printf(" race");
		else
			printf(" %0*d", width, results[i]);
	printf("%s%s\n", of->never[0] ? "; never " : "", of->never);
	if (!is_right && result.is_wrong)
		printf("  %s\n", schedule_fault());
	return is_right;
}

static int run_all_litmus(void)
{
	unsigned int n_wrong = 0;

	printf("%-56s %5s  %-6s seen\n", "program", "runs", "");
	for (unsigned int i = 0; i < litmus_n; i++)
		n_wrong += !run_litmus(&litmus_table[i]);
	printf("%u programs, %u wrong\n", litmus_n, n_wrong);
	return n_wrong != 0;
}

/* ---- scenarios ---- */

static const struct scenario *find(const char *name)
{
	for (int i = 0; scenarios[i]; i++)
		if (strcmp(scenarios[i]->name, name) == 0)
			return scenarios[i];
	fprintf(stderr, "no scenario is called %s\n", name);
	exit(2);
}

static struct search_result total;

static void print_row(const char *name, const char *how, const struct search_result *result,
		      const char *end)
{
	uint64_t n = result->n_schedules + result->n_redundant;

	printf("%-20s %-10s %9llu %9llu %9llu %9llu %5llu %8.0f  %s\n", name, how,
	       (unsigned long long)result->n_schedules, (unsigned long long)result->n_states,
	       (unsigned long long)result->n_kills, (unsigned long long)result->n_stale,
	       (unsigned long long)(result->n_steps / (n + (n == 0))),
	       (double)n / (result->seconds + 1e-9), end);
	fflush(stdout);
}

static void add_to_total(const struct search_result *result)
{
	total.n_schedules += result->n_schedules;
	total.n_redundant += result->n_redundant;
	total.n_states += result->n_states;
	total.n_kills += result->n_kills;
	total.n_stale += result->n_stale;
	total.n_steps += result->n_steps;
	total.seconds += result->seconds;
}

/* The scenario with what the command line says instead. */
static struct scenario adapt(const struct scenario *scenario)
{
	struct scenario adapted = *scenario;

	if (options.preemptions != -2)
		adapted.bounds.preemptions = options.preemptions;
	if (options.stale != -2)
		adapted.bounds.stale = options.stale;
	if (options.kills != -2)
		adapted.kills = options.kills;
	return adapted;
}

static int at_most(int bound, int level)
{
	return bound < level ? bound : level;
}

/*
 * The bounds grow step by step: with no preemption and no old value, with one of each, and so on.
 * So the shortest faults are found first, and what is said at the end is what was seen to the end.
 */
static void exhaust(const struct scenario *scenario, struct search_result *result)
{
	uint64_t left = options.exhaustive;
	struct scenario bounded = *scenario;
	int level = 0, last = scenario->bounds.preemptions > scenario->bounds.stale
				      ? scenario->bounds.preemptions
				      : scenario->bounds.stale;
	char end[64];

	/* No bound is one level. */
	if (scenario->bounds.preemptions < 0 || scenario->bounds.stale < 0)
		level = last = INT_MAX;
	do {
		if (level != INT_MAX)
			bounded.bounds = (struct scenario_bounds){
				at_most(scenario->bounds.preemptions, level),
				at_most(scenario->bounds.stale, level),
			};
		search_exhaust(&bounded, left, 1e9, NULL, result);
		add_to_total(result);
		left = left > result->n_schedules ? left - result->n_schedules : 0;
		snprintf(end, sizeof(end), "%s %d preemptions, %d old",
			 result->is_complete ? "all to" : "some of", bounded.bounds.preemptions,
			 bounded.bounds.stale);
		print_row(scenario->name, "exhaustive", result, result->is_wrong ? "WRONG" : end);
	} while (result->is_complete && left > 0 && level++ < last);
}

/* Return: whether all was right. */
static bool run(const struct scenario *of, double seconds)
{
	struct search_result result = { .n_schedules = 0 };
	const struct scenario scenario = adapt(of);
	uint64_t n_kills = total.n_kills;

	if (options.exhaustive > 0)
		exhaust(&scenario, &result);
	if (options.random > 0 && !result.is_wrong) {
		search_random(&scenario, options.seed, options.random, seconds, &result);
		print_row(scenario.name, "random", &result, result.is_wrong ? "WRONG" : "");
		add_to_total(&result);
	}
	if (result.is_wrong) {
		search_explain(&scenario);
		return false;
	}
	/* A search that tried nothing proves nothing. */
	if (scenario.kills > 0 && total.n_kills == n_kills) {
		printf("%s: nobody was killed\n", scenario.name);
		return false;
	}
	return true;
}

static int replay(const char *name)
{
	const struct scenario scenario = adapt(find(name));

	return search_replay(&scenario, options.replay);
}

static int run_all(char **names, int n)
{
	int n_wrong = 0, n_all = n;

	if (n == 0)
		while (scenarios[n_all])
			n_all++;
	printf("%-20s %-10s %9s %9s %9s %9s %5s %8s\n", "scenario", "search", "schedules", "states",
	       "kills", "stale", "steps", "a second");
	for (int i = options.part; i < n_all; i += options.n_parts)
		n_wrong += !run(n > 0 ? find(names[i]) : scenarios[i],
				options.seconds * options.n_parts / n_all);
	print_row("all", "", &total, n_wrong ? "WRONG" : "");
	return n_wrong != 0;
}

/* ---- the line ---- */

static void list(void)
{
	for (int i = 0; scenarios[i]; i++)
		printf("%-22s %s\n", scenarios[i]->name, scenarios[i]->about);
}

static void set_mutant(const char *name)
{
	if (strcmp(name, "never-stale") == 0)
		search_mutants.never_stale = true;
	else if (strcmp(name, "never-kill") == 0)
		search_mutants.never_kill = true;
	else if (strcmp(name, "deaf-membarrier") == 0)
		search_mutants.deaf_membarrier = true;
	else {
		fprintf(stderr, "no mutant is called %s\n", name);
		exit(2);
	}
}

/* One a line. */
static int run_programs(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (program_run(line) != 0)
			return 2;
	}
	return 0;
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: explore [OPTION...] [SCENARIO...]\n"
		    "       explore --litmus\n"
		    "       explore --programs < PROGRAMS\n"
		    "       explore --replay SCHEDULE SCENARIO\n"
		    "\n"
		    "  --list            what scenarios there are\n"
		    "  --seed N          of the first random schedule; the next has N + 1\n"
		    "  --exhaustive N    schedules of each scenario, at most; 0: none\n"
		    "  --random N        the same at random, at least; 0: none\n"
		    "  --seconds S       of all random searches together, at least\n"
		    "  --part K/N        of the scenarios every Nth, from the Kth on\n"
		    "  --preemptions N   instead of the scenario's bounds; -1: no bound\n"
		    "  --stale N         the same of old values\n"
		    "  --kills N         in a schedule, at most\n"
		    "  --mutant NAME     break the explorer: never-stale, never-kill, deaf-membarrier\n");
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "litmus", no_argument, NULL, 'L' },
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "exhaustive", required_argument, NULL, 'e' },
		{ "random", required_argument, NULL, 'r' },
		{ "part", required_argument, NULL, 'p' },
		{ "preemptions", required_argument, NULL, 'P' },
		{ "stale", required_argument, NULL, 'S' },
		{ "kills", required_argument, NULL, 'K' },
		{ "replay", required_argument, NULL, 'R' },
		{ "programs", no_argument, NULL, 'A' },
		{ "mutant", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool litmus_only = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		switch (c) {
		case 'l':
			list();
			return 0;
		case 'L':
			litmus_only = true;
			break;
		case 's':
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'e':
			options.exhaustive = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			options.random = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			if (sscanf(optarg, "%d/%d", &options.part, &options.n_parts) != 2 ||
			    options.n_parts < 1 || options.part < 1 ||
			    options.part-- > options.n_parts)
				return 2;
			break;
		case 'P':
			options.preemptions = atoi(optarg);
			break;
		case 'S':
			options.stale = atoi(optarg);
			break;
		case 'K':
			options.kills = atoi(optarg);
			break;
		case 'R':
			options.replay = optarg;
			break;
		case 'A':
			return run_programs();
		case 'm':
			set_mutant(optarg);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (litmus_only)
		return run_all_litmus();
	if (options.replay)
		return optind == argc - 1 ? replay(argv[optind]) : 2;
	return run_all(argv + optind, argc - optind);
}
