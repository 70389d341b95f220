/* SPDX-License-Identifier: MIT */
/* loops_pool.h - the loops of the pool: pairs, batches, exhaustion; a part of loops.h */
#ifndef BENCH_LOOPS_POOL_H
#define BENCH_LOOPS_POOL_H

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

static void one_batch(void)
{
	void *chunks[BATCH];

	for (int i = 0; i < BATCH; i++)
		use(chunks[i] = system_alloc(setup.bytes));
	for (int i = 0; i < BATCH; i++)
		system_free(chunks[i]);
}

static double run_batches(uint64_t ms)
{
	struct slices *slices = slices_new();
	uint64_t until = ms_from_now(ms), begin = clock_ns(), end;

	do {
		one_batch();
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

/* ---- how long single ones take ---- */

/* Each time with one reading of the clock in it: what that takes is told beside them. */
static void report_latencies(const struct latencies *seen, double line_ns)
{
	struct latencies *clock_alone = latencies_new();

	for (int i = 0; i < 10000; i++) {
		uint64_t begin = clock_ns();

		latencies_add(clock_alone, clock_ns() - begin);
	}
	print_figure("p50", latencies_part(seen, 0.5), "ns", line_ns);
	print_figure("p99", latencies_part(seen, 0.99), "ns", line_ns);
	print_figure("p99.9", latencies_part(seen, 0.999), "ns", line_ns);
	print_figure("max", (double)seen->slowest_ns, "ns", line_ns);
	print_figure("clock", latencies_part(clock_alone, 0.5), "ns", line_ns);
	free(clock_alone);
}

static void time_pairs(struct latencies *seen, uint64_t ms)
{
	uint64_t until = ms_from_now(ms), begin, end;

	do {
		void *chunk;

		begin = clock_ns();
		chunk = system_alloc(setup.bytes);
		use(chunk);
		system_free(chunk);
		end = clock_ns();
		latencies_add(seen, end - begin);
	} while (end < until);
}

static void tail(void)
{
	struct latencies *seen = latencies_new();

	join_alone();
	warm_up(run_pairs);
	time_pairs(seen, setup.ms);
	report_latencies(seen, 0);
	free(seen);
	leave_alone();
}

/* Of side 0. */
static struct latencies *tail_seen;

/* Side 1 takes and frees a thousand, again and again. */
static void tail_beside_batches(struct meeting *meeting, int side)
{
	meet(meeting);
	if (side == 0) {
		warm_up(run_pairs);
		time_pairs(tail_seen, setup.ms);
		word_store(&meeting->stop.word, 1);
	} else {
		while (!word_load(&meeting->stop.word))
			one_batch();
	}
	meet(meeting);
}

/*
 * In turns each side takes all that there is and frees it: what one finds, the other has just freed.
 * Each alloc of side 0 is timed that brings a chunk, but those of its first turn.
 */
static void tail_of_turns(struct meeting *meeting, int side)
{
	uint64_t *turn_now = &meeting->there.word, until, n;
	void **chunks = (void **)malloc(setup.n_chunks * sizeof(*chunks));

	if (!chunks)
		fail("no memory");
	meet(meeting);
	until = ms_from_now(setup.ms);
	for (uint64_t turn = (uint64_t)side;; turn += 2) {
		while (word_load(turn_now) < turn && !word_load(&meeting->stop.word))
			;
		if (word_load(&meeting->stop.word))
			break;
		for (n = 0; n < setup.n_chunks; n++) {
			uint64_t begin = clock_ns();

			chunks[n] = system_alloc(setup.bytes);
			if (!chunks[n])
				break;
			if (turn > 0 && side == 0)
				latencies_add(tail_seen, clock_ns() - begin);
		}
		for (uint64_t i = 0; i < n; i++)
			system_free(chunks[i]);
		if (side == 0 && (n < setup.n_chunks || clock_ns() > until))
			word_store(&meeting->stop.word, n < setup.n_chunks ? 2 : 1);
		word_store(turn_now, turn + 1);
	}
	/* For the line's time, which is taken by the same word. */
	meet(meeting);
	word_store(turn_now, 0);
	free(chunks);
}

static void tail_of_two(side_function run)
{
	struct meeting *meeting = meeting_new(2);
	double line_ns;

	tail_seen = latencies_new();
	line_ns = run_sides(run, meeting);
	if (word_load(&meeting->stop.word) == 2)
		skip("what the other side had freed could not be had");
	report_latencies(tail_seen, line_ns);
	free(tail_seen);
}

static void tail_loaded(void)
{
	tail_of_two(tail_beside_batches);
}

static void tail_turns(void)
{
	tail_of_two(tail_of_turns);
}

#endif /* HAS_POOL */

#endif
