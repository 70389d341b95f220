/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "channel.h"
#include "shm/clock.h"
#include "shm/holder.h"

/* A channel that the daemon did not have is asked for again: at once, after 1 ms, 2 ms, .. 1 s. */
#define PAUSE_NS INT64_C(1000000)
#define MAX_PAUSES 11

void peers_init(struct peers *peers, const struct segment *segment,
		struct connection *connection)
{
	*peers = (struct peers){ .segment = segment, .connection = connection };
	TAILQ_INIT(&peers->kept);
}

/* ---- channels that are kept ---- */

static void drop(struct peers *peers, struct peer *peer)
{
	if (peer->fd < 0)
		return;
	close(peer->fd);
	peer->fd = -1;
	TAILQ_REMOVE(&peers->kept, peer, link);
	peers->n_kept--;
}

/* As the limit is now; one in any case. */
static uint64_t most_kept(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 == 0)
		return 1;
	return limit.rlim_cur / 4;
}

static void keep(struct peers *peers, struct peer *peer, int fd)
{
	drop(peers, peer);
	while (peers->n_kept > 0 && peers->n_kept >= most_kept())
		drop(peers, TAILQ_FIRST(&peers->kept));
	peer->fd = fd;
	peer->got_on = peers->connection->number;
	peer->n_in_vain = 0;
	TAILQ_INSERT_TAIL(&peers->kept, peer, link);
	peers->n_kept++;
}

/* Return: whether it has reached one that its holder has watched once. */
static bool use(struct peers *peers, struct peer *peer)
{
	if (peer->fd < 0)
		return false;
	if (channel_wake(peer->fd) < 0) {
		drop(peers, peer);
		return false;
	}
	TAILQ_REMOVE(&peers->kept, peer, link);
	TAILQ_INSERT_TAIL(&peers->kept, peer, link);
	return true;
}

/* ---- what is known of a holder ---- */

/* Back to what is known of one that was never woken. */
static void forget(struct peers *peers, struct peer *peer)
{
	drop(peers, peer);
	*peer = (struct peer){ .fd = -1 };
}

void peers_deinit(struct peers *peers)
{
	for (uint32_t i = 0; peers->by_id && i < peers->segment->n_holders; i++)
		forget(peers, &peers->by_id[i]);
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
		forget(peers, peer);
		peer->incarnation = holder->incarnation;
	}
	return peer;
}

/* ---- asking ---- */

static bool is_asked(const struct peers *peers, const struct peer *peer)
{
	return peers->connection->fd >= 0 && peer->asked_on == peers->connection->number;
}

/* It came on this connection, and that is there still. */
static bool is_of_this_daemon(const struct peers *peers, const struct peer *peer)
{
	return peers->connection->fd >= 0 && peer->fd >= 0 &&
	       peer->got_on == peers->connection->number;
}

/* Unless an answer is due, or was given just now. */
static void ask(struct peers *peers, struct peer *peer, uint32_t id)
{
	struct connection *connection = peers->connection;

	if (peer->n_in_vain > 1 && clock_now_ns() < peer->again_ns)
		return;
	if (!connection_resume(connection) || is_asked(peers, peer))
		return;
	if (connection_ask(connection, id, peer->incarnation) == 0)
		peer->asked_on = connection->number;
}

/* Once more now: the daemon woke the holder when it was asked, which may be long ago. */
static bool is_channel(int fd)
{
	if (fd < 0)
		return false;
	if (channel_wake(fd) == 0)
		return true;
	close(fd);
	return false;
}

void peers_take(struct peers *peers, const struct connection_answer *answer)
{
	struct peer *peer = NULL;

	if (peers->by_id && answer->holder < peers->segment->n_holders)
		peer = &peers->by_id[answer->holder];
	/* Asked on this connection, and not of an earlier one who had that id. */
	if (!peer || !is_asked(peers, peer) || peer->incarnation != answer->incarnation) {
		if (answer->fd >= 0)
			close(answer->fd);
		return;
	}
	peer->asked_on = 0;
	if (is_channel(answer->fd)) {
		keep(peers, peer, answer->fd);
		return;
	}
	if (answer->found == MEMPOOL_PEER_LATER)
		return;
	if (peer->n_in_vain > 0)
		peer->again_ns = clock_now_ns() + (PAUSE_NS << (peer->n_in_vain - 1));
	if (peer->n_in_vain < MAX_PAUSES)
		peer->n_in_vain++;
}

/* ---- waking ---- */

bool peers_wake(struct peers *peers, uint32_t id)
{
	struct peer *peer;
	struct holder holder;
	bool is_reached;

	if (holder_read(peers->segment, id, &holder) < 0 ||
	    holder.state != MEMPOOL_HOLDER_LIVE)
		return true;
	peer = find_peer(peers, &holder);
	if (!peer)
		return false;
	is_reached = use(peers, peer);
	if (!is_of_this_daemon(peers, peer))
		ask(peers, peer, id);
	return is_reached && !is_asked(peers, peer);
}
