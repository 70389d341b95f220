/* SPDX-License-Identifier: MIT */
/*
 * files.h - descriptors: what the daemon has of them, and who waits for them
 */
#ifndef TESTS_EXPLORE_FILES_H
#define TESTS_EXPLORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mempool_protocol.h"

void files_init(void);

/* Whether poll(2) says so, of a set too. */
bool files_is_readable(int fd);

/* When the first timer of a set comes; INT64_MAX: none does. */
int64_t files_next_due(int fd);
void files_time_has_come(void);
void files_close(int fd);

/* What a client has said. */
struct files_message {
	uint32_t process;
	int socket;
	union {
		struct mempool_msg msg;
		struct mempool_msg_hello hello;
		struct mempool_msg_peer_fd peer_fd;
	} text;
};

bool files_has_message(void);
struct files_message files_take_message(void);
void files_answer(int socket, const void *message, size_t bytes, int passed);

/* Of the process that runs. */
int files_make_socket(void);
int files_make_timer(void);

/* The daemon is gone. */
void files_hang_up(void);

#endif
