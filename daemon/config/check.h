/* SPDX-License-Identifier: MIT */
/*
 * check.h - mempoold --check-config and mempoolctl check-config: one check, one output
 */
#ifndef DAEMON_CONFIG_CHECK_H
#define DAEMON_CONFIG_CHECK_H

/**
 * conf_check() - whether a config file can be used, and what it makes
 *
 * Prints the summary to standard output; mistakes and warnings are logged, see log.h.
 *
 * Return: the exit status: 0; EX_CONFIG it cannot be used; EXIT_FAILURE out of memory.
 */
int conf_check(const char *path);

#endif
