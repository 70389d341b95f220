/* SPDX-License-Identifier: MIT */
/*
 * mempool-camera.c - publish pictures on a topic, so many a second
 *
 *	mempool-camera TOPIC &
 *	mempool-watch TOPIC NAME
 *
 * The camera does not know who watches, and waits for nobody: publishing costs the same with
 * no subscriber and with many, with fast ones and with ones that are stopped. When every
 * chunk is held it drops the picture. Its last message, an empty one, says that it is off.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mempool.h"
#include "picture.h"

#define DEFAULT_PER_SECOND 25
#define NS_PER_SECOND 1000000000

/* Set by a signal handler: volatile sig_atomic_t is what C has for that. */
static volatile sig_atomic_t is_stopped;

struct camera {
	struct mempool_client *client;
	struct mempool_topic *topic;
	unsigned long max_frames;	/* 0: until a signal */
	unsigned long period_ns;
	uint64_t n_published;
	uint64_t n_dropped;
};

static int fail(const char *what, int error)
{
	fprintf(stderr, "mempool-camera: %s: %s\n", what, strerror(-error));
	return -1;
}

static void stop(int signal_number)
{
	(void)signal_number;
	is_stopped = 1;
}

/* A bright bar that moves to the right. */
static void take_picture(struct picture *picture, uint64_t number)
{
	struct mempool_frame *frame = &picture->frame;
	struct timespec now;

	mempool_frame_init(frame, MEMPOOL_FRAME_GREY, PICTURE_WIDTH, PICTURE_HEIGHT,
			   PICTURE_WIDTH);
	frame->header_bytes = PICTURE_HEADER_BYTES;
	frame->sequence = number;
	clock_gettime(CLOCK_MONOTONIC, &now);
	frame->stamp_ns = (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
	for (unsigned int i = 0; i < sizeof(picture->pixels); i++)
		picture->pixels[i] = i % PICTURE_WIDTH == number % PICTURE_WIDTH ? 255 : 16;
	picture->checksum = picture_checksum(picture->pixels);
}

static int publish_picture(struct camera *camera)
{
	struct picture *picture = mempool_alloc(camera->client, sizeof(*picture));
	int r;

	if (!picture && errno == EAGAIN) {
		camera->n_dropped++;
		return 0;
	}
	if (!picture)
		return fail("mempool_alloc", -errno);

	take_picture(picture, camera->n_published + 1);
	r = mempool_topic_publish(camera->topic, picture, PICTURE_BYTES);
	if (r < 0)
		return fail("mempool_topic_publish", r);
	camera->n_published++;
	return 0;
}

static int publish_end(struct camera *camera)
{
	void *chunk = mempool_alloc_wait(camera->client, 1, NS_PER_SECOND);
	int r = chunk ? mempool_topic_publish(camera->topic, chunk, 0) : -errno;

	return r < 0 ? fail("publishing the end", r) : 0;
}

/* At even moments, however long a picture takes. */
static void wait_for_next(const struct camera *camera, struct timespec *next)
{
	next->tv_nsec += (long)camera->period_ns;
	if (next->tv_nsec >= NS_PER_SECOND) {
		next->tv_nsec -= NS_PER_SECOND;
		next->tv_sec++;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

static int run(struct camera *camera, const char *topic)
{
	struct timespec next;
	int r;

	r = mempool_topic_open(camera->client, topic, &camera->topic);
	if (r < 0)
		return fail(topic, r);
	clock_gettime(CLOCK_MONOTONIC, &next);
	while (r == 0 && !is_stopped &&
	       (camera->max_frames == 0 || camera->n_published < camera->max_frames)) {
		r = publish_picture(camera);
		wait_for_next(camera, &next);
	}
	if (r == 0)
		r = publish_end(camera);
	mempool_topic_close(camera->topic);
	return r;
}

int main(int argc, char **argv)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.name = "camera",
	};
	const struct sigaction action = { .sa_handler = stop };
	unsigned long per_second = DEFAULT_PER_SECOND;
	struct camera camera = { 0 };
	int r;

	if (argc > 2)
		per_second = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		camera.max_frames = strtoul(argv[3], NULL, 10);
	if (argc < 2 || argc > 4 || per_second < 2) {
		fputs("Usage: mempool-camera TOPIC [PICTURES_PER_SECOND [PICTURES]]\n", stderr);
		return 64;
	}
	camera.period_ns = NS_PER_SECOND / per_second;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	r = mempool_client_open(&options, &camera.client);
	if (r < 0) {
		fail("mempool_client_open", r);
		return EXIT_FAILURE;
	}
	r = run(&camera, argv[1]);
	mempool_client_close(camera.client);
	if (r < 0)
		return EXIT_FAILURE;

	printf("camera: published %llu, dropped %llu\n", (unsigned long long)camera.n_published,
	       (unsigned long long)camera.n_dropped);
	return EXIT_SUCCESS;
}
