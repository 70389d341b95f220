/* SPDX-License-Identifier: MIT */
/* Send a picture, and read it as a program that does not know who made it. */
#include <errno.h>
#include <error.h>
#include <inttypes.h>
#include <mempool.h>
#include <mempool_frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIDTH 32
#define HEIGHT 24
#define BYTES (sizeof(struct mempool_frame) + WIDTH * HEIGHT)

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void send_picture(struct mempool_client *client, struct mempool_queue *queue)
{
	struct mempool_frame *frame = mempool_alloc(client, BYTES);

	if (!frame)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	mempool_frame_init(frame, MEMPOOL_FRAME_GREY, WIDTH, HEIGHT, WIDTH);
	frame->sequence = 1;
	frame->stamp_ns = (int64_t)monotonic_ns();
	memset(frame + 1, 128, WIDTH * HEIGHT);
	mempool_queue_send(queue, frame, BYTES, -1);
}

static void print(const struct mempool_frame *frame, size_t length)
{
	const unsigned char *pixels = mempool_frame_data(frame, frame, length);

	if (!pixels || frame->format != MEMPOOL_FRAME_GREY)
		error(EXIT_FAILURE, 0, "no picture of mine");
	printf("picture %" PRIu64 ": %u x %u, the first pixel is %d\n", frame->sequence,
	       frame->width, frame->height, pixels[0]);
}

/* The stamp of the message is of a queue with `stamps: true`; that of the picture is its maker's. */
static void print_age(struct mempool_client *client, const struct mempool_frame *frame)
{
	uint64_t sent_ns, now_ns = monotonic_ns();
	int r = mempool_message_stamp(client, frame, &sent_ns);

	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_message_stamp");
	printf("taken %" PRIu64 " us ago, %" PRIu64 " us on its way\n",
	       (now_ns - (uint64_t)frame->stamp_ns) / 1000, (now_ns - sent_ns) / 1000);
}

int main(void)
{
	struct mempool_queue *queue = NULL;
	struct mempool_client *client;
	void *message;
	size_t length;
	int r;

	r = mempool_client_open(NULL, &client);
	if (r == 0)
		r = mempool_queue_open(client, "frames", &queue);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot open the queue");

	send_picture(client, queue);
	if (mempool_queue_receive(queue, &message, &length, -1) == 0) {
		print(message, length);
		print_age(client, message);
		mempool_free(client, message);
	}
	mempool_queue_close(queue);
	mempool_client_close(client);
	return EXIT_SUCCESS;
}
