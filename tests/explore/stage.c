/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "files.h"
#include "shm/audit.h"
#include "shm/holder.h"
#include "shm/layout.h"
#include "shm/reap.h"

/* Words of a slice of the reaper: few, so that there are many slices. */
#define SLICE_WORDS 16

static const struct segment_identity identity = {
	.generation = 1,
	.segment_id = 7,
	.created_ns = 1,
	.generation_seed = 1,
};

static struct config shape;
static void *base;
static uint64_t size;
static struct segment *segment;		/* the daemon's */

/* Set back before each schedule, as a scenario's world is. */
static struct {
	struct mempool_client *clients[EXPLORE_THREADS];	/* by process */
	uint32_t holders[EXPLORE_THREADS];
	int sockets[EXPLORE_THREADS];	/* as the daemon has them; 0: none */
	int channels[EXPLORE_THREADS];
} stage_world;

static void must(int r, const char *what)
{
	if (r < 0)
		explore_fail("%s: %s", what, strerror(-r));
}

void stage_config(struct config *config, uint64_t n_chunks, uint32_t cache)
{
	config_init(config, "explored");
	config->page_bytes = MEMPOOL_PAGE_BYTES;
	config->data_align = MEMPOOL_PAGE_BYTES;
	config->max_clients = 8;
	config_add_pool(config, STAGE_CHUNK_BYTES, n_chunks);
	config->pools[0].alignment = STAGE_CHUNK_BYTES;
	config->pools[0].cache = cache;
}

static struct segment *view(void)
{
	struct segment_memory memory = SEGMENT_MEMORY_NULL;
	struct segment *seen;

	memory.base = base;
	memory.size = size;
	memory.access = SEGMENT_READ_WRITE;
	must(segment_view(&memory, &shape, &identity, &seen), "segment_view");
	return seen;
}

static void set_live(uint32_t id, enum mempool_holder_kind kind)
{
	const struct holder holder = { .id = id, .kind = kind, .pid = id, .name = "explored" };

	holder_set_live(segment, &holder);
}

void stage_make(const struct config *config)
{
	memset(&stage_world, 0, sizeof(stage_world));
	room_keep(&stage_world, sizeof(stage_world));
	must(config_copy(&shape, config), "config_copy");
	size = segment_size_bytes(&shape);
	base = explore_shared(size, MEMPOOL_PAGE_BYTES);
	must(segment_layout(base, size, &shape, &identity), "segment_layout");
	segment = view();
	set_live(MEMPOOL_HOLDER_DAEMON_ID, MEMPOOL_HOLDER_DAEMON);
	for (uint32_t i = MEMPOOL_HOLDER_DAEMON_ID + 1; i < holder_first_client(segment); i++)
		set_live(i, MEMPOOL_HOLDER_TOPIC);
}

struct segment *stage_segment(void)
{
	return segment;
}

struct opening {
	uint64_t reserves;
	uint64_t flags;
};

static void open_here(void *userdata)
{
	const struct opening *opening = userdata;
	uint32_t process = self->process;

	must(client_new_as(MEMPOOL_ROLE_MEMBER, opening->reserves, view(),
			   stage_world.holders[process], opening->flags,
			   &stage_world.clients[process]),
	     "client_new_as");
}

static void open_as(uint32_t process, struct opening opening)
{
	stage_world.holders[process] = holder_first_client(segment) + process - 1;
	set_live(stage_world.holders[process], MEMPOOL_HOLDER_CLIENT);
	explore_in(process, open_here, &opening);
}

void stage_open_with(uint32_t process, uint64_t reserves)
{
	open_as(process, (struct opening){ .reserves = reserves });
}

void stage_open_checked(uint32_t process)
{
	open_as(process, (struct opening){ .flags = MEMPOOL_CLIENT_DEBUG });
}

void stage_open(uint32_t process)
{
	stage_open_with(process, 0);
}

uint32_t stage_holder(uint32_t process)
{
	return stage_world.holders[process];
}

struct mempool_client *stage_client(void)
{
	return stage_world.clients[self->process];
}

static void connect_here(void *unused)
{
	struct mempool_client *client = stage_client();

	(void)unused;
	client->connection.fd = stage_world.sockets[self->process] = files_make_socket();
	client->connection.number = 1;
	client->connection.holder = client->holder;
	client->connection.hello = (struct mempool_msg_hello){
		.msg = packet_head(MEMPOOL_MSG_HELLO, sizeof(struct mempool_msg_hello)),
		.nonce = 1 + self->process,
		.segment_id = identity.segment_id,
	};
	strcpy(client->connection.socket_path, "/daemon");
}

void stage_connect(uint32_t process)
{
	explore_in(process, connect_here, NULL);
}

/* ---- the daemon ---- */

static bool has_work(void *unused)
{
	(void)unused;
	return schedule_to_reap() != 0 || files_has_message();
}

static void say_news(uint32_t process)
{
	struct mempool_msg_news news = { .msg = packet_head(MEMPOOL_MSG_NEWS, sizeof(news)) };

	if (stage_world.sockets[process])
		files_answer(stage_world.sockets[process], &news, sizeof(news), -1);
}

/* As daemon/sessions/client.c does. */
static void answer(const struct files_message *message)
{
	const uint32_t process = message->process;
	struct mempool_msg_welcome welcome = {
		.msg = packet_head(MEMPOOL_MSG_WELCOME, sizeof(welcome)),
		.holder = stage_world.holders[process],
		.place.segment_id = identity.segment_id,
	};
	struct mempool_msg_wake wake = {
		.msg = packet_head(MEMPOOL_MSG_WAKE, sizeof(wake)),
		.found = 1,
	};
	struct mempool_msg_peer peer = {
		.msg = packet_head(MEMPOOL_MSG_PEER, sizeof(peer)),
		.holder = message->text.peer_fd.holder,
		.incarnation = message->text.peer_fd.incarnation,
	};
	int *channel = &stage_world.channels[process];
	uint32_t asked = 0;

	switch (message->text.msg.type) {
	case MEMPOOL_MSG_HELLO:
		stage_world.sockets[process] = message->socket;
		files_answer(message->socket, &welcome, sizeof(welcome), -1);
		break;
	case MEMPOOL_MSG_WAKE_FD:
		if (!*channel)
			*channel = files_make_timer();
		files_answer(message->socket, &wake, sizeof(wake), *channel);
		break;
	case MEMPOOL_MSG_PEER_FD:
		for (uint32_t i = 1; i < EXPLORE_THREADS && !asked; i++)
			if (stage_world.holders[i] == peer.holder && !explore_is_dead(i))
				asked = i;
		if (asked && stage_world.channels[asked])
			peer.found = MEMPOOL_PEER_PASSED;
		files_answer(message->socket, &peer, sizeof(peer),
			     peer.found ? stage_world.channels[asked] : -1);
		say_news(asked);
		break;
	default:
		break;
	}
}

/* All of the daemon's memory is new when it starts, so it keeps nothing. */
void stage_daemon(void)
{
	if (exploring && schedule_is_new_daemon()) {
		memset(stage_world.sockets, 0, sizeof(stage_world.sockets));
		memset(stage_world.channels, 0, sizeof(stage_world.channels));
	}
	for (;;) {
		struct reap reap;
		uint32_t process, holder;

		explore_wait(has_work, NULL);
		if (files_has_message()) {
			struct files_message message = files_take_message();

			answer(&message);
			continue;
		}
		process = schedule_to_reap();
		holder = stage_world.holders[process];
		schedule_see_death(process);
		if (holder != MEMPOOL_HOLDER_NONE) {
			holder_set_state(segment, holder, MEMPOOL_HOLDER_REAPING);
			must(reap_init(&reap, segment), "reap_init");
			reap_add(&reap, holder);
			while (!reap_step(&reap, SLICE_WORDS))
				;
			reap_deinit(&reap);
			holder_set_state(segment, holder, MEMPOOL_HOLDER_FREE);
		}
		schedule_reaped(process);
		/* Whoever polls is to look: the dead may have owed a wake. */
		for (uint32_t i = 1; i < EXPLORE_THREADS; i++)
			if (!explore_is_dead(i))
				say_news(i);
	}
}

struct following {
	uint32_t dead;
};

static bool is_over(void *argument)
{
	const struct following *following = argument;

	return processes[following->dead].is_reaped || schedule_has_ended(following->dead);
}

bool stage_wait_for_reap(uint32_t dead)
{
	struct following following = { dead };

	explore_wait(is_over, &following);
	if (!processes[dead].is_reaped)
		return false;
	schedule_hear_of_reap(dead);
	return true;
}

bool stage_follow(uint32_t dead)
{
	uint64_t no_reserves = 0;

	if (!stage_wait_for_reap(dead))
		return false;
	stage_world.holders[self->process] = stage_world.holders[dead];
	/* The daemon does that. Nobody goes by it, so it is no step of anybody. */
	exploring = false;
	set_live(stage_world.holders[self->process], MEMPOOL_HOLDER_CLIENT);
	open_here(&no_reserves);
	exploring = true;
	return true;
}

/* ---- the judge ---- */

static void audit_fault(const char *text, void *unused)
{
	(void)unused;
	explore_fail("audit: %s", text);
}

static void audit(unsigned int flags)
{
	struct audit audit;

	must(audit_segment(segment, flags, audit_fault, NULL, &audit), "audit_segment");
}

void stage_audit(void)
{
	audit(AUDIT_REAPED | AUDIT_HINTS);
}

void stage_audit_words(void)
{
	audit(AUDIT_REAPED);
}

uint32_t stage_n_free(uint32_t pool)
{
	return segment->pools[pool].n_chunks - pool_count_used(&segment->pools[pool]);
}

/* ---- names for the trace ---- */

static bool name_in_list(const struct free_list *list, uintptr_t address, const char *pool, char *to,
			 size_t room)
{
	uintptr_t leaf = address - (uintptr_t)list->leaves;
	uintptr_t summary = address - (uintptr_t)list->summary;

	if (leaf < list->n_leaves * 8)
		snprintf(to, room, "%s leaf %zu", pool, leaf / 8);
	else if (summary < list->n_summary * 8)
		snprintf(to, room, "%s summary %zu", pool, summary / 8);
	else
		return false;
	return true;
}

static bool name_in_pool(uint32_t i, uintptr_t address, char *to, size_t room)
{
	const struct pool *pool = &segment->pools[i];
	uintptr_t entry = address - (uintptr_t)pool->entries;
	uintptr_t state = address - (uintptr_t)pool->state;
	uintptr_t data = address - (uintptr_t)pool->data;
	static const char *const fields[] = { "word", "word+4", "length", "tag" };
	static const char *const states[] = { "dry", "n_exhausted", "n_served", "peak" };
	char name[16];

	if (i == segment->n_pools)
		snprintf(name, sizeof(name), "managers");
	else
		snprintf(name, sizeof(name), "pool %u", i);
	if (entry < pool->n_chunks * sizeof(struct mempool_entry))
		snprintf(to, room, "%s %s[%zu]", name, fields[entry % 16 / 4], entry / 16);
	else if (state < 32)
		snprintf(to, room, "%s %s", name, states[state / 8]);
	else if (data < pool->data_size)
		snprintf(to, room, "%s chunk[%zu]+%zu", name, data / pool->stride,
			 data % pool->stride);
	else
		return name_in_list(&pool->list, address, name, to, room);
	return true;
}

static bool name_in_ring(uint32_t i, uintptr_t address, char *to, size_t room)
{
	const struct mempool_ring *ring = &segment->rings[i];
	uintptr_t slots = (uintptr_t)base + segment->ring_places[i].slots_off;
	const char *name = segment->config.rings[i].name;

	if (address == (uintptr_t)&ring->head)
		snprintf(to, room, "%s head", name);
	else if (address == (uintptr_t)&ring->tail)
		snprintf(to, room, "%s tail", name);
	else if (address == (uintptr_t)&ring->filled.armed)
		snprintf(to, room, "%s filled.armed", name);
	else if (address == (uintptr_t)&ring->filled.sequence)
		snprintf(to, room, "%s filled.sequence", name);
	else if (address == (uintptr_t)&ring->emptied.armed)
		snprintf(to, room, "%s emptied.armed", name);
	else if (address == (uintptr_t)&ring->emptied.sequence)
		snprintf(to, room, "%s emptied.sequence", name);
	else if (address - slots < geometry_ring_bytes(&segment->config.rings[i]))
		snprintf(to, room, "%s slot[%zu]", name, (address - slots) / 8);
	else
		return false;
	return true;
}

bool stage_name(uintptr_t address, char *to, size_t room)
{
	uintptr_t holders;

	if (!segment || address - (uintptr_t)base >= size)
		return false;
	for (uint32_t i = 0; i <= segment->n_pools; i++)
		if (name_in_pool(i, address, to, room))
			return true;
	for (uint32_t i = 0; i < segment->config.n_rings; i++)
		if (name_in_ring(i, address, to, room))
			return true;
	holders = address - (uintptr_t)segment->holders;
	if (holders < segment->n_holders * sizeof(struct mempool_holder))
		snprintf(to, room, "holder %zu+%zu", holders / sizeof(struct mempool_holder),
			 holders % sizeof(struct mempool_holder));
	else if (address == (uintptr_t)&segment->header->chunk_freed.armed)
		snprintf(to, room, "chunk_freed.armed");
	else if (address == (uintptr_t)&segment->header->chunk_freed.sequence)
		snprintf(to, room, "chunk_freed.sequence");
	else
		snprintf(to, room, "segment+0x%zx", (size_t)(address - (uintptr_t)base));
	return true;
}
