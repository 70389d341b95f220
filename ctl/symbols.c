/* SPDX-License-Identifier: MIT */
#include "symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What is beyond is no program that anybody has linked. */
#define MAX_SECTION_BYTES (UINT64_C(256) << 20)
#define MAX_NOTE_BYTES (UINT64_C(64) << 10)

#define CONFIGFS_MAGIC 0x62656570	/* of no header */

struct function {
	uint64_t value;
	uint64_t size;			/* 0: nobody knows */
	uint32_t name;			/* in the names */
};

struct symbols {
	struct function *functions;	/* by value */
	size_t n_functions;
	char *names;			/* closed by a NUL */
};

/* ---- a file that an enemy has named ---- */

static bool is_served(const struct statfs *system)
{
	/* proc and its like have files of no size; these have. */
	return system->f_type == FUSE_SUPER_MAGIC || system->f_type == SYSFS_MAGIC ||
	       system->f_type == CONFIGFS_MAGIC;
}

/* Looked at before it is opened: to open a device, or a FIFO, may do something. */
static int open_file(const char *path)
{
	char again[32];
	struct statfs system;
	struct stat st;
	int at = open(path, O_PATH | O_CLOEXEC), fd, r = 0;

	if (at < 0)
		return -errno;
	if (fstat(at, &st) < 0 || fstatfs(at, &system) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size == 0 || is_served(&system))
		r = -EBADF;
	if (r == 0) {
		snprintf(again, sizeof(again), "/proc/self/fd/%d", at);
		fd = open(again, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		r = fd < 0 ? -errno : fd;
	}
	close(at);
	return r;
}

/* ---- and has written ---- */

struct elf {
	int fd;
	uint64_t size;
	ElfW(Ehdr) header;
	ElfW(Shdr) *sections;
};

/* All of it, or -EBADMSG. */
static int read_at(const struct elf *elf, uint64_t off, void *to, size_t size)
{
	ssize_t n;

	if (off > elf->size || size > elf->size - off)
		return -EBADMSG;
	n = pread(elf->fd, to, size, (off_t)off);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EBADMSG;
}

/* Into memory of its own, with a NUL behind it. */
static int read_piece(const struct elf *elf, uint64_t off, uint64_t size, void *ret_piece)
{
	char *piece;
	int r;

	/* Before it is allocated: a file of nothing may say that it has so much. */
	if (size > MAX_SECTION_BYTES || off > elf->size || size > elf->size - off)
		return -EBADMSG;
	piece = malloc(size + 1);
	if (!piece)
		return -ENOMEM;
	r = read_at(elf, off, piece, size);
	if (r < 0) {
		free(piece);
		return r;
	}
	piece[size] = '\0';
	*(char **)ret_piece = piece;
	return 0;
}

static int read_header(struct elf *elf)
{
	static const unsigned char ident[] = {
		ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32,
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB,
	};
	int r = read_at(elf, 0, &elf->header, sizeof(elf->header));

	if (r < 0)
		return r;
	if (memcmp(elf->header.e_ident, ident, sizeof(ident)) != 0 ||
	    elf->header.e_shentsize != sizeof(ElfW(Shdr)))
		return -EBADMSG;
	return read_piece(elf, elf->header.e_shoff,
			  elf->header.e_shnum * sizeof(ElfW(Shdr)), &elf->sections);
}

static bool notes_have(const unsigned char *notes, size_t size, const struct trace_module *module)
{
	ElfW(Nhdr) note;

	while (size >= sizeof(note)) {
		uint64_t name_bytes, id_bytes;

		memcpy(&note, notes, sizeof(note));
		notes += sizeof(note);
		size -= sizeof(note);
		name_bytes = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
		id_bytes = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
		if (name_bytes > size || id_bytes > size - name_bytes)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
		    memcmp(notes, "GNU", sizeof("GNU")) == 0 &&
		    note.n_descsz == module->build_id_bytes &&
		    memcmp(notes + name_bytes, module->build_id, note.n_descsz) == 0)
			return true;
		notes += name_bytes + id_bytes;
		size -= name_bytes + id_bytes;
	}
	return false;
}

/* Return: 0; -ESTALE it is another build. */
static int check_build(const struct elf *elf, const struct trace_module *module)
{
	for (uint32_t i = 0; i < elf->header.e_shnum; i++) {
		const ElfW(Shdr) *section = &elf->sections[i];
		unsigned char *notes;
		bool has;
		int r;

		if (section->sh_type != SHT_NOTE || section->sh_size > MAX_NOTE_BYTES)
			continue;
		r = read_piece(elf, section->sh_offset, section->sh_size, &notes);
		if (r < 0)
			return r;
		has = notes_have(notes, section->sh_size, module);
		free(notes);
		if (has)
			return 0;
	}
	return -ESTALE;
}

static int compare_functions(const void *left, const void *right)
{
	const struct function *a = left, *b = right;

	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	return (a->size > b->size) - (a->size < b->size);
}

static int take_functions(struct symbols *symbols, const ElfW(Sym) *table, size_t n,
			  uint64_t names_bytes)
{
	symbols->functions = calloc(n + 1, sizeof(*symbols->functions));
	if (!symbols->functions)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		/* The same for both classes. */
		unsigned int type = ELF64_ST_TYPE(table[i].st_info);

		if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
		    table[i].st_shndx == SHN_UNDEF || table[i].st_name >= names_bytes)
			continue;
		symbols->functions[symbols->n_functions++] = (struct function){
			.value = table[i].st_value,
			.size = table[i].st_size,
			.name = table[i].st_name,
		};
	}
	if (symbols->n_functions == 0)
		return -ENODATA;
	qsort(symbols->functions, symbols->n_functions, sizeof(*symbols->functions),
	      compare_functions);
	return 0;
}

static int read_table(const struct elf *elf, const ElfW(Shdr) *section, struct symbols *symbols)
{
	const ElfW(Shdr) *names;
	ElfW(Sym) *table;
	int r;

	if (section->sh_link >= elf->header.e_shnum)
		return -EBADMSG;
	names = &elf->sections[section->sh_link];
	r = read_piece(elf, section->sh_offset, section->sh_size, &table);
	if (r < 0)
		return r;
	r = read_piece(elf, names->sh_offset, names->sh_size, &symbols->names);
	if (r == 0)
		r = take_functions(symbols, table, section->sh_size / sizeof(*table),
				   names->sh_size);
	free(table);
	return r;
}

/* The full table; of a stripped file, what the loader needs of it. */
static const ElfW(Shdr) *find_table(const struct elf *elf, uint32_t type)
{
	for (uint32_t i = 0; i < elf->header.e_shnum; i++)
		if (elf->sections[i].sh_type == type)
			return &elf->sections[i];
	return NULL;
}

static int read_elf(struct elf *elf, const struct trace_module *module, struct symbols *symbols)
{
	const ElfW(Shdr) *table;
	int r = read_header(elf);

	if (r == 0)
		r = check_build(elf, module);
	if (r < 0)
		return r;
	table = find_table(elf, SHT_SYMTAB);
	if (!table)
		table = find_table(elf, SHT_DYNSYM);
	return table ? read_table(elf, table, symbols) : -ENODATA;
}

int symbols_read(int fd, const struct trace_module *module, struct symbols **ret_symbols)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	struct elf elf = { .fd = fd };
	struct stat st;
	int r;

	if (!symbols)
		return -ENOMEM;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0) {
		elf.size = (uint64_t)st.st_size;
		r = read_elf(&elf, module, symbols);
	}
	free(elf.sections);
	if (r < 0) {
		symbols_free(symbols);
		return r;
	}
	*ret_symbols = symbols;
	return 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->functions);
	free(symbols->names);
	free(symbols);
}

/* ---- which file ---- */

static int read_path(const char *path, const struct trace_module *module,
		     struct symbols **ret_symbols)
{
	int fd = open_file(path), r;

	if (fd < 0)
		return fd;
	r = symbols_read(fd, module, ret_symbols);
	close(fd);
	return r;
}

/* Where distributions put what they have stripped. */
static int read_debug(const struct trace_module *module, struct symbols **ret_symbols)
{
	char path[64 + 2 * MEMPOOL_BUILD_ID_BYTES];
	int n = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%02x/",
			 module->build_id[0]);

	for (uint32_t i = 1; i < module->build_id_bytes; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%02x", module->build_id[i]);
	snprintf(path + n, sizeof(path) - (size_t)n, ".debug");
	return read_path(path, module, ret_symbols);
}

int symbols_open(const struct trace_module *module, struct symbols **ret_symbols)
{
	if (module->build_id_bytes == 0 || module->path[0] != '/')
		return -EINVAL;
	if (read_debug(module, ret_symbols) == 0)
		return 0;
	return read_path(module->path, module, ret_symbols);
}

const char *symbols_find(const struct symbols *symbols, uint64_t offset, uint64_t *ret_distance)
{
	size_t low = 0, high = symbols->n_functions;
	const struct function *function;

	/* The first one behind it. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (symbols->functions[middle].value <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	function = &symbols->functions[low - 1];
	if (function->size != 0 && offset - function->value >= function->size)
		return NULL;
	*ret_distance = offset - function->value;
	return symbols->names + function->name;
}
