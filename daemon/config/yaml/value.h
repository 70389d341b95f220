/* SPDX-License-Identifier: MIT */
/*
 * value.h - what one scalar of the config means: sizes, times, modes, users
 *
 * Each function reads a whole string. Return: 0; -EINVAL, and *reterr_text says what is
 * wrong with it, for a person, as in "chunk_size '1KB': write KiB, MiB or GiB". The texts
 * are constants.
 */
#ifndef DAEMON_CONFIG_YAML_VALUE_H
#define DAEMON_CONFIG_YAML_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Digits. No sign, no fraction, no leading zero (YAML 1.1 would read that as octal). */
int conf_value_count(const char *value, uint64_t *ret_count, const char **reterr_text);

/* Bytes, or a number with KiB, MiB or GiB right behind it. */
int conf_value_size(const char *value, uint64_t *ret_bytes, const char **reterr_text);

/* A number with ns, us, ms, s, min or h right behind it. */
int conf_value_duration(const char *value, uint64_t *ret_ns, const char **reterr_text);

/* Permission bits in octal: 0660, 660 or 0o660. */
int conf_value_mode(const char *value, mode_t *ret_mode, const char **reterr_text);

/* true or false, as written. */
int conf_value_bool(const char *value, bool *ret_bool, const char **reterr_text);

/*
 * By name or by number; a number need not be known to the system. Asks the name service,
 * so may block. Also -ENOMEM, and then no text.
 */
int conf_value_user(const char *value, uid_t *ret_uid, const char **reterr_text);
int conf_value_group(const char *value, gid_t *ret_gid, const char **reterr_text);

/*
 * Which of the known words (up to NULL) somebody who typed @word may have meant: one that
 * differs in a third of its letters at most, or has @word in it. NULL: none.
 */
const char *conf_value_nearest(const char *word, const char *const *known);

#endif
