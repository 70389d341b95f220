/* SPDX-License-Identifier: MIT */
/*
 * fuzz-objects.c - any objects beside the state file, at a start
 *
 * A daemon has been there: its objects, control and data, stand in /dev/shm, with a state file, and
 * perhaps with a client that lives. Then somebody makes files of the same form of name: of our house
 * or of another one, of any type, size and content, locked or not, data of a control that is there or
 * of none; or changes one of the objects itself, or the state file is lost. Then the next daemon
 * starts.
 *
 * input: a byte of flags; then steps, a byte each, with what they ask for behind.
 *
 * Whatever stands there, the segment is served. The objects that the state file speaks of are
 * adopted if they are whole. What is not ours stays as it is: of another house or user, no regular
 * file, locked; and data as long as its control stands. Nothing is ever emptied, and no byte of data
 * is written, whatever it looks like.
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
	bool is_named_as_ours;		/* by the name alone */
	bool is_ours;			/* by house, type and user */
	bool is_data;			/* by its name */
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

/* The objects of the daemon before, and what has become of them. */
static struct {
	struct {
		char path[PATH_BYTES];
		struct stat st;
	} objects[GEOMETRY_N_OBJECTS];
	char state_path[PATH_BYTES];
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
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		snprintf(old.objects[i].path, sizeof(old.objects[i].path), SHM "%s",
			 generation->file->objects[i].shm_name);
		FUZZ_CHECK(stat(old.objects[i].path, &old.objects[i].st) == 0);
	}
	snprintf(old.state_path, sizeof(old.state_path), "%s/%s", folder,
		 generation->file->file_name);
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

/* Data of one that was forged before. */
static bool draw_partner(struct fuzz_input *input, struct forged *forged)
{
	const struct forged *control = n_forged ? &all[fuzz_u8(input) % n_forged] : NULL;
	const size_t length = control ? strlen(control->path) : 0;
	struct stat st;

	if (!control || control->is_data ||
	    length + sizeof(MEMPOOL_SHM_DATA_SUFFIX) > PATH_BYTES)
		return false;
	memcpy(forged->path, control->path, length);
	memcpy(forged->path + length, MEMPOOL_SHM_DATA_SUFFIX, sizeof(MEMPOOL_SHM_DATA_SUFFIX));
	forged->is_data = control->is_named_as_ours;
	forged->is_named_as_ours = forged->is_data;
	return lstat(forged->path, &st) < 0;
}

/* A name like ours, or almost. */
static void draw_name(struct fuzz_input *input, struct forged *forged)
{
	uint8_t how = fuzz_u8(input);
	bool is_data = (how & 0x0c) == 0x08;
	uint64_t generation = how & 0x80 ? fuzz_u64(input) : how % 4;
	const char *house = how & 0x10 ? "0123456789abcdef" : server.house.id;
	const char *ends[] = { "0", ".new", ".", "\033[2J" };
	const char *end = is_data      ? MEMPOOL_SHM_DATA_SUFFIX
			  : how & 0x0c ? ""
				       : ends[how >> 5 & 3];

	if (is_data && (how & 0x60) == 0x60 && draw_partner(input, forged))
		return;
	snprintf(forged->path, PATH_BYTES, SHM "/mempool-%s.%llu.%s.%016zx%s", segment,
		 (unsigned long long)generation, house, n_forged, end);
	forged->is_data = is_data;
	forged->is_named_as_ours = !(how & 0x10) && (is_data || !*end) && generation != 0;
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
		fuzz_change(input, &header, 128);
	FUZZ_CHECK(write(fd, &header, sizeof(header)) == sizeof(header));
}

static off_t draw_size(struct fuzz_input *input)
{
	static const off_t sizes[] = { 0, 1, 4095, 4096, 65536, (off_t)1 << 40 };
	uint8_t which = fuzz_u8(input);

	return which & 0x80 ? old.objects[which & 1].st.st_size : sizes[which % 6];
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
		r = symlink(old.objects[which / 7 % GEOMETRY_N_OBJECTS].path, path);
		break;
	default:
		/* /dev/full, of which root alone may make one more. */
		r = mknod(path, S_IFCHR | 0666, makedev(1, 7));
		if (r < 0)
			r = mkdir(path, 0);
	}
	FUZZ_CHECK(r == 0);
}

/* One more name for an object, if it still has its own. */
static bool link_to_old(enum geometry_object which, const char *path)
{
	struct stat st;

	return lstat(old.objects[which].path, &st) == 0 &&
	       st.st_ino == old.objects[which].st.st_ino &&
	       link(old.objects[which].path, path) == 0;
}

static bool is_old(ino_t inode)
{
	return inode == old.objects[GEOMETRY_CONTROL].st.st_ino ||
	       inode == old.objects[GEOMETRY_DATA].st.st_ino;
}

static void forge(struct fuzz_input *input)
{
	struct forged *forged = &all[n_forged];
	uint8_t kind = fuzz_u8(input);

	*forged = (struct forged){ .fd = -1 };
	draw_name(input, forged);
	forged->is_ours = forged->is_named_as_ours;
	if (kind % 3 == 0)
		make_special(forged, kind / 3);
	else if (kind % 16 != 1 || !link_to_old(kind / 128, forged->path))
		make_regular(forged, input);
	look_at(forged);
	n_forged++;
}

/* ---- what is done to the objects, and to the state file ---- */

static void replace_object(struct fuzz_input *input, enum geometry_object which)
{
	struct forged *forged = &all[n_forged];

	*forged = (struct forged){
		.fd = -1,
		.is_named_as_ours = true,
		.is_ours = true,
		.is_data = which == GEOMETRY_DATA,
	};
	snprintf(forged->path, sizeof(forged->path), "%s", old.objects[which].path);
	if (unlink(forged->path) < 0)
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
	const uint8_t how = fuzz_u8(input);
	const enum geometry_object which = how / 5 % GEOMETRY_N_OBJECTS;
	const char *path = old.objects[which].path;
	const off_t size = old.objects[which].st.st_size;
	struct stat st;

	/* Once, so that what stands there is known; and no longer where something else does. */
	if (!old.is_whole || lstat(path, &st) < 0)
		return;
	switch (how % 5) {
	case 0:
		FUZZ_CHECK(truncate(path, fuzz_u32(input) % size) == 0);
		old.is_whole = false;
		break;
	case 1:
		FUZZ_CHECK(truncate(path, size + 1 + fuzz_u32(input)) == 0);
		break;
	case 2:
		FUZZ_CHECK(chmod(path, fuzz_u16(input) & 07777) == 0);
		break;
	case 3:
		unlink(path);
		old.is_whole = false;
		break;
	case 4:
		replace_object(input, which);
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
	/* Of our own control may say that it is stale. */
	if (forged->is_ours && !forged->is_data)
		memcpy(now + state, forged->begin + state, sizeof(uint32_t));
	FUZZ_CHECK(memcmp(now, forged->begin, LOOK_BYTES) == 0);
}

/* Whether control of the same name is left: a client may show there that it lives. */
static bool has_control(const struct forged *data)
{
	char path[PATH_BYTES];
	struct stat st;

	snprintf(path, sizeof(path), "%.*s",
		 (int)(strlen(data->path) - strlen(MEMPOOL_SHM_DATA_SUFFIX)), data->path);
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();
}

static void check_forged(const struct forged *forged)
{
	struct stat st;
	bool is_there = lstat(forged->path, &st) == 0 && st.st_ino == forged->st.st_ino;

	if (forged->fd >= 0)
		check_content(forged);
	if (!forged->is_ours || forged->is_locked || (forged->is_data && has_control(forged)))
		FUZZ_CHECK(is_there);
	/* Unless a state file that cannot be read may speak of it. */
	else if (old.has_state)
		FUZZ_CHECK(!is_there);
	if (is_there && !is_old(forged->st.st_ino))
		FUZZ_CHECK(st.st_mode == forged->st.st_mode && st.st_uid == forged->st.st_uid);
}

static void check_object(const struct generation *current, enum geometry_object which)
{
	const struct state_object *object = &current->file->objects[which];
	struct stat st, named;
	char path[PATH_BYTES];

	FUZZ_CHECK(fstat(which == GEOMETRY_DATA ? current->fds.data : current->fds.control, &st) ==
		   0);
	snprintf(path, sizeof(path), SHM "%s", object->shm_name);
	FUZZ_CHECK(lstat(path, &named) == 0);
	FUZZ_CHECK(named.st_ino == st.st_ino && object->inode == st.st_ino);
	FUZZ_CHECK((uint64_t)st.st_size == object->size_bytes);
	FUZZ_CHECK((st.st_mode & 07777) == 0600);
	for (size_t i = 0; i < n_forged; i++)
		FUZZ_CHECK(all[i].fd < 0 || all[i].st.st_ino != st.st_ino);
	if (old.is_whole && old.has_state) {
		FUZZ_CHECK(st.st_ino == old.objects[which].st.st_ino);
		FUZZ_CHECK(strcmp(path, old.objects[which].path) == 0);
	}
}

static void check_current(void)
{
	const struct generation *current = host->current;
	const char *base = current->segment->memory.base;

	check_object(current, GEOMETRY_CONTROL);
	check_object(current, GEOMETRY_DATA);
	if (old.is_whole && old.has_state)
		FUZZ_CHECK(strcmp(base + old.mark_off, MARK) == 0);
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
