/* SPDX-License-Identifier: MIT */
/*
 * error.c - messages of mempoolctl; see ctl.h
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "ctl.h"
#include "daemon/base/writer.h"
#include "observer.h"

#define ERROR_TEXT_BYTES 1024

static struct writer error_writer = WRITER_NULL(STDERR_FILENO);
static _Thread_local ctl_error_fn error_function;
static _Thread_local void *error_userdata;

void ctl_error_to(ctl_error_fn function, void *userdata)
{
	error_function = function;
	error_userdata = userdata;
}

int ctl_error_start_writer(void)
{
	return writer_start(&error_writer, "mempoolctl: ");
}

void ctl_error_finish(void)
{
	writer_finish(&error_writer);
}

/* What a peer, a file or a name service sent must not steer the terminal. */
static void make_safe(const char *text, char *ret_safe)
{
	mbstate_t state = { 0 };
	wchar_t c;

	while (*text) {
		size_t n = mbrtowc(&c, text, strlen(text), &state);

		if (n == (size_t)-1 || n == (size_t)-2) {
			state = (mbstate_t){ 0 };
			n = 1;
			*ret_safe++ = '?';
		} else if (iswprint((wint_t)c)) {
			memcpy(ret_safe, text, n);
			ret_safe += n;
		} else {
			*ret_safe++ = '?';
		}
		text += n;
	}
	*ret_safe = '\0';
}

void ctl_error(const char *format, ...)
{
	char text[ERROR_TEXT_BYTES], safe[sizeof(text)], line[sizeof(text) + 16];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	make_safe(text, safe);
	if (error_function) {
		error_function(safe, error_userdata);
		return;
	}
	snprintf(line, sizeof(line), "mempoolctl: %s\n", safe);
	writer_put(&error_writer, line);
}

enum ctl_exit ctl_explain(const char *socket_path, int error, const char *reason)
{
	if (reason[0] != '\0') {
		ctl_error("mempoold refused: %s", reason);
		return CTL_FAILED;
	}
	switch (error) {
	case -ENOTCONN:
		ctl_error("no mempoold at %s", socket_path);
		return CTL_NO_DAEMON;
	case -ETIMEDOUT:
		ctl_error("mempoold at %s does not answer within %d s", socket_path,
			  OBSERVER_TIMEOUT_SECONDS);
		return CTL_NO_DAEMON;
	case -ECONNRESET:
		ctl_error("mempoold at %s hung up", socket_path);
		return CTL_NO_DAEMON;
	case -EPROTO:
		ctl_error("%s: the answer is not one of mempoold's, or of another version",
			  socket_path);
		return CTL_FAILED;
	case -EMFILE:
		ctl_error("mempoold has more segments than this process may have descriptors: raise "
			  "its RLIMIT_NOFILE (ulimit -Hn, LimitNOFILE=)");
		return CTL_FAILED;
	default:
		ctl_error("%s: %s", socket_path, strerror(-error));
		return CTL_FAILED;
	}
}
