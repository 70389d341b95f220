/* SPDX-License-Identifier: MIT */
/*
 * check.h - mempoold --check-config and mempoolctl check-config: one check, one output
 */
#ifndef DAEMON_CONFIG_CHECK_H
#define DAEMON_CONFIG_CHECK_H

/**
 * conf_check() - whether a config file can be used, and what it makes
 *
 * @root: where /proc and /sys are, see machine.h
 *
 * Prints the summary to standard output; mistakes and warnings are logged, see log.h. So are
 * limits of this process that would not let a mempoold have what it makes.
 *
 * Return: the exit status: 0; EX_CONFIG it cannot be used; EXIT_FAILURE out of memory.
 */
int conf_check(const char *path, const char *root);

#endif
