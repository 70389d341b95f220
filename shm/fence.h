/* SPDX-License-Identifier: MIT */
/*
 * fence.h - the two fences that stand by themselves, for spectators (peek.h)
 *
 * The thread sanitizer does not model fences, and compilers warn of them there. Its builds have
 * none: what it checks is races, and the fences are checked by tests/model/peek.pml.
 */
#ifndef SHM_FENCE_H
#define SHM_FENCE_H

#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define FENCE_IS_LEFT_OUT
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FENCE_IS_LEFT_OUT
#endif
#endif

/* On x86 no instruction, either of them; on arm64 a dmb ish and a dmb ishld. */
static inline void fence_release(void)
{
#ifndef FENCE_IS_LEFT_OUT
	atomic_thread_fence(memory_order_release);
#endif
}

static inline void fence_acquire(void)
{
#ifndef FENCE_IS_LEFT_OUT
	atomic_thread_fence(memory_order_acquire);
#endif
}

#endif
