/* SPDX-License-Identifier: MIT */
/*
 * stage.h - a segment with clients in it, for scenarios
 *
 * In set_up: stage_make(), then stage_open() for each process. The daemon's thread reaps whoever is
 * killed, in slices, and may be killed itself and started anew. stage_audit() is for the judge.
 */
#ifndef TESTS_EXPLORE_STAGE_H
#define TESTS_EXPLORE_STAGE_H

#include "client/client.h"
#include "explore.h"
#include "shm/config.h"
#include "shm/segment.h"

/* A config with one pool, to begin with; more by shm/config.h. */
void stage_config(struct config *config, uint64_t n_chunks, uint32_t cache);

/* Lay out a segment of that shape. The config is copied. */
void stage_make(const struct config *config);

/* The daemon's view. */
struct segment *stage_segment(void);

/* A client for a process, as the holder that it has. */
void stage_open(uint32_t process);

/* The same, with a bit for each reserve that it may have chunks of. */
void stage_open_with(uint32_t process, uint64_t reserves);

/* The same, with MEMPOOL_CLIENT_DEBUG. */
void stage_open_checked(uint32_t process);

/*
 * In set_up, behind stage_open(): it has a connection to the daemon, which answers, passes wake channels,
 * and is lost with it.
 */
void stage_connect(uint32_t process);

/* By a thread of another process. Return: false: it was not killed, and has ended. */
bool stage_wait_for_reap(uint32_t dead);

/*
 * A client under the id of a process that was killed: waits until that is reaped. By a thread of another
 * process. Return: false: it was not killed, and has ended.
 */
bool stage_follow(uint32_t dead);

uint32_t stage_holder(uint32_t process);

/* Of the process that calls. */
struct mempool_client *stage_client(void);

/*
 * In the judge: close nothing, and audit. Nobody is in the middle of anything, the dead are reaped, and
 * the threads have given their hints back, so each chunk that is free has one. Fails the schedule with
 * the first fault.
 */
void stage_audit(void);

/* The same, but for hints: the judge has used a client itself, and left them in its cache. */
void stage_audit_words(void);

/* Free chunks of a pool, by their words. */
uint32_t stage_n_free(uint32_t pool);

/* A stamp over all words of a chunk: whoever holds a chunk stamps it, and finds its own stamp. */
void stage_stamp(void *chunk, uint64_t stamp);
void stage_check(const void *chunk, uint64_t stamp);
#define STAGE_CHUNK_BYTES 16

#endif
