/* SPDX-License-Identifier: MIT */
/*
 * passed.h - text that the daemon passes as a file
 *
 * It is trusted no more than other answers: it must be a plain file of a sensible size, and what
 * is not printable ASCII is not shown.
 */
#ifndef CTL_PASSED_H
#define CTL_PASSED_H

/* Return: 0 and the text, which the caller frees; -EPROTO it is no such file; -ENOMEM; -errno. */
int passed_read(int fd, char **ret_text);

#endif
