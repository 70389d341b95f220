/* SPDX-License-Identifier: MIT */
/*
 * checksum.c - see checksum.h
 */
#include "checksum.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#define POLYNOMIAL_REFLECTED UINT32_C(0x82f63b78)
#define N_LANES 4
#define BLOCK_BYTES (N_LANES * sizeof(uint64_t))

typedef uint32_t (*step_fn)(uint32_t crc, uint64_t word);

/* tables[k][byte]: what a byte does that k more bytes follow in its word. */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL_REFLECTED : crc >> 1;
		tables[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 0xff];
}

static uint32_t step_by_table(uint32_t crc, uint64_t word)
{
	uint32_t sum = 0;

	word ^= crc;
	for (int k = 7; k >= 0; k--, word >>= 8)
		sum ^= tables[k][word & 0xff];
	return sum;
}

/* Into its callers, so that a step is in the loop and no call. */
static inline __attribute__((always_inline)) void
add_block(uint32_t *lanes, const unsigned char *block, step_fn step)
{
	uint64_t words[N_LANES];

	memcpy(words, block, sizeof(words));
	for (int i = 0; i < N_LANES; i++)
		lanes[i] = step(lanes[i], le64toh(words[i]));
}

static inline __attribute__((always_inline)) uint32_t
sum_of(const unsigned char *bytes, size_t n, step_fn step)
{
	uint32_t lanes[N_LANES] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	unsigned char last[BLOCK_BYTES] = { 0 };
	uint32_t crc;

	for (; n >= BLOCK_BYTES; n -= BLOCK_BYTES, bytes += BLOCK_BYTES)
		add_block(lanes, bytes, step);
	if (n > 0) {
		memcpy(last, bytes, n);
		add_block(lanes, last, step);
	}
	crc = step(UINT32_MAX, lanes[0] | (uint64_t)lanes[1] << 32);
	return step(crc, lanes[2] | (uint64_t)lanes[3] << 32);
}

uint32_t checksum_by_table(const void *bytes, size_t n)
{
	pthread_once(&tables_once, make_tables);
	return sum_of(bytes, n, step_by_table);
}

#ifdef __x86_64__
static inline __attribute__((target("sse4.2"))) uint32_t step_by_instruction(uint32_t crc,
									     uint64_t word)
{
	return (uint32_t)__builtin_ia32_crc32di(crc, word);
}

static __attribute__((target("sse4.2"))) uint32_t by_instruction(const void *bytes, size_t n)
{
	return sum_of(bytes, n, step_by_instruction);
}

uint32_t checksum(const void *bytes, size_t n)
{
	return __builtin_cpu_supports("sse4.2") ? by_instruction(bytes, n)
						: checksum_by_table(bytes, n);
}
#else
uint32_t checksum(const void *bytes, size_t n)
{
	return checksum_by_table(bytes, n);
}
#endif
