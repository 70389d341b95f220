/* SPDX-License-Identifier: MIT */
/*
 * fuzz-protocol.c - any packets, on several connections, to the daemon
 *
 * The daemon's own server, hosts and sessions, in this process and with its event loop, but
 * over socketpairs instead of a listening socket. So every peer is this process; "a client
 * died" is said by a step of the input. Other steps truncate a segment or write into it.
 *
 * input: steps. Whatever comes, each answer is well-formed, the counts add up, and when all
 * connections are closed and all clients dead nothing is left: the next input finds the
 * server as this one did.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/server.h"
#include "daemon/sessions/dispatch.h"
#include "fuzz.h"
#include "leftover.h"
#include "shm/packet.h"
#include "shm/sigbus.h"

#define N_LINKS 6
#define N_SEGMENTS 2
#define MAX_STEPS 100
#define RELOAD_STEPS 0xf3		/* and above */
#define POLL_STEPS 0xe8			/* and above, below those */
/* More than a deferred step, a sweep and what it wakes ever take; where each turn of the loop ends
 * by the clock on a busy machine, they take more rounds, and these a millisecond each. */
#define MAX_ROUNDS 50
#define MAX_SLOW_ROUNDS 10000

static struct server server;
static char names[N_SEGMENTS][MEMPOOL_NAME_BYTES];
static int conf_fd;			/* the config: whatever is in it is what a reload finds */
static int links[N_LINKS];

/* ---- the server ---- */

/* What a step puts into the config, before somebody asks for a reload. */
static char folder[LEFTOVER_FOLDER_BYTES];	/* of states */

enum conf_kind {
	CONF_FIRST,
	CONF_OTHER_LAYOUT,
	CONF_ONE_SEGMENT,
	CONF_BAD,
	N_CONF_KINDS,
};

static void write_conf(enum conf_kind kind)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "limits: { clients: 5, clients_per_user: 4 }\n"
			 "log_level: error\n"
			 "state_dir: %s\n"
			 "segments:\n"
			 "- { name: %s, max_clients: 3,\n"
			 "    pools: [{ chunk_size: 100, chunk_count: %d }],\n"
			 "    topics: [{ name: t, capacity: 2 }] }\n",
			 folder, names[0], kind == CONF_OTHER_LAYOUT ? 7 : 70);

	if (kind != CONF_ONE_SEGMENT)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "- { name: %s, %s: [{ chunk_size: 8, chunk_count: 1 }] }\n",
			      names[1], kind == CONF_BAD ? "puddles" : "pools");
	FUZZ_CHECK(ftruncate(conf_fd, 0) == 0);
	FUZZ_CHECK(pwrite(conf_fd, text, (size_t)n, 0) == n);
}

static struct conf *load_conf(void)
{
	struct conf_error error = { .line = 0 };
	struct conf *conf;
	char path[32];

	leftover_make_folder(folder);
	for (size_t i = 0; i < N_SEGMENTS; i++)
		snprintf(names[i], sizeof(names[i]), "fuzz-%d-%zu", (int)getpid(), i);
	conf_fd = memfd_create("conf", MFD_CLOEXEC);
	FUZZ_CHECK(conf_fd >= 0);
	write_conf(CONF_FIRST);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", conf_fd);
	FUZZ_CHECK(conf_load(path, NULL, NULL, &conf, &error) == 0);
	FUZZ_CHECK(conf->n_segments == N_SEGMENTS);
	return conf;
}

static struct host *host_at(size_t number)
{
	struct host *host = TAILQ_FIRST(&server.hosts.list);

	/* One may be gone with a reload. */
	if (number % N_SEGMENTS != 0 && TAILQ_NEXT(host, link))
		host = TAILQ_NEXT(host, link);
	return host;
}

/* An object that is in use is not unlinked: the daemon would see that, and make another. */
static void unlink_objects(void)
{
	struct generation *generation;
	const struct host *host;

	TAILQ_FOREACH(host, &server.hosts.list, link) {
		TAILQ_FOREACH(generation, &host->generations, link) {
			segment_unlink(generation->place.shm_name);
			state_unlink(server.house.folder, generation->file);
		}
	}
}

static void remove_all(void)
{
	unlink_objects();
	house_clear(&server.house);
	rmdir(folder);
}

static void start_server(void)
{
	struct host *host;

	/* Below what the daemon ever says. */
	log_set_level(LOG_EMERG);
	FUZZ_CHECK(server_init(&server, load_conf(), NULL, NULL) == 0);
	FUZZ_CHECK(house_open(&server.house, server.conf, NULL) == 0);
	TAILQ_FOREACH(host, &server.hosts.list, link)
		FUZZ_CHECK(host_open(host) == 0);
	atexit(remove_all);
	for (size_t i = 0; i < N_LINKS; i++)
		links[i] = -1;
}

static void run_server(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(server.base, EVLOOP_NONBLOCK);
	/* What is done in a thread. */
	while (server.reload.state != RELOAD_IDLE || server.hosts.jobs.current)
		event_base_loop(server.base, EVLOOP_ONCE);
	/* A reload has set it as the config says. */
	log_set_level(LOG_EMERG);
}

/* ---- what it answers ---- */

static void check_place(const struct mempool_msg_place *place)
{
	FUZZ_CHECK(memchr(place->segment, '\0', sizeof(place->segment)));
	FUZZ_CHECK(memchr(place->shm_name, '\0', sizeof(place->shm_name)));
	FUZZ_CHECK(strncmp(place->shm_name, MEMPOOL_SHM_PREFIX, strlen(MEMPOOL_SHM_PREFIX)) == 0);
	FUZZ_CHECK(place->segment_id != 0 && place->control_bytes > 0 && place->data_bytes > 0);
}

union answer {
	struct mempool_msg msg;
	struct mempool_msg_welcome welcome;
	struct mempool_msg_refused refused;
	struct mempool_msg_segment segment;
	struct mempool_msg_reloaded reloaded;
	struct mempool_msg_peer peer;
	struct mempool_msg_wake wake;
	char room[2 * MEMPOOL_MSG_MAX_BYTES];
};

static void check_answer(const union answer *answer, size_t size)
{
	FUZZ_CHECK(size >= sizeof(answer->msg) && answer->msg.size == size);
	FUZZ_CHECK(answer->msg.magic == MEMPOOL_PROTOCOL_MAGIC);
	FUZZ_CHECK(answer->msg.version == MEMPOOL_PROTOCOL_VERSION);

	switch (answer->msg.type) {
	case MEMPOOL_MSG_WELCOME:
		FUZZ_CHECK(size == sizeof(answer->welcome));
		check_place(&answer->welcome.place);
		/* Never the daemon's id, nor a topic's. */
		FUZZ_CHECK(answer->welcome.holder > MEMPOOL_HOLDER_DAEMON_ID);
		break;
	case MEMPOOL_MSG_REFUSED:
		FUZZ_CHECK(size == sizeof(answer->refused) && answer->refused.error < 0);
		FUZZ_CHECK(memchr(answer->refused.reason, '\0', sizeof(answer->refused.reason)));
		FUZZ_CHECK(answer->refused.reason[0] != '\0');
		break;
	case MEMPOOL_MSG_SEGMENT:
		FUZZ_CHECK(size == sizeof(answer->segment));
		/* None, when all are lost and not made anew yet. */
		if (answer->segment.n == 0) {
			FUZZ_CHECK(answer->segment.index == 0);
			FUZZ_CHECK(answer->segment.place.segment[0] == '\0');
			break;
		}
		FUZZ_CHECK(answer->segment.index < answer->segment.n);
		/* One that is lost and not made anew yet. */
		if (answer->segment.error != 0) {
			FUZZ_CHECK(answer->segment.place.shm_name[0] == '\0');
			FUZZ_CHECK(memchr(answer->segment.reason, '\0',
					  sizeof(answer->segment.reason)));
			break;
		}
		check_place(&answer->segment.place);
		break;
	case MEMPOOL_MSG_RELOADED:
		FUZZ_CHECK(size == sizeof(answer->reloaded) && answer->reloaded.error <= 0);
		FUZZ_CHECK(memchr(answer->reloaded.text, '\0', sizeof(answer->reloaded.text)));
		FUZZ_CHECK(answer->reloaded.error == 0 || answer->reloaded.text[0] != '\0');
		break;
	case MEMPOOL_MSG_PEER:
		FUZZ_CHECK(size == sizeof(answer->peer) &&
			   answer->peer.found <= MEMPOOL_PEER_LATER);
		break;
	case MEMPOOL_MSG_WAKE:
		FUZZ_CHECK(size == sizeof(answer->wake) && answer->wake.found <= 1);
		break;
	case MEMPOOL_MSG_NEWS:
		FUZZ_CHECK(size == sizeof(struct mempool_msg_news));
		break;
	case MEMPOOL_MSG_DUMPED:
		FUZZ_CHECK(size == sizeof(struct mempool_msg_dumped));
		break;
	case MEMPOOL_MSG_GONE:
	case MEMPOOL_MSG_FORGOTTEN:
		FUZZ_CHECK(size == sizeof(answer->msg));
		break;
	default:
		FUZZ_CHECK(!"a known type");
	}
}

static void read_answers(void)
{
	union answer answer;
	ssize_t n;

	for (size_t i = 0; i < N_LINKS; i++)
		while (links[i] >= 0 &&
		       (n = recv(links[i], &answer, sizeof(answer), MSG_DONTWAIT)) > 0)
			check_answer(&answer, (size_t)n);
}

static void check_counts(void)
{
	struct session *session;
	uint32_t n_at_door = 0;

	TAILQ_FOREACH(session, &server.sessions.list, link)
		n_at_door += session->is_at_door;
	FUZZ_CHECK(server.sessions.n_at_door == n_at_door &&
		   n_at_door <= SESSION_DOOR_MAX + server.conf->max_clients);
	FUZZ_CHECK(quota_count(&server.quota) <= server.conf->max_clients +
		   closer_count(&server.sessions.closer));
	FUZZ_CHECK(server.counters.n_tenants <= server.conf->max_clients);
}

/* ---- what comes ---- */

static void open_link(size_t i)
{
	int pair[2];

	if (links[i] >= 0)
		close(links[i]);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	links[i] = pair[1];
	dispatch_connection(&server.sessions, pair[0]);
}

static void close_link(size_t i)
{
	if (links[i] >= 0)
		close(links[i]);
	links[i] = -1;
}

static void send_packet(int fd, const void *packet, size_t size, bool with_fd)
{
	struct iovec iov = { .iov_base = (void *)packet, .iov_len = size };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = "" };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (with_fd) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	/* The daemon may have hung up. */
	sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

union packet {
	struct mempool_msg msg;
	struct mempool_msg_hello hello;
	struct mempool_msg_bye bye;
	struct mempool_msg_list list;
	unsigned char bytes[2 * MEMPOOL_MSG_MAX_BYTES];
};

static uint64_t known_segment_id(uint8_t number)
{
	const struct host *host = host_at(number);

	return host->current ? host->current->place.segment_id : 0;
}

/* A message as it should be, then changed here and there. */
static void send_message(int fd, struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	union packet packet = { .bytes = { 0 } };
	size_t size;

	switch (what % 4) {
	case 0:
	case 1:
		size = sizeof(packet.hello);
		packet.msg.type = MEMPOOL_MSG_HELLO;
		packet.hello.nonce = 1 + (what >> 6);
		/* Coming back, or as one who comes for the first time. */
		if (what & 0x10)
			packet.hello.segment_id = known_segment_id(what >> 5);
		else if (what & 0x20)
			memcpy(packet.hello.segment, names[what >> 7],
			       sizeof(packet.hello.segment));
		memcpy(packet.hello.name, "fuzz", 4);
		break;
	case 2:
		size = sizeof(packet.bye);
		packet.msg.type = MEMPOOL_MSG_BYE;
		break;
	default:
		size = sizeof(packet.list);
		packet.msg.type = MEMPOOL_MSG_LIST;
		break;
	}
	packet.msg.magic = MEMPOOL_PROTOCOL_MAGIC;
	packet.msg.version = MEMPOOL_PROTOCOL_VERSION;
	packet.msg.size = (uint32_t)size;

	if (what & 0x04)
		for (int n = 1 + fuzz_u8(input) % 4; n > 0; n--)
			fuzz_change(input, packet.bytes, size);
	if (what & 0x08)
		size = fuzz_u16(input) % sizeof(packet);
	send_packet(fd, &packet, size, size % 2);
}

static void send_raw(int fd, struct fuzz_input *input)
{
	size_t size = fuzz_u16(input) % (2 * MEMPOOL_MSG_MAX_BYTES);

	if (size > input->size)
		size = input->size;
	send_packet(fd, input->data, size, false);
	input->data += size;
	input->size -= size;
}

/* As the daemon does when a pidfd says so. */
static void end_tenant(struct tenant *tenant)
{
	struct visitor *visitor = tenant->visitor;

	if (tenant->state != TENANT_LIVE)
		return;
	tenant_end(tenant);
	if (visitor)
		session_tenant_died(visitor);
}

static void end_tenants(struct host *host, uint32_t from)
{
	struct generation *generation;

	TAILQ_FOREACH(generation, &host->generations, link)
		for (uint32_t id = from; id < generation->tenants.n_ids; id++)
			if (generation->tenants.by_id[id])
				end_tenant(generation->tenants.by_id[id]);
}

static void poke(struct host *host, struct fuzz_input *input)
{
	uint32_t off = fuzz_u32(input);
	uint64_t value = fuzz_u64(input);
	const struct segment_memory *memory;

	if (!host->current)
		return;
	memory = &host->current->segment->memory;
	memcpy((unsigned char *)memory->base + off % (memory->size - 8) / 8 * 8, &value, 8);
}

static void truncate_object(struct host *host, struct fuzz_input *input)
{
	uint32_t size = fuzz_u32(input);
	const struct generation *current = host->current;

	if (current && size & 1)
		FUZZ_CHECK(ftruncate(current->fds.control,
				     size % (off_t)current->place.control_bytes) == 0);
	else if (current)
		FUZZ_CHECK(ftruncate(current->fds.data,
				     size % (off_t)current->place.data_bytes) == 0);
}

static void reload(int fd, uint8_t kind)
{
	const struct mempool_msg_reload reload = {
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_RELOAD,
			.size = sizeof(reload),
		},
	};

	write_conf(kind % N_CONF_KINDS);
	send_packet(fd, &reload, sizeof(reload), false);
}

static void send_wake_fd(int fd)
{
	const struct mempool_msg_wake_fd message = {
		.msg = packet_head(MEMPOOL_MSG_WAKE_FD, sizeof(message)),
	};

	send_packet(fd, &message, sizeof(message), false);
}

static void send_peer_fd(int fd, struct fuzz_input *input)
{
	const struct mempool_msg_peer_fd message = {
		.msg = packet_head(MEMPOOL_MSG_PEER_FD, sizeof(message)),
		.holder = fuzz_u8(input),
		.incarnation = fuzz_u8(input),
	};

	send_packet(fd, &message, sizeof(message), false);
}

static void act(uint8_t what, uint8_t number, struct fuzz_input *input)
{
	struct host *host = host_at(number);
	size_t i = number % N_LINKS;

	switch (what % 9) {
	case 0:
	case 1:
		send_message(links[i], input);
		break;
	case 2:
		send_raw(links[i], input);
		break;
	case 3:
		shutdown(links[i], number & 0x80 ? SHUT_WR : SHUT_RDWR);
		break;
	case 4:
		open_link(i);
		break;
	case 5:
		close_link(i);
		break;
	case 6:
		end_tenants(host, number / N_SEGMENTS);
		break;
	case 7:
		poke(host, input);
		break;
	case 8:
		truncate_object(host, input);
		break;
	}
}

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input), number = fuzz_u8(input);
	size_t i = number % N_LINKS;

	/* What is said over a connection needs one. */
	if ((what % 9 < 4 || what >= POLL_STEPS) && links[i] < 0)
		open_link(i);
	if (what >= RELOAD_STEPS)
		reload(links[i], number / N_LINKS);
	else if (what >= POLL_STEPS && number / N_LINKS % 2 == 0)
		send_wake_fd(links[i]);
	else if (what >= POLL_STEPS)
		send_peer_fd(links[i], input);
	else
		act(what, number, input);
	/* Or the next comes before this one is looked at. */
	if (what < 0xc0)
		run_server();
	read_answers();
	check_counts();
}

/* ---- between two inputs ---- */

static bool is_idle(void)
{
	const struct host *host;

	if (!TAILQ_EMPTY(&server.sessions.list) || server.counters.n_tenants > 0)
		return false;
	TAILQ_FOREACH(host, &server.hosts.list, link)
		if (!host->current || host->current != TAILQ_FIRST(&host->generations) ||
		    TAILQ_NEXT(host->current, link))
			return false;
	return true;
}

/* All as it was at first, whatever the reloads left. */
static void restore_conf(void)
{
	static uint64_t restored_by;

	run_server();
	if (server.reload.number == restored_by)
		return;
	restored_by = server.reload.number + 1;
	write_conf(CONF_FIRST);
	reload_ask(&server.reload, 0, NULL);
	run_server();
	FUZZ_CHECK(server.reload.result.error == 0);
}

static void clean_up(void)
{
	struct generation *generation;
	struct host *host;

	for (size_t i = 0; i < N_LINKS; i++)
		close_link(i);
	restore_conf();
	for (int n = 0; n < MAX_ROUNDS + MAX_SLOW_ROUNDS && !is_idle(); n++) {
		TAILQ_FOREACH(host, &server.hosts.list, link) {
			/* The pause after a truncation is not ours to wait for. */
			host->not_before_ns = 0;
			generation = host->conf ? host_current(host) : NULL;
			/* One that was truncated and nobody has looked at since. */
			if (generation)
				generation_check(generation);
			end_tenants(host, 0);
		}
		run_server();
		if (n >= MAX_ROUNDS)
			usleep(1000);
	}
	FUZZ_CHECK(is_idle());
	/* What has ended unread, and what a child closes, is looked at now and then. */
	while (server.sessions.unread.pause_ms || server.sessions.closer.pause_ms)
		event_base_loop(server.base, EVLOOP_ONCE);
	FUZZ_CHECK(closer_count(&server.sessions.closer) == 0);
	FUZZ_CHECK(server.sessions.n_at_door == 0 && quota_count(&server.quota) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };

	if (!server.conf)
		start_server();
	for (size_t i = 0; i < MAX_STEPS && input.size > 0; i++)
		step(&input);
	clean_up();
	return 0;
}
