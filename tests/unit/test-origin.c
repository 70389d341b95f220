/* SPDX-License-Identifier: MIT */
/* test-origin.c - processes known from a record: the same, another one, or none that can be seen */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/process.h"
#include "test_segment.h"

static struct origin origin;
static pid_t child;

static void setup(void)
{
	origin_init(&origin);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
}

static void end_child(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	child = 0;
}

static void teardown(void)
{
	end_child();
}

/* As a daemon would write it down. */
static struct process record_child(bool with_inode)
{
	struct process process;
	int pair[2], pidfd;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	/* Of ourselves, as the peer is; then of the child. */
	ck_assert_int_eq(process_open_peer(pair[0], getpid(), &origin, &pidfd, &process), 0);
	ck_assert_int_eq(process.pid, getpid());
	close(pidfd);
	close(pair[0]);
	close(pair[1]);

	process = (struct process){ .pid = child, .origin = origin };
	ck_assert_int_eq(origin_start_time(child, &process.start_time), 0);
	if (with_inode) {
		ck_assert_int_eq(process_open(&process, &origin, &pidfd), 0);
		process.inode = process_inode(pidfd);
		close(pidfd);
	}
	return process;
}

static int open_it(const struct process *process)
{
	int pidfd, r = process_open(process, &origin, &pidfd);

	if (r == 0)
		close(pidfd);
	return r;
}

START_TEST(test_origin_compares_with_itself_only)
{
	struct origin other = origin;

	ck_assert_uint_ne(origin.pid_namespace, 0);
	ck_assert(origin_compares(&origin, &other));
	other.init_start_time++;
	ck_assert(!origin_compares(&origin, &other));
	ck_assert(origin_same_boot(&origin, &other));
	other = origin;
	other.pid_namespace++;
	ck_assert(!origin_compares(&origin, &other));
	other = origin;
	other.boot_id[15] ^= 1;
	ck_assert(!origin_compares(&origin, &other));
	ck_assert(!origin_same_boot(&origin, &other));
	/* What cannot be read compares with nothing, not even with itself. */
	other = (struct origin){ .pid_namespace = 0 };
	ck_assert(!origin_compares(&other, &other));
}
END_TEST

START_TEST(test_boot_id_is_what_the_kernel_says)
{
	char expected[64], printed[40];
	const uint8_t *id = origin.boot_id;
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(expected, sizeof(expected), file));
	fclose(file);
	expected[strcspn(expected, "\n")] = '\0';
	snprintf(printed, sizeof(printed),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0],
		 id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11],
		 id[12], id[13], id[14], id[15]);
	ck_assert_str_eq(printed, expected);
}
END_TEST

START_TEST(test_process_lives_and_dies)
{
	struct process process = record_child(_i);
	int pidfd;

	ck_assert_int_eq(process_open(&process, &origin, &pidfd), 0);
	ck_assert(!process_has_ended(pidfd));
	end_child();
	ck_assert(process_has_ended(pidfd));
	close(pidfd);
	ck_assert_int_eq(open_it(&process), -ESRCH);
}
END_TEST

/* The pid is in use again. */
START_TEST(test_process_that_is_another_one_is_dead)
{
	struct process process = record_child(_i);

	process.start_time -= 100;
	process.inode += process.inode != 0;
	ck_assert_int_eq(open_it(&process), -ESRCH);
}
END_TEST

/* The inode alone decides, where there is one: start times may be told differently. */
START_TEST(test_process_of_the_inode_lives_whatever_its_start_time)
{
	struct process process = record_child(true);

	if (process.inode == 0)
		return;
	process.start_time += 1000000;
	ck_assert_int_eq(open_it(&process), 0);
}
END_TEST

/* A daemon that was killed before it looked the process up left a record without a start time. */
START_TEST(test_process_that_was_not_looked_up_may_live)
{
	struct process process = record_child(false), looked_up;
	int pidfd;

	ck_assert_int_eq(process_open(&process, &origin, &pidfd), 0);
	looked_up = process;
	process.start_time = 0;
	ck_assert_int_eq(open_it(&process), 0);
	ck_assert(process_look_up(&process, pidfd));
	ck_assert_uint_eq(process.start_time, looked_up.start_time);
	ck_assert(!process_look_up(&process, pidfd));

	process.start_time = 0;
	end_child();
	ck_assert(!process_look_up(&process, pidfd));
	ck_assert_uint_eq(process.start_time, 0);
	ck_assert_int_eq(open_it(&process), -ESRCH);
	close(pidfd);
}
END_TEST

START_TEST(test_process_of_elsewhere_is_neither_dead_nor_alive)
{
	struct process process = record_child(false);

	process.origin.init_start_time++;
	ck_assert_int_eq(open_it(&process), -EXDEV);
	end_child();
	ck_assert_int_eq(open_it(&process), -EXDEV);
	process.origin = (struct origin){ .pid_namespace = 0 };
	ck_assert_int_eq(open_it(&process), -EXDEV);
	process.origin = origin;
	process.pid = 0;
	ck_assert_int_eq(open_it(&process), -EXDEV);
}
END_TEST

/* Of another namespace of this boot, the inode can still say that it lives. */
START_TEST(test_process_of_another_namespace_is_found_by_its_inode)
{
	struct process process = record_child(true);

	if (process.inode == 0)
		return;
	process.origin.pid_namespace++;
	ck_assert_int_eq(open_it(&process), 0);
	process.origin.boot_id[0] ^= 1;
	ck_assert_int_eq(open_it(&process), -EXDEV);
}
END_TEST

/* In a time namespace /proc tells other start times, and we the same ones. */
START_TEST(test_start_time_is_the_same_in_a_time_namespace)
{
	uint64_t before, after = 0;
	int status, pipe_fds[2];
	pid_t pid;

	ck_assert_int_eq(origin_start_time(child, &before), 0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int fd;

		if (unshare(CLONE_NEWTIME) < 0)
			_exit(77);
		fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
		if (fd < 0 || dprintf(fd, "boottime 100000 0\n") < 0)
			_exit(77);
		close(fd);
		/* The next one is in it. */
		pid = fork();
		if (pid == 0) {
			if (origin_start_time(child, &after) == 0)
				(void)!write(pipe_fds[1], &after, sizeof(after));
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(pipe_fds[1]);
	waitpid(pid, &status, 0);
	if (WEXITSTATUS(status) == 77) {
		fprintf(stderr, "skipped: no time namespace can be made here\n");
		close(pipe_fds[0]);
		return;
	}
	ck_assert_int_eq(read(pipe_fds[0], &after, sizeof(after)), sizeof(after));
	close(pipe_fds[0]);
	ck_assert_uint_eq(before, after);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_origin_compares_with_itself_only);
	tcase_add_test(tcase, test_boot_id_is_what_the_kernel_says);
	tcase_add_loop_test(tcase, test_process_lives_and_dies, 0, 2);
	tcase_add_loop_test(tcase, test_process_that_is_another_one_is_dead, 0, 2);
	tcase_add_test(tcase, test_process_of_the_inode_lives_whatever_its_start_time);
	tcase_add_test(tcase, test_process_that_was_not_looked_up_may_live);
	tcase_add_test(tcase, test_process_of_elsewhere_is_neither_dead_nor_alive);
	tcase_add_test(tcase, test_process_of_another_namespace_is_found_by_its_inode);
	tcase_add_test(tcase, test_start_time_is_the_same_in_a_time_namespace);
}

int main(void)
{
	return test_run("origin", add_tests);
}
