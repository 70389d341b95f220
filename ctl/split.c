/* SPDX-License-Identifier: MIT */
#include "split.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "name.h"

#define COLUMNS 80

bool split_is_client(const struct snapshot_holder *holder)
{
	return holder->record.kind == MEMPOOL_HOLDER_CLIENT &&
	       holder->record.state != MEMPOOL_HOLDER_FREE;
}

static bool has_client(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_holders; i++)
		if (split_is_client(&snapshot->holders[i]))
			return true;
	return false;
}

const struct snapshot *split_newer(const struct snapshot *snapshots, size_t n,
				   const struct snapshot *old)
{
	if (old->state != MEMPOOL_SEGMENT_RETIRED || !has_client(old))
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (snapshots[i].state == MEMPOOL_SEGMENT_READY &&
		    snapshots[i].generation > old->generation &&
		    strcmp(snapshots[i].name, old->name) == 0)
			return &snapshots[i];
	return NULL;
}

bool split_has_ring(const struct snapshot *newer, const struct snapshot_ring *ring)
{
	for (size_t i = 0; i < newer->n_rings; i++)
		if (newer->rings[i].kind == ring->kind &&
		    strcmp(newer->rings[i].name, ring->name) == 0)
			return true;
	return false;
}

/* The next word of a paragraph; *column is where the last one ended. */
static void print_word(const char *word, int *column)
{
	int length = (int)strlen(word);

	if (*column + 1 + length > COLUMNS)
		*column = printf("\n   ") - 1;
	*column += printf(" %s", word);
}

static void print_pids(const struct snapshot *old, int *column)
{
	char word[32];

	for (size_t i = 0; i < old->n_holders; i++) {
		if (!split_is_client(&old->holders[i]))
			continue;
		snprintf(word, sizeof(word), "%u", old->holders[i].record.pid);
		print_word(word, column);
	}
}

static void print_split(const struct snapshot *old, const struct snapshot *newer)
{
	char word[64];
	int column;

	for (size_t i = 0; i < old->n_rings; i++) {
		if (!split_has_ring(newer, &old->rings[i]))
			continue;
		column = printf("%s: %s %s is in generation %" PRIu64 ", too.", old->name,
				name_ring_kind(old->rings[i].kind), old->rings[i].name,
				newer->generation);
		snprintf(word, sizeof(word), "%" PRIu64 ":", old->generation);
		print_word("Still", &column);
		print_word("in", &column);
		print_word(word, &column);
		print_word("pid", &column);
		print_pids(old, &column);
		putchar('\n');
	}
}

void split_print(const struct snapshot *snapshots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct snapshot *newer = split_newer(snapshots, n, &snapshots[i]);

		if (!newer)
			continue;
		putchar('\n');
		print_split(&snapshots[i], newer);
	}
}
