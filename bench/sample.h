/* SPDX-License-Identifier: MIT */
/*
 * sample.h - repeated measurements of one thing
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <stddef.h>

#define SAMPLE_MAX 4096

struct sample {
	size_t n;
	double values[SAMPLE_MAX];
};
#define SAMPLE_NULL ((struct sample){ 0 })

/* One more; beyond SAMPLE_MAX the program ends. */
void sample_add(struct sample *sample, double value);

/* Of the sorted values; sorts them. */
double sample_median(struct sample *sample);
double sample_min(struct sample *sample);
double sample_max(struct sample *sample);

/* "NAME  median X UNIT (min, max, of n)". scale: by which the values are multiplied. */
void sample_print(struct sample *sample, const char *name, double scale, const char *unit);

#endif
