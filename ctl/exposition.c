/* SPDX-License-Identifier: MIT */
/*
 * exposition.c - see exposition.h
 */
#include "exposition.h"

#include <inttypes.h>

void exposition_begin(FILE *file, const struct exposition_family *family)
{
	fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
		family->type);
}

void exposition_escape(FILE *file, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\\' || *c == '"')
			fprintf(file, "\\%c", *c);
		else if (*c == '\n')
			fputs("\\n", file);
		else
			fputc(*c >= ' ' && *c <= '~' ? *c : '?', file);
	}
}

static void write_series(FILE *file, const struct exposition_family *family,
			 const struct exposition_label *labels, size_t n_labels)
{
	fputs(family->name, file);
	for (size_t i = 0; i < n_labels; i++) {
		fprintf(file, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
		exposition_escape(file, labels[i].value);
		fputc('"', file);
	}
	fputs(n_labels > 0 ? "} " : " ", file);
}

void exposition_sample(FILE *file, const struct exposition_family *family,
		       const struct exposition_label *labels, size_t n_labels, uint64_t value)
{
	write_series(file, family, labels, n_labels);
	fprintf(file, "%" PRIu64 "\n", value);
}

void exposition_seconds(FILE *file, const struct exposition_family *family,
			const struct exposition_label *labels, size_t n_labels, uint64_t ns)
{
	write_series(file, family, labels, n_labels);
	fprintf(file, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}
