/* SPDX-License-Identifier: MIT */
/*
 * pages.h - what a segment's pages are to be: `huge_pages` and `numa`
 */
#ifndef DAEMON_CONFIG_PAGES_H
#define DAEMON_CONFIG_PAGES_H

#include "shm/pages.h"

struct conf_node;
struct conf_reader;

int conf_read_huge_pages(struct conf_reader *reader, const struct conf_node *node,
			 struct pages *pages);
int conf_read_numa(struct conf_reader *reader, const struct conf_node *node,
		   struct pages *pages);

#endif
