/* SPDX-License-Identifier: MIT */
/*
 * fuzz-orphans.c - any files under our names, beside a segment and its state file
 *
 * input: what is done to the segment's object (its size, and bytes of its head), then files
 * beside it, one after another: of what kind, of which house, which generation, how large, with
 * which head, and whether somebody has one of its locks. Then a daemon starts there.
 *
 * Whatever stands there, the segment is adopted as its state file has it, or lost if it is too
 * short; it keeps its name; what is of another house, or no file of ours, or locked, is left;
 * all else of our house is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/segments/adopt.h"
#include "daemon/segments/orphan.h"
#include "daemon/segments/store.h"
#include "fuzz.h"
#include "mempool_layout.h"

#define HOUSE "0123456789abcdef"
#define OTHER_HOUSE "fedcba9876543210"
#define GENERATION 7
#define MAX_FILES 8
#define MAX_SIZE 8192
#define PATH_BYTES (MEMPOOL_SHM_NAME_BYTES + 16)

enum kind {
	KIND_FILE,
	KIND_LINK,			/* one more name of the segment */
	KIND_SYMLINK,			/* to the segment */
	KIND_PIPE,
	KIND_FOLDER,
	N_KINDS,
};

struct neighbour {
	char path[PATH_BYTES];
	enum kind kind;
	bool is_of_our_house;
	int lock_fd;			/* who has a lock of it; -1: nobody */
	bool must_stay;
};

static char folder_path[] = "/tmp/mempool-fuzz-XXXXXX";
static char segment_name[MEMPOOL_NAME_BYTES];
static struct house house = { .folder = -1, .lock = -1, .id = HOUSE };
static struct config shape;

static void remove_folder(void)
{
	rmdir(folder_path);
}

static void start(void)
{
	log_set_level(LOG_EMERG);
	FUZZ_CHECK(mkdtemp(folder_path));
	house.path = folder_path;
	house.folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(house.folder >= 0);
	atexit(remove_folder);
	snprintf(segment_name, sizeof(segment_name), "fuzz-%d", (int)getpid());
	FUZZ_CHECK(config_init(&shape, segment_name) == 0);
	shape.max_clients = 10;
	FUZZ_CHECK(config_add_pool(&shape, 100, 10) == 0);
}

static void path_of(char ret_path[static PATH_BYTES], const char *shm_name)
{
	snprintf(ret_path, PATH_BYTES, "/dev/shm%s", shm_name);
}

/* ---- the segment ---- */

static struct state *make_segment(char ret_path[static PATH_BYTES])
{
	const struct segment_identity identity = {
		.generation = GENERATION, .segment_id = 77, .generation_seed = 1,
	};
	struct state_object object = { .size_bytes = segment_size_bytes(&shape) };
	struct state *state;
	struct stat st;
	int fd;

	FUZZ_CHECK(store_name(object.shm_name, "", segment_name, GENERATION, HOUSE) == 0);
	FUZZ_CHECK(store_make("", object.shm_name, &fd) == 0);
	FUZZ_CHECK(ftruncate(fd, (off_t)object.size_bytes) == 0);
	FUZZ_CHECK(store_link(fd, object.shm_name) == 0);
	FUZZ_CHECK(fstat(fd, &st) == 0);
	close(fd);
	object.device = st.st_dev;
	object.inode = st.st_ino;
	FUZZ_CHECK(state_create(house.folder, &shape, &identity, &object, &state) == 0);
	path_of(ret_path, object.shm_name);
	return state;
}

static void write_head(struct fuzz_input *input, int fd)
{
	unsigned char head[sizeof(struct mempool_header)];
	size_t n = fuzz_u8(input);

	/* Most that is looked at is behind the magic. */
	if (n % 2) {
		const uint64_t magic = MEMPOOL_MAGIC;

		FUZZ_CHECK(pwrite(fd, &magic, sizeof(magic), 0) == sizeof(magic));
	}
	for (size_t i = 0; i < n && i < sizeof(head); i++)
		head[i] = fuzz_u8(input);
	FUZZ_CHECK(pwrite(fd, head, n < sizeof(head) ? n : sizeof(head), n % 2 * 8) >= 0);
}

/* As a member can. Return: whether it is too short now. */
static bool spoil(struct fuzz_input *input, const char *path, uint64_t size_bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t how = fuzz_u8(input);
	struct stat st;

	FUZZ_CHECK(fd >= 0);
	if (how & 1)
		write_head(input, fd);
	if (how & 2)
		FUZZ_CHECK(ftruncate(fd, (off_t)(fuzz_u16(input) % (2 * size_bytes))) == 0);
	if (how & 4)
		FUZZ_CHECK(ftruncate(fd, INT64_C(1) << (20 + fuzz_u8(input) % 30)) == 0);
	FUZZ_CHECK(fstat(fd, &st) == 0);
	close(fd);
	return (uint64_t)st.st_size < size_bytes;
}

/* ---- beside it ---- */

static void lock(struct neighbour *neighbour, uint8_t byte)
{
	struct flock what = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
	};

	neighbour->lock_fd = open(neighbour->path, O_RDONLY | O_CLOEXEC);
	FUZZ_CHECK(neighbour->lock_fd >= 0);
	FUZZ_CHECK(fcntl(neighbour->lock_fd, F_OFD_SETLK, &what) == 0);
}

static void make_file(struct fuzz_input *input, struct neighbour *neighbour)
{
	int fd = open(neighbour->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t locked;

	FUZZ_CHECK(fd >= 0);
	write_head(input, fd);
	FUZZ_CHECK(ftruncate(fd, fuzz_u16(input) % MAX_SIZE) == 0);
	close(fd);
	locked = fuzz_u8(input);
	if (locked % 2)
		lock(neighbour, locked / 2);
	neighbour->must_stay = !neighbour->is_of_our_house || neighbour->lock_fd >= 0;
}

static void make_neighbour(struct fuzz_input *input, struct neighbour *neighbour, int i,
			   const char *segment_path)
{
	uint8_t what = fuzz_u8(input);
	int r = 0;

	neighbour->kind = what % N_KINDS;
	neighbour->is_of_our_house = what & 0x80;
	neighbour->lock_fd = -1;
	snprintf(neighbour->path, sizeof(neighbour->path),
		 "/dev/shm/mempool-%s.%" PRIu32 ".%s.%016x", segment_name,
		 fuzz_u32(input) % 10 + 1, neighbour->is_of_our_house ? HOUSE : OTHER_HOUSE, i);
	/* No file of ours, whatever it is called. */
	neighbour->must_stay = true;
	switch (neighbour->kind) {
	case KIND_FILE:
		make_file(input, neighbour);
		break;
	case KIND_LINK:
		r = link(segment_path, neighbour->path);
		neighbour->must_stay = !neighbour->is_of_our_house;
		break;
	case KIND_SYMLINK:
		r = symlink(segment_path, neighbour->path);
		break;
	case KIND_PIPE:
		r = mkfifo(neighbour->path, 0600);
		break;
	case KIND_FOLDER:
		r = mkdir(neighbour->path, 0700);
		break;
	case N_KINDS:
		break;
	}
	FUZZ_CHECK(r == 0);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void check_neighbour(const struct neighbour *neighbour)
{
	FUZZ_CHECK(exists(neighbour->path) == neighbour->must_stay);
	if (neighbour->lock_fd >= 0)
		close(neighbour->lock_fd);
	if (neighbour->kind == KIND_FOLDER)
		rmdir(neighbour->path);
	else
		unlink(neighbour->path);
}

/* ---- a daemon starts ---- */

static void check_adoption(const struct adoption *adoption, const char *path, bool is_short)
{
	const struct state_object *object = &adoption->file->object;
	struct stat st;

	FUZZ_CHECK(adoption->is_lost == is_short);
	FUZZ_CHECK(is_short || adoption->segment);
	FUZZ_CHECK(stat(path, &st) == 0 && st.st_ino == object->inode);
	FUZZ_CHECK(is_short ? (uint64_t)st.st_size < object->size_bytes
			    : (uint64_t)st.st_size == object->size_bytes);
}

static void run(struct fuzz_input *input, const char *path, uint64_t size_bytes)
{
	struct house_entry entry = { .generation = GENERATION };
	struct neighbour neighbours[MAX_FILES];
	struct orphan_known known = { .generation = GENERATION };
	char text[ADOPT_TEXT_BYTES];
	struct adoption adoption;
	bool is_short = spoil(input, path, size_bytes);
	int n = fuzz_u8(input) % (MAX_FILES + 1);

	for (int i = 0; i < n; i++)
		make_neighbour(input, &neighbours[i], i, path);
	state_file_name(entry.file_name, segment_name, GENERATION);
	FUZZ_CHECK(adopt_open(&house, &entry, &adoption, text) == 0);
	check_adoption(&adoption, path, is_short);
	known.object = &adoption.file->object;
	FUZZ_CHECK(orphans_clear(&house, segment_name, &known, 1, fuzz_u8(input) % 2) <= 0);
	check_adoption(&adoption, path, is_short);
	for (int i = 0; i < n; i++)
		check_neighbour(&neighbours[i]);
	FUZZ_CHECK(adopt_remove(&house, adoption.file) == 0);
	FUZZ_CHECK(!exists(path));
	adopt_deinit(&adoption);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	char path[PATH_BYTES];
	struct state *state;
	uint64_t size_bytes;

	if (house.folder < 0)
		start();
	state = make_segment(path);
	size_bytes = state->object.size_bytes;
	state_free(state);
	run(&input, path, size_bytes);
	return 0;
}
