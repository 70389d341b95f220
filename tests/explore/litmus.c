/* SPDX-License-Identifier: MIT */
#include "litmus.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* Each on a granule of its own. */
static struct {
	_Atomic uint64_t x, y, z;
	uint64_t plain;
} *m;

static struct {
	int r[4];
} world;

#define r world.r

/* As in system.c. */
long sim_syscall(long number, ...);

static void make(void)
{
	m = explore_shared(sizeof(*m), 64);
}

/* With membarrier, which a process registers for. */
static void register_here(void *unused)
{
	(void)unused;
	sim_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
}

static void make_registered(void)
{
	make();
	for (uint32_t i = 1; i <= 2; i++)
		explore_in(i, register_here, NULL);
}

static void membarrier(void)
{
	sim_syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

#define STORE(where, value, order) atomic_store_explicit(&m->where, value, memory_order_##order)
#define LOAD(where, order) ((int)atomic_load_explicit(&m->where, memory_order_##order))
#define ADD(where, value, order) atomic_fetch_add_explicit(&m->where, value, memory_order_##order)
#define FENCE(order) atomic_thread_fence(memory_order_##order)

/* clang-format off */
#define THREAD(name, ...) static void name(void) { __VA_ARGS__ }

THREAD(sb0_rlx, STORE(x, 1, relaxed); r[0] = LOAD(y, relaxed);)
THREAD(sb1_rlx, STORE(y, 1, relaxed); r[1] = LOAD(x, relaxed);)
THREAD(sb0_ra, STORE(x, 1, release); r[0] = LOAD(y, acquire);)
THREAD(sb1_ra, STORE(y, 1, release); r[1] = LOAD(x, acquire);)
THREAD(sb0_sc, STORE(x, 1, seq_cst); r[0] = LOAD(y, seq_cst);)
THREAD(sb1_sc, STORE(y, 1, seq_cst); r[1] = LOAD(x, seq_cst);)
THREAD(sb0_fence, STORE(x, 1, relaxed); FENCE(seq_cst); r[0] = LOAD(y, relaxed);)
THREAD(sb1_fence, STORE(y, 1, relaxed); FENCE(seq_cst); r[1] = LOAD(x, relaxed);)
THREAD(sb1_membarrier, STORE(y, 1, relaxed); membarrier(); r[1] = LOAD(x, relaxed);)
THREAD(sb0_rmw, ADD(x, 1, acq_rel); r[0] = LOAD(y, acquire);)
THREAD(sb1_rmw, ADD(y, 1, acq_rel); r[1] = LOAD(x, acquire);)

THREAD(mp0_rlx, STORE(x, 1, relaxed); STORE(y, 1, relaxed);)
THREAD(mp0_rel, STORE(x, 1, relaxed); STORE(y, 1, release);)
THREAD(mp0_fence, STORE(x, 1, relaxed); FENCE(release); STORE(y, 1, relaxed);)
THREAD(mp1_rlx, r[0] = LOAD(y, relaxed); r[1] = LOAD(x, relaxed);)
THREAD(mp1_acq, r[0] = LOAD(y, acquire); r[1] = LOAD(x, relaxed);)
THREAD(mp1_fence, r[0] = LOAD(y, relaxed); FENCE(acquire); r[1] = LOAD(x, relaxed);)
THREAD(mp0_plain, m->plain = 1; STORE(y, 1, release);)
THREAD(mp0_plain_rlx, m->plain = 1; STORE(y, 1, relaxed);)
THREAD(mp1_plain, r[0] = LOAD(y, acquire); r[1] = r[0] ? (int)m->plain : 0;)

THREAD(iriw0, STORE(x, 1, release);)
THREAD(iriw1, STORE(y, 1, release);)
THREAD(iriw2, r[0] = LOAD(x, acquire); r[1] = LOAD(y, acquire);)
THREAD(iriw3, r[2] = LOAD(y, acquire); r[3] = LOAD(x, acquire);)
THREAD(iriw0_sc, STORE(x, 1, seq_cst);)
THREAD(iriw1_sc, STORE(y, 1, seq_cst);)
THREAD(iriw2_sc, r[0] = LOAD(x, seq_cst); r[1] = LOAD(y, seq_cst);)
THREAD(iriw3_sc, r[2] = LOAD(y, seq_cst); r[3] = LOAD(x, seq_cst);)
THREAD(iriw2_fence, r[0] = LOAD(x, relaxed); FENCE(seq_cst); r[1] = LOAD(y, relaxed);)
THREAD(iriw3_fence, r[2] = LOAD(y, relaxed); FENCE(seq_cst); r[3] = LOAD(x, relaxed);)

THREAD(w0_rlx, STORE(x, 1, relaxed); STORE(y, 2, relaxed);)
THREAD(w1_rlx, STORE(y, 1, relaxed); STORE(x, 2, relaxed);)
THREAD(w0_rel, STORE(x, 1, release); STORE(y, 2, release);)
THREAD(w1_rel, STORE(y, 1, release); STORE(x, 2, release);)
THREAD(w0_sc, STORE(x, 1, seq_cst); STORE(y, 2, seq_cst);)
THREAD(w1_sc, STORE(y, 1, seq_cst); STORE(x, 2, seq_cst);)
THREAD(w0_fence, STORE(x, 1, relaxed); FENCE(seq_cst); STORE(y, 2, relaxed);)
THREAD(w1_fence, STORE(y, 1, relaxed); FENCE(seq_cst); STORE(x, 2, relaxed);)

THREAD(co0, STORE(x, 1, relaxed); STORE(x, 2, relaxed);)
THREAD(co1, r[0] = LOAD(x, relaxed); r[1] = LOAD(x, relaxed);)
THREAD(co_w1, STORE(x, 1, relaxed);)
THREAD(co_w2, STORE(x, 2, relaxed);)
THREAD(co_r0, r[0] = LOAD(x, relaxed); r[1] = LOAD(x, relaxed);)
THREAD(co_r1, r[2] = LOAD(x, relaxed); r[3] = LOAD(x, relaxed);)
THREAD(co_wr, STORE(x, 1, relaxed); r[0] = LOAD(x, relaxed);)
THREAD(co_rw, r[0] = LOAD(x, relaxed); STORE(x, 1, relaxed);)

THREAD(rs0, STORE(x, 1, relaxed); STORE(y, 1, release);)
THREAD(rs1, ADD(y, 1, relaxed);)
THREAD(rs1_store, if (LOAD(y, relaxed) == 1) STORE(y, 2, relaxed);)
THREAD(rs2, r[0] = LOAD(y, acquire); r[1] = LOAD(x, relaxed);)

THREAD(wrc0, STORE(x, 1, relaxed);)
THREAD(wrc1, r[0] = LOAD(x, relaxed); STORE(y, 1, release);)
THREAD(wrc2, r[1] = LOAD(y, acquire); r[2] = LOAD(x, relaxed);)

THREAD(add, ADD(x, 1, relaxed);)
THREAD(lb0, r[0] = LOAD(x, relaxed); STORE(y, 1, relaxed);)
THREAD(lb1, r[1] = LOAD(y, relaxed); STORE(x, 1, relaxed);)
THREAD(sr0, STORE(x, 1, seq_cst); STORE(y, 1, relaxed);)
THREAD(sr0_add, ADD(x, 1, seq_cst); STORE(y, 1, relaxed);)
THREAD(sr0_rel, STORE(x, 1, seq_cst); STORE(y, 1, release);)
THREAD(sr0_fence, STORE(x, 1, seq_cst); FENCE(seq_cst); STORE(y, 1, relaxed);)
THREAD(sr0_sc, STORE(x, 1, seq_cst); STORE(y, 1, seq_cst);)
THREAD(sr1_acq, r[0] = LOAD(y, acquire); r[1] = LOAD(x, seq_cst);)
THREAD(sr1_sc, r[0] = LOAD(y, seq_cst); r[1] = LOAD(x, seq_cst);)
THREAD(sr1_fence, r[0] = LOAD(y, relaxed); FENCE(seq_cst); r[1] = LOAD(x, relaxed);)
THREAD(sr1, r[0] = LOAD(y, relaxed); r[1] = LOAD(x, seq_cst);)

THREAD(weak, uint64_t seen = 0;
	r[0] = atomic_compare_exchange_weak_explicit(&m->x, &seen, 1, memory_order_relaxed,
						     memory_order_relaxed);)
THREAD(strong, uint64_t seen = 0;
	r[0] = atomic_compare_exchange_strong_explicit(&m->x, &seen, 2, memory_order_relaxed,
						       memory_order_relaxed);
	r[1] = (int)seen;)
/* clang-format on */

static int two(void)
{
	return r[0] * 10 + r[1];
}

static int three(void)
{
	return two() * 10 + r[2];
}

static int four(void)
{
	return three() * 10 + r[3];
}

/* What is there in the end, of x and y. */
static int last(void)
{
	return LOAD(x, relaxed) * 10 + LOAD(y, relaxed);
}

static int one_and_last(void)
{
	return r[0] * 10 + LOAD(x, relaxed);
}

#define N(...) (sizeof((struct scenario_thread[]){ __VA_ARGS__ }) / sizeof(struct scenario_thread))
#define T(number, function) { .name = #function, .process = number, .run = function }

#define LITMUS_IN(how, title, result_of, allowed_ones, says, ...)                                  \
	{                                                                                          \
		.scenario = { .name = title,                                                       \
			      .threads = (const struct scenario_thread[]){ __VA_ARGS__ },          \
			      .n_threads = N(__VA_ARGS__),                                         \
			      .set_up = how,                                                       \
			      .world = &world,                                                     \
			      .world_bytes = sizeof(world),                                        \
			      .bounds = { -1, -1 } },                                              \
		.result = result_of, .allowed = allowed_ones, .never = says,                       \
	}
#define LITMUS(...) LITMUS_IN(make, __VA_ARGS__)

#define ALL2 "00 01 10 11"

const struct litmus litmus_table[] = {
	LITMUS("store buffering, relaxed", two, ALL2, "", T(1, sb0_rlx), T(2, sb1_rlx)),
	LITMUS("store buffering, release and acquire", two, ALL2, "", T(1, sb0_ra), T(2, sb1_ra)),
	LITMUS("store buffering, seq_cst", two, "01 10 11", "00", T(1, sb0_sc), T(2, sb1_sc)),
	LITMUS("store buffering, acq_rel adds", two, ALL2, "", T(1, sb0_rmw), T(2, sb1_rmw)),
	LITMUS("Dekker by fences", two, "01 10 11", "00", T(1, sb0_fence), T(2, sb1_fence)),
	LITMUS("Dekker, one fence", two, ALL2, "", T(1, sb0_fence), T(2, sb1_rlx)),
	LITMUS("Dekker, a fence and seq_cst", two, "01 10 11", "00", T(1, sb0_fence), T(2, sb1_sc)),
	LITMUS_IN(make_registered, "Dekker by membarrier", two, "01 10 11", "00", T(1, sb0_rlx),
		  T(2, sb1_membarrier)),
	LITMUS("Dekker by membarrier, not registered", two, ALL2, "", T(1, sb0_rlx),
	       T(2, sb1_membarrier)),
	LITMUS("message passing, relaxed", two, ALL2, "", T(1, mp0_rlx), T(2, mp1_rlx)),
	LITMUS("message passing, release and acquire", two, "00 01 11", "10", T(1, mp0_rel),
	       T(2, mp1_acq)),
	LITMUS("message passing, release alone", two, ALL2, "", T(1, mp0_rel), T(2, mp1_rlx)),
	LITMUS("message passing, acquire alone", two, ALL2, "", T(1, mp0_rlx), T(2, mp1_acq)),
	LITMUS("message passing, fences", two, "00 01 11", "10", T(1, mp0_fence), T(2, mp1_fence)),
	LITMUS("message passing, release fence alone", two, ALL2, "", T(1, mp0_fence),
	       T(2, mp1_rlx)),
	LITMUS("message passing, plain", two, "00 11", "10, race", T(1, mp0_plain),
	       T(2, mp1_plain)),
	LITMUS("message passing, plain and relaxed", two, "race", "", T(1, mp0_plain_rlx),
	       T(2, mp1_plain)),
	LITMUS("message passing in three, acquire", three, "000 001 010 011 100 101 111",
	       "110", T(1, wrc0), T(2, wrc1), T(3, wrc2)),
	LITMUS("IRIW, release and acquire", four,
	       "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1010 1011 1100 1101 1110 1111",
	       "", T(1, iriw0), T(2, iriw1), T(3, iriw2), T(4, iriw3)),
	LITMUS("IRIW, seq_cst", four,
	       "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111", "1010",
	       T(1, iriw0_sc), T(2, iriw1_sc), T(3, iriw2_sc), T(4, iriw3_sc)),
	LITMUS("IRIW, seq_cst fences", four,
	       "0000 0001 0010 0011 0100 0101 0110 0111 1000 1001 1011 1100 1101 1110 1111", "1010",
	       T(1, iriw0), T(2, iriw1), T(3, iriw2_fence), T(4, iriw3_fence)),
	LITMUS("2+2W, relaxed", last, "11 12 21 22", "", T(1, w0_rlx), T(2, w1_rlx)),
	LITMUS("2+2W, release", last, "11 12 21 22", "", T(1, w0_rel), T(2, w1_rel)),
	LITMUS("2+2W, seq_cst", last, "12 21 22", "11", T(1, w0_sc), T(2, w1_sc)),
	LITMUS("2+2W, seq_cst fences", last, "12 21 22", "11", T(1, w0_fence), T(2, w1_fence)),
	LITMUS("coherence, reads", two, "00 01 02 11 12 22", "10, 20, 21", T(1, co0), T(2, co1)),
	LITMUS("coherence, two writers", four, NULL, "1221, 2112", T(1, co_w1), T(2, co_w2),
	       T(3, co_r0), T(4, co_r1)),
	LITMUS("coherence, own store", one_and_last, "11 12 22", "01, 02, 21", T(1, co_wr),
	       T(2, co_w2)),
	LITMUS("coherence, load before store", one_and_last, "01 02 21", "11, 22", T(1, co_rw),
	       T(2, co_w2)),
	LITMUS("release sequence, an add", two, "00 01 10 11 21", "20", T(1, rs0), T(2, rs1),
	       T(3, rs2)),
	LITMUS("release sequence, a store", two, "00 01 11 20 21", "10", T(1, rs0), T(2, rs1_store),
	       T(3, rs2)),
	LITMUS("two adds", last, "20", "10", T(1, add), T(2, add)),
	LITMUS("a weak swap", two, "00 10", "", T(1, weak)),
	LITMUS("a strong swap", two, "10 01", "00", T(1, strong), T(2, co_w1)),
	LITMUS("stronger than C11: load buffering", two, "00 01 10", "11 (C11 has it)", T(1, lb0),
	       T(2, lb1)),
	LITMUS("seq_cst store, then relaxed store", two, ALL2, "", T(1, sr0), T(2, sr1)),
	LITMUS("seq_cst add, then relaxed store", two, ALL2, "", T(1, sr0_add), T(2, sr1)),
	LITMUS("seq_cst store, then release store", two, "00 01 11", "10", T(1, sr0_rel),
	       T(2, sr1_acq)),
	LITMUS("seq_cst store, fence, then relaxed store", two, "00 01 11", "10", T(1, sr0_fence),
	       T(2, sr1)),
	LITMUS("seq_cst stores, relaxed and seq_cst load", two, ALL2, "", T(1, sr0_sc), T(2, sr1)),
	LITMUS("seq_cst store, then seq_cst store", two, "00 01 11", "10", T(1, sr0_sc),
	       T(2, sr1_sc)),
	LITMUS("seq_cst store, then relaxed store, a fence", two, ALL2, "", T(1, sr0),
	       T(2, sr1_fence)),
};

const unsigned int litmus_n = sizeof(litmus_table) / sizeof(litmus_table[0]);
