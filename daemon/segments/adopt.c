/* SPDX-License-Identifier: MIT */
#include "daemon/segments/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/store.h"

void adopt_deinit(struct adoption *adoption)
{
	if (adoption->segment)
		segment_free(adoption->segment);
	else if (adoption->fd >= 0)
		close(adoption->fd);
	state_free(adoption->file);
	*adoption = (struct adoption){ .fd = -1 };
}

int adopt_remove(const struct house *house, const struct state *file)
{
	const struct state_object *object = &file->object;
	int r = store_unlink(object->shm_name, object->device, object->inode);

	/* Its name is gone, or another object's: then that is not ours to remove. */
	if (r < 0 && r != -ENOENT && r != -ESTALE)
		return r;
	return state_unlink(house->folder, file);
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

/* The object of a state file, if it still is there: no copy, no other one of its name. */
static int open_object(const struct state *file, int *ret_fd, struct stat *ret_st)
{
	const struct state_object *object = &file->object;
	const char *why;
	int r = store_open(object->shm_name, ret_fd, ret_st, &why);

	/* Not a regular file, or another user's: so not what we made. */
	if (r == -EPERM)
		return -ENOENT;
	if (r == 0 && (ret_st->st_dev != object->device || ret_st->st_ino != object->inode)) {
		close(*ret_fd);
		return -ENOENT;
	}
	return r;
}

/*
 * No object is in its place. Is it gone, or are we in a container with a /dev/shm of its own,
 * and the object and its clients are outside?
 */
static bool may_be_elsewhere(const struct state *file)
{
	return state_is_of_this_boot(file) &&
	       store_is_elsewhere(file->object.shm_name, file->object.device);
}

/* Of our layout: map so much as it has, and no more, and believe nothing of it. */
static int view(struct adoption *adoption)
{
	const struct state_object *object = &adoption->file->object;
	struct segment_memory memory;
	int fd = fcntl(adoption->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), r;

	if (fd < 0)
		return -errno;
	r = segment_map_fd_part(fd, object->size_bytes, SEGMENT_READ_WRITE, &memory);
	if (r < 0)
		return r;
	r = segment_view(&memory, &adoption->file->shape, &adoption->file->identity,
			       &adoption->segment);
	if (r < 0) {
		segment_memory_deinit(&memory);
		return r;
	}
	close(adoption->fd);
	adoption->fd = fd;
	return 0;
}

/* Its memory is free from now on. */
static int lose(struct adoption *adoption)
{
	log_error("%s was truncated by a process that may write it: it is lost",
		  store_label(adoption->file->object.shm_name));
	adoption->is_lost = true;
	return ftruncate(adoption->fd, 0) < 0 ? -errno : 0;
}

/* Whoever may open it is whom we pass it to. Only its owner, or root, can have changed that. */
static void close_off(const struct adoption *adoption, const struct stat *st)
{
	int r;

	if ((st->st_mode & 07777) == STORE_MODE)
		return;
	r = fchmod(adoption->fd, STORE_MODE) < 0 ? -errno : 0;
	log_warning("%s was open to others, by its mode %04o: %s",
		    store_label(adoption->file->object.shm_name),
		    (unsigned int)st->st_mode & 07777, r < 0 ? strerror(-r) : "it is closed to them");
}

static int look_at_object(struct adoption *adoption, const struct stat *st)
{
	const struct state_object *object = &adoption->file->object;
	int r = 0;

	store_lock(adoption->fd);
	close_off(adoption, st);
	if ((uint64_t)st->st_size < object->size_bytes)
		return lose(adoption);
	if ((uint64_t)st->st_size > object->size_bytes) {
		if (ftruncate(adoption->fd, (off_t)object->size_bytes) < 0)
			r = -errno;
		log_warning("%s was enlarged by a process that may write it: %s",
			    store_label(object->shm_name), r < 0 ? strerror(-r) : "it is cut back");
	}
	if (!adoption->file->is_our_layout)
		return 0;
	r = view(adoption);
	return r == -ENODATA ? lose(adoption) : r;
}

/* Nothing can be done with it, now or later. */
static int give_up(const struct house *house, const char *file_name, const char *why)
{
	log_error("%s/%s: %s; it is removed", house->path, file_name, why);
	unlinkat(house->folder, file_name, 0);
	return -ENOENT;
}

int adopt_open(const struct house *house, const struct house_entry *entry,
	       struct adoption *ret_adoption, char reterr_text[static ADOPT_TEXT_BYTES])
{
	struct adoption adoption = { .fd = -1 };
	struct stat st;
	int r;

	r = state_open(house->folder, entry->file_name, &adoption.file);
	if (r == -EBADMSG)
		return give_up(house, entry->file_name, "not a state file, or damaged");
	if (r == 0)
		r = open_object(adoption.file, &adoption.fd, &st);
	if (r == -ENOENT && adoption.file && may_be_elsewhere(adoption.file)) {
		snprintf(reterr_text, ADOPT_TEXT_BYTES, "%s speaks of %s in another file system: "
			 "this mempoold has not the /dev/shm of the one before it",
			 entry->file_name, store_label(adoption.file->object.shm_name));
		adopt_deinit(&adoption);
		return -EXDEV;
	}
	if (r == -ENOENT) {
		adopt_deinit(&adoption);
		return give_up(house, entry->file_name, "its object is gone");
	}
	if (r == 0)
		r = look_at_object(&adoption, &st);
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
