/* SPDX-License-Identifier: MIT */
/*
 * dump.c - mempoolctl dump: the config in force
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"
#include "observer.h"
#include "passed.h"

static int print_file(int fd)
{
	char *text;
	int r = passed_read(fd, &text);

	if (r < 0)
		return r;
	fputs(text, stdout);
	free(text);
	return 0;
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
