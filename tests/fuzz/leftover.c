/* SPDX-License-Identifier: MIT */
#include "leftover.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define PREFIX "mempool-fuzz-"
#define MAX_OPEN 8

/* Whether it is of a target whose process is gone. */
static bool is_left(const char *name)
{
	char *end;
	long pid;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	pid = strtol(name + strlen(PREFIX), &end, 10);
	return pid > 0 && (*end == '-' || *end == '.') && kill((pid_t)pid, 0) < 0 &&
	       errno == ESRCH;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	/* Somebody else may be at it, too. */
	remove(path);
	return 0;
}

static void remove_left(const char *folder)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;
	char path[512];

	FUZZ_CHECK(stream);
	while ((entry = readdir(stream))) {
		if (!is_left(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		nftw(path, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS);
	}
	closedir(stream);
}

void leftover_make_folder(char ret_path[static LEFTOVER_FOLDER_BYTES])
{
	remove_left("/dev/shm");
	remove_left("/tmp");
	snprintf(ret_path, LEFTOVER_FOLDER_BYTES, "/tmp/" PREFIX "%d-XXXXXX", (int)getpid());
	FUZZ_CHECK(mkdtemp(ret_path));
}
