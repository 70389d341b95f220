/* SPDX-License-Identifier: MIT */
/*
 * sites.h - the calls that traces name, in words
 */
#ifndef CTL_SITES_H
#define CTL_SITES_H

#include <stddef.h>
#include <stdint.h>

#include "held.h"

/* A call, once, however many chunks came by it. */
struct site {
	uint32_t module;		/* as in struct trace */
	uint64_t offset;
	char *function;			/* any bytes; NULL: not known */
	uint64_t distance;		/* from its beginning */
};

/* Legal zeroed; sites_deinit() frees it. */
struct sites {
	struct site *sites;		/* by module, then by offset */
	size_t n;
	const struct trace_module *modules;	/* of the list */
};

/**
 * sites_find_all() - all calls in a list, and the functions around them
 * @list: outlives the sites
 *
 * Opens the files of the modules, one after the other: see symbols.h.
 * Return: 0 or -ENOMEM.
 */
int sites_find_all(const struct held_list *list, struct sites *ret_sites);
void sites_deinit(struct sites *sites);

/* That of a hold; NULL: nothing is known of it. */
const struct site *sites_of(const struct sites *sites, const struct held *held);

/* The path of its module; "": it is in none. */
const char *site_path(const struct sites *sites, const struct site *site);

/* What is not printable ASCII is written as \xNN, and what is too long is cut. */
void site_escape(const char *text, char *ret_text, size_t size);

/* "frames_leak+0x1c /usr/bin/camera+0x11d9"; of none, "unknown". */
#define SITE_TEXT_BYTES 3072
void site_text(const struct sites *sites, const struct site *site,
	       char ret_text[static SITE_TEXT_BYTES]);

#endif
