/* SPDX-License-Identifier: MIT */
/*
 * sampler.h - look again and again, in a thread of its own, and keep the last sample
 *
 * Who serves must never wait: asking a stopped daemon takes seconds, and so does counting a
 * billion chunks. And what a client asks for must cost next to nothing, however often. So a
 * thread gathers and renders at its own pace, and requests hand out the last result.
 */
#ifndef CTL_SAMPLER_H
#define CTL_SAMPLER_H

#include <stddef.h>

#include "ctl.h"

/* Rendered once, read by any number of requests; kept until the last one lets go. */
struct sample {
	_Atomic unsigned int n_refs;
	char *metrics;			/* metrics.h */
	size_t metrics_size;
	char *status;			/* JSON, see report_status.c */
	size_t status_size;
	char *unready;			/* what could not be read, or is not served; empty: nothing */
	size_t unready_size;
};

struct sampler;

/**
 * sampler_new() - take the first sample, then start the thread
 * @options: kept; read by the thread
 *
 * What changes in what cannot be read is said by ctl_error(), from the thread, which nobody
 * else may call meanwhile.
 * Return: 0; -ENOMEM, or -errno of pthread_create(3).
 */
int sampler_new(const struct ctl_options *options, struct sampler **ret_sampler);

/* Stop the thread; may take as long as a daemon that does not answer. NULL does nothing. */
void sampler_free(struct sampler *sampler);

/* The last sample, with a reference for the caller. Threads: any. */
struct sample *sampler_last(struct sampler *sampler);
void sample_unref(struct sample *sample);

#endif
