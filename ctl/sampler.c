/* SPDX-License-Identifier: MIT */
/*
 * sampler.c - see sampler.h
 *
 * The thread owns everything but `last`, which the mutex guards, and the samples, which do
 * not change. It alone looks at segments, so that a SIGBUS (shm/sigbus.h) is its own.
 *
 * A segment that takes long to count is counted on in the next look, so none makes the others
 * wait. What a look costs besides is for the daemon's config to say, not for members.
 */
#include "sampler.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gather.h"
#include "history.h"
#include "metrics.h"
#include "page_status.h"
#include "subscribers.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define INTERVAL_NS NS_PER_SECOND
#define REST_FACTOR 5			/* of the time that a look took: at most 20 % of a CPU */

struct sampler {
	const struct ctl_options *options;
	struct gather_past past;	/* each segment has its budget: gather.h */
	struct history history;
	struct problems problems;	/* of the last look */
	struct gathering gatherings[2];	/* of this look, and of the one before, in turn */
	unsigned int n_looks;

	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	struct sample *last;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- samples ---- */

static void sample_free(struct sample *sample)
{
	if (!sample)
		return;
	free(sample->metrics);
	free(sample->status);
	free(sample->unready);
	free(sample);
}

void sample_unref(struct sample *sample)
{
	/* acq_rel: whoever frees it comes after all who read it. */
	if (sample && atomic_fetch_sub_explicit(&sample->n_refs, 1, memory_order_acq_rel) == 1)
		sample_free(sample);
}

static int render_metrics(struct sampler *sampler, struct gathering *gathering,
			  struct sample *sample)
{
	FILE *file = open_memstream(&sample->metrics, &sample->metrics_size);

	if (!file)
		return -ENOMEM;
	metrics_write(file, sampler->options, gathering);
	return fclose(file) == 0 ? 0 : -ENOMEM;
}

/* ---- problems: those of this look, and which of them are news ---- */

static void keep_problem(const char *text, void *userdata)
{
	problems_add(userdata, text);
}

static void note_problems(struct sampler *sampler, const struct gathering *gathering)
{
	struct problems now = { 0 };

	ctl_error_to(keep_problem, &now);
	gathering_explain(gathering, sampler->options);
	ctl_error_to(NULL, NULL);

	for (size_t i = 0; i < now.n; i++)
		if (!problems_has(&sampler->problems, now.lines[i]))
			ctl_error("%s", now.lines[i]);
	if (now.n == 0 && sampler->problems.n > 0)
		ctl_error("everything can be read again");
	problems_deinit(&sampler->problems);
	sampler->problems = now;
}

static int render_unready(const struct problems *problems, struct sample *sample)
{
	FILE *file = open_memstream(&sample->unready, &sample->unready_size);

	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < problems->n; i++)
		fprintf(file, "%s\n", problems->lines[i]);
	return fclose(file) == 0 ? 0 : -ENOMEM;
}

/* ---- a look ---- */

static struct sample *look(struct sampler *sampler, uint64_t interval_ns)
{
	struct sample *sample = calloc(1, sizeof(*sample));
	struct gathering *gathering = &sampler->gatherings[sampler->n_looks % 2];
	struct page_status status;
	int r;

	if (!sample)
		return NULL;
	atomic_init(&sample->n_refs, 1);
	gather(sampler->options, &sampler->past, gathering);
	subscribers_compare(&sampler->gatherings[++sampler->n_looks % 2], gathering);
	note_problems(sampler, gathering);
	status = (struct page_status){
		.options = sampler->options,
		.gathering = gathering,
		.history = &sampler->history,
		.problems = &sampler->problems,
		.taken_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000),
		.interval_ms = interval_ns / 1000000,
	};
	history_add(&sampler->history, status.taken_ms, gathering);

	r = render_metrics(sampler, gathering, sample);
	if (r == 0)
		r = render_unready(&sampler->problems, sample);
	if (r == 0)
		r = page_status_render(&status, &sample->status, &sample->status_size);
	if (r < 0) {
		sample_free(sample);
		return NULL;
	}
	return sample;
}

/* Out of memory, the one before stays. */
static void publish(struct sampler *sampler, struct sample *sample)
{
	struct sample *before;

	if (!sample)
		return;
	pthread_mutex_lock(&sampler->lock);
	before = sampler->last;
	sampler->last = sample;
	pthread_mutex_unlock(&sampler->lock);
	sample_unref(before);
}

struct sample *sampler_last(struct sampler *sampler)
{
	struct sample *sample;

	pthread_mutex_lock(&sampler->lock);
	sample = sampler->last;
	/* Relaxed: the lock orders it. */
	atomic_fetch_add_explicit(&sample->n_refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&sampler->lock);
	return sample;
}

/* Return: false, it is time to stop. */
static bool rest(struct sampler *sampler, uint64_t until_ns)
{
	const struct timespec until = {
		.tv_sec = (time_t)(until_ns / NS_PER_SECOND),
		.tv_nsec = (long)(until_ns % NS_PER_SECOND),
	};
	int r = 0;

	pthread_mutex_lock(&sampler->lock);
	while (!sampler->stop && r == 0)
		r = pthread_cond_timedwait(&sampler->changed, &sampler->lock, &until);
	pthread_mutex_unlock(&sampler->lock);
	return r != 0;
}

static void *run(void *userdata)
{
	struct sampler *sampler = userdata;
	uint64_t interval_ns = INTERVAL_NS, begin_ns = clock_ns(CLOCK_MONOTONIC), used_ns;

	while (rest(sampler, begin_ns + interval_ns)) {
		begin_ns = clock_ns(CLOCK_MONOTONIC);
		used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		publish(sampler, look(sampler, interval_ns));
		used_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used_ns;
		interval_ns = used_ns * REST_FACTOR;
		if (interval_ns < INTERVAL_NS)
			interval_ns = INTERVAL_NS;
	}
	return NULL;
}

/* ---- start and stop ---- */

static int start_thread(struct sampler *sampler)
{
	pthread_condattr_t attributes;
	sigset_t all, before;
	int r;

	pthread_mutex_init(&sampler->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&sampler->changed, &attributes);
	pthread_condattr_destroy(&attributes);

	/* Signals are the other's, but for those that an access causes. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&sampler->thread, NULL, run, sampler);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void sampler_destroy(struct sampler *sampler)
{
	sample_unref(sampler->last);
	problems_deinit(&sampler->problems);
	gather_past_deinit(&sampler->past);
	gathering_deinit(&sampler->gatherings[0]);
	gathering_deinit(&sampler->gatherings[1]);
	history_deinit(&sampler->history);
	free(sampler);
}

int sampler_new(const struct ctl_options *options, struct sampler **ret_sampler)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));
	int r;

	if (!sampler)
		return -ENOMEM;
	sampler->options = options;
	r = history_init(&sampler->history);
	if (r == 0) {
		sampler->last = look(sampler, INTERVAL_NS);
		r = sampler->last ? start_thread(sampler) : -ENOMEM;
	}
	if (r < 0) {
		sampler_destroy(sampler);
		return r;
	}
	*ret_sampler = sampler;
	return 0;
}

void sampler_free(struct sampler *sampler)
{
	if (!sampler)
		return;
	pthread_mutex_lock(&sampler->lock);
	sampler->stop = true;
	pthread_cond_signal(&sampler->changed);
	pthread_mutex_unlock(&sampler->lock);
	pthread_join(sampler->thread, NULL);
	pthread_cond_destroy(&sampler->changed);
	pthread_mutex_destroy(&sampler->lock);
	sampler_destroy(sampler);
}
