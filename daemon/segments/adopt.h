/* SPDX-License-Identifier: MIT */
/*
 * adopt.h - what the daemon before us left under the names of a segment
 *
 * An object there is one of four kinds:
 *
 *	wanted		of the layout that the config asks for: new clients go there, too
 *	inhabited	of another one, and somebody lives in it: it is watched until they end
 *	deserted	nobody can be in it: it is removed
 *	foreign		not ours, or not to be understood: it is left, and its number not used
 *
 * All of it is input. It is looked at by pread() first (frozen.h), and mapped only if that
 * makes sense.
 */
#ifndef DAEMON_SEGMENTS_ADOPT_H
#define DAEMON_SEGMENTS_ADOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "daemon/config/segment.h"
#include "daemon/segments/environment.h"
#include "daemon/segments/frozen.h"
#include "daemon/segments/generation.h"
#include "daemon/segments/store.h"
#include "shm/segment.h"

/* An object, while it is looked at. */
struct adopt {
	const struct conf_segment *conf;
	char shm_name[STORE_NAME_BYTES];
	uint64_t number;
	bool is_ours;			/* so its number is used up, whatever comes of it */
	bool is_wanted;			/* else inhabited */
	int fd;				/* -1: handed on */
	struct stat st;
	struct frozen frozen;
	struct segment *segment;	/* NULL: handed on, or a layout of another version */
};

/**
 * adopt_look() - which kind an object is; the deserted are removed
 * @has_current: one that is wanted has been found already
 *
 * Logs. adopt_deinit() is legal whatever came of it.
 *
 * Return: 1 wanted or inhabited; 0 it is none of ours to serve; -EEXIST it is in the way of
 *	   open_mode create; -errno.
 */
int adopt_look(struct adopt *adopt, const struct environment *environment,
	       const struct conf_segment *conf, const struct store_entry *entry,
	       bool has_current);
void adopt_deinit(struct adopt *adopt);

/* Serve it. Its tenants come later. Return: as generation_new(). */
int adopt_generation(struct adopt *adopt, const struct generation_owner *owner,
		     struct generation **ret_generation);

/* Make tenants of who is in its holder table, and watch them. Return: 0 or -errno. */
int adopt_tenants(const struct adopt *adopt, struct generation *generation);

/* Whether it has the layout that the config asks for. */
bool adopt_has_layout(const struct segment *segment, const struct conf_segment *conf);

#endif
