/* SPDX-License-Identifier: MIT */
/*
 * clients.h - two clients of one segment do what the input says, while a third pokes
 *
 * Whatever the memory says, each call must return an error or a chunk that lies in a pool's
 * data, of which every usable byte may be written.
 */
#ifndef FUZZ_CLIENTS_H
#define FUZZ_CLIENTS_H

#include "arena.h"

/* Attach two clients to what is in the arena, work until the input ends, close them. */
void clients_run(struct arena *arena, struct fuzz_input *input);

#endif
