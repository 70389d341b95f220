/* SPDX-License-Identifier: MIT */
/*
 * observer.h - ask the daemon for its segments, without becoming a holder
 */
#ifndef CTL_OBSERVER_H
#define CTL_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/config.h"

#define OBSERVER_TIMEOUT_SECONDS 5

/* A segment as the daemon tells it. */
struct observed {
	struct mempool_msg_segment told;
	struct config shape;		/* where there is an object */
	int fd;				/* the object, for reading; -1: the daemon does not know
					 * its shape, or could not pass it */
};

/**
 * observer_list() - all segments that we may see, in the daemon's order, those that are not
 *		     served too
 * @ret_segments:  an array; observer_list_free() frees it
 * @reterr_reason: what the daemon said when it refused; else empty
 *
 * Names in the places are checked: closed by a NUL, of the characters that names may have.
 * One with an error has no object and no shape; its reason is closed by a NUL. A shape is one
 * that a segment can have; what the object is nobody has looked at.
 *
 * Return: 0;
 *	-ENOTCONN	nobody listens there
 *	-ETIMEDOUT	connected, and no answer within OBSERVER_TIMEOUT_SECONDS
 *	-ECONNRESET	hung up in the middle, as a daemon does that stops
 *	-ENAMETOOLONG	of a socket
 *	-EPROTO		the answer is none of ours
 *	-EMFILE		we have not so many descriptors
 *	other		-errno of connect(2); or what a refusal says
 */
int observer_list(const char *socket_path, struct observed **ret_segments, size_t *ret_n,
		  char reterr_reason[static 240]);
void observer_list_free(struct observed *segments, size_t n);
void observed_deinit(struct observed *segment);

/**
 * observer_drain() - let a topic go of what it keeps, or a queue of what waits in it
 * @segment: NULL: the first one in the config
 *
 * Return: 0; else as observer_list(): -EACCES, -ENOENT and others are refusals.
 */
int observer_drain(const char *socket_path, const char *segment, enum mempool_ring_kind kind,
		   const char *ring, struct mempool_msg_drained *ret_drained,
		   char reterr_reason[static 240]);

/**
 * observer_forget() - a holder whose process nobody can see is dead
 * @segment:    NULL: the first one in the config
 * @generation: 0: the current one
 *
 * Return: 0; else as observer_list(): -EBUSY it is seen to live; -ENOENT there is none.
 */
int observer_forget(const char *socket_path, const char *segment, uint64_t generation,
		    uint32_t holder, char reterr_reason[static 240]);

/**
 * observer_find() - the process of a holder, as the daemon watches it
 * @segment:    NULL: the first one in the config
 * @generation: 0: the current one
 * @ret_pidfd:  the caller's
 *
 * Return: 0, and the name in *ret_found is closed by a NUL; else as observer_list(): -ENOENT it is no
 *	   client; -EXDEV the daemon does not see its process.
 */
int observer_find(const char *socket_path, const char *segment, uint64_t generation,
		  uint32_t holder, struct mempool_msg_found *ret_found, int *ret_pidfd,
		  char reterr_reason[static 240]);

/**
 * observer_reload() - let the daemon read its config again, and wait for the result
 * @flags:	   enum mempool_reload_flags
 * @ret_fd:	   of a dry run: a file that says what would be done, or -1
 *
 * Waits as long as it takes: many GiB may have to be taken for a new layout.
 *
 * Return: 0, and *ret_reloaded says how it went; else as observer_list().
 */
int observer_reload(const char *socket_path, uint32_t flags,
		    struct mempool_msg_reloaded *ret_reloaded, int *ret_fd,
		    char reterr_reason[static 240]);

/**
 * observer_dump() - the config in force
 * @ret_fd: a file that nobody can change, if mempoold is at the other end; the caller's
 *
 * Return: 0; else as observer_list().
 */
int observer_dump(const char *socket_path, bool as_json, int *ret_fd,
		  char reterr_reason[static 240]);

#endif
