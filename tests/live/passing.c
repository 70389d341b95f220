/* SPDX-License-Identifier: MIT */
#include "passing.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/control.h"

/* Of an argument the low half. */
#define ARGUMENT(n) (offsetof(struct seccomp_data, args[n]) + \
		     (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))

void passing_lack_passrights(void *userdata)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(1)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOL_SOCKET, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARGUMENT(2)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SO_PASSRIGHTS, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};

	(void)userdata;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(EXIT_FAILURE);
}

struct passing passing_new(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	return (struct passing){ fds[0], fds[1] };
}

ssize_t passing_send(int fd, const void *message, size_t size, const struct passing *passed,
		     unsigned int n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(PASSING_MOST * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = (void *)message, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	ssize_t r;

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(n * sizeof(int));
	for (unsigned int i = 0; i < n; i++)
		memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &passed->writer, sizeof(int));
	r = sendmsg(fd, &msg, MSG_NOSIGNAL);
	close(passed->writer);
	return r;
}

void passing_expect_closed(struct passing *passed)
{
	char byte;

	ck_assert(patience_poll(passed->reader, 5000));
	ck_assert_int_eq(read(passed->reader, &byte, 1), 0);
	close(passed->reader);
}
