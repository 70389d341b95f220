/* SPDX-License-Identifier: MIT */
#include "daemon/base/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

__attribute__((format(printf, 2, 3))) static FILE *open_file(const char *root,
							      const char *format, ...)
{
	char path[4096 + 256];
	va_list args;
	int n;

	n = snprintf(path, sizeof(path), "%s", root);
	va_start(args, format);
	vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
	va_end(args);
	return fopen(path, "re");
}

/* The number behind a key, which is a word of some line; @base as strtoull(3). */
static bool find_key(FILE *file, const char *key, int base, uint64_t *ret_value)
{
	char line[256];
	bool found = false;

	rewind(file);
	while (!found && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, key);

		found = at && (at == line || at[-1] == ' ');
		if (found)
			*ret_value = strtoull(at + strlen(key), NULL, base);
	}
	return found;
}

/* In a meminfo, in KiB. */
static uint64_t find_bytes(FILE *file, const char *key)
{
	uint64_t value = 0;

	find_key(file, key, 10, &value);
	return value << 10;
}

/* A file that is a number; "max" is none. */
static uint64_t read_number(FILE *file, uint64_t otherwise)
{
	uint64_t value = otherwise;

	if (file && fscanf(file, "%" SCNu64, &value) != 1)
		value = otherwise;
	if (file)
		fclose(file);
	return value;
}

/* ---- memory ---- */

uint64_t machine_memory(const char *root, bool with_swap)
{
	FILE *file = open_file(root, "/proc/meminfo");
	uint64_t bytes;

	if (!file)
		return UINT64_MAX;
	bytes = find_bytes(file, "MemAvailable:");
	if (with_swap)
		bytes += find_bytes(file, "SwapFree:");
	fclose(file);
	return bytes;
}

/* ---- control groups ---- */

/* Where a version has what it knows of a group's memory. */
struct group_files {
	const char *folder;
	const char *limit;
	const char *used;
	const char *inactive;		/* keys of its memory.stat */
	const char *active;
	const char *counts_below;	/* NULL: always; else a file that says 0 or 1 */
};

static const struct group_files version_2 = {
	.folder = "/sys/fs/cgroup",
	.limit = "memory.max",
	.used = "memory.current",
	.inactive = "inactive_file ",
	.active = "active_file ",
};

static const struct group_files version_1 = {
	.folder = "/sys/fs/cgroup/memory",
	.limit = "memory.limit_in_bytes",
	.used = "memory.usage_in_bytes",
	.inactive = "total_inactive_file ",
	.active = "total_active_file ",
	.counts_below = "memory.use_hierarchy",
};

struct group {
	const char *root;
	const struct group_files *files;
	const char *path;		/* "": the topmost */
};

static FILE *open_group_file(const struct group *group, const char *name)
{
	return open_file(group->root, "%s%s/%s", group->files->folder, group->path, name);
}

/* What version 1 says where there is no limit is that, less what is no whole page. */
#define GROUP_MAX_LIMIT ((uint64_t)INT64_MAX / 2)

/* Under its limit; what it caches of files is given up first. */
static uint64_t group_left(const struct group *group, bool when_empty)
{
	uint64_t limit, used, active = 0, inactive = 0;
	FILE *file;

	limit = read_number(open_group_file(group, group->files->limit), UINT64_MAX);
	if (limit > GROUP_MAX_LIMIT)
		return UINT64_MAX;
	if (when_empty)
		return limit;
	used = read_number(open_group_file(group, group->files->used), 0);
	file = open_group_file(group, "memory.stat");
	if (file) {
		find_key(file, group->files->inactive, 10, &inactive);
		find_key(file, group->files->active, 10, &active);
		fclose(file);
	}
	used -= inactive + active < used ? inactive + active : used;
	return used < limit ? limit - used : 0;
}

/* Whether its limit is one for the groups below it, too. */
static bool counts_below(const struct group *group)
{
	return !group->files->counts_below ||
	       read_number(open_group_file(group, group->files->counts_below), 1) != 0;
}

/* A line of /proc/self/cgroup, ID:CONTROLLERS:PATH. NULL: it is not about memory. */
static const struct group_files *parse_group(char *line, char **ret_path)
{
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL, *rest;

	if (!path)
		return NULL;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	*ret_path = path;
	controllers++;
	if (!*controllers)
		return &version_2;
	for (char *name = strtok_r(controllers, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest))
		if (strcmp(name, "memory") == 0)
			return &version_1;
	return NULL;
}

/* Ours, then each one above it; the topmost of a container has limits, too. */
static uint64_t least_of_groups(struct group *group, char *path, bool when_empty)
{
	uint64_t least = UINT64_MAX, left;
	char *end = path + strlen(path);

	group->path = path;
	for (bool is_ours = true; end; is_ours = false, end = strrchr(path, '/')) {
		*end = '\0';
		if (!is_ours && !counts_below(group))
			continue;
		left = group_left(group, when_empty);
		least = left < least ? left : least;
	}
	return least;
}

uint64_t machine_group_memory(const char *root, bool when_empty)
{
	FILE *file = open_file(root, "/proc/self/cgroup");
	uint64_t least = UINT64_MAX, left;
	struct group group = { .root = root };
	char line[4096], *path;

	while (file && fgets(line, sizeof(line), file)) {
		group.files = parse_group(line, &path);
		left = group.files ? least_of_groups(&group, path, when_empty) : UINT64_MAX;
		least = left < least ? left : least;
	}
	if (file)
		fclose(file);
	return least;
}

/* ---- nodes ---- */

static bool has_node(const uint64_t nodes[PAGES_MAX_NODES / 64], unsigned int node)
{
	return nodes[node / 64] >> node % 64 & 1;
}

uint64_t machine_node_memory(const char *root, const uint64_t nodes[PAGES_MAX_NODES / 64])
{
	uint64_t bytes = 0;

	for (unsigned int node = 0; node < PAGES_MAX_NODES; node++) {
		FILE *file;

		if (!has_node(nodes, node))
			continue;
		file = open_file(root, "/sys/devices/system/node/node%u/meminfo", node);
		if (!file)
			return UINT64_MAX;
		bytes += find_bytes(file, "MemFree:") + find_bytes(file, "Active(file):") +
			 find_bytes(file, "Inactive(file):") +
			 find_bytes(file, "SReclaimable:");
		fclose(file);
	}
	return bytes;
}

/* ---- huge pages ---- */

int machine_huge_pages(const char *root, uint64_t page_bytes, struct machine_huge *ret_huge)
{
	static const char *const names[] = {
		"nr_hugepages",		"free_hugepages",    "resv_hugepages",
		"surplus_hugepages",	"nr_overcommit_hugepages",
	};
	uint64_t n[5];

	for (unsigned int i = 0; i < 5; i++) {
		FILE *file = open_file(root,
				       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
				       page_bytes >> 10, names[i]);

		if (!file && i == 0)
			return -ENOENT;
		n[i] = read_number(file, 0);
	}
	*ret_huge = (struct machine_huge){ .n_total = n[0], .n_free = n[1] };
	ret_huge->n_free -= n[2] < n[1] ? n[2] : n[1];
	ret_huge->n_free += n[4] > n[3] ? n[4] - n[3] : 0;
	return 0;
}

uint64_t machine_node_huge_pages(const char *root, uint64_t page_bytes,
				 const uint64_t nodes[PAGES_MAX_NODES / 64])
{
	uint64_t n = 0;

	for (unsigned int node = 0; node < PAGES_MAX_NODES; node++)
		if (has_node(nodes, node))
			n += read_number(open_file(root, "/sys/devices/system/node/node%u/hugepages/"
						   "hugepages-%" PRIu64 "kB/free_hugepages",
						   node, page_bytes >> 10), 0);
	return n;
}

/* ---- which nodes ---- */

void machine_nodes(const char *root, char ret_list[static MACHINE_LIST_BYTES],
		   uint64_t ret_nodes[PAGES_MAX_NODES / 64])
{
	FILE *file = open_file(root, "/sys/devices/system/node/has_memory");
	char list[MACHINE_LIST_BYTES];
	const char *at = list;
	unsigned int first, last;
	int n;

	/* Without NUMA all of it is node 0. */
	if (!file || !fgets(list, sizeof(list), file))
		strcpy(list, "0");
	if (file)
		fclose(file);
	list[strcspn(list, "\n")] = '\0';
	memcpy(ret_list, list, sizeof(list));

	memset(ret_nodes, 0, PAGES_MAX_NODES / 8);
	while (sscanf(at, "%u%n", &first, &n) == 1) {
		at += n;
		last = first;
		if (sscanf(at, "-%u%n", &last, &n) == 1)
			at += n;
		for (; first <= last && first < PAGES_MAX_NODES; first++)
			ret_nodes[first / 64] |= UINT64_C(1) << first % 64;
		at += *at == ',';
	}
}

/* ---- limits of the process ---- */

uint64_t machine_file_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY
		       ? UINT64_MAX : limit.rlim_cur;
}

uint64_t machine_descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY
		       ? UINT64_MAX : limit.rlim_max;
}

uint64_t machine_lockable(const char *root)
{
	FILE *file = open_file(root, "/proc/self/status");
	uint64_t capabilities = 0, locked;
	struct rlimit limit;

	if (!file)
		return UINT64_MAX;
	locked = find_bytes(file, "VmLck:");
	find_key(file, "CapEff:", 16, &capabilities);
	fclose(file);
	if (capabilities >> CAP_IPC_LOCK & 1 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return locked < limit.rlim_cur ? limit.rlim_cur - locked : 0;
}

/* ---- users and groups ---- */

#define KERNELS_NOBODY 65534		/* unless it was told another one */

void machine_read_nobody(const char *root, struct machine_nobody *ret_nobody)
{
	FILE *uid = open_file(root, "/proc/sys/kernel/overflowuid");
	FILE *gid = open_file(root, "/proc/sys/kernel/overflowgid");

	*ret_nobody = (struct machine_nobody){
		.uid = (uid_t)read_number(uid, KERNELS_NOBODY),
		.gid = (gid_t)read_number(gid, KERNELS_NOBODY),
	};
}

static struct machine_nobody nobody;

static void read_nobody(void)
{
	machine_read_nobody("", &nobody);
}

const struct machine_nobody *machine_nobody(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_nobody);
	return &nobody;
}
