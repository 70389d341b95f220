/* SPDX-License-Identifier: MIT */
/* test-peers.c - wake channels of others: what comes of the daemon's answers, and which are kept */
#include "test_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/peers.h"
#include "odd_file.h"
#include "shm/holder.h"
#include "shm/packet.h"

enum { N_PEERS = 40, HUNG_MS = 20000 };

static struct segment *segment;
static struct connection connection;
static struct peers peers;
static int daemon_fd;			/* the daemon's end of the connection */
static uint32_t first_id;

static void connect_to_daemon(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				    pair), 0);
	connection.fd = pair[0];
	connection.number++;
	daemon_fd = pair[1];
}

static void lose_daemon(void)
{
	close(daemon_fd);
	connection_close(&connection);
	daemon_fd = -1;
}

static void set_live(uint32_t id, uint32_t incarnation)
{
	const struct holder holder = {
		.id = id,
		.kind = MEMPOOL_HOLDER_CLIENT,
		.incarnation = incarnation,
	};

	holder_set_live(segment, &holder);
}

static void setup(void)
{
	static const struct test_pool pools[] = { { .chunk_size = 64, .n_chunks = 4 } };

	segment = test_segment_new(pools, ARRAY_SIZE(pools));
	first_id = holder_first_client(segment);
	for (uint32_t i = 0; i < N_PEERS; i++)
		set_live(first_id + i, 1);
	connection = CONNECTION_NULL;
	connect_to_daemon();
	peers_init(&peers, segment, &connection);
}

static void teardown(void)
{
	peers_deinit(&peers);
	lose_daemon();
	segment_free(segment);
}

/* Whether a question for it is there, and no other. */
static bool is_asked_for(uint32_t id)
{
	struct mempool_msg_peer_fd question;
	struct packet_passed passed;

	if (packet_receive(daemon_fd, &question, sizeof(question), &passed) < 0)
		return false;
	ck_assert_int_eq(question.msg.type, MEMPOOL_MSG_PEER_FD);
	ck_assert_uint_eq(question.holder, id);
	return true;
}

static void answer(uint32_t id, uint32_t incarnation, uint32_t found, int fd)
{
	const struct connection_answer says = {
		.holder = id,
		.incarnation = incarnation,
		.found = found,
		.fd = fd,
	};

	peers_take(&peers, &says);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int new_channel(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* A second descriptor of the channel, as its holder has it. */
static int give_channel(uint32_t id, uint32_t incarnation)
{
	int fd = new_channel(), holders = dup(fd);

	ck_assert_int_ge(holders, 0);
	answer(id, incarnation, MEMPOOL_PEER_PASSED, fd);
	return holders;
}

/* It has been set since the last time; or will not be. */
static bool is_set(int channel, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = channel, .events = POLLIN };
	bool is_readable = poll(&poll_fd, 1, timeout_ms) == 1;

	ck_assert_int_eq(channel_clear(channel), 0);
	return is_readable;
}

/* Asked for and answered. Return: the holder's end of its channel. */
static int make_known(uint32_t id)
{
	int channel;

	ck_assert(!peers_wake(&peers, id));
	ck_assert(is_asked_for(id));
	channel = give_channel(id, 1);
	/* For what was published before the answer came. */
	ck_assert(is_set(channel, HUNG_MS));
	return channel;
}

START_TEST(test_peers_channel_is_asked_for_once_and_set)
{
	int channel;

	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	ck_assert(!is_asked_for(first_id));
	channel = give_channel(first_id, 1);
	ck_assert(is_set(channel, HUNG_MS));
	ck_assert(peers_wake(&peers, first_id));
	ck_assert(is_set(channel, HUNG_MS));
	ck_assert(!is_asked_for(first_id));
	close(channel);
}
END_TEST

START_TEST(test_peers_file_that_is_no_channel_is_closed_and_ignored)
{
	int fd = odd_file(_i);

	ck_assert_int_ge(fd, 0);
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	answer(first_id, 1, MEMPOOL_PEER_PASSED, fd);
	ck_assert(!is_open(fd));
	ck_assert(!peers_wake(&peers, first_id));
	/* As one that has none: asked for again. */
	ck_assert(is_asked_for(first_id));
}
END_TEST

START_TEST(test_peers_answer_that_nobody_asked_for_is_closed)
{
	int fd = new_channel();

	answer(first_id, 1, MEMPOOL_PEER_PASSED, fd);
	ck_assert(!is_open(fd));
	ck_assert(!peers_wake(&peers, first_id));
	fd = new_channel();
	answer(first_id, 2, MEMPOOL_PEER_PASSED, fd);
	ck_assert(!is_open(fd));
	fd = new_channel();
	answer(UINT32_MAX, 1, MEMPOOL_PEER_PASSED, fd);
	ck_assert(!is_open(fd));
}
END_TEST

START_TEST(test_peers_none_is_asked_for_again_after_a_pause)
{
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	answer(first_id, 1, MEMPOOL_PEER_NONE, -1);
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	answer(first_id, 1, MEMPOOL_PEER_NONE, -1);
	for (int i = 0; i < 10; i++) {
		ck_assert(!peers_wake(&peers, first_id));
		if (is_asked_for(first_id))
			answer(first_id, 1, MEMPOOL_PEER_NONE, -1);
	}
	/* By now it pauses for longer than this takes. */
	for (int i = 0; i < 20; i++) {
		peers.by_id[first_id].again_ns = INT64_MAX;
		ck_assert(!peers_wake(&peers, first_id));
		ck_assert(!is_asked_for(first_id));
	}
}
END_TEST

/* The daemon had one, and would not pass it before others were read: there is no pause. */
START_TEST(test_peers_later_is_asked_for_at_the_next_wake)
{
	for (int i = 0; i < 20; i++) {
		ck_assert(!peers_wake(&peers, first_id));
		ck_assert(is_asked_for(first_id));
		answer(first_id, 1, MEMPOOL_PEER_LATER, -1);
	}
}
END_TEST

/* Another client has its id now. */
START_TEST(test_peers_next_incarnation_has_another_channel)
{
	int old = make_known(first_id), channel;

	set_live(first_id, 2);
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(!is_set(old, 50));
	ck_assert(is_asked_for(first_id));
	channel = give_channel(first_id, 2);
	ck_assert(peers_wake(&peers, first_id));
	ck_assert(is_set(channel, HUNG_MS));
	close(old);
	close(channel);
}
END_TEST

START_TEST(test_peers_old_channel_serves_while_the_daemon_is_away)
{
	int old = make_known(first_id);

	lose_daemon();
	ck_assert(peers_wake(&peers, first_id));
	ck_assert(is_set(old, HUNG_MS));
	close(old);
	connect_to_daemon();
}
END_TEST

/* Set as well, but relied on only once the next daemon has said that it has none. */
START_TEST(test_peers_old_channel_is_not_relied_on_before_the_next_daemon_answers)
{
	int old = make_known(first_id), channel;

	lose_daemon();
	connect_to_daemon();
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_set(old, HUNG_MS));
	ck_assert(is_asked_for(first_id));
	answer(first_id, 1, MEMPOOL_PEER_NONE, -1);
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	answer(first_id, 1, MEMPOOL_PEER_NONE, -1);
	peers.by_id[first_id].again_ns = INT64_MAX;
	ck_assert(peers_wake(&peers, first_id));
	ck_assert(is_set(old, HUNG_MS));

	peers.by_id[first_id].again_ns = 0;
	ck_assert(!peers_wake(&peers, first_id));
	ck_assert(is_asked_for(first_id));
	channel = give_channel(first_id, 1);
	ck_assert(is_set(channel, HUNG_MS));
	ck_assert(is_set(old, HUNG_MS));
	ck_assert(peers_wake(&peers, first_id));
	ck_assert(is_set(channel, HUNG_MS));
	ck_assert(!is_set(old, 50));
	ck_assert(!is_asked_for(first_id));
	close(old);
	close(channel);
}
END_TEST

/* A quarter of the descriptors that this process may have; those that were used last. */
START_TEST(test_peers_channels_used_longest_ago_are_closed)
{
	struct rlimit limit;
	int channels[N_PEERS];

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 4 * N_PEERS;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (uint32_t i = 0; i < N_PEERS; i++)
		channels[i] = make_known(first_id + i);
	ck_assert_uint_eq(peers.n_kept, N_PEERS);
	/* The first is used: the second is the one that has to go. */
	ck_assert(peers_wake(&peers, first_id));
	limit.rlim_cur = 4 * N_PEERS - 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	set_live(first_id + N_PEERS, 1);
	close(make_known(first_id + N_PEERS));
	ck_assert_uint_eq(peers.n_kept, N_PEERS - 1);
	for (uint32_t i = 0; i < N_PEERS; i++) {
		bool is_gone = i == 1 || i == 2;

		ck_assert_int_eq(peers.by_id[first_id + i].fd < 0, is_gone);
		/* Asked for again, like one that was never known. */
		ck_assert_int_eq(peers_wake(&peers, first_id + i), !is_gone);
		ck_assert_int_eq(is_asked_for(first_id + i), is_gone);
		close(channels[i]);
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_peers_channel_is_asked_for_once_and_set);
	tcase_add_loop_test(tcase, test_peers_file_that_is_no_channel_is_closed_and_ignored, 0,
			    N_ODD_FILES);
	tcase_add_test(tcase, test_peers_answer_that_nobody_asked_for_is_closed);
	tcase_add_test(tcase, test_peers_none_is_asked_for_again_after_a_pause);
	tcase_add_test(tcase, test_peers_later_is_asked_for_at_the_next_wake);
	tcase_add_test(tcase, test_peers_next_incarnation_has_another_channel);
	tcase_add_test(tcase, test_peers_old_channel_serves_while_the_daemon_is_away);
	tcase_add_test(tcase,
		       test_peers_old_channel_is_not_relied_on_before_the_next_daemon_answers);
	tcase_add_test(tcase, test_peers_channels_used_longest_ago_are_closed);
}

int main(void)
{
	return test_run("peers", add_tests);
}
