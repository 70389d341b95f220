/* SPDX-License-Identifier: MIT */
#include "daemon/segments/keep.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/handed.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/segments/orphan.h"
#include "daemon/segments/store.h"
#include "shm/config.h"

#define KEEP_NAME_BYTES 64

static const char *const endings[GEOMETRY_N_OBJECTS] = {
	[GEOMETRY_CONTROL] = ".control",
	[GEOMETRY_DATA] = ".data",
};

/* Of which generation something is kept. */
struct kept {
	char segment_name[MEMPOOL_NAME_BYTES];
	uint64_t generation;
};

static bool parse(const char *name, struct kept *ret_kept)
{
	size_t length = strcspn(name, ".");
	const char *digits = name + length + 1;
	char *end;

	if (length >= sizeof(ret_kept->segment_name) || name[length] != '.' ||
	    !isdigit((unsigned char)digits[0]) || digits[0] == '0')
		return false;
	memcpy(ret_kept->segment_name, name, length);
	ret_kept->segment_name[length] = '\0';
	errno = 0;
	ret_kept->generation = strtoull(digits, &end, 10);
	return errno == 0 && config_name_is_valid(ret_kept->segment_name) &&
	       (strcmp(end, endings[GEOMETRY_CONTROL]) == 0 ||
		strcmp(end, endings[GEOMETRY_DATA]) == 0);
}

bool keep_is_name(const char *name)
{
	struct kept kept;

	return parse(name, &kept);
}

static void find_any(const char *name, void *userdata)
{
	bool *found = userdata;

	*found = *found || (keep_is_name(name) && handed_find(name) >= 0);
}

bool keep_has_any(void)
{
	bool found = false;

	handed_each(find_any, &found);
	return found;
}

/* ---- one generation ---- */

static void name_object(char ret_name[static KEEP_NAME_BYTES], const char *segment_name,
			uint64_t generation, enum geometry_object object)
{
	snprintf(ret_name, KEEP_NAME_BYTES, "%s.%" PRIu64 "%s", segment_name, generation,
		 endings[object]);
}

int keep_store(const char *segment_name, uint64_t generation, struct segment_fds fds)
{
	char name[KEEP_NAME_BYTES];
	int r;

	name_object(name, segment_name, generation, GEOMETRY_CONTROL);
	r = notify_store(name, fds.control);
	if (r < 0)
		return r;
	name_object(name, segment_name, generation, GEOMETRY_DATA);
	r = notify_store(name, fds.data);
	return r < 0 ? r : notify_barrier();
}

int keep_find(const char *segment_name, uint64_t generation, enum geometry_object object)
{
	char name[KEEP_NAME_BYTES];

	name_object(name, segment_name, generation, object);
	return handed_find(name);
}

void keep_drop(const char *segment_name, uint64_t generation)
{
	char name[KEEP_NAME_BYTES];

	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		name_object(name, segment_name, generation, i);
		handed_drop(name);
	}
}

/* ---- the last generation ---- */

struct search {
	const char *segment_name;
	uint64_t last;
};

static void look(const char *name, void *userdata)
{
	struct search *search = userdata;
	struct kept kept;

	if (parse(name, &kept) && strcmp(kept.segment_name, search->segment_name) == 0 &&
	    kept.generation > search->last)
		search->last = kept.generation;
}

uint64_t keep_last_generation(const char *segment_name)
{
	struct search search = { .segment_name = segment_name };

	handed_each(look, &search);
	return search.last;
}

/* ---- without a state file ---- */

/* Whoever lives there shows it by a lock on control. */
static bool is_lived_in(int control)
{
	return control >= 0 && store_is_locked(control);
}

void keep_abandon(const char *segment_name, uint64_t generation)
{
	int control = keep_find(segment_name, generation, GEOMETRY_CONTROL);

	/* Sealed, so that nobody shortens it meanwhile. */
	if (control >= 0 && store_is_sealed(control))
		orphan_tell_stale(control);
	if (is_lived_in(control)) {
		log_warning("the service manager has kept %s.%" PRIu64 ", of which the state folder "
			    "knows nothing, and clients are in it: they are told that it is stale, and "
			    "it stays as it is", segment_name, generation);
		return;
	}
	log_notice("the service manager has kept %s.%" PRIu64 ", of which the state folder knows "
		   "nothing, and nobody is seen in it: it is dropped", segment_name, generation);
	keep_drop(segment_name, generation);
}

struct clearing {
	struct house_entry *entries;
	size_t n;
};

static bool has_state(const struct clearing *clearing, const struct kept *kept)
{
	for (size_t i = 0; i < clearing->n; i++)
		if (clearing->entries[i].generation == kept->generation &&
		    strcmp(clearing->entries[i].segment_name, kept->segment_name) == 0)
			return true;
	return false;
}

static void clear(const char *name, void *userdata)
{
	const struct clearing *clearing = userdata;
	struct kept kept;

	if (!parse(name, &kept) || has_state(clearing, &kept) || handed_find(name) < 0)
		return;
	/* With control comes data. */
	if (strcmp(strrchr(name, '.'), endings[GEOMETRY_CONTROL]) == 0 ||
	    keep_find(kept.segment_name, kept.generation, GEOMETRY_CONTROL) < 0)
		keep_abandon(kept.segment_name, kept.generation);
}

int keep_clear(const struct house *house)
{
	struct clearing clearing = { .n = 0 };
	int64_t n = house_scan(house, NULL, &clearing.entries);

	if (n < 0)
		return (int)n;
	clearing.n = (size_t)n;
	handed_each(clear, &clearing);
	free(clearing.entries);
	return 0;
}
