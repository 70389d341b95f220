/* SPDX-License-Identifier: MIT */
/*
 * observer.c - LIST and its answers; see include/mempool_protocol.h
 *
 * The daemon is trusted no more than anybody else who might sit at the socket's path: each
 * answer is copied once and checked.
 */
#include "observer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mempool_layout.h"
#include "shm/clock.h"
#include "shm/config.h"
#include "shm/packet.h"
#include "shm/segment_memory.h"
#include "shm/shape.h"

/* Between tries while so many wait to be accepted that there is no room. */
#define RETRY_NS (10 * 1000000)

/* More than any machine has; bounds what a wrong answer makes us wait for. */
#define MAX_SEGMENTS 65536

/* Of all shapes together: 96 MiB, which two hundred segments of ten thousand topics have. */
#define MAX_RINGS_TOLD (UINT32_C(1) << 21)

static int64_t deadline_ns(void)
{
	return clock_now_ns() + OBSERVER_TIMEOUT_SECONDS * INT64_C(1000000000);
}

/* As packet_wait(), through signals. */
static int wait_until(int fd, int64_t deadline)
{
	int r;

	do {
		r = packet_wait(fd, deadline);
	} while (r == -EINTR);
	return r;
}

static int observer_connect(const char *socket_path)
{
	int64_t deadline = deadline_ns();
	int fd;

	/* A full backlog, for as long as we are ready to wait. */
	while ((fd = packet_connect(socket_path)) == -EAGAIN) {
		if (clock_now_ns() >= deadline)
			return -ETIMEDOUT;
		wait_until(-1, clock_now_ns() + RETRY_NS);
	}
	return fd == -ENOENT || fd == -ECONNREFUSED ? -ENOTCONN : fd;
}

static bool segment_is_valid(const struct mempool_msg_segment *segment)
{
	const struct mempool_msg_place *place = &segment->place;

	if (!memchr(place->segment, '\0', sizeof(place->segment)) ||
	    !memchr(place->shm_name, '\0', sizeof(place->shm_name)) ||
	    !memchr(segment->reason, '\0', sizeof(segment->reason)))
		return false;
	if (!config_name_is_valid(place->segment) || segment->error > 0)
		return false;
	/* One that is not served has no object. */
	return segment->error < 0 ? place->shm_name[0] == '\0'
				  : segment_name_is_valid(place->shm_name);
}

/* One message, whole if not longer than @buffer, whose head agrees with its length. */
static int receive(int fd, int64_t deadline, void *buffer, struct mempool_msg *ret_head,
		   struct packet_passed *ret_passed)
{
	ssize_t n;
	int r;

	while ((n = packet_receive(fd, buffer, MEMPOOL_MSG_MAX_BYTES, ret_passed)) == -EAGAIN) {
		r = wait_until(fd, deadline);
		if (r < 0)
			return r;
	}
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ECONNRESET;

	/* Of the right size: the caller compares it with that of a message. */
	memcpy(ret_head, buffer, sizeof(*ret_head));
	if (ret_head->magic != MEMPOOL_PROTOCOL_MAGIC || ret_head->size != (size_t)n)
		return -EPROTO;
	return 0;
}

/* The next answer, which must be of this type and size, or a refusal; and what came with it. */
static int receive_passed(int fd, int64_t deadline, enum mempool_message_type type,
			  void *ret_answer, size_t size, struct packet_passed *ret_passed,
			  char reterr_reason[static 240])
{
	_Alignas(8) unsigned char buffer[MEMPOOL_MSG_MAX_BYTES] = { 0 };
	struct mempool_msg_refused refused;
	struct mempool_msg head;
	int r;

	*ret_passed = (struct packet_passed){ .n = 0 };
	r = receive(fd, deadline, buffer, &head, ret_passed);
	if (r < 0)
		return r;

	if (head.type == MEMPOOL_MSG_REFUSED && head.size == sizeof(refused)) {
		memcpy(&refused, buffer, sizeof(refused));
		refused.reason[sizeof(refused.reason) - 1] = '\0';
		memcpy(reterr_reason, refused.reason, sizeof(refused.reason));
		return refused.error < 0 ? refused.error : -EPROTO;
	}

	if (head.version != MEMPOOL_PROTOCOL_VERSION || head.type != type || head.size != size)
		return -EPROTO;
	memcpy(ret_answer, buffer, size);
	return 0;
}

/* The same with one descriptor, or -1. */
static int receive_file(int fd, int64_t deadline, enum mempool_message_type type,
			void *ret_answer, size_t size, int *ret_fd,
			char reterr_reason[static 240])
{
	struct packet_passed passed;
	int r;

	r = receive_passed(fd, deadline, type, ret_answer, size, &passed, reterr_reason);
	if (r == 0)
		*ret_fd = packet_take(&passed, 0);
	packet_close_passed(&passed);
	return r;
}

/* The same of one that passes nothing. */
static int receive_answer(int fd, int64_t deadline, enum mempool_message_type type,
			  void *ret_answer, size_t size, char reterr_reason[static 240])
{
	struct packet_passed passed;
	int r;

	r = receive_passed(fd, deadline, type, ret_answer, size, &passed, reterr_reason);
	packet_close_passed(&passed);
	return r;
}

void observed_deinit(struct observed *segment)
{
	config_deinit(&segment->shape);
	if (segment->fd >= 0)
		close(segment->fd);
}

void observer_list_free(struct observed *segments, size_t n)
{
	for (size_t i = 0; i < n; i++)
		observed_deinit(&segments[i]);
	free(segments);
}

/* The shape, and the object. Neither: the daemon does not pass them. Return: 0; -errno. */
static int take_passed(struct observed *segment, struct packet_passed *passed)
{
	int r;

	if (segment->told.error < 0)
		return 0;
	if (passed->n <= MEMPOOL_PASSED_CONTROL)
		return passed->is_cut ? -EMFILE : passed->n > 0 ? -EPROTO : 0;
	r = shape_read_file(passed->fds[MEMPOOL_PASSED_SHAPE], &segment->shape);
	if (r == 0)
		segment->fd = packet_take(passed, MEMPOOL_PASSED_CONTROL);
	return r;
}

/* The next SEGMENT, and what came with it. */
static int receive_segment(int fd, int64_t deadline, struct observed *ret_segment,
			   char reterr_reason[static 240])
{
	struct observed segment = { .fd = -1 };
	struct packet_passed passed;
	int r;

	r = receive_passed(fd, deadline, MEMPOOL_MSG_SEGMENT, &segment.told,
			   sizeof(segment.told), &passed, reterr_reason);
	if (r == 0)
		r = take_passed(&segment, &passed);
	packet_close_passed(&passed);
	if (r == 0)
		*ret_segment = segment;
	return r;
}

static int receive_segments(int fd, struct observed **ret_segments, size_t *ret_n,
			    char reterr_reason[static 240])
{
	struct observed *segments = NULL;
	int64_t deadline = deadline_ns();
	struct observed segment;
	uint32_t n = 0, n_read = 0;
	uint64_t n_rings = 0;
	int r;

	do {
		r = receive_segment(fd, deadline, &segment, reterr_reason);
		if (r < 0)
			goto fail;
		if (n_read == 0) {
			n = segment.told.n;
			segments = n <= MAX_SEGMENTS ? calloc((size_t)n + 1, sizeof(*segments)) : NULL;
			if (!segments) {
				observed_deinit(&segment);
				r = n <= MAX_SEGMENTS ? -ENOMEM : -EPROTO;
				goto fail;
			}
		}
		/* The one that says that there is none has room, too. */
		segments[n_read++] = segment;
		n_rings += segment.shape.n_rings;
		if (segment.told.n != n || segment.told.index != n_read - 1 ||
		    n_rings > MAX_RINGS_TOLD ||
		    (n > 0 && !segment_is_valid(&segment.told))) {
			r = -EPROTO;
			goto fail;
		}
	} while (n_read < n);

	if (n == 0)
		observed_deinit(&segments[0]);
	*ret_segments = segments;
	*ret_n = n;
	return 0;

fail:
	observer_list_free(segments, n_read);
	return r;
}

/* Connect and say one thing. Return: the connection, or -errno. */
static int observer_ask(const char *socket_path, const void *message, size_t size)
{
	int fd = observer_connect(socket_path);
	int r;

	if (fd < 0)
		return fd;
	/* The first message on it always has room. */
	r = packet_send(fd, message, size, -1);
	if (r < 0) {
		close(fd);
		return r == -EPIPE ? -ECONNRESET : r;
	}
	return fd;
}

int observer_list(const char *socket_path, struct observed **ret_segments, size_t *ret_n,
		  char reterr_reason[static 240])
{
	const struct mempool_msg_list list = {
		.msg = packet_head(MEMPOOL_MSG_LIST, sizeof(list)),
	};
	int fd, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &list, sizeof(list));
	if (fd < 0)
		return fd;
	r = receive_segments(fd, ret_segments, ret_n, reterr_reason);
	close(fd);
	return r;
}

int observer_drain(const char *socket_path, const char *segment, enum mempool_ring_kind kind,
		   const char *ring, struct mempool_msg_drained *ret_drained,
		   char reterr_reason[static 240])
{
	struct mempool_msg_drain drain = {
		.msg = packet_head(MEMPOOL_MSG_DRAIN, sizeof(drain)),
	};
	struct mempool_msg_drain_queue drain_queue = {
		.msg = packet_head(MEMPOOL_MSG_DRAIN_QUEUE, sizeof(drain_queue)),
	};
	int fd, r;

	reterr_reason[0] = '\0';
	if ((segment && strlen(segment) >= sizeof(drain.segment)) ||
	    strlen(ring) >= sizeof(drain.topic))
		return -ENAMETOOLONG;
	memcpy(drain.topic, ring, strlen(ring));
	if (segment)
		memcpy(drain.segment, segment, strlen(segment));
	memcpy(drain_queue.segment, drain.segment, sizeof(drain_queue.segment));
	memcpy(drain_queue.queue, drain.topic, sizeof(drain_queue.queue));

	fd = kind == MEMPOOL_RING_TOPIC
		     ? observer_ask(socket_path, &drain, sizeof(drain))
		     : observer_ask(socket_path, &drain_queue, sizeof(drain_queue));
	if (fd < 0)
		return fd;
	r = receive_answer(fd, deadline_ns(), MEMPOOL_MSG_DRAINED, ret_drained,
			   sizeof(*ret_drained), reterr_reason);
	close(fd);
	return r;
}

int observer_forget(const char *socket_path, const char *segment, uint64_t generation,
		    uint32_t holder, char reterr_reason[static 240])
{
	struct mempool_msg_forget forget = {
		.msg = packet_head(MEMPOOL_MSG_FORGET, sizeof(forget)),
		.generation = generation,
		.holder = holder,
	};
	struct mempool_msg_forgotten forgotten;
	int fd, r;

	reterr_reason[0] = '\0';
	if (segment && strlen(segment) >= sizeof(forget.segment))
		return -ENAMETOOLONG;
	if (segment)
		memcpy(forget.segment, segment, strlen(segment));
	fd = observer_ask(socket_path, &forget, sizeof(forget));
	if (fd < 0)
		return fd;
	r = receive_answer(fd, deadline_ns(), MEMPOOL_MSG_FORGOTTEN, &forgotten,
			   sizeof(forgotten), reterr_reason);
	close(fd);
	return r;
}

int observer_find(const char *socket_path, const char *segment, uint64_t generation,
		  uint32_t holder, struct mempool_msg_found *ret_found, int *ret_pidfd,
		  char reterr_reason[static 240])
{
	struct mempool_msg_find find = {
		.msg = packet_head(MEMPOOL_MSG_FIND, sizeof(find)),
		.generation = generation,
		.holder = holder,
	};
	int fd, pidfd = -1, r;

	reterr_reason[0] = '\0';
	if (segment && strlen(segment) >= sizeof(find.segment))
		return -ENAMETOOLONG;
	if (segment)
		memcpy(find.segment, segment, strlen(segment));
	fd = observer_ask(socket_path, &find, sizeof(find));
	if (fd < 0)
		return fd;
	r = receive_file(fd, deadline_ns(), MEMPOOL_MSG_FOUND, ret_found, sizeof(*ret_found), &pidfd,
			 reterr_reason);
	close(fd);
	if (r == 0 && pidfd < 0)
		r = -EPROTO;
	if (r < 0)
		return r;
	ret_found->name[sizeof(ret_found->name) - 1] = '\0';
	*ret_pidfd = pidfd;
	return 0;
}

int observer_reload(const char *socket_path, uint32_t flags,
		    struct mempool_msg_reloaded *ret_reloaded, int *ret_fd,
		    char reterr_reason[static 240])
{
	const struct mempool_msg_reload reload = {
		.msg = packet_head(MEMPOOL_MSG_RELOAD, sizeof(reload)),
		.flags = flags,
	};
	int fd, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &reload, sizeof(reload));
	if (fd < 0)
		return fd;
	r = receive_file(fd, PACKET_NO_DEADLINE, MEMPOOL_MSG_RELOADED, ret_reloaded,
			 sizeof(*ret_reloaded), ret_fd, reterr_reason);
	if (r == 0)
		ret_reloaded->text[sizeof(ret_reloaded->text) - 1] = '\0';
	close(fd);
	return r;
}

int observer_dump(const char *socket_path, bool as_json, int *ret_fd,
		  char reterr_reason[static 240])
{
	const struct mempool_msg_dump dump = {
		.msg = packet_head(MEMPOOL_MSG_DUMP, sizeof(dump)),
		.as_json = as_json,
	};
	struct mempool_msg_dumped dumped;
	int fd, file, r;

	reterr_reason[0] = '\0';
	fd = observer_ask(socket_path, &dump, sizeof(dump));
	if (fd < 0)
		return fd;
	r = receive_file(fd, deadline_ns(), MEMPOOL_MSG_DUMPED, &dumped, sizeof(dumped), &file,
			 reterr_reason);
	close(fd);
	if (r == 0 && file < 0)
		r = -EPROTO;
	if (r == 0)
		*ret_fd = file;
	return r;
}
