/* SPDX-License-Identifier: MIT */
/*
 * fuzz-state.c - any bytes as the state file of a generation
 *
 * input: a byte; if it is odd, the rest is the file. Else the file is a whole one, and the rest
 * are changes of it: where (16 bits, wrapping), and the new byte; the last one may cut it.
 *
 * Whatever comes, it is refused, or what it says can be used: the shape can be laid out in the
 * object, and every record read and written.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/segments/state.h"
#include "fuzz.h"
#include "leftover.h"
#include "shm/geometry.h"

#define FILE_NAME "fuzz.7.state"
#define MAX_BYTES 65536

static char path[LEFTOVER_FOLDER_BYTES];
static int folder = -1;
static unsigned char whole[MAX_BYTES];	/* a file as it should be */
static size_t whole_size;

static void remove_folder(void)
{
	unlinkat(folder, FILE_NAME, 0);
	rmdir(path);
}

static void make_whole(void)
{
	const struct segment_identity identity = {
		.generation = 7, .segment_id = 77, .generation_seed = 1,
	};
	struct state_object objects[GEOMETRY_N_OBJECTS] = {
		{ .shm_name = "/mempool-fuzz.7.0123456789abcdef.fedcba9876543210" },
		{ .shm_name = "/mempool-fuzz.7.0123456789abcdef.fedcba9876543210.data" },
	};
	const struct state_holder holder = { .process = { .pid = 1 }, .nonce = 1, .name = "fuzz" };
	struct config shape;
	struct state *state;
	int fd;

	FUZZ_CHECK(config_init(&shape, "fuzz") == 0);
	shape.max_clients = 10;
	FUZZ_CHECK(config_add_pool(&shape, 100, 10) == 0);
	FUZZ_CHECK(config_add_pool(&shape, 1000, 3) == 0);
	FUZZ_CHECK(config_add_ring(&shape, "queue", MEMPOOL_RING_QUEUE, 4) == 0);
	FUZZ_CHECK(config_add_ring(&shape, "topic", MEMPOOL_RING_TOPIC, 2) == 0);
	shape.rings[1].flags = MEMPOOL_RING_STAMPS;
	objects[0].size_bytes = objects[1].size_bytes = segment_size_bytes(&shape);
	FUZZ_CHECK(state_create(folder, &shape, &identity, objects, &state) == 0);
	state_admit(state, 5, &holder);
	state_admit(state, 6, &holder);
	state_end(state, 6);
	state_free(state);
	config_deinit(&shape);

	fd = openat(folder, FILE_NAME, O_RDONLY | O_CLOEXEC);
	whole_size = (size_t)read(fd, whole, sizeof(whole));
	close(fd);
	FUZZ_CHECK(whole_size > 0 && whole_size < sizeof(whole));
}

static void start(void)
{
	leftover_make_folder(path);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FUZZ_CHECK(folder >= 0);
	atexit(remove_folder);
	make_whole();
}

static void write_file(const void *bytes, size_t size)
{
	int fd = openat(folder, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

static void write_changed(struct fuzz_input *input)
{
	static unsigned char changed[MAX_BYTES];
	size_t size = whole_size;

	memcpy(changed, whole, whole_size);
	while (input->size > 3) {
		size_t at = fuzz_u16(input) % whole_size;

		changed[at] = fuzz_u8(input);
	}
	if (input->size > 1)
		size = fuzz_u16(input) % (whole_size + 100);
	write_file(changed, size);
}

static void check_shape(const struct state *state)
{
	struct geometry geometry;

	FUZZ_CHECK(geometry_init(&geometry, &state->shape) == 0);
	FUZZ_CHECK(geometry.control_bytes <= state->objects[GEOMETRY_CONTROL].size_bytes);
	FUZZ_CHECK(geometry.data_bytes <= state->objects[GEOMETRY_DATA].size_bytes);
	FUZZ_CHECK(geometry.n_holders == state->n_holders);
}

static void use(struct state *state)
{
	struct state_holder holder;

	FUZZ_CHECK(state->n_holders <= MEMPOOL_MAX_HOLDERS);
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		FUZZ_CHECK(segment_name_is_valid(state->objects[i].shm_name));
	if (state->is_our_layout)
		check_shape(state);
	state_is_retired(state);
	for (uint32_t id = 0; id <= state->n_holders; id++) {
		state_read(state, id, &holder);
		FUZZ_CHECK(memchr(holder.name, '\0', sizeof(holder.name)));
		if (id == state->n_holders) {
			FUZZ_CHECK(holder.state == MEMPOOL_HOLDER_FREE);
		} else if (holder.state == MEMPOOL_HOLDER_LIVE) {
			state_move_process(state, id, &holder.process);
			state_end(state, id);
		} else if (holder.state == MEMPOOL_HOLDER_REAPING) {
			state_release(state, id);
		} else {
			state_admit(state, id, &holder);
		}
	}
	state_retire(state);
	FUZZ_CHECK(state_is_retired(state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	struct state *state = NULL;
	int r;

	if (folder < 0)
		start();
	if (fuzz_u8(&input) % 2)
		write_file(input.data, input.size);
	else
		write_changed(&input);
	r = state_open(folder, FILE_NAME, &state);
	FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	FUZZ_CHECK((r == 0) == (state != NULL));
	if (r == 0)
		use(state);
	state_free(state);
	return 0;
}
