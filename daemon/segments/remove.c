/* SPDX-License-Identifier: MIT */
#include "daemon/segments/remove.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/frozen.h"
#include "daemon/segments/store.h"
#include "shm/segment.h"

/* Whether nobody can be in it. Return: 0; -EBUSY somebody is; -errno cannot tell. */
static int check_deserted(int fd, const char *shm_name)
{
	struct frozen frozen;
	uint64_t pid_namespace;
	uint8_t boot_id[16];
	int64_t n;
	int r;

	r = frozen_init(&frozen, fd);
	if (r == -EAGAIN || r == -ENODATA)
		return 0;
	if (r < 0) {
		log_warning("%s left: not a segment, or damaged", store_label(shm_name));
		return r;
	}
	r = segment_boot_id(boot_id);
	if (r == 0)
		r = segment_pid_namespace(&pid_namespace);
	if (r < 0) {
		log_error("cannot read /proc: %s", strerror(-r));
		return r;
	}
	r = frozen_check_origin(&frozen, boot_id, pid_namespace);
	if (r == -ESTALE)
		return 0;
	if (r == -EXDEV) {
		log_warning("%s left: of a mempoold in another pid namespace", store_label(shm_name));
		return -EBUSY;
	}
	n = r < 0 ? r : frozen_count_living(&frozen);
	if (n > 0)
		log_warning("%s left: %" PRId64 " living clients are in it", store_label(shm_name), n);
	if (n < 0)
		log_warning("%s left: %s", store_label(shm_name), strerror((int)-n));
	return n > 0 ? -EBUSY : (int)n;
}

static int remove_object(const char *shm_name)
{
	const char *why;
	struct stat st;
	int fd, r;

	r = store_open(shm_name, &fd, &st, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		log_warning("%s left: %s", store_label(shm_name), r == -EPERM ? why : strerror(-r));
		return r == -EPERM ? 0 : r;
	}
	r = check_deserted(fd, shm_name);
	close(fd);
	if (r < 0)
		return r;
	r = store_unlink(shm_name, st.st_dev, st.st_ino);
	if (r < 0)
		log_error("cannot remove %s: %s", store_label(shm_name), strerror(-r));
	else
		log_notice("removed %s", store_label(shm_name));
	return r;
}

static int remove_segment(const char *segment_name)
{
	struct store_lock lock = STORE_LOCK_NULL;
	struct store_entry *entries = NULL;
	int64_t n, i;
	int r, result = 0;

	r = store_lock_take(&lock, segment_name);
	if (r < 0)
		return r;
	n = store_scan(segment_name, &entries);
	if (n < 0)
		result = (int)n;
	if (n == 0)
		log_notice("segment '%s': there is none", segment_name);
	for (i = 0; i < n; i++) {
		r = remove_object(entries[i].shm_name);
		if (r < 0)
			result = r;
	}
	free(entries);
	if (result == 0)
		store_lock_remove(&lock);
	store_lock_deinit(&lock);
	return result;
}

int remove_segments(const struct conf *conf)
{
	size_t i;
	int r, result = 0;

	for (i = 0; i < conf->n_segments; i++) {
		r = remove_segment(conf->segments[i].shape.name);
		if (r < 0)
			result = r;
	}
	return result;
}
