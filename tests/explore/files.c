/* SPDX-License-Identifier: MIT */
/*
 * files.c - descriptors, as far as a client polls: epoll sets, timers, eventfds, and its socket
 *
 * A descriptor is the same number in all processes, and counts how often it is open: what is passed
 * is opened once more. Of a timer with more than a moment to go, the time comes when nobody can go
 * on. The other end of each socket is the daemon, that is, stage.c.
 */
#include "files.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "engine.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define FIRST 100			/* no number of the real system */
#define MAX_FILES 32
#define MAX_WAITING 6

/* Sooner than that is at once. */
#define MOMENT_NS 1000

struct packet {
	uint32_t bytes;
	int passed;			/* -1: none */
	unsigned char data[sizeof(struct mempool_msg_welcome)];
};

struct file {
	enum { FILE_NONE, FILE_SET, FILE_TIMER, FILE_EVENT, FILE_SOCKET } kind;
	uint32_t n_open;
	bool is_readable;
	bool has_hung_up;
	uint32_t members;		/* of a set */
	uint32_t process;		/* of a socket */
	int64_t due_ns;			/* of a timer; 0: none */
	int64_t interval_ns;
	struct packet waiting[MAX_WAITING];	/* for the client */
	uint32_t n_waiting;
};

static struct {
	struct file all[MAX_FILES];
	struct files_message inbox[MAX_WAITING];
	uint32_t n_inbox;
} files;

void files_init(void)
{
	memset(&files, 0, sizeof(files));
	room_keep(&files, sizeof(files));
}

static int fail(int error)
{
	self->error = error;
	return -1;
}

static struct file *get(int fd)
{
	uint32_t i = (uint32_t)(fd - FIRST);

	return i < MAX_FILES && files.all[i].n_open > 0 ? &files.all[i] : NULL;
}

static int number_of(const struct file *file)
{
	return FIRST + (int)(file - files.all);
}

static int make(int kind)
{
	for (uint32_t i = 0; i < MAX_FILES; i++) {
		struct file *file = &files.all[i];

		if (file->n_open > 0)
			continue;
		memset(file, 0, sizeof(*file));
		file->kind = kind;
		file->n_open = 1;
		file->process = self->process;
		return number_of(file);
	}
	explore_fail("too many descriptors");
}

void files_close(int fd)
{
	struct file *file = get(fd);

	if (!file || --file->n_open > 0)
		return;
	for (uint32_t i = 0; i < MAX_FILES; i++)
		files.all[i].members &= ~(UINT32_C(1) << (fd - FIRST));
}

bool files_is_readable(int fd)
{
	const struct file *file = get(fd);

	if (!file)
		return false;
	if (file->kind != FILE_SET)
		return file->is_readable;
	for (uint32_t i = 0; i < MAX_FILES; i++)
		if (file->members >> i & 1 && files.all[i].is_readable)
			return true;
	return false;
}

int64_t files_next_due(int fd)
{
	const struct file *set = get(fd);
	int64_t due = INT64_MAX;

	for (uint32_t i = 0; set && i < MAX_FILES; i++)
		if (set->members >> i & 1 && files.all[i].due_ns && files.all[i].due_ns < due)
			due = files.all[i].due_ns;
	return due;
}

void files_time_has_come(void)
{
	for (uint32_t i = 0; i < MAX_FILES; i++) {
		struct file *file = &files.all[i];

		if (file->n_open == 0 || file->due_ns == 0 || file->due_ns > now_ns)
			continue;
		file->is_readable = true;
		file->due_ns = file->interval_ns ? now_ns + file->interval_ns : 0;
	}
}

/* ---- what the code calls ---- */

static void step_here(void)
{
	if (exploring)
		schedule_point(OP_ALL, 0);
}

int sim_close(int fd)
{
	step_here();
	files_close(fd);
	return 0;
}

int sim_epoll_create1(int flags)
{
	(void)flags;
	return make(FILE_SET);
}

int sim_epoll_ctl(int set, int what, int fd, struct epoll_event *event)
{
	struct file *file = get(set);

	(void)event;
	step_here();
	if (!file || !get(fd))
		return fail(EBADF);
	if (what == EPOLL_CTL_ADD)
		file->members |= UINT32_C(1) << (fd - FIRST);
	else
		file->members &= ~(UINT32_C(1) << (fd - FIRST));
	return 0;
}

int sim_epoll_wait(int set, struct epoll_event *events, int max, int timeout)
{
	struct file *file = get(set);
	int n = 0;

	if (timeout != 0)
		explore_fail("the code waits in epoll_wait()");
	step_here();
	for (uint32_t i = 0; i < MAX_FILES && n < max; i++)
		if (file->members >> i & 1 && files.all[i].is_readable)
			events[n++] = (struct epoll_event){
				.events = EPOLLIN,
				.data.fd = FIRST + (int)i,
			};
	trace_event("epoll_wait: %d", n);
	return n;
}

int sim_eventfd(unsigned int count, int flags)
{
	(void)count;
	(void)flags;
	return make(FILE_EVENT);
}

int sim_eventfd_write(int fd, eventfd_t count)
{
	(void)count;
	step_here();
	get(fd)->is_readable = true;
	return 0;
}

int sim_eventfd_read(int fd, eventfd_t *count)
{
	step_here();
	*count = get(fd)->is_readable;
	get(fd)->is_readable = false;
	return 0;
}

int sim_timerfd_create(int clock, int flags)
{
	(void)clock;
	(void)flags;
	return make(FILE_TIMER);
}

int sim_timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *was)
{
	int64_t ns = when->it_value.tv_sec * INT64_C(1000000000) + when->it_value.tv_nsec;
	struct file *file = get(fd);

	(void)flags;
	(void)was;
	step_here();
	if (!file || file->kind != FILE_TIMER)
		return fail(EINVAL);
	file->is_readable = ns > 0 && ns <= MOMENT_NS;
	file->due_ns = ns > MOMENT_NS ? now_ns + ns : 0;
	file->interval_ns = when->it_interval.tv_sec * INT64_C(1000000000) +
			    when->it_interval.tv_nsec;
	trace_event("timer %d: %s", fd, file->is_readable ? "readable" : ns ? "starts" : "stops");
	return 0;
}

long sim_read(int fd, void *to, size_t bytes)
{
	struct file *file = get(fd);

	step_here();
	if (!file || !file->is_readable)
		return fail(EAGAIN);
	file->is_readable = false;
	memset(to, 0, bytes);
	return (long)bytes;
}

int sim_getrlimit(int resource, struct rlimit *limit)
{
	(void)resource;
	limit->rlim_cur = limit->rlim_max = 1024;
	return 0;
}

/* ---- the socket ---- */

int sim_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	return make(FILE_SOCKET);
}

int sim_connect(int fd, const void *address, unsigned int bytes)
{
	(void)fd;
	(void)address;
	(void)bytes;
	step_here();
	return 0;
}

long sim_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct file *file = get(fd);
	struct files_message *to;

	(void)flags;
	step_here();
	if (!file || file->has_hung_up)
		return fail(EPIPE);
	if (files.n_inbox == MAX_WAITING)
		return fail(EAGAIN);
	to = &files.inbox[files.n_inbox++];
	memset(to, 0, sizeof(*to));
	to->process = file->process;
	to->socket = fd;
	memcpy(&to->text, message->msg_iov->iov_base,
	       message->msg_iov->iov_len < sizeof(to->text) ? message->msg_iov->iov_len
							    : sizeof(to->text));
	trace_event("says %#x to the daemon", to->text.msg.type);
	return (long)message->msg_iov->iov_len;
}

static void pass(struct msghdr *message, int fd)
{
	struct cmsghdr *header = message->msg_control;

	if (fd < 0) {
		message->msg_controllen = 0;
		return;
	}
	message->msg_controllen = CMSG_SPACE(sizeof(int));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
}

long sim_recvmsg(int fd, struct msghdr *message, int flags)
{
	struct file *file = get(fd);
	struct packet packet;

	(void)flags;
	step_here();
	if (!file)
		return fail(EBADF);
	message->msg_flags = 0;
	if (file->n_waiting == 0) {
		message->msg_controllen = 0;
		return file->has_hung_up ? 0 : fail(EAGAIN);
	}
	packet = file->waiting[0];
	file->n_waiting--;
	memmove(file->waiting, file->waiting + 1, file->n_waiting * sizeof(packet));
	file->is_readable = file->n_waiting > 0 || file->has_hung_up;
	memcpy(message->msg_iov->iov_base, packet.data, packet.bytes);
	pass(message, packet.passed);
	trace_event("hears %#x", ((struct mempool_msg *)packet.data)->type);
	return (long)packet.bytes;
}

/* ---- for the daemon ---- */

bool files_has_message(void)
{
	return files.n_inbox > 0;
}

struct files_message files_take_message(void)
{
	struct files_message message = files.inbox[0];

	files.n_inbox--;
	memmove(files.inbox, files.inbox + 1, files.n_inbox * sizeof(message));
	return message;
}

void files_answer(int socket, const void *message, size_t bytes, int passed)
{
	struct file *file = get(socket);
	struct packet *packet;

	if (!file || file->n_waiting == MAX_WAITING)
		return;
	packet = &file->waiting[file->n_waiting++];
	packet->bytes = (uint32_t)bytes;
	packet->passed = passed;
	memcpy(packet->data, message, bytes);
	if (passed >= 0)
		get(passed)->n_open++;
	file->is_readable = true;
}

int files_make_socket(void)
{
	return make(FILE_SOCKET);
}

int files_make_timer(void)
{
	return make(FILE_TIMER);
}

void files_hang_up(void)
{
	files.n_inbox = 0;
	for (uint32_t i = 0; i < MAX_FILES; i++)
		if (files.all[i].n_open > 0 && files.all[i].kind == FILE_SOCKET)
			files.all[i].has_hung_up = files.all[i].is_readable = true;
}
