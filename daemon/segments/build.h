/* SPDX-License-Identifier: MIT */
/*
 * build.h - a segment in the making: its memory, its name, its layout, its state file
 *
 *	objects without names -> locks -> memory -> names -> layout -> state file
 *
 * It takes time, and touches nothing but its struct build: any thread may do it. Nobody but
 * the daemon's user may open the objects, and nobody is passed them before somebody serves them,
 * so nobody can shorten them under the hands of their maker.
 *
 * Killed before they have names, nothing is left; before the state file, objects of ours
 * without a state, which the next start removes. Until build_keep() hears that somebody serves
 * them, the objects go when the build does.
 */
#ifndef DAEMON_SEGMENTS_BUILD_H
#define DAEMON_SEGMENTS_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config/segment.h"
#include "daemon/segments/house.h"
#include "daemon/segments/space.h"
#include "daemon/segments/state.h"
#include "shm/segment.h"

struct jobs;

struct build {
	const struct conf_segment *conf;
	const struct house *house;
	uint64_t number;		/* of the generation */
	uint64_t size_bytes;
	struct segment *segment;	/* what was made, until somebody has taken both */
	struct state *state;
	struct state_object objects[GEOMETRY_N_OBJECTS];	/* inode 0: there is none to remove */
	bool has_file;			/* a state file to remove */
	int kept;			/* of a memfd: 0 the service manager has it; -errno why not */
	char shortage[SPACE_TEXT_BYTES]; /* what is missing, if something is; else empty */
};

/* number: that no generation of this segment has or had. */
void build_init(struct build *build, const struct conf_segment *conf,
		const struct house *house, uint64_t number);

/* Free what nobody has taken, its memory in a job, and remove objects and state file, unless they
 * are kept. */
void build_deinit(struct build *build, struct jobs *jobs);

/* Segment and state are somebody's now; objects and state file stay. */
void build_take(struct build *build);
void build_keep(struct build *build);

/**
 * build_make() - all of it
 *
 * Does not log. Return: 0; as space_find(), segment_create_fds() and state_create().
 */
int build_make(struct build *build, segment_progress_fn progress, void *userdata);

/* Why it did not. */
void build_strerror(const struct build *build, int error,
		    char ret_text[static SPACE_TEXT_BYTES]);

#endif
