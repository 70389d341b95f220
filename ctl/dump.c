/* SPDX-License-Identifier: MIT */
/*
 * dump.c - mempoolctl dump: the config in force
 *
 * The daemon passes it as a file. It is trusted no more than other answers: it must be a
 * plain one of a sensible size, and what is not printable ASCII is not printed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "observer.h"

/* Far more than a config of the 1 MiB that mempoold reads can become. */
#define MAX_BYTES (64 << 20)

static int print_file(int fd)
{
	struct stat st;
	size_t size;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_BYTES)
		return -EPROTO;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, size, 0);
	for (ssize_t i = 0; i < n; i++)
		putchar(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?');
	free(text);
	return n == (ssize_t)size ? 0 : -EPROTO;
}

enum ctl_exit ctl_dump(const struct ctl_options *options)
{
	char reason[240] = "";
	int fd, r;

	r = observer_dump(options->socket_path, options->json, &fd, reason);
	if (r == 0) {
		r = print_file(fd);
		close(fd);
	}
	return r < 0 ? ctl_explain(options->socket_path, r, reason) : CTL_OK;
}
