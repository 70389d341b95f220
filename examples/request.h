/* SPDX-License-Identifier: MIT */
/*
 * request.h - what mempool-request and mempool-reply say to each other
 *
 *	requests	any number of senders, any number of servers: each request goes to one
 *	reply-0 ...	`receivers: one`: the one who asks has such a queue for itself
 *
 * A request says to which queue its reply goes. The reply is in the same chunk: the server owns it, writes
 * over it and sends it on. The tag numbers the requests of one who asks. A reply with another number is to
 * an earlier request, perhaps of somebody who had the queue before and was killed: it is thrown away.
 */
#ifndef EXAMPLES_REQUEST_H
#define EXAMPLES_REQUEST_H

#include <stdint.h>
#include <stdio.h>

#define REQUEST_QUEUE "requests"
#define REQUEST_N_REPLY_QUEUES 4
#define REQUEST_TEXT_BYTES 100

struct request {
	uint32_t reply_queue;			/* below REQUEST_N_REPLY_QUEUES */
	char text[REQUEST_TEXT_BYTES];		/* ends with a zero byte */
};

static inline const char *request_reply_queue(char name[static 16], uint32_t number)
{
	snprintf(name, 16, "reply-%u", (unsigned int)(number % REQUEST_N_REPLY_QUEUES));
	return name;
}

#endif
