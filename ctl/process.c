/* SPDX-License-Identifier: MIT */
/*
 * process.c - see process.h
 */
#include "process.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/origin.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define CONTAINER_DIGITS 64		/* of the ids that docker, podman, containerd, CRI-O give */
#define CONTAINER_SHOWN 12

/* A file of /proc/PID, as much as fits, with a NUL behind it. Return: its bytes; 0: none. */
static size_t read_file(uint32_t pid, const char *name, char *text, size_t room)
{
	char path[48];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? 0 : read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	text[size > 0 ? size : 0] = '\0';
	return size > 0 ? (size_t)size : 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

bool process_is_holder(const struct holder *record)
{
	const int64_t tick_ns = NS_PER_SECOND / sysconf(_SC_CLK_TCK);
	int64_t age_ns, attached_ns = clock_ns(CLOCK_REALTIME) - (int64_t)record->attached_ns;
	uint64_t start_time;

	if (record->pid == 0 || origin_start_time((pid_t)record->pid, &start_time) < 0)
		return false;
	age_ns = clock_ns(CLOCK_BOOTTIME) - (int64_t)start_time * tick_ns;
	/* Ticks are coarse. No pid is used again so soon. */
	return age_ns >= attached_ns - 2 * tick_ns;
}

static bool is_id(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return length == CONTAINER_DIGITS;
}

/* "docker-ID" or "ID": what stands before it, and the beginning of the id. */
static bool read_container(const char *name, size_t length, const char *parent,
			   size_t parent_length, char ret_place[static PROCESS_PLACE_BYTES])
{
	const char *id = name + length - CONTAINER_DIGITS;

	if (length < CONTAINER_DIGITS || !is_id(id, CONTAINER_DIGITS))
		return false;
	if (id > name) {
		parent = name;
		parent_length = (size_t)(id - name) - 1;
	}
	if (parent_length == 0) {
		parent = "container";
		parent_length = strlen(parent);
	}
	snprintf(ret_place, PROCESS_PLACE_BYTES, "%.*s %.*s", (int)parent_length, parent,
		 CONTAINER_SHOWN, id);
	return true;
}

/* From the inside out: the first container or service; else the first scope. */
void process_place_of(const char *cgroup, char ret_place[static PROCESS_PLACE_BYTES])
{
	static const char *const endings[] = { ".service", ".scope" };
	const char *path = strchr(cgroup, '/');
	size_t end = path ? strcspn(path, "\n") : 0;

	ret_place[0] = '\0';
	while (end > 0) {
		const char *name = path + end, *parent;
		size_t length, bare;

		while (name > path && name[-1] != '/')
			name--;
		length = (size_t)(path + end - name);
		bare = length;
		parent = name > path ? name - 1 : name;
		while (parent > path && parent[-1] != '/')
			parent--;
		for (size_t i = 0; i < 2; i++) {
			size_t ending = strlen(endings[i]);

			if (length > ending && memcmp(name + length - ending, endings[i], ending) == 0)
				bare = length - ending;
		}
		if (read_container(name, bare, parent, name > parent ? (size_t)(name - parent) - 1 : 0,
				   ret_place))
			return;
		if (bare < length && ret_place[0] == '\0')
			snprintf(ret_place, PROCESS_PLACE_BYTES, "%.*s", (int)length, name);
		end = name > path ? (size_t)(name - path) - 1 : 0;
	}
}

static void make_printable(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
		else if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	}
	while (size > 0 && text[size - 1] == ' ')
		text[--size] = '\0';
}

void process_describe(const struct holder *record, struct process_words *ret_words)
{
	char cgroup[4096];

	*ret_words = (struct process_words){ .command = "" };
	if (!process_is_holder(record))
		return;
	make_printable(ret_words->command, read_file(record->pid, "cmdline", ret_words->command,
						     sizeof(ret_words->command)));
	if (read_file(record->pid, "cgroup", cgroup, sizeof(cgroup)) > 0)
		process_place_of(cgroup, ret_words->place);
	make_printable(ret_words->place, strlen(ret_words->place));
}
