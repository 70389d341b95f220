/* SPDX-License-Identifier: MIT */
/*
 * name.h - what reports call what stands in a segment, for a person as in JSON
 *
 * States and kinds come out of the segment, so any number may turn up.
 */
#ifndef CTL_NAME_H
#define CTL_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "mempool_layout.h"
#include "shm/holder.h"
#include "snapshot.h"

const char *name_segment_state(uint32_t state);
const char *name_holder_state(const struct holder *record);
const char *name_holder_kind(uint32_t kind);

/* Of a client, "member" or "reader"; of others, their kind. */
const char *name_holder_role(const struct holder *record);
const char *name_ring_kind(enum mempool_ring_kind kind);

/* Which messages a subscriber reads: "all", "newest", "others". And "-" of no second look. */
const char *name_end_flags(uint64_t flags);
const char *name_subscriber_state(enum subscriber_state state);

/*
 * Of a user, in printable ASCII; or the number: who has none, and who is one of too many that a
 * segment names at once. Names are kept for a minute. Threads: one.
 */
void name_user(uint32_t uid, char *ret_name, size_t size);

#endif
