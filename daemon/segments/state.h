/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the daemon knows of one generation, in a file that outlives the daemon
 *
 *	FOLDER/NAME.GENERATION.state	0600, its space taken, mapped shared
 *
 * The word of a chunk is the truth about the chunk; this file is the truth about everything
 * else: which objects they are, what shape it has, who its holders are. The copies of that in the
 * segment are for people and for clients, who may write over them.
 *
 *	header		what the file is, the objects, the identity and the shape of the segment
 *	records		one for each holder id
 *	pools, rings	of the shape
 *	published	for each ring, what of a topic was moved to the next generation (shm/move.h)
 *
 * The file is made under the name ".new" and renamed once it is whole, so a name without
 * ".new" is never half a file. After that only the state of the generation, the records and the
 * journal of moves change. The state and the incarnation of a record are one 64-bit word, which is written
 * last: killed before it, the daemon has not made the change.
 *
 *	FREE -> LIVE -> REAPING -> FREE, and then the next incarnation
 *
 * The format is not the segment's: a daemon of another layout still reads who lives in a
 * segment. Only the shape is for that layout alone.
 *
 * All that is read back is input. It is copied once and checked, and a file that is damaged
 * is an error.
 */
#ifndef DAEMON_SEGMENTS_STATE_H
#define DAEMON_SEGMENTS_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/process.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/holder.h"
#include "shm/move.h"
#include "shm/segment.h"

#define STATE_FILE_BYTES 64		/* "NAME.GENERATION.state", and ".new" behind it */

/*
 * An object of a segment. Its size is no identity: whoever may write it can change that. That of a
 * memfd has a name for people alone, in no folder.
 */
struct state_object {
	enum segment_backing backing;
	char shm_name[MEMPOOL_SHM_NAME_BYTES];
	dev_t device;
	ino_t inode;
	uint64_t size_bytes;
};

/* A holder, as a record has it. */
struct state_holder {
	enum mempool_holder_state state;
	uint32_t incarnation;		/* of the use that it is in, or that comes next */
	struct process process;
	uid_t uid;
	uint64_t nonce;			/* of its hello */
	uint64_t attached_ns;		/* CLOCK_REALTIME */
	bool has_membarrier;
	enum mempool_welcome_role role;	/* MEMBER or READER */
	struct holder_bound bound;	/* that it was told */
	uint64_t reserves;		/* a bit per pool: reserves that it may have chunks of */
	char name[MEMPOOL_NAME_BYTES];
};

/* The file, mapped; and a private copy, which was checked, of what does not change in it. */
struct state {
	char file_name[STATE_FILE_BYTES];
	char segment_name[MEMPOOL_NAME_BYTES];	/* of the segment */
	struct state_file *file;
	struct state_record *records;
	struct move_journal *journal;		/* of what moves from here */
	_Atomic uint32_t *n_published;		/* by ring */
	uint64_t size_bytes;
	uint32_t n_holders;
	bool is_our_layout;		/* else there is no shape */
	struct config shape;
	struct segment_identity identity;
	struct state_object objects[GEOMETRY_N_OBJECTS];
};

/**
 * state_create() - make the file of a generation
 * @folder: descriptor of the state folder
 * @shape:  is copied
 *
 * Crash:  killed before the rename, a ".new" is left, which the next state_create() of that
 *	   name replaces and house_open() removes.
 * Return: 0; -ENOSPC the folder is full; -ENOMEM; -errno. Nothing is left behind.
 */
int state_create(int folder, const struct config *shape, const struct segment_identity *identity,
		 const struct state_object objects[static GEOMETRY_N_OBJECTS],
		 struct state **ret_state);

/**
 * state_open() - map what a daemon before us has left
 *
 * Return: 0;
 *	-EBADMSG	not such a file, or damaged
 *	-EPROTONOSUPPORT of another version of the format
 *	-ENOMEM, -errno
 */
int state_open(int folder, const char *file_name, struct state **ret_state);

/* Unmap and free. NULL is fine. The file stays. */
void state_free(struct state *state);

/* The generation is over: its objects are gone. Return: 0 or -errno. */
int state_unlink(int folder, const struct state *state);

/* By which people know it: the name of control. */
const char *state_name(const struct state *state);

/* What both of its objects are. */
enum segment_backing state_backing(const struct state *state);

/* Whether its objects can still be there: none outlives a boot. */
bool state_is_of_this_boot(const struct state *state);

/* "NAME.GENERATION.state". */
void state_file_name(char ret_name[static STATE_FILE_BYTES], const char *segment_name,
		     uint64_t generation);

/* READY or RETIRED: whether new clients go there. Once retired it stays so. */
bool state_is_retired(const struct state *state);
void state_retire(struct state *state);

/* Whether messages that find no place in the next generation are dropped. Once so it stays so. */
bool state_discards(const struct state *state);
void state_discard(struct state *state);

/* Whether threads may have lanes, or have had some that were not all revoked since (claims.h). */
bool state_has_claims(const struct state *state);
void state_set_claims(struct state *state, bool has_claims);

/* Copy a record. An id that does not exist, or a damaged record, is FREE. */
void state_read(const struct state *state, uint32_t id, struct state_holder *ret_holder);

/**
 * state_admit() - write a FREE record, and make it LIVE
 * @holder: all but state and incarnation
 *
 * Crash:  killed before the last store, the record is FREE.
 * Return: the incarnation.
 */
uint32_t state_admit(struct state *state, uint32_t id, const struct state_holder *holder);

/**
 * state_move_process() - a LIVE holder turned out to be this process
 *
 * Crash: in between, the record names no process, which can be neither dead nor alive.
 */
void state_move_process(struct state *state, uint32_t id, const struct process *process);

/* A LIVE holder whose process had none yet. */
void state_set_start_time(struct state *state, uint32_t id, uint64_t start_time);

/* A LIVE holder has it no more: a system call filter, say. */
void state_lose_membarrier(struct state *state, uint32_t id);

/* LIVE -> REAPING: it is gone, and what it held is to be freed. */
void state_end(struct state *state, uint32_t id);

/* REAPING -> FREE: nothing in the segment names it any more. */
void state_release(struct state *state, uint32_t id);

#endif
