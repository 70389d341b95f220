/* SPDX-License-Identifier: MIT */
#include "daemon/base/jobs.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

static void work(void *userdata)
{
	struct jobs *jobs = userdata;

	jobs->current->fns->work(jobs->current);
}

static void is_over(struct job *job, int error)
{
	job->jobs->current = NULL;
	job->jobs = NULL;
	job->fns->done(job, error);
}

static void tell_held(struct jobs *jobs)
{
	void (*held)(void *userdata) = jobs->held;

	if (!jobs->is_held || jobs->current || !held)
		return;
	jobs->held = NULL;
	held(jobs->userdata);
}

static struct job_list *list_of(struct jobs *jobs, const struct job *job)
{
	return job->fns->gives_memory ? &jobs->giving : &jobs->taking;
}

/* NULL: none, or it is held. */
static struct job *find_next(const struct jobs *jobs)
{
	struct job *job = TAILQ_FIRST(&jobs->giving);

	return job || jobs->is_held ? job : TAILQ_FIRST(&jobs->taking);
}

static void done(void *userdata);

static void begin(struct jobs *jobs, struct job *job)
{
	int r;

	jobs->current = job;
	r = job->fns->begin(job) ? worker_start(&jobs->worker, jobs->base, work, done, jobs)
				 : -ECANCELED;
	if (r < 0)
		is_over(job, r);
}

static void begin_next(struct jobs *jobs)
{
	struct job *job;

	while (!jobs->current && (job = find_next(jobs))) {
		TAILQ_REMOVE(list_of(jobs, job), job, link);
		begin(jobs, job);
	}
	tell_held(jobs);
}

static void done(void *userdata)
{
	struct jobs *jobs = userdata;

	is_over(jobs->current, 0);
	begin_next(jobs);
}

void jobs_ask(struct jobs *jobs, struct job *job)
{
	assert(!job->jobs);
	/* Relaxed: by this thread, if at all. */
	if (job->fns->gives_memory &&
	    atomic_load_explicit(&jobs->is_given_up, memory_order_relaxed)) {
		job->fns->stopped(job);
		return;
	}
	job->jobs = jobs;
	TAILQ_INSERT_TAIL(list_of(jobs, job), job, link);
	begin_next(jobs);
}

void jobs_forget(struct job *job)
{
	if (!job->jobs)
		return;
	assert(job->jobs->current != job);
	TAILQ_REMOVE(list_of(job->jobs, job), job, link);
	job->jobs = NULL;
}

bool job_is_given_up(const struct job *job)
{
	/* Relaxed: a wish that may be seen a piece later. */
	return atomic_load_explicit(&job->jobs->is_given_up, memory_order_relaxed);
}

void jobs_hold(struct jobs *jobs, void (*held)(void *userdata), void *userdata)
{
	assert(!jobs->is_held);
	jobs->is_held = true;
	jobs->held = held;
	jobs->userdata = userdata;
	/* Whatever waits to give memory waits for the one under way. */
	tell_held(jobs);
}

void jobs_release(struct jobs *jobs)
{
	jobs->is_held = false;
	jobs->held = NULL;
	begin_next(jobs);
}

void jobs_init(struct jobs *jobs, struct event_base *base)
{
	*jobs = (struct jobs){ .base = base };
	TAILQ_INIT(&jobs->giving);
	TAILQ_INIT(&jobs->taking);
}

static void stop(struct job *job)
{
	job->jobs = NULL;
	job->fns->stopped(job);
}

bool jobs_stop(struct jobs *jobs)
{
	struct job *job = jobs->current;

	atomic_store_explicit(&jobs->is_given_up, true, memory_order_relaxed);
	if (!worker_stop(&jobs->worker))
		return false;
	jobs->current = NULL;
	if (job)
		stop(job);
	while ((job = TAILQ_FIRST(&jobs->giving))) {
		TAILQ_REMOVE(&jobs->giving, job, link);
		stop(job);
	}
	return true;
}
