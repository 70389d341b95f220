/* SPDX-License-Identifier: MIT */
/*
 * symbols.h - the functions of a program or library, by the symbols of its file
 *
 * Which file that is, a member of the segment has said, and mempoolctl may be root's: so it is opened
 * as if an enemy had named it, and read as if he had written it. Whatever is no regular file is not
 * even opened; nothing is mapped, and nothing is run or looked for elsewhere but in
 * /usr/lib/debug/.build-id. A file counts only with the build id that the trace has.
 *
 * (libdw would tell lines, too; it was not made for files of an enemy. addr2line(1) takes what is
 * printed, and is the user's to start.)
 */
#ifndef CTL_SYMBOLS_H
#define CTL_SYMBOLS_H

#include <stdint.h>

#include "shm/trace.h"

struct symbols;

/**
 * symbols_open() - read the functions of a module
 *
 * Return: 0, and symbols_free() frees it;
 *	-EINVAL		it has no build id, or no path from the root: no file could be told from another
 *	-ESTALE		the file there is of another build
 *	-EBADF		no regular file, or on a file system that others serve (FUSE), or the kernel
 *	-EBADMSG	no ELF file of this machine's kind, or damaged
 *	-ENODATA	it has no symbols
 *	-ENOMEM, -errno of open(2)
 */
int symbols_open(const struct trace_module *module, struct symbols **ret_symbols);
void symbols_free(struct symbols *symbols);

/* The same of a file that is open; any bytes do. */
int symbols_read(int fd, const struct trace_module *module, struct symbols **ret_symbols);

/**
 * symbols_find() - the function around an address of the module
 * @ret_distance: from its beginning
 *
 * Return: its name, any bytes closed by a NUL; NULL: none is known.
 */
const char *symbols_find(const struct symbols *symbols, uint64_t offset, uint64_t *ret_distance);

#endif
