/* SPDX-License-Identifier: MIT */
/*
 * release.h - a segment that is not needed any more gives its memory back
 *
 * With the last mapping and the last descriptor of an object that has no name its pages go, and of
 * many GiB that takes the kernel its time. So it is done in a job beside the loop: unmapped in
 * pieces, so that what the loop maps meanwhile does not wait for it, then closed. Nothing is emptied
 * before that: somebody may still have it.
 *
 * The kernel counts the memory as taken until it is gone, and so do we: jobs that may take some
 * come later, and a reload waits (jobs.h). At the stop what is left goes with the process.
 */
#ifndef DAEMON_SEGMENTS_RELEASE_H
#define DAEMON_SEGMENTS_RELEASE_H

#include "shm/segment_memory.h"

struct jobs;
struct segment;
struct state;

/**
 * release_segment() - free what is private, unmap and close
 * @segment: NULL: there is none, or none that we can work on
 * @fds:     of the objects, where there is no segment; or none
 * @file:    its state file; or NULL
 *
 * All are taken over. Names and what stands in the state file are the caller's business.
 */
void release_segment(struct jobs *jobs, struct segment *segment, struct segment_fds fds,
		     struct state *file);

#endif
