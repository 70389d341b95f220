/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "bound.h"
#include "build_config.h"
#include "cache.h"
#include "checker.h"
#include "ends.h"
#include "error.h"
#include "own.h"
#include "role.h"
#include "share.h"
#include "shm/barrier.h"
#include "shm/clock.h"
#include "shm/holder.h"
#include "shm/packet.h"
#include "shm/shape.h"
#include "wait.h"

/* No page is smaller. */
#define WARM_STEP_BYTES 4096

/* Of a close, between two looks at whether it has found all. */
#define CLOSE_STEP_WORDS 4096

/* A daemon that was reached at the first try may be taking memory, or sweeping: so long for all. */
#define ONE_TRY_NS INT64_C(5000000000)

/* ---- making one of a segment ---- */

static bool may_claim(const struct mempool_client *client, const struct pool *pool)
{
	return !pool->is_reserve || (client->reserves >> pool->id & 1);
}

/*
 * In which order allocations try the pools: from small to large, of one size the reserves last, so
 * that they are kept. Behind all are the reserves of others, which it never tries.
 */
static bool comes_before(const struct mempool_client *client, uint32_t a, uint32_t b)
{
	const struct pool *one = &client->segment->pools[a], *other = &client->segment->pools[b];

	if (may_claim(client, one) != may_claim(client, other))
		return may_claim(client, one);
	if (one->chunk_size != other->chunk_size)
		return one->chunk_size < other->chunk_size;
	return !one->is_reserve && other->is_reserve;
}

static void sort_pools(struct mempool_client *client)
{
	const struct pool *pools = client->segment->pools;
	uint32_t rank;

	/* By insertion, so that equal ones keep the order of the config. */
	for (uint32_t id = 0; id < client->n_pools; id++) {
		for (rank = id; rank > 0 && comes_before(client, id, client->pool_id[rank - 1]); rank--)
			client->pool_id[rank] = client->pool_id[rank - 1];
		client->pool_id[rank] = (uint8_t)id;
		client->n_claimable += may_claim(client, &pools[id]);
	}
	for (rank = 0; rank < client->n_pools; rank++)
		client->rank[client->pool_id[rank]] = (uint8_t)rank;

	/* Sizes of b bits are above 2^(b-1): no pool before the first that holds more fits. */
	for (uint32_t bits = 0; bits < 64; bits++) {
		uint64_t above = bits == 0 ? 0 : UINT64_C(1) << (bits - 1);

		for (rank = 0; rank < client->n_claimable; rank++)
			if (pools[client->pool_id[rank]].chunk_size > above)
				break;
		client->first_fit[bits] = (uint8_t)rank;
	}
}

/* As the daemon has written it, before its welcome. */
static uint32_t incarnation_of(const struct segment *segment, uint32_t id)
{
	struct holder holder;

	return holder_read(segment, id, &holder) < 0 ? 0 : holder.incarnation;
}

int client_new_as(enum mempool_role role, uint64_t reserves, struct segment *segment,
		  uint32_t holder, uint64_t flags, struct mempool_client **ret_client)
{
	struct mempool_client *client;
	int r;

	if ((holder == MEMPOOL_HOLDER_NONE) != (role == MEMPOOL_ROLE_SPECTATOR) ||
	    holder >= segment->n_holders)
		return -EINVAL;
	/* On lines of its own: threads read it in every call. */
	client = aligned_alloc(MEMPOOL_LINE_BYTES, (sizeof(*client) + MEMPOOL_LINE_BYTES - 1) &
							   ~(size_t)(MEMPOOL_LINE_BYTES - 1));
	if (!client)
		return -ENOMEM;
	*client = (struct mempool_client){
		.segment = segment,
		.holder = holder,
		.incarnation = incarnation_of(segment, holder),
		.role = role,
		.n_pools = segment->n_pools,
		.reserves = reserves,
		/* A spectator stores nothing, and is to be interrupted by nobody's barrier. */
		.seq_cst = role != MEMPOOL_ROLE_SPECTATOR && !barrier_register(),
		.checked = flags & (MEMPOOL_CLIENT_DEBUG | MEMPOOL_CLIENT_DEBUG_ABORT),
		.restarts = flags & MEMPOOL_CLIENT_RESTART,
		.tells_timeout = flags & MEMPOOL_CLIENT_TIMEDOUT,
		.fallback = segment->config.fallback,
		.yields = config_yields(&segment->config),
		.connection = CONNECTION_NULL,
		.lock_fd = -1,
		.n_references = 1,
	};
	sort_pools(client);

	r = poller_init(&client->poller, segment, holder, &client->connection);
	if (r < 0) {
		free(client);
		return r;
	}
	r = reap_init(&client->reap, segment);
	if (r == 0)
		r = share_init(client);
	if (r == 0)
		r = cache_register(client);
	/* Others write to no chunk. */
	if (r == 0 && client->checked && role == MEMPOOL_ROLE_MEMBER)
		r = checker_new(client, flags & MEMPOOL_CLIENT_DEBUG_ABORT);
	if (r < 0) {
		share_deinit(client);
		reap_deinit(&client->reap);
		poller_deinit(&client->poller, false);
		free(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

int client_new(struct segment *segment, uint32_t holder, uint64_t flags,
	       struct mempool_client **ret_client)
{
	return client_new_as(MEMPOOL_ROLE_MEMBER, 0, segment, holder, flags, ret_client);
}

struct mempool_client *client_ref(struct mempool_client *client)
{
	/* Relaxed: the caller has a reference already. */
	atomic_fetch_add_explicit(&client->n_references, 1, memory_order_relaxed);
	return client;
}

void client_unref(struct mempool_client *client)
{
	int cancel_state;

	/* C1 (acq_rel) pairs with itself: all that the others did is before the freeing. */
	if (atomic_fetch_sub_explicit(&client->n_references, 1, memory_order_acq_rel) != 1)
		return;
	/* close(2) is a cancellation point. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (client_is_forked(client))
		/* Not mapped here (MADV_DONTFORK): something else may be in its place. */
		client->segment->memory.base = NULL;
	share_deinit(client);
	own_deinit(client);
	checker_free(client);
	if (!client_is_forked(client))
		bound_deinit(client);
	reap_deinit(&client->reap);
	poller_deinit(&client->poller, client_is_forked(client));
	segment_free(client->segment);
	free(client);
	pthread_setcancelstate(cancel_state, NULL);
}

/*
 * Free what we have. With nothing to look for, no word is looked at: a close costs what the
 * client holds, not what the segment has. And it ends when all is found, however many words are
 * left; the daemon reads them all again, for whoever has told lies about itself.
 * Return: how many chunks were held.
 */
static uint64_t free_held(struct mempool_client *client)
{
	uint64_t n_held = cache_count_held(client);

	cache_flush_all(client);
	reap_add(&client->reap, client->holder);
	while (client->reap.n_held < n_held && !reap_step(&client->reap, CLOSE_STEP_WORDS))
		;
	return client->reap.n_held;
}

int client_close(struct mempool_client *client)
{
	uint64_t n_held = 0;
	int cancel_state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (client_is_forked(client)) {
		/* It watches the parent's connection. */
		client->connection.set_fd = -1;
	} else {
		role_close(client);
		ends_close(client);
		poller_close(&client->poller);
		n_held = free_held(client);
		if (client->connection.hello.nonce != 0)
			connection_bye(&client->connection, n_held);
	}
	connection_close(&client->connection);
	/* A child that never gets here goes on to show that its parent lives. */
	if (client->lock_fd >= 0)
		close(client->lock_fd);
	client->lock_fd = -1;
	cache_close(client);
	client_unref(client);
	pthread_setcancelstate(cancel_state, NULL);
	return n_held > INT32_MAX ? INT32_MAX : (int)n_held;
}

/* ---- asking the daemon for one ---- */

static bool is_name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._:@-", c));
}

static int set_name(char to[32], const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length >= 32)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (!is_name_char(name[i]))
			return -EINVAL;
	memcpy(to, name, length);
	return 0;
}

/* The program's name, with what a name may not hold replaced. */
static void set_default_name(char to[32])
{
	const char *name = program_invocation_short_name;
	size_t i;

	for (i = 0; i < 31 && name[i] != '\0'; i++)
		to[i] = is_name_char(name[i]) ? name[i] : '_';
	if (i == 0)
		to[0] = '-';
}

static int set_nonce(struct mempool_msg_hello *hello)
{
	do {
		if (getrandom(&hello->nonce, sizeof(hello->nonce), 0) < 0)
			return -errno;
	} while (hello->nonce == 0);
	return 0;
}

static int set_hello(struct mempool_msg_hello *hello,
		     const struct mempool_client_options *options)
{
	*hello = (struct mempool_msg_hello){
		.msg = packet_head(MEMPOOL_MSG_HELLO, sizeof(*hello)),
		.flags = barrier_is_there() ? MEMPOOL_HELLO_MEMBARRIER : 0,
	};

	if (options->flags & MEMPOOL_CLIENT_READ_ONLY)
		hello->flags |= MEMPOOL_HELLO_READ_ONLY;

	if (options->segment) {
		if (!config_name_is_valid(options->segment)) {
			error_say("a segment's name has 1 to 31 of A-Z a-z 0-9 _ -");
			return -EINVAL;
		}
		memcpy(hello->segment, options->segment, strlen(options->segment));
	}
	if (!options->name) {
		set_default_name(hello->name);
	} else if (set_name(hello->name, options->name) < 0) {
		error_say("a client's name has 1 to 31 of A-Z a-z 0-9 . _ : @ -");
		return -EINVAL;
	}
	return set_nonce(hello);
}

static int set_socket_path(char to[108], const char *path)
{
	if (!path)
		path = secure_getenv("MEMPOOL_SOCKET");
	if (!path || path[0] == '\0')
		path = MEMPOOL_DEFAULT_SOCKET;
	if (strlen(path) >= 108) {
		error_say("the path of the socket is longer than 107 bytes");
		return -EINVAL;
	}
	strcpy(to, path);
	return 0;
}

/*
 * Both objects, as the shape has it that the daemon says; fds are taken over.
 * Return: as segment_map_fds() and segment_view(); -EPROTO they are not as long as that.
 */
static int map_objects(const struct mempool_msg_place *place, const struct config *shape,
		       struct segment_fds fds, enum mempool_role role,
		       struct segment **ret_segment)
{
	const struct segment_identity identity = {
		.segment_id = place->segment_id,
		.generation = place->generation,
	};
	struct segment_memory memory;
	struct geometry geometry;
	int r;

	r = geometry_init(&geometry, shape);
	if (r == 0 && (geometry.control_bytes != place->control_bytes ||
		       geometry.data_bytes != place->data_bytes))
		r = -EPROTO;
	if (r < 0) {
		segment_fds_close(fds);
		return r;
	}
	r = segment_map_fds(fds, &geometry,
			    role == MEMPOOL_ROLE_SPECTATOR ? SEGMENT_READ_ONLY : SEGMENT_READ_WRITE,
			    role == MEMPOOL_ROLE_MEMBER ? SEGMENT_READ_WRITE : SEGMENT_READ_ONLY,
			    &memory);
	if (r < 0)
		return r;
	/* A write to a descriptor, by whatever mistake of the program, would be one to the header,
	 * or to a message. */
	segment_memory_close_fds(&memory);
	r = segment_view(&memory, shape, &identity, ret_segment);
	segment_memory_deinit(&memory);
	return r;
}

/* What came with the welcome, if it is that: of members, and of others who listen there, nothing is
 * believed. */
static int map_passed(const struct mempool_msg_welcome *welcome, struct packet_passed *passed,
		      struct segment **ret_segment)
{
	const bool is_spectator = welcome->role == MEMPOOL_WELCOME_SPECTATOR;
	struct segment_fds fds;
	struct config shape;
	int r;

	if (passed->n < (is_spectator ? MEMPOOL_PASSED_LOCK : MEMPOOL_PASSED_MAX))
		return passed->is_cut ? -EMFILE : -EPROTO;
	r = shape_read_file(passed->fds[MEMPOOL_PASSED_SHAPE], &shape);
	if (r < 0)
		return r;
	fds.control = packet_take(passed, MEMPOOL_PASSED_CONTROL);
	fds.data = packet_take(passed, MEMPOOL_PASSED_DATA);
	r = map_objects(&welcome->place, &shape, fds, welcome->role, ret_segment);
	config_deinit(&shape);
	if (r < 0)
		return r;
	r = segment_check_header(*ret_segment);
	if (r == 0 && !is_spectator)
		r = segment_memory_show(&(*ret_segment)->memory, passed->fds[MEMPOOL_PASSED_LOCK],
					welcome->holder);
	if (r < 0)
		segment_free(*ret_segment);
	return r;
}

/* What map_passed() tells apart, in the codes of the API. */
static int map_error(int error)
{
	switch (error) {
	/* A member has shortened it, or written over its header. */
	case -ENODATA:
	case -EUCLEAN:
		return -EBADMSG;
	case -ENOMEM:
	case -ENOLCK:
	case -EMFILE:
	case -EPROTONOSUPPORT:
		return error;
	/* No regular file, or one that cannot be mapped for writing: no mempoold passes that. */
	default:
		return -EPROTO;
	}
}

static_assert((int)MEMPOOL_WELCOME_MEMBER == (int)MEMPOOL_ROLE_MEMBER &&
	      (int)MEMPOOL_WELCOME_READER == (int)MEMPOOL_ROLE_READER &&
	      (int)MEMPOOL_WELCOME_SPECTATOR == (int)MEMPOOL_ROLE_SPECTATOR, "protocol");

/* Whether that is one of the roles, no more than was asked for, and an id that it has. */
static bool is_role(const struct connection *connection, const struct mempool_msg_welcome *welcome,
		    const struct segment *segment)
{
	switch (welcome->role) {
	case MEMPOOL_WELCOME_MEMBER:
		return !(connection->hello.flags & MEMPOOL_HELLO_READ_ONLY) &&
		       welcome->holder >= holder_first_client(segment);
	case MEMPOOL_WELCOME_READER:
		return welcome->holder >= holder_first_client(segment);
	case MEMPOOL_WELCOME_SPECTATOR:
		return welcome->holder == MEMPOOL_HOLDER_NONE;
	}
	return false;
}

static int attach(struct connection *connection, const struct mempool_msg_welcome *welcome,
		  struct packet_passed *passed, uint64_t flags, struct mempool_client **ret_client)
{
	struct mempool_client *client;
	struct segment *segment;
	int r;

	r = map_passed(welcome, passed, &segment);
	if (r < 0)
		return map_error(r);
	if (madvise(segment->memory.base, segment->memory.size, MADV_DONTFORK) < 0)
		r = -errno;
	else if (!is_role(connection, welcome, segment))
		r = -EPROTO;
	else
		r = client_new_as(welcome->role, welcome->reserves, segment, welcome->holder, flags,
				  &client);
	if (r < 0) {
		segment_free(segment);
		return r == -EINVAL ? -EPROTO : r;
	}
	/* Nothing of the segment was written yet. */
	if ((connection->hello.flags & MEMPOOL_HELLO_MEMBARRIER) && client->seq_cst) {
		client_close(client);
		return -EOPNOTSUPP;
	}
	bound_init(client, &(struct holder_bound){ welcome->max_chunks, welcome->max_bytes });
	checker_use_asan(client);
	client->lock_fd = packet_take(passed, MEMPOOL_PASSED_LOCK);
	client->connection = *connection;
	client->connection.holder = welcome->holder;
	client->connection.is_sealed = segment_memory_is_sealed(client->lock_fd);
	/* From now on we come back to this segment or to none; a spectator has nothing there that
	 * it could come back to. */
	client->connection.hello.segment_id = segment->segment_id;
	if (welcome->role == MEMPOOL_WELCOME_SPECTATOR)
		client->connection.hello.nonce = 0;
	*ret_client = client;
	return 0;
}

static int64_t deadline_of(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return PACKET_NO_DEADLINE;
	return clock_after_ns(timeout_ns == 0 ? ONE_TRY_NS : timeout_ns);
}

/* A longer struct is of a later version: fine as long as it asks for nothing we don't know. */
static bool is_zeroed_after(const struct mempool_client_options *options, size_t known)
{
	for (size_t i = known; i < options->size; i++)
		if (((const unsigned char *)options)[i] != 0)
			return false;
	return true;
}

/*
 * While the daemon makes its answer: have the pages that are needed to use it, of the heap and of
 * the stack. A process that is new gets each by a fault. Source: bench attach, 17 of 290 us.
 * Volatile: nobody reads these bytes, so the compiler would leave the stores out. It orders nothing.
 */
static void warm_up(void)
{
	const size_t heap_bytes = sizeof(struct segment) + sizeof(struct geometry) +
				  sizeof(struct mempool_client);
	volatile unsigned char stack[sizeof(struct geometry) + sizeof(struct config)];
	volatile unsigned char *heap = malloc(heap_bytes);

	for (size_t i = 0; i < sizeof(stack); i += WARM_STEP_BYTES)
		stack[i] = 0;
	for (size_t i = 0; heap && i < heap_bytes; i += WARM_STEP_BYTES)
		heap[i] = 0;
	free((void *)heap);
}

/*
 * Say hello, and be a client. Return: as mempool_client_open(); -EOPNOTSUPP the process could not
 * do what its hello says of membarrier: only who writes to the segment registers for it, and who
 * that is says the welcome.
 */
static int open_once(struct connection *connection, const struct mempool_client_options *options,
		     struct mempool_client **ret_client)
{
	struct mempool_msg_welcome welcome;
	struct packet_passed passed;
	int r, cancel_state;

	r = connection_open(connection, options->timeout_ns != 0, deadline_of(options->timeout_ns),
			    warm_up, &welcome, &passed);
	if (r < 0) {
		error_explain(r, connection->socket_path);
		return r;
	}
	/* Welcome: from here on there is something to be lost. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = attach(connection, &welcome, &passed, options->flags, ret_client);
	if (r == 0)
		(*ret_client)->spin_ns = options->spin_ns;
	packet_close_passed(&passed);
	/* If we cannot come, the holder is free again. */
	if (r < 0) {
		if (r != -EOPNOTSUPP)
			connection_unable(connection, r);
		connection_bye(connection, 0);
	}
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

#define ALL_FLAGS                                                                                  \
	(MEMPOOL_CLIENT_DEBUG | MEMPOOL_CLIENT_READ_ONLY | MEMPOOL_CLIENT_RESTART |                \
	 MEMPOOL_CLIENT_TIMEDOUT | MEMPOOL_CLIENT_DEBUG_ABORT)

/* The struct as it was before it had spin_ns. */
#define OPTIONS_SIZE_0 offsetof(struct mempool_client_options, spin_ns)

/* What the user set, and defaults. Return: 0; -EINVAL. */
static int read_options(const struct mempool_client_options *options,
			struct mempool_client_options *ret_all)
{
	*ret_all = (struct mempool_client_options){ .size = sizeof(*ret_all) };
	if (!options)
		return 0;
	if (options->size < sizeof(*ret_all) && options->size != OPTIONS_SIZE_0) {
		error_say("options.size is not that of the struct");
		return -EINVAL;
	}
	if (!is_zeroed_after(options, sizeof(*ret_all)) ||
	    (options->flags & ~(uint64_t)ALL_FLAGS)) {
		error_say("an option or a flag is of a later version than this library");
		return -EINVAL;
	}
	memcpy(ret_all, options,
	       options->size < sizeof(*ret_all) ? options->size : sizeof(*ret_all));
	if (ret_all->spin_ns < 0) {
		error_say("spin_ns is negative");
		return -EINVAL;
	}
	return 0;
}

/* What the user of a program asks for that has not asked for it itself. */
static uint64_t flags_of_environment(void)
{
	const char *debug = secure_getenv("MEMPOOL_CLIENT_DEBUG");

	if (!debug || strcmp(debug, "") == 0 || strcmp(debug, "0") == 0)
		return 0;
	return strcmp(debug, "abort") == 0 ? MEMPOOL_CLIENT_DEBUG_ABORT : MEMPOOL_CLIENT_DEBUG;
}

static int open_client(const struct mempool_client_options *options,
		       struct mempool_client **ret_client)
{
	struct mempool_client_options all;
	struct connection connection = CONNECTION_NULL;
	int r;

	if (!ret_client)
		return -EINVAL;
	r = read_options(options, &all);
	all.flags |= flags_of_environment();
	connection.restarts = all.flags & MEMPOOL_CLIENT_RESTART;
	if (r == 0)
		r = set_socket_path(connection.socket_path, all.socket_path);
	if (r == 0)
		r = set_hello(&connection.hello, &all);
	if (r == 0)
		r = open_once(&connection, &all, ret_client);
	/* As another holder: the daemon may not have heard the bye of the first one yet. */
	if (r == -EOPNOTSUPP && (connection.hello.flags & MEMPOOL_HELLO_MEMBARRIER)) {
		connection.hello.flags &= ~(uint32_t)MEMPOOL_HELLO_MEMBARRIER;
		r = set_nonce(&connection.hello);
		if (r == 0)
			r = open_once(&connection, &all, ret_client);
	}
	return r;
}

PUBLIC int mempool_client_open(const struct mempool_client_options *options,
			       struct mempool_client **ret_client)
{
	int r;

	error_clear();
	r = open_client(options, ret_client);
	if (r < 0)
		error_explain(r, NULL);
	return r;
}

PUBLIC int mempool_client_close(struct mempool_client *client)
{
	return client ? client_close(client) : 0;
}

/* ---- asking it ---- */

PUBLIC int mempool_client_role(struct mempool_client *client)
{
	int r = client_check(client);

	return r < 0 ? r : (int)client->role;
}

PUBLIC bool mempool_client_is_stale(struct mempool_client *client)
{
	return client && !client_is_forked(client) &&
	       segment_state(client->segment) == MEMPOOL_SEGMENT_RETIRED;
}

PUBLIC int mempool_client_pools(struct mempool_client *client,
				struct mempool_pool_info *ret_pools, size_t n)
{
	int r = client_check(client);

	if (r < 0)
		return r;
	if (!ret_pools)
		n = 0;

	for (size_t i = 0; i < n && i < client->n_pools; i++) {
		const struct pool *pool = &client->segment->pools[i];
		uint32_t n_used = pool_count_used(pool);

		ret_pools[i] = (struct mempool_pool_info){
			.chunk_size = pool->chunk_size,
			.stride = pool->stride,
			.total = pool->n_chunks,
			.used = n_used,
			.free = pool->n_chunks - n_used,
			.flags = (pool->is_reserve ? MEMPOOL_POOL_RESERVE : 0) |
				 (pool->is_exclusive ? MEMPOOL_POOL_EXCLUSIVE : 0) |
				 (may_claim(client, pool) ? 0 : MEMPOOL_POOL_REFUSED),
		};
	}
	return (int)client->n_pools;
}

PUBLIC int mempool_client_wake(struct mempool_client *client)
{
	int error = errno, r = client_check(client);

	if (r == 0)
		wait_wake(client);
	/* It may be called in a signal handler. */
	errno = error;
	return r;
}

PUBLIC int mempool_client_fd(struct mempool_client *client)
{
	if (!client)
		return -EINVAL;
	if (client_is_forked(client))
		return -ECHILD;
	return poller_open(&client->poller);
}

PUBLIC const char *mempool_version(void)
{
	return MEMPOOL_VERSION;
}
