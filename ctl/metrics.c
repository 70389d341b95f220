/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - mempoolctl metrics: what was gathered, for Prometheus
 *
 * A family at a time, each over all segments, as the format wants it. Segments are called
 * what the daemon calls them: their own headers are written by whoever may map them, and a
 * series that appears twice spoils all of them. Of a segment that is counted in part, what that
 * count is for is left out: a gap is seen, a wrong figure is believed.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "build_config.h"
#include "exposition.h"
#include "name.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define NUMBER_BYTES 24

/* ---- labels ---- */

#define MAX_LABELS 8

struct labels {
	struct exposition_label list[MAX_LABELS];
	char numbers[MAX_LABELS][NUMBER_BYTES];
	size_t n;
};

static void add_text(struct labels *labels, const char *name, const char *value)
{
	labels->list[labels->n++] = (struct exposition_label){ name, value };
}

static void add_number(struct labels *labels, const char *name, uint64_t value)
{
	char *text = labels->numbers[labels->n];

	snprintf(text, NUMBER_BYTES, "%" PRIu64, value);
	add_text(labels, name, text);
}

static void add_segment(struct labels *labels, const char *name, uint64_t generation)
{
	labels->n = 0;
	add_text(labels, "segment", name);
	add_number(labels, "generation", generation);
}

/* ---- a family whose samples come from a member of a struct ---- */

struct family {
	struct exposition_family head;
	size_t offset;			/* of an uint64_t */
	bool is_counted;		/* known only when all is counted */
};

static bool has_family(const struct snapshot *snapshot, const struct family *family)
{
	return !family->is_counted || snapshot->counted_percent == 100;
}

static void write_member(FILE *file, const struct family *family, const struct labels *labels,
			 const void *object)
{
	uint64_t value;

	memcpy(&value, (const unsigned char *)object + family->offset, sizeof(value));
	exposition_sample(file, &family->head, labels->list, labels->n, value);
}

/* ---- the daemon ---- */

static void write_single(FILE *file, const char *name, const char *help, uint64_t value)
{
	const struct exposition_family family = { name, "gauge", help };

	exposition_begin(file, &family);
	exposition_sample(file, &family, NULL, 0, value);
}

static void write_self(FILE *file)
{
	static const struct exposition_family family = {
		"mempoolctl_build_info", "gauge", "Always 1; the version of who counted." };
	static const struct exposition_label version = { "version", MEMPOOL_VERSION };

	exposition_begin(file, &family);
	exposition_sample(file, &family, &version, 1, 1);
}

/* ---- segments ---- */

static void write_readable(FILE *file, const struct gathering *gathering)
{
	static const struct exposition_family family = {
		"mempool_segment_up", "gauge", "Whether the segment could be read." };
	struct labels labels;

	exposition_begin(file, &family);
	for (size_t i = 0; i < gathering->n_snapshots; i++) {
		add_segment(&labels, gathering->snapshots[i].name,
			    gathering->snapshots[i].generation);
		exposition_sample(file, &family, labels.list, labels.n, 1);
	}
	for (size_t i = 0; i < gathering->n_failures; i++) {
		const struct mempool_msg_place *place = &gathering->failures[i].place;

		add_segment(&labels, place->segment, place->generation);
		exposition_sample(file, &family, labels.list, labels.n, 0);
	}
}

static uint64_t is_counted(const struct snapshot *snapshot)
{
	return snapshot->counted_percent == 100;
}

/* 0: it is counted in part only. */
static uint64_t counted_seconds(const struct snapshot *snapshot)
{
	return (uint64_t)snapshot->counted_ms / 1000;
}

static uint64_t is_retired(const struct snapshot *snapshot)
{
	return snapshot->state == MEMPOOL_SEGMENT_RETIRED;
}

static uint64_t n_clients(const struct snapshot *snapshot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < snapshot->n_holders; i++)
		n += snapshot->holders[i].record.kind == MEMPOOL_HOLDER_CLIENT;
	return n;
}

static uint64_t n_unverifiable(const struct snapshot *snapshot)
{
	uint64_t n = 0;

	for (size_t i = 0; i < snapshot->n_holders; i++)
		n += snapshot->holders[i].record.is_unverifiable;
	return n;
}

#define SEGMENT(member) offsetof(struct snapshot, member)

static void write_segments(FILE *file, const struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_segment_bytes", "gauge", "Size of the segment in /dev/shm." },
		  SEGMENT(size_bytes), false },
		{ { "mempool_segment_max_clients", "gauge", "Clients that there is room for." },
		  SEGMENT(max_clients), false },
		{ { "mempool_segment_moved_messages_total", "counter",
		    "Messages that came here from generations before it, since the daemon began." },
		  SEGMENT(n_moved), false },
		{ { "mempool_segment_waiting_messages", "gauge",
		    "Messages in a retired generation that have no place in the next one." },
		  SEGMENT(n_waiting), false },
		{ { "mempool_segment_plain_claims", "gauge",
		    "1: threads may claim what they freed by plain stores; 0: by swaps alone." },
		  SEGMENT(lanes.is_on), false },
		{ { "mempool_segment_owned_lanes", "gauge", "Lanes that threads have, for that." },
		  SEGMENT(lanes.n_owned), false },
		{ { "mempool_segment_free_lanes", "gauge", "Lanes that threads may have." },
		  SEGMENT(lanes.n_free), false },
		{ { "mempool_segment_retired_lanes", "gauge",
		    "Lanes whose epochs are used up, until they are swept." },
		  SEGMENT(lanes.n_retired), false },
		{ { "mempool_segment_lane_revocations_total", "counter",
		    "Epochs of lanes that were ended since the segment was made." },
		  SEGMENT(lanes.n_revoked), false },
		{ { "mempool_segment_lane_barriers_total", "counter",
		    "Times that all processors with clients were interrupted for that." },
		  SEGMENT(lanes.n_barriers), false },
		{ { "mempool_segment_in_flight_chunks", "gauge",
		    "Chunks on their way in queues." },
		  SEGMENT(all.in_flight), true },
		{ { "mempool_segment_shared_chunks", "gauge",
		    "Chunks held by several, topics among them." },
		  SEGMENT(all.shared), true },
		{ { "mempool_segment_stray_chunks", "gauge",
		    "Chunks whose word names nobody who could hold them: 0 unless damaged." },
		  SEGMENT(all.stray), true },
	};
	static const struct {
		struct exposition_family head;
		uint64_t (*value)(const struct snapshot *snapshot);
	} computed[] = {
		{ { "mempool_segment_counted", "gauge",
		    "1: all of it was counted; 0: a part, and its counts are left out." },
		  is_counted },
		{ { "mempool_segment_counted_timestamp_seconds", "gauge",
		    "When the count that is shown was whole, in seconds since 1970; 0: never yet." },
		  counted_seconds },
		{ { "mempool_segment_retired", "gauge",
		    "1: takes nobody new, and goes when its last client has left." },
		  is_retired },
		{ { "mempool_segment_clients", "gauge",
		    "Clients attached, and those gone whose chunks are being freed." },
		  n_clients },
		{ { "mempool_segment_unverifiable_clients", "gauge",
		    "Clients of whom nobody can see whether they live (mempoolctl forget)." },
		  n_unverifiable },
	};
	struct labels labels;

	for (size_t f = 0; f < N_ELEMENTS(families); f++) {
		exposition_begin(file, &families[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++) {
			const struct snapshot *snapshot = &gathering->snapshots[i];

			if (!has_family(snapshot, &families[f]))
				continue;
			add_segment(&labels, snapshot->name, snapshot->generation);
			write_member(file, &families[f], &labels, snapshot);
		}
	}
	for (size_t f = 0; f < N_ELEMENTS(computed); f++) {
		exposition_begin(file, &computed[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++) {
			const struct snapshot *snapshot = &gathering->snapshots[i];

			add_segment(&labels, snapshot->name, snapshot->generation);
			exposition_sample(file, &computed[f].head, labels.list, labels.n,
					  computed[f].value(snapshot));
		}
	}
}

/* ---- pools ---- */

#define POOL(member) offsetof(struct snapshot_pool, member)

static void add_pool(struct labels *labels, const struct snapshot *snapshot, size_t pool)
{
	add_segment(labels, snapshot->name, snapshot->generation);
	add_number(labels, "pool", pool);
	add_number(labels, "chunk_size", snapshot->pools[pool].chunk_size);
}

/* Of segments that keep traces. 0: nothing is held, or nobody knows since when. */
static void write_pool_ages(FILE *file, const struct gathering *gathering)
{
	static const struct exposition_family family = {
		"mempool_pool_oldest_seconds", "gauge",
		"How long the chunk that is held longest is held, where allocations are traced." };
	struct labels labels;

	exposition_begin(file, &family);
	for (size_t i = 0; i < gathering->n_snapshots; i++) {
		const struct snapshot *snapshot = &gathering->snapshots[i];

		if (!is_counted(snapshot) || !snapshot->is_traced)
			continue;
		for (size_t p = 0; p < snapshot->n_pools; p++) {
			add_pool(&labels, snapshot, p);
			exposition_seconds(file, &family, labels.list, labels.n,
					   snapshot->pools[p].oldest_ns);
		}
	}
}

static void write_pools(FILE *file, const struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_pool_chunks", "gauge", "Chunks that the pool has." },
		  POOL(counts.total), false },
		{ { "mempool_pool_used_chunks", "gauge",
		    "Chunks that somebody holds, or that are on their way." },
		  POOL(counts.used), true },
		{ { "mempool_pool_free_chunks", "gauge", "Chunks that anyone may have." },
		  POOL(counts.free), true },
		{ { "mempool_pool_peak_used_chunks", "gauge",
		    "The most that were seen used since the segment was made." },
		  POOL(peak_used), false },
		{ { "mempool_pool_exhausted_total", "counter",
		    "Allocations that found every chunk that fits held." },
		  POOL(n_exhausted), false },
		{ { "mempool_pool_served_larger_total", "counter",
		    "Allocations that fit here and took a chunk of a larger pool." },
		  POOL(n_served_larger), false },
		{ { "mempool_pool_reserve_chunks", "gauge",
		    "Of the chunks of the pool, those that some users alone may have." },
		  POOL(reserve.total), false },
		{ { "mempool_pool_reserve_used_chunks", "gauge",
		    "Chunks in use of those that some users alone may have." },
		  POOL(reserve.used), true },
		{ { "mempool_pool_reserve_exhausted_total", "counter",
		    "Of the allocations that found every chunk that fits held, those of these users." },
		  POOL(reserve.n_exhausted), false },
		{ { "mempool_pool_shareable_chunks", "gauge",
		    "Of the chunks of the pool, those that can be shared: all, or none of them." },
		  POOL(n_shareable), false },
	};
	struct labels labels;

	for (size_t f = 0; f < N_ELEMENTS(families); f++) {
		exposition_begin(file, &families[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++) {
			const struct snapshot *snapshot = &gathering->snapshots[i];

			if (!has_family(snapshot, &families[f]))
				continue;
			for (size_t p = 0; p < snapshot->n_pools; p++) {
				add_pool(&labels, snapshot, p);
				write_member(file, &families[f], &labels,
					     &snapshot->pools[p]);
			}
		}
	}
	write_pool_ages(file, gathering);
}

/* ---- holders ---- */

static void add_holder(struct labels *labels, const struct holder *record)
{
	add_number(labels, "holder", record->id);
	add_text(labels, "kind", name_holder_kind(record->kind));
	add_text(labels, "name", record->name);
	add_number(labels, "pid", record->pid);
	add_number(labels, "uid", record->uid);
}

/* Those from the first that is left out on, as if they were one. */
static void sum_holders(const struct snapshot *snapshot, struct snapshot_holder *ret_sum)
{
	*ret_sum = (struct snapshot_holder){ 0 };
	for (size_t i = METRICS_MAX_HOLDERS; i < snapshot->n_holders; i++) {
		const struct snapshot_holder *holder = &snapshot->holders[i];

		ret_sum->counts.all.chunks += holder->counts.all.chunks;
		ret_sum->counts.all.shared += holder->counts.all.shared;
		ret_sum->counts.bytes += holder->counts.bytes;
		ret_sum->counts.shared_bytes += holder->counts.shared_bytes;
		ret_sum->record.n_exhausted += holder->record.n_exhausted;
	}
}

static void write_holders_of(FILE *file, const struct family *family,
			     const struct snapshot *snapshot)
{
	struct snapshot_holder others;
	struct labels labels;

	if (!has_family(snapshot, family))
		return;
	for (size_t i = 0; i < snapshot->n_holders && i < METRICS_MAX_HOLDERS; i++) {
		add_segment(&labels, snapshot->name, snapshot->generation);
		add_holder(&labels, &snapshot->holders[i].record);
		write_member(file, family, &labels, &snapshot->holders[i]);
	}
	if (snapshot->n_holders <= METRICS_MAX_HOLDERS)
		return;
	sum_holders(snapshot, &others);
	add_segment(&labels, snapshot->name, snapshot->generation);
	add_text(&labels, "holder", "others");
	write_member(file, family, &labels, &others);
}

#define HOLDER(member) offsetof(struct snapshot_holder, member)

static void write_holders(FILE *file, struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_holder_chunks", "gauge",
		    "Chunks that the holder has alone, or gave away and nobody took yet." },
		  HOLDER(counts.all.chunks), true },
		{ { "mempool_holder_bytes", "gauge",
		    "The chunk sizes of these, not what was asked for." },
		  HOLDER(counts.bytes), true },
		{ { "mempool_holder_shared_chunks", "gauge",
		    "Chunks that the holder has together with others, each of whom counts them." },
		  HOLDER(counts.all.shared), true },
		{ { "mempool_holder_shared_bytes", "gauge", "The chunk sizes of these." },
		  HOLDER(counts.shared_bytes), true },
		{ { "mempool_holder_exhausted_total", "counter",
		    "Allocations of the holder that found every chunk that fits held." },
		  HOLDER(record.n_exhausted), false },
	};

	for (size_t i = 0; i < gathering->n_snapshots; i++)
		snapshot_sort_holders(&gathering->snapshots[i]);
	for (size_t f = 0; f < N_ELEMENTS(families); f++) {
		exposition_begin(file, &families[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++)
			write_holders_of(file, &families[f], &gathering->snapshots[i]);
	}
}

/* ---- queues and topics ---- */

#define RING(member) offsetof(struct snapshot_ring, member)

static void write_rings(FILE *file, const struct gathering *gathering,
			enum mempool_ring_kind kind, const struct family *families,
			size_t n_families)
{
	struct labels labels;

	for (size_t f = 0; f < n_families; f++) {
		exposition_begin(file, &families[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++) {
			const struct snapshot *snapshot = &gathering->snapshots[i];

			if (!has_family(snapshot, &families[f]))
				continue;
			for (size_t k = 0; k < snapshot->n_rings; k++) {
				if (snapshot->rings[k].kind != kind)
					continue;
				add_segment(&labels, snapshot->name, snapshot->generation);
				add_text(&labels, name_ring_kind(kind),
					 snapshot->rings[k].name);
				write_member(file, &families[f], &labels,
					     &snapshot->rings[k]);
			}
		}
	}
}

/* Of those that keep stamps. With no message, or none that has a stamp, it is 0: nothing is late. */
static void write_ages(FILE *file, const struct gathering *gathering,
		       enum mempool_ring_kind kind, const struct exposition_family *family)
{
	struct labels labels;

	exposition_begin(file, family);
	for (size_t i = 0; i < gathering->n_snapshots; i++) {
		const struct snapshot *snapshot = &gathering->snapshots[i];

		if (!is_counted(snapshot))
			continue;
		for (size_t k = 0; k < snapshot->n_rings; k++) {
			const struct snapshot_ring *ring = &snapshot->rings[k];

			if (ring->kind != kind || !ring->has_stamps)
				continue;
			add_segment(&labels, snapshot->name, snapshot->generation);
			add_text(&labels, name_ring_kind(kind), ring->name);
			exposition_seconds(file, family, labels.list, labels.n, ring->oldest_ns);
		}
	}
}

static void write_queues(FILE *file, const struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_queue_capacity_messages", "gauge", "Messages that it has room for." },
		  RING(capacity), false },
		{ { "mempool_queue_messages", "gauge", "Messages that wait in the queue." },
		  RING(n_messages), true },
		{ { "mempool_queue_sent_total", "counter",
		    "Messages sent since the segment was made." },
		  RING(n_sent), true },
		{ { "mempool_queue_received_total", "counter",
		    "Messages received since the segment was made." },
		  RING(n_received), true },
		{ { "mempool_queue_senders", "gauge", "Open handles that have sent to the queue." },
		  RING(n_senders), false },
		{ { "mempool_queue_receivers", "gauge",
		    "Open handles that have received from the queue, or tried to." },
		  RING(n_receivers), false },
		{ { "mempool_queue_unseen_ends_total", "counter",
		    "Senders and receivers that had no place in the table, and are not counted." },
		  RING(n_unseen), false },
	};
	static const struct exposition_family oldest = {
		"mempool_queue_oldest_seconds", "gauge",
		"How long ago the message that waits longest was sent, where stamps are kept." };

	write_rings(file, gathering, MEMPOOL_RING_QUEUE, families, N_ELEMENTS(families));
	write_ages(file, gathering, MEMPOOL_RING_QUEUE, &oldest);
}

static void write_topics(FILE *file, const struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_topic_capacity_messages", "gauge", "Messages that the topic keeps at most." },
		  RING(capacity), false },
		{ { "mempool_topic_messages", "gauge", "Messages that the topic keeps." },
		  RING(n_messages), true },
		{ { "mempool_topic_published_total", "counter",
		    "Messages published since the segment was made." },
		  RING(n_sent), false },
		{ { "mempool_topic_subscribers", "gauge",
		    "Open subscribers, but those of spectators, which nobody sees." },
		  RING(n_subscribers), false },
		{ { "mempool_topic_unseen_ends_total", "counter",
		    "Subscribers that had no place in the table, and are not counted." },
		  RING(n_unseen), false },
		{ { "mempool_topic_yielded_total", "counter",
		    "Messages taken from the topic for allocations that found nothing else." },
		  RING(n_yielded), false },
	};
	static const struct exposition_family oldest = {
		"mempool_topic_oldest_seconds", "gauge",
		"How long ago the oldest message that is kept was published, where stamps are kept." };

	write_rings(file, gathering, MEMPOOL_RING_TOPIC, families, N_ELEMENTS(families));
	write_ages(file, gathering, MEMPOOL_RING_TOPIC, &oldest);
}

/* ---- subscribers ---- */

#define SUBSCRIBER(member) offsetof(struct snapshot_subscriber, member)

/* The line tells two of one client on one topic apart. */
static void add_subscriber(struct labels *labels, const struct snapshot *snapshot,
			   const struct snapshot_subscriber *subscriber)
{
	add_segment(labels, snapshot->name, snapshot->generation);
	add_text(labels, "topic", snapshot->rings[subscriber->ring].name);
	add_number(labels, "end", subscriber->line);
	add_number(labels, "holder", subscriber->record.id);
	add_text(labels, "name", subscriber->record.name);
	add_number(labels, "pid", subscriber->record.pid);
}

static void write_subscribers(FILE *file, struct gathering *gathering)
{
	static const struct family families[] = {
		{ { "mempool_subscriber_behind_messages", "gauge",
		    "Messages of the topic that the subscriber has not read." },
		  SUBSCRIBER(n_behind), false },
		{ { "mempool_subscriber_missed_total", "counter",
		    "Messages that it was told to have missed." },
		  SUBSCRIBER(n_missed), false },
		{ { "mempool_subscriber_passed_total", "counter",
		    "Messages before the one that it reads next: stands while more come, if it is stuck." },
		  SUBSCRIBER(cursor), false },
		{ { "mempool_subscriber_held_messages", "gauge",
		    "Messages of the topic that its client holds." },
		  SUBSCRIBER(n_holds), true },
	};
	struct labels labels;

	for (size_t i = 0; i < gathering->n_snapshots; i++)
		snapshot_sort_subscribers(&gathering->snapshots[i]);
	for (size_t f = 0; f < N_ELEMENTS(families); f++) {
		exposition_begin(file, &families[f].head);
		for (size_t i = 0; i < gathering->n_snapshots; i++) {
			const struct snapshot *snapshot = &gathering->snapshots[i];

			for (size_t k = 0; has_family(snapshot, &families[f]) &&
					   k < snapshot->n_subscribers && k < METRICS_MAX_SUBSCRIBERS;
			     k++) {
				add_subscriber(&labels, snapshot, &snapshot->subscribers[k]);
				write_member(file, &families[f], &labels,
					     &snapshot->subscribers[k]);
			}
		}
	}
}

/* ---- all ---- */

void metrics_write(FILE *file, const struct ctl_options *options, struct gathering *gathering)
{
	write_self(file);
	if (!options->shm_name)
		write_single(file, "mempool_up", "Whether mempoold says where its segments are.",
			     gathering->error == 0);
	write_single(file, "mempool_counted_timestamp_seconds",
		     "When this was counted, in seconds since 1970.", (uint64_t)time(NULL));
	write_readable(file, gathering);
	write_segments(file, gathering);
	write_pools(file, gathering);
	write_queues(file, gathering);
	write_topics(file, gathering);
	write_holders(file, gathering);
	write_subscribers(file, gathering);
}

enum ctl_exit ctl_metrics(const struct ctl_options *options)
{
	struct gathering gathering = { 0 };
	enum ctl_exit status;

	if (options->json)
		return ctl_status(options);
	gather(options, NULL, &gathering);
	status = gathering_explain(&gathering, options);
	metrics_write(stdout, options, &gathering);
	gathering_deinit(&gathering);
	return status;
}
