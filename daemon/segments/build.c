/* SPDX-License-Identifier: MIT */
#include "daemon/segments/build.h"

#include <errno.h>
#include <string.h>

#include "daemon/base/log.h"
#include "shm/layout.h"

#define BUILD_TRIES 64			/* numbers that others may have taken */
#define BUILD_NEIGHBOURS 16		/* tries one by one, before the steps double */

static const char *build_name(const struct build *build)
{
	return build->conf->shape.name;
}

void build_init(struct build *build, const struct conf_segment *conf, uint64_t next_number)
{
	*build = (struct build){
		.conf = conf,
		.size_bytes = conf_segment_bytes(conf),
		.next_number = next_number,
	};
}

void build_keep(struct build *build)
{
	build->inode = 0;
}

void build_deinit(struct build *build)
{
	if (build->inode)
		store_unlink(build->shm_name, build->device, build->inode);
	build_keep(build);
}

/* The next number that nobody has. */
static int take_memory(struct build *build, segment_progress_fn progress, void *userdata,
		       struct segment_memory *ret_memory)
{
	static const struct segment_permissions private = { .mode = 0600, .group = (gid_t)-1 };
	char folder[STORE_NAME_BYTES];
	uint64_t stride = 1;
	unsigned int i;
	int r;

	r = space_find(build->conf, "", folder, build->shortage);
	if (r < 0)
		return r;
	r = -EEXIST;
	/* Whoever makes names to be in our way would need very many. */
	for (i = 0; i < BUILD_TRIES && r == -EEXIST; i++) {
		build->number = build->next_number;
		if (build->number > STORE_MAX_GENERATION)
			break;
		build->next_number += stride;
		if (i >= BUILD_NEIGHBOURS)
			stride *= 2;
		r = store_name(build->shm_name, folder, build_name(build), build->number);
		if (r == 0)
			r = segment_create_paged(build->shm_name, build->size_bytes, &private,
						 &build->conf->pages, progress, userdata,
						 ret_memory);
	}
	if (r == 0) {
		build->device = ret_memory->device;
		build->inode = ret_memory->inode;
	}
	return r;
}

static int lay_out(const struct build *build, struct segment_memory *memory,
		   struct segment **ret_segment)
{
	struct segment_identity identity;
	int r;

	r = segment_identity_init(&identity, build->number);
	if (r == 0)
		r = segment_layout(memory->base, memory->size, &build->conf->shape, &identity);
	if (r == 0)
		r = segment_attach(memory, ret_segment);
	return r;
}

int build_make(struct build *build, segment_progress_fn progress, void *userdata,
	       struct segment **ret_segment)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *segment;
	int r;

	/* Asked first: all of the memory may take long. */
	if (!store_may_give(conf_segment_group(build->conf)))
		return -EPERM;
	r = take_memory(build, progress, userdata, &memory);
	if (r == 0)
		r = lay_out(build, &memory, &segment);
	if (r < 0) {
		segment_memory_deinit(&memory);
		return r;
	}
	r = store_set_permissions(segment->memory.fd, build->conf->perms.mode,
				  conf_segment_group(build->conf));
	if (r < 0)
		segment_free(segment);
	else
		*ret_segment = segment;
	return r < 0 ? r : 0;
}

void build_log_error(const struct build *build, int error)
{
	if (build->shortage[0])
		log_error("segment '%s': %s", build_name(build), build->shortage);
	else if (error == -EINVAL && pages_are_filled(&build->conf->pages))
		log_error("segment '%s': this kernel cannot prefault or lock (Linux 5.14)",
			  build_name(build));
	else if (error == -EPERM && !store_may_give(conf_segment_group(build->conf)))
		log_error("segment '%s': cannot give it to group %u: make mempoold a member of "
			  "it (SupplementaryGroups= in its unit)", build_name(build),
			  (unsigned int)conf_segment_group(build->conf));
	else
		log_error("segment '%s': cannot create it: %s", build_name(build),
			  strerror(-error));
}
