/* SPDX-License-Identifier: MIT */
/*
 * bound.c - threads of a process that may hold one chunk, or two: it never holds more, and
 *	     none of them is refused for nothing
 *
 * The credit is with a thread that has used it before, and goes from one to another. A
 * thread is refused because others have what there is: they held it at the beginning of the
 * call, or got it meanwhile, or were just getting it, and then they do. What a thread frees
 * it holds until the free is over.
 *
 * What others may have of a chunk is known by its word: a thread that got one counts the
 * words that say that its process holds them, as it sees them.
 */
#include "../engine.h"
#include "../stage.h"
#include "client/bound.h"
#include "scenarios.h"

#include <errno.h>

#define N_THREADS 4
#define N_CHUNKS 4
#define N_REFUSALS 8

static struct {
	int64_t bound;
	uint32_t n_held;   /* by threads that have one, and are not over freeing it */
	uint32_t n_in_use; /* and are not freeing it */
	uint32_t n_got;	   /* calls that got one */
	bool is_under_way[N_THREADS];
	/* Refused, because others that were under way get what there is: so many of them
	 * must. */
	struct refusal {
		uint32_t n_needed;
		bool among[N_THREADS];
	} refusals[N_REFUSALS];
	void *chunks[N_THREADS]; /* by thread: what it got before */
	uint32_t n_refused;
	bool is_deaf;
} world;

static void set_bound(void *unused)
{
	(void)unused;
	bound_init(stage_client(),
		   &(struct holder_bound){.max_chunks = (uint64_t)world.bound});
}

static void make(int64_t bound)
{
	struct config config;

	world.bound = bound;
	stage_config(&config, N_CHUNKS, 2);
	stage_make(&config);
	stage_open(1);
	explore_in(1, set_bound, NULL);
}

static void make_one(void)
{
	make(1);
}

static void make_deaf(void)
{
	make(1);
	world.is_deaf = true;
}

static void make_two(void)
{
	make(2);
}

/*
 * What the users have; and the words, as this thread sees them. Of two it may see that
 * another thread got one, and not yet that it freed one before.
 */
static void count_words(void)
{
	const struct pool *pool = &stage_client()->segment->pools[0];
	int64_t n = 0;

	explore_check(world.n_in_use <= (uint32_t)world.bound);
	for (uint32_t i = 0; i < N_CHUNKS && world.bound == 1; i++)
		n += word_is_owned_by(atomic_load_explicit(&pool->entries[i].word,
							   memory_order_relaxed),
				      stage_client()->holder);
	if (n > world.bound)
		explore_fail("%d chunks, of %d at most", (int)n, (int)world.bound);
}

/* A call is over: those that were refused because of it may have had no reason. */
static void settle(uint32_t thread, bool has_got)
{
	for (uint32_t i = 0; i < N_REFUSALS; i++) {
		struct refusal *refusal = &world.refusals[i];
		uint32_t n_left = 0;

		if (refusal->n_needed == 0 || !refusal->among[thread])
			continue;
		refusal->among[thread] = false;
		refusal->n_needed -= has_got;
		for (uint32_t j = 0; j < N_THREADS; j++)
			n_left += refusal->among[j];
		if (n_left < refusal->n_needed)
			explore_fail("another one was refused because of a call that got "
				     "nothing");
	}
}

/* What it did not get others had at the beginning, or got meanwhile, or are just getting.
 */
static void find_reason(uint32_t n_had)
{
	struct refusal *refusal = &world.refusals[world.n_refused++];
	uint32_t n_under_way = 0;

	explore_check(world.n_refused <= N_REFUSALS);
	/* A free that is over, and does not happen before the call, may be on its way. */
	if (n_had >= (uint32_t)world.bound || world.is_deaf)
		return;
	refusal->n_needed = (uint32_t)world.bound - n_had;
	for (uint32_t i = 0; i < N_THREADS; i++) {
		refusal->among[i] = world.is_under_way[i];
		n_under_way += world.is_under_way[i];
	}
	if (n_under_way < refusal->n_needed)
		explore_fail("refused, and nobody has it, nor gets it");
}

static void *get(uint32_t thread)
{
	uint32_t n_held = world.n_held, n_got = world.n_got;
	void *chunk;

	world.is_under_way[thread] = true;
	chunk = mempool_alloc(stage_client(), STAGE_CHUNK_BYTES);
	world.is_under_way[thread] = false;
	settle(thread, chunk);
	if (!chunk) {
		explore_check(explore_errno() == EDQUOT);
		find_reason(n_held + world.n_got - n_got);
		return NULL;
	}
	world.n_got++;
	world.n_held++;
	world.n_in_use++;
	count_words();
	return chunk;
}

static void put(void *chunk)
{
	if (!chunk)
		return;
	world.n_in_use--;
	explore_check(mempool_free(stage_client(), chunk) == 0);
	world.n_held--;
}

/* The credit is with this thread. */
static void have_credit(void)
{
	put(get(0));
}

static void hold_one(void)
{
	world.chunks[0] = get(0);
}

static void come(void)
{
	explore_check(mempool_usable_size(stage_client(), NULL) < 0);
}

static void get_0(void)
{
	put(get(0));
	put(get(0));
}

static void get_1(void)
{
	put(get(1));
	put(get(1));
}

static void get_2(void)
{
	put(get(2));
}

static void put_0(void)
{
	put(world.chunks[0]);
	put(get(0));
}

static void judge(void)
{
	stage_audit();
	explore_check(stage_n_free(0) == N_CHUNKS);
	explore_check(world.n_held == 0);
}

#define BOUND_SCENARIO .judge = judge, .world = &world, .world_bytes = sizeof(world)

static const struct scenario_thread two[] = {
	{.name = "first", .process = 1, .prepare = have_credit, .run = get_0},
	{.name = "second", .process = 1, .prepare = come, .run = get_1},
};

static const struct scenario_thread holding[] = {
	{.name = "holder", .process = 1, .prepare = hold_one, .run = put_0},
	{.name = "second", .process = 1, .prepare = come, .run = get_1},
};

static const struct scenario_thread three[] = {
	{.name = "first", .process = 1, .prepare = have_credit, .run = get_0},
	{.name = "second", .process = 1, .prepare = come, .run = get_1},
	{.name = "third", .process = 1, .prepare = come, .run = get_2},
};

const struct scenario scenario_bound = {
	.name = "bound",
	.about = "two threads, and one chunk at most",
	.threads = two,
	.n_threads = 2,
	.set_up = make_one,
	BOUND_SCENARIO,
	.bounds = {3, 2},
};

const struct scenario scenario_bound_free = {
	.name = "bound-free",
	.about = "the same, while one frees what it had",
	.threads = holding,
	.n_threads = 2,
	.set_up = make_one,
	BOUND_SCENARIO,
	.bounds = {3, 2},
};

const struct scenario scenario_bound_deaf = {
	.name = "bound-deaf",
	.about = "two threads, and one chunk at most, on a kernel without membarrier",
	.threads = two,
	.n_threads = 2,
	.set_up = make_deaf,
	BOUND_SCENARIO,
	.no_membarrier = true,
	.bounds = {3, 2},
};

const struct scenario scenario_bound_three = {
	.name = "bound-three",
	.about = "three threads, and one chunk at most",
	.threads = three,
	.n_threads = 3,
	.set_up = make_one,
	BOUND_SCENARIO,
	.bounds = {3, 2},
};

const struct scenario scenario_bound_of_two = {
	.name = "bound-two",
	.about = "three threads, and two chunks at most",
	.threads = three,
	.n_threads = 3,
	.set_up = make_two,
	BOUND_SCENARIO,
	.bounds = {3, 2},
};
