/* SPDX-License-Identifier: MIT */
/*
 * dump.h - a conf as a text, of which conf_load() makes the same conf
 *
 * Every key is there, those that were left out of the file too; users and groups are numbers.
 */
#ifndef DAEMON_CONFIG_DUMP_H
#define DAEMON_CONFIG_DUMP_H

#include <stdbool.h>

#include "daemon/config/conf.h"

/* Into a file, as YAML, or as JSON. Printable ASCII. Return: 0; -ENOMEM, -EIO. */
int conf_dump(const struct conf *conf, bool as_json, int fd);

#endif
