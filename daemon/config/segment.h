/* SPDX-License-Identifier: MIT */
#ifndef DAEMON_CONFIG_SEGMENT_H
#define DAEMON_CONFIG_SEGMENT_H

#include "daemon/config/yaml/reader.h"

/* Of sockets and segments. */
#define CONF_DEFAULT_MODE 0660

/* The list of segments into a conf that has none; conf_free() frees them in any case. */
int conf_read_segments(struct conf_reader *reader, const struct conf_node *node,
		       struct conf *conf);
void conf_segment_deinit(struct conf_segment *segment);

#endif
