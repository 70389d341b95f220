/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the parts of the explorer, and what they know of each other
 *
 *	tsan.c		what the compiler calls at each access: __tsan_read8() and the like
 *	system.c	what the code calls of the system: sim_mmap() in the place of mmap()
 *	files.c		its descriptors
 *	memory.c	what a load may return, and which plain accesses race
 *	room.c		what each process and thread has for itself, and sets it back
 *	schedule.c	threads, processes, kills: one schedule from its beginning to its end
 *	search.c	which schedules, and a failing one made short
 *	trace.c		a schedule in words
 *	stage.c		a segment with clients, the reaper, the audit
 */
#ifndef TESTS_EXPLORE_ENGINE_H
#define TESTS_EXPLORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "explore.h"

/* ---- clocks ---- */

/* How far each thread had come. */
struct clock {
	uint32_t at[EXPLORE_THREADS];
};

/*
 * What a thread may no longer miss, and what goes with a release store to whoever acquires it:
 *
 *	happened	what happens before; the measure of races, too
 *	known		that, and what seq_cst fences before it have told each other
 *	fenced		the last seq_cst fence before it, by its place in S
 */
struct view {
	struct clock happened;
	struct clock known;
	uint32_t fenced;
};

static inline void clock_join(struct clock *to, const struct clock *from)
{
	for (int i = 0; i < EXPLORE_THREADS; i++)
		to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

/* Whether all of it is in the other. */
static inline bool clock_is_in(const struct clock *clock, const struct clock *other)
{
	uint32_t beyond = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		beyond |= clock->at[i] > other->at[i];
	return !beyond;
}

static inline void view_join(struct view *to, const struct view *from)
{
	clock_join(&to->happened, &from->happened);
	clock_join(&to->known, &from->known);
	to->fenced = to->fenced > from->fenced ? to->fenced : from->fenced;
}

/* ---- threads ---- */

enum thread_state {
	THREAD_RUNS,
	THREAD_LOCKS,			/* until the word at @wait is 0 */
	THREAD_SLEEPS,			/* on the futex at @wait, until @until_ns */
	THREAD_WAITS,			/* until @condition */
	THREAD_ENDED,
	THREAD_DEAD,
};

enum op {
	OP_LOAD,
	OP_LOAD_IN_S,			/* seq_cst: which of two is first matters */
	OP_STORE,
	OP_RMW,
	OP_ALL,				/* meets whatever others do */
};

struct thread {
	uint32_t id;
	uint32_t process;
	const struct scenario_thread *of;
	enum thread_state state;
	uintptr_t wait;
	int64_t until_ns;		/* INT64_MAX: no time */
	int polled;			/* it waits for this descriptor; 0: for none */
	bool timed_out;
	bool (*condition)(void *);
	void *argument;
	bool has_yielded;		/* others first */

	uint32_t n_ops;			/* steps so far: the name of one, with the id */
	enum op op;			/* what it does next, and where */
	uint32_t place;
	bool has_written;		/* since the last time when it could have been killed */

	struct view now;
	struct view released;		/* by its last release fence: goes with later stores */
	struct view acquired;		/* by relaxed loads: for its next acquire fence */
	uint32_t late;			/* its last seq_cst store (memory.c); 0: none */

	bool has_begun;
	void *sp;
	unsigned char *stack;
	unsigned char tls[512];
	int error;			/* errno */
	void *specific;			/* of the one key that there is */
};

struct sim_process {
	uint32_t n_threads;
	bool is_dead;
	bool is_reaped;
	bool has_membarrier;
	bool has_own_membarrier;	/* among its own threads */
	void (*destructor)(void *);
	size_t used;			/* of its private memory */
	struct view at_death;
	struct view at_reap;
};

/* ---- memory.c ---- */

#define SHARED_BYTES (UINT64_C(1) << 20)
#define PRIVATE_BYTES (UINT64_C(1) << 18)
#define STATIC_BYTES 4096

extern unsigned char *const region;

void memory_init(void);

/* Nothing was ever accessed. */
void memory_reset(void);

/* Where it is, for accesses that others may see; 0: nobody else sees it. */
uint32_t memory_place(uintptr_t address);

bool memory_is_shared(uintptr_t address);

uint64_t memory_load(uintptr_t address, uint32_t size, int order, void *pc);
void memory_store(uintptr_t address, uint32_t size, uint64_t value, int order, void *pc);

enum rmw { RMW_EXCHANGE, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_NAND };
uint64_t memory_rmw(uintptr_t address, uint32_t size, enum rmw rmw, uint64_t operand, int order,
		    void *pc);

/* Return: whether it was done; *expected is what was seen. */
bool memory_cas(uintptr_t address, uint32_t size, uint64_t *expected, uint64_t value, bool weak,
		int order, int failure, void *pc);
void memory_fence(int order, void *pc);
void memory_plain(uintptr_t address, size_t bytes, bool is_write, void *pc);

/* Private memory that is given back: nobody accesses it any more. */
void memory_free(uintptr_t address, size_t bytes, void *pc);

/* A full barrier in a thread, whoever runs. */
void memory_barrier_in(struct thread *thread);

/* A lock is a word; 0: free. */
void memory_lock(uintptr_t address, void *pc);

/* What the latest store wrote, as the kernel sees it. */
uint32_t memory_look(uintptr_t address);

/* ---- room.c ---- */

void room_init(void);

/* For a new scenario: all is as in a program that has just begun. */
void room_begin(void);

/* What is there now is what each schedule begins with. */
void room_keep_all(const struct scenario *scenario);
void room_restore_all(const struct scenario *scenario);

/* This thread goes on, in its process. */
void room_enter(struct thread *thread);
void room_restart_daemon(void);

/* Private memory of the process, zeroed. */
void *room_allocate(size_t bytes, size_t alignment);

/* Memory of the explorer itself that is set back before each schedule; in the set-up. */
void room_keep(void *memory, size_t bytes);

/* ---- schedule.c ---- */

extern struct thread threads[EXPLORE_THREADS];
extern struct sim_process processes[EXPLORE_THREADS];
extern struct thread *self;
extern bool exploring;			/* else the caller runs alone, and memory is memory */
extern int64_t now_ns;
extern uint64_t step;
extern uint32_t n_threads;

/* Before each access that others may see: somebody else may go on first, or we are killed. */
void schedule_point(enum op op, uint32_t place);

/* We cannot go on: somebody else does, until we can. */
void schedule_block(enum thread_state state);

/* Others first, if there are any. */
void schedule_yield(void);

enum outcome {
	OUTCOME_RIGHT,
	OUTCOME_REDUNDANT,		/* as one that was explored before */
	OUTCOME_WRONG,
};

void schedule_init(const struct scenario *scenario);
enum outcome schedule_run(void);
const char *schedule_fault(void);
const char *schedule_fault_kind(void);

/* A process to reap, or 0. For the daemon. */
uint32_t schedule_to_reap(void);
void schedule_reaped(uint32_t process);
/* All that it did is before what we do now. */
void schedule_see_death(uint32_t process);
bool schedule_has_ended(uint32_t process);
bool schedule_has_no_membarrier(void);

/* It was killed before. */
bool schedule_is_new_daemon(void);

/* What the daemon told when it had reaped it has come to us. */
void schedule_hear_of_reap(uint32_t process);
_Noreturn void schedule_redundant(void);

struct schedule_counts {
	uint32_t n_kills;
	uint32_t n_slices;		/* sleeps that ended by time */
};
extern struct schedule_counts schedule_counts;

/* ---- search.c ---- */

enum choice {
	CHOICE_THREAD,
	CHOICE_STORE,			/* which one is read: so many before the latest */
	CHOICE_ORDER,			/* before how many others a store goes */
	CHOICE_FAIL,			/* a weak swap fails for nothing */
	CHOICE_KILL,
	N_CHOICES,
};

/* Return: one of the threads; options[0] is what happens if nobody wants anything else. is_free: the
 * one before cannot go on. subject: the one before. */
uint32_t search_thread(const uint32_t *options, uint32_t n, bool is_free,
		       const struct thread *subject);

/* Return: below n; 0 is what happens if nobody wants anything else. */
uint32_t search_choose(enum choice choice, uint32_t n, const struct thread *subject);

void search_begin(void);

struct search_result {
	uint64_t n_schedules;
	uint64_t n_redundant;
	uint64_t n_states;		/* decisions that were new */
	uint64_t n_kills;
	uint64_t n_steps;
	uint64_t n_stale;
	bool is_complete;
	bool is_wrong;
	double seconds;
};

/* Until all of it is seen, or so many schedules are, or the time is over. after: or NULL, is called
 * after each schedule. */
void search_exhaust(const struct scenario *scenario, uint64_t max_schedules, double max_seconds,
		    void (*after)(void), struct search_result *result);
void search_random(const struct scenario *scenario, uint64_t seed, uint64_t min_schedules,
		   double max_seconds, struct search_result *result);

/* One again, as search_explain() prints it. */
bool search_replay(const struct scenario *scenario, const char *text);

/* The one that was just wrong: shorter, with its trace. */
void search_explain(const struct scenario *scenario);

/* Of a broken explorer, to see that it is found out. */
struct search_mutants {
	bool never_stale;
	bool never_kill;
	bool deaf_membarrier;
};
extern struct search_mutants search_mutants;

/* ---- trace.c ---- */

extern bool tracing;
extern bool trace_private;		/* plain accesses to private memory, too */

void trace_begin(void);
void trace_access(const char *what, uintptr_t address, uint32_t size, int order, uint64_t value,
		  void *pc);
void trace_old(uint64_t of_step, uint64_t latest);
void trace_event(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_print(void);

/* ---- stage.c ---- */

/* A name for a place in the segment. Return: false: it has none. */
bool stage_name(uintptr_t address, char *to, size_t room);

/* Reap the dead, for ever. */
void stage_daemon(void);

#endif
