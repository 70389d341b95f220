/* SPDX-License-Identifier: MIT */
/*
 * fuzz-objects.c - any objects beside the state file, at a start
 *
 * A daemon has been there: its object stands in /dev/shm, with a state file, and perhaps with a
 * client that lives. Then somebody makes files of the same form of name: of our house or of
 * another one, of any type, size and content, locked or not; or changes the object itself, or
 * the state file is lost. Then the next daemon starts.
 *
 * input: a byte of flags; then steps, a byte each, with what they ask for behind.
 *
 * Whatever stands there, the segment is served. The object that the state file speaks of is
 * adopted if it is whole. What is not ours stays as it is: of another house or user, no regular
 * file, locked. Nothing is ever emptied.
 */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/segments/host.h"
#include "daemon/server.h"
#include "fuzz.h"
#include "leftover.h"

#define SHM "/dev/shm"
#define PATH_BYTES 192
#define MAX_FORGED 24
#define LOOK_BYTES 4096			/* of each, before and after */
#define MARK "a message"

/* What somebody has put there. */
struct forged {
	char path[PATH_BYTES];
	struct stat st;
	int fd;				/* of a regular file that is nobody else's; else -1 */
	unsigned char begin[LOOK_BYTES];
	bool is_ours;			/* by house, type and user */
	bool is_locked;
};

static struct server server;
static struct host *host;
static char folder[LEFTOVER_FOLDER_BYTES];
static char segment[MEMPOOL_NAME_BYTES];
static char victim[PATH_BYTES];		/* what links lead to */
static struct process ourselves;
static struct forged all[MAX_FORGED];
static size_t n_forged;

/* The object of the daemon before, and what has become of it. */
static struct {
	char path[PATH_BYTES];
	char state_path[PATH_BYTES];
	struct stat st;
	uint64_t mark_off;
	bool is_whole;
	bool has_state;
} old;

/* ---- before and after ---- */

static bool is_of_segment(const char *file_name)
{
	const size_t prefix = strlen(MEMPOOL_SHM_PREFIX) - 1;

	return strncmp(file_name, &MEMPOOL_SHM_PREFIX[1], prefix) == 0 &&
	       strncmp(file_name + prefix, segment, strlen(segment)) == 0 &&
	       file_name[prefix + strlen(segment)] == '.';
}

static void remove_from(const char *path, bool (*is_meant)(const char *file_name))
{
	DIR *stream = opendir(path);
	struct dirent *file;

	FUZZ_CHECK(stream);
	while ((file = readdir(stream)))
		if (file->d_name[0] != '.' && is_meant(file->d_name) &&
		    unlinkat(dirfd(stream), file->d_name, 0) < 0)
			unlinkat(dirfd(stream), file->d_name, AT_REMOVEDIR);
	closedir(stream);
}

static bool is_state(const char *file_name)
{
	return strstr(file_name, ".state") != NULL;
}

static void remove_all(void)
{
	remove_from(SHM, is_of_segment);
	remove_from(folder, is_state);
	house_clear(&server.house);
	unlink(victim);
	rmdir(folder);
}

/* A daemon starts, ... */
static void open_host(void)
{
	host = hosts_add(&server.hosts, segment, &server.conf->segments[0]);
	FUZZ_CHECK(host);
	FUZZ_CHECK(host_open(host) == 0);
	FUZZ_CHECK(host->current);
}

/* ... and ends. */
static void close_host(void)
{
	TAILQ_REMOVE(&server.hosts.list, host, link);
	host_free(host);
}

static struct conf *load_conf(void)
{
	struct conf_error error = { .line = 0 };
	struct conf *conf;
	char text[512];
	int n;

	n = snprintf(text, sizeof(text),
		     "log_level: error\n"
		     "state_dir: %s\n"
		     "segments:\n"
		     "- { name: %s, max_clients: 3, pools: [{ chunk_size: 100, chunk_count: 7 }] }\n",
		     folder, segment);
	FUZZ_CHECK(conf_load_memory("fuzz", text, (size_t)n, NULL, NULL, &conf, &error) == 0);
	return conf;
}

static void start(void)
{
	int pair[2], pidfd;

	leftover_make_folder(folder);
	snprintf(segment, sizeof(segment), "fuzz-%d", (int)getpid());
	snprintf(victim, sizeof(victim), "%s/victim", folder);
	log_set_level(LOG_EMERG);
	FUZZ_CHECK(server_init(&server, load_conf(), NULL, NULL) == 0);
	FUZZ_CHECK(house_open(&server.house, server.conf, NULL) == 0);
	atexit(remove_all);
	/* Each start has its own. */
	host = TAILQ_FIRST(&server.hosts.list);
	close_host();
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_CHECK(process_open_peer(pair[0], getpid(), &server.hosts.environment.origin, &pidfd,
				     &ourselves) == 0);
	close(pidfd);
	close(pair[0]);
	close(pair[1]);
}

static void be_a_daemon(bool has_client)
{
	const struct state_holder client = { .process = ourselves, .nonce = 1, .name = "fuzz" };
	const struct generation *generation;

	open_host();
	generation = host->current;
	snprintf(old.path, sizeof(old.path), SHM "%s", generation->place.shm_name);
	snprintf(old.state_path, sizeof(old.state_path), "%s/%s", folder,
		 generation->file->file_name);
	FUZZ_CHECK(fstat(generation->fds.control, &old.st) == 0);
	old.mark_off = generation->segment->geometry.pools[0].data_off;
	memcpy((char *)generation->segment->memory.base + old.mark_off, MARK, sizeof(MARK));
	old.is_whole = true;
	old.has_state = true;
	if (has_client)
		state_admit(generation->file, generation->tenants.first_id, &client);
	close_host();
}

/* ---- what is forged ---- */

static void look_at(struct forged *forged)
{
	FUZZ_CHECK(lstat(forged->path, &forged->st) == 0);
	memset(forged->begin, 0, sizeof(forged->begin));
	if (forged->fd >= 0)
		FUZZ_CHECK(pread(forged->fd, forged->begin, LOOK_BYTES, 0) >= 0);
}

/* A name like ours, or almost. Return: whether it is of our house. */
static bool draw_name(struct fuzz_input *input, char ret_path[static PATH_BYTES])
{
	uint8_t how = fuzz_u8(input);
	uint64_t generation = how & 0x80 ? fuzz_u64(input) : how % 4;
	const char *house = how & 0x10 ? "0123456789abcdef" : server.house.id;
	const char *ends[] = { "0", ".new", ".", "\033[2J" };
	const char *end = how & 0x0c ? "" : ends[how >> 5 & 3];

	snprintf(ret_path, PATH_BYTES, SHM "/mempool-%s.%llu.%s.%016zx%s", segment,
		 (unsigned long long)generation, house, n_forged, end);
	return !(how & 0x10) && !*end && generation != 0;
}

static void write_header(int fd, struct fuzz_input *input)
{
	struct mempool_header header = {
		.magic = MEMPOOL_MAGIC,
		.version_major = MEMPOOL_LAYOUT_MAJOR,
		.state = MEMPOOL_SEGMENT_READY,
		.generation = 1,
	};
	size_t n = fuzz_u8(input) % 32;

	while (n-- > 0)
		((unsigned char *)&header)[fuzz_u8(input) % 128] = fuzz_u8(input);
	FUZZ_CHECK(write(fd, &header, sizeof(header)) == sizeof(header));
}

static off_t draw_size(struct fuzz_input *input)
{
	static const off_t sizes[] = { 0, 1, 4095, 4096, 65536, (off_t)1 << 40 };
	uint8_t which = fuzz_u8(input);

	return which & 0x80 ? old.st.st_size : sizes[which % 6];
}

static void lock(int fd, uint8_t byte)
{
	struct flock lock = {
		.l_type = byte & 0x80 ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = byte & 0x7f,
		.l_len = 1,
	};

	FUZZ_CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

static void make_regular(struct forged *forged, struct fuzz_input *input)
{
	uint8_t how = fuzz_u8(input);

	forged->fd = open(forged->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_CHECK(forged->fd >= 0);
	if (how & 1)
		write_header(forged->fd, input);
	FUZZ_CHECK(ftruncate(forged->fd, draw_size(input)) == 0);
	if (how & 2) {
		lock(forged->fd, fuzz_u8(input));
		forged->is_locked = true;
	}
	if ((how & 12) == 12 && geteuid() == 0) {
		FUZZ_CHECK(fchown(forged->fd, 12345, 12345) == 0);
		forged->is_ours = false;
	}
}

static void make_special(struct forged *forged, uint8_t which)
{
	const char *path = forged->path;
	int r;

	forged->is_ours = false;
	switch (which % 7) {
	case 0:
		r = mkdir(path, 0777);
		break;
	case 1:
		r = mkfifo(path, 0777);
		break;
	case 2:
		r = mknod(path, S_IFSOCK | 0777, 0);
		break;
	case 3:
		r = symlink(victim, path);
		break;
	case 4:
		r = symlink(path, path);
		break;
	case 5:
		r = symlink(old.path, path);
		break;
	default:
		/* /dev/full, of which root alone may make one more. */
		r = mknod(path, S_IFCHR | 0666, makedev(1, 7));
		if (r < 0)
			r = mkdir(path, 0);
	}
	FUZZ_CHECK(r == 0);
}

/* One more name for the object, if it still has its own. */
static bool link_to_old(const char *path)
{
	struct stat st;

	return lstat(old.path, &st) == 0 && st.st_ino == old.st.st_ino &&
	       link(old.path, path) == 0;
}

static void forge(struct fuzz_input *input)
{
	struct forged *forged = &all[n_forged];
	uint8_t kind = fuzz_u8(input);

	*forged = (struct forged){ .fd = -1 };
	forged->is_ours = draw_name(input, forged->path);
	if (kind % 3 == 0)
		make_special(forged, kind / 3);
	else if (kind % 16 != 1 || !link_to_old(forged->path))
		make_regular(forged, input);
	look_at(forged);
	n_forged++;
}

/* ---- what is done to the object, and to the state file ---- */

static void replace_object(struct fuzz_input *input)
{
	struct forged *forged = &all[n_forged];

	*forged = (struct forged){ .fd = -1, .is_ours = true };
	snprintf(forged->path, sizeof(forged->path), "%s", old.path);
	if (unlink(old.path) < 0)
		return;
	old.is_whole = false;
	if (fuzz_u8(input) % 2)
		make_regular(forged, input);
	else
		make_special(forged, fuzz_u8(input));
	look_at(forged);
	n_forged++;
}

static void change_object(struct fuzz_input *input)
{
	struct stat st;

	/* Once, so that what stands there is known; and no longer where something else does. */
	if (!old.is_whole || lstat(old.path, &st) < 0)
		return;
	switch (fuzz_u8(input) % 5) {
	case 0:
		FUZZ_CHECK(truncate(old.path, fuzz_u32(input) % old.st.st_size) == 0);
		old.is_whole = false;
		break;
	case 1:
		FUZZ_CHECK(truncate(old.path, old.st.st_size + 1 + fuzz_u32(input)) == 0);
		break;
	case 2:
		FUZZ_CHECK(chmod(old.path, fuzz_u16(input) & 07777) == 0);
		break;
	case 3:
		unlink(old.path);
		old.is_whole = false;
		break;
	case 4:
		replace_object(input);
		break;
	}
}

static void change_state(struct fuzz_input *input)
{
	uint16_t at = fuzz_u16(input);
	uint8_t byte = fuzz_u8(input);
	int fd;

	old.has_state = false;
	if (at % 8 == 0) {
		unlink(old.state_path);
		return;
	}
	fd = open(old.state_path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	FUZZ_CHECK(pwrite(fd, &byte, 1, at % 512) == 1);
	close(fd);
}

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);

	if (what < 0xc0)
		forge(input);
	else if (what < 0xf0)
		change_object(input);
	else
		change_state(input);
}

/* ---- what must hold ---- */

static void check_content(const struct forged *forged)
{
	const size_t state = offsetof(struct mempool_header, state);
	unsigned char now[LOOK_BYTES] = { 0 };
	struct stat st;

	FUZZ_CHECK(fstat(forged->fd, &st) == 0);
	FUZZ_CHECK(st.st_size == forged->st.st_size);
	FUZZ_CHECK(pread(forged->fd, now, LOOK_BYTES, 0) >= 0);
	/* Of our own it may say that it is stale. */
	if (forged->is_ours)
		memcpy(now + state, forged->begin + state, sizeof(uint32_t));
	FUZZ_CHECK(memcmp(now, forged->begin, LOOK_BYTES) == 0);
}

static void check_forged(const struct forged *forged)
{
	struct stat st;
	bool is_there = lstat(forged->path, &st) == 0 && st.st_ino == forged->st.st_ino;

	if (forged->fd >= 0)
		check_content(forged);
	if (!forged->is_ours || forged->is_locked)
		FUZZ_CHECK(is_there);
	/* Unless a state file that cannot be read may speak of it. */
	else if (old.has_state)
		FUZZ_CHECK(!is_there);
	if (is_there && forged->st.st_ino != old.st.st_ino)
		FUZZ_CHECK(st.st_mode == forged->st.st_mode && st.st_uid == forged->st.st_uid);
}

static void check_current(void)
{
	const struct generation *current = host->current;
	const char *base = current->segment->memory.base;
	struct stat st, named;
	char path[PATH_BYTES];

	FUZZ_CHECK(fstat(current->fds.control, &st) == 0);
	snprintf(path, sizeof(path), SHM "%s", current->place.shm_name);
	FUZZ_CHECK(lstat(path, &named) == 0);
	FUZZ_CHECK(named.st_ino == st.st_ino && current->file->objects[0].inode == st.st_ino);
	FUZZ_CHECK((uint64_t)st.st_size == current->place.control_bytes);
	FUZZ_CHECK((st.st_mode & 07777) == 0600);
	for (size_t i = 0; i < n_forged; i++)
		FUZZ_CHECK(all[i].fd < 0 || all[i].st.st_ino != st.st_ino);
	if (old.is_whole && old.has_state) {
		FUZZ_CHECK(st.st_ino == old.st.st_ino);
		FUZZ_CHECK(strcmp(path, old.path) == 0);
		FUZZ_CHECK(strcmp(base + old.mark_off, MARK) == 0);
	}
}

static void check_victim(void)
{
	struct stat st;

	FUZZ_CHECK(lstat(victim, &st) == 0 && st.st_size == 1 && st.st_nlink == 1);
}

static void clean_up(void)
{
	for (size_t i = 0; i < n_forged; i++)
		if (all[i].fd >= 0)
			close(all[i].fd);
	n_forged = 0;
	remove_from(SHM, is_of_segment);
	remove_from(folder, is_state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	int fd;

	if (!server.conf)
		start();
	fd = open(victim, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);

	be_a_daemon(fuzz_u8(&input) & 1);
	while (input.size > 0 && n_forged < MAX_FORGED)
		step(&input);
	open_host();
	check_current();
	for (int i = 0; i < 3; i++)
		event_base_loop(server.base, EVLOOP_NONBLOCK);
	FUZZ_CHECK(host->current);
	check_current();
	for (size_t i = 0; i < n_forged; i++)
		check_forged(&all[i]);
	check_victim();
	close_host();
	clean_up();
	return 0;
}
