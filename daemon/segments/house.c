/* SPDX-License-Identifier: MIT */
#include "daemon/segments/house.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "shm/config.h"

#define LOCK_NAME "mempoold.lock"
#define LOCK_TRIES 16
#define HALF_MADE ".state.new"

/* ---- which folder ---- */

/* The folder of the socket, or NULL: no memory. */
static char *folder_of(const char *socket_path)
{
	const char *last = strrchr(socket_path, '/');

	if (!last)
		return strdup(".");
	return last == socket_path ? strdup("/")
				   : strndup(socket_path, (size_t)(last - socket_path));
}

/* What the config and the surroundings ask for; the caller frees it. NULL: no memory. */
static char *wanted_path(const struct conf *conf, const char *socket_path)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY");

	if (conf->state_dir)
		return strdup(conf->state_dir);
	/* Of several folders of the unit, the first. */
	if (runtime && runtime[0] == '/')
		return strndup(runtime, strcspn(runtime, ":"));
	return folder_of(socket_path ? socket_path : conf->socket_path);
}

static int open_folder(struct house *house, const char *path, bool may_make)
{
	int r;

	if (may_make && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	else
		r = 0;
	house->path = r == 0 ? realpath(path, NULL) : NULL;
	if (r == 0 && !house->path)
		r = -errno;
	if (r == 0) {
		house->folder = open(house->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = house->folder < 0 ? -errno : 0;
	}
	if (r < 0)
		log_error("cannot open the state folder %s: %s (state_dir)", path, strerror(-r));
	return r;
}

/* The sticky bit does not help: names that are free are for whoever comes first. */
static int check_folder(const struct house *house)
{
	struct stat st;

	if (fstat(house->folder, &st) < 0)
		return -errno;
	if ((st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	log_error("others may write to the state folder %s (mode %04o, uid %u): set state_dir to "
		  "a folder that is mempoold's alone", house->path,
		  (unsigned int)(st.st_mode & 07777), (unsigned int)st.st_uid);
	return -EPERM;
}

/* ---- its lock ---- */

static void lock_is_taken(const struct house *house, int fd)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		log_error("another mempoold (pid %ld) has the state folder %s", pid, house->path);
	else
		log_error("another mempoold has the state folder %s", house->path);
}

/* Return: 1 locked; 0 the name went to another file meanwhile, try again; -errno. */
static int lock_try(struct house *house)
{
	struct stat st, named;
	int fd, r = 0;

	fd = openat(house->folder, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	/* Whoever cleared the folder removed the file that we have just locked. */
	else if (fstatat(house->folder, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 0 : -errno;
	else
		r = named.st_ino == st.st_ino;
	if (r == -EWOULDBLOCK) {
		lock_is_taken(house, fd);
		r = -EBUSY;
	} else if (r < 0) {
		log_error("cannot lock %s/%s: %s", house->path, LOCK_NAME, strerror(-r));
	}
	if (r > 0)
		house->lock = fd;
	else if (fd >= 0)
		close(fd);
	return r;
}

static int take_lock(struct house *house)
{
	int r = 0;

	for (unsigned int i = 0; i < LOCK_TRIES && r == 0; i++)
		r = lock_try(house);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	/* For the message to the next one; the lock itself is the kernel's. */
	if (ftruncate(house->lock, 0) < 0 || dprintf(house->lock, "%d\n", (int)getpid()) < 0)
		log_warning("cannot write our pid into %s/%s: %s", house->path, LOCK_NAME,
			    strerror(errno));
	return 0;
}

/* ---- the whole ---- */

static DIR *open_stream(const struct house *house)
{
	int fd = openat(house->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream && fd >= 0)
		close(fd);
	return stream;
}

/* Of a daemon that was killed before the file was whole. */
static void remove_half_made(const struct house *house)
{
	DIR *stream = open_stream(house);
	struct dirent *file;
	size_t length;

	while (stream && (file = readdir(stream))) {
		length = strlen(file->d_name);
		if (length > strlen(HALF_MADE) &&
		    strcmp(file->d_name + length - strlen(HALF_MADE), HALF_MADE) == 0)
			unlinkat(house->folder, file->d_name, 0);
	}
	if (stream)
		closedir(stream);
}

/* FNV-1a: two houses are never the same by chance, and who is to be kept out has another uid. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static void set_id(struct house *house)
{
	const uint64_t uid = geteuid();
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = mix(hash, &uid, sizeof(uid));
	hash = mix(hash, house->path, strlen(house->path) + 1);
	hash = mix(hash, house->key, strlen(house->key));
	snprintf(house->id, sizeof(house->id), "%016llx", (unsigned long long)hash);
}

int house_open(struct house *house, const struct conf *conf, const char *socket_path)
{
	char *path = wanted_path(conf, socket_path);
	int r = path ? open_folder(house, path, conf->state_dir != NULL) : -ENOMEM;

	free(path);
	if (r == 0)
		r = check_folder(house);
	if (r == 0)
		r = take_lock(house);
	if (r == 0) {
		remove_half_made(house);
		memcpy(house->key, conf->house, sizeof(house->key));
		set_id(house);
	} else {
		house_close(house);
	}
	return r;
}

void house_close(struct house *house)
{
	if (house->lock >= 0)
		close(house->lock);
	if (house->folder >= 0)
		close(house->folder);
	free(house->path);
	*house = HOUSE_NULL;
}

/* ---- what is in it ---- */

/* Whether it is "NAME.GENERATION.state". */
static bool parse(const char *file_name, struct house_entry *ret_entry)
{
	size_t length = strcspn(file_name, ".");
	const char *digits = file_name + length + 1;
	char *end;

	if (length >= sizeof(ret_entry->segment_name) ||
	    strlen(file_name) >= sizeof(ret_entry->file_name))
		return false;
	*ret_entry = (struct house_entry){ .generation = 0 };
	memcpy(ret_entry->segment_name, file_name, length);
	strcpy(ret_entry->file_name, file_name);
	if (!config_name_is_valid(ret_entry->segment_name) || file_name[length] != '.' ||
	    !isdigit((unsigned char)digits[0]) || digits[0] == '0')
		return false;
	errno = 0;
	ret_entry->generation = strtoull(digits, &end, 10);
	return errno == 0 && strcmp(end, ".state") == 0;
}

static int compare_descending(const void *a, const void *b)
{
	const struct house_entry *left = a, *right = b;

	return (left->generation < right->generation) - (left->generation > right->generation);
}

static int add_entry(struct house_entry **entries, size_t *n, const struct house_entry *entry)
{
	struct house_entry *grown = reallocarray(*entries, *n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*entries = grown;
	grown[(*n)++] = *entry;
	return 0;
}

int64_t house_scan(const struct house *house, const char *segment_name,
		   struct house_entry **ret_entries)
{
	struct house_entry *entries = NULL, entry;
	DIR *stream = open_stream(house);
	struct dirent *file;
	size_t n = 0;
	int r = 0;

	if (!stream)
		return -errno;
	while (r == 0 && (file = readdir(stream)))
		if (parse(file->d_name, &entry) &&
		    (!segment_name || strcmp(entry.segment_name, segment_name) == 0))
			r = add_entry(&entries, &n, &entry);
	closedir(stream);
	if (r < 0) {
		free(entries);
		return r;
	}
	if (n)
		qsort(entries, n, sizeof(*entries), compare_descending);
	*ret_entries = entries;
	return (int64_t)n;
}

static bool has_name(const struct house_name *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return true;
	return false;
}

int64_t house_names(const struct house *house, struct house_name **ret_names)
{
	struct house_entry *entries = NULL;
	int64_t n_entries = house_scan(house, NULL, &entries);
	struct house_name *names;
	size_t n = 0;

	if (n_entries < 0)
		return n_entries;
	names = calloc((size_t)n_entries + 1, sizeof(*names));
	for (int64_t i = 0; names && i < n_entries; i++)
		if (!has_name(names, n, entries[i].segment_name))
			memcpy(names[n++].name, entries[i].segment_name, sizeof(names->name));
	free(entries);
	if (!names)
		return -ENOMEM;
	*ret_names = names;
	return (int64_t)n;
}

void house_clear(struct house *house)
{
	DIR *stream = open_stream(house);
	struct dirent *file;
	bool is_empty = stream != NULL;

	while (stream && (file = readdir(stream)))
		if (strstr(file->d_name, ".state"))
			is_empty = false;
	if (stream)
		closedir(stream);
	if (is_empty)
		unlinkat(house->folder, LOCK_NAME, 0);
}
