/* SPDX-License-Identifier: MIT */
#include "shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mempool_protocol.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static size_t file_size(size_t n_pools, size_t n_rings)
{
	return sizeof(struct mempool_shape) + n_pools * sizeof(struct mempool_shape_pool) +
	       n_rings * sizeof(struct mempool_shape_ring);
}

/* ---- records ---- */

void shape_put_pools(const struct config *shape, void *to)
{
	unsigned char *at = to;

	for (size_t i = 0; i < shape->n_pools; i++, at += sizeof(struct mempool_shape_pool)) {
		const struct config_pool *from = &shape->pools[i];
		const struct mempool_shape_pool pool = {
			.chunk_size = from->chunk_size,
			.n_chunks = from->n_chunks,
			.alignment = from->alignment,
			.cache = from->cache,
			.is_reserve = from->is_reserve,
			.is_exclusive = from->is_exclusive,
		};

		memcpy(at, &pool, sizeof(pool));
	}
}

void shape_put_rings(const struct config *shape, void *to)
{
	unsigned char *at = to;

	for (size_t i = 0; i < shape->n_rings; i++, at += sizeof(struct mempool_shape_ring)) {
		const struct config_ring *from = &shape->rings[i];
		struct mempool_shape_ring ring = {
			.capacity = (uint32_t)from->capacity,
			.slot_bytes = from->slot_bytes,
			.kind = from->kind,
			.flags = from->flags,
		};

		memcpy(ring.name, from->name, sizeof(ring.name));
		memcpy(at, &ring, sizeof(ring));
	}
}

int shape_get_pools(const void *from, uint32_t n, struct config *shape)
{
	const unsigned char *at = from;
	struct mempool_shape_pool pool;

	for (uint32_t i = 0; i < n; i++, at += sizeof(pool)) {
		memcpy(&pool, at, sizeof(pool));
		if (config_add_pool(shape, pool.chunk_size, pool.n_chunks) < 0)
			return -EINVAL;
		shape->pools[i].alignment = pool.alignment;
		shape->pools[i].cache = pool.cache;
		shape->pools[i].is_reserve = pool.is_reserve != 0;
		shape->pools[i].is_exclusive = pool.is_exclusive != 0;
	}
	return 0;
}

int shape_get_rings(const void *from, uint32_t n, struct config *shape)
{
	char name[MEMPOOL_NAME_BYTES + 1] = "";
	const unsigned char *at = from;
	struct mempool_shape_ring ring;
	int r;

	for (uint32_t i = 0; i < n; i++, at += sizeof(ring)) {
		memcpy(&ring, at, sizeof(ring));
		memcpy(name, ring.name, sizeof(ring.name));
		r = config_append_ring(shape, name, ring.kind, ring.capacity);
		if (r < 0)
			return r == -ENOMEM ? r : -EINVAL;
		shape->rings[i].flags = ring.flags;
		shape->rings[i].slot_bytes = ring.slot_bytes;
	}
	return 0;
}

/* ---- make ---- */

static void put_shape(const struct config *shape, unsigned char *to)
{
	struct mempool_shape head = {
		.layout = MEMPOOL_LAYOUT_MAJOR,
		.fallback = shape->fallback,
		.n_pools = (uint32_t)shape->n_pools,
		.n_rings = (uint32_t)shape->n_rings,
		.max_clients = shape->max_clients,
		.page_bytes = shape->page_bytes,
		.data_align = shape->data_align,
		.traces = shape->traces,
	};

	memcpy(head.name, shape->name, sizeof(head.name));
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	shape_put_pools(shape, to);
	shape_put_rings(shape, to + shape->n_pools * sizeof(struct mempool_shape_pool));
}

static int write_sealed(int fd, const void *data, size_t size)
{
	ssize_t n = write(fd, data, size);

	if (n != (ssize_t)size)
		return n < 0 ? -errno : -ENOSPC;
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

int shape_make_file(const struct config *shape)
{
	size_t size = file_size(shape->n_pools, shape->n_rings);
	unsigned char *data = malloc(size);
	int fd, r;

	if (!data)
		return -ENOMEM;
	put_shape(shape, data);
	fd = memfd_create("mempool.shape", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = fd < 0 ? -errno : write_sealed(fd, data, size);
	free(data);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* ---- read ---- */

/* Of a private copy, not shorter than a head. */
static int get_shape(const unsigned char *data, size_t size, struct config *shape)
{
	char name[MEMPOOL_NAME_BYTES + 1] = "";
	struct mempool_shape head;
	int r;

	memcpy(&head, data, sizeof(head));
	memcpy(name, head.name, sizeof(head.name));
	if (head.layout != MEMPOOL_LAYOUT_MAJOR)
		return -EPROTONOSUPPORT;
	if (head.n_pools > MEMPOOL_MAX_DATA_POOLS ||
	    head.n_rings > MEMPOOL_MAX_RINGS || size != file_size(head.n_pools, head.n_rings) ||
	    config_init(shape, name) < 0)
		return -EPROTO;
	shape->max_clients = head.max_clients;
	shape->fallback = head.fallback != 0;
	shape->page_bytes = head.page_bytes;
	shape->data_align = head.data_align;
	shape->traces = head.traces != 0;
	data += sizeof(head);
	r = shape_get_pools(data, head.n_pools, shape);
	if (r == 0)
		r = shape_get_rings(data + head.n_pools * sizeof(struct mempool_shape_pool),
				    head.n_rings, shape);
	if (r == 0)
		r = config_check(shape, NULL);
	return r == -EINVAL ? -EPROTO : r;
}

/* Only memory has seals, so nobody waits for a disk or a network; and they hold its size. */
static int sealed_size(int fd, size_t *ret_size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
		return -EPROTO;
	if ((size_t)st.st_size < sizeof(struct mempool_shape) ||
	    (size_t)st.st_size > file_size(MEMPOOL_MAX_DATA_POOLS, MEMPOOL_MAX_RINGS))
		return -EPROTO;
	*ret_size = (size_t)st.st_size;
	return 0;
}

int shape_read_file(int fd, struct config *ret_shape)
{
	struct config shape = { .n_pools = 0 };
	unsigned char *data;
	size_t size;
	ssize_t n;
	int r;

	r = sealed_size(fd, &size);
	if (r < 0)
		return r;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	n = pread(fd, data, size, 0);
	r = n != (ssize_t)size ? -EPROTO : get_shape(data, size, &shape);
	free(data);
	if (r < 0)
		config_deinit(&shape);
	else
		*ret_shape = shape;
	return r;
}
