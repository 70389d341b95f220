/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - one schedule: threads, processes, and who ends
 *
 * Threads are stacks of one thread of the system, and one of them runs. Each stops before every
 * access that another one may see; there the search says who goes on. What each has for itself is
 * changed with it (room.c).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "engine.h"
#include "files.h"

#define STACK_BYTES (256 * 1024)
#define MAX_STEPS 20000

struct thread threads[EXPLORE_THREADS];
struct sim_process processes[EXPLORE_THREADS];
struct thread *self = &threads[0];
bool exploring;
int64_t now_ns;
uint64_t step;
uint32_t n_threads;
struct schedule_counts schedule_counts;

static const struct scenario *scenario;

/* ---- stacks ---- */

void fiber_switch(void **save, void *load);

__asm__(".text\n"
	".globl fiber_switch\n"
	".type fiber_switch, @function\n"
	"fiber_switch:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".size fiber_switch, .-fiber_switch\n");

static void *main_sp;
static bool is_beginning;		/* each runs to its first stop */
static bool in_main = true;
static jmp_buf alone;
static enum outcome outcome;
static char fault[512];
static const char *fault_kind;

static _Noreturn void leave(void)
{
	void *nowhere;

	if (in_main)
		longjmp(alone, 1);
	fiber_switch(&nowhere, main_sp);
	abort();
}

void explore_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fault, sizeof(fault), format, arguments);
	va_end(arguments);
	fault_kind = format;
	outcome = OUTCOME_WRONG;
	leave();
}

void schedule_redundant(void)
{
	outcome = OUTCOME_REDUNDANT;
	leave();
}

const char *schedule_fault(void)
{
	return fault;
}

const char *schedule_fault_kind(void)
{
	return fault_kind;
}

static void begin_thread(void);

static void prepare_stack(struct thread *thread)
{
	void **top = (void **)(thread->stack + STACK_BYTES) - 2;

	*--top = NULL;
	*--top = (void *)(uintptr_t)begin_thread;
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	thread->sp = top;
	thread->has_begun = false;
}

static void make_stack(struct thread *thread)
{
	unsigned char *memory = mmap(NULL, STACK_BYTES + 4096, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_NONE) < 0)
		abort();
	thread->stack = memory + 4096;
}

/* ---- faults of the explored code ---- */

static uint64_t n_begun, n_begun_before;	/* schedules */

/* One that has been killed by the kernel, and one that turns round by itself: wrong schedules. */
static void on_fault(int signal, siginfo_t *info, void *unused)
{
	(void)unused;
	if (signal != SIGVTALRM)
		explore_fail("%s accesses %p, where nothing is", self->of->name, info->si_addr);
	if (!exploring)
		return;
	if (n_begun == n_begun_before)
		explore_fail("endless: %s, without a step that others see", self->of->name);
	n_begun_before = n_begun;
}

static void catch_faults(void)
{
	static unsigned char room[65536];
	const struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	const struct itimerval beat = { { 5, 0 }, { 5, 0 } };

	sigaltstack(&(stack_t){ .ss_sp = room, .ss_size = sizeof(room) }, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGVTALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, &beat, NULL);
}

/* ---- who goes on ---- */

static bool may_go_on(const struct thread *thread)
{
	switch (thread->state) {
	case THREAD_RUNS:
		return true;
	case THREAD_LOCKS:
		return *(uint32_t *)thread->wait == 0;
	case THREAD_WAITS:
		return thread->condition(thread->argument);
	default:
		return false;
	}
}

/* With the next after @from first. Return: how many. */
static uint32_t list_ready(const struct thread *from, uint32_t *options)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= n_threads; i++) {
		const struct thread *thread = &threads[(from->id + i) % n_threads];

		if (may_go_on(thread))
			options[n++] = thread->id;
	}
	return n;
}

static bool all_have_ended(void)
{
	for (uint32_t i = 1; i < n_threads; i++)
		if (threads[i].state != THREAD_ENDED && threads[i].state != THREAD_DEAD)
			return false;
	return true;
}

/* When the time of one that waits for it comes. */
static int64_t until(const struct thread *thread)
{
	if (thread->state == THREAD_SLEEPS)
		return thread->until_ns;
	if (thread->state == THREAD_WAITS && thread->polled)
		return files_next_due(thread->polled);
	return INT64_MAX;
}

/* Nobody can go on. If somebody sleeps until a time, and may, it comes. */
static void let_time_pass(void)
{
	struct thread *first = &threads[0];
	bool may_sleep;

	for (uint32_t i = 1; i < n_threads; i++)
		if (until(&threads[i]) < until(first))
			first = &threads[i];
	if (until(first) == INT64_MAX)
		explore_fail("deadlock: nobody can go on");
	/* It may look at the segment: that is no step. */
	exploring = false;
	may_sleep = scenario->may_sleep && scenario->may_sleep();
	exploring = true;
	if (!may_sleep)
		explore_fail("%s is asleep, and nobody wakes it", first->of->name);
	if (now_ns < until(first))
		now_ns = until(first);
	if (first->state == THREAD_SLEEPS) {
		first->timed_out = true;
		first->state = THREAD_RUNS;
	}
	files_time_has_come();
	schedule_counts.n_slices++;
	trace_event("%s: its time is over", first->of->name);
}

/* A kill before a load and one behind it leave the same. */
static bool may_be_killed(const struct thread *thread)
{
	return schedule_counts.n_kills < (uint32_t)scenario->kills && thread->has_written &&
	       (thread->process != 0 || (!scenario->spares_daemon && thread->has_begun));
}

static void kill_process(uint32_t id)
{
	struct sim_process *process = &processes[id];

	schedule_counts.n_kills++;
	trace_event("KILL: process %u", id);
	for (uint32_t i = 0; i < n_threads; i++) {
		struct thread *thread = &threads[i];

		if (thread->process != id)
			continue;
		/* The kernel has switched it out for the last time. */
		memory_barrier_in(thread);
		view_join(&process->at_death, &thread->now);
		/* What a thread did that ended before is behind it all the same. */
		if (thread->state != THREAD_ENDED)
			thread->state = THREAD_DEAD;
	}
	process->is_dead = true;
	if (id != 0)
		return;
	/* The daemon is started anew, and knows nothing. */
	files_hang_up();
	threads[0].state = THREAD_RUNS;
	threads[0].op = OP_ALL;
	room_restart_daemon();
	prepare_stack(&threads[0]);
}

/* Return: who goes on; NULL: it is over. */
static struct thread *choose_next(struct thread *from)
{
	for (;;) {
		bool may = may_go_on(from) && !from->has_yielded;
		uint32_t options[EXPLORE_THREADS + 1], n = 0;
		struct thread *next;

		if (may)
			options[n++] = from->id;
		n += list_ready(from, options + n);
		/* Of the list it is the last: who has yielded goes on only if nobody else can. */
		if (may || (from->has_yielded && n > 1))
			n--;
		if (n == 0) {
			if (all_have_ended() && !schedule_to_reap())
				return NULL;
			let_time_pass();
			continue;
		}
		next = &threads[search_thread(options, n, !may_go_on(from), from)];
		from->has_yielded = false;
		if ((next == from || next->n_ops <= 1) && may_be_killed(next)) {
			next->has_written = false;
			if (search_choose(CHOICE_KILL, 2, next)) {
				kill_process(next->process);
				continue;
			}
		}
		next->has_written |= next->op != OP_LOAD && next->op != OP_LOAD_IN_S;
		next->state = THREAD_RUNS;
		return next;
	}
}

static void switch_to(struct thread *next)
{
	struct thread *from = self;
	void *nowhere;

	if (next == from && next->has_begun)
		return;
	if (!next)
		fiber_switch(&nowhere, main_sp);
	room_enter(next);
	/* The daemon, if it was just killed, does not come back to where it was. */
	fiber_switch(from->has_begun ? &from->sp : &nowhere, next->sp);
}

/* From a stop of ours: to somebody else, or on. */
static void stop(void)
{
	if (++step > MAX_STEPS)
		explore_fail("endless: %d steps", MAX_STEPS);
	self->n_ops++;
	if (is_beginning)
		fiber_switch(&self->sp, main_sp);
	else
		switch_to(choose_next(self));
}

void schedule_point(enum op op, uint32_t place)
{
	if (!exploring || (place == 0 && op != OP_ALL))
		return;
	self->op = op;
	self->place = place;
	stop();
}

void schedule_block(enum thread_state state)
{
	self->op = OP_ALL;
	self->state = state;
	stop();
}

void schedule_yield(void)
{
	if (!exploring)
		return;
	self->op = OP_ALL;
	self->has_yielded = true;
	stop();
}

void explore_wait(bool (*condition)(void *), void *argument)
{
	self->condition = condition;
	self->argument = argument;
	schedule_block(THREAD_WAITS);
}

static bool is_readable(void *argument)
{
	const struct thread *thread = argument;

	return files_is_readable(thread->polled);
}

void explore_poll(int fd)
{
	self->polled = fd;
	explore_wait(is_readable, self);
	self->polled = 0;
}

static void begin_thread(void)
{
	self->has_begun = true;
	self->of->run();
	if (self->specific && processes[self->process].destructor)
		processes[self->process].destructor(self->specific);
	self->state = THREAD_ENDED;
	if (is_beginning)
		fiber_switch(&self->sp, main_sp);
	else
		switch_to(choose_next(self));
	abort();
}

/* ---- a schedule ---- */

static const struct scenario_thread daemon_thread = { .name = "daemon", .run = stage_daemon };

static void prepare(struct thread *thread)
{
	room_enter(thread);
	if (thread->of->prepare)
		thread->of->prepare();
}

void schedule_init(const struct scenario *of)
{
	static bool is_ready;

	if (!is_ready) {
		memory_init();
		catch_faults();
		room_init();
		for (uint32_t i = 0; i < EXPLORE_THREADS; i++)
			make_stack(&threads[i]);
		is_ready = true;
	}

	scenario = of;
	exploring = false;
	in_main = true;
	now_ns = INT64_C(1000000000000);
	self = &threads[0];
	n_threads = of->n_threads + 1;
	memset(processes, 0, sizeof(processes));
	for (uint32_t i = 0; i < EXPLORE_THREADS; i++) {
		threads[i] = (struct thread){
			.id = i,
			.of = i == 0 || i >= n_threads ? &daemon_thread : &of->threads[i - 1],
			.process = i == 0 || i >= n_threads ? 0 : of->threads[i - 1].process,
			.stack = threads[i].stack,
		};
		if (i < n_threads)
			processes[threads[i].process].n_threads++;
	}
	room_begin();
	if (setjmp(alone)) {
		fprintf(stderr, "%s: the set-up fails: %s\n", of->name, fault);
		exit(2);
	}
	if (of->world_bytes)
		memset(of->world, 0, of->world_bytes);
	files_init();
	if (of->set_up)
		of->set_up();
	for (uint32_t i = 1; i < n_threads; i++)
		prepare(&threads[i]);
	room_keep_all(of);
}

static void restore(void)
{
	room_restore_all(scenario);
	step = 0;
	schedule_counts = (struct schedule_counts){ .n_kills = 0 };
	memory_reset();
	for (uint32_t i = 0; i < n_threads; i++)
		threads[i].now.happened.at[i] = threads[i].now.known.at[i] = 1;
	for (uint32_t i = 0; i < n_threads; i++)
		threads[i].has_written = true;
}

static void begin_all(void)
{
	is_beginning = true;
	in_main = false;
	for (uint32_t i = 0; i < n_threads && outcome != OUTCOME_WRONG; i++) {
		prepare_stack(&threads[i]);
		if (i == 0 && !scenario->set_up) {
			threads[0].state = THREAD_ENDED;
			continue;
		}
		room_enter(&threads[i]);
		fiber_switch(&main_sp, threads[i].sp);
	}
	is_beginning = false;
}

static void judge(void)
{
	if (setjmp(alone))
		return;
	if (scenario->judge)
		scenario->judge();
}

enum outcome schedule_run(void)
{
	n_begun++;
	restore();
	search_begin();
	outcome = OUTCOME_RIGHT;
	exploring = true;
	begin_all();
	if (outcome == OUTCOME_RIGHT) {
		struct thread *first;

		room_enter(&threads[0]);
		in_main = true;
		first = setjmp(alone) ? NULL : choose_next(self);
		if (first) {
			in_main = false;
			room_enter(first);
			fiber_switch(&main_sp, first->sp);
		}
	}
	in_main = true;
	exploring = false;
	if (outcome == OUTCOME_RIGHT) {
		room_enter(&threads[0]);
		judge();
	}
	return outcome;
}

/* ---- the dead ---- */

bool explore_is_dead(uint32_t process)
{
	return processes[process].is_dead;
}

int explore_n_killed(void)
{
	return (int)schedule_counts.n_kills;
}

uint32_t schedule_to_reap(void)
{
	for (uint32_t i = 1; i < EXPLORE_THREADS; i++)
		if (processes[i].is_dead && !processes[i].is_reaped)
			return i;
	return 0;
}

void schedule_reaped(uint32_t process)
{
	processes[process].is_reaped = true;
	processes[process].at_reap = self->now;
	trace_event("process %u is reaped", process);
}

void schedule_see_death(uint32_t process)
{
	view_join(&self->now, &processes[process].at_death);
}

bool schedule_has_ended(uint32_t process)
{
	for (uint32_t i = 0; i < n_threads; i++)
		if (threads[i].process == process && threads[i].state != THREAD_ENDED)
			return false;
	return true;
}

bool schedule_is_new_daemon(void)
{
	return processes[0].is_dead;
}

bool schedule_has_no_membarrier(void)
{
	return scenario->no_membarrier;
}

void schedule_hear_of_reap(uint32_t process)
{
	view_join(&self->now, &processes[process].at_reap);
}

int explore_errno(void)
{
	return self->error;
}
