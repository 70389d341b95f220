/* SPDX-License-Identifier: MIT */
#include "daemon/segments/adopt.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "shm/holder.h"
#include "shm/sigbus.h"

/* ---- which kind it is ---- */

static const char *segment_name(const struct adopt *adopt)
{
	return adopt->conf->shape.name;
}

static int unlink_it(const struct adopt *adopt, const char *why)
{
	int r = store_unlink(adopt->shm_name, adopt->st.st_dev, adopt->st.st_ino);

	if (r < 0)
		log_warning("segment '%s': cannot remove %s (%s): %s", segment_name(adopt),
			    store_label(adopt->shm_name), why, strerror(-r));
	else
		log_info("segment '%s': removed %s: %s", segment_name(adopt),
			 store_label(adopt->shm_name), why);
	return 0;
}

static int leave_it(const struct adopt *adopt, const char *why)
{
	static struct log_limit limit = { .burst = 20 };

	log_limited(&limit, LOG_WARNING,
		    "segment '%s': %s is %s; left alone, another number is used",
		    segment_name(adopt), store_label(adopt->shm_name), why);
	return 0;
}

/* Map it and check it. -EPROTONOSUPPORT: another layout: only its frozen part can be read. */
static int attach(struct adopt *adopt)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct sigbus_range range;
	int fd, r;

	fd = dup(adopt->fd);
	if (fd < 0)
		return -errno;
	r = segment_map_fd(fd, SEGMENT_READ_WRITE, &memory);
	if (r < 0)
		return r;
	sigbus_watch(&range, memory.base, memory.size);
	r = segment_attach(&memory, &adopt->segment);
	if (r == 0 && sigbus_was_hit(&range))
		r = -ENODATA;
	sigbus_unwatch(&range);
	segment_memory_deinit(&memory);
	return r;
}

bool adopt_has_layout(const struct segment *segment, const struct conf_segment *conf)
{
	struct geometry wanted;

	return geometry_init(&wanted, &conf->shape) == 0 &&
	       wanted.fingerprint == segment->geometry.fingerprint;
}

static bool is_wanted(const struct adopt *adopt)
{
	return adopt->conf->open_mode != SEGMENT_PURGE_AND_CREATE &&
	       adopt->segment && adopt->frozen.state == MEMPOOL_SEGMENT_READY &&
	       strcmp(adopt->segment->config.name, segment_name(adopt)) == 0 &&
	       adopt_has_layout(adopt->segment, adopt->conf);
}

/* Ours, and whole. */
static int look_at_whole(struct adopt *adopt, bool has_current)
{
	int64_t n_living;
	int r;

	r = attach(adopt);
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r < 0 && r != -EPROTONOSUPPORT)
		return leave_it(adopt, segment_strerror(r));

	adopt->is_wanted = !has_current && is_wanted(adopt);
	if (!adopt->is_wanted) {
		n_living = frozen_count_living(&adopt->frozen);
		if (n_living < 0)
			return leave_it(adopt, strerror((int)-n_living));
		if (n_living == 0)
			return unlink_it(adopt, "another layout, and nobody lives in it");
	}
	if (adopt->conf->open_mode == SEGMENT_CREATE) {
		log_error("segment '%s': %s exists already, and open_mode is create",
			  segment_name(adopt), store_label(adopt->shm_name));
		return -EEXIST;
	}
	return 1;
}

static int look_at_ours(struct adopt *adopt, const struct environment *environment,
			bool has_current)
{
	int r;

	r = frozen_init(&adopt->frozen, adopt->fd);
	switch (r) {
	case 0:
		break;
	case -EAGAIN:
		return unlink_it(adopt, "its daemon died before it was laid out");
	case -ENODATA:
		return unlink_it(adopt, "it was truncated");
	case -EBADMSG:
		return leave_it(adopt, "not a segment, or damaged");
	default:
		return leave_it(adopt, strerror(-r));
	}
	r = frozen_check_origin(&adopt->frozen, environment->boot_id,
				environment->pid_namespace);
	if (r == -ESTALE)
		return unlink_it(adopt, "it is from before the last boot");
	if (r < 0)
		return leave_it(adopt, r == -EXDEV ? "of a mempoold in another pid namespace"
						   : strerror(-r));
	if (adopt->frozen.generation != adopt->number)
		return leave_it(adopt, "damaged: it says another generation");
	return look_at_whole(adopt, has_current);
}

int adopt_look(struct adopt *adopt, const struct environment *environment,
	       const struct conf_segment *conf, const struct store_entry *entry,
	       bool has_current)
{
	const char *why;
	int r;

	*adopt = (struct adopt){ .conf = conf, .number = entry->generation, .fd = -1 };
	memcpy(adopt->shm_name, entry->shm_name, sizeof(adopt->shm_name));
	r = store_open(adopt->shm_name, &adopt->fd, &adopt->st, &why);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return leave_it(adopt, r == -EPERM ? why : strerror(-r));
	adopt->is_ours = true;
	return look_at_ours(adopt, environment, has_current);
}

void adopt_deinit(struct adopt *adopt)
{
	segment_free(adopt->segment);
	if (adopt->fd >= 0)
		close(adopt->fd);
}

/* ---- it is served ---- */

int adopt_generation(struct adopt *adopt, const struct generation_owner *owner,
		     struct generation **ret_generation)
{
	int r = generation_new(owner, adopt->shm_name, adopt->segment, &adopt->frozen,
			       ret_generation);

	if (r < 0)
		return r;
	if (!adopt->segment)
		adopt->fd = -1;
	adopt->segment = NULL;
	return 0;
}

/* Of a layout that is ours: whole records. */
static int adopt_holders(struct generation *generation)
{
	struct tenants *tenants = &generation->tenants;
	struct holder holder;
	uint32_t id;
	int r;

	for (id = tenants->first_id; id < tenants->n_ids; id++) {
		r = holder_read(generation->segment, id, &holder);
		if (r < 0)
			return r;
		if (holder.state == MEMPOOL_HOLDER_FREE)
			continue;
		r = tenants_adopt(tenants, id,
				  &(struct newcomer){ .pid = (pid_t)holder.pid,
						      .start_time = holder.start_time,
						      .uid = holder.uid,
						      .nonce = holder.nonce,
						      .name = holder.name },
				  holder.incarnation, holder.state == MEMPOOL_HOLDER_LIVE);
		if (r < 0)
			return r;
	}
	generation->reaper.daemon_is_dead = true;
	generation_kick(generation);
	return 0;
}

/* Of another layout: the head of a record tells who, and no more. */
static int adopt_frozen(struct generation *generation, const struct frozen *frozen)
{
	struct tenants *tenants = &generation->tenants;
	struct frozen_holder holder;
	uint32_t id;
	int r;

	for (id = 0; id < tenants->n_ids; id++) {
		r = frozen_read(frozen, id, &holder);
		if (r < 0)
			return r;
		if (holder.state != MEMPOOL_HOLDER_LIVE)
			continue;
		r = tenants_adopt(tenants, id,
				  &(struct newcomer){ .pid = holder.pid,
						      .start_time = holder.start_time,
						      .uid = (uid_t)-1,
						      .name = "?" },
				  0, true);
		if (r < 0)
			return r;
	}
	generation_kick(generation);
	return 0;
}

int adopt_tenants(const struct adopt *adopt, struct generation *generation)
{
	if (generation->segment)
		return adopt_holders(generation);
	return adopt_frozen(generation, &adopt->frozen);
}
