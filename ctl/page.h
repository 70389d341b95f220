/* SPDX-License-Identifier: MIT */
/*
 * page.h - the status page and its policy, as ctl/embed.py makes them of ctl/page.html
 */
#ifndef CTL_PAGE_H
#define CTL_PAGE_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_size;
extern const char page_policy[];	/* value of Content-Security-Policy */

#endif
