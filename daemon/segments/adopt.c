/* SPDX-License-Identifier: MIT */
#include "daemon/segments/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/keep.h"
#include "daemon/segments/orphan.h"
#include "daemon/segments/store.h"

void adopt_deinit(struct adoption *adoption)
{
	if (adoption->segment)
		segment_free(adoption->segment);
	else
		segment_fds_close(adoption->fds);
	state_free(adoption->file);
	*adoption = (struct adoption){ .fds = SEGMENT_FDS_NULL };
}

int adopt_remove(const struct house *house, const struct state *file)
{
	int r = 0;

	if (state_backing(file) == SEGMENT_MEMFD)
		keep_drop(file->segment_name, file->identity.generation);
	/* Control first, so that its name never stands without that of data. */
	for (int i = 0; r == 0 && state_backing(file) == SEGMENT_SHM && i < GEOMETRY_N_OBJECTS;
	     i++) {
		const struct state_object *object = &file->objects[i];

		r = store_unlink(object->shm_name, object->device, object->inode);
		/* Its name is gone, or another object's: then that is not ours to remove. */
		if (r == -ENOENT || r == -ESTALE)
			r = 0;
	}
	return r < 0 ? r : state_unlink(house->folder, file);
}

/* A process, and whether it is not known to be dead. */
struct answer {
	struct process process;
	bool is_alive;
};

/* Records of one process mostly stand side by side: it is looked at once for all of them. */
static bool lives(const struct process *process, const struct origin *origin,
		  struct answer *last)
{
	int pidfd, r;

	if (last->process.pid > 0 && process_is(process, &last->process))
		return last->is_alive;
	r = process_open(process, origin, &pidfd);
	if (r == 0)
		close(pidfd);
	*last = (struct answer){ *process, r != -ESRCH };
	return last->is_alive;
}

uint32_t adopt_count_living(const struct state *file, const struct origin *origin,
			    uint32_t most)
{
	struct answer last = { .is_alive = false };
	struct state_holder holder;
	uint32_t id, n = 0;

	for (id = MEMPOOL_HOLDER_DAEMON_ID + 1; id < file->n_holders && n < most; id++) {
		state_read(file, id, &holder);
		n += holder.state == MEMPOOL_HOLDER_LIVE &&
		     lives(&holder.process, origin, &last);
	}
	return n;
}

/* Why it is not what a state file speaks of, whoever has handed it over; NULL: it is. */
static const char *find_wrong(const struct state_object *object, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (st.st_dev != object->device || st.st_ino != object->inode)
		return "it is another object";
	if (!store_is_sealed(fd) || (uint64_t)st.st_size != object->size_bytes)
		return "it is not sealed at its size";
	return NULL;
}

/* Of a memfd: what the service manager has kept. */
static int open_kept(const struct state *file, enum geometry_object which, int *ret_fd)
{
	int fd = keep_find(file->segment_name, file->identity.generation, which);
	const char *why = fd < 0 ? NULL : find_wrong(&file->objects[which], fd);

	if (why)
		log_error("what the service manager has kept as %s is not what it was given: %s",
			  store_label(file->objects[which].shm_name), why);
	if (fd < 0 || why)
		return -ENOENT;
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return *ret_fd < 0 ? -errno : 0;
}

/* An object with a name, if it still is there: no copy, no other one of its name. */
static int open_named(const struct state_object *object, int *ret_fd)
{
	struct stat st;
	const char *why;
	int r = store_open(object->shm_name, ret_fd, &st, &why);

	/* Not a regular file, or another user's: so not what we made. */
	if (r == -EPERM)
		return -ENOENT;
	if (r == 0 && (st.st_dev != object->device || st.st_ino != object->inode)) {
		close(*ret_fd);
		*ret_fd = -1;
		return -ENOENT;
	}
	return r;
}

static int open_object(const struct state *file, enum geometry_object which, int *ret_fd)
{
	return state_backing(file) == SEGMENT_MEMFD ? open_kept(file, which, ret_fd)
						    : open_named(&file->objects[which], ret_fd);
}

/* Both, or none. */
static int open_objects(const struct state *file, struct segment_fds *ret_fds)
{
	struct segment_fds fds = SEGMENT_FDS_NULL;
	int r = open_object(file, GEOMETRY_CONTROL, &fds.control);

	if (r == 0)
		r = open_object(file, GEOMETRY_DATA, &fds.data);
	if (r < 0)
		segment_fds_close(fds);
	else
		*ret_fds = fds;
	return r;
}

/*
 * An object is not in its place. Is it gone, or are we in a container with a /dev/shm of its own,
 * and the objects and their clients are outside?
 */
static bool may_be_elsewhere(const struct state *file)
{
	bool is_elsewhere = false;

	if (state_backing(file) == SEGMENT_MEMFD)
		return false;
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		is_elsewhere = is_elsewhere || store_is_elsewhere(file->objects[i].shm_name,
								  file->objects[i].device);
	return is_elsewhere && state_is_of_this_boot(file);
}

/* Of our layout: map so much as it has, and no more, and believe nothing of it. */
static int view(struct adoption *adoption)
{
	const struct state *file = adoption->file;
	struct segment_memory memory;
	struct geometry geometry;
	struct segment_fds fds = {
		.control = fcntl(adoption->fds.control, F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
		.data = fcntl(adoption->fds.data, F_DUPFD_CLOEXEC, STDERR_FILENO + 1),
	};
	int r = fds.control < 0 || fds.data < 0 ? -errno : geometry_init(&geometry, &file->shape);

	if (r < 0) {
		segment_fds_close(fds);
		return r;
	}
	r = segment_map_fds(fds, &geometry, SEGMENT_READ_WRITE, SEGMENT_READ_WRITE, &memory);
	if (r < 0)
		return r;
	r = segment_view(&memory, &file->shape, &file->identity, &adoption->segment);
	if (r < 0) {
		segment_memory_deinit(&memory);
		return r;
	}
	segment_fds_close(adoption->fds);
	adoption->fds = fds;
	return 0;
}

/* Its memory is free from now on. */
static int lose(struct adoption *adoption)
{
	log_error("%s was truncated by a process that may write it: it is lost",
		  store_label(state_name(adoption->file)));
	adoption->is_lost = true;
	return ftruncate(adoption->fds.control, 0) < 0 || ftruncate(adoption->fds.data, 0) < 0
		       ? -errno : 0;
}

/* Whoever may open it is whom we pass it to. Only its owner, or root, can have changed that. */
static void close_off(const struct state_object *object, int fd, const struct stat *st)
{
	int r;

	if ((st->st_mode & 07777) == STORE_MODE)
		return;
	r = fchmod(fd, STORE_MODE) < 0 ? -errno : 0;
	log_warning("%s was open to others, by its mode %04o: %s", store_label(object->shm_name),
		    (unsigned int)st->st_mode & 07777, r < 0 ? strerror(-r) : "it is closed to them");
}

/* Return: 0; -ENODATA it was truncated; -errno. */
static int look_at_object(const struct state_object *object, int fd)
{
	struct stat st;
	int r = 0;

	/* Its size is sealed; and what shares the open file with us, of the service manager, would
	 * share the lock. */
	if (object->backing == SEGMENT_MEMFD)
		return 0;
	store_lock(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	close_off(object, fd, &st);
	if ((uint64_t)st.st_size < object->size_bytes)
		return -ENODATA;
	if ((uint64_t)st.st_size > object->size_bytes) {
		if (ftruncate(fd, (off_t)object->size_bytes) < 0)
			r = -errno;
		log_warning("%s was enlarged by a process that may write it: %s",
			    store_label(object->shm_name), r < 0 ? strerror(-r) : "it is cut back");
	}
	return 0;
}

static int look_at_objects(struct adoption *adoption)
{
	const struct state_object *objects = adoption->file->objects;
	int r, r_data;

	r = look_at_object(&objects[GEOMETRY_CONTROL], adoption->fds.control);
	r_data = look_at_object(&objects[GEOMETRY_DATA], adoption->fds.data);
	if (r == 0)
		r = r_data;
	if (r == 0 && adoption->file->is_our_layout)
		r = view(adoption);
	return r == -ENODATA ? lose(adoption) : r;
}

/* Nothing can be done with it, now or later. */
static int give_up(const struct house *house, const struct house_entry *entry, const char *why)
{
	log_error("%s/%s: %s; it is removed", house->path, entry->file_name, why);
	if (keep_find(entry->segment_name, entry->generation, GEOMETRY_CONTROL) >= 0 ||
	    keep_find(entry->segment_name, entry->generation, GEOMETRY_DATA) >= 0)
		keep_abandon(entry->segment_name, entry->generation);
	unlinkat(house->folder, entry->file_name, 0);
	return -ENOENT;
}

/* Nobody new can be let in; but whoever lives there goes on, and is watched. */
static int go_without(struct adoption *adoption)
{
	const struct state *file = adoption->file;
	int fd = keep_find(file->segment_name, file->identity.generation, GEOMETRY_CONTROL);

	/* Control alone may be there: then they are told. */
	if (fd >= 0 && !find_wrong(&file->objects[GEOMETRY_CONTROL], fd))
		orphan_tell_stale(fd);
	log_warning("%s: its memory (memfd) was not handed over to us; whoever lives there goes on with "
		    "it, and nobody else comes to it", store_label(state_name(file)));
	keep_drop(file->segment_name, file->identity.generation);
	adoption->is_absent = true;
	return 0;
}

int adopt_open(const struct house *house, const struct house_entry *entry,
	       struct adoption *ret_adoption, char reterr_text[static ADOPT_TEXT_BYTES])
{
	struct adoption adoption = { .fds = SEGMENT_FDS_NULL };
	int r;

	r = state_open(house->folder, entry->file_name, &adoption.file);
	if (r == -EBADMSG)
		return give_up(house, entry, "not a state file, or damaged");
	if (r == 0)
		r = open_objects(adoption.file, &adoption.fds);
	if (r == -ENOENT && adoption.file && state_backing(adoption.file) == SEGMENT_MEMFD &&
	    state_is_of_this_boot(adoption.file))
		r = go_without(&adoption);
	if (r == -ENOENT && adoption.file && may_be_elsewhere(adoption.file)) {
		snprintf(reterr_text, ADOPT_TEXT_BYTES, "%s speaks of %s in another file system: "
			 "this mempoold has not the /dev/shm of the one before it",
			 entry->file_name, store_label(state_name(adoption.file)));
		adopt_deinit(&adoption);
		return -EXDEV;
	}
	if (r == -ENOENT) {
		adopt_deinit(&adoption);
		return give_up(house, entry, "an object of it is gone");
	}
	if (r == 0 && !adoption.is_absent)
		r = look_at_objects(&adoption);
	if (r < 0) {
		snprintf(reterr_text, ADOPT_TEXT_BYTES, "cannot adopt %s: %s", entry->file_name,
			 r == -EPROTONOSUPPORT ? "it is of another version of mempoold"
					       : strerror(-r));
		adopt_deinit(&adoption);
		return r;
	}
	*ret_adoption = adoption;
	return 0;
}
