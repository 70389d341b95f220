/* SPDX-License-Identifier: MIT */
/*
 * test-header.c - what the library shows to the outside: the functions that mempool.h
 *		   declares, those of the map file, and those that are exported are the same
 */
#include <check.h>
#include <ctype.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build_config.h"

enum { MAX_NAMES = 100, MAX_TEXT = 100000 };

struct names {
	char *name[MAX_NAMES];
	size_t n;
};

static char text[MAX_TEXT];

static void read_all(FILE *file)
{
	size_t n;

	ck_assert_ptr_nonnull(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	ck_assert_uint_gt(n, 0);
	text[n] = '\0';
}

static void read_file(const char *path)
{
	FILE *file = fopen(path, "r");

	read_all(file);
	fclose(file);
}

static void read_output(const char *command)
{
	FILE *file = popen(command, "r");

	read_all(file);
	ck_assert_int_eq(pclose(file), 0);
}

static void erase_comments(void)
{
	char *start, *end;

	while ((start = strstr(text, "/*"))) {
		end = strstr(start, "*/");
		ck_assert_ptr_nonnull(end);
		memset(start, ' ', (size_t)(end + 2 - start));
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Every mempool_x that is followed by this character. */
static void collect(struct names *names, char follower)
{
	names->n = 0;
	for (char *c = text; (c = strstr(c, "mempool_"));) {
		size_t length = strspn(c, "abcdefghijklmnopqrstuvwxyz_0123456789");

		if (c[length] == follower && (c == text || !is_word(c[-1]))) {
			ck_assert_uint_lt(names->n, MAX_NAMES);
			names->name[names->n++] = strndup(c, length);
		}
		c += length;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(struct names *names)
{
	while (names->n > 0)
		free(names->name[--names->n]);
}

/* Frees both. */
static void assert_same(struct names *a, struct names *b)
{
	qsort(a->name, a->n, sizeof(a->name[0]), compare);
	qsort(b->name, b->n, sizeof(b->name[0]), compare);
	for (size_t i = 0; i < a->n && i < b->n; i++)
		ck_assert_str_eq(a->name[i], b->name[i]);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_uint_ge(a->n, 13);
	free_names(a);
	free_names(b);
}

START_TEST(test_header_declares_what_the_map_lists)
{
	struct names declared, listed;

	read_file(HEADER_PATH);
	erase_comments();
	collect(&declared, '(');
	read_file(MAP_PATH);
	collect(&listed, ';');
	assert_same(&declared, &listed);
}
END_TEST

/* As kernel-doc has it: that is what bindings show for each function. */
START_TEST(test_header_has_a_comment_for_each_function)
{
	struct names declared;

	read_file(HEADER_PATH);
	erase_comments();
	collect(&declared, '(');
	read_file(HEADER_PATH);
	for (size_t i = 0; i < declared.n; i++) {
		char begin[100];

		snprintf(begin, sizeof(begin), "/**\n * %s() - ", declared.name[i]);
		ck_assert_msg(strstr(text, begin), "no comment begins with %s()", declared.name[i]);
	}
	free_names(&declared);
}
END_TEST

/* What follows the name is one number, and maybe a comment; or nothing: the guard. */
static void assert_plain(const char *define)
{
	char line[200], *value, *end;

	snprintf(line, sizeof(line), "%.*s", (int)strcspn(define, "\n"), define);
	value = line + strlen("#define ");
	value += strcspn(value, " \t");
	value += strspn(value, " \t");
	if (*value == '\0')
		return;
	strtoul(value, &end, 0);
	ck_assert_msg(end > value && strchr(" \t", *end), "no plain number: %s", line);
	end += strspn(end, " \t");
	ck_assert_msg(*end == '\0' || strncmp(end, "/*", 2) == 0, "no plain number: %s", line);
}

/* bindgen, cffi and SWIG read numbers, and no macros of <stdint.h>. */
START_TEST(test_header_constants_are_plain_numbers)
{
	static const char *const paths[] = { HEADER_PATH, FRAME_HEADER_PATH };
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		read_file(paths[i]);
		for (char *line = strstr(text, "#define "); line; line = strstr(line + 1, "#define ")) {
			assert_plain(line);
			n++;
		}
	}
	ck_assert_uint_ge(n, 5);
}
END_TEST

START_TEST(test_library_exports_what_the_map_lists)
{
	struct names listed, exported = { .n = 0 };

	read_file(MAP_PATH);
	collect(&listed, ';');
	read_output("nm -D --defined-only --format=posix '" LIBRARY_PATH "'");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char name[200], type;

		ck_assert_int_eq(sscanf(line, "%199s %c", name, &type), 2);
		if (type == 'A')	/* the version itself */
			continue;
		ck_assert_int_eq(type, 'T');
		name[strcspn(name, "@")] = '\0';
		ck_assert_uint_lt(exported.n, MAX_NAMES);
		exported.name[exported.n++] = strdup(name);
	}
	assert_same(&exported, &listed);
}
END_TEST

/*
 * Debian's list, by which dpkg-gensymbols(1) sees that a function is gone, has each with the node that
 * the library exports it from. A function that moves to another node is another one to programs.
 */
START_TEST(test_library_symbols_are_those_of_the_package)
{
	static char symbols[MAX_TEXT];
	struct names listed, packaged;
	unsigned int n = 0;

	read_file(MAP_PATH);
	collect(&listed, ';');
	read_file(SYMBOLS_PATH);
	collect(&packaged, '@');
	strcpy(symbols, text);
	assert_same(&packaged, &listed);
	read_output("nm -D --defined-only --format=posix '" LIBRARY_PATH "'");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char name[100], node[100], entry[210];

		/* That of the node itself has no node. */
		if (sscanf(line, "%99[^@ ]@@%99s", name, node) != 2)
			continue;
		snprintf(entry, sizeof(entry), "\n %s@%s ", name, node);
		ck_assert_msg(strstr(symbols, entry), "not in the package's list:%s", entry);
		n++;
	}
	ck_assert_uint_ge(n, 13);
}
END_TEST

START_TEST(test_library_soname_and_nodelete)
{
	read_output("readelf -dW '" LIBRARY_PATH "'");
	ck_assert_ptr_nonnull(strstr(text, "[libmempool-client.so.0]"));
	/* Thread-exit destructors live in it. */
	ck_assert_ptr_nonnull(strstr(text, "NODELETE"));
}
END_TEST

START_TEST(test_library_loads_with_dlopen)
{
	const char *(*version)(void);
	void *library = dlopen(LIBRARY_PATH, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(library, "%s", dlerror());
	*(void **)&version = dlsym(library, "mempool_version");
	ck_assert(version);
	ck_assert_str_eq(version(), MEMPOOL_VERSION);
	ck_assert_ptr_null(dlsym(library, "client_new"));
	ck_assert_ptr_null(dlsym(library, "segment_map_fds"));
	ck_assert_int_eq(dlclose(library), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("header");
	TCase *tcase = tcase_create("header");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, test_header_declares_what_the_map_lists);
	tcase_add_test(tcase, test_header_has_a_comment_for_each_function);
	tcase_add_test(tcase, test_header_constants_are_plain_numbers);
	tcase_add_test(tcase, test_library_exports_what_the_map_lists);
	tcase_add_test(tcase, test_library_symbols_are_those_of_the_package);
	tcase_add_test(tcase, test_library_soname_and_nodelete);
	tcase_add_test(tcase, test_library_loads_with_dlopen);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
