/* SPDX-License-Identifier: MIT */
#include "role.h"

static struct mempool_ring *ring_of(const struct role *role)
{
	return &role->client->segment->rings[role->ring];
}

static uint64_t word_of(const struct mempool_client *client)
{
	return role_word(client->holder, client->incarnation);
}

void role_init(struct role *role, struct mempool_client *client, enum mempool_end_kind kind,
	       uint32_t ring)
{
	struct mempool_ring *shared = &client->segment->rings[ring];

	*role = (struct role){ .client = client, .ring = ring, .kind = kind };
	poller_look_init(&role->turn, ring,
			 kind == MEMPOOL_END_SENDER ? &shared->emptied : &shared->filled, false);
	role->turn.is_always_woken = true;
}

static int begin(struct role *role, struct cache *cache)
{
	struct mempool_client *client = role->client;
	int r;

	/* Without the lock: who is told this calls often. */
	if (role_look(ring_of(role), role->kind) != 0)
		return -EBUSY;
	pthread_mutex_lock(&process_own()->lock);
	r = role_take(ring_of(role), role->kind, word_of(client));
	if (r == 0) {
		atomic_store_explicit(&role->cache, cache, memory_order_relaxed);
		LIST_INSERT_HEAD(&client->roles, role, link);
	}
	pthread_mutex_unlock(&process_own()->lock);
	return r;
}

int role_begin(struct role *role, struct cache *cache)
{
	int r = begin(role, cache);

	return r == -EBUSY && poller_arm(&role->client->poller, &role->turn) ? begin(role, cache) : r;
}

/* Under the lock. Killed before the wakes, the reaper does them. */
static void give_back(struct role *role)
{
	struct mempool_ring *ring = ring_of(role);

	LIST_REMOVE(role, link);
	atomic_store_explicit(&role->cache, NULL, memory_order_relaxed);
	role_give_back(ring, role->kind, word_of(role->client));
	poller_wake_slowly(&role->client->poller, role->ring, role->turn.eventcount);
}

void role_end(struct role *role)
{
	if (client_is_forked(role->client))
		return;
	poller_forget(&role->client->poller, &role->turn);
	/* A closed client has given all back; `closed` may be written meanwhile. */
	pthread_mutex_lock(&process_own()->lock);
	if (atomic_load_explicit(&role->cache, memory_order_relaxed))
		give_back(role);
	pthread_mutex_unlock(&process_own()->lock);
}

void role_leave(struct mempool_client *client, const struct cache *cache)
{
	struct role *role, *next;

	for (role = LIST_FIRST(&client->roles); role; role = next) {
		next = LIST_NEXT(role, link);
		if (role_is_ours(role, cache))
			give_back(role);
	}
}

void role_close(struct mempool_client *client)
{
	struct role *role;

	pthread_mutex_lock(&process_own()->lock);
	while ((role = LIST_FIRST(&client->roles)))
		give_back(role);
	pthread_mutex_unlock(&process_own()->lock);
}
