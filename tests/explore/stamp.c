/* SPDX-License-Identifier: MIT */
/* stamp.c - what the users of chunks do with them; compiled as the explored code is */
#include "stage.h"

void stage_stamp(void *chunk, uint64_t stamp)
{
	uint64_t *words = chunk;

	for (int i = 0; i < STAGE_CHUNK_BYTES / 8; i++)
		words[i] = stamp;
}

void stage_check(const void *chunk, uint64_t stamp)
{
	const uint64_t *words = chunk;

	for (int i = 0; i < STAGE_CHUNK_BYTES / 8; i++)
		if (words[i] != stamp)
			explore_fail("a chunk says %#llx, and should say %#llx",
				     (unsigned long long)words[i], (unsigned long long)stamp);
}
