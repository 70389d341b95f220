/* SPDX-License-Identifier: MIT */
/* test-observer.c - LIST against daemons that answer well, badly and not at all */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/observer.h"
#include "shm/packet.h"
#include "shm/shape.h"

#define MAX_MESSAGES 65

/* A daemon for one connection: it sends these messages whatever it is told, and hangs up. */
struct fake {
	int listener;
	pthread_t thread;
	const void *messages[MAX_MESSAGES];
	size_t sizes[MAX_MESSAGES];
	int passed[MAX_MESSAGES][PACKET_MAX_PASSED]; /* with each, so many */
	uint32_t n_passed[MAX_MESSAGES];
	size_t n_received;
	struct mempool_msg received;
};

static char socket_path[64];
static struct fake fake;
static struct observed *places;
static size_t n_places;
static char reason[240];

static void *fake_run(void *userdata)
{
	struct mempool_msg_list list = { 0 };
	int fd, r = 0;

	(void)userdata;
	fd = accept(fake.listener, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	fake.n_received = (size_t)recv(fd, &list, sizeof(list), MSG_TRUNC);
	fake.received = list.msg;
	/* One that has heard enough hangs up. */
	for (size_t i = 0; i < MAX_MESSAGES && fake.messages[i] && r == 0; i++)
		r = packet_send_passed(fd, fake.messages[i], fake.sizes[i], fake.passed[i],
				       fake.n_passed[i]);
	close(fd);
	return NULL;
}

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(socket_path, sizeof(socket_path), "/tmp/test-observer.%d.sock", getpid());
	strcpy(address.sun_path, socket_path);
	fake = (struct fake){ .listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) };
	ck_assert_int_ge(fake.listener, 0);
	ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fake.listener, 1), 0);
	places = NULL;
	n_places = 4711;
}

static void teardown(void)
{
	observer_list_free(places, places ? n_places : 0);
	close(fake.listener);
	unlink(socket_path);
}

static struct mempool_msg_segment segment_message(uint32_t index, uint32_t n)
{
	return (struct mempool_msg_segment){
		.msg = {
			.magic = MEMPOOL_PROTOCOL_MAGIC,
			.version = MEMPOOL_PROTOCOL_VERSION,
			.type = MEMPOOL_MSG_SEGMENT,
			.size = sizeof(struct mempool_msg_segment),
		},
		.place = { .segment = "default", .shm_name = "/mempool-default.7" },
		.index = index,
		.n = n,
	};
}

static void will_send(size_t i, const void *message, size_t size)
{
	fake.messages[i] = message;
	fake.sizes[i] = size;
}

static void will_pass(size_t i, int fd)
{
	fake.passed[i][fake.n_passed[i]++] = fd;
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int list(void)
{
	int r;

	ck_assert_int_eq(pthread_create(&fake.thread, NULL, fake_run, NULL), 0);
	r = observer_list(socket_path, &places, &n_places, reason);
	pthread_join(fake.thread, NULL);
	return r;
}

/* One answer that is wrong, and nothing is returned for it. */
static void assert_refused(const void *message, size_t size)
{
	will_send(0, message, size);
	ck_assert_int_eq(list(), -EPROTO);
	ck_assert_ptr_null(places);
	ck_assert_uint_eq(n_places, 4711);
	ck_assert_str_eq(reason, "");
}

START_TEST(test_list_two_segments_in_order)
{
	struct mempool_msg_segment first = segment_message(0, 2);
	struct mempool_msg_segment second = segment_message(1, 2);

	first.place.segment_id = 42;
	strcpy(second.place.segment, "other");
	strcpy(second.place.shm_name, "/mempool-other.1");
	will_send(0, &first, sizeof(first));
	will_send(1, &second, sizeof(second));

	ck_assert_int_eq(list(), 0);
	ck_assert_uint_eq(n_places, 2);
	ck_assert_uint_eq(places[0].told.place.segment_id, 42);
	ck_assert_str_eq(places[0].told.place.shm_name, "/mempool-default.7");
	ck_assert_str_eq(places[1].told.place.segment, "other");

	ck_assert_uint_eq(fake.n_received, sizeof(struct mempool_msg_list));
	ck_assert_uint_eq(fake.received.magic, MEMPOOL_PROTOCOL_MAGIC);
	ck_assert_uint_eq(fake.received.version, MEMPOOL_PROTOCOL_VERSION);
	ck_assert_uint_eq(fake.received.type, MEMPOOL_MSG_LIST);
	ck_assert_uint_eq(fake.received.size, sizeof(struct mempool_msg_list));
}
END_TEST

static void fill_rings(struct config *shape, enum mempool_ring_kind kind, uint32_t n)
{
	char name[16];

	ck_assert_int_eq(config_init(shape, "default"), 0);
	ck_assert_int_eq(config_add_pool(shape, 100, 7), 0);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "ring-%u", i);
		ck_assert_int_eq(config_append_ring(shape, name, kind, 4), 0);
	}
}

START_TEST(test_list_with_an_object_and_without)
{
	struct mempool_msg_segment first = segment_message(0, 2);
	struct mempool_msg_segment second = segment_message(1, 2);
	struct stat got, sent;
	struct config shape;

	fill_rings(&shape, MEMPOOL_RING_TOPIC, 10000);
	will_pass(0, shape_make_file(&shape));
	will_pass(0, memfd_create("object", MFD_CLOEXEC));
	ck_assert_int_ge(fake.passed[0][0], 0);
	ck_assert_int_ge(fake.passed[0][1], 0);
	will_send(0, &first, sizeof(first));
	will_send(1, &second, sizeof(second));

	ck_assert_int_eq(list(), 0);
	ck_assert(config_is_same(&places[0].shape, &shape));
	ck_assert_int_eq(fstat(places[0].fd, &got), 0);
	ck_assert_int_eq(fstat(fake.passed[0][1], &sent), 0);
	ck_assert_uint_eq(got.st_ino, sent.st_ino);
	ck_assert_int_eq(places[1].fd, -1);
	close(fake.passed[0][0]);
	close(fake.passed[0][1]);
	config_deinit(&shape);
}
END_TEST

/* Each of them is a shape that there could be. */
START_TEST(test_list_shapes_of_too_many_rings_together_eproto)
{
	static struct mempool_msg_segment messages[MAX_MESSAGES];
	uint32_t n = _i ? MAX_MESSAGES : MAX_MESSAGES - 1;
	struct config shape;
	int fd;

	fill_rings(&shape, MEMPOOL_RING_QUEUE, MEMPOOL_MAX_RINGS);
	fd = shape_make_file(&shape);
	ck_assert_int_gt(fd, 0);
	config_deinit(&shape);
	for (uint32_t i = 0; i < n; i++) {
		messages[i] = segment_message(i, n);
		will_pass(i, fd);
		will_pass(i, fd);
		will_send(i, &messages[i], sizeof(messages[i]));
	}
	if (_i) {
		assert_refused(&messages[0], sizeof(messages[0]));
	} else {
		ck_assert_int_eq(list(), 0);
		ck_assert_uint_eq(n_places, n);
		ck_assert_uint_eq(places[n - 1].shape.n_rings, MEMPOOL_MAX_RINGS);
	}
	close(fd);
}
END_TEST

/* Anything might sit at the socket's path. What it passes is closed. */
START_TEST(test_list_with_another_file_eproto)
{
	struct mempool_msg_segment message = segment_message(0, 1);
	unsigned int n_fds;
	int pipes[2];

	ck_assert_int_eq(pipe(pipes), 0);
	n_fds = count_fds();
	for (int i = 0; i <= _i; i++)
		will_pass(0, pipes[i % 2]);
	assert_refused(&message, sizeof(message));
	ck_assert_uint_eq(count_fds(), n_fds);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

/* Our own limit, and not what the daemon has done. */
START_TEST(test_list_without_room_for_descriptors_emfile)
{
	struct mempool_msg_segment message = segment_message(0, 1);
	struct rlimit limit = { .rlim_cur = 0, .rlim_max = 100 };
	int pipes[2], last;

	ck_assert_int_eq(pipe(pipes), 0);
	will_pass(0, pipes[0]);
	will_pass(0, pipes[1]);
	/* One connection of ours, and one of the other side. */
	last = dup(pipes[0]);
	close(last);
	limit.rlim_cur = (rlim_t)last + 2;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	will_send(0, &message, sizeof(message));
	ck_assert_int_eq(list(), -EMFILE);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

START_TEST(test_list_of_nothing_is_empty)
{
	struct mempool_msg_segment message = segment_message(0, 0);

	memset(&message.place, 0, sizeof(message.place));
	will_send(0, &message, sizeof(message));
	ck_assert_int_eq(list(), 0);
	ck_assert_uint_eq(n_places, 0);
}
END_TEST

START_TEST(test_list_refusal_gives_code_and_reason)
{
	struct mempool_msg_refused message = {
		.msg = segment_message(0, 1).msg,
		.error = -EACCES,
		.reason = "not you",
	};

	message.msg.type = MEMPOOL_MSG_REFUSED;
	message.msg.size = sizeof(message);
	will_send(0, &message, sizeof(message));
	ck_assert_int_eq(list(), -EACCES);
	ck_assert_str_eq(reason, "not you");
}
END_TEST

START_TEST(test_list_refusal_without_end_is_cut)
{
	struct mempool_msg_refused message = {
		.msg = segment_message(0, 1).msg,
		.error = 5,
	};

	message.msg.type = MEMPOOL_MSG_REFUSED;
	message.msg.size = sizeof(message);
	memset(message.reason, 'x', sizeof(message.reason));
	will_send(0, &message, sizeof(message));
	ck_assert_int_eq(list(), -EPROTO);
	ck_assert_uint_eq(strlen(reason), sizeof(message.reason) - 1);
}
END_TEST

START_TEST(test_list_wrong_head_eproto)
{
	struct mempool_msg_segment message = segment_message(0, 1);

	switch (_i) {
	case 0:
		message.msg.magic++;
		break;
	case 1:
		message.msg.version++;
		break;
	case 2:
		message.msg.type = MEMPOOL_MSG_WELCOME;
		break;
	case 3:
		message.msg.size--;
		break;
	}
	assert_refused(&message, sizeof(message));
}
END_TEST

START_TEST(test_list_wrong_place_eproto)
{
	struct mempool_msg_segment message = segment_message(0, 1);

	switch (_i) {
	case 0:
		message.index = 1;
		break;
	case 1:
		message.n = UINT32_MAX;
		break;
	case 2:
		strcpy(message.place.segment, "\033[2J");
		break;
	case 3:
		memset(message.place.segment, 'x', sizeof(message.place.segment));
		break;
	case 4:
		memset(message.place.shm_name + 9, 'x', sizeof(message.place.shm_name) - 9);
		break;
	case 5:
		strcpy(message.place.shm_name, "/other.1");
		break;
	case 6:
		strcpy(message.place.shm_name, "/mempool-/../../etc/passwd");
		break;
	}
	assert_refused(&message, sizeof(message));
}
END_TEST

START_TEST(test_list_wrong_length_eproto)
{
	static const unsigned char junk[MEMPOOL_MSG_MAX_BYTES + 1] = { 0x6c, 0x6f, 0x70, 0x6d };
	static const size_t sizes[] = { 1, sizeof(struct mempool_msg) - 1, sizeof(junk) };

	assert_refused(junk, sizes[_i]);
}
END_TEST

START_TEST(test_list_message_cut_short_eproto)
{
	struct mempool_msg_segment message = segment_message(0, 1);

	/* The second time it is honest about it. */
	if (_i == 1)
		message.msg.size -= 8;
	assert_refused(&message, sizeof(message) - 8);
}
END_TEST

START_TEST(test_list_number_changes_eproto)
{
	struct mempool_msg_segment first = segment_message(0, 2);
	struct mempool_msg_segment second = segment_message(1, 3);

	will_send(1, &second, sizeof(second));
	assert_refused(&first, sizeof(first));
}
END_TEST

START_TEST(test_list_hangup_before_the_last_econnreset)
{
	struct mempool_msg_segment message = segment_message(0, 2);

	will_send(0, &message, sizeof(message));
	ck_assert_int_eq(list(), -ECONNRESET);
	ck_assert_ptr_null(places);
}
END_TEST

START_TEST(test_list_nobody_there_enotconn)
{
	close(fake.listener);
	ck_assert_int_eq(observer_list(socket_path, &places, &n_places, reason), -ENOTCONN);
	unlink(socket_path);
	ck_assert_int_eq(observer_list(socket_path, &places, &n_places, reason), -ENOTCONN);
}
END_TEST

START_TEST(test_list_long_path_enametoolong)
{
	char path[200];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(observer_list(path, &places, &n_places, reason), -ENAMETOOLONG);
}
END_TEST

static void on_alarm(int signal)
{
	(void)signal;
}

/* A program's timer or a profiler must not make the wait longer. */
START_TEST(test_list_silent_daemon_etimedout_through_signals)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval often = { { .tv_usec = 10000 }, { .tv_usec = 10000 } };

	/* Connected by the backlog, and nobody answers. */
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	ck_assert_int_eq(observer_list(socket_path, &places, &n_places, reason), -ETIMEDOUT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("observer");
	TCase *tcase = tcase_create("observer");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 4 * OBSERVER_TIMEOUT_SECONDS);
	tcase_add_test(tcase, test_list_two_segments_in_order);
	tcase_add_test(tcase, test_list_with_an_object_and_without);
	tcase_add_loop_test(tcase, test_list_shapes_of_too_many_rings_together_eproto, 0, 2);
	tcase_add_loop_test(tcase, test_list_with_another_file_eproto, 0, PACKET_MAX_PASSED);
	tcase_add_test(tcase, test_list_without_room_for_descriptors_emfile);
	tcase_add_test(tcase, test_list_of_nothing_is_empty);
	tcase_add_test(tcase, test_list_refusal_gives_code_and_reason);
	tcase_add_test(tcase, test_list_refusal_without_end_is_cut);
	tcase_add_loop_test(tcase, test_list_wrong_head_eproto, 0, 4);
	tcase_add_loop_test(tcase, test_list_wrong_place_eproto, 0, 7);
	tcase_add_loop_test(tcase, test_list_wrong_length_eproto, 0, 3);
	tcase_add_loop_test(tcase, test_list_message_cut_short_eproto, 0, 2);
	tcase_add_test(tcase, test_list_number_changes_eproto);
	tcase_add_test(tcase, test_list_hangup_before_the_last_econnreset);
	tcase_add_test(tcase, test_list_nobody_there_enotconn);
	tcase_add_test(tcase, test_list_long_path_enametoolong);
	tcase_add_test(tcase, test_list_silent_daemon_etimedout_through_signals);
	suite_add_tcase(suite, tcase);

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
