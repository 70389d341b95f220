/* SPDX-License-Identifier: MIT */
/*
 * poller.c - one sleeps in poll(2) on its client's descriptor, until what is sent is there
 *
 * The flag among the ring's pollers, the eventcount, wake channels that the daemon passes, and the
 * daemon that is asked. Nobody is left asleep beside a message: not by a sender that is killed once its
 * holder is reaped, nor by a daemon that is started anew.
 */
#include "../stage.h"
#include "client/parts.h"
#include "scenarios.h"

static struct {
	struct mempool_queue *queue[4];	/* by process */
	int fd;
	uint32_t n_sent;
	uint32_t n_received;
} world;

static void set_up(void)
{
	struct config config;

	stage_config(&config, 4, 2);
	config_add_ring(&config, "queue", MEMPOOL_RING_QUEUE, 2);
	stage_make(&config);
	for (uint32_t i = 1; i <= 3; i++) {
		stage_open(i);
		stage_connect(i);
	}
}

static void open_queue(uint32_t process)
{
	explore_check(mempool_queue_open(stage_client(), "queue", &world.queue[process]) == 0);
}

static void open_receiver(void)
{
	open_queue(1);
	world.fd = mempool_client_fd(stage_client());
	explore_check(world.fd >= 0);
}

static void open_rival(void)
{
	open_queue(3);
}

static void open_sender(void)
{
	open_queue(2);
}

static void receive(void)
{
	void *chunk;
	size_t length;
	int r;

	while ((r = mempool_queue_receive(world.queue[1], &chunk, &length, 0)) == -EAGAIN) {
		/* Killed before it sent, it sends no more. */
		if (world.n_sent == 0 && explore_is_dead(2))
			return;
		explore_poll(world.fd);
	}
	explore_check(r == 0);
	explore_check(length == 8);
	stage_check(chunk, 1);
	world.n_received++;
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

static void send(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(chunk);
	stage_stamp(chunk, 1);
	explore_check(mempool_queue_send(world.queue[2], chunk, 8, 0) == 0);
	world.n_sent++;
}

static void send_twice(void)
{
	send();
	send();
}

static bool try_receive(uint32_t process)
{
	void *chunk;
	size_t length;
	int r = mempool_queue_receive(world.queue[process], &chunk, &length, 0);

	if (r == -EAGAIN)
		return false;
	explore_check(r == 0);
	stage_check(chunk, 1);
	world.n_received++;
	explore_check(mempool_free(stage_client(), chunk) == 0);
	return true;
}

static void receive_rest(void)
{
	while (world.n_received < 2)
		if (!try_receive(1))
			explore_poll(world.fd);
}

static void receive_one(void)
{
	try_receive(3);
}

/* Only when there is nothing that it could be told of. */
static bool may_sleep_if_received(void)
{
	return world.n_received == 2;
}

/* Somebody else: if it is killed, the reaper wakes all. */
static void pass_by(void)
{
	void *chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);

	explore_check(chunk);
	explore_check(mempool_free(stage_client(), chunk) == 0);
}

/* Its own timer wakes a poller once a second. It is needed where the daemon that knows the channels
 * was killed. */
static bool may_sleep(void)
{
	return explore_is_dead(0);
}

static void judge(void)
{
	stage_audit();
	explore_check(explore_is_dead(1) || world.n_received == world.n_sent ||
		      (explore_is_dead(2) && world.n_received == 1));
}

static const struct scenario_thread threads[] = {
	{ .name = "receiver", .process = 1, .prepare = open_receiver, .run = receive },
	{ .name = "sender", .process = 2, .prepare = open_sender, .run = send },
};

static const struct scenario_thread three[] = {
	{ .name = "receiver", .process = 1, .prepare = open_receiver, .run = receive },
	{ .name = "sender", .process = 2, .prepare = open_sender, .run = send },
	{ .name = "bystander", .process = 3, .run = pass_by },
};

const struct scenario scenario_poller_three = {
	.name = "poller-three",
	.about = "as poller, and a third one is killed and reaped meanwhile",
	.threads = three,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.may_sleep = may_sleep,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.spares_daemon = true,
	.bounds = { 2, 1 },
};

static const struct scenario_thread rivals[] = {
	{ .name = "receiver", .process = 1, .prepare = open_receiver, .run = receive_rest },
	{ .name = "sender", .process = 2, .prepare = open_sender, .run = send_twice },
	{ .name = "rival", .process = 3, .prepare = open_rival, .run = receive_one },
};

const struct scenario scenario_poller_rival = {
	.name = "poller-rival",
	.about = "one polls for two messages, and another may take one before it",
	.threads = rivals,
	.n_threads = 3,
	.set_up = set_up,
	.judge = judge,
	.may_sleep = may_sleep_if_received,
	.world = &world,
	.world_bytes = sizeof(world),
	.bounds = { 2, 1 },
};

const struct scenario scenario_poller = {
	.name = "poller",
	.about = "one polls for a message, another sends it, and the daemon passes wake channels",
	.threads = threads,
	.n_threads = 2,
	.set_up = set_up,
	.judge = judge,
	.may_sleep = may_sleep,
	.world = &world,
	.world_bytes = sizeof(world),
	.kills = 1,
	.bounds = { 2, 2 },
};
