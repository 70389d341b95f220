/* SPDX-License-Identifier: MIT */
/*
 * frozen.h - who lives in a segment of any version
 *
 * Reads only what mempool_layout.h calls frozen, and with pread(), so that neither an old
 * layout nor a truncated one can hurt. What is read is input: it is copied once, checked,
 * and bounds every loop.
 */
#ifndef DAEMON_SEGMENTS_FROZEN_H
#define DAEMON_SEGMENTS_FROZEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct frozen {
	int fd;				/* the caller's */
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t state;
	uint32_t n_holders;
	uint64_t total_size;
	uint64_t holders_off;
	uint64_t holder_stride;
	uint8_t boot_id[16];
	uint64_t pid_namespace;
	uint64_t segment_id;
	uint64_t generation;
};

struct frozen_holder {
	uint32_t state;
	pid_t pid;
	uint64_t start_time;
};

/**
 * frozen_init() - read the frozen part of a header
 *
 * Return: 0;
 *	-EAGAIN		nobody was ever in it: too short, all zero, or still BUILDING
 *	-ENODATA	it was whole once and has been shortened
 *	-EBADMSG	not a segment, or its tables cannot be where it says
 *	-EIO and others from pread(2)
 */
int frozen_init(struct frozen *frozen, int fd);

/* Copy the head of a record. Return: 0; -EINVAL no such id; -ENODATA shortened; -errno. */
int frozen_read(const struct frozen *frozen, uint32_t id, struct frozen_holder *ret_holder);

/**
 * frozen_count_living() - how many processes are in it
 *
 * Return: LIVE records whose process is not dead, or -errno.
 */
int64_t frozen_count_living(const struct frozen *frozen);

/**
 * frozen_check_origin() - whether processes of ours can be in it
 * @boot_id, @pid_namespace: this process's
 *
 * A boot id alone proves nothing: in a container of systemd-nspawn, a unit with
 * ProtectKernelTunables= reads the machine's, and a shell beside it the container's. So a
 * segment with somebody in it is of this boot.
 *
 * Return: 0 they can;
 *	-EXDEV	it is of a daemon in another pid namespace: who lives there cannot be seen
 *	-ESTALE	it is from before the last boot: nobody lives
 *	-ENODATA and others of frozen_read()
 */
int frozen_check_origin(const struct frozen *frozen, const uint8_t boot_id[16],
			uint64_t pid_namespace);

#endif
