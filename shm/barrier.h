/* SPDX-License-Identifier: MIT */
/*
 * barrier.h - the rare side pays: a memory barrier in every registered process at once
 *
 * A free must not look at the dry word before its store of the chunk's word is visible.
 * Instead of a full barrier in every free, who sets the dry bit issues one for all by
 * membarrier(2). A process that cannot register (an old kernel, a seccomp filter), and
 * builds with a sanitizer, which knows no membarrier, order each free themselves.
 */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include <stdbool.h>

/* Whether a process can register here, as far as can be known before it does. */
bool barrier_is_there(void);

/* Register this process; may be called again. false: order your own stores (seq_cst). */
bool barrier_register(void);

/* The same for barrier_own(). false: it will not do. */
bool barrier_register_own(void);

/* A full barrier in all threads of this process alone. false: it could not be issued. */
bool barrier_own(void);

/*
 * A full barrier in all threads of all registered processes. false: it could not be issued.
 * Source: membarrier(2), MEMBARRIER_CMD_GLOBAL_EXPEDITED.
 */
bool barrier_all(void);

/* Whether it cannot be issued any more, and not just for want of memory. */
bool barrier_is_lost(void);

#endif
