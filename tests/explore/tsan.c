/* SPDX-License-Identifier: MIT */
/*
 * tsan.c - what the compiler calls at each access, in the place of libtsan
 *
 * gcc -fsanitize=thread puts a call before each plain access, and makes a call of each atomic one.
 * The names and arguments are those of LLVM's runtime (compiler-rt/lib/tsan/rtl).
 */
#include <stdatomic.h>
#include <string.h>

#include "engine.h"

#define PC __builtin_return_address(0)
#define AT(address) ((uintptr_t)(address))

static void plain(const volatile void *address, size_t bytes, bool is_write, void *pc)
{
	if (exploring && memory_place(AT(address)) != 0)
		memory_plain(AT(address), bytes, is_write, pc);
}

#define PLAIN(bytes)                                                                               \
	void __tsan_read##bytes(void *address);                                                    \
	void __tsan_write##bytes(void *address);                                                   \
	void __tsan_unaligned_read##bytes(void *address);                                          \
	void __tsan_unaligned_write##bytes(void *address);                                         \
	void __tsan_read##bytes(void *address)                                                     \
	{                                                                                          \
		plain(address, bytes, false, PC);                                                  \
	}                                                                                          \
	void __tsan_write##bytes(void *address)                                                    \
	{                                                                                          \
		plain(address, bytes, true, PC);                                                   \
	}                                                                                          \
	void __tsan_unaligned_read##bytes(void *address)                                           \
	{                                                                                          \
		plain(address, bytes, false, PC);                                                  \
	}                                                                                          \
	void __tsan_unaligned_write##bytes(void *address)                                          \
	{                                                                                          \
		plain(address, bytes, true, PC);                                                   \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void);
void __tsan_read_range(void *address, size_t bytes);
void __tsan_write_range(void *address, size_t bytes);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *address, size_t bytes)
{
	plain(address, bytes, false, PC);
}

void __tsan_write_range(void *address, size_t bytes)
{
	plain(address, bytes, true, PC);
}

void __tsan_atomic_thread_fence(int order)
{
	if (exploring)
		memory_fence(order, PC);
}

/* The compiler has obeyed it. */
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* Nobody else sees it, or nobody else runs: memory is memory. */
static bool is_ours(const volatile void *address)
{
	return !exploring || memory_place(AT(address)) == 0;
}

#define RMW(bits, name, rmw, result)                                                               \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *address,              \
						    uint##bits##_t operand, int order);            \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *address,              \
						    uint##bits##_t operand, int order)             \
	{                                                                                          \
		uint##bits##_t seen;                                                               \
                                                                                                   \
		if (!is_ours(address))                                                             \
			return (uint##bits##_t)memory_rmw(AT(address), bits / 8, rmw, operand,     \
							  order, PC);                              \
		seen = *address;                                                                   \
		*address = (uint##bits##_t)(result);                                               \
		return seen;                                                                       \
	}

#define CAS(bits, name, weak)                                                                      \
	int __tsan_atomic##bits##_compare_exchange_##name(                                         \
		volatile uint##bits##_t *address, uint##bits##_t *expected, uint##bits##_t value,  \
		int order, int failure);                                                           \
	int __tsan_atomic##bits##_compare_exchange_##name(                                         \
		volatile uint##bits##_t *address, uint##bits##_t *expected, uint##bits##_t value,  \
		int order, int failure)                                                            \
	{                                                                                          \
		uint64_t seen = *expected;                                                         \
		bool is_done;                                                                      \
                                                                                                   \
		if (is_ours(address)) {                                                            \
			is_done = *address == *expected;                                           \
			if (is_done)                                                               \
				*address = value;                                                  \
			else                                                                       \
				*expected = *address;                                              \
			return is_done;                                                            \
		}                                                                                  \
		is_done = memory_cas(AT(address), bits / 8, &seen, value, weak, order, failure,    \
				     PC);                                                          \
		if (!is_done)                                                                      \
			*expected = (uint##bits##_t)seen;                                          \
		return is_done;                                                                    \
	}

#define ATOMIC(bits)                                                                               \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *address,          \
						  int order);                                      \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *address, uint##bits##_t value,   \
					 int order);                                               \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *address,          \
						  int order)                                       \
	{                                                                                          \
		if (is_ours(address))                                                              \
			return *address;                                                           \
		return (uint##bits##_t)memory_load(AT(address), bits / 8, order, PC);              \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *address, uint##bits##_t value,   \
					 int order)                                                \
	{                                                                                          \
		if (is_ours(address))                                                              \
			*address = value;                                                          \
		else                                                                               \
			memory_store(AT(address), bits / 8, value, order, PC);                     \
	}                                                                                          \
	RMW(bits, exchange, RMW_EXCHANGE, operand)                                                 \
	RMW(bits, fetch_add, RMW_ADD, seen + operand)                                              \
	RMW(bits, fetch_sub, RMW_SUB, seen - operand)                                              \
	RMW(bits, fetch_and, RMW_AND, seen & operand)                                              \
	RMW(bits, fetch_or, RMW_OR, seen | operand)                                                \
	RMW(bits, fetch_xor, RMW_XOR, seen ^ operand)                                              \
	RMW(bits, fetch_nand, RMW_NAND, ~(seen & operand))                                         \
	CAS(bits, strong, false)                                                                   \
	CAS(bits, weak, true)
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
