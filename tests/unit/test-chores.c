/* SPDX-License-Identifier: MIT */
/* test-chores.c - what takes time leaves the sockets their turns */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/chores.h"
#include "daemon/base/clock.h"
#include "test_segment.h"

enum { N_CHORES = 3, STEP_NS = 60000, N_STEPS = 300 };

struct job {
	struct chore chore;
	unsigned int n_steps;
	unsigned int n_left;
};

static struct event_base *base;
static struct chores chores;
static struct job jobs[N_CHORES];
static struct event readable;
static unsigned int n_steps;		/* since the sockets were looked at */
static unsigned int most_steps;

static unsigned int n_looks;
static int fds[2];

/* As long as it takes: a busy machine makes it no shorter. */
static bool work(void *userdata)
{
	struct job *job = userdata;
	uint64_t begun_ns = clock_monotonic_ns();

	while (clock_monotonic_ns() - begun_ns < STEP_NS)
		;
	job->n_steps++;
	n_steps++;
	for (int i = 0; i < N_CHORES; i++)
		if (jobs[i].chore.is_due)
			ck_assert_int_le(abs((int)jobs[i].n_steps - (int)job->n_steps), 1);
	return --job->n_left > 0;
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
	most_steps = n_steps > most_steps ? n_steps : most_steps;
	n_steps = 0;
	n_looks++;
}

static void setup(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	chores_init(&chores, base, CHORES_TURN_NS);
	for (int i = 0; i < N_CHORES; i++)
		chore_init(&jobs[i].chore, &chores, work, &jobs[i]);
	/* Always: who talks all the time. */
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	event_assign(&readable, base, fds[0], EV_READ | EV_PERSIST, on_readable, NULL);
	event_add(&readable, NULL);
}

static void teardown(void)
{
	event_del(&readable);
	chores_deinit(&chores);
	event_base_free(base);
	close(fds[0]);
	close(fds[1]);
}

static bool is_any_due(void)
{
	for (int i = 0; i < N_CHORES; i++)
		if (jobs[i].chore.is_due)
			return true;
	return false;
}

START_TEST(test_chores_of_all_share_one_turn)
{
	for (int i = 0; i < N_CHORES; i++) {
		jobs[i].n_left = N_STEPS;
		chore_start(&jobs[i].chore);
		/* Twice is once. */
		chore_start(&jobs[i].chore);
	}
	while (is_any_due())
		event_base_loop(base, EVLOOP_ONCE);
	for (int i = 0; i < N_CHORES; i++)
		ck_assert_uint_eq(jobs[i].n_steps, N_STEPS);
	/* The last one may begin just before the turn is over. */
	ck_assert_uint_le(most_steps, CHORES_TURN_NS / STEP_NS + 1);
	ck_assert_uint_ge(n_looks, N_CHORES * N_STEPS / (CHORES_TURN_NS / STEP_NS + 1));
}
END_TEST

START_TEST(test_chores_stopped_has_no_turn)
{
	jobs[0].n_left = jobs[1].n_left = 2;
	chore_start(&jobs[0].chore);
	chore_start(&jobs[1].chore);
	chore_stop(&jobs[0].chore);
	chore_stop(&jobs[0].chore);
	while (is_any_due())
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(jobs[0].n_steps, 0);
	ck_assert_uint_eq(jobs[1].n_steps, 2);
}
END_TEST

struct once {
	struct chore chore;
	bool *ret_done;
};

static bool free_itself(void *userdata)
{
	struct once *once = userdata;

	*once->ret_done = true;
	free(once);
	return false;
}

START_TEST(test_chores_step_may_free_its_chore)
{
	struct once *once = calloc(1, sizeof(*once));
	bool is_done = false;

	ck_assert_ptr_nonnull(once);
	once->ret_done = &is_done;
	chore_init(&once->chore, &chores, free_itself, once);
	chore_start(&once->chore);
	while (!is_done)
		event_base_loop(base, EVLOOP_ONCE);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_chores_of_all_share_one_turn);
	tcase_add_test(tcase, test_chores_stopped_has_no_turn);
	tcase_add_test(tcase, test_chores_step_may_free_its_chore);
}

int main(void)
{
	return test_run("chores", add_tests);
}
