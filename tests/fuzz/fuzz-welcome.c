/* SPDX-License-Identifier: MIT */
/*
 * fuzz-welcome.c - a daemon that is none, against mempool_client_open()
 *
 * It passes with its WELCOME whatever it likes: descriptors of any kind, number and order, a
 * shape that lies, an object that is shorter than that, or for reading alone. The library
 * answers with an error, or, where all of it fits, with a client that works; and keeps no
 * descriptor.
 *
 * input: number of descriptors, each of them; what is changed of the message; of the object
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mempool.h"
#include "mempool_protocol.h"
#include "shm/layout.h"
#include "shm/packet.h"
#include "shm/shape.h"

#define N_CHUNKS 16
#define SEGMENT_ID UINT64_C(0x5e65e65e65e65e65)
#define MAX_CHANGES 8
#define MAX_FDS 256			/* far more than there are */

static struct {
	int listener;
	char socket_path[64];
	struct config shape;
	struct geometry geometry;
	unsigned char *images[GEOMETRY_N_OBJECTS];	/* as they should be */
	uint32_t holder;
	struct mempool_msg_welcome welcome;
	int fds[PACKET_MAX_PASSED];
	uint32_t n_fds;
	_Atomic uint32_t n_talks;
} broker;

/* The socket orders what is prepared and its sending; this tells the sanitizer. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static uint64_t object_bytes(int which)
{
	return which == GEOMETRY_DATA ? broker.geometry.data_bytes
				      : broker.geometry.control_bytes;
}

/* ---- the daemon ---- */

/* All that is said, until the client has hung up. */
static void hear(int fd)
{
	char message[MEMPOOL_MSG_MAX_BYTES];
	ssize_t n;

	do {
		n = recv(fd, message, sizeof(message), 0);
	} while (n > 0 || (n < 0 && errno == ECONNRESET));
}

static void *serve(void *unused)
{
	char message[MEMPOOL_MSG_MAX_BYTES];
	int fd;

	(void)unused;
	while ((fd = accept4(broker.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		FUZZ_CHECK(recv(fd, message, sizeof(message), 0) > 0);
		pthread_mutex_lock(&turn);
		packet_send_passed(fd, &broker.welcome, sizeof(broker.welcome), broker.fds,
				   broker.n_fds);
		pthread_mutex_unlock(&turn);
		hear(fd);
		close(fd);
		broker.n_talks++;
	}
	return NULL;
}

/* The bytes of each object, from where they stand when they are mapped. */
static void take_images(const unsigned char *mapped)
{
	const uint64_t offs[] = { 0, broker.geometry.data_off };

	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++) {
		broker.images[i] = malloc(object_bytes(i));
		FUZZ_CHECK(broker.images[i]);
		memcpy(broker.images[i], mapped + offs[i], object_bytes(i));
	}
}

static void make_images(void)
{
	unsigned char *mapped;
	const struct segment_identity identity = {
		.generation = 1,
		.segment_id = SEGMENT_ID,
		.generation_seed = 1,
	};

	FUZZ_CHECK(config_init(&broker.shape, "fuzz") == 0);
	FUZZ_CHECK(config_add_pool(&broker.shape, 100, N_CHUNKS) == 0);
	FUZZ_CHECK(config_add_ring(&broker.shape, "queue", MEMPOOL_RING_QUEUE, 4) == 0);
	FUZZ_CHECK(config_add_ring(&broker.shape, "topic", MEMPOOL_RING_TOPIC, 4) == 0);
	broker.shape.rings[1].flags = MEMPOOL_RING_STAMPS;
	FUZZ_CHECK(geometry_init(&broker.geometry, &broker.shape) == 0);
	mapped = aligned_alloc(MEMPOOL_PAGE_BYTES, broker.geometry.total_size);
	FUZZ_CHECK(mapped);
	memset(mapped, 0, broker.geometry.total_size);
	FUZZ_CHECK(segment_layout(mapped, broker.geometry.total_size, &broker.shape,
				  &identity) == 0);
	take_images(mapped);
	free(mapped);
	/* The daemon, one topic, then the clients. */
	broker.holder = MEMPOOL_HOLDER_DAEMON_ID + 2;
}

static void remove_socket(void)
{
	unlink(broker.socket_path);
}

static void start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;

	make_images();
	snprintf(broker.socket_path, sizeof(broker.socket_path), "/tmp/mempool-fuzz-%d.sock",
		 (int)getpid());
	strcpy(address.sun_path, broker.socket_path);
	broker.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(bind(broker.listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	FUZZ_CHECK(listen(broker.listener, 8) == 0);
	FUZZ_CHECK(pthread_create(&thread, NULL, serve, NULL) == 0);
	pthread_detach(thread);
	atexit(remove_socket);
}

/* ---- what it passes ---- */

static int memory_of(const void *bytes, size_t size, bool is_sealed)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	if (is_sealed)
		FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
						  F_SEAL_SEAL) == 0);
	return fd;
}

/* A shape with some bytes changed, or cut; perhaps somebody can still write it. */
static int make_shape(struct fuzz_input *input)
{
	unsigned char bytes[1024];
	int right = shape_make_file(&broker.shape);
	ssize_t n = pread(right, bytes, sizeof(bytes), 0);
	uint8_t how = fuzz_u8(input);

	FUZZ_CHECK(n > 0);
	close(right);
	for (uint8_t i = how % MAX_CHANGES; i > 0; i--) {
		size_t at = fuzz_u16(input) % (size_t)n;

		bytes[at] = fuzz_u8(input);
	}
	if (how & 0x40)
		n -= 1 + fuzz_u8(input) % n;
	return memory_of(bytes, (size_t)n, !(how & 0x80));
}

/* The object, once more. */
static int open_again(int object, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	fd = open(path, flags | O_CLOEXEC);
	FUZZ_CHECK(fd >= 0);
	return fd;
}

static int one_of(int pair[2])
{
	close(pair[1]);
	return pair[0];
}

static int make_fd(const int objects[GEOMETRY_N_OBJECTS], struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	int pair[2], fd = -1;

	switch (what % 12) {
	case 0:
		return shape_make_file(&broker.shape);
	case 1:
		return open_again(objects[GEOMETRY_CONTROL], O_RDWR);
	case 2:
		return open_again(objects[GEOMETRY_CONTROL], O_RDONLY);
	case 3:
		return make_shape(input);
	case 4:
		FUZZ_CHECK(pipe2(pair, O_CLOEXEC) == 0);
		return one_of(pair);
	case 5:
		FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
		return one_of(pair);
	case 6:
		fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		break;
	case 7:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		break;
	case 8:
		/* An object of the same bytes, but fewer. */
		return memory_of(broker.images[what >> 6 & 1],
				 fuzz_u32(input) % object_bytes(what >> 6 & 1), what & 0x80);
	case 9:
		fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
		break;
	case 10:
		return open_again(objects[GEOMETRY_DATA], O_RDWR);
	case 11:
		return open_again(objects[GEOMETRY_DATA], O_RDONLY);
	}
	FUZZ_CHECK(fd >= 0);
	return fd;
}

static void make_welcome(struct fuzz_input *input)
{
	broker.welcome = (struct mempool_msg_welcome){
		.msg = packet_head(MEMPOOL_MSG_WELCOME, sizeof(broker.welcome)),
		.place = {
			.segment_id = SEGMENT_ID,
			.generation = 1,
			.control_bytes = broker.geometry.control_bytes,
			.data_bytes = broker.geometry.data_bytes,
			.segment = "fuzz",
			.shm_name = "/mempool-fuzz.1",
		},
		.holder = broker.holder,
		.incarnation = 1,
	};
	for (uint8_t n = fuzz_u8(input) % MAX_CHANGES; n > 0; n--)
		fuzz_change(input, &broker.welcome, sizeof(broker.welcome));
}

/* ---- the client ---- */

/* Whatever is in the memory: who may write writes, and who may not does not try. */
static void use(struct mempool_client *client)
{
	const bool is_member = mempool_client_role(client) == MEMPOOL_ROLE_MEMBER;
	struct mempool_subscriber *subscriber;
	struct mempool_topic *topic;
	const void *seen;
	void *chunk = mempool_alloc(client, 1);

	FUZZ_CHECK(is_member || (!chunk && errno == EACCES));
	if (chunk) {
		memset(chunk, 1, 1);
		FUZZ_CHECK(mempool_free(client, chunk) == 0);
	}
	if (mempool_topic_open(client, "topic", &topic) == 0) {
		if (mempool_topic_subscribe(topic, MEMPOOL_TOPIC_OLDEST, &subscriber) == 0) {
			mempool_subscriber_peek(subscriber, &seen, NULL, NULL, NULL, 0);
			mempool_subscriber_close(subscriber);
		}
		mempool_topic_close(topic);
	}
	FUZZ_CHECK(mempool_client_pools(client, NULL, 0) > 0);
	FUZZ_CHECK(mempool_client_close(client) >= 0);
}

static bool is_known(int error)
{
	switch (error) {
	case -EPROTO:
	case -EPROTONOSUPPORT:
	case -EBADMSG:
	case -ENOMEM:
	case -ENOTCONN:
		return true;
	default:
		return false;
	}
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < MAX_FDS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Where @must_open, nothing is wrong: else no input would come to more than the first check. */
static void try_open(bool must_open)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = broker.socket_path,
		.name = "fuzz",
	};
	uint32_t n_talks = broker.n_talks;
	unsigned int n_fds = count_fds();
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	FUZZ_CHECK(r == 0 || (!must_open && is_known(r)));
	if (r == 0)
		use(client);
	while (broker.n_talks == n_talks)
		poll(NULL, 0, 1);
	FUZZ_CHECK(count_fds() == n_fds);
}

/* What mempoold passes to a member, a reader, a spectator: kinds of make_fd(), and the role. */
static bool is_right(const uint8_t *data, size_t size)
{
	static const struct {
		size_t size;
		uint8_t bytes[10];
	} rights[] = {
		{ 5, { 4, 0, 1, 10, 2 } },
		{ 8, { 4, 0, 1, 11, 2, 1, offsetof(struct mempool_msg_welcome, role),
		       MEMPOOL_WELCOME_READER } },
		{ 9, { 3, 0, 2, 11, 2, offsetof(struct mempool_msg_welcome, role),
		       MEMPOOL_WELCOME_SPECTATOR, offsetof(struct mempool_msg_welcome, holder), 0 } },
	};

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (size == rights[i].size && memcmp(data, rights[i].bytes, size) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	int objects[GEOMETRY_N_OBJECTS];

	if (!broker.images[0])
		start();
	pthread_mutex_lock(&turn);
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		objects[i] = memory_of(broker.images[i], object_bytes(i), false);
	broker.n_fds = fuzz_u8(&input) % (PACKET_MAX_PASSED + 1);
	for (uint32_t i = 0; i < broker.n_fds; i++)
		broker.fds[i] = make_fd(objects, &input);
	make_welcome(&input);
	/* A member writes where it likes, before that one comes. */
	for (uint8_t n = fuzz_u8(&input) % MAX_CHANGES; n > 0; n--) {
		unsigned char byte = fuzz_u8(&input);

		FUZZ_CHECK(pwrite(objects[GEOMETRY_CONTROL], &byte, 1, fuzz_u16(&input)) == 1);
	}
	pthread_mutex_unlock(&turn);
	try_open(is_right(data, size));
	for (uint32_t i = 0; i < broker.n_fds; i++)
		close(broker.fds[i]);
	for (int i = 0; i < GEOMETRY_N_OBJECTS; i++)
		close(objects[i]);
	return 0;
}
