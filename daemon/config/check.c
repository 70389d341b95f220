/* SPDX-License-Identifier: MIT */
#include "daemon/config/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "daemon/base/log.h"
#include "daemon/base/machine.h"
#include "daemon/config/conf.h"

static void print_pools(const struct config *shape)
{
	size_t n_pools = 0;

	for (size_t i = 0; i < shape->n_pools; i++) {
		uint64_t n_reserved = config_n_reserved(shape, i);

		if (shape->pools[i].is_reserve)
			continue;
		printf("  pool %zu: %" PRIu64 " x %" PRIu64 " bytes", n_pools++,
		       shape->pools[i].n_chunks + n_reserved, shape->pools[i].chunk_size);
		if (n_reserved > 0)
			printf(", %" PRIu64 " of them in reserve", n_reserved);
		if (shape->pools[i].is_exclusive)
			fputs(", not shared", stdout);
		putchar('\n');
	}
}

#define SLOTS_TEXT_BYTES 48

/* Of a queue whose messages are no chunks. */
static const char *in_slots(const struct config_ring *ring, char text[static SLOTS_TEXT_BYTES])
{
	text[0] = '\0';
	if (ring->slot_bytes > 0)
		snprintf(text, SLOTS_TEXT_BYTES, ", of up to %" PRIu32 " bytes in its slots",
			 ring->slot_bytes);
	return text;
}

static void print_summary(const struct conf *conf)
{
	char size[LOG_SIZE_BYTES], slots[SLOTS_TEXT_BYTES];
	size_t i, k;

	printf("%s: ok\nsocket %s\n", conf->path, conf->socket_path);
	for (i = 0; i < conf->n_segments; i++) {
		const struct config *shape = &conf->segments[i].shape;
		uint64_t size_bytes = conf_segment_bytes(&conf->segments[i]);

		printf("segment '%s': %s (%" PRIu64 " bytes), %" PRIu32 " holders\n", shape->name,
		       log_size(size, size_bytes), size_bytes, config_n_holders(shape));
		if (conf->segments[i].backing == SEGMENT_MEMFD)
			puts("  backing memfd: it ends with mempoold, unless a service manager keeps its "
			     "descriptors (FileDescriptorStoreMax=)");
		print_pools(shape);
		for (k = 0; k < shape->n_rings; k++)
			printf("  %s '%s': %" PRIu64 " messages%s%s%s%s%s\n",
			       shape->rings[k].kind == MEMPOOL_RING_TOPIC ? "topic" : "queue",
			       shape->rings[k].name, shape->rings[k].capacity,
			       shape->rings[k].flags & MEMPOOL_RING_HOLDS ? ", held" : "",
			       shape->rings[k].flags & MEMPOOL_RING_STAMPS ? ", with stamps" : "",
			       shape->rings[k].flags & MEMPOOL_RING_ONE_SENDER ? ", one sender" : "",
			       shape->rings[k].flags & MEMPOOL_RING_ONE_RECEIVER ? ", one receiver" : "",
			       in_slots(&shape->rings[k], slots));
	}
}

/* Of each client so many descriptors may be on their way to it, and unread (session_may_pass()). */
#define PASSED_PER_CLIENT 16

static void warn_of_descriptors(const struct conf *conf)
{
	const uint64_t needed = (uint64_t)conf->max_clients * PASSED_PER_CLIENT;
	const uint64_t limit = machine_descriptor_limit();

	if (needed > limit)
		log_warning("%u clients (limits: clients) that read nothing may leave %" PRIu64
			    " descriptors unread, RLIMIT_NOFILE here is %" PRIu64 ": with so many "
			    "mempoold lets in nobody (LimitNOFILE= in its unit, or fewer clients)",
			    conf->max_clients, needed, limit);
}

/* Of what mempoold would be killed for, where it had the limits that we have. */
static void warn_of_limits(const struct conf *conf, const char *root)
{
	const uint64_t file_limit = machine_file_limit();
	const uint64_t group_limit = machine_group_memory(root, true);
	char size[LOG_SIZE_BYTES], limit[LOG_SIZE_BYTES];
	uint64_t sum_bytes = 0;

	for (size_t i = 0; i < conf->n_segments; i++) {
		const struct conf_segment *segment = &conf->segments[i];
		uint64_t control_bytes = conf_segment_object_bytes(segment, GEOMETRY_CONTROL);
		uint64_t data_bytes = conf_segment_object_bytes(segment, GEOMETRY_DATA);
		uint64_t largest = control_bytes > data_bytes ? control_bytes : data_bytes;

		/* Of huge pages none counts for the group. */
		sum_bytes += control_bytes + (segment->pages.huge_bytes ? 0 : data_bytes);
		if (largest > file_limit)
			log_warning("segment '%s' has an object of %s, RLIMIT_FSIZE here is %s: mempoold "
				    "needs a larger one (LimitFSIZE= in its unit)", segment->shape.name,
				    log_size(size, largest), log_size(limit, file_limit));
	}
	if (sum_bytes > group_limit)
		log_warning("the segments take %s, the limit of the control group here is %s: mempoold "
			    "needs a larger one (MemoryMax= in its unit)", log_size(size, sum_bytes),
			    log_size(limit, group_limit));
}

int conf_check(const char *path, const char *root)
{
	struct conf_error error;
	struct conf *conf;
	int r = conf_load_once(path, conf_log_warning, NULL, &conf, &error);

	if (r < 0) {
		conf_log_error(LOG_ERR, &error);
		conf_error_deinit(&error);
		return r == -ENOMEM ? EXIT_FAILURE : EX_CONFIG;
	}
	print_summary(conf);
	warn_of_limits(conf, root);
	warn_of_descriptors(conf);
	conf_free(conf);
	return EXIT_SUCCESS;
}
