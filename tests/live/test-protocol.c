/* SPDX-License-Identifier: MIT */
/*
 * test-protocol.c - the broker's protocol, straight on the socket
 *
 * In every case a bystander is attached meanwhile, and must still be served afterwards.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "support/control.h"

static struct fixture fixture;
static struct mempool_msg_welcome bystander;
static int bystander_fd;

static void setup(void)
{
	fixture_init(&fixture);
	fixture_configure(&fixture, "limits: { hello_timeout: 300ms }\n", NULL);
	fixture_start(&fixture);
	bystander_fd = wire_attach(&fixture, 4711, &bystander);
}

/* Nobody has taken anything from it. */
static void teardown(void)
{
	struct segment *segment = wire_map(&bystander);
	struct pollfd poll_fd = { .fd = bystander_fd, .events = POLLIN };
	struct mempool_msg_welcome welcome;

	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	ck_assert_int_eq(pool_claim(&segment->pools[0], 0, bystander.holder), 0);
	ck_assert_int_eq(pool_release(&segment->pools[0], 0, bystander.holder, true), 0);
	segment_free(segment);
	close(wire_attach(&fixture, 4711, &welcome));
	ck_assert_int_eq(welcome.holder, bystander.holder);
	close(bystander_fd);
	fixture_stop(&fixture);
	fixture_deinit(&fixture);
}

/* One message, one refusal. */
static void expect_refused(const void *message, size_t size, int error, const char *text)
{
	int fd = wire_connect(&fixture);

	wire_send(fd, message, size);
	wire_expect_refused(fd, error, text);
	close(fd);
}

START_TEST(test_hello_valid_is_welcome)
{
	struct mempool_msg_welcome welcome;
	int fd = wire_attach(&fixture, 1, &welcome);
	struct segment *segment = wire_map(&welcome);

	ck_assert_str_eq(welcome.place.segment, fixture.segment);
	ck_assert_uint_eq(welcome.place.generation, 1);
	ck_assert_uint_ne(welcome.holder, bystander.holder);
	ck_assert_uint_ge(welcome.holder, 2);
	ck_assert_uint_gt(welcome.incarnation, 0);
	segment_free(segment);
	close(fd);
}
END_TEST

START_TEST(test_hello_without_segment_gets_first)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);

	memset(hello.segment, 0, sizeof(hello.segment));
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	ck_assert_str_eq(welcome.place.segment, fixture.segment);
	close(fd);
}
END_TEST

/* A valid hello, cut or made longer, is refused at every length but its own. */
START_TEST(test_message_of_every_length_is_refused)
{
	unsigned char bytes[MEMPOOL_MSG_MAX_BYTES + 1] = { 0 };
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	size_t size;

	for (size = 0; size <= sizeof(bytes); size++) {
		if (size == sizeof(hello))
			continue;
		memcpy(bytes, &hello, sizeof(hello));
		expect_refused(bytes, size, -EPROTO, "");
		/* Also if it is honest about its length. */
		if (size >= sizeof(hello.msg)) {
			((struct mempool_msg *)(void *)bytes)->size = (uint32_t)size;
			expect_refused(bytes, size, -EPROTO, "");
		}
	}
}
END_TEST

START_TEST(test_message_larger_than_any_is_refused)
{
	size_t size = 100000;
	unsigned char *bytes = calloc(1, size);

	memcpy(bytes, &(struct mempool_msg){ .magic = MEMPOOL_PROTOCOL_MAGIC,
					     .version = MEMPOOL_PROTOCOL_VERSION,
					     .type = MEMPOOL_MSG_HELLO,
					     .size = (uint32_t)size },
	       sizeof(struct mempool_msg));
	expect_refused(bytes, size, -EPROTO, "100000 bytes");
	free(bytes);
}
END_TEST

START_TEST(test_message_with_bad_head_is_refused)
{
	struct mempool_msg_hello hello;

	hello = wire_hello(&fixture, 1);
	hello.msg.magic ^= 1;
	expect_refused(&hello, sizeof(hello), -EPROTO, "not a message");

	hello = wire_hello(&fixture, 1);
	hello.msg.version = 77;
	expect_refused(&hello, sizeof(hello), -EPROTONOSUPPORT, "version 77");
	expect_refused(&hello, sizeof(hello), -EPROTONOSUPPORT, "mempoold version 2");

	hello = wire_hello(&fixture, 1);
	hello.msg.type = MEMPOOL_MSG_WELCOME;
	expect_refused(&hello, sizeof(hello), -EPROTO, "0x81");

	hello = wire_hello(&fixture, 1);
	hello.msg.size--;
	expect_refused(&hello, sizeof(hello), -EPROTO, "malformed");

	hello = wire_hello(&fixture, 1);
	hello.msg.reserved = 1;
	expect_refused(&hello, sizeof(hello), -EPROTO, "malformed");
}
END_TEST

START_TEST(test_message_of_junk_is_refused)
{
	unsigned char bytes[MEMPOOL_MSG_MAX_BYTES];
	unsigned int seed = 1, i, k;

	for (i = 0; i < 500; i++) {
		for (k = 0; k < sizeof(bytes); k++)
			bytes[k] = (unsigned char)rand_r(&seed);
		expect_refused(bytes, 16 + (size_t)rand_r(&seed) % 497, -EPROTO, "");
	}
}
END_TEST

/* Each bit of the fixed part of a valid hello turned: refused or welcome, never worse. */
START_TEST(test_hello_with_any_bit_turned_is_answered)
{
	unsigned int bit;

	for (bit = 0; bit < 8 * offsetof(struct mempool_msg_hello, name); bit++) {
		struct mempool_msg_hello hello = wire_hello(&fixture, 1);
		union wire_answer answer;
		int fd = wire_connect(&fixture);

		((unsigned char *)&hello)[bit / 8] ^= (unsigned char)(1 << bit % 8);
		wire_send(fd, &hello, sizeof(hello));
		ck_assert_int_gt(wire_receive(fd, &answer), 0);
		if (answer.msg.type == MEMPOOL_MSG_WELCOME) {
			wire_bye(fd);
		} else {
			ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_REFUSED);
			ck_assert_int_eq(wire_receive(fd, &answer), 0);
			close(fd);
		}
	}
}
END_TEST

START_TEST(test_hello_with_bad_names_is_refused)
{
	static const char *const bad_names[] = { "", "a b", "a/b", "a\n", "\xc3\xa9", "%s" };
	struct mempool_msg_hello hello;
	size_t i;

	for (i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		hello = wire_hello(&fixture, 1);
		memset(hello.name, 0, sizeof(hello.name));
		strcpy(hello.name, bad_names[i]);
		expect_refused(&hello, sizeof(hello), -EINVAL, "client's name");
		if (!*bad_names[i])
			continue;
		hello = wire_hello(&fixture, 1);
		memset(hello.segment, 0, sizeof(hello.segment));
		strcpy(hello.segment, bad_names[i]);
		expect_refused(&hello, sizeof(hello), -EINVAL, "segment's name");
	}

	hello = wire_hello(&fixture, 1);
	memset(hello.name, 'a', sizeof(hello.name));
	expect_refused(&hello, sizeof(hello), -EPROTO, "not closed");
	hello = wire_hello(&fixture, 1);
	memset(hello.segment, 'a', sizeof(hello.segment));
	expect_refused(&hello, sizeof(hello), -EPROTO, "not closed");
	hello = wire_hello(&fixture, 1);
	hello.name[31] = 'x';
	expect_refused(&hello, sizeof(hello), -EPROTO, "not closed");

	hello = wire_hello(&fixture, 0);
	expect_refused(&hello, sizeof(hello), -EINVAL, "nonce");
	hello = wire_hello(&fixture, 1);
	strcpy(hello.segment, "nobody-has-it");
	expect_refused(&hello, sizeof(hello), -ENOENT, "'nobody-has-it'");
	hello = wire_hello(&fixture, 1);
	hello.segment_id = 12345;
	expect_refused(&hello, sizeof(hello), -EIDRM, "no record");
}
END_TEST

START_TEST(test_hello_twice_is_refused)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 2);
	struct mempool_msg_welcome welcome, again;
	int fd = wire_attach(&fixture, 1, &welcome);

	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EPROTO, "none was due");
	close(fd);

	/* It costs the connection, not the record: the process lives. */
	close(wire_attach(&fixture, 1, &again));
	ck_assert_uint_eq(again.holder, welcome.holder);
	ck_assert_uint_eq(again.incarnation, welcome.incarnation);
}
END_TEST

START_TEST(test_hello_behind_hello_at_once_is_refused)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);

	wire_send(fd, &hello, sizeof(hello));
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &welcome);
	wire_expect_refused(fd, -EPROTO, "none was due");
	close(fd);
}
END_TEST

START_TEST(test_bye_first_is_refused)
{
	struct mempool_msg_bye bye = { .msg = wire_msg(MEMPOOL_MSG_BYE, sizeof(bye)) };

	expect_refused(&bye, sizeof(bye), -EPROTO, "before a hello");
}
END_TEST

START_TEST(test_list_of_client_is_refused)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_welcome welcome;
	int fd = wire_attach(&fixture, 1, &welcome);

	wire_send(fd, &list, sizeof(list));
	wire_expect_refused(fd, -EPROTO, "not an observer");
	close(fd);
}
END_TEST

START_TEST(test_list_shows_segments)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	union wire_answer answer;
	int fd = wire_connect(&fixture), i;

	for (i = 0; i < 3; i++) {
		wire_send(fd, &list, sizeof(list));
		ck_assert_int_eq(wire_receive(fd, &answer), sizeof(answer.segment));
		ck_assert_int_eq(answer.msg.type, MEMPOOL_MSG_SEGMENT);
		ck_assert_uint_eq(answer.segment.index, 0);
		ck_assert_uint_eq(answer.segment.n, 1);
		ck_assert_mem_eq(&answer.segment.place, &bystander.place,
				 sizeof(bystander.place));
	}
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_refused(fd, -EPROTO, "none was due");
	close(fd);
}
END_TEST

START_TEST(test_connection_that_says_nothing_is_dropped)
{
	double start = clock_ms();
	struct control control;
	int fd;

	control_start(&control);
	fd = wire_connect(&fixture);
	wire_expect_refused(fd, -ETIMEDOUT, "hello_timeout");
	ck_assert(clock_ms() - start >= 250);
	ck_assert(control_stop(&control) < 2000);
	close(fd);
}
END_TEST

START_TEST(test_connection_that_attached_is_not_timed)
{
	struct mempool_msg_welcome welcome;
	int fd = wire_attach(&fixture, 1, &welcome);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&poll_fd, 1, 700), 0);
	wire_bye(fd);
}
END_TEST

/* It asks and asks and never reads: it is not read either, and nobody else waits for it. */
START_TEST(test_peer_that_does_not_read_is_not_read)
{
	struct mempool_msg_list list = { .msg = wire_msg(MEMPOOL_MSG_LIST, sizeof(list)) };
	struct mempool_msg_welcome welcome;
	int fd = wire_connect(&fixture);
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	unsigned int i;

	for (i = 0; i < 100000; i++) {
		if (send(fd, &list, sizeof(list), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			continue;
		ck_assert_int_eq(errno, EAGAIN);
		if (poll(&room, 1, 500) == 0)
			break;
	}
	ck_assert_uint_lt(i, 100000);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	close(fd);
}
END_TEST

START_TEST(test_hello_repeated_gets_same_record)
{
	struct mempool_msg_welcome first, second, third;
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	union wire_answer answer;
	int a, b, c;

	/* The old connection is still there: it is replaced. */
	a = wire_attach(&fixture, 1, &first);
	b = wire_attach(&fixture, 1, &second);
	ck_assert_mem_eq(&first, &second, sizeof(first));
	ck_assert_int_eq(wire_receive(a, &answer), 0);
	close(a);
	close(b);

	/* Coming back, by the id of the segment, under whatever name. */
	hello.segment_id = first.place.segment_id;
	memset(hello.segment, 0, sizeof(hello.segment));
	c = wire_connect(&fixture);
	wire_send(c, &hello, sizeof(hello));
	wire_expect_welcome(c, &third);
	ck_assert_mem_eq(&first, &third, sizeof(first));
	close(c);

	/* Another nonce is another client. */
	close(wire_attach(&fixture, 2, &second));
	ck_assert_uint_ne(second.holder, first.holder);
}
END_TEST

START_TEST(test_hello_after_bye_gets_new_record)
{
	struct mempool_msg_hello hello = wire_hello(&fixture, 1);
	struct mempool_msg_welcome first;
	int fd;

	wire_bye(wire_attach(&fixture, 1, &first));
	hello.segment_id = first.place.segment_id;
	expect_refused(&hello, sizeof(hello), -ESTALE, "no record");
	fd = wire_connect(&fixture);
	hello.segment_id = 0;
	wire_send(fd, &hello, sizeof(hello));
	wire_expect_welcome(fd, &first);
	wire_bye(fd);
}
END_TEST

/* A line of the log is the daemon's, whatever names a client asks for. */
START_TEST(test_drain_of_names_with_line_ends_forges_no_line)
{
	struct mempool_msg_drain drain = {
		.msg = wire_msg(MEMPOOL_MSG_DRAIN, sizeof(drain)),
		.segment = "x\nmempoold: forged",
		.topic = "\033[31mx\nmempoold: forged",
	};

	expect_refused(&drain, sizeof(drain), -ENOENT, "there is no segment");
	memset(drain.segment, 0, sizeof(drain.segment));
	memcpy(drain.segment, fixture.segment, strlen(fixture.segment));
	expect_refused(&drain, sizeof(drain), -ENOENT, "has no topic");
	ck_assert(fixture_log_has(&fixture, "there is no segment 'x\\x0amempoold: forged'"));
	ck_assert(fixture_log_has(&fixture, "has no topic '\\x1b[31mx\\x0amempoold: forged'"));
	ck_assert(!fixture_log_has(&fixture, "\033"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("protocol");
	TCase *tcase = tcase_create("protocol");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_hello_valid_is_welcome);
	tcase_add_test(tcase, test_hello_without_segment_gets_first);
	tcase_add_test(tcase, test_message_of_every_length_is_refused);
	tcase_add_test(tcase, test_message_larger_than_any_is_refused);
	tcase_add_test(tcase, test_message_with_bad_head_is_refused);
	tcase_add_test(tcase, test_message_of_junk_is_refused);
	tcase_add_test(tcase, test_hello_with_any_bit_turned_is_answered);
	tcase_add_test(tcase, test_hello_with_bad_names_is_refused);
	tcase_add_test(tcase, test_hello_twice_is_refused);
	tcase_add_test(tcase, test_hello_behind_hello_at_once_is_refused);
	tcase_add_test(tcase, test_bye_first_is_refused);
	tcase_add_test(tcase, test_list_of_client_is_refused);
	tcase_add_test(tcase, test_list_shows_segments);
	tcase_add_test(tcase, test_connection_that_says_nothing_is_dropped);
	tcase_add_test(tcase, test_connection_that_attached_is_not_timed);
	tcase_add_test(tcase, test_peer_that_does_not_read_is_not_read);
	tcase_add_test(tcase, test_hello_repeated_gets_same_record);
	tcase_add_test(tcase, test_hello_after_bye_gets_new_record);
	tcase_add_test(tcase, test_drain_of_names_with_line_ends_forges_no_line);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
