/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/private_daemon.h"

void sample_add(struct sample *sample, double value)
{
	if (sample->n == SAMPLE_MAX)
		die("more than %d measurements", SAMPLE_MAX);
	sample->values[sample->n++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static const double *sorted(struct sample *sample)
{
	qsort(sample->values, sample->n, sizeof(sample->values[0]), compare);
	return sample->values;
}

double sample_median(struct sample *sample)
{
	return (sorted(sample)[(sample->n - 1) / 2] + sample->values[sample->n / 2]) / 2;
}

double sample_min(struct sample *sample)
{
	return sorted(sample)[0];
}

double sample_max(struct sample *sample)
{
	return sorted(sample)[sample->n - 1];
}

void sample_print(struct sample *sample, const char *name, double scale, const char *unit)
{
	printf("%-44s median %8.2f %s  (min %.2f, max %.2f, of %zu)\n", name,
	       sample_median(sample) * scale, unit, sample_min(sample) * scale,
	       sample_max(sample) * scale, sample->n);
}
