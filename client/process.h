/* SPDX-License-Identifier: MIT */
/*
 * process.h - what the child of a fork must not take over
 *
 * A child has a copy of our memory, but no segment (MADV_DONTFORK), and of our threads only
 * the one that forked. A lock that another thread held stays locked there, and what it guards
 * may be half changed. So both stand on pages that the kernel wipes for the child
 * (MADV_WIPEONFORK): its locks are free, its lists are empty, and it has no number yet by
 * which a client could be its own. No handler is needed, which would run between those of the
 * program; so it does not matter how the child is made, by fork(2), _Fork(3) or clone(2). One
 * that shares our memory (vfork) is not wiped, and counts as this process.
 */
#ifndef CLIENT_PROCESS_H
#define CLIENT_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "mempool_protocol.h"

/* A goodbye that no daemon was there to hear: client/connection.c. */
struct unsaid {
	struct mempool_msg_hello hello;	/* nonce 0: none */
	uint64_t n_freed;
	char socket_path[108];
};

#define PROCESS_MAX_UNSAID 16

/* All zeros is a process that has opened no client, and a mutex that nobody holds. */
struct process {
	_Atomic uint64_t number;	/* no process that this one descends from has the same */
	pthread_mutex_t lock;		/* of what follows, and which thread has which caches */
	struct unsaid unsaid[PROCESS_MAX_UNSAID];
	uint32_t oldest_unsaid;		/* where all are taken */
};

extern _Atomic(struct process *) process_page __attribute__((visibility("hidden")));

/* On a page of its own, once process_enter() has succeeded. */
static inline struct process *process_own(void)
{
	/* Relaxed: the kernel has zeroed the page, and whoever has a client was told of it. */
	return atomic_load_explicit(&process_page, memory_order_relaxed);
}

/**
 * process_enter() - before a process opens a client
 * @ret_number: of this process
 *
 * Return: 0; -ENOMEM; -ENOSYS the kernel cannot wipe memory on fork.
 */
int process_enter(uint64_t *ret_number);

/**
 * process_map() - private memory, zeroed; a child finds it zeroed again from the border on
 * @kept_bytes:  before the border
 * @wiped_bytes: from the border on, which is the start of a page
 *
 * Return: 0; -ENOMEM; -ENOSYS as process_enter().
 */
int process_map(size_t kept_bytes, size_t wiped_bytes, void **ret_border);

/* With the sizes that it was mapped with. */
void process_unmap(void *border, size_t kept_bytes, size_t wiped_bytes);

#endif
