/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - a real mempoold for one test: its own folder, socket, config and segment
 *
 * Everything has the test's pid in its name, so that tests run side by side, and is removed
 * at the end, also when the test fails. The daemon dies with the test.
 *
 * Helpers fail the test (ck_abort_msg) rather than return what no test could go on with.
 */
#ifndef TESTS_LIVE_FIXTURE_H
#define TESTS_LIVE_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mempool_protocol.h"
#include "shm/segment.h"

struct fixture {
	pid_t pid;			/* of the daemon; 0: not running */
	char folder[64];
	char socket_path[96];
	char config_path[96];
	char log_path[96];
	char notify_path[96];
	char segment[32];		/* a name that is ours alone */
	void (*in_child)(void *userdata); /* before the daemon's exec; may be NULL */
	void *userdata;
	pid_t janitor;			/* cleans up behind a test that failed */
	int janitor_pipe;
};

/* Folder and names, and a config with one segment of three small pools. */
void fixture_init(struct fixture *fixture);

/* Stop, and remove everything. */
void fixture_deinit(struct fixture *fixture);

/* Another config. top: more keys, each with its newline. segment: more keys of the segment,
 * "    key: value\n" each; NULL: the three pools. */
void fixture_configure(const struct fixture *fixture, const char *top, const char *segment);
extern const char fixture_pools[];

/* Start it, and wait until it answers. */
void fixture_start(struct fixture *fixture);

/* Start it without waiting. */
void fixture_spawn(struct fixture *fixture);

/* Wait for its end. Return: as waitpid(2) has it. */
int fixture_wait(struct fixture *fixture);

/* TERM, and it must end with status 0. */
void fixture_stop(struct fixture *fixture);

/* KILL. */
void fixture_kill(struct fixture *fixture);

/* Run it with these arguments (the last one NULL) to its end. Return: its exit status. */
int fixture_run(struct fixture *fixture, const char *const *arguments);

/* As a daemon that does not start, and with --remove. */
int fixture_run_daemon(struct fixture *fixture);
int fixture_run_remove(struct fixture *fixture);

/* Whether what it has said since fixture_init() holds the text. Its lines are written by a
 * thread: waits until none of its threads runs. */
bool fixture_log_has(const struct fixture *fixture, const char *text);

/*
 * Be its service manager: before the start, a socket where it says what it does; then wait
 * for a notification with that text, and pass over those before it.
 */
int fixture_listen(struct fixture *fixture);
void fixture_expect_notification(int fd, const char *text);

/*
 * How many generations of the segment have objects in /dev/shm; those of one, control and data,
 * whatever their names.
 */
unsigned int fixture_count_objects(const struct fixture *fixture);
bool fixture_object_exists(const struct fixture *fixture, uint64_t generation);
void fixture_object_path(const struct fixture *fixture, uint64_t generation,
			 char ret_path[static 96]);
void fixture_data_path(const struct fixture *fixture, uint64_t generation,
		       char ret_path[static 96]);

/* The state file of a generation. */
void fixture_state_path(const struct fixture *fixture, uint64_t generation,
			char ret_path[static 192]);

/* ---- the wire ---- */

union wire_answer {
	struct mempool_msg msg;
	struct mempool_msg_welcome welcome;
	struct mempool_msg_refused refused;
	struct mempool_msg_segment segment;
	struct mempool_msg_reloaded reloaded;
	unsigned char bytes[MEMPOOL_MSG_MAX_BYTES];
};

int wire_connect(const struct fixture *fixture);
struct mempool_msg wire_msg(enum mempool_message_type type, size_t size);
struct mempool_msg_hello wire_hello(const struct fixture *fixture, uint64_t nonce);
void wire_send(int fd, const void *message, size_t size);

/* Return: bytes; 0 the daemon hung up; -ETIMEDOUT nothing within 5 s (control.h); -errno. */
ssize_t wire_receive(int fd, union wire_answer *ret_answer);

/* The next answer must be that. Refused: the daemon must have hung up behind it. */
void wire_expect_welcome(int fd, struct mempool_msg_welcome *ret_welcome);
void wire_expect_refused(int fd, int error, const char *text);
void wire_expect_reloaded(int fd, struct mempool_msg_reloaded *ret_reloaded);

/* Connect, say hello, be welcome. Return: the connection. */
int wire_attach(const struct fixture *fixture, uint64_t nonce,
		struct mempool_msg_welcome *ret_welcome);

/* Ask for a reload, and wait for its result. */
void wire_reload(const struct fixture *fixture, struct mempool_msg_reloaded *ret_reloaded);

/* Map what the welcome names. */
struct segment *wire_map(const struct mempool_msg_welcome *welcome);
struct segment *wire_map_from(const struct mempool_msg_welcome *welcome, const char *data_folder);

/* Say bye on a connection, wait until the daemon hung up, and close it. */
void wire_bye(int fd);

/* ---- its threads ---- */

/*
 * Between watch and unwatch each new thread of the daemon is held at its birth, so that what it
 * has to do takes as long as the test likes. hold waits for the next one; it stays held until it
 * is let go. Not with the thread sanitizer, in which pthread_create() waits for the new thread.
 */
void fixture_watch_threads(const struct fixture *fixture);
void fixture_unwatch_threads(const struct fixture *fixture);
pid_t fixture_hold_thread(const struct fixture *fixture);
void fixture_let_go(pid_t thread);

/* ---- other processes ---- */

/* A child that attaches, claims so many chunks of pool 0, and stays until it is killed. */
struct victim {
	pid_t pid;
	int pipe;
	struct mempool_msg_welcome welcome;
};
void victim_start(struct victim *victim, const struct fixture *fixture, uint32_t n_chunks);
void victim_kill(struct victim *victim);

/* Until the condition holds; fails the test after so long. Return: milliseconds it took. Both
 * as a control beside it counts them, see control.h. */
double wait_until(bool (*condition)(void *userdata), void *userdata, int timeout_ms);
double clock_ms(void);

/* A condition: so many chunks of pool 0 are used, or fewer. */
struct fixture_used {
	struct segment *segment;
	uint32_t n;
};
bool fixture_no_longer_used(void *userdata);

/*
 * A mount namespace of our own, and what other namespaces of clone(2) @flags asks for; what is
 * mounted in it is seen nowhere else. Return: 0; -errno.
 */
int fixture_own_mounts(int flags);

/* Print why, and leave the test program with 77 if this is the only reason to run it. */
bool skip_unless_root(const char *why);

/* Whether that is what we are built with; print why the rest is left out. */
bool skip_with_thread_sanitizer(const char *why);

#endif
