/* SPDX-License-Identifier: MIT */
/*
 * house.h - the state folder: where a daemon keeps what the next one has to know
 *
 *	FOLDER/mempoold.lock		locked for the life of the daemon that the folder is of
 *	FOLDER/NAME.GENERATION.state	see state.h
 *
 * What stands in the folder is believed, so nobody else may write there. Its path, with the
 * user and the config's `house`, makes the HOUSE that is part of the name of each object: by
 * it a daemon knows its own objects, and leaves those of others alone.
 */
#ifndef DAEMON_SEGMENTS_HOUSE_H
#define DAEMON_SEGMENTS_HOUSE_H

#include <stdint.h>

#include "daemon/config/conf.h"
#include "daemon/segments/state.h"

#define HOUSE_ID_BYTES 17		/* 16 hexadecimal digits */

struct house {
	char *path;
	int folder;			/* its descriptor */
	int lock;
	char key[MEMPOOL_NAME_BYTES];	/* `house` of the config */
	char id[HOUSE_ID_BYTES];
};
#define HOUSE_NULL ((struct house){ .folder = -1, .lock = -1 })

/**
 * house_open() - be the one daemon of a state folder
 * @socket_path: of the command line, or NULL
 *
 * The folder is `state_dir` of the config, which is made if it is not there; else
 * $RUNTIME_DIRECTORY; else the folder of the socket.
 *
 * What a daemon before us had not made whole is removed.
 *
 * Logs why not. Return: 0; -EBUSY another daemon has it; -EPERM others may write there; -errno.
 */
int house_open(struct house *house, const struct conf *conf, const char *socket_path);
void house_close(struct house *house);

/* Remove the lock's name, too, if no state is left beside it. */
void house_clear(struct house *house);

/* A generation that has a state file. */
struct house_entry {
	char segment_name[MEMPOOL_NAME_BYTES];
	uint64_t generation;
	char file_name[STATE_FILE_BYTES];
};

/**
 * house_scan() - the state files of a segment, the newest first
 * @segment_name: NULL: of all segments
 * @ret_entries:  the caller frees it
 *
 * Return: how many, or -errno.
 */
int64_t house_scan(const struct house *house, const char *segment_name,
		   struct house_entry **ret_entries);

struct house_name {
	char name[MEMPOOL_NAME_BYTES];
};

/**
 * house_names() - the segments that have state files there, each once
 * @ret_names: the caller frees it
 *
 * Return: how many, or -errno.
 */
int64_t house_names(const struct house *house, struct house_name **ret_names);

#endif
