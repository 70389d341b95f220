/* SPDX-License-Identifier: MIT */
/*
 * pages.h - what the pages under a segment are like: size, node, in memory or not
 *
 * Nothing of this is layout: the bytes stand at the same offsets whatever carries them, so
 * two segments that differ only in it have one fingerprint. The policy and the size belong
 * to the object and last as long as it does; a lock belongs to the mapping of the process
 * that took it, and keeps the pages in memory for everybody until that process ends.
 */
#ifndef SHM_PAGES_H
#define SHM_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGES_MAX_NODES 1024
#define PAGES_PIECE_BYTES (UINT64_C(64) << 20)

enum pages_policy {
	PAGES_ANYWHERE,			/* on the node of who takes them, else on another */
	PAGES_BIND,			/* on these nodes alone */
	PAGES_INTERLEAVE,		/* on these nodes in turn */
};

struct pages {
	uint64_t huge_bytes;		/* 0: ordinary ones; else an object on a hugetlbfs */
	bool prefault;			/* zeroed and in the page table of who makes it */
	bool lock;			/* never swapped out; prefaults, too. Huge ones never are */
	enum pages_policy policy;
	uint64_t nodes[PAGES_MAX_NODES / 64];	/* bits; of a policy that has nodes */
};

/*
 * Called between pieces of work on large segments, so that a watchdog can be fed.
 * Return: whether to go on; else nothing is left behind, and it ends with -ECANCELED.
 */
typedef bool (*segment_progress_fn)(uint64_t done_bytes, uint64_t total_bytes, void *userdata);

/* Whether somebody goes through all of them before the first use. */
bool pages_are_filled(const struct pages *pages);

/**
 * pages_prepare() - policy and lock of a mapping, before its pages are taken
 *
 * Takes no memory: pages that come later heed the policy, and are locked as they come.
 *
 * Return: 0; -EINVAL a node is not there, or not for us; -ENOSYS no NUMA in this kernel;
 *	   -ENOMEM or -EPERM RLIMIT_MEMLOCK does not allow so much.
 */
int pages_prepare(const struct pages *pages, void *base, uint64_t size_bytes);

/* Only the lock: the pages are there already. Return: 0, -ENOMEM or -EPERM. */
int pages_lock(const struct pages *pages, void *base, uint64_t size_bytes);

struct pages_range {
	void *base;
	uint64_t bytes;
};

/**
 * pages_fill() - bring every page of some ranges in, with as many threads as there are processors for us
 *
 * Changes nothing that stands there: others may be using it. progress is called by the
 * calling thread, with done_bytes rising to the bytes of all ranges.
 *
 * Return: 0; -ECANCELED as @progress said; -EFAULT no space in the file system, or somebody
 *	   truncated the object; -ENOMEM; -EINVAL this kernel cannot (Linux before 5.14). What
 *	   is there by then stays.
 */
int pages_fill(const struct pages *pages, const struct pages_range *ranges, uint32_t n_ranges,
	       segment_progress_fn progress, void *userdata);

#endif
