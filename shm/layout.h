/* SPDX-License-Identifier: MIT */
/*
 * layout.h - write the header and the tables of a segment
 *
 * All of it is a function of the shape and the identity. What readers do with it is
 * segment.h.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdint.h>

#include "segment.h"

/**
 * segment_layout() - lay out zeroed memory and publish it as READY
 * @identity: NULL: all random, this boot, this pid namespace, generation 1
 *
 * Crash: until the last store the state says BUILDING, and whoever finds it makes it anew.
 * Return: 0; -ENOSPC size_bytes is short, nothing was touched; -EINVAL as config_check().
 */
int segment_layout(void *base, uint64_t size_bytes, const struct config *config,
		   const struct segment_identity *identity);

#endif
