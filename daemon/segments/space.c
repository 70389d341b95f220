/* SPDX-License-Identifier: MIT */
#include "daemon/segments/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/base/log.h"
#include "daemon/base/machine.h"

/* A segment whose memory is looked for. */
struct space {
	const struct pages *pages;
	uint64_t control_bytes;
	uint64_t data_bytes;
	const char *root;
	char *text;
};

/* Always @error. */
__attribute__((format(printf, 3, 4))) static int space_fail(struct space *space, int error,
							     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(space->text, SPACE_TEXT_BYTES, format, args);
	va_end(args);
	return error;
}

/* Three sizes for a message. */
struct sizes {
	char needed[LOG_SIZE_BYTES];
	char left[LOG_SIZE_BYTES];
	char missing[LOG_SIZE_BYTES];
};

/* Whether it is not enough. */
static bool is_short(uint64_t needed, uint64_t left, struct sizes *ret_sizes)
{
	if (left >= needed)
		return false;
	log_size(ret_sizes->needed, needed);
	log_size(ret_sizes->left, left);
	log_size(ret_sizes->missing, needed - left);
	return true;
}

/* What is of ordinary pages: huge ones are set aside already, whatever else is short. */
static uint64_t ordinary_bytes(const struct space *space)
{
	return space->control_bytes + (space->pages->huge_bytes ? 0 : space->data_bytes);
}

static int find_folder(struct space *space, char ret_folder[static MEMPOOL_SHM_NAME_BYTES])
{
	char size[LOG_SIZE_BYTES];
	int r = store_find_folder(space->pages->huge_bytes, ret_folder);

	if (r == 0)
		return 0;
	log_size(size, space->pages->huge_bytes);
	if (r == -EACCES)
		return space_fail(space, r, "huge pages of %s: mempoold may not write to %s: mount a "
				  "hugetlbfs that is its own (mempool.yaml(5))", size, ret_folder);
	return space_fail(space, r, "huge pages of %s: no hugetlbfs of that size is mounted "
			  "(mempool.yaml(5))", size);
}

static int check_nodes(struct space *space)
{
	uint64_t nodes[PAGES_MAX_NODES / 64];
	char list[MACHINE_LIST_BYTES];

	if (space->pages->policy == PAGES_ANYWHERE)
		return 0;
	machine_nodes(space->root, list, nodes);
	for (unsigned int node = 0; node < PAGES_MAX_NODES; node++)
		if (space->pages->nodes[node / 64] & ~nodes[node / 64] &
		    UINT64_C(1) << node % 64)
			return space_fail(space, -EINVAL, "there is no node %u with memory, as numa "
					  "has it: those of this machine are %s", node, list);
	return 0;
}

static int check_huge(struct space *space)
{
	const struct pages *pages = space->pages;
	uint64_t n_needed = space->data_bytes / pages->huge_bytes, n_free, n_there;
	struct machine_huge huge;
	char size[LOG_SIZE_BYTES];

	log_size(size, pages->huge_bytes);
	if (machine_huge_pages(space->root, pages->huge_bytes, &huge) < 0)
		return space_fail(space, -EINVAL, "this machine has no huge pages of %s", size);
	n_free = huge.n_free;
	if (pages->policy == PAGES_BIND) {
		n_there = machine_node_huge_pages(space->root, pages->huge_bytes, pages->nodes);
		n_free = n_there < n_free ? n_there : n_free;
	}
	if (n_free >= n_needed)
		return 0;
	return space_fail(space, -ENOMEM, "it needs %" PRIu64 " huge pages of %s, %" PRIu64
			  " are free%s: %" PRIu64 " missing (write %" PRIu64
			  " to /sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages)",
			  n_needed, size, n_free,
			  pages->policy == PAGES_BIND ? " on its nodes" : "", n_needed - n_free,
			  huge.n_total + n_needed - n_free, pages->huge_bytes >> 10);
}

static int check_room_in(struct space *space, const char *folder, uint64_t size_bytes)
{
	struct sizes sizes;

	if (is_short(size_bytes, store_free_bytes(folder), &sizes))
		return space_fail(space, -ENOSPC, "no room in %s: it needs %s, %s are free: %s missing",
				  folder[0] ? folder : "/dev/shm", sizes.needed, sizes.left,
				  sizes.missing);
	return 0;
}

static int check_room(struct space *space, const char *data_folder)
{
	int r = check_room_in(space, "", ordinary_bytes(space));

	return r == 0 && data_folder[0] ? check_room_in(space, data_folder, space->data_bytes) : r;
}

static int check_lock(struct space *space)
{
	struct sizes sizes;

	if (space->pages->lock &&
	    is_short(ordinary_bytes(space), machine_lockable(space->root), &sizes))
		return space_fail(space, -EPERM, "cannot lock it: it needs %s, RLIMIT_MEMLOCK leaves "
				  "%s: %s missing (LimitMEMLOCK= in its unit)", sizes.needed,
				  sizes.left, sizes.missing);
	return 0;
}

/* The kernel's own word for it would be a signal that ends us. */
static int check_file_size(struct space *space)
{
	const uint64_t largest = space->control_bytes > space->data_bytes ? space->control_bytes
									  : space->data_bytes;
	struct sizes sizes;

	if (is_short(largest, machine_file_limit(), &sizes))
		return space_fail(space, -EFBIG, "no file may be as large: it needs %s, RLIMIT_FSIZE "
				  "allows %s: %s missing (LimitFSIZE= in its unit)", sizes.needed,
				  sizes.left, sizes.missing);
	return 0;
}

static int check_memory(struct space *space)
{
	const struct pages *pages = space->pages;
	const uint64_t needed = ordinary_bytes(space);
	struct sizes sizes;

	if (is_short(needed, machine_memory(space->root, !pages->lock), &sizes))
		return space_fail(space, -ENOMEM, "not enough memory: it needs %s, %s are available: "
				  "%s missing", sizes.needed, sizes.left, sizes.missing);
	if (is_short(needed, machine_group_memory(space->root, false), &sizes))
		return space_fail(space, -ENOMEM, "not enough memory: it needs %s, the limit of our "
				  "control group leaves %s: %s missing (MemoryMax= in its unit)",
				  sizes.needed, sizes.left, sizes.missing);
	if (pages->policy == PAGES_BIND && !pages->huge_bytes &&
	    is_short(space->data_bytes, machine_node_memory(space->root, pages->nodes), &sizes))
		return space_fail(space, -ENOMEM, "not enough memory: it needs %s, its nodes have %s: "
				  "%s missing", sizes.needed, sizes.left, sizes.missing);
	return 0;
}

static struct space space_of(const struct conf_segment *conf, const char *root, char *text)
{
	text[0] = '\0';
	return (struct space){
		.pages = &conf->pages,
		.control_bytes = conf_segment_object_bytes(conf, GEOMETRY_CONTROL),
		.data_bytes = conf_segment_object_bytes(conf, GEOMETRY_DATA),
		.root = root,
		.text = text,
	};
}

int space_check_lock(const struct conf_segment *conf, const char *root,
		     char reterr_text[static SPACE_TEXT_BYTES])
{
	struct space space = space_of(conf, root, reterr_text);

	return check_lock(&space);
}

int space_find(const struct conf_segment *conf, const char *root,
	       char ret_folder[static MEMPOOL_SHM_NAME_BYTES],
	       char reterr_text[static SPACE_TEXT_BYTES])
{
	struct space space = space_of(conf, root, reterr_text);
	int r = check_nodes(&space);

	if (r == 0)
		r = check_file_size(&space);
	if (r == 0 && conf->pages.huge_bytes)
		r = check_huge(&space);
	ret_folder[0] = '\0';
	/* A memfd is in no folder, and only memory bounds it. */
	if (r == 0 && conf->backing == SEGMENT_SHM)
		r = find_folder(&space, ret_folder);
	if (r == 0 && conf->backing == SEGMENT_SHM)
		r = check_room(&space, ret_folder);
	if (r == 0)
		r = check_lock(&space);
	if (r == 0)
		r = check_memory(&space);
	return r;
}
