/* SPDX-License-Identifier: MIT */
/*
 * error.c - mistakes in a config, as a person wants to see them
 *
 *	/etc/mempool.yaml:12:7: unknown key 'chunck_size', did you mean 'chunk_size'?
 *	    - chunck_size: 128
 *	      ^
 *
 * An error owns copies of all it says: it outlives the text it was found in.
 */
#include "daemon/config/yaml/error.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A quoted line is cut to so many characters on each side of the caret. */
#define QUOTE_MAX_CHARACTERS 60

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/*
 * Bytes of the character at the head of some text, which is not empty; 0: not UTF-8.
 * Source: RFC 3629, which excludes overlong forms, surrogates and all past U+10FFFF.
 */
static size_t decode(const char *data, size_t size, uint32_t *ret_character)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)data[0];
	size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t c;

	if ((first >= 0x80 && first < 0xc0) || first >= 0xf8 || n > size)
		return 0;

	c = n == 1 ? first : first & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (!is_continuation(data[i]))
			return 0;
		c = c << 6 | ((unsigned char)data[i] & 0x3f);
	}
	if (c < smallest[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;

	*ret_character = c;
	return n;
}

/* What YAML 1.1 (5.1) calls printable, without the line ends that only it knows. */
static bool is_text(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	return c < 0x7f || (c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff &&
			    c != 0xfffe && c != 0xffff);
}

int conf_text_check(const struct conf_text *text, struct conf_error *reterr_error)
{
	unsigned int line = 1, column = 1;
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < text->size; i += n) {
		n = decode(text->data + i, text->size - i, &c);
		if (n == 0) {
			conf_error_set(reterr_error, text, line, column,
				       "not UTF-8: save the file in that encoding");
			return -EINVAL;
		}
		if (!is_text(c)) {
			conf_error_set(reterr_error, text, line, column,
				       "control character U+%04X in the text", c);
			return -EINVAL;
		}
		if (c == '\n' ||
		    (c == '\r' && !(i + 1 < text->size && text->data[i + 1] == '\n'))) {
			line++;
			column = 1;
		} else {
			column++;
		}
	}
	return 0;
}

/* Where a line begins and how long it is without its end; NULL: there is no such line. */
static const char *find_line(const struct conf_text *text, unsigned int line,
			     size_t *ret_size)
{
	const char *p = text->data, *end = text->data + text->size, *start;
	unsigned int at = 1;

	while (p < end) {
		for (start = p; p < end && *p != '\n' && *p != '\r'; p++)
			;
		if (at++ == line) {
			*ret_size = (size_t)(p - start);
			return start;
		}
		p += end - p >= 2 && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
	}
	return NULL;
}

/* The byte where a character of a line begins, its size if the line is shorter. */
static size_t column_off(const char *line, size_t size, unsigned int column)
{
	size_t off = 0;

	while (off < size && column-- > 1)
		do
			off++;
		while (off < size && is_continuation(line[off]));
	return off;
}

bool conf_text_has_line(const struct conf_text *text, unsigned int line)
{
	size_t size;

	return find_line(text, line, &size) != NULL;
}

char conf_text_at(const struct conf_text *text, unsigned int line, unsigned int column)
{
	const char *start;
	size_t size, off;

	start = find_line(text, line, &size);
	if (!start)
		return 0;
	off = column_off(start, size, column);
	return off < size ? start[off] : 0;
}

/* Of a line that conf_text_check() refused; others stay as they are. */
static void make_printable(char *line)
{
	size_t i, n, size = strlen(line);
	uint32_t c;

	for (i = 0; i < size; i += n) {
		n = decode(line + i, size - i, &c);
		if (n > 0 && is_text(c))
			continue;
		n = n > 0 ? n : 1;
		memset(line + i, '?', n);
	}
}

void conf_error_vset(struct conf_error *ret_error, const struct conf_text *text,
		     unsigned int line, unsigned int column, const char *format,
		     va_list args)
{
	const char *start;
	size_t size;

	*ret_error = (struct conf_error){
		.path = strdup(text->path),
		.line = line,
		.column = column,
	};
	if (vasprintf(&ret_error->text, format, args) < 0)
		ret_error->text = NULL;
	start = find_line(text, line, &size);
	if (start)
		ret_error->source = strndup(start, size);
	if (ret_error->source)
		make_printable(ret_error->source);
}

void conf_error_set(struct conf_error *ret_error, const struct conf_text *text,
		    unsigned int line, unsigned int column, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	conf_error_vset(ret_error, text, line, column, format, args);
	va_end(args);
}

void conf_error_deinit(struct conf_error *error)
{
	free(error->path);
	free(error->text);
	free(error->source);
	*error = (struct conf_error){ 0 };
}

/* The line around the column, and a caret below it that is right with tabs as well. */
static void print_quote(FILE *out, const char *source, unsigned int column)
{
	size_t size = strlen(source);
	size_t caret = column_off(source, size, column);
	size_t begin = 0, end;

	end = caret + column_off(source + caret, size - caret, QUOTE_MAX_CHARACTERS);
	if (column > QUOTE_MAX_CHARACTERS)
		begin = column_off(source, size, column - QUOTE_MAX_CHARACTERS);

	fprintf(out, "\n%s%.*s%s\n%s", begin > 0 ? "..." : "", (int)(end - begin),
		source + begin, end < size ? "..." : "", begin > 0 ? "   " : "");
	for (size_t i = begin; i < caret; i++)
		if (!is_continuation(source[i]))
			fputc(source[i] == '\t' ? '\t' : ' ', out);
	fputc('^', out);
}

char *conf_error_format(const struct conf_error *error)
{
	char *formatted = NULL;
	size_t size;
	FILE *out;

	out = open_memstream(&formatted, &size);
	if (!out)
		return NULL;

	fprintf(out, "%s:", error->path ? error->path : "config");
	if (error->line > 0)
		fprintf(out, "%u:%u:", error->line, error->column);
	fprintf(out, " %s", error->text ? error->text : "out of memory");
	if (error->line > 0 && error->source)
		print_quote(out, error->source, error->column);

	if (fclose(out) != 0) {
		free(formatted);
		return NULL;
	}
	return formatted;
}
