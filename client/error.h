/* SPDX-License-Identifier: MIT */
/*
 * error.h - why opening a client failed, in words; of each thread the last time
 */
#ifndef CLIENT_ERROR_H
#define CLIENT_ERROR_H

#include <stddef.h>

/* Before a try: no reason. */
void error_clear(void);

/* The reason, as we know it. */
void error_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The reason, as the daemon says it; it may hold anything. @size: of its field. */
void error_take(const char *reason, size_t size);

/*
 * After a try that failed: where there is no reason yet, what the code means. @socket_path: NULL, or
 * where there is no daemon; that is then the reason, whatever an earlier try has heard.
 */
void error_explain(int error, const char *socket_path);

/* What was said last. */
const char *error_reason(void);

#endif
