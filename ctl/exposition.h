/* SPDX-License-Identifier: MIT */
/*
 * exposition.h - the text format that Prometheus reads, version 0.0.4
 *
 *	# HELP name text
 *	# TYPE name counter|gauge
 *	name{label="value",...} number
 *
 * All samples of a family stand together, behind its two lines.
 */
#ifndef CTL_EXPOSITION_H
#define CTL_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct exposition_family {
	const char *name;
	const char *type;
	const char *help;
};

struct exposition_label {
	const char *name;
	const char *value;		/* any bytes up to the NUL */
};

void exposition_begin(FILE *file, const struct exposition_family *family);
void exposition_sample(FILE *file, const struct exposition_family *family,
		       const struct exposition_label *labels, size_t n_labels, uint64_t value);

/* The same of a time, in seconds. */
void exposition_seconds(FILE *file, const struct exposition_family *family,
			const struct exposition_label *labels, size_t n_labels, uint64_t ns);

/*
 * A label's value: backslash, quote and line feed escaped; what is no printable ASCII becomes
 * '?', since the format wants valid UTF-8 and names here are ASCII.
 */
void exposition_escape(FILE *file, const char *text);

#endif
