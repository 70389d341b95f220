/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what is left of this machine, as /proc and /sys tell it
 *
 * root is "", or for tests a folder that holds such files. What cannot be read limits
 * nothing: the kernel has the last word anyway.
 */
#ifndef DAEMON_BASE_MACHINE_H
#define DAEMON_BASE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shm/pages.h"

struct machine_huge {
	uint64_t n_total;		/* pages of that size */
	uint64_t n_free;		/* of them, or yet to come, nobody has and none is promised */
};

/* Bytes that can be had without killing somebody; with_swap: by swapping others out, too. */
uint64_t machine_memory(const char *root, bool with_swap);

/* Bytes that our control group and those above it still allow, of either version; when_empty:
 * if nothing else were in them. UINT64_MAX: any. */
uint64_t machine_group_memory(const char *root, bool when_empty);

/* Bytes that nodes have left. */
uint64_t machine_node_memory(const char *root, const uint64_t nodes[PAGES_MAX_NODES / 64]);

/* -ENOENT: this machine has no pages of that size. */
int machine_huge_pages(const char *root, uint64_t page_bytes, struct machine_huge *ret_huge);

/* Of them, on these nodes. */
uint64_t machine_node_huge_pages(const char *root, uint64_t page_bytes,
				 const uint64_t nodes[PAGES_MAX_NODES / 64]);

/* The nodes that have memory, as the kernel writes them: "0-1,3"; and as bits. */
#define MACHINE_LIST_BYTES 64
void machine_nodes(const char *root, char ret_list[static MACHINE_LIST_BYTES],
		   uint64_t ret_nodes[PAGES_MAX_NODES / 64]);

/* Bytes that we may lock, besides what is locked; UINT64_MAX: any. */
uint64_t machine_lockable(const char *root);

/* As whom we see users and groups that have no number in our user namespace. */
struct machine_nobody {
	uid_t uid;
	gid_t gid;
};
void machine_read_nobody(const char *root, struct machine_nobody *ret_nobody);

/* The same of this machine, read once. Any thread. */
const struct machine_nobody *machine_nobody(void);

/* Bytes that a file of ours may have; UINT64_MAX: any. */
uint64_t machine_file_limit(void);

/* Descriptors that we may have, once we have asked for all; UINT64_MAX: any. */
uint64_t machine_descriptor_limit(void);

#endif
