/* SPDX-License-Identifier: MIT */
#include "daemon/segments/orphan.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/store.h"
#include "shm/sigbus.h"

/* Names that anybody can make are not to fill the journal. */
static struct log_limit names = LOG_LIMIT("objects left behind", 20);

struct orphans {
	const struct orphan_known *known;
	size_t n_known;
};

/* ---- stale ---- */

/*
 * Of the header only what is frozen in all versions is looked at, in a mapping of its first
 * block, which members may truncate meanwhile.
 */
static bool retire_header(struct mempool_header *header)
{
	struct sigbus_range range;
	bool is_segment;

	sigbus_watch(&range, header, sizeof(*header));
	is_segment = header->magic == MEMPOOL_MAGIC;
	/* S3 of shm/segment.c (release); there is nothing that comes before it. */
	if (is_segment)
		atomic_store_explicit(&header->state, MEMPOOL_SEGMENT_RETIRED,
				      memory_order_release);
	is_segment = is_segment && !sigbus_was_hit(&range);
	sigbus_unwatch(&range);
	return is_segment;
}

/* Whoever is in it learns that it leads nowhere. Return: whether it is a segment at all. */
static bool tell_stale(int fd, const struct stat *st)
{
	size_t size = (size_t)st->st_blksize;
	bool is_segment;
	void *base;

	if ((uint64_t)st->st_size < size || size < sizeof(struct mempool_header))
		return false;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return false;
	is_segment = retire_header(base);
	munmap(base, size);
	return is_segment;
}

/* ---- one ---- */

static int leave(const char *shm_name, const char *why)
{
	log_limited(&names, LOG_WARNING, "%s is left: %s", store_label(shm_name), why);
	return -EBUSY;
}

static int remove_name(const char *shm_name, const struct stat *st, const char *why)
{
	int r = store_unlink(shm_name, st->st_dev, st->st_ino);

	if (r < 0)
		log_limited(&names, LOG_WARNING, "cannot remove %s (%s): %s", store_label(shm_name), why,
			    strerror(-r));
	else
		log_limited(&names, LOG_NOTICE, "removed %s: %s", store_label(shm_name), why);
	return r;
}

/* Ours, and there is no state file. */
static int clear_object(const char *shm_name, int fd, const struct stat *st)
{
	if (store_is_locked_by(fd, MEMPOOL_HOLDER_NONE))
		return leave(shm_name, "another mempoold with the same house has it (house)");
	tell_stale(fd, st);
	if (store_is_locked(fd))
		return leave(shm_name, "its state file was lost, and clients are in it; they are "
			     "told that it is stale");
	return remove_name(shm_name, st, "it has no state file, and nobody is seen in it");
}

/* Of which generation that has a state file an object is; NULL: of none. */
static const struct orphan_known *find_known(const struct orphans *orphans,
					     const struct store_entry *entry,
					     const struct stat *st)
{
	for (size_t i = 0; i < orphans->n_known; i++) {
		const struct orphan_known *known = &orphans->known[i];

		if (known->object ? known->object->device == st->st_dev &&
					    known->object->inode == st->st_ino
				  : known->generation == entry->generation)
			return known;
	}
	return NULL;
}

static int clear_ours(const struct orphans *orphans, const struct store_entry *entry)
{
	const struct orphan_known *known;
	const char *why;
	struct stat st;
	int fd, r;

	r = store_open(entry->shm_name, &fd, &st, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		leave(entry->shm_name, r == -EPERM ? why : strerror(-r));
		/* Somebody else's file is not of our house, whatever it is called. */
		return r == -EPERM ? 0 : r;
	}
	known = find_known(orphans, entry, &st);
	if (!known) {
		r = clear_object(entry->shm_name, fd, &st);
	} else if (known->object) {
		r = remove_name(entry->shm_name, &st, "another name of a segment");
	} else {
		tell_stale(fd, &st);
		r = leave(entry->shm_name, "its state file is of another version of mempoold");
	}
	close(fd);
	return r;
}

/* ---- all ---- */

static bool is_known_name(const struct orphans *orphans, const char *shm_name)
{
	for (size_t i = 0; i < orphans->n_known; i++)
		if (orphans->known[i].object &&
		    strcmp(orphans->known[i].object->shm_name, shm_name) == 0)
			return true;
	return false;
}

int orphans_clear(const struct house *house, const char *segment_name,
		  const struct orphan_known *known, size_t n_known, bool tell_others)
{
	const struct orphans orphans = { .known = known, .n_known = n_known };
	struct store_entry *entries = NULL;
	int64_t n = store_scan(segment_name, &entries);
	int r, result = 0;

	for (int64_t i = 0; i < n; i++) {
		r = 0;
		if (strcmp(entries[i].house, house->id) == 0) {
			if (!is_known_name(&orphans, entries[i].shm_name))
				r = clear_ours(&orphans, &entries[i]);
		} else if (tell_others) {
			leave(entries[i].shm_name, "it is of another state folder, or another user");
		}
		if (r < 0)
			result = r;
	}
	free(entries);
	return n < 0 ? (int)n : result;
}

/* ---- segments of which nothing else is left ---- */

static bool is_of_left(const struct store_entry *object, const struct house *house,
		       const struct conf *conf, const struct house_entry *files, size_t n_files)
{
	if (strcmp(object->house, house->id) != 0)
		return false;
	for (size_t i = 0; i < conf->n_segments; i++)
		if (strcmp(conf->segments[i].shape.name, object->segment_name) == 0)
			return false;
	for (size_t i = 0; i < n_files; i++)
		if (strcmp(files[i].segment_name, object->segment_name) == 0)
			return false;
	return true;
}

/* Drop the others: whoever opens their segments looks at them. Return: how many stay. */
static size_t keep_left(struct store_entry *objects, size_t n, const struct house *house,
			const struct conf *conf, const struct house_entry *files, size_t n_files)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < n; i++)
		if (is_of_left(&objects[i], house, conf, files, n_files))
			objects[n_kept++] = objects[i];
	return n_kept;
}

/* The objects that the files speak of: a member may have given one of them such a name. */
static int read_known(const struct house *house, const struct house_entry *files, size_t n,
		      struct state_object *objects, struct orphan_known *known,
		      size_t *ret_n_known)
{
	struct state *state;
	int r;

	*ret_n_known = 0;
	for (size_t i = 0; i < n; i++) {
		r = state_open(house->folder, files[i].file_name, &state);
		/* Damaged, or of another version: whoever opens its segment says so. */
		if (r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		objects[*ret_n_known] = state->object;
		known[*ret_n_known].object = &objects[*ret_n_known];
		(*ret_n_known)++;
		state_free(state);
	}
	return 0;
}

static int clear_each(const struct orphans *orphans, const struct store_entry *entries, size_t n)
{
	int r, result = 0;

	for (size_t i = 0; i < n; i++) {
		r = clear_ours(orphans, &entries[i]);
		if (r < 0)
			result = r;
	}
	return result;
}

static int clear_left(const struct house *house, const struct store_entry *entries, size_t n,
		      const struct house_entry *files, size_t n_files)
{
	struct state_object *objects = calloc(n_files + 1, sizeof(*objects));
	struct orphan_known *known = calloc(n_files + 1, sizeof(*known));
	struct orphans orphans = { .known = known };
	int r = -ENOMEM;

	if (objects && known)
		r = read_known(house, files, n_files, objects, known, &orphans.n_known);
	if (r == 0)
		r = clear_each(&orphans, entries, n);
	free(known);
	free(objects);
	return r;
}

int orphans_clear_left(const struct house *house, const struct conf *conf)
{
	struct house_entry *files = NULL;
	struct store_entry *entries = NULL;
	int64_t n_files = house_scan(house, NULL, &files), n;
	int r;

	if (n_files < 0)
		return (int)n_files;
	n = store_scan(NULL, &entries);
	if (n > 0)
		n = (int64_t)keep_left(entries, (size_t)n, house, conf, files, (size_t)n_files);
	r = n > 0 ? clear_left(house, entries, (size_t)n, files, (size_t)n_files) : (int)n;
	free(entries);
	free(files);
	return r;
}
