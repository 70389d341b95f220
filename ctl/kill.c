/* SPDX-License-Identifier: MIT */
/*
 * kill.c - mempoolctl kill: end the process of a holder
 *
 * The record in the segment is a member's to write, and a pid may be another process's by now. So
 * neither is gone by: the daemon passes the pidfd by which it watches the holder, which is that
 * process and no other one, whatever ends and begins while the question waits for its answer. The
 * signal is ours, not the daemon's: it goes where the kernel lets this user send one.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl.h"
#include "number.h"
#include "observer.h"

static bool is_confirmed(uint32_t holder, const struct mempool_msg_found *found)
{
	char answer[16];

	fprintf(stderr, "End holder %u, '%s', process %u of user %u? [y/N] ", holder, found->name,
		found->pid, found->uid);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static enum ctl_exit end_process(const struct ctl_options *options, uint32_t holder,
				 const struct mempool_msg_found *found, int pidfd)
{
	const int number = options->force ? SIGKILL : SIGTERM;

	if (!options->yes && !is_confirmed(holder, found)) {
		ctl_error("holder %u is left alone", holder);
		return CTL_FAILED;
	}
	if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0) {
		/* EINVAL: the kernel's word for a process of another pid namespace. */
		ctl_error("holder %u, process %u: %s", holder, found->pid,
			  errno == EINVAL ? "it is in a pid namespace that is not seen from here: "
					    "end it where it runs"
					  : strerror(errno));
		return CTL_FAILED;
	}
	if (options->json)
		printf("{ \"holder\": %u, \"pid\": %u, \"signal\": %d }\n", holder, found->pid,
		       number);
	else
		printf("sent %s to holder %u, process %u\n", options->force ? "SIGKILL" : "SIGTERM",
		       holder, found->pid);
	return CTL_OK;
}

enum ctl_exit ctl_kill(const struct ctl_options *options)
{
	const char *generation_text = options->arguments[1];
	struct mempool_msg_found found;
	uint64_t generation = 0;
	uint32_t holder;
	enum ctl_exit status;
	char reason[240];
	int pidfd, r;

	if (!number_read_holder(options->arguments[0], &holder) ||
	    (generation_text && !number_read_generation(generation_text, &generation)))
		return CTL_USAGE;
	r = observer_find(options->socket_path, options->segment, generation, holder, &found, &pidfd,
			  reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	status = end_process(options, holder, &found, pidfd);
	close(pidfd);
	return status;
}
