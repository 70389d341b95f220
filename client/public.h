/* SPDX-License-Identifier: MIT */
/*
 * public.h - what marks the functions of mempool.h
 */
#ifndef CLIENT_PUBLIC_H
#define CLIENT_PUBLIC_H

/* In the map file as well: the API, and nothing else, leaves the library. */
#define PUBLIC __attribute__((visibility("default")))

#endif
