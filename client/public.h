/* SPDX-License-Identifier: MIT */
/*
 * public.h - what marks the functions of mempool.h
 *
 * As a shared library, the API and nothing else leaves it: it stands in the map file as well.
 * Built into a program (MEMPOOL_BUILT_IN), nothing of it leaves that program, which may load the
 * shared library besides; and link-time optimization inlines what is marked for it. All else is
 * called there too: a function of the API may ask where it was called (CALL_SITE in trace.h), and
 * inlined it would be told where the function around it was.
 */
#ifndef CLIENT_PUBLIC_H
#define CLIENT_PUBLIC_H

#ifdef MEMPOOL_BUILT_IN
#define PUBLIC __attribute__((noinline))
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* Both compilers find alloc and free too long, if not told. gcc takes the word that clang warns of. */
#if !defined(MEMPOOL_BUILT_IN) || !defined(__OPTIMIZE__)
#define PUBLIC_INLINE PUBLIC
#else
#define MAY_BE_INLINED
#ifdef __clang__
#define PUBLIC_INLINE __attribute__((always_inline))
#else
#define PUBLIC_INLINE inline
#endif
#endif

#endif
