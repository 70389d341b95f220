/* SPDX-License-Identifier: MIT */
/*
 * handover-iceoryx.c - the hand-over bench (handover.h) for iceoryx 2, by its C binding
 *
 * One publisher, one subscriber whose queue holds 256 samples and holds the publisher up when
 * it is full, so that nothing is lost. Runs a RouDi of its own; one that runs already is
 * somebody else's, and its names are the same for all: then it is left out.
 */
#include "handover.h"

#include <fcntl.h>
#include <stdbool.h>

#include "iceoryx_binding_c/publisher.h"
#include "iceoryx_binding_c/runtime.h"
#include "iceoryx_binding_c/subscriber.h"

static pid_t roudi;

static _Noreturn void give_up(const char *why)
{
	printf("skipped: %s\n", why);
	if (roudi > 0)
		kill(roudi, SIGTERM);
	exit(77);
}

/* Wait for its word that it is ready; into a file, which never fills up as a pipe does. */
static void start_roudi(void)
{
	FILE *said = tmpfile();
	char text[4096];
	size_t length;

	if (access("/dev/shm/iceoryx_mgmt", F_OK) == 0)
		give_up("a RouDi is there already (/dev/shm/iceoryx_mgmt)");
	if (!said)
		give_up("no temporary file");
	roudi = fork();
	if (roudi == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(fileno(said), STDOUT_FILENO);
		dup2(fileno(said), STDERR_FILENO);
		execlp("iox-roudi", "iox-roudi", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000; i++) {
		usleep(10000);
		length = (size_t)pread(fileno(said), text, sizeof(text) - 1, 0);
		text[length < sizeof(text) ? length : 0] = '\0';
		if (strstr(text, "RouDi is ready for clients"))
			return;
	}
	give_up("iox-roudi does not start");
}

static void stop_roudi(void)
{
	int status;

	kill(roudi, SIGTERM);
	waitpid(roudi, &status, 0);
}

static iox_pub_t open_publisher(const char *name)
{
	static iox_pub_storage_t storage;
	iox_pub_options_t options;
	iox_pub_t publisher;

	iox_pub_options_init(&options);
	options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
	publisher = iox_pub_init(&storage, "bench", "handover", name, &options);
	return publisher;
}

static iox_sub_t open_subscriber(const char *name)
{
	static iox_sub_storage_t storage;
	iox_sub_options_t options;
	iox_sub_t subscriber;

	iox_sub_options_init(&options);
	options.queueCapacity = IN_FLIGHT;
	options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
	subscriber = iox_sub_init(&storage, "bench", "handover", name, &options);
	return subscriber;
}

static void *loan(iox_pub_t publisher, size_t size)
{
	void *sample;

	while (iox_pub_loan_chunk(publisher, &sample, (uint32_t)size) !=
	       AllocationResult_SUCCESS)
		;
	return sample;
}

static const uint64_t *take(iox_sub_t subscriber)
{
	const void *sample;

	while (iox_sub_take_chunk(subscriber, &sample) != ChunkReceiveResult_SUCCESS)
		;
	return sample;
}

static void wait_for_both(iox_pub_t publisher, iox_sub_t subscriber)
{
	while ((publisher && !iox_pub_has_subscribers(publisher)) ||
	       (subscriber &&
		iox_sub_get_subscription_state(subscriber) != SubscribeState_SUBSCRIBED))
		usleep(1000);
}

static void consume(uint64_t n, size_t size)
{
	iox_sub_t subscriber;

	(void)size;
	iox_runtime_init("bench-consumer");
	subscriber = open_subscriber("there");
	wait_for_both(NULL, subscriber);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t *sample = take(subscriber);

		check(sample, i);
		iox_sub_release_chunk(subscriber, sample);
	}
	iox_sub_deinit(subscriber);
	exit(0);
}

static void throughput(uint64_t n)
{
	pid_t other = start_other(consume, n, MESSAGE_BYTES);
	iox_pub_t publisher;
	uint64_t begin = 0;

	iox_runtime_init("bench-producer");
	publisher = open_publisher("there");
	wait_for_both(publisher, NULL);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t *sample;

		if (i == 2 * IN_FLIGHT)
			begin = clock_ns();
		sample = loan(publisher, MESSAGE_BYTES);
		fill(sample, i);
		iox_pub_publish_chunk(publisher, sample);
	}
	join_other(other);
	print_ns(begin, n - 2 * IN_FLIGHT);
	iox_pub_deinit(publisher);
}

static void send_new(iox_pub_t publisher, size_t size, uint64_t number)
{
	uint64_t *sample = loan(publisher, size);

	sample[0] = sample[size / 8 - 1] = number;
	iox_pub_publish_chunk(publisher, sample);
}

static void receive_old(iox_sub_t subscriber, size_t size, uint64_t number)
{
	const uint64_t *sample = take(subscriber);

	if (sample[0] != number || sample[size / 8 - 1] != number) {
		fprintf(stderr, "another message\n");
		exit(1);
	}
	iox_sub_release_chunk(subscriber, sample);
}

static void answer(uint64_t n, size_t size)
{
	iox_pub_t back;
	iox_sub_t there;

	iox_runtime_init("bench-answer");
	back = open_publisher("back");
	there = open_subscriber("there");
	wait_for_both(back, there);
	for (uint64_t i = 0; i < n; i++) {
		receive_old(there, size, i);
		send_new(back, size, i);
	}
	/* The last answer is ours until it was read. */
	sleep(1);
	exit(0);
}

static void ping_pong(size_t size, uint64_t n)
{
	pid_t other = start_other(answer, n, size);
	uint64_t begin = 0, n_first = n / 10;
	iox_pub_t there;
	iox_sub_t back;

	iox_runtime_init("bench-ask");
	there = open_publisher("there");
	back = open_subscriber("back");
	wait_for_both(there, back);
	for (uint64_t i = 0; i < n; i++) {
		if (i == n_first)
			begin = clock_ns();
		send_new(there, size, i);
		receive_old(back, size, i);
	}
	print_ns(begin, n - n_first);
	join_other(other);
}

/* Of those who end with exit() it knows that they are gone; the others it would kill. */
static int measure(int argc, char *argv[])
{
	if (strcmp(argv[1], "throughput") == 0 && argc == 3)
		throughput(strtoull(argv[2], NULL, 0));
	else if (strcmp(argv[1], "latency") == 0 && argc == 4)
		ping_pong(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
	else
		fprintf(stderr, "usage: throughput N | latency SIZE N\n");
	return 0;
}

int main(int argc, char *argv[])
{
	int status = 1;
	pid_t pid;

	if (argc < 2 || strcmp(argv[1], "blocking") == 0)
		give_up("not measured asleep");
	start_roudi();
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		exit(measure(argc, argv));
	waitpid(pid, &status, 0);
	stop_roudi();
	return status != 0;
}
