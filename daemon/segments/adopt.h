/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - the generations that the daemon before us has left, by their state files
 *
 * Only the state file is believed: which objects they are, how large, of what shape, and who lives
 * there. What members wrote into the objects meanwhile changes nothing of that. An object that
 * they enlarged is cut back; where they truncated one, both are lost, and emptied.
 */
#ifndef DAEMON_SEGMENTS_ADOPT_H
#define DAEMON_SEGMENTS_ADOPT_H

#include <stdbool.h>

#include "daemon/segments/house.h"
#include "daemon/segments/state.h"
#include "shm/segment.h"

#define ADOPT_TEXT_BYTES 200

struct adoption {
	struct state *file;
	struct segment *segment;	/* NULL: of another layout, or lost */
	struct segment_fds fds;		/* the segment's, if there is one */
	bool is_lost;			/* one of the objects was truncated */
	bool is_absent;			/* memfds, that nobody has kept for us: those who live there
					 * still have them */
};

/**
 * adopt_open() - what a state file speaks of
 * @reterr_text: for a person
 *
 * A file that is damaged, or of which an object is gone, is removed. Logs that.
 *
 * Return: 0, and the caller takes what is in *ret_adoption;
 *	-ENOENT		there is nothing any more
 *	-EXDEV		it was made in another file system than stands in that place now: it
 *			may be served there, so it is left
 *	-EPROTONOSUPPORT the file is of another version of the format; it is left
 *	-ENOMEM, -EMFILE and others: it may do later
 */
int adopt_open(const struct house *house, const struct house_entry *entry,
	       struct adoption *ret_adoption, char reterr_text[static ADOPT_TEXT_BYTES]);

/* Free what was not taken. */
void adopt_deinit(struct adoption *adoption);

/* A generation is over: remove its objects, and then its state file. Return: 0 or -errno. */
int adopt_remove(const struct house *house, const struct state *file);

/* How many holders are not known to be dead; who only asks whether there is one need not ask for
 * more. One descriptor at a time, and one look at a process, if its records stand side by side. */
uint32_t adopt_count_living(const struct state *file, const struct origin *origin,
			    uint32_t most);

#endif
