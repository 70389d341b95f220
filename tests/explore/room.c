/* SPDX-License-Identifier: MIT */
/*
 * room.c - what each process and each thread has for itself, and how all of it is set back
 *
 * What the explored code has as statics belongs to a process, and what it has as thread-local
 * variables to a thread. Both have one place in this program, so they are copied in and out when
 * another one goes on. Private memory is a part of the region for each process. Before each schedule
 * all of that is again as the set-up left it.
 */
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define TLS_BYTES sizeof(threads[0].tls)

extern unsigned char __start_explored_data[], __stop_explored_data[];
extern unsigned char __start_explored_bss[], __stop_explored_bss[];

/* ---- what a process and a thread have for themselves ---- */

struct image {
	unsigned char bytes[STATIC_BYTES];
};

static struct image pristine, images[EXPLORE_THREADS];
static uint32_t image_of;		/* whose is in place */
static unsigned char *tls;
static size_t tls_bytes;
static unsigned char pristine_tls[TLS_BYTES];
static uint32_t tls_of;

static size_t data_bytes(void)
{
	return (size_t)(__stop_explored_data - __start_explored_data);
}

static size_t bss_bytes(void)
{
	return (size_t)(__stop_explored_bss - __start_explored_bss);
}

static void take_out(struct image *image)
{
	memcpy(image->bytes, __start_explored_data, data_bytes());
	memcpy(image->bytes + data_bytes(), __start_explored_bss, bss_bytes());
}

static void put_in(const struct image *image)
{
	memcpy(__start_explored_data, image->bytes, data_bytes());
	memcpy(__start_explored_bss, image->bytes + data_bytes(), bss_bytes());
}

static void enter_process(uint32_t process)
{
	if (process == image_of)
		return;
	take_out(&images[image_of]);
	put_in(&images[process]);
	image_of = process;
}

void room_enter(struct thread *thread)
{
	enter_process(thread->process);
	if (tls_of != thread->id) {
		memcpy(threads[tls_of].tls, tls, tls_bytes);
		memcpy(tls, thread->tls, tls_bytes);
		tls_of = thread->id;
	}
	self = thread;
}

/* The program's own: the explored code has its variables there, and nothing else does. */
static int find_tls(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS) {
			tls = info->dlpi_tls_data;
			tls_bytes = info->dlpi_phdr[i].p_memsz;
		}
	/* The program comes first. */
	return 1;
}

void *room_allocate(size_t bytes, size_t alignment)
{
	struct sim_process *process = &processes[self->process];
	size_t at = (process->used + alignment - 1) & ~(alignment - 1);
	unsigned char *memory;

	if (at + bytes > PRIVATE_BYTES)
		explore_fail("process %u uses too much memory", self->process);
	process->used = at + bytes;
	memory = region + SHARED_BYTES + self->process * PRIVATE_BYTES + at;
	memset(memory, 0, bytes);
	return memory;
}

static size_t shared_used;

void *explore_shared(size_t bytes, size_t alignment)
{
	size_t at = (shared_used + alignment - 1) & ~(alignment - 1);

	if (at + bytes > SHARED_BYTES)
		abort();
	shared_used = at + bytes;
	return region + at;
}

/* ---- what all begin with ---- */

static struct {
	unsigned char *shared;
	unsigned char *private[EXPLORE_THREADS];
	struct image images[EXPLORE_THREADS];
	struct thread threads[EXPLORE_THREADS];
	struct sim_process processes[EXPLORE_THREADS];
	unsigned char *world;
	int64_t now_ns;
} before;

/* What else is set back. */
#define MAX_KEPT 8
static struct {
	void *memory;
	size_t bytes;
	void *copy;
} kept[MAX_KEPT];
static uint32_t n_kept;

static void *copy_of(const void *from, size_t bytes)
{
	void *to = malloc(bytes + 1);

	if (!to)
		abort();
	memcpy(to, from, bytes);
	return to;
}

void room_keep(void *memory, size_t bytes)
{
	for (uint32_t i = 0; i < n_kept; i++)
		if (kept[i].memory == memory)
			return;
	if (n_kept == MAX_KEPT)
		abort();
	kept[n_kept].memory = memory;
	kept[n_kept++].bytes = bytes;
}

static unsigned char *private_of(uint32_t process)
{
	return region + SHARED_BYTES + process * PRIVATE_BYTES;
}

void room_keep_all(const struct scenario *scenario)
{
	room_enter(&threads[0]);
	take_out(&images[image_of]);
	memcpy(threads[tls_of].tls, tls, tls_bytes);
	memcpy(before.images, images, sizeof(images));
	memcpy(before.threads, threads, sizeof(threads));
	memcpy(before.processes, processes, sizeof(processes));
	free(before.shared);
	before.shared = copy_of(region, shared_used);
	for (uint32_t i = 0; i < EXPLORE_THREADS; i++) {
		free(before.private[i]);
		before.private[i] = copy_of(private_of(i), processes[i].used);
	}
	free(before.world);
	before.world = copy_of(scenario->world, scenario->world_bytes);
	for (uint32_t i = 0; i < n_kept; i++) {
		free(kept[i].copy);
		kept[i].copy = copy_of(kept[i].memory, kept[i].bytes);
	}
	before.now_ns = now_ns;
}

void room_restore_all(const struct scenario *scenario)
{
	memcpy(images, before.images, sizeof(images));
	memcpy(threads, before.threads, sizeof(threads));
	memcpy(processes, before.processes, sizeof(processes));
	memcpy(region, before.shared, shared_used);
	for (uint32_t i = 0; i < EXPLORE_THREADS; i++)
		if (processes[i].used)
			memcpy(private_of(i), before.private[i], processes[i].used);
	if (scenario->world_bytes)
		memcpy(scenario->world, before.world, scenario->world_bytes);
	for (uint32_t i = 0; i < n_kept; i++)
		memcpy(kept[i].memory, kept[i].copy, kept[i].bytes);
	now_ns = before.now_ns;
	image_of = 0;
	put_in(&images[0]);
	tls_of = 0;
	memcpy(tls, threads[0].tls, tls_bytes);
	self = &threads[0];
}

/* ---- for the schedule ---- */

void room_init(void)
{
	dl_iterate_phdr(find_tls, NULL);
	if (tls_bytes > TLS_BYTES || data_bytes() + bss_bytes() > STATIC_BYTES - 64)
		abort();
	take_out(&pristine);
	if (tls_bytes)
		memcpy(pristine_tls, tls, tls_bytes);
}

void room_begin(void)
{
	memset(region, 0, shared_used);
	shared_used = 0;
	n_kept = 0;
	put_in(&pristine);
	if (tls_bytes)
		memcpy(tls, pristine_tls, tls_bytes);
	image_of = tls_of = 0;
	for (uint32_t i = 0; i < EXPLORE_THREADS; i++) {
		images[i] = pristine;
		memcpy(threads[i].tls, pristine_tls, tls_bytes);
	}
}

void room_restart_daemon(void)
{
	memcpy(threads[0].tls, before.threads[0].tls, tls_bytes);
	if (tls_of == 0)
		memcpy(tls, threads[0].tls, tls_bytes);
	processes[0].used = before.processes[0].used;
	memcpy(private_of(0), before.private[0], processes[0].used);
	images[0] = before.images[0];
	if (image_of == 0)
		put_in(&images[0]);
}

void explore_in(uint32_t process, void (*function)(void *), void *argument)
{
	unsigned char saved[TLS_BYTES];
	uint32_t was = self->process;

	memcpy(saved, tls, tls_bytes);
	memcpy(tls, pristine_tls, tls_bytes);
	self->process = process;
	enter_process(process);
	function(argument);
	self->process = was;
	enter_process(was);
	memcpy(tls, saved, tls_bytes);
}
