/* SPDX-License-Identifier: MIT */
#include "tracer.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/clock.h"

/* Most programs call us from one module, or from two or three. */
#define N_KNOWN 8

/* How long a module that was unloaded may lend its name to what is loaded in its place. */
#define UNLOADED_NS INT64_C(1000000000)

/* Part of a module that is loaded. */
struct known {
	uintptr_t start, end;
	uintptr_t base;			/* what was added to its addresses */
	uint32_t line;			/* in the segment's table */
};

/* A thread's, and of one client: nobody else reads or writes it. */
struct tracer {
	uint32_t thread;
	uint32_t n_known;		/* the oldest ones are overwritten */
	struct known known[N_KNOWN];
	int64_t looked_ns;		/* when it was asked what was unloaded */
	unsigned long long n_unloaded;
};

struct tracer *tracer_new(void)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));

	if (tracer)
		tracer->thread = (uint32_t)syscall(SYS_gettid);
	return tracer;
}

void tracer_free(struct tracer *tracer)
{
	free(tracer);
}

/* ---- what is loaded, and where ---- */

/* One walk through it: the module of an address. */
struct walk {
	uintptr_t address;
	struct known *known;
	struct trace_module *module;
	unsigned long long n_unloaded;
};

/* The build id among the notes of a module; they are in its memory. */
static void read_notes(const unsigned char *notes, size_t size, struct trace_module *module)
{
	ElfW(Nhdr) note;

	while (size >= sizeof(note)) {
		size_t name_bytes, id_bytes;

		memcpy(&note, notes, sizeof(note));
		name_bytes = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		id_bytes = ((size_t)note.n_descsz + 3) & ~(size_t)3;
		if (size - sizeof(note) < name_bytes || size - sizeof(note) - name_bytes < id_bytes)
			return;
		notes += sizeof(note);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof("GNU") &&
		    memcmp(notes, "GNU", sizeof("GNU")) == 0 &&
		    note.n_descsz <= sizeof(module->build_id)) {
			memcpy(module->build_id, notes + name_bytes, note.n_descsz);
			module->build_id_bytes = note.n_descsz;
			return;
		}
		notes += name_bytes + id_bytes;
		size -= sizeof(note) + name_bytes + id_bytes;
	}
}

static bool is_part(const struct dl_phdr_info *info, const ElfW(Phdr) *part, uintptr_t address)
{
	return part->p_type == PT_LOAD && address - info->dlpi_addr - part->p_vaddr < part->p_memsz;
}

/* Under the loader's lock: no more than copies. */
static int look_at_module(struct dl_phdr_info *info, size_t size, void *userdata)
{
	struct walk *walk = userdata;
	bool is_here = false;

	(void)size;
	walk->n_unloaded = info->dlpi_subs;
	/* Asked for no address: the first one has told it all. */
	if (!walk->module)
		return 1;
	for (int i = 0; i < info->dlpi_phnum && !is_here; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		is_here = is_part(info, part, walk->address);
		if (is_here)
			*walk->known = (struct known){
				.start = info->dlpi_addr + part->p_vaddr,
				.end = info->dlpi_addr + part->p_vaddr + part->p_memsz,
				.base = info->dlpi_addr,
			};
	}
	if (!is_here)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type == PT_NOTE && walk->module->build_id_bytes == 0)
			read_notes((const unsigned char *)(info->dlpi_addr + part->p_vaddr),
				   part->p_memsz, walk->module);
	}
	/* One that is too long is no path any more, and yet a name. */
	snprintf(walk->module->path, sizeof(walk->module->path), "%s", info->dlpi_name);
	return 1;
}

/* The loader names the program by nothing, and others as they were asked for. */
static void complete_path(struct trace_module *module)
{
	char path[MEMPOOL_MODULE_PATH_BYTES];
	char *resolved;
	ssize_t n;

	if (module->path[0] == '\0') {
		n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		if (n > 0)
			memcpy(module->path, path, (size_t)n);
	} else if (module->path[0] != '/') {
		resolved = realpath(module->path, NULL);
		if (resolved && strlen(resolved) < sizeof(module->path)) {
			memset(module->path, 0, sizeof(module->path));
			memcpy(module->path, resolved, strlen(resolved));
		}
		free(resolved);
	}
}

/* Of an address in no module, such as one of code that was made at run time, all is 0. */
static struct known learn(const struct segment *segment, uintptr_t address)
{
	struct trace_module module = { 0 };
	struct known known = { 0 };
	struct walk walk = { .address = address, .known = &known, .module = &module };

	if (dl_iterate_phdr(look_at_module, &walk) == 0)
		return known;
	complete_path(&module);
	known.line = trace_add_module(segment, &module);
	/* The table is full: the address says more than an offset in nothing. */
	if (known.line == 0)
		known.base = 0;
	return known;
}

/* What was loaded in place of something else would be told by its name. */
static void forget_unloaded(struct tracer *tracer, int64_t now_ns)
{
	struct walk walk = { 0 };

	if (now_ns - tracer->looked_ns < UNLOADED_NS)
		return;
	tracer->looked_ns = now_ns;
	dl_iterate_phdr(look_at_module, &walk);
	if (walk.n_unloaded != tracer->n_unloaded)
		memset(tracer->known, 0, sizeof(tracer->known));
	tracer->n_unloaded = walk.n_unloaded;
}

static const struct known *find_known(const struct segment *segment, struct tracer *tracer,
				      uintptr_t address)
{
	struct known *known;

	for (uint32_t i = 0; i < N_KNOWN; i++) {
		known = &tracer->known[i];
		if (address - known->start < known->end - known->start)
			return known;
	}
	known = &tracer->known[tracer->n_known++ % N_KNOWN];
	*known = learn(segment, address);
	return known;
}

void tracer_tell(struct tracer *tracer, const struct segment *segment, uintptr_t address,
		 struct trace *ret_trace)
{
	int64_t now_ns = clock_now_ns();
	const struct known *known;

	forget_unloaded(tracer, now_ns);
	known = find_known(segment, tracer, address);
	*ret_trace = (struct trace){
		.since_ns = (uint64_t)now_ns,
		.offset = address - known->base,
		.module = known->line,
		.thread = tracer->thread,
	};
}
