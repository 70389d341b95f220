/* SPDX-License-Identifier: MIT */
#include "daemon/segments/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/origin.h"
#include "shm/segment_memory.h"
#include "shm/shape.h"

#define STATE_MAGIC UINT64_C(0x6574617473706d0a)	/* "\nmpstate" in memory */
#define STATE_VERSION 7
#define STATE_MAX_BYTES (UINT64_C(1) << 26)		/* far more than the largest one has */

/*
 * Relaxed: the writer is this process, or one that has ended. F1 (release) pairs with that
 * end: a store is in the file only if all those before it in the program are.
 */
#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_release)

/* ---- the file ---- */

struct state_record {
	_Atomic uint64_t word;		/* state | incarnation: 32 bits each */
	_Atomic uint64_t nonce;
	_Atomic uint64_t attached_ns;
	_Atomic uint64_t start_time;
	_Atomic uint64_t pidfd_inode;
	_Atomic uint64_t boot_id[2];
	_Atomic uint64_t pid_namespace;
	_Atomic uint64_t init_start_time;
	_Atomic uint32_t pid;
	_Atomic uint32_t uid;
	_Atomic uint32_t has_membarrier;
	_Atomic uint32_t role;		/* enum mempool_welcome_role */
	_Atomic unsigned char name[MEMPOOL_NAME_BYTES];
	_Atomic uint64_t max_chunks;
	_Atomic uint64_t max_bytes;
	_Atomic uint64_t reserves;	/* a bit per pool */
	uint64_t reserved1[6];
};
static_assert(sizeof(struct state_record) == 192, "state");

struct state_file_object {
	char shm_name[MEMPOOL_SHM_NAME_BYTES];
	uint64_t device;
	uint64_t inode;
	uint64_t size_bytes;
	uint64_t backing;
};

struct state_file {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size;
	uint64_t total_size;
	_Atomic uint32_t is_retired;
	uint16_t layout_major;
	uint16_t layout_minor;
	uint32_t n_holders;
	uint32_t record_size;
	uint64_t records_off;
	struct state_file_object objects[GEOMETRY_N_OBJECTS];
	/* The identity. */
	uint64_t segment_id;
	uint64_t generation;
	uint64_t created_ns;
	uint32_t generation_seed;
	/* The shape, of that layout; its pools and rings are records of shm/shape.h. */
	uint32_t max_clients;
	uint32_t fallback;
	uint32_t n_pools;
	uint32_t n_rings;
	_Atomic uint32_t discards;
	uint64_t pools_off;
	uint64_t rings_off;
	char name[MEMPOOL_NAME_BYTES];
	struct move_journal journal;
	uint64_t published_off;
	uint8_t boot_id[16];		/* objects end with the boot that they are of */
	uint64_t page_bytes;
	uint64_t data_align;
	uint64_t traces;
	_Atomic uint64_t has_claims;
	uint64_t reserved1[31];
};
static_assert(sizeof(struct state_file) % 8 == 0, "records follow");

static_assert(sizeof(struct move_journal) == 40, "state");

static_assert(MEMPOOL_NAME_BYTES - 1 + 1 + 20 + sizeof(".state.new") <= STATE_FILE_BYTES,
	      "longest name of a state file");

void state_file_name(char ret_name[static STATE_FILE_BYTES], const char *segment_name,
		     uint64_t generation)
{
	snprintf(ret_name, STATE_FILE_BYTES, "%s.%" PRIu64 ".state", segment_name, generation);
}

const char *state_name(const struct state *state)
{
	return state->objects[GEOMETRY_CONTROL].shm_name;
}

enum segment_backing state_backing(const struct state *state)
{
	return state->objects[GEOMETRY_CONTROL].backing;
}

bool state_is_of_this_boot(const struct state *state)
{
	struct origin origin;

	origin_init(&origin);
	return memcmp(state->file->boot_id, origin.boot_id, sizeof(origin.boot_id)) == 0;
}

void state_free(struct state *state)
{
	if (!state)
		return;
	if (state->file)
		munmap(state->file, state->size_bytes);
	config_deinit(&state->shape);
	free(state);
}

/* ---- create ---- */

static void set_word(struct state_record *record, enum mempool_holder_state holder_state,
		     uint32_t incarnation)
{
	SET(record->word, (uint64_t)holder_state << 32 | incarnation);
}

static void put_object(struct state_file_object *to, const struct state_object *object)
{
	*to = (struct state_file_object){
		.device = object->device,
		.inode = object->inode,
		.size_bytes = object->size_bytes,
		.backing = object->backing,
	};
	memcpy(to->shm_name, object->shm_name, sizeof(to->shm_name));
}

static void get_object(const struct state_file_object *from, struct state_object *ret_object)
{
	*ret_object = (struct state_object){
		.device = from->device,
		.inode = from->inode,
		.size_bytes = from->size_bytes,
		.backing = (enum segment_backing)from->backing,
	};
	memcpy(ret_object->shm_name, from->shm_name, sizeof(ret_object->shm_name));
}

/* All of it, into zeroed memory. */
static void put_file(struct state *state, const struct config *shape,
		     const struct segment_identity *identity,
		     const struct state_object *objects)
{
	struct state_file *file = state->file;
	struct origin origin;

	*file = (struct state_file){
		.magic = STATE_MAGIC,
		.version = STATE_VERSION,
		.header_size = sizeof(*file),
		.total_size = state->size_bytes,
		.layout_major = MEMPOOL_LAYOUT_MAJOR,
		.layout_minor = MEMPOOL_LAYOUT_MINOR,
		.n_holders = state->n_holders,
		.record_size = sizeof(struct state_record),
		.records_off = sizeof(*file),
		.segment_id = identity->segment_id,
		.generation = identity->generation,
		.created_ns = identity->created_ns,
		.generation_seed = identity->generation_seed,
		.max_clients = (uint32_t)shape->max_clients,
		.fallback = shape->fallback,
		.n_pools = (uint32_t)shape->n_pools,
		.n_rings = (uint32_t)shape->n_rings,
		.page_bytes = shape->page_bytes,
		.data_align = shape->data_align,
		.traces = shape->traces,
	};
	state->records = (void *)((unsigned char *)file + file->records_off);
	file->pools_off = file->records_off + (uint64_t)file->n_holders * file->record_size;
	file->rings_off = file->pools_off + file->n_pools * sizeof(struct mempool_shape_pool);
	file->published_off = file->rings_off + file->n_rings * sizeof(struct mempool_shape_ring);
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		put_object(&file->objects[i], &objects[i]);
	memcpy(file->name, shape->name, sizeof(file->name));
	origin_init(&origin);
	memcpy(file->boot_id, origin.boot_id, sizeof(file->boot_id));
	shape_put_pools(shape, (unsigned char *)file + file->pools_off);
	shape_put_rings(shape, (unsigned char *)file + file->rings_off);
	for (uint32_t id = 0; id < file->n_holders; id++)
		set_word(&state->records[id], MEMPOOL_HOLDER_FREE, 1);
}

static int map_new(int fd, struct state *state)
{
	void *base;
	int r;

	r = segment_take_space(fd, state->size_bytes, NULL, NULL);
	if (r < 0)
		return r;
	base = mmap(NULL, state->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	state->file = base;
	return 0;
}

static int read_file(struct state *state);

static int create_as(int folder, const char *new_name, struct state *state,
		     const struct config *shape, const struct segment_identity *identity,
		     const struct state_object *objects)
{
	int fd = openat(folder, new_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	int r;

	if (fd < 0)
		return -errno;
	r = map_new(fd, state);
	close(fd);
	if (r == 0) {
		put_file(state, shape, identity, objects);
		/* As whoever comes after us will read it. */
		r = read_file(state);
	}
	if (r == 0 && renameat(folder, new_name, folder, state->file_name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder, new_name, 0);
	return r;
}

int state_create(int folder, const struct config *shape, const struct segment_identity *identity,
		 const struct state_object objects[static GEOMETRY_N_OBJECTS],
		 struct state **ret_state)
{
	struct state *state = calloc(1, sizeof(*state));
	char new_name[STATE_FILE_BYTES + sizeof(".new")];
	int r;

	if (!state)
		return -ENOMEM;
	state_file_name(state->file_name, shape->name, identity->generation);
	state->n_holders = config_n_holders(shape);
	state->size_bytes = sizeof(struct state_file) +
			    (uint64_t)state->n_holders * sizeof(struct state_record) +
			    shape->n_pools * sizeof(struct mempool_shape_pool) +
			    shape->n_rings * (sizeof(struct mempool_shape_ring) + sizeof(uint32_t));
	snprintf(new_name, sizeof(new_name), "%s.new", state->file_name);
	/* Of a daemon that was killed meanwhile; nobody else may write here. */
	unlinkat(folder, new_name, 0);
	r = create_as(folder, new_name, state, shape, identity, objects);
	if (r < 0)
		state_free(state);
	else
		*ret_state = state;
	return r;
}

/* ---- open ---- */

/* Whether n things of a size stand in the file behind the header. */
static bool fits(const struct state_file *header, uint64_t off, uint64_t n, uint64_t size)
{
	return off % 8 == 0 && off >= sizeof(*header) && off <= header->total_size &&
	       n <= (header->total_size - off) / size;
}

static bool is_object(const struct state_file_object *object)
{
	return object->size_bytes > 0 && object->size_bytes <= INT64_MAX &&
	       object->backing <= SEGMENT_MEMFD &&
	       memchr(object->shm_name, '\0', sizeof(object->shm_name)) &&
	       segment_name_is_valid(object->shm_name);
}

static int check_header(const struct state_file *header, uint64_t size_bytes)
{
	if (header->magic != STATE_MAGIC)
		return -EBADMSG;
	if (header->version != STATE_VERSION)
		return -EPROTONOSUPPORT;
	if (header->header_size != sizeof(*header) || header->total_size != size_bytes ||
	    header->record_size != sizeof(struct state_record) ||
	    header->n_holders > MEMPOOL_MAX_HOLDERS ||
	    !fits(header, header->records_off, header->n_holders, header->record_size) ||
	    header->generation == 0 || !is_object(&header->objects[GEOMETRY_CONTROL]) ||
	    !is_object(&header->objects[GEOMETRY_DATA]) ||
	    header->objects[GEOMETRY_DATA].backing != header->objects[GEOMETRY_CONTROL].backing ||
	    !memchr(header->name, '\0', sizeof(header->name)) ||
	    !config_name_is_valid(header->name))
		return -EBADMSG;
	return 0;
}

static int read_shape(const struct state_file *header, const unsigned char *base,
		      struct config *shape)
{
	struct geometry geometry;
	int r;

	if (header->n_pools > MEMPOOL_MAX_DATA_POOLS || header->n_rings > MEMPOOL_MAX_RINGS ||
	    !fits(header, header->pools_off, header->n_pools, sizeof(struct mempool_shape_pool)) ||
	    !fits(header, header->rings_off, header->n_rings, sizeof(struct mempool_shape_ring)) ||
	    config_init(shape, header->name) < 0)
		return -EBADMSG;
	shape->max_clients = header->max_clients;
	shape->fallback = header->fallback != 0;
	shape->page_bytes = header->page_bytes;
	shape->data_align = header->data_align;
	shape->traces = header->traces != 0;
	r = shape_get_pools(base + header->pools_off, header->n_pools, shape);
	if (r == 0)
		r = shape_get_rings(base + header->rings_off, header->n_rings, shape);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	if (geometry_init(&geometry, shape) < 0 || geometry.n_holders != header->n_holders ||
	    geometry.control_bytes > header->objects[GEOMETRY_CONTROL].size_bytes ||
	    geometry.data_bytes > header->objects[GEOMETRY_DATA].size_bytes)
		return -EBADMSG;
	return 0;
}

/* Fill the private copy from what is mapped. */
static int read_file(struct state *state)
{
	unsigned char *base = (unsigned char *)state->file;
	struct state_file header;
	int r;

	memcpy(&header, state->file, sizeof(header));
	r = check_header(&header, state->size_bytes);
	if (r < 0)
		return r;
	state->records = (void *)(base + header.records_off);
	state->n_holders = header.n_holders;
	state_file_name(state->file_name, header.name, header.generation);
	memcpy(state->segment_name, header.name, sizeof(header.name));
	state->identity = (struct segment_identity){
		.generation = header.generation,
		.segment_id = header.segment_id,
		.created_ns = header.created_ns,
		.generation_seed = header.generation_seed,
	};
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		get_object(&header.objects[i], &state->objects[i]);
	state->journal = &state->file->journal;
	state->is_our_layout = header.layout_major == MEMPOOL_LAYOUT_MAJOR;
	if (!state->is_our_layout)
		return 0;
	r = read_shape(&header, base, &state->shape);
	if (r == 0 && !fits(&header, header.published_off, header.n_rings, sizeof(uint32_t)))
		r = -EBADMSG;
	state->n_published = (void *)(base + header.published_off);
	return r;
}

static int map_existing(int fd, struct state *state)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (uint64_t)st.st_size < sizeof(struct state_file) ||
	    (uint64_t)st.st_size > STATE_MAX_BYTES)
		return -EBADMSG;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	state->file = base;
	state->size_bytes = (uint64_t)st.st_size;
	return 0;
}

int state_open(int folder, const char *file_name, struct state **ret_state)
{
	struct state *state;
	int fd, r;

	fd = openat(folder, file_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	state = calloc(1, sizeof(*state));
	r = state ? map_existing(fd, state) : -ENOMEM;
	close(fd);
	if (r == 0)
		r = read_file(state);
	/* A copy of another one would speak of that one's object. */
	if (r == 0 && strcmp(state->file_name, file_name) != 0)
		r = -EBADMSG;
	if (r < 0)
		state_free(state);
	else
		*ret_state = state;
	return r;
}

int state_unlink(int folder, const struct state *state)
{
	return unlinkat(folder, state->file_name, 0) < 0 ? -errno : 0;
}

/* ---- the generation ---- */

bool state_is_retired(const struct state *state)
{
	return GET(state->file->is_retired) != 0;
}

void state_retire(struct state *state)
{
	SET(state->file->is_retired, 1);
}

bool state_discards(const struct state *state)
{
	return GET(state->file->discards) != 0;
}

void state_discard(struct state *state)
{
	SET(state->file->discards, 1);
}

bool state_has_claims(const struct state *state)
{
	return GET(state->file->has_claims) != 0;
}

void state_set_claims(struct state *state, bool has_claims)
{
	SET(state->file->has_claims, has_claims);
}

/* ---- records ---- */

static void read_process(const struct state_record *record, struct process *process)
{
	uint64_t boot_id[2] = { GET(record->boot_id[0]), GET(record->boot_id[1]) };

	*process = (struct process){
		.pid = (pid_t)GET(record->pid),
		.start_time = GET(record->start_time),
		.inode = GET(record->pidfd_inode),
		.origin = {
			.pid_namespace = GET(record->pid_namespace),
			.init_start_time = GET(record->init_start_time),
		},
	};
	memcpy(process->origin.boot_id, boot_id, sizeof(boot_id));
}

static void write_process(struct state_record *record, const struct process *process)
{
	uint64_t boot_id[2];

	memcpy(boot_id, process->origin.boot_id, sizeof(boot_id));
	SET(record->boot_id[0], boot_id[0]);
	SET(record->boot_id[1], boot_id[1]);
	SET(record->pid_namespace, process->origin.pid_namespace);
	SET(record->init_start_time, process->origin.init_start_time);
	SET(record->start_time, process->start_time);
	SET(record->pidfd_inode, process->inode);
	SET(record->pid, (uint32_t)process->pid);
}

void state_read(const struct state *state, uint32_t id, struct state_holder *ret_holder)
{
	const struct state_record *record;
	uint64_t word;

	*ret_holder = (struct state_holder){ .state = MEMPOOL_HOLDER_FREE };
	if (id >= state->n_holders)
		return;
	record = &state->records[id];
	word = GET(record->word);
	ret_holder->incarnation = (uint32_t)word;
	if (word >> 32 != MEMPOOL_HOLDER_LIVE && word >> 32 != MEMPOOL_HOLDER_REAPING)
		return;
	ret_holder->state = (enum mempool_holder_state)(word >> 32);
	ret_holder->uid = GET(record->uid);
	ret_holder->nonce = GET(record->nonce);
	ret_holder->attached_ns = GET(record->attached_ns);
	ret_holder->has_membarrier = GET(record->has_membarrier) != 0;
	ret_holder->reserves = GET(record->reserves);
	ret_holder->role = GET(record->role) == MEMPOOL_WELCOME_MEMBER ? MEMPOOL_WELCOME_MEMBER
								       : MEMPOOL_WELCOME_READER;
	ret_holder->bound = (struct holder_bound){ GET(record->max_chunks), GET(record->max_bytes) };
	read_process(record, &ret_holder->process);
	for (size_t i = 0; i < sizeof(ret_holder->name) - 1; i++) {
		unsigned char c = GET(record->name[i]);

		if (c == '\0')
			break;
		ret_holder->name[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
}

uint32_t state_admit(struct state *state, uint32_t id, const struct state_holder *holder)
{
	struct state_record *record = &state->records[id];
	uint32_t incarnation = (uint32_t)GET(record->word);

	SET(record->nonce, holder->nonce);
	SET(record->attached_ns, holder->attached_ns);
	SET(record->uid, holder->uid);
	SET(record->has_membarrier, holder->has_membarrier);
	SET(record->role, (uint32_t)holder->role);
	SET(record->max_chunks, holder->bound.max_chunks);
	SET(record->max_bytes, holder->bound.max_bytes);
	SET(record->reserves, holder->reserves);
	for (size_t i = 0; i < sizeof(holder->name); i++)
		SET(record->name[i], (unsigned char)holder->name[i]);
	write_process(record, &holder->process);
	set_word(record, MEMPOOL_HOLDER_LIVE, incarnation);
	return incarnation;
}

void state_move_process(struct state *state, uint32_t id, const struct process *process)
{
	struct state_record *record = &state->records[id];

	/* First out, last in. */
	SET(record->pid, 0);
	write_process(record, process);
}

void state_set_start_time(struct state *state, uint32_t id, uint64_t start_time)
{
	SET(state->records[id].start_time, start_time);
}

void state_lose_membarrier(struct state *state, uint32_t id)
{
	SET(state->records[id].has_membarrier, 0);
}

void state_end(struct state *state, uint32_t id)
{
	struct state_record *record = &state->records[id];

	set_word(record, MEMPOOL_HOLDER_REAPING, (uint32_t)GET(record->word));
}

void state_release(struct state *state, uint32_t id)
{
	struct state_record *record = &state->records[id];

	set_word(record, MEMPOOL_HOLDER_FREE, (uint32_t)GET(record->word) + 1);
}
