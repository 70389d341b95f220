/* SPDX-License-Identifier: MIT */
/*
 * conf.h - the daemon's settings: what /etc/mempool.yaml says, checked and resolved
 *
 * Users and groups are resolved to ids here, once, so that no name service is asked while
 * clients wait. A file that fails leaves nothing behind but a struct conf_error.
 */
#ifndef DAEMON_CONFIG_CONF_H
#define DAEMON_CONFIG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config/access.h"
#include "daemon/config/segment.h"
#include "daemon/config/yaml/error.h"

struct conf {
	char *path;
	char *socket_path;			/* absolute */
	char *state_dir;			/* absolute; NULL: house_open() finds one */
	char house[MEMPOOL_NAME_BYTES];		/* "": none is named */
	mode_t socket_mode;
	gid_t socket_group;			/* (gid_t)-1: the daemon's own */
	uint32_t max_clients;			/* limits: clients */
	uint32_t max_clients_per_user;
	uint64_t hello_timeout_ns;
	struct conf_access admin;
	int log_level;				/* for syslog(3), LOG_ERR to LOG_DEBUG */
	size_t n_segments;
	struct conf_segment *segments;
};

/* All defaults, and no segments. NULL: no memory. */
struct conf *conf_new(const char *path);

/**
 * conf_load() - read a config file
 * @path: a regular file, so that it can be read again
 * @warn: NULL, or called for what is legal but probably not meant
 *
 * Return: 0; -errno from reading the file; -EINVAL a mistake in it; -ENOMEM. On error
 *         *reterr_error is filled (conf_error_deinit() frees its members) and *ret_conf
 *         untouched.
 */
int conf_load(const char *path, conf_warn_fn warn, void *userdata, struct conf **ret_conf,
	      struct conf_error *reterr_error);

/* For who only looks at it: a pipe will do, as of /dev/stdin or <(...), until its end. */
int conf_load_once(const char *path, conf_warn_fn warn, void *userdata, struct conf **ret_conf,
		   struct conf_error *reterr_error);

/**
 * conf_load_memory() - conf_load() of a text that has been read already
 * @name: what errors call it, and the path of *ret_conf
 * @data: @size bytes, no closing NUL needed; not kept
 */
int conf_load_memory(const char *name, const char *data, size_t size, conf_warn_fn warn,
		     void *userdata, struct conf **ret_conf,
		     struct conf_error *reterr_error);

/*
 * Which of the known words (up to NULL) somebody who wrote @word may have meant. NULL: none.
 */
const char *conf_nearest(const char *word, const char *const *known);

/* NULL is fine. */
void conf_free(struct conf *conf);

/* What is wrong with a config, with the line that it is in, to the log. */
void conf_log_error(int priority, const struct conf_error *error);
void conf_log_warning(const struct conf_error *warning, void *userdata);

#endif
