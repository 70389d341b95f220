/* SPDX-License-Identifier: MIT */
/*
 * system.c - the system, as the explored code sees it
 *
 * What the code calls and does not have itself is renamed when it is linked: mmap() is sim_mmap().
 * So a call that nobody has thought of is an error of the linker, and one that no scenario should
 * come to ends its schedule.
 *
 * Private memory is a part of the region, and not used again: an access behind its free is an error,
 * where several threads might see it. A membarrier is a full barrier in each
 * thread of each registered process, each at a moment of its own. A futex orders nothing by itself,
 * which is less than the kernel does. Time goes on when somebody asks for it, or nobody can go on.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "engine.h"

#define AT(address) ((uintptr_t)(address))
#define PC __builtin_return_address(0)

/* What the code calls is declared where it is defined: no header has these names. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define LINE 64

const char *sim_program_invocation_short_name = "explored";

int *sim___errno_location(void)
{
	return &self->error;
}

_Noreturn void sim___assert_fail(const char *condition, const char *file, unsigned int line,
				 const char *function)
{
	explore_fail("%s:%u: %s: assertion %s", file, line, function, condition);
}

/* ---- memory ---- */

/* In front of each piece: how long it is. */
static void *allocate(size_t bytes, size_t alignment)
{
	size_t head = alignment > 16 ? alignment : 16;
	unsigned char *memory = room_allocate(head + bytes, head);

	((size_t *)(memory + head))[-1] = bytes;
	return memory + head;
}

static size_t bytes_of(const void *memory)
{
	return ((const size_t *)memory)[-1];
}

void *sim_malloc(size_t bytes)
{
	return allocate(bytes, 16);
}

void *sim_calloc(size_t n, size_t bytes)
{
	return allocate(n * bytes, 16);
}

void *sim_aligned_alloc(size_t alignment, size_t bytes)
{
	return allocate(bytes, alignment);
}

void sim_free(void *memory)
{
	if (memory && exploring)
		memory_free(AT(memory), bytes_of(memory), PC);
}

void *sim_realloc(void *from, size_t bytes)
{
	void *to = allocate(bytes, 16);

	if (from)
		memcpy(to, from, bytes < bytes_of(from) ? bytes : bytes_of(from));
	sim_free(from);
	return to;
}

void *sim_mmap(void *address, size_t bytes, int protection, int flags, int fd, long offset)
{
	(void)address;
	(void)protection;
	(void)flags;
	(void)offset;
	if (fd >= 0)
		explore_fail("the code maps a file");
	return room_allocate(bytes, LINE);
}

int sim_munmap(void *address, size_t bytes)
{
	/* Of the segment one mapping of many. */
	if (exploring && !memory_is_shared(AT(address)))
		memory_free(AT(address), bytes, PC);
	return 0;
}

int sim_madvise(void *address, size_t bytes, int advice)
{
	(void)address;
	(void)bytes;
	(void)advice;
	return 0;
}

/* Small pages: there is less to set back before each schedule. */
long sim_sysconf(int name)
{
	(void)name;
	return LINE;
}

static void plain(const void *address, size_t bytes, bool is_write, void *pc)
{
	if (exploring && bytes > 0 && memory_place(AT(address)) != 0)
		memory_plain(AT(address), bytes, is_write, pc);
}

void *sim_memcpy(void *to, const void *from, size_t bytes)
{
	plain(from, bytes, false, PC);
	plain(to, bytes, true, PC);
	return memcpy(to, from, bytes);
}

void *sim_memmove(void *to, const void *from, size_t bytes)
{
	plain(from, bytes, false, PC);
	plain(to, bytes, true, PC);
	return memmove(to, from, bytes);
}

void *sim_memset(void *to, int byte, size_t bytes)
{
	plain(to, bytes, true, PC);
	return memset(to, byte, bytes);
}

int sim_memcmp(const void *a, const void *b, size_t bytes)
{
	plain(a, bytes, false, PC);
	plain(b, bytes, false, PC);
	return memcmp(a, b, bytes);
}

/* ---- time ---- */

int sim_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now_ns += 1000;
	now->tv_sec = now_ns / 1000000000;
	now->tv_nsec = now_ns % 1000000000;
	return 0;
}

static void nap(const struct timespec *span)
{
	now_ns += span->tv_sec * INT64_C(1000000000) + span->tv_nsec;
	schedule_yield();
}

int sim_nanosleep(const struct timespec *span, struct timespec *left)
{
	(void)left;
	nap(span);
	return 0;
}

int sim_clock_nanosleep(clockid_t clock, int flags, const struct timespec *span,
			struct timespec *left)
{
	(void)clock;
	(void)flags;
	(void)left;
	nap(span);
	return 0;
}

int sim_sched_yield(void)
{
	schedule_yield();
	return 0;
}

/* ---- threads ---- */

int sim_pthread_mutex_init(void *mutex, const void *attributes)
{
	(void)attributes;
	*(uint32_t *)mutex = 0;
	return 0;
}

int sim_pthread_mutex_destroy(void *mutex)
{
	(void)mutex;
	return 0;
}

int sim_pthread_mutex_lock(void *mutex)
{
	if (exploring && memory_place(AT(mutex)) != 0)
		memory_lock(AT(mutex), PC);
	else if (*(uint32_t *)mutex != 0)
		explore_fail("a lock is taken twice");
	else
		*(uint32_t *)mutex = 1;
	return 0;
}

int sim_pthread_mutex_trylock(void *mutex)
{
	return memory_look(AT(mutex)) != 0 ? EBUSY : sim_pthread_mutex_lock(mutex);
}

int sim_pthread_mutex_unlock(void *mutex)
{
	if (exploring && memory_place(AT(mutex)) != 0)
		memory_store(AT(mutex), 4, 0, __ATOMIC_RELEASE, PC);
	else
		*(uint32_t *)mutex = 0;
	return 0;
}

int sim_pthread_mutexattr_init(void *attributes)
{
	(void)attributes;
	return 0;
}

int sim_pthread_mutexattr_destroy(void *attributes)
{
	(void)attributes;
	return 0;
}

int sim_pthread_mutexattr_setprotocol(void *attributes, int protocol)
{
	(void)attributes;
	(void)protocol;
	return 0;
}

int sim_pthread_key_create(unsigned int *key, void (*destructor)(void *))
{
	*key = 0;
	processes[self->process].destructor = destructor;
	return 0;
}

int sim_pthread_setspecific(unsigned int key, const void *value)
{
	(void)key;
	self->specific = (void *)(uintptr_t)value;
	return 0;
}

int sim_pthread_setcancelstate(int state, int *was)
{
	(void)state;
	if (was)
		*was = 0;
	return 0;
}

void sim_pthread_testcancel(void)
{
}

/* ---- system calls ---- */

/* Whom one reaches. */
static bool is_reached(const struct thread *thread, bool is_own)
{
	return thread != self && (is_own ? thread->process == self->process
					 : processes[thread->process].has_membarrier);
}

static long membarrier(int command)
{
	bool is_own;

	if (schedule_has_no_membarrier()) {
		self->error = ENOSYS;
		return -1;
	}
	if (command == MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) {
		processes[self->process].has_membarrier = true;
		return 0;
	}
	if (command == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
		processes[self->process].has_own_membarrier = true;
		return 0;
	}
	is_own = command == MEMBARRIER_CMD_PRIVATE_EXPEDITED;
	if (command != MEMBARRIER_CMD_GLOBAL_EXPEDITED &&
	    !(is_own && processes[self->process].has_own_membarrier))
		explore_fail("membarrier(%d)", command);
	if (!exploring || search_mutants.deaf_membarrier)
		return 0;
	schedule_point(OP_ALL, 0);
	memory_barrier_in(self);
	trace_event("membarrier");
	for (uint32_t i = 0; i < n_threads; i++) {
		struct thread *thread = &threads[i];

		/* Those that have ended, too: what they did was before they were switched out. */
		if (!is_reached(thread, is_own))
			continue;
		memory_barrier_in(thread);
		trace_event("membarrier in %s", thread->of->name);
		schedule_point(OP_ALL, 0);
	}
	memory_barrier_in(self);
	return 0;
}

static long futex_wait(uintptr_t address, uint32_t value, const struct timespec *timeout)
{
	schedule_point(OP_RMW, memory_place(address));
	if (!exploring)
		explore_fail("a sleep where nobody else runs");
	if (memory_look(address) != value) {
		trace_event("futex: not %#x any more", value);
		self->error = EAGAIN;
		return -1;
	}
	trace_event("sleeps");
	self->wait = address;
	self->until_ns = INT64_MAX;
	if (timeout)
		self->until_ns = now_ns + timeout->tv_sec * INT64_C(1000000000) +
				 timeout->tv_nsec;
	self->timed_out = false;
	schedule_block(THREAD_SLEEPS);
	if (!self->timed_out)
		return 0;
	self->error = ETIMEDOUT;
	return -1;
}

/* Of those who sleep there. Return: how many. */
static long wake_or_move(uintptr_t address, long n_wake, long n_move, uintptr_t to)
{
	long n = 0;

	schedule_point(OP_RMW, memory_place(address));
	for (uint32_t i = 0; i < n_threads && n < n_wake + n_move; i++) {
		struct thread *thread = &threads[i];

		if (thread->state != THREAD_SLEEPS || thread->wait != address)
			continue;
		n++;
		if (n > n_wake) {
			thread->wait = to;
			continue;
		}
		thread->state = THREAD_RUNS;
		trace_event("wakes %s", thread->of->name);
	}
	return n;
}

long sim_syscall(long number, ...)
{
	uintptr_t arguments[5];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 5; i++)
		arguments[i] = va_arg(list, uintptr_t);
	va_end(list);
	if (number == SYS_gettid)
		return (long)self->id;
	if (number == SYS_membarrier)
		return membarrier((int)arguments[0]);
	if (number != SYS_futex)
		explore_fail("system call %ld", number);
	switch ((int)arguments[1]) {
	case FUTEX_WAIT:
		return futex_wait(arguments[0], (uint32_t)arguments[2], (void *)arguments[3]);
	case FUTEX_WAKE:
		return wake_or_move(arguments[0], (int)arguments[2], 0, 0);
	case FUTEX_REQUEUE:
		return wake_or_move(arguments[0], (int)arguments[2], (int)arguments[3],
				    arguments[4]);
	default:
		explore_fail("futex(%d)", (int)arguments[1]);
	}
}

/* Nothing is loaded: whoever calls is in no module. */
int sim_dl_iterate_phdr(int (*look)(void *info, size_t size, void *userdata), void *userdata)
{
	(void)look;
	(void)userdata;
	return 0;
}

/* ---- what no scenario comes to yet ---- */

#define NOT_HERE(name)                                                                             \
	void sim_##name(void)                                                                      \
	{                                                                                          \
		explore_fail("the code calls " #name "(), which the explorer does not have");      \
	}

NOT_HERE(__pthread_register_cancel)
NOT_HERE(__pthread_unregister_cancel)
NOT_HERE(__pthread_unwind_next)
NOT_HERE(__sched_cpucount)
NOT_HERE(__sigsetjmp)
NOT_HERE(abort)
NOT_HERE(dprintf)
NOT_HERE(fchmod)
NOT_HERE(fchown)
NOT_HERE(fcntl)
NOT_HERE(fstat)
NOT_HERE(fstatvfs)
NOT_HERE(ftruncate)
NOT_HERE(getrandom)
NOT_HERE(memfd_create)
NOT_HERE(mlock2)
NOT_HERE(munlock)
NOT_HERE(open)
NOT_HERE(posix_fallocate)
NOT_HERE(ppoll)
NOT_HERE(pread)
NOT_HERE(pthread_create)
NOT_HERE(pthread_join)
NOT_HERE(pthread_sigmask)
NOT_HERE(raise)
NOT_HERE(readlink)
NOT_HERE(realpath)
NOT_HERE(sched_getaffinity)
NOT_HERE(secure_getenv)
NOT_HERE(sem_destroy)
NOT_HERE(sem_init)
NOT_HERE(sem_post)
NOT_HERE(sem_wait)
NOT_HERE(shm_open)
NOT_HERE(shm_unlink)
NOT_HERE(sigaction)
NOT_HERE(sigaddset)
NOT_HERE(sigemptyset)
NOT_HERE(sigfillset)
NOT_HERE(signal)
NOT_HERE(write)
