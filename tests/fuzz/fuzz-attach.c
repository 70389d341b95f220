/* SPDX-License-Identifier: MIT */
/*
 * fuzz-attach.c - attach to a segment whose header and tables an enemy has written
 *
 * input: shape, flags, number of pokes, pokes; then steps of the clients, if they got in
 */
#include "clients.h"

#define FLAG_AGREE 1		/* the enemy knows the fingerprint */
#define FLAG_RESIZE 2		/* and may truncate */
#define MAX_POKES 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct arena *arena = arena_reset(fuzz_u8(&input));
	uint8_t flags = fuzz_u8(&input);

	for (uint8_t n = fuzz_u8(&input) % (MAX_POKES + 1); n > 0; n--)
		arena_poke(arena, &input);
	if (flags & FLAG_AGREE)
		arena_make_agree(arena);
	/* Once more, since now it is at least coherent. */
	for (uint8_t n = flags >> 6; n > 0; n--)
		arena_poke(arena, &input);
	if (flags & FLAG_RESIZE)
		arena_resize(arena, 1 + fuzz_u32(&input) % ARENA_MAX_BYTES);

	clients_run(arena, &input);
	return 0;
}
