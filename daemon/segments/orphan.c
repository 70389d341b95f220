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

bool orphan_tell_stale(int fd)
{
	struct stat st;
	bool is_segment;
	size_t size;
	void *base;

	if (fstat(fd, &st) < 0)
		return false;
	size = (size_t)st.st_blksize;
	if ((uint64_t)st.st_size < size || size < sizeof(struct mempool_header))
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
static int clear_object(const struct store_entry *entry, int fd, const struct stat *st)
{
	const char *shm_name = entry->shm_name;

	if (store_is_locked_by(fd, MEMPOOL_HOLDER_NONE))
		return leave(shm_name, "another mempoold with the same house has it (house)");
	/* Chunks belong to users, whatever they look like. */
	if (!entry->is_data)
		orphan_tell_stale(fd);
	if (store_is_locked(fd))
		return leave(shm_name, "its state file was lost, and clients are in it; they are "
			     "told that it is stale");
	return remove_name(shm_name, st, "it has no state file, and nobody is seen in it");
}

static bool is_one_of(const struct state_object *objects, const struct stat *st)
{
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		if (objects[i].device == st->st_dev && objects[i].inode == st->st_ino)
			return true;
	return false;
}

/* Of which generation that has a state file an object is; NULL: of none. */
static const struct orphan_known *find_known(const struct orphans *orphans,
					     const struct store_entry *entry,
					     const struct stat *st)
{
	for (size_t i = 0; i < orphans->n_known; i++) {
		const struct orphan_known *known = &orphans->known[i];

		if (known->objects ? is_one_of(known->objects, st)
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
		r = clear_object(entry, fd, &st);
	} else if (known->objects) {
		r = remove_name(entry->shm_name, &st, "another name of a segment");
	} else {
		if (!entry->is_data)
			orphan_tell_stale(fd);
		r = leave(entry->shm_name, "its state file is of another version of mempoold");
	}
	close(fd);
	return r;
}

/* ---- all ---- */

static bool is_known_name(const struct orphans *orphans, const char *shm_name)
{
	for (size_t i = 0; i < orphans->n_known; i++) {
		const struct state_object *objects = orphans->known[i].objects;

		if (objects && (strcmp(objects[GEOMETRY_CONTROL].shm_name, shm_name) == 0 ||
				strcmp(objects[GEOMETRY_DATA].shm_name, shm_name) == 0))
			return true;
	}
	return false;
}

/* Who lives in a segment shows it by a lock on control: data stays for as long as that does. */
static bool has_control(const struct store_entry *entry)
{
	char control_name[MEMPOOL_SHM_NAME_BYTES];
	struct stat st;

	store_control_name(control_name, entry->shm_name);
	return store_stat(control_name, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid();
}

/* Control first: whether data is of any use is known then. */
static int clear_all(const struct orphans *orphans, const struct store_entry *entries, size_t n)
{
	int r, result = 0;

	for (int is_data = 0; is_data <= 1; is_data++) {
		for (size_t i = 0; i < n; i++) {
			if (entries[i].is_data != is_data ||
			    is_known_name(orphans, entries[i].shm_name) ||
			    (is_data && has_control(&entries[i])))
				continue;
			r = clear_ours(orphans, &entries[i]);
			if (r < 0)
				result = r;
		}
	}
	return result;
}

/* Drop those of other houses. Return: how many stay. */
static size_t keep_ours(struct store_entry *entries, size_t n, const struct house *house,
			bool tell_others)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(entries[i].house, house->id) == 0)
			entries[n_kept++] = entries[i];
		else if (tell_others)
			leave(entries[i].shm_name, "it is of another state folder, or another user");
	}
	return n_kept;
}

int orphans_clear(const struct house *house, const char *segment_name,
		  const struct orphan_known *known, size_t n_known, bool tell_others)
{
	const struct orphans orphans = { .known = known, .n_known = n_known };
	struct store_entry *entries = NULL;
	int64_t n = store_scan(segment_name, &entries);
	int r = (int)n;

	if (n >= 0)
		r = clear_all(&orphans, entries,
			      keep_ours(entries, (size_t)n, house, tell_others));
	free(entries);
	return r;
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
		      struct state_object (*objects)[GEOMETRY_N_OBJECTS],
		      struct orphan_known *known,
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
		memcpy(objects[*ret_n_known], state->objects, sizeof(state->objects));
		known[*ret_n_known].objects = objects[*ret_n_known];
		(*ret_n_known)++;
		state_free(state);
	}
	return 0;
}

static int clear_left(const struct house *house, const struct store_entry *entries, size_t n,
		      const struct house_entry *files, size_t n_files)
{
	struct state_object (*objects)[GEOMETRY_N_OBJECTS] = calloc(n_files + 1, sizeof(*objects));
	struct orphan_known *known = calloc(n_files + 1, sizeof(*known));
	struct orphans orphans = { .known = known };
	int r = -ENOMEM;

	if (objects && known)
		r = read_known(house, files, n_files, objects, known, &orphans.n_known);
	if (r == 0)
		r = clear_all(&orphans, entries, n);
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
