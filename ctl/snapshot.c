/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - see snapshot.h
 */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/end.h"
#include "shm/role.h"
#include "shm/segment.h"
#include "shm/sigbus.h"
#include "shm/topic.h"

/* What one holder has of each pool: of a reserve, it has it of its pool. */
static void copy_holds(const struct segment *segment, const struct census_hold *from,
		       struct census_hold *to)
{
	for (uint32_t i = 0; i < segment->n_pools; i++, from++) {
		if (segment->pools[i].is_reserve)
			to--;
		to->chunks += from->chunks;
		to->given += from->given;
		to->shared += from->shared;
		to++;
	}
}

/*
 * The words first, then the table: a holder that comes in between shows with nothing, which
 * is what it had. One whose record is free although words name it (it was just reaped, or
 * the segment is damaged) is shown too: chunks never disappear from the listing.
 */
static int copy_holders(const struct segment *segment, const struct counting *counting,
			struct snapshot *snapshot)
{
	const struct census *census = counting_shown(counting);
	struct census_hold *holds;

	holds = calloc((size_t)census->n_holders * snapshot->n_pools, sizeof(*holds));
	snapshot->holds = holds;
	if (!holds)
		return -ENOMEM;
	snapshot->holders = calloc(census->n_holders, sizeof(*snapshot->holders));
	if (!snapshot->holders)
		return -ENOMEM;

	for (uint32_t id = MEMPOOL_HOLDER_DAEMON_ID; id < census->n_holders; id++) {
		struct snapshot_holder holder = {
			.record = counting_holder(counting, segment, id),
			.counts = census->holders[id],
			.by_pool = holds + (size_t)id * snapshot->n_pools,
		};

		if (holder.record.state == MEMPOOL_HOLDER_FREE && holder.counts.all.chunks == 0 &&
		    holder.counts.all.shared == 0)
			continue;
		copy_holds(segment, census->holds + (size_t)id * census->n_pools,
			   holds + (size_t)id * snapshot->n_pools);
		snapshot->holders[snapshot->n_holders++] = holder;
	}

	return 0;
}

/* Relaxed: figures for people. */
static uint64_t read_figure(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

static void copy_ring(const struct segment *segment, const struct census *census, uint32_t i,
		      uint64_t now_ns, struct snapshot_ring *ring)
{
	const struct config_ring *config = &segment->config.rings[i];
	const struct census_ring *counts = &census->rings[i];
	struct topic topic;

	memcpy(ring->name, config->name, sizeof(ring->name));
	ring->kind = config->kind;
	ring->capacity = config->capacity;
	ring->n_messages = counts->tally.n_messages;
	ring->n_unseen = end_n_unseen(segment, i);
	ring->has_stamps = config->flags & MEMPOOL_RING_STAMPS;
	ring->has_one_sender = role_is_of(config, MEMPOOL_END_SENDER);
	ring->has_one_receiver = role_is_of(config, MEMPOOL_END_RECEIVER);
	ring->one_sender = role_holder(role_look(&segment->rings[i], MEMPOOL_END_SENDER));
	ring->one_receiver = role_holder(role_look(&segment->rings[i], MEMPOOL_END_RECEIVER));
	ring->slot_bytes = config->slot_bytes;
	ring->has_oldest = counts->tally.sent_ns != 0;
	if (ring->has_oldest && counts->tally.sent_ns < now_ns)
		ring->oldest_ns = now_ns - counts->tally.sent_ns;
	if (topic_view(&topic, segment, i) == 0) {
		ring->n_sent = read_figure(&segment->rings[i].tail);
		ring->n_yielded = read_figure(&segment->rings[i].n_yielded);
		ring->chunks = census->holders[topic.holder].all.shared;
		ring->bytes = census->holders[topic.holder].shared_bytes;
	} else {
		ring->n_sent = counts->tally.n_sent;
		ring->n_received = counts->tally.n_received;
		ring->chunks = counts->chunks;
		ring->bytes = counts->bytes;
	}
}

/* Of what a subscriber says of itself: it may say anything. */
static void copy_subscriber(const struct segment *segment, const struct census *census,
			    uint32_t line, const struct end *end,
			    struct snapshot_subscriber *to)
{
	/* Behind the cursor, so that one that reads on meanwhile is not ahead. */
	int64_t n_behind = (int64_t)(read_figure(&segment->rings[end->ring].tail) - end->cursor);

	*to = (struct snapshot_subscriber){
		.line = line,
		.ring = end->ring,
		.is_whole = end->is_whole,
		.n_holds = census_holds(census, segment->ring_places[end->ring].holder,
					end->holder),
	};
	holder_read(segment, end->holder, &to->record);
	if (!end->is_whole)
		return;
	to->cursor = end->cursor;
	to->start = end->start;
	to->n_behind = n_behind > 0 ? (uint64_t)n_behind : 0;
	to->n_missed = end->n_missed;
	to->flags = end->flags;
}

static int compare_subscribers(const void *left, const void *right)
{
	const struct snapshot_subscriber *a = left, *b = right;

	if (a->ring != b->ring)
		return a->ring < b->ring ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

void snapshot_order_subscribers(struct snapshot *snapshot)
{
	if (snapshot->n_subscribers > 0)
		qsort(snapshot->subscribers, snapshot->n_subscribers,
		      sizeof(*snapshot->subscribers), compare_subscribers);
}

/* Subscribers; senders and receivers are only counted. */
static int copy_ends(const struct segment *segment, const struct census *census,
		     struct snapshot *snapshot)
{
	struct end end;

	snapshot->subscribers = calloc((size_t)segment->geometry.n_ends + 1,
				       sizeof(*snapshot->subscribers));
	if (!snapshot->subscribers)
		return -ENOMEM;
	for (uint32_t line = 0; end_find(segment, &line, &end); line++) {
		struct snapshot_ring *ring = &snapshot->rings[end.ring];

		if (!end_read(segment, line, &end))
			continue;
		ring->n_senders += end.kind == MEMPOOL_END_SENDER;
		ring->n_receivers += end.kind == MEMPOOL_END_RECEIVER;
		if (end.kind != MEMPOOL_END_SUBSCRIBER)
			continue;
		ring->n_subscribers++;
		copy_subscriber(segment, census, line, &end,
				&snapshot->subscribers[snapshot->n_subscribers++]);
	}
	snapshot_order_subscribers(snapshot);
	return 0;
}

static int copy_rings(const struct segment *segment, const struct census *census,
		      struct snapshot *snapshot)
{
	uint64_t now_ns = (uint64_t)clock_now_ns();
	uint32_t n = (uint32_t)segment->config.n_rings;

	if (n == 0)
		return 0;
	snapshot->rings = calloc(n, sizeof(*snapshot->rings));
	if (!snapshot->rings)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		copy_ring(segment, census, i, now_ns, &snapshot->rings[i]);
	snapshot->n_rings = n;
	return copy_ends(segment, census, snapshot);
}

/* The words first: who frees in between has been counted, and the peak is not below it. */
static void copy_pool(const struct pool *pool, const struct census_pool *counts,
		      struct snapshot_pool *ret_pool)
{
	uint64_t peak = read_figure(&pool->state->peak_used);

	if (peak < counts->used)
		peak = counts->used;
	*ret_pool = (struct snapshot_pool){
		.chunk_size = pool->chunk_size,
		.stride = pool->stride,
		.counts = *counts,
		.peak_used = peak < counts->total ? peak : counts->total,
		.n_exhausted = read_figure(&pool->state->n_exhausted),
		.n_served_larger = read_figure(&pool->state->n_served_larger),
		.n_shareable = pool->is_exclusive ? 0 : pool->n_chunks,
	};
}

static void add_reserve(struct snapshot_pool *pool, const struct snapshot_pool *reserve)
{
	census_add(&pool->counts, &reserve->counts);
	/* When the most of it was used, all the others were. */
	pool->peak_used += reserve->peak_used;
	pool->n_exhausted += reserve->n_exhausted;
	pool->n_served_larger += reserve->n_served_larger;
	pool->n_shareable += reserve->n_shareable;
	pool->reserve = (struct snapshot_reserve){
		.total = reserve->counts.total,
		.used = reserve->counts.used,
		.n_exhausted = reserve->n_exhausted,
	};
}

/* With its reserve. Members write traces: any number. */
static void date_pool(struct snapshot_pool *pool, uint64_t now_ns)
{
	pool->has_oldest = pool->counts.held_since_ns != 0;
	if (pool->has_oldest && pool->counts.held_since_ns < now_ns)
		pool->oldest_ns = now_ns - pool->counts.held_since_ns;
}

static void copy_pools(const struct segment *segment, const struct census *census,
		       struct snapshot *snapshot)
{
	struct snapshot_pool *to = snapshot->pools;
	uint64_t now_ns = (uint64_t)clock_now_ns();

	for (uint32_t i = 0; i <= segment->n_pools; i++) {
		struct snapshot_pool pool;

		copy_pool(&segment->pools[i], &census->pools[i], &pool);
		/* It stands behind its pool. */
		if (segment->pools[i].is_reserve)
			add_reserve(to - 1, &pool);
		else
			*to++ = pool;
	}
	/* The managers' is the last one. */
	snapshot->n_pools = (size_t)(to - 1 - snapshot->pools);
	snapshot->is_traced = segment->modules != NULL;
	for (size_t i = 0; i < snapshot->n_pools; i++)
		date_pool(&snapshot->pools[i], now_ns);
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What is counted, whole or for the part that it is. */
static int copy_counts(const struct segment *segment, const struct counting *counting,
		       struct snapshot *snapshot)
{
	const struct census *census = counting_shown(counting);
	int r;

	snapshot->counted_percent = census_percent(census, segment);
	snapshot->counted_ns = counting->has_whole ? counting->whole_ns : clock_ns();
	snapshot->counted_ms = counting->whole_ms;
	snapshot->all = census->all;
	copy_pools(segment, census, snapshot);
	r = copy_rings(segment, census, snapshot);
	return r < 0 ? r : copy_holders(segment, counting, snapshot);
}

static int copy_segment(const struct segment *segment, struct counting *counting,
			int64_t budget_ns, struct snapshot *snapshot)
{
	struct budget budget = budget_of(budget_ns);
	int r;

	memcpy(snapshot->name, segment->config.name, sizeof(snapshot->name));
	snapshot->generation = segment->generation;
	snapshot->segment_id = segment->segment_id;
	snapshot->size_bytes = segment->geometry.control_bytes + segment->geometry.data_bytes;
	snapshot->max_clients = segment->config.max_clients;
	snapshot->state = segment_state(segment);
	lane_count(&segment->lanes, &snapshot->lanes);
	snapshot->taken_ns = clock_ns();

	r = counting_go_on(counting, segment, &budget);
	return r < 0 ? r : copy_counts(segment, counting, snapshot);
}

static void keep_fault(const char *text, void *userdata)
{
	struct snapshot *snapshot = userdata;
	char **faults = realloc(snapshot->faults,
				(snapshot->n_faults + 1) * sizeof(*snapshot->faults));

	/* Out of memory, they are still counted. */
	if (!faults)
		return;
	snapshot->faults = faults;
	faults[snapshot->n_faults] = strdup(text);
	snapshot->n_faults += faults[snapshot->n_faults] != NULL;
}

static int audit(const struct segment *segment, struct snapshot *snapshot)
{
	struct budget budget = budget_of(AUDIT_BUDGET_NS);

	return audit_segment_within(segment, 0, &budget, keep_fault, snapshot, &snapshot->audit);
}

static int list_held(const struct segment *segment, struct snapshot *snapshot)
{
	struct budget budget = budget_of(SNAPSHOT_BUDGET_NS);

	return held_list_take(segment, &budget, &snapshot->held);
}

/* Of the daemon's shape; of its own, where no daemon is asked. As segment_attach(). */
static int open_segment(struct segment_memory *memory, const struct observed *observed,
			struct segment **ret_segment)
{
	struct segment_identity identity;

	if (!observed)
		return segment_attach(memory, ret_segment);
	identity = (struct segment_identity){
		.segment_id = observed->told.place.segment_id,
		.generation = observed->told.place.generation,
	};
	return segment_view(memory, &observed->shape, &identity, ret_segment);
}

/* The control that the daemon has passed, or that of a name. As segment_open_control(). */
static int map_control(const char *shm_name, const struct observed *observed,
		       struct segment_memory *ret_memory)
{
	struct segment_fds fds = SEGMENT_FDS_NULL;
	struct geometry geometry;

	if (!observed)
		return segment_open_control(shm_name, ret_memory);
	if (observed->fd < 0)
		return -ENOMSG;
	if (geometry_init(&geometry, &observed->shape) < 0)
		return -EINVAL;
	fds.control = fcntl(observed->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fds.control < 0)
		return -errno;
	return segment_map_fds(fds, &geometry, SEGMENT_READ_ONLY, SEGMENT_READ_ONLY, ret_memory);
}

static int look_at(const struct segment *segment, const struct snapshot_look *look,
		   const struct sigbus_range *range, struct snapshot *snapshot)
{
	struct counting *counting = countings_find(look->countings, segment);
	int r = counting ? copy_segment(segment, counting, look->budget_ns, snapshot) : -ENOMEM;

	if (r >= 0 && look->with_chunks)
		r = list_held(segment, snapshot);
	if (r >= 0 && look->queue)
		r = waiting_list_take(segment, look->queue, look->n_waiting_most, &snapshot->waiting);
	if (r >= 0 && look->with_audit)
		r = audit(segment, snapshot);
	if (!sigbus_was_hit(range))
		return r;
	if (counting)
		counting_forget(counting);
	return -ENOTRECOVERABLE;
}

/* Closed by a NUL, and printable. */
static void copy_reason(char to[static 200], const char from[static 200])
{
	for (size_t i = 0; i < 199 && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
}

int snapshot_take(const char *shm_name, const struct observed *observed,
		  const struct snapshot_look *look, struct snapshot *ret_snapshot)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct snapshot snapshot = { 0 };
	struct segment *segment = NULL;
	struct sigbus_range range;
	int r;

	r = map_control(shm_name, observed, &memory);
	if (r < 0)
		return r;

	sigbus_watch(&range, memory.base, memory.size);
	r = open_segment(&memory, observed, &segment);
	if (r >= 0)
		r = look_at(segment, look, &range, &snapshot);
	else if (sigbus_was_hit(&range))
		r = -ENOTRECOVERABLE;
	sigbus_unwatch(&range);

	if (segment)
		segment_free(segment);
	else
		segment_memory_deinit(&memory);

	if (r < 0) {
		snapshot_deinit(&snapshot);
		return r;
	}

	snprintf(snapshot.shm_name, sizeof(snapshot.shm_name), "%s", shm_name);
	if (observed) {
		memcpy(snapshot.name, observed->told.place.segment, sizeof(snapshot.name));
		snapshot.state = observed->told.is_retired ? MEMPOOL_SEGMENT_RETIRED
							   : MEMPOOL_SEGMENT_READY;
		snapshot.n_moved = observed->told.n_moved;
		snapshot.n_waiting = observed->told.n_waiting;
		copy_reason(snapshot.why, observed->told.reason);
	}
	*ret_snapshot = snapshot;
	return 0;
}

void snapshot_deinit(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_faults; i++)
		free(snapshot->faults[i]);
	free(snapshot->faults);
	held_list_deinit(&snapshot->held);
	waiting_list_deinit(&snapshot->waiting);
	free(snapshot->rings);
	free(snapshot->subscribers);
	free(snapshot->holders);
	free(snapshot->holds);
	*snapshot = (struct snapshot){ 0 };
}

bool snapshot_has_exclusive(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_pools; i++)
		if (snapshot->pools[i].n_shareable == 0)
			return true;
	return false;
}

bool snapshot_has_reserve(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_pools; i++)
		if (snapshot->pools[i].reserve.total > 0)
			return true;
	return false;
}

static int compare_holders(const void *left, const void *right)
{
	const struct snapshot_holder *one = left, *other = right;
	uint64_t n_one = one->counts.all.chunks + one->counts.all.shared;
	uint64_t n_other = other->counts.all.chunks + other->counts.all.shared;

	if (n_one != n_other)
		return n_one < n_other ? 1 : -1;
	return one->record.id < other->record.id ? -1 : 1;
}

uint64_t snapshot_stride_bytes(const struct snapshot *snapshot, const struct snapshot_holder *holder)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < snapshot->n_pools; i++)
		bytes += (holder->by_pool[i].chunks + holder->by_pool[i].shared) *
			 snapshot->pools[i].stride;
	return bytes;
}

void snapshot_sort_holders(struct snapshot *snapshot)
{
	if (snapshot->n_holders > 0)
		qsort(snapshot->holders, snapshot->n_holders, sizeof(*snapshot->holders),
		      compare_holders);
}

static int compare_behind(const void *left, const void *right)
{
	const struct snapshot_subscriber *a = left, *b = right;

	if (a->n_behind != b->n_behind)
		return a->n_behind < b->n_behind ? 1 : -1;
	return compare_subscribers(left, right);
}

void snapshot_sort_subscribers(struct snapshot *snapshot)
{
	if (snapshot->n_subscribers > 0)
		qsort(snapshot->subscribers, snapshot->n_subscribers,
		      sizeof(*snapshot->subscribers), compare_behind);
}
