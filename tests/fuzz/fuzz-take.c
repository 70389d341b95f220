/* SPDX-License-Identifier: MIT */
/*
 * fuzz-take.c - any handle, any pointer, any size, in a segment that was whole at attach
 *
 * input: shape, then steps of two clients, pokes among them
 */
#include "clients.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct arena *arena = arena_reset(fuzz_u8(&input));

	clients_run(arena, &input);
	return 0;
}
