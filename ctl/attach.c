/* SPDX-License-Identifier: MIT */
/*
 * attach.c - see attach.h
 */
#include "attach.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define NAP_FIRST_NS 50000
#define NAP_LONGEST_NS 1000000

bool attach_is_named(const struct ctl_options *options, const char *name)
{
	char **names = options->arguments + 1;

	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* Set by a signal handler: volatile sig_atomic_t is what C has for that. */
static volatile sig_atomic_t is_stopped;

static void stop(int signal_number)
{
	(void)signal_number;
	is_stopped = 1;
}

void attach_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = stop };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

bool attach_is_stopped(void)
{
	return is_stopped;
}

enum ctl_exit attach(const struct ctl_options *options, const char *name, uint64_t flags,
		     struct mempool_client **ret_client)
{
	const struct mempool_client_options client_options = {
		.size = sizeof(client_options),
		.socket_path = options->socket_path,
		.segment = options->segment,
		.name = name,
		.timeout_ns = 0,
		.flags = flags,
	};
	const char *why;
	int r = mempool_client_open(&client_options, ret_client);

	if (r == 0)
		return CTL_OK;
	why = mempool_client_error();
	if (r == -ENOTCONN)
		return ctl_explain(options->socket_path, r, "");
	ctl_error("%s: %s", options->socket_path, why[0] ? why : mempool_strerror(r));
	return CTL_FAILED;
}

void nap_reset(struct nap *nap)
{
	nap->ns = 0;
}

void nap_take(struct nap *nap)
{
	struct timespec span = { 0 };

	nap->ns = nap->ns == 0 ? NAP_FIRST_NS : nap->ns * 2;
	if (nap->ns > NAP_LONGEST_NS)
		nap->ns = NAP_LONGEST_NS;
	span.tv_nsec = nap->ns;
	/* A signal ends it early: the caller looks anyway. */
	clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}
