/* SPDX-License-Identifier: MIT */
/*
 * gather.h - snapshots of all segments that are wanted, and what could not be read
 *
 * The daemon says which segments there are and passes them, then each is mapped read-only and
 * counted; one that cannot be read does not hide the others. Prints nothing: a command explains
 * once, a view that goes on decides itself what is news.
 */
#ifndef CTL_GATHER_H
#define CTL_GATHER_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"
#include "mempool_protocol.h"
#include "snapshot.h"

/* A segment that the daemon named, and that could not be read, or that is not served. */
struct gather_failure {
	struct mempool_msg_place place;	/* no object: it is not served */
	int error;
	char reason[sizeof(((struct mempool_msg_segment *)NULL)->reason)];
};

struct gathering {
	int error;			/* 0, or why there is nothing; of the daemon or of us */
	char reason[240];		/* what the daemon said when it refused */
	bool is_missing;		/* the segment that options name is none of the daemon's */
	struct snapshot *snapshots;
	size_t n_snapshots;
	struct gather_failure *failures;
	size_t n_failures;
};

/**
 * gather() - look at what the options name: all segments, one, or an object without a daemon
 * @countings:     of the looks before, for who looks again and again: each look then counts for
 *		    GATHER_SEGMENT_NS a segment at most, and for GATHER_LOOK_NS in all, and goes
 *		    on where the last one stopped. NULL: this look is the only one
 * @ret_gathering: replaced as a whole; gathering_deinit() frees it, whatever happened
 */
#define GATHER_SEGMENT_NS (20 * INT64_C(1000000))
#define GATHER_LOOK_NS (200 * INT64_C(1000000))
void gather(const struct ctl_options *options, struct countings *countings,
	    struct gathering *ret_gathering);
void gathering_deinit(struct gathering *gathering);

/* Say on standard error what went wrong, all of it. Return: how a command ends by it. */
enum ctl_exit gathering_explain(const struct gathering *gathering,
				const struct ctl_options *options);

/* Why a segment could not be read, in words. */
const char *gather_strerror(int error);

#endif
