/* SPDX-License-Identifier: MIT */
#include "sites.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"

#define FUNCTION_BYTES 256

static int compare_sites(const void *left, const void *right)
{
	const struct site *a = left, *b = right;

	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* A line that names nothing counts as no module. */
static struct site site_of(const struct sites *sites, const struct trace *trace)
{
	uint32_t module = trace->module;

	if (module > MEMPOOL_MAX_MODULES ||
	    (module > 0 && sites->modules[module - 1].path[0] == '\0'))
		module = 0;
	return (struct site){ .module = module, .offset = trace->offset };
}

static void keep_one_of_each(struct sites *sites)
{
	size_t n = 0;

	qsort(sites->sites, sites->n, sizeof(*sites->sites), compare_sites);
	for (size_t i = 0; i < sites->n; i++)
		if (n == 0 || compare_sites(&sites->sites[n - 1], &sites->sites[i]) != 0)
			sites->sites[n++] = sites->sites[i];
	sites->n = n;
}

/* The functions of the sites of one module. Return: 0 or -ENOMEM. */
static int name_functions(const struct sites *sites, size_t first, size_t end)
{
	const struct trace_module *module = &sites->modules[sites->sites[first].module - 1];
	struct symbols *symbols;
	int r = symbols_open(module, &symbols);

	/* A file that is gone, or is another now: what there is is the offset. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = first; i < end && r == 0; i++) {
		struct site *site = &sites->sites[i];
		const char *name = symbols_find(symbols, site->offset, &site->distance);

		if (!name)
			continue;
		site->function = strndup(name, FUNCTION_BYTES - 1);
		r = site->function ? 0 : -ENOMEM;
	}
	symbols_free(symbols);
	return r;
}

int sites_find_all(const struct held_list *list, struct sites *ret_sites)
{
	size_t end;
	int r = 0;

	*ret_sites = (struct sites){ .modules = list->modules };
	/* One more than there are: a size of 0 may give NULL. */
	ret_sites->sites = calloc(list->n + 1, sizeof(*ret_sites->sites));
	if (!ret_sites->sites)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (list->chunks[i].is_known)
			ret_sites->sites[ret_sites->n++] =
				site_of(ret_sites, &list->chunks[i].trace);
	keep_one_of_each(ret_sites);

	for (size_t i = 0; i < ret_sites->n && r == 0; i = end) {
		end = i + 1;
		while (end < ret_sites->n &&
		       ret_sites->sites[end].module == ret_sites->sites[i].module)
			end++;
		if (ret_sites->sites[i].module > 0)
			r = name_functions(ret_sites, i, end);
	}
	return r;
}

void sites_deinit(struct sites *sites)
{
	for (size_t i = 0; i < sites->n; i++)
		free(sites->sites[i].function);
	free(sites->sites);
	*sites = (struct sites){ 0 };
}

const struct site *sites_of(const struct sites *sites, const struct held *held)
{
	struct site wanted;

	if (!held->is_known)
		return NULL;
	wanted = site_of(sites, &held->trace);
	return bsearch(&wanted, sites->sites, sites->n, sizeof(wanted), compare_sites);
}

const char *site_path(const struct sites *sites, const struct site *site)
{
	return site->module > 0 ? sites->modules[site->module - 1].path : "";
}

void site_escape(const char *text, char *ret_text, size_t size)
{
	size_t n = 0;

	for (; *text && n + sizeof("\\xff") <= size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c <= '~' && c != '\\')
			ret_text[n++] = (char)c;
		else
			n += (size_t)snprintf(ret_text + n, size - n, "\\x%02x", c);
	}
	ret_text[n] = '\0';
}

void site_text(const struct sites *sites, const struct site *site,
	       char ret_text[static SITE_TEXT_BYTES])
{
	char function[4 * FUNCTION_BYTES], path[4 * MEMPOOL_MODULE_PATH_BYTES];

	if (!site) {
		snprintf(ret_text, SITE_TEXT_BYTES, "unknown");
		return;
	}
	if (site->module == 0) {
		snprintf(ret_text, SITE_TEXT_BYTES, "at 0x%" PRIx64, site->offset);
		return;
	}
	site_escape(site_path(sites, site), path, sizeof(path));
	if (!site->function) {
		snprintf(ret_text, SITE_TEXT_BYTES, "%s+0x%" PRIx64, path, site->offset);
		return;
	}
	site_escape(site->function, function, sizeof(function));
	snprintf(ret_text, SITE_TEXT_BYTES, "%s+0x%" PRIx64 " %s+0x%" PRIx64, function,
		 site->distance, path, site->offset);
}
