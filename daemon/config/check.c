/* SPDX-License-Identifier: MIT */
#include "daemon/config/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "daemon/base/log.h"
#include "daemon/config/conf.h"

static void print_summary(const struct conf *conf)
{
	char size[LOG_SIZE_BYTES];
	size_t i, k;

	printf("%s: ok\nsocket %s\n", conf->path, conf->socket_path);
	for (i = 0; i < conf->n_segments; i++) {
		const struct config *shape = &conf->segments[i].shape;
		uint64_t size_bytes = conf_segment_bytes(&conf->segments[i]);

		printf("segment '%s': %s (%" PRIu64 " bytes), %" PRIu32 " holders\n", shape->name,
		       log_size(size, size_bytes), size_bytes, config_n_holders(shape));
		for (k = 0; k < shape->n_pools; k++)
			printf("  pool %zu: %" PRIu64 " x %" PRIu64 " bytes\n", k,
			       shape->pools[k].n_chunks, shape->pools[k].chunk_size);
		for (k = 0; k < shape->n_rings; k++)
			printf("  %s '%s': %" PRIu64 " messages\n",
			       shape->rings[k].kind == MEMPOOL_RING_TOPIC ? "topic" : "queue",
			       shape->rings[k].name, shape->rings[k].capacity);
	}
}

int conf_check(const char *path)
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
	conf_free(conf);
	return EXIT_SUCCESS;
}
