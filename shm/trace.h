/* SPDX-License-Identifier: MIT */
/*
 * trace.h - where in the code, and since when, somebody holds a chunk
 *
 * Only in a segment that says `trace: allocations`; elsewhere there is no table. For each chunk of a
 * data pool there are the traces of a few holds:
 *
 *	holds[0]	of who has it, or had it last, alone. It stays when that one shares, sends or
 *			gives the chunk: so a message leads to the call that allocated it
 *	holds[1..]	of those who share it, as they come. Where there are more of them than lines,
 *			a later one takes the line of an earlier one
 *
 * and for the segment a table of modules: programs and libraries whose calls they name, in place of
 * an address that means nothing once the process is gone. A module is named by its build id and its
 * path. Its line is found by its key, a hash of these, and never given back. Where the table is
 * full, a hold names no module, and the offset is the address.
 *
 * All of it is hints, for people. A hold is stored by relaxed stores, in any order: its check
 * tells a whole one from one that is half written, or mixed of two; for a module its key does. It names the generation and the
 * holder: so one of an earlier use of the chunk is told from one of this use, and a holder who was
 * killed before it had stored its own is one of whom nothing is known.
 *
 * Whoever reads treats what it finds as input: any member may write anything there.
 */
#ifndef SHM_TRACE_H
#define SHM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk_manager.h"
#include "mempool_layout.h"
#include "segment.h"

/* A private copy of a hold. */
struct trace {
	uint64_t since_ns;		/* CLOCK_MONOTONIC */
	uint64_t offset;		/* of a byte of the call, in the module as it was linked */
	uint32_t module;		/* its line, from 1; 0: none, and the offset is an address */
	uint32_t thread;
};

/* A private copy of a module. */
struct trace_module {
	uint32_t build_id_bytes;	/* 0: it has none */
	unsigned char build_id[MEMPOOL_BUILD_ID_BYTES];
	char path[MEMPOOL_MODULE_PATH_BYTES];	/* closed by a NUL; else any bytes */
};

/**
 * trace_put() - store the trace of a hold that has just begun
 * @word: of the chunk: OWNED by @holder, or SHARED, and it has its bit; else it is gone again, and
 *	  nothing is stored
 *
 * Threads: any. Wait-free. Crash: killed before the last store, nothing is known of this hold.
 */
void trace_put(const struct segment *segment, struct chunk_ref chunk, uint64_t word,
	       uint32_t holder, const struct trace *trace);

/* OWNED by the same holder as in the generation before: the hold goes on. */
void trace_renew(const struct segment *segment, struct chunk_ref chunk, uint64_t word);

/**
 * trace_find() - the trace of a hold
 * @word:   of the chunk, as it was read: OWNED, SHARED or SENT
 * @holder: of the holders of a SHARED one, which; a topic's is who made the message. Else it does
 *	    not matter: a word of the other kinds has but one holder, or is sent by one
 *
 * Return: false: nothing is known of it.
 */
bool trace_find(const struct segment *segment, struct chunk_ref chunk, uint64_t word,
		uint32_t holder, struct trace *ret_trace);

/**
 * trace_add_module() - the line of a module, a new one if it has none
 * @module: no bytes behind the id and the path but zeros
 *
 * Threads: any. Wait-free: a key, once set, stays. Crash: killed between the key and the rest, the
 * line is finished by the next process of the same module, and names nothing until then.
 *
 * Return: the line, from 1; 0: all are taken.
 */
uint32_t trace_add_module(const struct segment *segment, const struct trace_module *module);

/* Copy a line. Return: false: it names nothing, or there is no such line. */
bool trace_read_module(const struct segment *segment, uint32_t line,
		       struct trace_module *ret_module);

#endif
