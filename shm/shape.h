/* SPDX-License-Identifier: MIT */
/*
 * shape.h - the shape of a segment as a file that the daemon passes on
 *
 * Ten thousand topics do not fit into a message, so a shape travels as a sealed memfd
 * (include/mempool_protocol.h). Whoever passes one is trusted no more than others: it is read
 * once, into private memory, and checked.
 */
#ifndef SHM_SHAPE_H
#define SHM_SHAPE_H

#include <stdint.h>

#include "config.h"

/*
 * Records of the pools, and of the queues and topics (include/mempool_protocol.h), wherever they
 * stand: in the file, and in the daemon's state file. To get them is to add them to a shape that
 * has none yet, and to believe nothing but that they are there; config_check() is the caller's.
 *
 * Return: 0; -EINVAL there can be no such pool or ring; -ENOMEM.
 */
void shape_put_pools(const struct config *shape, void *to);
void shape_put_rings(const struct config *shape, void *to);
int shape_get_pools(const void *from, uint32_t n, struct config *shape);
int shape_get_rings(const void *from, uint32_t n, struct config *shape);

/* Return: a descriptor of a file that nobody can change; -errno. */
int shape_make_file(const struct config *shape);

/**
 * shape_read_file() - the shape that a file tells
 * @fd: of any kind; stays the caller's
 *
 * Return: 0, and config_deinit() frees it; -EPROTO it is no such file, or no shape that a
 *	   segment can have; -EPROTONOSUPPORT of another layout; -ENOMEM; -errno.
 */
int shape_read_file(int fd, struct config *ret_shape);

#endif
