/* SPDX-License-Identifier: MIT */
/*
 * error.c - what codes mean, and the reason of the last open that failed
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mempool.h"
#include "mempool_protocol.h"
#include "public.h"

/* As long as a refusal can be: those of our own are shorter. */
#define REASON_BYTES (sizeof(((struct mempool_msg_refused *)NULL)->reason) + 1)

static _Thread_local char last_reason[REASON_BYTES];

/* All codes of mempool(7), and no others. */
static const struct {
	int code;
	const char *text;
} meanings[] = {
	{ EACCES, "the daemon does not let this process in, or its role does not allow the call" },
	{ EAGAIN, "nothing there, no room, or no chunk free; or the daemon cannot serve the segment now" },
	{ EBADMSG, "the segment is damaged" },
	{ EBUSY, "the chunk is shared, where it must be held alone; or another thread is the queue's one sender or receiver" },
	{ ECANCELED, "another thread has ended the wait" },
	{ ECHILD, "the client was opened before a fork" },
	{ EDQUOT, "the client holds as much as it may, or its user has as many clients as one may have" },
	{ EFAULT, "a write beyond the chunk, or to it after it was freed, was found" },
	{ EINTR, "a signal handler ran during the wait" },
	{ EINVAL, "an argument is wrong" },
	{ EMFILE, "this process may open no more descriptors" },
	{ EMSGSIZE, "larger than any chunk, than this chunk, or than the buffer" },
	{ ENFILE, "the system has no descriptor left" },
	{ ENODATA, "the message has no stamp" },
	{ ENOENT, "no segment, queue or topic of that name that this user may use" },
	{ ENOLCK, "all memory is locked, and RLIMIT_MEMLOCK does not leave enough for the segment" },
	{ ENOMEM, "no private memory" },
	{ ENOSYS, "the kernel is too old" },
	{ ENOTCONN, "no daemon answers, or the client was closed" },
	{ EOPNOTSUPP, "chunks of this pool cannot be shared" },
	{ EOVERFLOW, "this client holds the chunk as often as it can be held" },
	{ EPERM, "this client does not hold the chunk" },
	{ EPIPE, "the last one at the other side of the queue has left" },
	{ EPROTO, "what answers at the socket is no mempoold" },
	{ EPROTONOSUPPORT, "daemon or segment are of another version than the library" },
	{ ESTALE, "the message is gone: taken, freed or overwritten" },
	{ ETIMEDOUT, "the time of the wait is over" },
	{ EUSERS, "the segment, or the daemon, has as many clients as it may" },
};

static const char *meaning_of(int error)
{
	if (error == 0)
		return "no error";
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (error == meanings[i].code || error == -meanings[i].code)
			return meanings[i].text;
	return "unknown error";
}

void error_clear(void)
{
	last_reason[0] = '\0';
}

void error_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_reason, sizeof(last_reason), format, args);
	va_end(args);
}

void error_take(const char *reason, size_t size)
{
	size_t n = strnlen(reason, size < REASON_BYTES - 1 ? size : REASON_BYTES - 1);

	for (size_t i = 0; i < n; i++)
		last_reason[i] = reason[i] >= ' ' && reason[i] <= '~' ? reason[i] : '?';
	last_reason[n] = '\0';
}

void error_explain(int error, const char *socket_path)
{
	if (error == -ENOTCONN && socket_path)
		error_say("no mempoold answers at %s", socket_path);
	else if (last_reason[0] == '\0')
		error_say("%s", meaning_of(error));
}

PUBLIC const char *mempool_strerror(int error)
{
	return meaning_of(error);
}

const char *error_reason(void)
{
	return last_reason;
}

PUBLIC const char *mempool_client_error(void)
{
	return last_reason;
}
