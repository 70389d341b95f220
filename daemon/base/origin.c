/* SPDX-License-Identifier: MIT */
#include "daemon/base/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_FIELD_STATE 3		/* the first one after the command's name */
#define STAT_FIELD_THREADS 20
#define STAT_FIELD_START_TIME 22
#define INIT_PID 1

/* The whole of a small file of /proc, with a NUL behind it. Return: bytes or -errno. */
static ssize_t read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return -errno;
	size = read(fd, text, room - 1);
	if (size < 0)
		size = -errno;
	close(fd);
	text[size < 0 ? 0 : size] = '\0';
	return size;
}

/* ---- start times ---- */

/*
 * What our time namespace adds to the time since boot, in clock ticks. A process keeps its time
 * namespace, and that its offset; a child may be in another one.
 */
static int64_t boottime_offset(void)
{
	static _Thread_local pid_t known_of;
	static _Thread_local int64_t known;
	const char *const key = "boottime";
	const long hertz = sysconf(_SC_CLK_TCK);
	long long seconds = 0, nanoseconds = 0;
	char text[256], *line;

	if (known_of == getpid())
		return known;
	/* A kernel without time namespaces has no such file. */
	if (read_text("/proc/self/timens_offsets", text, sizeof(text)) <= 0)
		return 0;
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), "%lld %lld", &seconds, &nanoseconds) != 2)
		return 0;
	known = seconds * hertz + nanoseconds / (1000000000 / hertz);
	known_of = getpid();
	return known;
}

/* From a field of /proc/PID/stat to a later one, or NULL. */
static char *skip_fields(char *field, unsigned int n)
{
	for (; field && n > 0; n--) {
		field = strchr(field, ' ');
		if (field)
			field++;
	}
	return field;
}

int origin_look(pid_t pid, uint64_t *ret_start_time, bool *ret_is_zombie)
{
	char path[32], text[1024], *state, *threads, *field, *end;
	uint64_t shifted;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	size = read_text(path, text, sizeof(text));
	if (size < 0)
		return size == -ENOENT ? -ESRCH : (int)size;

	/* The name stands in parentheses and may hold any byte, these included. */
	state = skip_fields(strrchr(text, ')'), 1);
	threads = skip_fields(state, STAT_FIELD_THREADS - STAT_FIELD_STATE);
	field = skip_fields(threads, STAT_FIELD_START_TIME - STAT_FIELD_THREADS);
	if (!field)
		return -EIO;
	shifted = strtoull(field, &end, 10);
	if (end == field)
		return -EIO;
	*ret_start_time = shifted - (uint64_t)boottime_offset();
	/* One whose first thread alone has ended looks like that, too, but has others. */
	*ret_is_zombie = *state == 'Z' && strtol(threads, NULL, 10) <= 1;
	return 0;
}

int origin_start_time(pid_t pid, uint64_t *ret_start_time)
{
	bool is_zombie;

	return origin_look(pid, ret_start_time, &is_zombie);
}

/* ---- origins ---- */

static int read_boot_id(uint8_t ret_id[16])
{
	char text[64];
	size_t n = 0;

	if (read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
		return -ENOENT;
	memset(ret_id, 0, 16);
	for (const char *c = text; *c != '\0' && n < 32; c++) {
		char digit[2] = { *c, '\0' }, *end;
		unsigned long value = strtoul(digit, &end, 16);

		if (end == digit)
			continue;
		ret_id[n / 2] = (uint8_t)(ret_id[n / 2] << 4 | value);
		n++;
	}
	return n == 32 ? 0 : -EIO;
}

/* Whether /proc is of our pid namespace: of another one it speaks of other processes. */
static bool is_our_proc(void)
{
	char text[16];
	ssize_t size = readlink("/proc/self", text, sizeof(text) - 1);

	if (size < 0)
		return false;
	text[size] = '\0';
	return strtol(text, NULL, 10) == (long)getpid();
}

void origin_init(struct origin *origin)
{
	struct origin own = { .pid_namespace = 0 };
	struct stat st;

	*origin = own;
	if (!is_our_proc() || read_boot_id(own.boot_id) < 0 ||
	    stat("/proc/self/ns/pid", &st) < 0 ||
	    origin_start_time(INIT_PID, &own.init_start_time) < 0)
		return;
	own.pid_namespace = st.st_ino;
	*origin = own;
}

bool origin_same_boot(const struct origin *a, const struct origin *b)
{
	return a->pid_namespace != 0 && b->pid_namespace != 0 &&
	       memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0;
}

bool origin_compares(const struct origin *a, const struct origin *b)
{
	return origin_same_boot(a, b) && a->pid_namespace == b->pid_namespace &&
	       a->init_start_time == b->init_start_time;
}
