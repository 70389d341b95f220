/* SPDX-License-Identifier: MIT */
/* test-symbols.c - functions of a program by its file, and files that are not to be read */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/sites.h"
#include "ctl/symbols.h"

/* A file as a linker might make it: two functions, a build id. */
struct tiny {
	ElfW(Ehdr) header;
	struct {
		ElfW(Nhdr) head;
		char name[4];
		unsigned char id[4];
	} note;
	char names[16];
	ElfW(Sym) symbols[3];
	ElfW(Shdr) sections[4];
};

static struct tiny tiny;
static struct trace_module module;
static char folder[64];

static void make(void)
{
	tiny = (struct tiny){
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32,
				     __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
									       : ELFDATA2MSB },
			.e_shoff = offsetof(struct tiny, sections),
			.e_shentsize = sizeof(ElfW(Shdr)),
			.e_shnum = 4,
		},
		.note = { { 4, 4, NT_GNU_BUILD_ID }, "GNU", "wxyz" },
		.names = "\0first\0second",
		.symbols = {
			{ 0 },
			{ .st_name = 7, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x200 },
			{ .st_name = 1, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x100,
			  .st_size = 0x20 },
		},
		.sections = {
			{ 0 },
			{ .sh_type = SHT_NOTE, .sh_offset = offsetof(struct tiny, note),
			  .sh_size = sizeof(tiny.note) },
			{ .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct tiny, names),
			  .sh_size = sizeof(tiny.names) },
			{ .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct tiny, symbols),
			  .sh_size = sizeof(tiny.symbols), .sh_link = 2 },
		},
	};
	module = (struct trace_module){ .build_id_bytes = 4, .build_id = "wxyz" };
	strcpy(folder, "/tmp/test-symbols.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(module.path, sizeof(module.path), "%s/program", folder);
}

static void write_file(const void *data, size_t size)
{
	int fd = open(module.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	close(fd);
}

static void clean(void)
{
	unlink(module.path);
	rmdir(folder);
}

static void assert_refused(int error)
{
	struct symbols *symbols = NULL;

	ck_assert_int_eq(symbols_open(&module, &symbols), error);
	ck_assert_ptr_null(symbols);
}

START_TEST(test_symbols_find_the_function_around)
{
	struct symbols *symbols;
	uint64_t distance;

	write_file(&tiny, sizeof(tiny));
	ck_assert_int_eq(symbols_open(&module, &symbols), 0);
	ck_assert_str_eq(symbols_find(symbols, 0x100, &distance), "first");
	ck_assert_uint_eq(distance, 0);
	ck_assert_str_eq(symbols_find(symbols, 0x11f, &distance), "first");
	ck_assert_uint_eq(distance, 0x1f);
	/* Behind its end, and before all. */
	ck_assert_ptr_null(symbols_find(symbols, 0x120, &distance));
	ck_assert_ptr_null(symbols_find(symbols, 0xff, &distance));
	/* Nobody knows where this one ends. */
	ck_assert_str_eq(symbols_find(symbols, 0x2345, &distance), "second");
	symbols_free(symbols);
}
END_TEST

START_TEST(test_symbols_of_another_build_estale)
{
	write_file(&tiny, sizeof(tiny));
	module.build_id[3]++;
	assert_refused(-ESTALE);
	module.build_id[3]--;
	module.build_id_bytes = 3;
	assert_refused(-ESTALE);
	/* Of none, no file could be told from another. */
	module.build_id_bytes = 0;
	assert_refused(-EINVAL);
}
END_TEST

START_TEST(test_symbols_no_regular_file_is_opened)
{
	ck_assert_int_eq(mkfifo(module.path, 0600), 0);
	assert_refused(-EBADF);
	unlink(module.path);
	ck_assert_int_eq(symlink("/dev/zero", module.path), 0);
	assert_refused(-EBADF);
	unlink(module.path);
	write_file("", 0);
	assert_refused(-EBADF);
	strcpy(module.path, "/proc/self/status");
	assert_refused(-EBADF);
	strcpy(module.path, "/tmp");
	assert_refused(-EBADF);
	strcpy(module.path, "program");
	assert_refused(-EINVAL);
	snprintf(module.path, sizeof(module.path), "%s/program", folder);
}
END_TEST

START_TEST(test_symbols_damaged_file_ebadmsg)
{
	const struct tiny whole = tiny;

	for (size_t size = 1; size < sizeof(tiny); size += 7) {
		write_file(&tiny, size);
		assert_refused(-EBADMSG);
	}
#define ASSERT_BAD(member, value, error)				\
	do {								\
		tiny.member = value;					\
		write_file(&tiny, sizeof(tiny));			\
		assert_refused(error);					\
		tiny = whole;						\
	} while (0)

	ASSERT_BAD(header.e_ident[0], 0, -EBADMSG);
	ASSERT_BAD(header.e_ident[EI_CLASS], ELFCLASSNONE, -EBADMSG);
	ASSERT_BAD(header.e_shentsize, 1, -EBADMSG);
	ASSERT_BAD(header.e_shnum, UINT16_MAX, -EBADMSG);
	ASSERT_BAD(header.e_shoff, (ElfW(Off))-8, -EBADMSG);
	ASSERT_BAD(sections[1].sh_offset, (ElfW(Off))-1, -EBADMSG);
	ASSERT_BAD(sections[2].sh_size, (size_t)1 << 30, -EBADMSG);
	ASSERT_BAD(sections[3].sh_size, (size_t)1 << 30, -EBADMSG);
	ASSERT_BAD(sections[3].sh_link, 4, -EBADMSG);
	ASSERT_BAD(sections[3].sh_type, SHT_PROGBITS, -ENODATA);
	ASSERT_BAD(sections[3].sh_size, 0, -ENODATA);
	ASSERT_BAD(note.head.n_namesz, UINT32_MAX, -ESTALE);
	ASSERT_BAD(note.head.n_descsz, UINT32_MAX, -ESTALE);
}
END_TEST

/* A name that begins behind the names is none. */
START_TEST(test_symbols_name_beyond_the_names)
{
	struct symbols *symbols;
	uint64_t distance;

	tiny.symbols[2].st_name = sizeof(tiny.names);
	write_file(&tiny, sizeof(tiny));
	ck_assert_int_eq(symbols_open(&module, &symbols), 0);
	ck_assert_ptr_null(symbols_find(symbols, 0x100, &distance));
	symbols_free(symbols);
}
END_TEST

START_TEST(test_symbols_escape_shows_every_byte)
{
	char text[32], small[8];

	site_escape("a b~\\\x1b[2J\n\xff", text, sizeof(text));
	ck_assert_str_eq(text, "a b~\\x5c\\x1b[2J\\x0a\\xff");
	site_escape("\n\n\n\n", small, sizeof(small));
	ck_assert_str_eq(small, "\\x0a");
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, make, clean);
	tcase_add_test(tcase, test_symbols_find_the_function_around);
	tcase_add_test(tcase, test_symbols_of_another_build_estale);
	tcase_add_test(tcase, test_symbols_no_regular_file_is_opened);
	tcase_add_test(tcase, test_symbols_damaged_file_ebadmsg);
	tcase_add_test(tcase, test_symbols_name_beyond_the_names);
	tcase_add_test(tcase, test_symbols_escape_shows_every_byte);
}

int main(void)
{
	return test_run("symbols", add_tests);
}
