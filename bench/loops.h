/* SPDX-License-Identifier: MIT */
/*
 * loops.h - the work, the loops that measure it, and main(); the same for every system
 *
 * Included once, by the program of a system, after it has defined what adapter.h says.
 *
 *	PROGRAM [--threads] [--variant NAME] [--ms N] WORK [BYTES [N]]
 *
 * The pool; N: its chunks
 *	pair		alloc and free, one after the other
 *	batch		1000 allocs, then 1000 frees in the same order
 *	batch-many	the same in two calls
 *	contended	pairs on both CPUs at once, out of one pool
 *	contended-batch	batches on both CPUs at once
 *	clients		pairs in one of N attached processes; the others sleep
 *	exhausted	all are taken; what one more alloc costs: the first one that
 *			fails, then those after it
 *	nearly-empty	two sides hold all chunks but one; in turns one frees a random
 *			one and the other allocs: its time, the clock's included
 *
 * Messages; N: 8 or all, how much of them is written, read and checked
 *	throughput	one way, as fast as they go, IN_FLIGHT at most on their way
 *	roundtrip	one there and one back; both sides look all the time
 *	blocking	the same, both asleep until it comes
 *	publish		bursts to N subscribers: what a message costs the publisher, and
 *			until all have it
 *	publish-stopped	to N that were stopped after they had subscribed: what it costs
 *
 * Death; N: chunks of the pool
 *	kill		200 processes, some at a time, that alloc, free, send and receive
 *			are killed; after each lot another one joins and does the same
 *			for a while, or hangs. In the end: what is not free again
 *	kill-alloc	the same, but they only alloc and free
 *	death		one that holds 1000, or as many as it may, is killed: until all
 *			are free again
 *
 * The broker; N: chunks of the pool
 *	start		fork to ready
 *	attach		open in a process, and close
 *	memory		its RssAnon, and bytes in /dev/shm a payload byte
 *
 * Side 0 is on CPU 0, all others on CPU 1. One-sided figures are the median of slices of
 * some microseconds or more, of which each has many operations; two-sided ones the mean.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

#include "adapter.h"

static const char *bench_work;
static size_t n_written; /* words of a message that are written and read */

static inline uint64_t ms_from_now(uint64_t ms)
{
	return clock_ns() + ms * 1000000;
}

static void join_alone(void)
{
	system_open();
	pin(0);
	system_join(0);
}

static void leave_alone(void)
{
	system_leave(0);
	system_close();
}

/* What all sides run; what one of them has to say goes into meeting->result[]. */
static side_function bench_run;

static void run_other(struct meeting *meeting, int side)
{
	system_join(side);
	meet(meeting);
	line_trip_ns(meeting, side);
	bench_run(meeting, side);
	line_trip_ns(meeting, side);
	system_leave(side);
}

/*
 * Threads join to what side 0 has joined to already; processes join by themselves,
 * children of a process that has not. Return: the line's time.
 */
static double run_sides(side_function run, struct meeting *meeting)
{
	int n_sides = (int)meeting->n_sides;
	struct side sides[MAX_SIDES];
	double line_ns;

	bench_run = run;
	system_open();
	if (setup.is_threads)
		system_join(0);
	for (int i = 1; i < n_sides; i++)
		side_start(&sides[i], run_other, meeting, i, setup.is_threads);
	pin(0);
	if (!setup.is_threads)
		system_join(0);
	meet(meeting);
	line_ns = line_trip_ns(meeting, 0) / 2;
	run(meeting, 0);
	line_ns += line_trip_ns(meeting, 0) / 2;
	for (int i = 1; i < n_sides; i++)
		side_join(&sides[i]);
	system_leave(0);
	system_close();
	return line_ns;
}

/* ---- the pool ---- */

#ifdef HAS_POOL

#define PAIRS 4096
#define BATCH 1000

/* Nanoseconds a pair, for so long. */
static double run_pairs(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;

	do {
		for (int i = 0; i < PAIRS; i++) {
			void *chunk = system_alloc(setup.bytes);

			use(chunk);
			system_free(chunk);
		}
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / PAIRS);
		begin = end;
	} while (end < until);
	return slices_finish(slices);
}

static double run_batches(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;
	void *chunks[BATCH];

	do {
		for (int i = 0; i < BATCH; i++)
			use(chunks[i] = system_alloc(setup.bytes));
		for (int i = 0; i < BATCH; i++)
			system_free(chunks[i]);
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / BATCH);
		begin = end;
	} while (end < until);
	return slices_finish(slices);
}

#ifdef HAS_MANY
static double run_batches_many(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;
	void *chunks[BATCH];

	do {
		system_alloc_many(setup.bytes, chunks, BATCH);
		for (int i = 0; i < BATCH; i++)
			use(chunks[i]);
		system_free_many(chunks, BATCH);
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / BATCH);
		begin = end;
	} while (end < until);
	return slices_finish(slices);
}
#endif

/* Each one before it is measured: whether there are such chunks, and first touches. */
static void warm_up(double (*run)(uint64_t ms))
{
	uint64_t *chunk = (uint64_t *)system_alloc(setup.bytes);

	if (!chunk)
		fail("no chunk");
	memset(chunk, 1, setup.bytes);
	system_free(chunk);
	run(setup.ms / 10);
}

static void alone(double (*run)(uint64_t ms))
{
	join_alone();
	warm_up(run);
	print_figure(bench_work, run(setup.ms), "ns", 0);
	leave_alone();
}

static void pairs_of_side(struct meeting *meeting, int side)
{
	warm_up(run_pairs);
	meet(meeting);
	meeting->result[side] = run_pairs(setup.ms);
}

static void pair(void)
{
	alone(run_pairs);
}

static void batch(void)
{
	alone(run_batches);
}
#ifdef HAS_MANY
static void batch_many(void)
{
	alone(run_batches_many);
}
#endif

static void batches_of_side(struct meeting *meeting, int side)
{
	warm_up(run_batches);
	meet(meeting);
	meeting->result[side] = run_batches(setup.ms);
}

static void contended(side_function run)
{
	struct meeting *meeting = meeting_new(2);
	double line_ns = run_sides(run, meeting);

	print_figure(bench_work, (meeting->result[0] + meeting->result[1]) / 2, "ns",
		     line_ns);
}

static void contended_pairs(void)
{
	contended(pairs_of_side);
}

static void contended_batches(void)
{
	contended(batches_of_side);
}

/* The others have joined, and stand still until they are killed. */
static void among_stopped(double (*run)(uint64_t ms))
{
	int n = setup.n_clients;
	pid_t *pids = (pid_t *)calloc((size_t)n, sizeof(*pids));
	int fds[2];
	char byte;

	if (!pids || pipe(fds) < 0)
		fail("no memory");
	system_open();
	for (int i = 1; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			fail("no child");
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			system_join(i);
			if (write(fds[1], "", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
	}
	for (int i = 1; i < n; i++)
		if (read(fds[0], &byte, 1) != 1)
			fail("a client has ended");
	for (int i = 1; i < n; i++)
		kill(pids[i], SIGSTOP);
	pin(0);
	system_join(0);
	warm_up(run);
	print_figure(bench_work, run(setup.ms), "ns", 0);
	for (int i = 1; i < n; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	free(pids);
	leave_alone();
}

static void clients(void)
{
	among_stopped(run_pairs);
}

/* Until there are none. Return: how many, in *ret_chunks. */
static uint64_t take_all(void ***ret_chunks, uint64_t n_most)
{
	void **chunks = (void **)malloc(n_most * sizeof(*chunks));
	uint64_t n = 0;

	if (!chunks)
		fail("no memory");
	while (n < n_most && (chunks[n] = system_alloc(setup.bytes)))
		n++;
	*ret_chunks = chunks;
	return n;
}

static void exhausted(void)
{
	struct slices *slices = slices_new();
	uint64_t n, begin, end, first, until;
	void **chunks;

	join_alone();
	/* All that was asked for; what a system has on top, it gives until it fails. */
	n = take_all(&chunks, setup.n_chunks);
	do {
		begin = clock_ns();
		chunks[0] = system_alloc(setup.bytes);
		first = clock_ns() - begin;
	} while (chunks[0] && ++n < 2 * setup.n_chunks);
	until = ms_from_now(setup.ms);
	begin = clock_ns();
	do {
		for (int i = 0; i < 64; i++)
			use(system_alloc(setup.bytes));
		end = clock_ns();
		slices_add(slices, (double)(end - begin) / 64);
		begin = end;
	} while (end < until);
	print_figure("first", (double)first, "ns", 0);
	print_figure("then", slices_finish(slices), "ns", 0);
	print_figure("obtained", (double)n, "chunks", 0);
	free(chunks);
	leave_alone();
}

static uint64_t random_below(uint64_t n)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

/* Side 0 takes half, side 1 the rest but one; then in turns: free one here, alloc one
 * there. */
static void nearly_empty_side(struct meeting *meeting, int side)
{
	struct slices *slices = slices_new();
	uint64_t until, n = 0, turn = 0, begin, seen, give_up = 0;
	void **chunks = NULL;

	if (side == 0)
		n = take_all(&chunks, setup.n_chunks / 2);
	meet(meeting);
	if (side == 1)
		n = take_all(&chunks, setup.n_chunks);
	meet(meeting);
	until = ms_from_now(setup.ms);
	for (turn = (uint64_t)side; give_up == 0; turn += 2) {
		uint64_t place = random_below(n);

		while ((seen = word_load(&meeting->there.word)) < turn)
			;
		if (seen > turn)
			break;
		if (turn > 0) {
			void *chunk;

			begin = clock_ns();
			while (!(chunk = system_alloc(setup.bytes)) && give_up == 0)
				if (clock_ns() - begin > 20000000)
					give_up = UINT64_MAX;
			slices_add(slices, (double)(clock_ns() - begin));
			if (chunk)
				chunks[n++] = chunk;
		}
		if (clock_ns() > until)
			give_up = give_up ? give_up : UINT64_MAX - 1;
		if (give_up == 0) {
			system_free(chunks[place]);
			chunks[place] = chunks[--n];
		}
		word_store(&meeting->there.word, give_up ? UINT64_MAX : turn + 1);
	}
	meeting->result[side] = slices_finish(slices);
	if (give_up == UINT64_MAX)
		word_store(&meeting->stop.word, 1);
	meet(meeting);
	word_store(&meeting->there.word, 0);
	free(chunks);
	/* What they name is not given back: the system ends with all of it. */
}

static void nearly_empty(void)
{
	struct meeting *meeting = meeting_new(2);
	double line_ns = run_sides(nearly_empty_side, meeting);

	if (word_load(&meeting->stop.word))
		skip("what the other side had freed could not be had");
	print_figure(bench_work, (meeting->result[0] + meeting->result[1]) / 2, "ns",
		     line_ns);
}

#endif /* HAS_POOL */

/* ---- messages ---- */

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

/* ---- death ---- */

#ifdef HAS_COUNT

#define KILLED 200
#define AT_ONCE 8
#define HANG_MS 5000

static bool is_handing_over;

/* Until it is killed, or so often. */
static void live(uint64_t n_rounds, int ready_fd)
{
	system_join(0);
	for (uint64_t i = 0; i < n_rounds; i++) {
		void *chunks[4], *message;
		int n = 1 + (int)(i % 4);

		for (int k = 0; k < n; k++)
			chunks[k] = system_alloc(setup.bytes);
		for (int k = 0; k < n; k++)
			if (chunks[k])
				system_free(chunks[k]);
		if (is_handing_over) {
			message = channel_begin(0, setup.bytes);
			if (message && !channel_send(0, message, setup.bytes))
				system_free(message);
			message = channel_receive(0, false);
			if (message)
				channel_done(0, message);
		}
		if (i == 0 && write(ready_fd, "", 1) != 1)
			_exit(1);
	}
	system_leave(0);
	exit(0);
}

static pid_t start_life(uint64_t n_rounds, int ready_fd)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("no child");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		live(n_rounds, ready_fd);
	}
	return pid;
}

/* Return: whether it ended by itself; if not, it was killed, too. */
static bool ends(pid_t pid)
{
	int status;

	for (int ms = 0; ms < HANG_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status == 0;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return false;
}

/* Return: whether a survivor got its work done. */
static bool kill_some(const int ready[2])
{
	pid_t pids[AT_ONCE];
	char byte;

	for (int i = 0; i < AT_ONCE; i++)
		pids[i] = start_life(UINT64_MAX, ready[1]);
	for (int i = 0; i < AT_ONCE; i++)
		if (read(ready[0], &byte, 1) != 1)
			fail("none is ready");
	for (int i = 0; i < AT_ONCE; i++) {
		usleep(200 + (unsigned int)(rand() % 2000));
		kill(pids[i], SIGKILL);
	}
	for (int i = 0; i < AT_ONCE; i++)
		waitpid(pids[i], NULL, 0);
	return ends(start_life(1000, ready[1])) && read(ready[0], &byte, 1) == 1;
}

static void kill_clients(void)
{
	uint64_t begin, n_held = 0;
	int ready[2], n_killed = 0;
	bool hangs = false;
	void *message;

	if (pipe(ready) < 0)
		fail("pipe");
	system_open();
	srand(1);
	is_handing_over = strcmp(bench_work, "kill") == 0;
	while (n_killed < KILLED && !hangs) {
		hangs = !kill_some(ready);
		n_killed += AT_ONCE;
	}
	begin = clock_ns();
	print_figure("killed", n_killed, "clients", 0);
	print_figure("hangs", hangs, "times", 0);
	if (!hangs) {
		system_join(0);
		/* What was sent and not received is nobody's loss. */
		while ((message = channel_receive(0, false)))
			channel_done(0, message);
		do {
			usleep(1000);
			n_held = system_n_held();
		} while (n_held > 0 && clock_ns() - begin < (uint64_t)HANG_MS * 1000000);
		print_figure("lost", (double)n_held, "chunks", 0);
		system_leave(0);
	}
	system_close();
}

/* Return: whether there were such a number within a time. */
static bool awaits(bool (*is_wanted)(uint64_t n_held))
{
	uint64_t until = ms_from_now(HANG_MS);

	while (!is_wanted(system_n_held())) {
		if (clock_ns() > until)
			return false;
		usleep(100);
	}
	return true;
}

static bool is_some(uint64_t n_held)
{
	return n_held > 0;
}

static bool is_none(uint64_t n_held)
{
	return n_held == 0;
}

static void death(void)
{
	uint64_t begin;
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		fail("pipe");
	system_open();
	pid = fork();
	if (pid < 0)
		fail("no child");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		system_join(0);
		for (int i = 0; i < BATCH && system_alloc(setup.bytes); i++)
			;
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		fail("none is ready");
	system_join(0);
	if (!awaits(is_some))
		fail("it holds nothing");
	kill(pid, SIGKILL);
	begin = clock_ns();
	waitpid(pid, NULL, 0);
	if (!awaits(is_none))
		skip("what the dead one held is never free again");
	print_figure(bench_work, (double)(clock_ns() - begin) / 1e6, "ms", 0);
	leave_alone();
}

#endif /* HAS_COUNT */

/* ---- the broker ---- */

#ifdef HAS_BROKER

#define STARTS 5
#define ATTACHES 20

static void start(void)
{
	struct slices *slices = slices_new();

	for (int i = 0; i < STARTS; i++) {
		slices_add(slices, broker_start());
		broker_stop();
	}
	print_figure(bench_work, slices_finish(slices) * 1e3, "ms", 0);
}

/* Each time in a process that has not been attached before. */
static void attach(void)
{
	struct meeting *meeting = meeting_new(2);
	struct slices *opens = slices_new(), *closes = slices_new();
	int status;

	system_open();
	for (int i = 0; i < ATTACHES; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("no child");
		if (pid == 0) {
			uint64_t begin = clock_ns(), middle;

			system_join(0);
			middle = clock_ns();
			system_leave(0);
			meeting->result[0] = (double)(middle - begin);
			meeting->result[1] = (double)(clock_ns() - middle);
			exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			fail("a client has failed");
		slices_add(opens, meeting->result[0]);
		slices_add(closes, meeting->result[1]);
	}
	print_figure("attach", slices_finish(opens) / 1e3, "us", 0);
	print_figure("close", slices_finish(closes) / 1e3, "us", 0);
	system_close();
}

static double rss_anon_mib(pid_t pid)
{
	char path[32], line[256];
	double kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtod(line + 8, NULL);
	if (!file || kib < 0)
		fail("no RssAnon");
	fclose(file);
	return kib / 1024;
}

static void memory(void)
{
	system_open();
	print_figure("RssAnon", rss_anon_mib(broker_pid()), "MiB", 0);
	print_figure("segment",
		     (double)broker_segment_bytes() /
			     ((double)setup.bytes * (double)setup.n_chunks),
		     "bytes a payload byte", 0);
	system_close();
}

#endif /* HAS_BROKER */

/* ---- which ---- */

static const struct work {
	const char *name;
	void (*run)(void);
	enum work_kind kind;
} works[] = {
#ifdef HAS_POOL
	{ "pair", pair, WORK_POOL },
	{ "batch", batch, WORK_POOL },
#ifdef HAS_MANY
	{ "batch-many", batch_many, WORK_POOL },
#endif
	{ "contended", contended_pairs, WORK_POOL },
	{ "contended-batch", contended_batches, WORK_POOL },
	{ "clients", clients, WORK_POOL },
	{ "exhausted", exhausted, WORK_POOL },
	{ "nearly-empty", nearly_empty, WORK_POOL },
#endif
#ifdef HAS_CHANNELS
	{ "throughput", throughput, WORK_CHANNELS },
	{ "roundtrip", roundtrip, WORK_CHANNELS },
#endif
#ifdef HAS_BLOCKING
	{ "blocking", roundtrip, WORK_CHANNELS },
#endif
#ifdef HAS_TOPIC
	{ "publish", publish, WORK_TOPIC },
#ifdef HAS_POOL
	{ "publish-stopped", publish_stopped, WORK_TOPIC },
#endif
#endif
#ifdef HAS_COUNT
	{ "kill", kill_clients, WORK_KILL },
	{ "kill-alloc", kill_clients, WORK_KILL },
	{ "death", death, WORK_KILL },
#endif
#ifdef HAS_BROKER
	{ "start", start, WORK_BROKER },
	{ "attach", attach, WORK_BROKER },
	{ "memory", memory, WORK_BROKER },
#endif
#ifdef HAS_MORE
	MORE_WORKS
#endif
	{ NULL, NULL, WORK_POOL },
};

/* What the third word means depends on the work. */
static void set_up(const char *work, const char *bytes, const char *last)
{
	uint64_t n = strtoull(last, NULL, 0);

	bench_work = work;
	setup.bytes = strtoull(bytes, NULL, 0);
	setup.n_clients = 2;
	setup.is_asleep = strcmp(work, "blocking") == 0;
	n_written = strcmp(last, "all") == 0 ? setup.bytes / 8 : 1;
	if (strcmp(work, "clients") == 0)
		setup.n_clients = (int)n;
	else if (strncmp(work, "publish", 7) == 0)
		setup.n_clients = (int)n + 1;
	else if (n >= 1000)
		setup.n_chunks = n;
	/* For messages: those on their way, and what caches keep where a system has them.
	 */
	if (setup.n_chunks == 0)
		setup.n_chunks = setup.bytes > 65536 ? 320 : 2047;
	if (setup.bytes % 8 || setup.bytes == 0 || setup.n_clients > 256)
		fail("usage: [--threads] [--variant NAME] [--ms N] WORK [BYTES [N]]");
}

int main(int argc, char *argv[])
{
	const char *arguments[3] = {"", "128", "10000"};
	const struct work *work = works;
	int n = 0;

	setup.variant = "";
	setup.ms = 200;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--threads") == 0)
			setup.is_threads = true;
		else if (strcmp(argv[i], "--variant") == 0 && i + 1 < argc)
			setup.variant = argv[++i];
		else if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc)
			setup.ms = strtoull(argv[++i], NULL, 0);
		else if (n < 3)
			arguments[n++] = argv[i];
	}
	while (work->name && strcmp(work->name, arguments[0]) != 0)
		work++;
	if (!work->name)
		skip("it has no such thing");
	setup.kind = work->kind;
	set_up(arguments[0], arguments[1], arguments[2]);
	work->run();
	return 0;
}

#endif
