/* SPDX-License-Identifier: MIT */
#include "daemon/segments/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/segments/keep.h"
#include "daemon/segments/release.h"
#include "daemon/segments/store.h"
#include "shm/layout.h"

void build_init(struct build *build, const struct conf_segment *conf,
		const struct house *house, uint64_t number)
{
	*build = (struct build){
		.conf = conf,
		.house = house,
		.number = number,
		.size_bytes = conf_segment_bytes(conf),
	};
}

void build_take(struct build *build)
{
	build->segment = NULL;
	build->state = NULL;
}

void build_keep(struct build *build)
{
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		build->objects[i].inode = 0;
	build->has_file = false;
}

void build_deinit(struct build *build, struct jobs *jobs)
{
	char file_name[STATE_FILE_BYTES];

	if (build->segment)
		release_segment(jobs, build->segment, SEGMENT_FDS_NULL, build->state);
	build_take(build);
	if (build->conf->backing == SEGMENT_MEMFD && build->objects[GEOMETRY_CONTROL].inode)
		keep_drop(build->conf->shape.name, build->number);
	/* Control first, as always. */
	for (int i = 0; build->conf->backing == SEGMENT_SHM && i < GEOMETRY_N_OBJECTS; i++) {
		const struct state_object *object = &build->objects[i];

		if (object->inode)
			store_unlink(object->shm_name, object->device, object->inode);
	}
	state_file_name(file_name, build->conf->shape.name, build->number);
	if (build->has_file)
		unlinkat(build->house->folder, file_name, 0);
	build_keep(build);
}

/* Ours to remove from here on, with or without its name. */
static int make_object(const struct build *build, struct state_object *object,
		       const char *folder, uint64_t huge_bytes, int *ret_fd)
{
	struct stat st;
	int r = build->conf->backing == SEGMENT_MEMFD
			? store_make_memfd(object->shm_name, huge_bytes, ret_fd)
			: store_make(folder, object->shm_name, ret_fd);

	if (r < 0)
		return r;
	object->backing = build->conf->backing;
	if (fstat(*ret_fd, &st) == 0) {
		object->device = st.st_dev;
		object->inode = st.st_ino;
	}
	return 0;
}

static int make_objects(struct build *build, const char *folder, struct segment_fds *ret_fds)
{
	struct state_object *control = &build->objects[GEOMETRY_CONTROL];
	struct state_object *data = &build->objects[GEOMETRY_DATA];
	struct segment_fds fds = SEGMENT_FDS_NULL;
	int r;

	r = store_name(control->shm_name, build->conf->shape.name, build->number,
		       build->house->id);
	if (r == 0)
		r = store_data_name(data->shm_name, folder, control->shm_name);
	if (r == 0)
		r = make_object(build, data, folder, build->conf->pages.huge_bytes, &fds.data);
	if (r == 0)
		r = make_object(build, control, "", 0, &fds.control);
	if (r < 0)
		segment_fds_close(fds);
	else
		*ret_fds = fds;
	return r;
}

/* With all of its memory: what the next daemon finds it by. */
static int make_findable(struct build *build, const struct segment_memory *memory)
{
	int r;

	if (build->conf->backing == SEGMENT_SHM) {
		r = store_link(memory->data_fd, build->objects[GEOMETRY_DATA].shm_name);
		return r < 0 ? r : store_link(memory->fd,
					      build->objects[GEOMETRY_CONTROL].shm_name);
	}
	r = store_seal(memory->data_fd);
	if (r == 0)
		r = store_seal(memory->fd);
	if (r == 0)
		build->kept = keep_store(build->conf->shape.name, build->number,
					 segment_memory_fds(memory));
	return r;
}

static int take_memory(struct build *build, segment_progress_fn progress, void *userdata,
		       struct segment_memory *ret_memory)
{
	char folder[MEMPOOL_SHM_NAME_BYTES];
	struct segment_fds fds;
	struct geometry geometry;
	int r;

	r = space_find(build->conf, "", folder, build->shortage);
	if (r == 0)
		r = geometry_init(&geometry, &build->conf->shape);
	if (r == 0)
		r = make_objects(build, folder, &fds);
	if (r < 0)
		return r;
	r = segment_create_fds(fds, &geometry, &build->conf->pages, progress, userdata,
			       ret_memory);
	if (r < 0)
		return r;
	build->objects[GEOMETRY_CONTROL].size_bytes = geometry.control_bytes;
	build->objects[GEOMETRY_DATA].size_bytes = geometry.data_bytes;
	return make_findable(build, ret_memory);
}

static int lay_out(struct build *build, struct segment_memory *memory)
{
	struct segment_identity identity;
	int r;

	r = segment_identity_init(&identity, build->number);
	if (r == 0)
		r = segment_layout(memory->base, memory->size, &build->conf->shape, &identity);
	if (r == 0)
		r = segment_attach(memory, &build->segment);
	if (r == 0)
		r = state_create(build->house->folder, &build->conf->shape, &identity,
				 build->objects, &build->state);
	build->has_file = r == 0;
	return r;
}

int build_make(struct build *build, segment_progress_fn progress, void *userdata)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	int r = take_memory(build, progress, userdata, &memory);

	if (r == 0)
		r = lay_out(build, &memory);
	segment_memory_deinit(&memory);
	return r;
}

__attribute__((format(printf, 2, 3))) static void build_say(char *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text, SPACE_TEXT_BYTES, format, args);
	va_end(args);
}

void build_strerror(const struct build *build, int error,
		    char ret_text[static SPACE_TEXT_BYTES])
{
	if (build->shortage[0])
		build_say(ret_text, "%s", build->shortage);
	else if (error == -EINVAL && pages_are_filled(&build->conf->pages))
		build_say(ret_text, "this kernel cannot prefault or lock (Linux 5.14)");
	else if (build->segment)
		build_say(ret_text, "cannot write its state file in %s: %s", build->house->path,
			  strerror(-error));
	else
		build_say(ret_text, "cannot create it: %s", strerror(-error));
}
