/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what the targets share: reading an input, and saying that something is wrong
 *
 * A target is a file fuzz-NAME.c with the one function that libFuzzer calls. The same
 * object linked to replay.c is an ordinary test that reads files; see README.md.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. The sanitizers print where we were. */
#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* Bytes that are used up from the front; past the end all is 0. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* One of these bytes becomes another: first it is said which one, then what it becomes. */
static inline void fuzz_change(struct fuzz_input *input, void *bytes, size_t size)
{
	size_t at = fuzz_u8(input) % size;

	((uint8_t *)bytes)[at] = fuzz_u8(input);
}

static inline uint16_t fuzz_u16(struct fuzz_input *input)
{
	uint16_t low = fuzz_u8(input);

	return (uint16_t)(low | fuzz_u8(input) << 8);
}

static inline uint32_t fuzz_u32(struct fuzz_input *input)
{
	uint32_t low = fuzz_u16(input);

	return low | (uint32_t)fuzz_u16(input) << 16;
}

static inline uint64_t fuzz_u64(struct fuzz_input *input)
{
	uint64_t low = fuzz_u32(input);

	return low | (uint64_t)fuzz_u32(input) << 32;
}

#endif
