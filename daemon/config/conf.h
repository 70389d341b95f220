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

#include "shm/config.h"
#include "shm/pages.h"
#include "shm/segment.h"

/* Who may. Empty: nobody is named. */
struct conf_access {
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

struct conf_segment {
	struct config shape;
	struct segment_permissions perms;	/* group (gid_t)-1: the daemon's own */
	bool allow_all;				/* no `allow`: whoever connects */
	struct conf_access allow;
	enum segment_open_mode open_mode;
	struct pages pages;
	unsigned int line;			/* where it stands in the file, from 1 */
};

struct conf {
	char *path;
	char *socket_path;			/* absolute */
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

/* A mistake or a warning. Lines and columns from 1; 0: about the whole file. */
struct conf_error {
	char *path;
	unsigned int line;
	unsigned int column;
	char *text;
	char *source;				/* the line, no newline; or NULL */
};

/* Called for each warning while loading; the error is the callee's only for the call. */
typedef void (*conf_warn_fn)(const struct conf_error *warning, void *userdata);

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

/* NULL is fine. */
void conf_free(struct conf *conf);

/*
 * path:line:column: text, the line, a caret, as compilers print it; no newline at the
 * end. Returns a malloc'ed string, or NULL.
 */
char *conf_error_format(const struct conf_error *error);
void conf_error_deinit(struct conf_error *error);

/* Bytes that an object of it takes, in whole pages; 0: no machine is that large. */
uint64_t conf_segment_bytes(const struct conf_segment *segment);

/* The group that its objects are given. */
gid_t conf_segment_group(const struct conf_segment *segment);

/* Whether a user with these groups is named. */
bool conf_access_allows(const struct conf_access *access, uid_t uid, const gid_t *groups,
			size_t n_groups);

#endif
