/* SPDX-License-Identifier: MIT */
/*
 * replay.c - a target without libFuzzer: runs the files and folders it is given, once each
 *
 * For builds with any compiler and any sanitizer, and for looking at one file in a debugger.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

/* A file, of a few hundred bytes, takes well below a millisecond. */
#define SECONDS_PER_FILE 200

static unsigned int n_files;

static void fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(2);
}

static void replay_file(const char *path, off_t size)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc((size_t)size + 1), *exact;

	if (!file || !data || fread(data, 1, (size_t)size, file) != (size_t)size)
		fail(path);
	fclose(file);
	/* No byte more, so that the address sanitizer sees the end. */
	exact = realloc(data, size > 0 ? (size_t)size : 1);
	if (!exact)
		fail(path);

	/* What crashes or hangs is the last that was named. */
	fprintf(stderr, "%s\n", path);
	alarm(SECONDS_PER_FILE);
	LLVMFuzzerTestOneInput(exact, (size_t)size);
	alarm(0);
	free(exact);
	n_files++;
}

static void replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	if (!folder)
		fail(path);
	while ((entry = readdir(folder))) {
		char name[PATH_MAX];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (stat(name, &st) < 0)
			fail(name);
		replay_file(name, st.st_size);
	}
	closedir(folder);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) < 0)
			fail(argv[i]);
		if (S_ISDIR(st.st_mode))
			replay_folder(argv[i]);
		else
			replay_file(argv[i], st.st_size);
	}
	printf("%u files\n", n_files);
	/* An empty corpus would be a test that tests nothing. */
	return n_files > 0 ? 0 : 1;
}
