/* SPDX-License-Identifier: MIT */
/* test-packet.c - what was sent before a connection ended is received */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shm/packet.h"

static int ours, theirs;

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				    pair), 0);
	ours = pair[0];
	theirs = pair[1];
}

static void teardown(void)
{
	close(ours);
}

static void send_byte(int fd, char byte)
{
	ck_assert_int_eq(packet_send(fd, &byte, sizeof(byte), -1), 0);
}

static ssize_t receive(char *ret_byte)
{
	struct packet_passed passed;

	return packet_receive(ours, ret_byte, sizeof(*ret_byte), &passed);
}

/* The kernel tells the peer of that with ECONNRESET, before what stands in the queue. */
START_TEST(test_receive_answer_of_one_that_left_ours_unread)
{
	char byte = 0;

	send_byte(ours, 'q');
	send_byte(theirs, 'a');
	close(theirs);
	ck_assert_int_eq(receive(&byte), 1);
	ck_assert_int_eq(byte, 'a');
	ck_assert_int_eq(receive(&byte), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packet");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_receive_answer_of_one_that_left_ours_unread);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
