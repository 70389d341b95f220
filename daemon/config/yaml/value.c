/* SPDX-License-Identifier: MIT */
/*
 * value.c - what one scalar of the config means
 *
 * Strict on purpose: what can be read in two ways (1KB, 010, yes) is refused with the
 * spelling that can not. YAML's own types play no part, every scalar comes as its text,
 * so quotes make no difference.
 */
#include "daemon/config/yaml/value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Longer than any key or word we know; longer words have no nearest one. */
#define NEAREST_MAX_LETTERS 32

struct unit {
	const char *name;
	uint64_t factor;
};

static int invalid(const char *text, const char **reterr_text)
{
	*reterr_text = text;
	return -EINVAL;
}

/* The digits that @value begins with; *ret_end is what follows them. */
static int leading_number(const char *value, uint64_t *ret_number, const char **ret_end,
			  const char **reterr_text)
{
	uint64_t number = 0;
	const char *p;

	if (*value == '-')
		return invalid("cannot be negative", reterr_text);
	if (!isdigit((unsigned char)*value))
		return invalid("not a number", reterr_text);
	if (value[0] == '0' && isdigit((unsigned char)value[1]))
		return invalid(
			"a leading zero would make it octal elsewhere: leave it out",
			reterr_text);

	for (p = value; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return invalid("does not fit into 64 bits", reterr_text);

	if (*p == '.' || *p == ',')
		return invalid("whole numbers only: take a smaller unit, or round",
			       reterr_text);

	*ret_number = number;
	*ret_end = p;
	return 0;
}

/* A number and one of the units, the last of which has no name. */
static int number_with_unit(const char *value, const struct unit *units,
			    const char *unit_text, uint64_t *ret_number,
			    const char **reterr_text)
{
	const struct unit *unit;
	const char *name;
	uint64_t number;
	int r;

	r = leading_number(value, &number, &name, reterr_text);
	if (r < 0)
		return r;

	for (unit = units; unit->name; unit++)
		if (strcmp(unit->name, name) == 0)
			break;
	if (!unit->name)
		return invalid(unit_text, reterr_text);
	if (__builtin_mul_overflow(number, unit->factor, &number))
		return invalid("does not fit into 64 bits", reterr_text);

	*ret_number = number;
	return 0;
}

int conf_value_count(const char *value, uint64_t *ret_count, const char **reterr_text)
{
	static const struct unit units[] = { { "", 1 }, { NULL, 0 } };

	return number_with_unit(value, units, "digits only: a count has no unit",
				ret_count, reterr_text);
}

int conf_value_size(const char *value, uint64_t *ret_bytes, const char **reterr_text)
{
	static const struct unit units[] = {
		{ "", 1 },
		{ "KiB", UINT64_C(1) << 10 },
		{ "MiB", UINT64_C(1) << 20 },
		{ "GiB", UINT64_C(1) << 30 },
		{ NULL, 0 },
	};

	return number_with_unit(value, units,
				"write KiB, MiB or GiB (powers of 1024) right behind the "
				"number, or plain bytes",
				ret_bytes, reterr_text);
}

int conf_value_duration(const char *value, uint64_t *ret_ns, const char **reterr_text)
{
	static const struct unit units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "ms", NS_PER_MS },
		{ "s", NS_PER_S },
		{ "min", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },
		{ NULL, 0 },
	};

	return number_with_unit(
		value, units,
		"write ms, s, min or h right behind the number, as in 500ms", ret_ns,
		reterr_text);
}

int conf_value_mode(const char *value, mode_t *ret_mode, const char **reterr_text)
{
	const char *p = value;
	mode_t mode = 0;

	if (p[0] == '0' && p[1] == 'o')
		p += 2;
	if (!isdigit((unsigned char)*p))
		return invalid("not a mode: write it in octal, as in \"0660\"",
			       reterr_text);

	for (; *p; p++) {
		if (*p == '8' || *p == '9')
			return invalid("not octal: 8 and 9 are no octal digits",
				       reterr_text);
		if (*p < '0' || *p > '7')
			return invalid("not a mode: write it in octal, as in \"0660\"",
				       reterr_text);
		mode = mode * 8 + (mode_t)(*p - '0');
		if (mode > 0777)
			return invalid("larger than 0777, and there are no other "
				       "permission bits",
				       reterr_text);
	}

	*ret_mode = mode;
	return 0;
}

int conf_value_bool(const char *value, bool *ret_bool, const char **reterr_text)
{
	bool is_true = strcmp(value, "true") == 0;

	if (!is_true && strcmp(value, "false") != 0)
		return invalid("write true or false", reterr_text);

	*ret_bool = is_true;
	return 0;
}

/* One try to look up a name with so much room: 0, -ENOENT, -ERANGE, or another error. */
typedef int (*lookup_fn)(const char *name, char *room, size_t size, uint32_t *ret_id);

static int lookup_user(const char *name, char *room, size_t size, uint32_t *ret_uid)
{
	struct passwd entry, *found;
	int error;

	error = getpwnam_r(name, &entry, room, size, &found);
	if (error)
		return -error;
	if (!found)
		return -ENOENT;

	*ret_uid = entry.pw_uid;
	return 0;
}

static int lookup_group(const char *name, char *room, size_t size, uint32_t *ret_gid)
{
	struct group entry, *found;
	int error;

	error = getgrnam_r(name, &entry, room, size, &found);
	if (error)
		return -error;
	if (!found)
		return -ENOENT;

	*ret_gid = entry.gr_gid;
	return 0;
}

/*
 * With as much room as it takes: a group of many members has a large entry. So little at
 * first that growing is the usual way, and not one that only such groups go.
 */
static int lookup(lookup_fn try, const char *name, uint32_t *ret_id)
{
	char *room = NULL, *larger;
	size_t size = 16;
	int r;

	do {
		size *= 2;
		larger = realloc(room, size);
		if (!larger) {
			free(room);
			return -ENOMEM;
		}
		room = larger;
		r = try(name, room, size, ret_id);
	} while (r == -ERANGE);

	free(room);
	return r;
}

static int parse_id(const char *value, lookup_fn try, const char *unknown,
		    uint32_t *ret_id, const char **reterr_text)
{
	uint64_t number;
	int r;

	if (!*value)
		return invalid("a name or a number is missing", reterr_text);

	if (value[strspn(value, "0123456789")] == '\0') {
		r = conf_value_count(value, &number, reterr_text);
		if (r < 0)
			return r;
		/* (uid_t)-1 means "leave it" to chown(2) and its kin, and so to us. */
		if (number >= UINT32_MAX)
			return invalid("larger than any id", reterr_text);
		*ret_id = (uint32_t)number;
		return 0;
	}

	r = lookup(try, value, ret_id);
	switch (r) {
	case 0:
	case -ENOMEM:
		return r;
	case -EIO:
	case -EMFILE:
	case -ENFILE:
	case -EINTR:
		return invalid("could not be looked up, the name service failed",
			       reterr_text);
	default:
		/* Several other codes say so as well, see getpwnam(3). */
		return invalid(unknown, reterr_text);
	}
}

int conf_value_user(const char *value, uid_t *ret_uid, const char **reterr_text)
{
	return parse_id(value, lookup_user, "no such user", ret_uid, reterr_text);
}

int conf_value_group(const char *value, gid_t *ret_gid, const char **reterr_text)
{
	return parse_id(value, lookup_group, "no such group", ret_gid, reterr_text);
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Letters to insert, delete, change or swap with their neighbour; case does not count.
 * Source: Damerau 1964, in the form that edits no letter twice (optimal string
 * alignment).
 */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t d[NEAREST_MAX_LETTERS + 1][NEAREST_MAX_LETTERS + 1];
	size_t i, j;

	for (i = 0; i <= n_a; i++)
		d[i][0] = i;
	for (j = 0; j <= n_b; j++)
		d[0][j] = j;

	for (i = 1; i <= n_a; i++) {
		for (j = 1; j <= n_b; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			d[i][j] = min(min(d[i - 1][j], d[i][j - 1]) + 1,
				      d[i - 1][j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    tolower((unsigned char)a[i - 2]) == y)
				d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[n_a][n_b];
}

const char *conf_value_nearest(const char *word, const char *const *known)
{
	const char *nearest = NULL;
	size_t best = SIZE_MAX, n_word = strlen(word), n, d;

	if (n_word > NEAREST_MAX_LETTERS)
		return NULL;

	for (; *known; known++) {
		n = strlen(*known);
		d = distance(word, n_word, *known, n);
		if (d < best && 3 * d <= (n > n_word ? n : n_word)) {
			best = d;
			nearest = *known;
		} else if (!nearest && n_word >= 4 && strstr(*known, word)) {
			nearest = *known;
		}
	}
	return nearest;
}
