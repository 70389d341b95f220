/* SPDX-License-Identifier: MIT */
/*
 * drain.c - mempoolctl topic drain, queue drain: the daemon drops the messages of a topic or queue
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "observer.h"

static enum ctl_exit ask_to_drain(const struct ctl_options *options, enum mempool_ring_kind kind)
{
	struct mempool_msg_drained drained;
	char reason[240];
	int r;

	r = observer_drain(options->socket_path, options->segment, kind, options->arguments[0],
			   &drained, reason);
	if (r < 0)
		return ctl_explain(options->socket_path, r, reason);
	if (options->json)
		printf("{ \"messages\": %" PRIu64 ", \"freed\": %" PRIu64 " }\n",
		       drained.n_messages, drained.n_freed);
	else
		printf("%" PRIu64 " messages let go of, %" PRIu64 " chunks freed\n",
		       drained.n_messages, drained.n_freed);
	return CTL_OK;
}

enum ctl_exit ctl_topic_drain(const struct ctl_options *options)
{
	return ask_to_drain(options, MEMPOOL_RING_TOPIC);
}

enum ctl_exit ctl_queue_drain(const struct ctl_options *options)
{
	return ask_to_drain(options, MEMPOOL_RING_QUEUE);
}
