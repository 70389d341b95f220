/* SPDX-License-Identifier: MIT */
/*
 * origin.h - whose numbers a pid and a start time are
 *
 * A pid means something inside one pid namespace of one boot. The inode of a namespace does
 * not name it: the kernel uses that number again at once. So an origin is the inode, the
 * start time of its process 1 and the boot id. Two that differ, or one that cannot be read,
 * cannot be compared: then nobody is dead because of a pid.
 *
 * Start times in /proc are shifted by the time namespace of whoever reads them. Here they
 * are always those of the initial one, in clock ticks since boot.
 */
#ifndef DAEMON_BASE_ORIGIN_H
#define DAEMON_BASE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct origin {
	uint8_t boot_id[16];		/* /proc/sys/kernel/random/boot_id */
	uint64_t pid_namespace;		/* inode of /proc/self/ns/pid; 0: it cannot be told */
	uint64_t init_start_time;	/* of its process 1 */
};

/* Of this process. What cannot be read is 0, and then nothing compares. */
void origin_init(struct origin *origin);

/* Whether their pids are of one namespace. */
bool origin_compares(const struct origin *a, const struct origin *b);

/* Whether they are of one boot. */
bool origin_same_boot(const struct origin *a, const struct origin *b);

/* Return: 0; -ESRCH no such process, or hidden from us; -errno. The second also tells whether it
 * has ended, and only its parent does not know yet. */
int origin_start_time(pid_t pid, uint64_t *ret_start_time);
int origin_look(pid_t pid, uint64_t *ret_start_time, bool *ret_is_zombie);

#endif
