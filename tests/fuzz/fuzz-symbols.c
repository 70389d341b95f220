/* SPDX-License-Identifier: MIT */
/*
 * fuzz-symbols.c - a file that a member of a segment has named as its program
 *
 * Whatever it is, its functions are read or it is an error; what is found lies in what was read.
 *
 * input: the offset that is looked for (8 bytes), then the file
 */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl/symbols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	/* As the corpus has it. */
	struct trace_module module = { .build_id_bytes = 4, .build_id = "wxyz" };
	uint64_t offset = fuzz_u64(&input), distance = 0;
	struct symbols *symbols = NULL;
	const char *name;
	int fd = memfd_create("fuzz-symbols", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, input.data, input.size) == (ssize_t)input.size);
	if (symbols_read(fd, &module, &symbols) == 0) {
		name = symbols_find(symbols, offset, &distance);
		/* It ends in what was read, and the distance is from something before it. */
		FUZZ_CHECK(!name || (strlen(name) < input.size && distance <= offset));
	}
	symbols_free(symbols);
	close(fd);
	return 0;
}
