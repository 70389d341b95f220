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
#include "observer.h"
#include "snapshot.h"

/* A segment that the daemon named, and that could not be read, or that is not served. */
struct gather_failure {
	struct mempool_msg_place place;	/* no object: it is not served */
	int error;
	char reason[sizeof(((struct mempool_msg_segment *)NULL)->reason)];
};

/*
 * What outlives a look, for who looks again and again: the counts, and what the daemon passed last.
 * While it says nothing, that is looked at, as spectators look on without it: programs go on in that
 * memory. It is let go of once it cannot be somebody's any more, or nobody could tell: when the
 * daemon is back and does not name it, when its object was removed, when we are refused, and in the
 * end by the clock. Legal zeroed.
 */
struct gather_past {
	struct countings countings;
	struct observed *segments;	/* of the last answer */
	size_t n;
	uint64_t away_ns;		/* since when there is none, CLOCK_MONOTONIC; 0: there is */
	int64_t away_ms;		/* the same, since 1970 */
};
#define GATHER_KEEP_NS (3600 * UINT64_C(1000000000))

void gather_past_deinit(struct gather_past *past);

/* What the daemon said at that time: segments, which are taken over, or an error. */
void gather_past_note(struct gather_past *past, int error, struct observed *segments, size_t n,
		      uint64_t now_ns);

struct gathering {
	int error;			/* 0, or why there is nothing new; of the daemon or of us */
	int64_t away_ms;		/* with an error: what there is was passed before that, since
					 * 1970; 0: there is nothing */
	char reason[240];		/* what the daemon said when it refused */
	bool is_missing;		/* the segment that options name is none of the daemon's */
	struct snapshot *snapshots;
	size_t n_snapshots;
	struct gather_failure *failures;
	size_t n_failures;
};

/**
 * gather() - look at what the options name: all segments, one, or an object without a daemon
 * @past:	    of the looks before, for who looks again and again: each look then counts for
 *		    GATHER_SEGMENT_NS a segment at most, and for GATHER_LOOK_NS in all, and goes
 *		    on where the last one stopped. NULL: this look is the only one
 * @ret_gathering: replaced as a whole; gathering_deinit() frees it, whatever happened
 */
#define GATHER_SEGMENT_NS (20 * INT64_C(1000000))
#define GATHER_LOOK_NS (200 * INT64_C(1000000))
void gather(const struct ctl_options *options, struct gather_past *past,
	    struct gathering *ret_gathering);
void gathering_deinit(struct gathering *gathering);

/* Say on standard error what went wrong, all of it. Return: how a command ends by it. */
enum ctl_exit gathering_explain(const struct gathering *gathering,
				const struct ctl_options *options);

/* Why a segment could not be read, in words. */
const char *gather_strerror(int error);

#endif
