/* SPDX-License-Identifier: MIT */
/*
 * mempool.c - this project: a mempoold of its own, one client per process
 *
 * With --threads both sides use one client. With --variant spectators those who read a topic copy
 * each message without holding it. With --variant reader who attaches asks for chunks that it
 * cannot write; with --variant spectator it is a user that may only look. With --variant spin
 * who waits looks again and again before it sleeps; with --variant few there are 4 messages on their way
 * at most. What the config may ask for has variants, too:
 * bounded (max_chunks_per_client, never reached), traced (trace: allocations) and stamped (queues that
 * keep stamps); so have queues: roles (one sender, one receiver), and slots (and messages that stand in them,
 * copied in and out). The library is the shared one, as installed; in bench-mempool-built-in it is built into
 * the program.
 */
#include <dirent.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/stat.h>

#include "adapter.h"
#include "mempool.h"
#include "support/private_daemon.h"

#define HAS_POOL
#define HAS_MANY
#define HAS_CHANNELS
#define HAS_BLOCKING
#define HAS_POLLING
#define HAS_TOPIC
#define HAS_COUNT
#define HAS_BROKER
#define HAS_MORE
#define MORE_WORKS { "message", message_alone, WORK_POOL },

#define SPIN_NS 100000
#define N_FEW 4

static struct private_daemon broker;
static struct mempool_client *client;
static struct mempool_queue *queues[2];
static struct mempool_topic *topic;
static struct mempool_subscriber *subscriber;
static struct pollfd readable;
static bool are_spectators, is_spectator, in_slots;
static void *copied;
/* Of a message that stands in a slot: what is sent, and what was received. Each side has its own. */
static _Thread_local unsigned char slot_sent[1024], slot_received[1024];

/* Of one size each. */
static void write_keys(FILE *keys)
{
	fprintf(keys, "    max_clients: %d\n", setup.n_clients > 192 ? setup.n_clients : 192);
	if (is_spectator)
		fputs("    spectators: { users: [daemon] }\n", keys);
	if (is_variant("bounded"))
		fputs("    max_chunks_per_client: 1000000\n", keys);
	if (is_variant("traced"))
		fputs("    trace: allocations\n", keys);
	fputs("    pools:\n", keys);
	for (uint64_t i = 0; i < setup.n_pools; i++)
		fprintf(keys, "      - { chunk_size: %zu, chunk_count: %llu }\n",
			setup.bytes + 64 * (size_t)i, (unsigned long long)setup.n_chunks);
	fputs("    queues:\n", keys);
	for (int i = 0; i < 2; i++) {
		fprintf(keys, "      - { name: q%d, capacity: %d", i,
			i == 0 && is_variant("few") ? N_FEW : IN_FLIGHT);
		if (i == 0 && is_variant("stamped"))
			fputs(", stamps: true", keys);
		if (in_slots || is_variant("roles"))
			fputs(", senders: one, receivers: one", keys);
		if (in_slots)
			fprintf(keys, ", slot_bytes: %zu", setup.bytes);
		fputs(" }\n", keys);
	}
	fputs("    topics: [ { name: topic, capacity: 256 } ]\n", keys);
}

static void configure(void)
{
	char *keys = NULL;
	size_t size;
	FILE *file;

	is_spectator = is_variant("spectator");
	in_slots = is_variant("slots");
	if (in_slots && setup.bytes > sizeof(slot_sent))
		skip("a slot has 1024 bytes at most");
	if (broker.folder[0])
		return;
	file = open_memstream(&keys, &size);
	if (!file)
		die("no memory");
	write_keys(file);
	fclose(file);
	private_daemon_init(&broker, keys);
	free(keys);
}

static double broker_start(void)
{
	double seconds;

	configure();
	seconds = private_daemon_start(&broker);
	/* Others may reach the socket, and make nothing beside it. */
	if (is_spectator && (chmod(broker.folder, 0711) < 0 || chmod(broker.socket_path, 0666) < 0))
		die("cannot let others in");
	return seconds;
}

/* Of root and of the daemon's user everybody is a member. */
static void broker_guest(void)
{
	const struct passwd *other = is_spectator ? getpwnam("daemon") : NULL;

	if (is_spectator && (!other || setgroups(0, NULL) < 0 || setgid(other->pw_gid) < 0 ||
			     setuid(other->pw_uid) < 0))
		skip("only root can be another user");
}

static void broker_stop(void)
{
	private_daemon_stop(&broker);
	private_daemon_remove_objects(&broker);
}

static pid_t broker_pid(void)
{
	return broker.pid;
}

/* Of both objects. */
static uint64_t broker_segment_bytes(void)
{
	char pattern[96];
	struct stat about;
	uint64_t bytes = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/dev/shm/mempool-%s.1.*", broker.segment);
	if (glob(pattern, 0, NULL, &found) != 0)
		die("no %s", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (stat(found.gl_pathv[i], &about) < 0)
			die("no %s", found.gl_pathv[i]);
		bytes += (uint64_t)about.st_size;
	}
	globfree(&found);
	return bytes;
}

static void system_open(void)
{
	broker_start();
}

static void system_close(void)
{
	private_daemon_deinit(&broker);
}

static void system_join(int side)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = broker.socket_path,
		.flags = is_variant("reader") ? MEMPOOL_CLIENT_READ_ONLY : 0,
		.spin_ns = is_variant("spin") ? SPIN_NS : 0,
	};

	if (side > 0 && setup.is_threads)
		return;
	are_spectators = is_variant("spectators");
	copied = malloc(setup.bytes);
	if (!copied)
		die("no memory");
	if (mempool_client_open(&options, &client) < 0 ||
	    (!is_spectator && (mempool_queue_open(client, "q0", &queues[0]) < 0 ||
			       mempool_queue_open(client, "q1", &queues[1]) < 0)) ||
	    mempool_topic_open(client, "topic", &topic) < 0 ||
	    mempool_topic_subscribe(topic, MEMPOOL_TOPIC_NEW, &subscriber) < 0)
		die("no client");
	if (setup.is_polling)
		readable = (struct pollfd){ .fd = mempool_client_fd(client), .events = POLLIN };
}

static void system_leave(int side)
{
	if (side > 0 && setup.is_threads)
		return;
	mempool_client_close(client);
	free(copied);
}

static inline void *system_alloc(size_t bytes)
{
	return mempool_alloc(client, bytes);
}

static inline void system_free(void *chunk)
{
	mempool_free(client, chunk);
}

static uint64_t system_n_held(void)
{
	struct mempool_pool_info pool;

	if (mempool_client_pools(client, &pool, 1) != 1)
		die("no pool");
	return pool.used;
}

static inline void system_alloc_many(size_t bytes, void **chunks, size_t n)
{
	if (mempool_alloc_many(client, bytes, chunks, n) != (ssize_t)n)
		die("no chunks");
}

static inline void system_free_many(void **chunks, size_t n)
{
	mempool_free_many(client, chunks, n);
}

static inline void *channel_begin(int channel, size_t bytes)
{
	(void)channel;
	return in_slots ? slot_sent : mempool_alloc(client, bytes);
}

static inline bool channel_send(int channel, void *message, size_t bytes)
{
	if (in_slots)
		return mempool_queue_send_bytes(queues[channel], message, bytes, 0) == 0;
	return mempool_queue_send(queues[channel], message, bytes, 0) == 0;
}

static inline void *channel_receive(int channel, bool wait)
{
	size_t length;
	void *message;
	int64_t timeout_ns = wait && !setup.is_polling ? -1 : 0;

	if (in_slots) {
		if (mempool_queue_receive_bytes(queues[channel], slot_received, sizeof(slot_received), &length,
						timeout_ns) == 0)
			return slot_received;
	} else if (mempool_queue_receive(queues[channel], &message, NULL, timeout_ns) == 0) {
		return message;
	}
	if (wait && setup.is_polling)
		poll(&readable, 1, -1);
	return NULL;
}

static inline void channel_done(int channel, void *message)
{
	(void)channel;
	if (!in_slots)
		mempool_free(client, message);
}

static inline void *topic_begin(size_t bytes)
{
	return mempool_alloc(client, bytes);
}

static inline void topic_send(void *message, size_t bytes)
{
	if (mempool_topic_publish(topic, message, bytes) < 0)
		die("publish");
}

static inline const void *topic_receive(int side)
{
	const void *message;

	(void)side;
	if (are_spectators)
		return mempool_subscriber_copy(subscriber, copied, setup.bytes, NULL, NULL, NULL,
					       0) == 0 ? copied : NULL;
	return mempool_subscriber_next(subscriber, &message, NULL, NULL, 0) == 0 ? message
										 : NULL;
}

static inline void topic_done(int side, const void *message)
{
	(void)side;
	if (!are_spectators)
		mempool_free(client, message);
}

/* Allocated, sent to oneself, received and freed: what the calls cost where no line crosses. */
static void message_alone(void);

#include "loops.h"

static double run_messages(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;

	do {
		for (int i = 0; i < PAIRS; i++) {
			void *message = channel_begin(0, setup.bytes);

			use(message);
			if (!channel_send(0, message, setup.bytes))
				die("no room");
			channel_done(0, channel_receive(0, false));
		}
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / PAIRS);
		begin = end;
	} while (end < until);
	return slices_finish(slices);
}

static void message_alone(void)
{
	alone(run_messages);
}
