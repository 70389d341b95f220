/* SPDX-License-Identifier: MIT */
/* loops_messages.h - the loops of messages: one way, there and back, to subscribers; a part of loops.h */
#ifndef BENCH_LOOPS_MESSAGES_H
#define BENCH_LOOPS_MESSAGES_H

#ifdef HAS_CHANNELS

/* The first word of a message: its number, and whether measuring begins or ends with it.
 */
#define MARK (UINT64_C(1) << 62)
#define END (UINT64_C(1) << 63)
#define NUMBER (MARK - 1)

static inline void write_message(uint64_t *message, uint64_t first)
{
	message[0] = first;
	for (size_t i = 1; i < n_written; i++)
		message[i] = first + i;
}

static inline void check_message(const uint64_t *message, uint64_t number)
{
	uint64_t first = message[0], wrong = (first & NUMBER) ^ number;

	for (size_t i = 1; i < n_written; i++)
		wrong |= message[i] ^ (first + i);
	if (wrong)
		fail("another message than the one that was due");
}

static inline void send_one(int channel, uint64_t first)
{
	uint64_t *message;

	while (!(message = (uint64_t *)channel_begin(channel, setup.bytes)))
		;
	write_message(message, first);
	while (!channel_send(channel, message, setup.bytes))
		;
}

/* Return: its first word. */
static inline uint64_t receive_one(int channel, uint64_t number, bool wait)
{
	uint64_t *message, first;

	while (!(message = (uint64_t *)channel_receive(channel, wait)))
		;
	check_message(message, number);
	first = message[0];
	channel_done(channel, message);
	return first;
}

/* By the receiver's clock, from the marked message to the last one. */
static void throughput_side(struct meeting *meeting, int side)
{
	uint64_t number = 0, first, begin = 0, n_before = 0, until;
	unsigned int burst = setup.bytes > 65536 ? 8 : 256;

	if (side == 1) {
		do {
			first = receive_one(0, number, false);
			if (first & MARK) {
				begin = clock_ns();
				n_before = number;
			}
			number++;
		} while (!(first & END));
		meeting->result[1] =
			(double)(clock_ns() - begin) / (double)(number - 1 - n_before);
		return;
	}
	for (until = ms_from_now(setup.ms / 5); clock_ns() < until;)
		for (unsigned int i = 0; i < burst; i++)
			send_one(0, number++);
	send_one(0, number++ | MARK);
	for (until = ms_from_now(setup.ms); clock_ns() < until;)
		for (unsigned int i = 0; i < burst; i++)
			send_one(0, number++);
	send_one(0, number | END);
}

static void roundtrip_side(struct meeting *meeting, int side)
{
	uint64_t number = 0, first, begin, n_before, until;

	if (side == 1) {
		do {
			first = receive_one(0, number, setup.is_asleep);
			send_one(1, first);
			number++;
		} while (!(first & END));
		return;
	}
	for (until = ms_from_now(setup.ms / 5); clock_ns() < until; number++) {
		send_one(0, number);
		receive_one(1, number, setup.is_asleep);
	}
	n_before = number;
	begin = clock_ns();
	/* The clock is looked at seldom; a round of a megabyte takes long enough by
	 * itself. */
	for (until = ms_from_now(setup.ms); number % 16 || clock_ns() < until; number++) {
		send_one(0, number);
		receive_one(1, number, setup.is_asleep);
	}
	meeting->result[0] = (double)(clock_ns() - begin) / (double)(number - n_before);
	send_one(0, number | END);
	receive_one(1, number, setup.is_asleep);
}

static void throughput(void)
{
	struct meeting *meeting = meeting_new(2);
	double line_ns = run_sides(throughput_side, meeting);

	print_figure(bench_work, meeting->result[1], "ns", line_ns);
}

static void roundtrip(void)
{
	struct meeting *meeting = meeting_new(2);
	double line_ns = run_sides(roundtrip_side, meeting);

	print_figure(bench_work, meeting->result[0], "ns", line_ns);
}

#endif /* HAS_CHANNELS */

#ifdef HAS_TOPIC

#define BURST 64
#define LAST UINT64_MAX

static void read_topic(struct meeting *meeting, int side)
{
	const uint64_t *message;
	uint64_t number;

	do {
		while (!(message = (const uint64_t *)topic_receive(side)))
			sched_yield();
		number = message[0];
		topic_done(side, message);
		word_store(&meeting->side[side].word, number);
	} while (number != LAST);
}

static void publish_one(uint64_t number)
{
	uint64_t *message;

	while (!(message = (uint64_t *)topic_begin(setup.bytes)))
		;
	message[0] = number;
	topic_send(message, setup.bytes);
}

static void publish_side(struct meeting *meeting, int side)
{
	struct slices *publishing, *delivering;
	uint64_t until = ms_from_now(setup.ms), number = 0, begin;

	if (side > 0) {
		read_topic(meeting, side);
		return;
	}
	publishing = slices_new();
	delivering = slices_new();
	do {
		begin = clock_ns();
		for (int i = 0; i < BURST; i++)
			publish_one(++number);
		slices_add(publishing, (double)(clock_ns() - begin) / BURST);
		for (uint32_t i = 1; i < meeting->n_sides; i++)
			while (word_load(&meeting->side[i].word) != number)
				;
		slices_add(delivering, (double)(clock_ns() - begin) / BURST);
	} while (clock_ns() < until);
	meeting->result[0] = slices_finish(publishing);
	meeting->result[1] = slices_finish(delivering);
	publish_one(LAST);
}

static void publish(void)
{
	struct meeting *meeting = meeting_new((uint32_t)setup.n_clients);
	double line_ns = run_sides(publish_side, meeting);

	print_figure("publish", meeting->result[0], "ns", line_ns);
	print_figure("deliver", meeting->result[1], "ns", line_ns);
}

#ifdef HAS_POOL
static double run_published(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;

	do {
		for (int i = 0; i < BURST; i++)
			publish_one(1);
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / BURST);
		begin = end;
	} while (end < until);
	return slices_finish(slices);
}

static void publish_stopped(void)
{
	among_stopped(run_published);
}
#endif

#endif /* HAS_TOPIC */

#endif
