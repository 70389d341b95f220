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

void exposition_sample(FILE *file, const struct exposition_family *family,
		       const struct exposition_label *labels, size_t n_labels, uint64_t value)
{
	fputs(family->name, file);
	for (size_t i = 0; i < n_labels; i++) {
		fprintf(file, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
		exposition_escape(file, labels[i].value);
		fputc('"', file);
	}
	fprintf(file, "%s %" PRIu64 "\n", n_labels > 0 ? "}" : "", value);
}
