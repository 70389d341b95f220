/* SPDX-License-Identifier: MIT */
/*
 * error.h - the text of a config, and mistakes at a place in it
 *
 * Lines and columns count from 1, columns in characters. A line ends with LF, CRLF or CR.
 */
#ifndef DAEMON_CONFIG_YAML_ERROR_H
#define DAEMON_CONFIG_YAML_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct conf_text {
	const char *path;
	const char *data;		/* not closed by a NUL */
	size_t size;
};

/* A mistake or a warning. Lines and columns from 1; 0: about the whole file. */
struct conf_error {
	char *path;
	unsigned int line;
	unsigned int column;
	char *text;
	char *source;				/* the line, no newline; or NULL */
};

/* Called for each warning while loading; the error is the callee's only for the call. */
typedef void (*conf_warn_fn)(const struct conf_error *warning, void *userdata);

/**
 * conf_text_check() - whether it is text at all
 *
 * Past it everything is UTF-8 without control characters or exotic line ends, so that
 * lines are counted alike by us, by libyaml and by editors.
 *
 * Return: 0; -EINVAL and *reterr_error says where.
 */
int conf_text_check(const struct conf_text *text, struct conf_error *reterr_error);

bool conf_text_has_line(const struct conf_text *text, unsigned int line);

/* The byte at a place, 0 past the end of the line. */
char conf_text_at(const struct conf_text *text, unsigned int line, unsigned int column);

/*
 * Fill in *ret_error and quote the line (0: none), with ? for what no terminal should
 * get. Where memory is short, members stay NULL.
 */
void conf_error_set(struct conf_error *ret_error, const struct conf_text *text,
		    unsigned int line, unsigned int column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void conf_error_vset(struct conf_error *ret_error, const struct conf_text *text,
		     unsigned int line, unsigned int column, const char *format,
		     va_list args) __attribute__((format(printf, 5, 0)));

/*
 * path:line:column: text, the line, a caret, as compilers print it; no newline at the
 * end. Returns a malloc'ed string, or NULL.
 */
char *conf_error_format(const struct conf_error *error);
void conf_error_deinit(struct conf_error *error);

#endif
