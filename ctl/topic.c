/* SPDX-License-Identifier: MIT */
/*
 * topic.c - mempoolctl topic drain: the daemon lets a topic go of what it keeps
 */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"
#include "observer.h"

enum ctl_exit ctl_topic_drain(const struct ctl_options *options)
{
	const char *topic = options->arguments[0];
	struct mempool_msg_drained drained;
	char reason[240];
	int r;

	r = observer_drain(options->socket_path, options->segment, topic, &drained, reason);
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
