/* SPDX-License-Identifier: MIT */
/*
 * memory.c - memory as C11 has it: what a load may return, and which plain accesses race
 *
 * Of each location that is accessed atomically there is a history: its stores, in their
 * modification order. A load may return any store that is not older than what the thread can no
 * longer miss (is_known()). The memory itself has what the latest store wrote. A plain access that
 * does not race sees exactly that, so plain accesses need no history: they are compiled code that
 * reads and writes the memory. A plain store begins a new history, since whatever comes is behind it.
 *
 * S, the one order of all seq_cst operations, is the order in which they are executed, but that a store
 * takes its place late: what its thread stores behind it may be seen before it is. It has its place by
 * the next seq_cst load or fence of its thread, or operation of anybody whom it happens before, or who
 * has seen it or what follows it. Until then seq_cst loads may miss it.
 *
 * A location is a part of a granule of 8 bytes: parts are split by byte as accesses want it.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

#define REGION_AT ((unsigned char *)0x200000000000)
#define SHARED_GRANULES (SHARED_BYTES / 8)
#define PRIVATE_GRANULES (PRIVATE_BYTES / 8)
#define STATIC_GRANULES (STATIC_BYTES / 8)
#define N_GRANULES (SHARED_GRANULES + EXPLORE_THREADS * (PRIVATE_GRANULES + STATIC_GRANULES))
#define MAX_PARTS 65536
#define MAX_STORES 65536
#define NEVER UINT32_MAX

unsigned char *const region = REGION_AT;

/* Of the explored code: the linker knows. */
extern unsigned char __start_explored_data[], __stop_explored_data[];
extern unsigned char __start_explored_bss[], __stop_explored_bss[];

struct store {
	uint64_t value;
	uint64_t step;
	struct view view;		/* what whoever acquires it gets */
	uint32_t thread;
	uint32_t epoch;
	uint32_t in_s;			/* when the first seq_cst access wrote or read it; 0: none */
	bool is_late;			/* a seq_cst store whose place in S is not settled yet */
	uint32_t late_before;		/* the one before it of the same thread, if that was late */
	uint32_t next;			/* in the modification order; 0: it is the latest */
	uint32_t previous;
	bool is_rmw;			/* nothing goes between it and the one before */
	struct clock read;		/* by each thread for the first time; NEVER */
};

struct part {
	uint32_t place;
	uint32_t next;			/* of the same granule; 0: none */
	uint32_t latest;		/* store; 0: no history */
	uint8_t mask;			/* its bytes */
	bool is_freed;
	struct clock plain_write;
	struct clock plain_read;
	struct clock atomic_write;
	struct clock atomic_read;
};

static uint32_t first_part[N_GRANULES + 1];	/* by place, from 1 on; 0: none */
static struct part *parts;
static uint32_t n_parts;
static struct store *stores;
static uint32_t n_stores;

static struct clock fences;		/* what seq_cst fences have told */
static uint32_t last_in_s;

void memory_init(void)
{
	const size_t bytes = SHARED_BYTES + EXPLORE_THREADS * PRIVATE_BYTES;

	parts = malloc(MAX_PARTS * sizeof(*parts));
	stores = malloc(MAX_STORES * sizeof(*stores));
	if (!parts || !stores ||
	    mmap(region, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1,
		 0) != region)
		abort();
	n_parts = n_stores = 1;
}

void memory_reset(void)
{
	while (n_parts > 1)
		first_part[parts[--n_parts].place] = 0;
	n_stores = 1;
	memset(&fences, 0, sizeof(fences));
	last_in_s = 0;
}

/* ---- places ---- */

bool memory_is_shared(uintptr_t address)
{
	return address - (uintptr_t)region < SHARED_BYTES;
}

static uint32_t static_place(uintptr_t address)
{
	size_t data = (size_t)(__stop_explored_data - __start_explored_data);
	size_t offset = address - (uintptr_t)__start_explored_data;

	if (offset >= data) {
		offset = address - (uintptr_t)__start_explored_bss;
		if (offset >= (size_t)(__stop_explored_bss - __start_explored_bss))
			return 0;
		offset += (data + 63) & ~(size_t)63;
	}
	return 1 + (uint32_t)(SHARED_GRANULES + EXPLORE_THREADS * PRIVATE_GRANULES +
			      self->process * STATIC_GRANULES + offset / 8);
}

uint32_t memory_place(uintptr_t address)
{
	uintptr_t offset = address - (uintptr_t)region;

	if (offset < SHARED_BYTES)
		return 1 + (uint32_t)(offset / 8);
	if (processes[self->process].n_threads < 2)
		return 0;
	if (offset < SHARED_BYTES + EXPLORE_THREADS * PRIVATE_BYTES)
		return 1 + (uint32_t)(offset / 8);
	return static_place(address);
}

static uint8_t mask_of(uintptr_t address, size_t bytes)
{
	return (uint8_t)(((1U << bytes) - 1) << address % 8);
}

static struct part *new_part(uint32_t place, uint8_t mask)
{
	struct part *part = &parts[n_parts];

	if (n_parts == MAX_PARTS)
		explore_fail("the schedule touches too much memory");
	memset(part, 0, sizeof(*part));
	part->place = place;
	part->mask = mask;
	part->next = first_part[place];
	first_part[place] = n_parts++;
	return part;
}

/* All bytes of the mask are in parts; those not accessed yet in one that is new. */
static void cover(uint32_t place, uint8_t mask)
{
	for (uint32_t i = first_part[place]; i; i = parts[i].next)
		mask &= (uint8_t)~parts[i].mask;
	if (mask)
		new_part(place, mask);
}

/* No part is half in the mask. A history is not split: the caller sees to that. */
static void split(uint32_t place, uint8_t mask)
{
	for (uint32_t i = first_part[place]; i; i = parts[i].next) {
		uint8_t inside = parts[i].mask & mask;
		struct part *part;

		if (inside == 0 || inside == parts[i].mask)
			continue;
		part = new_part(place, inside);
		*part = (struct part){
			.place = place,
			.next = part->next,
			.mask = inside,
			.plain_write = parts[i].plain_write,
			.plain_read = parts[i].plain_read,
			.atomic_write = parts[i].atomic_write,
			.atomic_read = parts[i].atomic_read,
		};
		parts[i].mask &= (uint8_t)~inside;
	}
}

/* ---- races ---- */

static const char *who_is_not_in(const struct clock *clock)
{
	for (uint32_t i = 0; i < n_threads; i++)
		if (clock->at[i] > self->now.happened.at[i])
			return threads[i].of->name;
	return "?";
}

static void must_be_before(const struct clock *clock, const char *what, const char *ours,
			   uintptr_t address)
{
	char name[80] = "";

	if (clock_is_in(clock, &self->now.happened))
		return;
	if (!stage_name(address, name, sizeof(name)))
		name[0] = '\0';
	explore_fail("data race: %s of %s and %s of %s at %p %s", what, who_is_not_in(clock), ours,
		     self->of->name, (void *)address, name);
}

static void must_be_there(const struct part *part, uintptr_t address)
{
	if (part->is_freed)
		explore_fail("%s accesses memory at %p that was freed", self->of->name,
			     (void *)address);
}

static void plain_part(struct part *part, bool is_write, uintptr_t address)
{
	must_be_there(part, address);
	if (!is_write) {
		must_be_before(&part->plain_write, "plain store", "plain load", address);
		must_be_before(&part->atomic_write, "atomic store", "plain load", address);
		part->plain_read.at[self->id] = self->now.happened.at[self->id];
		return;
	}
	must_be_before(&part->plain_write, "plain store", "plain store", address);
	must_be_before(&part->plain_read, "plain load", "plain store", address);
	must_be_before(&part->atomic_write, "atomic store", "plain store", address);
	must_be_before(&part->atomic_read, "atomic load", "plain store", address);
	/* Whatever is behind it is behind all those as well. */
	memset(&part->plain_read, 0, sizeof(part->plain_read));
	memset(&part->atomic_write, 0, sizeof(part->atomic_write));
	memset(&part->atomic_read, 0, sizeof(part->atomic_read));
	memset(&part->plain_write, 0, sizeof(part->plain_write));
	part->plain_write.at[self->id] = self->now.happened.at[self->id];
	part->latest = 0;
}

static void tick(void)
{
	uint32_t epoch = ++self->now.happened.at[self->id];

	self->now.known.at[self->id] = epoch;
}

/* An access of another size, or half of it: what was there must be over. */
static void settle(uint32_t place, uint8_t mask, uintptr_t address)
{
	for (uint32_t i = first_part[place]; i; i = parts[i].next) {
		struct part *part = &parts[i];

		if (!(part->mask & mask) || part->mask == mask || !part->latest)
			continue;
		must_be_before(&part->atomic_write, "atomic store", "access of another size",
			       address);
		part->latest = 0;
	}
}

void memory_plain(uintptr_t address, size_t bytes, bool is_write, void *pc)
{
	self->has_written |= is_write;
	tick();
	trace_access(is_write ? "plain store" : "plain load", address, (uint32_t)bytes, -1, 0, pc);
	while (bytes > 0) {
		size_t here = 8 - address % 8 < bytes ? 8 - address % 8 : bytes;
		uint8_t mask = mask_of(address, here);
		uint32_t place = memory_place(address);

		/* A load beside a history of another size is no reason to end it. */
		if (is_write)
			settle(place, mask, address);
		cover(place, mask);
		if (is_write)
			split(place, mask);
		for (uint32_t i = first_part[place]; i; i = parts[i].next)
			if (parts[i].mask & mask)
				plain_part(&parts[i], is_write, address);
		address += here;
		bytes -= here;
	}
}

void memory_free(uintptr_t address, size_t bytes, void *pc)
{
	if (bytes == 0 || memory_place(address) == 0)
		return;
	memory_plain(address, bytes, true, pc);
	trace_event("frees %zu bytes at %p", bytes, (void *)address);
	for (uintptr_t at = address & ~(uintptr_t)7; at < address + bytes; at += 8)
		for (uint32_t i = first_part[memory_place(at)]; i; i = parts[i].next)
			parts[i].is_freed = true;
}

/* ---- histories ---- */

static uint64_t get(uintptr_t address, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, (void *)address, size);
	return value;
}

static void put(uintptr_t address, uint32_t size, uint64_t value)
{
	memcpy((void *)address, &value, size);
}

static uint32_t new_store(uint64_t value)
{
	struct store *store = &stores[n_stores];

	if (n_stores == MAX_STORES)
		explore_fail("the schedule has too many stores");
	memset(store, 0, sizeof(*store));
	store->value = value;
	store->step = step;
	memset(&store->read, 0xff, sizeof(store->read));
	return n_stores++;
}

/* The part of an atomic access, with a history. */
static struct part *history(uintptr_t address, uint32_t size, bool is_write)
{
	uint32_t place = memory_place(address);
	uint8_t mask = mask_of(address, size);
	struct part *part = NULL;

	for (uint32_t i = first_part[place]; i && !part; i = parts[i].next)
		if (parts[i].mask == mask)
			part = &parts[i];
	if (!part) {
		struct part all = { .place = place };

		settle(place, mask, address);
		cover(place, mask);
		split(place, mask);
		/* Of several that are inside it one is made; the others are nowhere any more. */
		for (uint32_t i = first_part[place]; i; i = parts[i].next) {
			if (!(parts[i].mask & mask))
				continue;
			part = &parts[i];
			clock_join(&all.plain_write, &part->plain_write);
			clock_join(&all.plain_read, &part->plain_read);
			clock_join(&all.atomic_write, &part->atomic_write);
			clock_join(&all.atomic_read, &part->atomic_read);
			part->mask = 0;
		}
		all.next = part->next;
		all.mask = mask;
		*part = all;
	}
	must_be_there(part, address);
	must_be_before(&part->plain_write, "plain store", "atomic access", address);
	if (is_write)
		must_be_before(&part->plain_read, "plain load", "atomic store", address);
	if (!part->latest)
		part->latest = new_store(get(address, size));
	return part;
}

static bool is_in(const struct store *store, const struct clock *clock)
{
	bool found = store->epoch <= clock->at[store->thread];

	for (int i = 0; i < EXPLORE_THREADS; i++)
		found |= store->read.at[i] <= clock->at[i] && store->read.at[i] != NEVER;
	return found;
}

/* Whether we cannot miss it: nothing older may be read, and no store of ours goes before it. */
static bool is_known(const struct store *store, bool seq_cst)
{
	if (is_in(store, &self->now.known))
		return true;
	if (store->in_s && (seq_cst || store->in_s <= self->now.fenced))
		return true;
	return seq_cst && is_in(store, &fences);
}

static bool acquires(int order)
{
	return order == memory_order_acquire || order == memory_order_consume ||
	       order == memory_order_acq_rel || order == memory_order_seq_cst;
}

static bool releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel ||
	       order == memory_order_seq_cst;
}

/* This store, those that it follows, and the earlier ones of their threads have their places. */
static void settle_all(uint32_t i)
{
	for (; i; i = stores[i].previous)
		if (stores[i].is_late) {
			stores[i].in_s = last_in_s;
			stores[i].is_late = false;
			settle_all(stores[i].late_before);
		}
}

static void settle_s(uint32_t i)
{
	last_in_s++;
	settle_all(i);
}

/* Before a seq_cst operation: what must be before it in S. A store may be as late as those before it. */
static void prepare_s(const struct thread *thread, bool is_store)
{
	for (uint32_t i = 0; i < n_threads; i++) {
		uint32_t late = threads[i].late;

		if (&threads[i] == thread && is_store)
			continue;
		while (late && (!stores[late].is_late ||
				stores[late].epoch > thread->now.happened.at[i]))
			late = stores[late].late_before;
		if (late)
			settle_s(late);
	}
}

static bool is_followed_by_known(uint32_t i, const struct clock *known)
{
	for (; i; i = stores[i].next)
		if (is_in(&stores[i], known))
			return true;
	return false;
}

/* The same of a fence: what its thread has seen, or knows to be followed. */
static void prepare_fence(const struct thread *thread)
{
	prepare_s(thread, false);
	for (uint32_t i = 0; i < n_threads; i++)
		for (uint32_t late = threads[i].late; late; late = stores[late].late_before)
			if (stores[late].is_late &&
			    is_followed_by_known(late, &thread->now.known)) {
				settle_s(late);
				break;
			}
}

/* A seq_cst access has read it. */
static void read_in_s(struct store *store)
{
	settle_s((uint32_t)(store - stores));
	if (!store->in_s)
		store->in_s = last_in_s;
}

/* A seq_cst access has written it. */
static void write_in_s(uint32_t made)
{
	stores[made].is_late = true;
	stores[made].late_before = self->late;
	self->late = made;
}

static void have_read(struct part *part, struct store *store, int order)
{
	uint32_t epoch = self->now.happened.at[self->id];

	if (store->read.at[self->id] == NEVER)
		store->read.at[self->id] = epoch;
	part->atomic_read.at[self->id] = epoch;
	if (order == memory_order_seq_cst)
		read_in_s(store);
	view_join(acquires(order) ? &self->now : &self->acquired, &store->view);
}

/* One of those that may be read. skip: those that have that value may not be. */
static struct store *choose_store(struct part *part, bool seq_cst, const uint64_t *skip)
{
	uint32_t found[64], n = 0;
	uint32_t i = part->latest;

	for (; n < 64; i = stores[i].previous) {
		/* The latest may always: if it is not to be, the caller has seen to it. */
		if (n == 0 || !skip || stores[i].value != *skip)
			found[n++] = i;
		if (!stores[i].previous || is_known(&stores[i], seq_cst))
			break;
	}
	i = search_choose(CHOICE_STORE, n, self);
	if (i > 0)
		trace_old(stores[found[i]].step, stores[part->latest].value);
	return &stores[found[i]];
}

uint64_t memory_load(uintptr_t address, uint32_t size, int order, void *pc)
{
	struct part *part;
	struct store *store;

	schedule_point(order == memory_order_seq_cst ? OP_LOAD_IN_S : OP_LOAD,
		       memory_place(address));
	tick();
	part = history(address, size, false);
	if (order == memory_order_seq_cst)
		prepare_s(self, false);
	store = choose_store(part, order == memory_order_seq_cst, NULL);
	have_read(part, store, order);
	trace_access("load", address, size, order, store->value, pc);
	return store->value;
}

/* What goes with a store of that order. */
static void fill(struct store *store, int order)
{
	store->thread = self->id;
	store->epoch = self->now.happened.at[self->id];
	view_join(&store->view, releases(order) ? &self->now : &self->released);
}

/* How many of the latest stores this one may go before. */
static uint32_t n_passable(const struct part *part, bool seq_cst)
{
	uint32_t n = 0, passed = 0;

	for (uint32_t i = part->latest; i && !is_known(&stores[i], seq_cst); i = stores[i].previous) {
		passed++;
		if (!stores[i].is_rmw)
			n = passed;
	}
	return n;
}

/* A seq_cst store that goes before a late one is not to be behind it in S by what its thread did. */
static void prepare_store(const struct part *part)
{
	prepare_s(self, true);
	for (uint32_t i = part->latest; i && !is_known(&stores[i], true); i = stores[i].previous)
		if (stores[i].is_late) {
			prepare_s(self, false);
			return;
		}
}

void memory_store(uintptr_t address, uint32_t size, uint64_t value, int order, void *pc)
{
	uint32_t made, before, n;
	struct part *part;

	schedule_point(OP_STORE, memory_place(address));
	tick();
	part = history(address, size, true);
	if (order == memory_order_seq_cst)
		prepare_store(part);
	n = search_choose(CHOICE_ORDER, n_passable(part, order == memory_order_seq_cst) + 1, self);
	made = new_store(value);
	fill(&stores[made], order);
	part->atomic_write.at[self->id] = self->now.happened.at[self->id];

	before = 0;
	for (uint32_t i = part->latest; n > 0; i = stores[i].previous, n--)
		before = i;
	/* Not between a read-modify-write and what it read. */
	while (before && stores[before].is_rmw)
		before = stores[before].next;
	if (!before) {
		stores[made].previous = part->latest;
		stores[part->latest].next = made;
		part->latest = made;
		put(address, size, value);
	} else {
		stores[made].previous = stores[before].previous;
		stores[made].next = before;
		if (stores[before].previous)
			stores[stores[before].previous].next = made;
		stores[before].previous = made;
		trace_old(stores[before].step, stores[part->latest].value);
	}
	if (order == memory_order_seq_cst)
		write_in_s(made);
	trace_access("store", address, size, order, value, pc);
}

/* The latest is read, and followed at once. */
static uint64_t modify(struct part *part, uintptr_t address, uint32_t size, uint64_t value, int order)
{
	struct store *source = &stores[part->latest];
	uint64_t seen = source->value;
	uint32_t made;

	if (order == memory_order_seq_cst)
		prepare_s(self, true);
	have_read(part, source, order);
	made = new_store(value);
	fill(&stores[made], order);
	/* The release sequence goes on. */
	view_join(&stores[made].view, &source->view);
	stores[made].is_rmw = true;
	stores[made].previous = part->latest;
	source->next = made;
	part->latest = made;
	if (order == memory_order_seq_cst)
		write_in_s(made);
	part->atomic_write.at[self->id] = self->now.happened.at[self->id];
	put(address, size, value);
	return seen;
}

void memory_lock(uintptr_t address, void *pc)
{
	self->wait = address;
	schedule_block(THREAD_LOCKS);
	tick();
	modify(history(address, 4, true), address, 4, 1, memory_order_acquire);
	trace_access("lock", address, 4, memory_order_acquire, 1, pc);
}

static uint64_t result_of(enum rmw rmw, uint64_t seen, uint64_t operand)
{
	switch (rmw) {
	case RMW_ADD:
		return seen + operand;
	case RMW_SUB:
		return seen - operand;
	case RMW_AND:
		return seen & operand;
	case RMW_OR:
		return seen | operand;
	case RMW_XOR:
		return seen ^ operand;
	case RMW_NAND:
		return ~(seen & operand);
	default:
		return operand;
	}
}

static uint64_t cut(uint64_t value, uint32_t size)
{
	return size < 8 ? value & ((UINT64_C(1) << size * 8) - 1) : value;
}

uint64_t memory_rmw(uintptr_t address, uint32_t size, enum rmw rmw, uint64_t operand, int order,
		    void *pc)
{
	static const char *const names[] = { "exchange", "add", "sub", "and", "or", "xor", "nand" };
	struct part *part;
	uint64_t seen, value;

	schedule_point(OP_RMW, memory_place(address));
	tick();
	part = history(address, size, true);
	value = cut(result_of(rmw, stores[part->latest].value, operand), size);
	seen = modify(part, address, size, value, order);
	trace_access(names[rmw], address, size, order, value, pc);
	return seen;
}

bool memory_cas(uintptr_t address, uint32_t size, uint64_t *expected, uint64_t value, bool weak,
		int order, int failure, void *pc)
{
	struct part *part;
	struct store *store;
	bool matches, fails = false;

	schedule_point(OP_RMW, memory_place(address));
	tick();
	part = history(address, size, true);
	store = &stores[part->latest];
	matches = store->value == *expected;
	if (matches && weak)
		fails = search_choose(CHOICE_FAIL, 2, self);
	if (!fails) {
		/* An older one that is something else: then it fails, and has read that. */
		if (failure == memory_order_seq_cst)
			prepare_s(self, false);
		store = choose_store(part, failure == memory_order_seq_cst, expected);
		fails = !matches || store != &stores[part->latest];
	}
	if (!fails) {
		modify(part, address, size, value, order);
		trace_access("swap", address, size, order, value, pc);
		return true;
	}
	have_read(part, store, failure);
	*expected = store->value;
	trace_access("failed swap", address, size, failure, store->value, pc);
	return false;
}

/* ---- fences ---- */

static void fence_seq_cst(struct thread *thread)
{
	view_join(&thread->now, &thread->acquired);
	prepare_fence(thread);
	clock_join(&thread->now.known, &fences);
	clock_join(&fences, &thread->now.known);
	thread->now.fenced = ++last_in_s;
	thread->released = thread->now;
}

void memory_fence(int order, void *pc)
{
	schedule_point(OP_ALL, 0);
	tick();
	if (order == memory_order_seq_cst) {
		fence_seq_cst(self);
	} else {
		if (acquires(order))
			view_join(&self->now, &self->acquired);
		if (releases(order))
			self->released = self->now;
	}
	trace_access("fence", 0, 0, order, 0, pc);
}

void memory_barrier_in(struct thread *thread)
{
	uint32_t epoch = ++thread->now.happened.at[thread->id];

	thread->now.known.at[thread->id] = epoch;
	fence_seq_cst(thread);
}

uint32_t memory_look(uintptr_t address)
{
	return *(uint32_t *)address;
}
