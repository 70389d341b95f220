/* SPDX-License-Identifier: MIT */
#include "daemon/segments/frozen.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/process.h"
#include "mempool_layout.h"

/* What the first version had; a later one may only be larger. */
#define FROZEN_HOLDER_BYTES 16
static_assert(offsetof(struct mempool_holder, start_time) + 8 == FROZEN_HOLDER_BYTES,
	      "frozen head of a holder record");

/* Return: 0; -ENODATA the file ends before; -errno. */
static int read_exactly(int fd, void *buffer, size_t size, uint64_t offset)
{
	ssize_t n = pread(fd, buffer, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENODATA;
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static int check_bounds(const struct frozen *frozen)
{
	uint64_t table_size;

	if (frozen->n_holders > MEMPOOL_MAX_HOLDERS ||
	    frozen->holder_stride < FROZEN_HOLDER_BYTES ||
	    frozen->total_size > INT64_MAX)
		return -EBADMSG;
	if (__builtin_mul_overflow(frozen->holder_stride, frozen->n_holders, &table_size) ||
	    frozen->holders_off > frozen->total_size ||
	    table_size > frozen->total_size - frozen->holders_off)
		return -EBADMSG;
	return 0;
}

int frozen_init(struct frozen *frozen, int fd)
{
	union {
		struct mempool_header header;
		unsigned char bytes[sizeof(struct mempool_header)];
	} copy;
	const struct mempool_header *header = &copy.header;
	struct stat st;
	int r;

	r = read_exactly(fd, &copy, sizeof(copy), 0);
	if (r < 0)
		return r == -ENODATA ? -EAGAIN : r;
	if (is_zero(copy.bytes, sizeof(copy.bytes)))
		return -EAGAIN;
	if (header->magic != MEMPOOL_MAGIC)
		return -EBADMSG;

	*frozen = (struct frozen){
		.fd = fd,
		.version_major = header->version_major,
		.version_minor = header->version_minor,
		/* Relaxed: a private copy. */
		.state = atomic_load_explicit(&header->state, memory_order_relaxed),
		.n_holders = header->n_holders,
		.total_size = header->total_size,
		.holders_off = header->holders_off,
		.holder_stride = header->holder_stride,
		.pid_namespace = header->pid_namespace,
		.segment_id = header->segment_id,
		.generation = header->generation,
	};
	memcpy(frozen->boot_id, header->boot_id, sizeof(frozen->boot_id));
	if (frozen->state == MEMPOOL_SEGMENT_BUILDING)
		return -EAGAIN;
	r = check_bounds(frozen);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < frozen->total_size ? -ENODATA : 0;
}

int frozen_read(const struct frozen *frozen, uint32_t id, struct frozen_holder *ret_holder)
{
	struct {
		uint32_t state;
		uint32_t pid;
		uint64_t start_time;
	} copy;
	int r;

	static_assert(sizeof(copy) == FROZEN_HOLDER_BYTES, "frozen head of a holder record");
	if (id >= frozen->n_holders)
		return -EINVAL;
	r = read_exactly(frozen->fd, &copy, sizeof(copy),
			 frozen->holders_off + id * frozen->holder_stride);
	if (r < 0)
		return r;
	*ret_holder = (struct frozen_holder){
		.state = copy.state,
		.pid = (pid_t)copy.pid,
		.start_time = copy.start_time,
	};
	return 0;
}

int64_t frozen_count_living(const struct frozen *frozen)
{
	struct frozen_holder holder;
	int64_t n = 0;
	uint32_t id;
	int pidfd, r;

	for (id = 0; id < frozen->n_holders; id++) {
		r = frozen_read(frozen, id, &holder);
		if (r < 0)
			return r;
		if (holder.state != MEMPOOL_HOLDER_LIVE)
			continue;
		r = process_open(holder.pid, holder.start_time, &pidfd);
		if (r == 0)
			close(pidfd);
		if (r != -ESRCH)
			n++;
	}
	return n;
}

int frozen_check_origin(const struct frozen *frozen, const uint8_t boot_id[16],
			uint64_t pid_namespace)
{
	int64_t n;

	if (frozen->pid_namespace != pid_namespace)
		return -EXDEV;
	if (memcmp(frozen->boot_id, boot_id, sizeof(frozen->boot_id)) == 0)
		return 0;
	n = frozen_count_living(frozen);
	if (n < 0)
		return (int)n;
	return n == 0 ? -ESTALE : 0;
}
