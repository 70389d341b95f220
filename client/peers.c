/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/holder.h"

/* A descriptor that the daemon did not have is asked for again: at once, after 1 ms, 2 ms, .. 1 s. */
#define PAUSE_NS INT64_C(1000000)
#define MAX_PAUSES 11

void peers_init(struct peers *peers, const struct segment *segment,
		struct connection *connection)
{
	*peers = (struct peers){ .segment = segment, .connection = connection };
}

/* Back to what is known of a holder that was never woken. */
static void forget(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	*peer = (struct peer){ .fd = -1 };
}

void peers_deinit(struct peers *peers)
{
	for (uint32_t i = 0; peers->by_id && i < peers->segment->n_holders; i++)
		forget(&peers->by_id[i]);
	free(peers->by_id);
	peers->by_id = NULL;
}

/* What is known of a holder as it lives now; NULL: no memory. */
static struct peer *find_peer(struct peers *peers, const struct holder *holder)
{
	struct peer *peer;

	if (!peers->by_id) {
		peers->by_id = calloc(peers->segment->n_holders, sizeof(*peers->by_id));
		if (!peers->by_id)
			return NULL;
		for (uint32_t i = 0; i < peers->segment->n_holders; i++)
			peers->by_id[i].fd = -1;
	}
	peer = &peers->by_id[holder->id];
	if (peer->incarnation != holder->incarnation) {
		forget(peer);
		peer->incarnation = holder->incarnation;
	}
	return peer;
}

/* Unless an answer is due, or was given just now. */
static void ask(struct peers *peers, struct peer *peer, uint32_t id)
{
	struct connection *connection = peers->connection;

	if (peer->again_ns > 0 && clock_now_ns() < peer->again_ns)
		return;
	if (!connection_resume(connection) || peer->asked_on == connection->number)
		return;
	if (connection_ask(connection, id, peer->incarnation) == 0)
		peer->asked_on = connection->number;
}

void peers_take(struct peers *peers, const struct connection_peer *answer)
{
	struct peer *peer = NULL;

	if (peers->by_id && answer->holder < peers->segment->n_holders)
		peer = &peers->by_id[answer->holder];
	/* Asked on this connection, and not of an earlier one who had that id. */
	if (!peer || peer->asked_on != peers->connection->number ||
	    peer->incarnation != answer->incarnation) {
		if (answer->fd >= 0)
			close(answer->fd);
		return;
	}
	peer->asked_on = 0;
	peer->fd = answer->fd;
	if (peer->fd >= 0) {
		/* It may be one that the daemon could not wake. */
		eventfd_write(peer->fd, 1);
		return;
	}
	if (peer->n_in_vain > 0)
		peer->again_ns = clock_now_ns() + (PAUSE_NS << (peer->n_in_vain - 1));
	if (peer->n_in_vain < MAX_PAUSES)
		peer->n_in_vain++;
}

bool peers_wake(struct peers *peers, uint32_t id)
{
	struct peer *peer;
	struct holder holder;

	if (holder_read(peers->segment, id, &holder) < 0 ||
	    holder.state != MEMPOOL_HOLDER_LIVE)
		return true;
	peer = find_peer(peers, &holder);
	if (!peer)
		return false;
	if (peer->fd < 0) {
		ask(peers, peer, id);
		return false;
	}
	eventfd_write(peer->fd, 1);
	return true;
}
