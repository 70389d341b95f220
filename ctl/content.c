/* SPDX-License-Identifier: MIT */
/*
 * content.c - see content.h
 */
#include "content.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define BYTES_IN_LINE 16

/* "00000010  48 65 6c ...  |Hel...|", as hexdump -C has it. */
static void print_hex_line(const unsigned char *bytes, size_t at, size_t n)
{
	printf("%08zx ", at);
	for (size_t i = 0; i < BYTES_IN_LINE; i++) {
		if (i < n)
			printf("%s%02x", i % 8 == 0 ? "  " : " ", bytes[i]);
		else
			fputs(i % 8 == 0 ? "    " : "   ", stdout);
	}
	fputs("  |", stdout);
	for (size_t i = 0; i < n; i++)
		putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
	puts("|");
}

static void print_hex(const unsigned char *bytes, size_t n)
{
	size_t shown = n < CONTENT_HEX_BYTES ? n : CONTENT_HEX_BYTES;

	for (size_t at = 0; at < shown; at += BYTES_IN_LINE)
		print_hex_line(bytes + at, at,
			       shown - at < BYTES_IN_LINE ? shown - at : BYTES_IN_LINE);
	if (shown < n)
		printf("... and %zu bytes more\n", n - shown);
}

static void print_text(const char *bytes, size_t n)
{
	mbstate_t state = { 0 };
	wchar_t c = L'\n';

	while (n > 0) {
		size_t length = mbrtowc(&c, bytes, n, &state);

		/* None, or not all of one; and a NUL has no length. */
		if (length == (size_t)-1 || length == (size_t)-2 || length == 0) {
			state = (mbstate_t){ 0 };
			length = 1;
			c = 0;
		}
		if (iswprint((wint_t)c) || c == L'\n' || c == L'\t')
			fwrite(bytes, 1, length, stdout);
		else
			putchar('.');
		bytes += length;
		n -= length;
	}
	if (c != L'\n')
		putchar('\n');
}

void content_print(enum content_as as, const void *content, size_t n)
{
	switch (as) {
	case CONTENT_AS_HEX:
		print_hex(content, n);
		break;
	case CONTENT_AS_TEXT:
		print_text(content, n);
		break;
	case CONTENT_AS_RAW:
		fwrite(content, 1, n, stdout);
		break;
	}
}
