/* SPDX-License-Identifier: MIT */
#include "daemon/segments/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/handed.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/segments/store.h"

#define PLACE_NAME "mempoold.place"
#define PLACE_MAGIC UINT64_C(0x6563616c70706d0a)	/* "\nmpplace" in memory */
#define PLACE_VERSION 1
#define PLACE_SOCKET_BYTES 108		/* as sun_path */

struct place_note {
	uint64_t magic;
	uint32_t version;
	uint32_t socket_mode;
	uint32_t socket_group;
	uint32_t reserved0;
	char house[MEMPOOL_NAME_BYTES];
	char socket_path[PLACE_SOCKET_BYTES];
	char folder[PATH_MAX];
};

bool place_is_name(const char *name)
{
	return strcmp(name, PLACE_NAME) == 0;
}

/* ---- keep ---- */

/* Into zeroed memory, so that the same is the same. */
static void set_note(struct place_note *note, const struct house *house, const struct conf *conf)
{
	note->magic = PLACE_MAGIC;
	note->version = PLACE_VERSION;
	note->socket_mode = conf->socket_mode;
	note->socket_group = conf->socket_group;
	memcpy(note->house, house->key, sizeof(note->house));
	snprintf(note->socket_path, sizeof(note->socket_path), "%s", conf->socket_path);
	snprintf(note->folder, sizeof(note->folder), "%s", house->path);
}

/* What was handed to us. Return: 0; -ENOENT; -EBADMSG. */
static int read_note(struct place_note *note)
{
	int fd = handed_find(PLACE_NAME);

	if (fd < 0)
		return -ENOENT;
	if (!store_is_sealed(fd) || pread(fd, note, sizeof(*note), 0) != (ssize_t)sizeof(*note) ||
	    note->magic != PLACE_MAGIC || note->version != PLACE_VERSION ||
	    !memchr(note->house, '\0', sizeof(note->house)) ||
	    !memchr(note->socket_path, '\0', sizeof(note->socket_path)) ||
	    !memchr(note->folder, '\0', sizeof(note->folder)) || note->socket_path[0] != '/' ||
	    note->folder[0] != '/')
		return -EBADMSG;
	return 0;
}

static int make_file(const struct place_note *note, int *ret_fd)
{
	int fd, r;

	r = store_make_memfd("/" PLACE_NAME, 0, &fd);
	if (r < 0)
		return r;
	if (write(fd, note, sizeof(*note)) != (ssize_t)sizeof(*note))
		r = -EIO;
	if (r == 0)
		r = store_seal(fd);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int offer(const struct place_note *note)
{
	int fd, r;

	r = make_file(note, &fd);
	if (r < 0)
		return r;
	r = notify_offer(PLACE_NAME, fd);
	close(fd);
	return r;
}

static bool may_do_later(int error)
{
	return error == -EAGAIN || error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -ETOOMANYREFS;
}

/* Have it keep place->note, and no other. */
static void tell(struct place *place)
{
	int r;

	/* The one before goes first: it has the same name. */
	if (!place->is_behind)
		handed_drop(PLACE_NAME);
	r = offer(place->note);
	place->is_behind = may_do_later(r);
	if (r < 0 && r != -ENOTCONN && !place->is_behind)
		log_warning("the service manager cannot be told of the state folder %s: %s",
			    place->note->folder, strerror(-r));
}

/* What the manager has of the daemon before us. */
static bool is_handed(const struct place_note *note)
{
	struct place_note *handed = calloc(1, sizeof(*handed));
	bool is_same = handed && read_note(handed) == 0 &&
		       memcmp(handed, note, sizeof(*note)) == 0;

	free(handed);
	return is_same;
}

void place_keep(struct place *place, const struct house *house, const struct conf *conf)
{
	struct place_note *note = calloc(1, sizeof(*note));
	bool is_kept;

	if (!note)
		return;
	set_note(note, house, conf);
	is_kept = !place->is_behind && (place->note ? memcmp(place->note, note, sizeof(*note)) == 0
						    : is_handed(note));
	free(place->note);
	place->note = note;
	if (!is_kept)
		tell(place);
}

void place_drop(struct place *place)
{
	if (place->note || handed_find(PLACE_NAME) >= 0)
		handed_drop(PLACE_NAME);
	place_deinit(place);
}

void place_deinit(struct place *place)
{
	free(place->note);
	*place = (struct place){ .note = NULL };
}

/* ---- find ---- */

static int put(const struct place_note *note, struct conf *conf)
{
	char *folder = strdup(note->folder), *socket_path = strdup(note->socket_path);

	if (!folder || !socket_path) {
		free(folder);
		free(socket_path);
		return -ENOMEM;
	}
	free(conf->state_dir);
	free(conf->socket_path);
	conf->state_dir = folder;
	conf->socket_path = socket_path;
	conf->socket_mode = note->socket_mode & 0777;
	conf->socket_group = note->socket_group;
	memcpy(conf->house, note->house, sizeof(conf->house));
	return 0;
}

int place_find(struct conf *conf)
{
	struct place_note *note = calloc(1, sizeof(*note));
	int r = note ? read_note(note) : -ENOMEM;

	if (r == 0)
		r = put(note, conf);
	free(note);
	return r;
}
