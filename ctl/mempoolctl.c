/* SPDX-License-Identifier: MIT */
/*
 * mempoolctl.c - the operator's program: the command line
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "build_config.h"
#include "command.h"
#include "daemon/config/yaml/value.h"
#include "mempool_layout.h"
#include "mempool_protocol.h"
#include "shm/fd.h"
#include "shm/sigbus.h"

static enum ctl_exit usage_error(void)
{
	fputs("Try 'mempoolctl --help'.\n", stderr);
	return CTL_USAGE;
}

/* Return: whether it is one. */
static bool read_interval(const char *text, uint64_t *ret_ns)
{
	char *end;
	double seconds = strtod(text, &end);

	/* As it stands, nan is refused, too. */
	if (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= 86400)) {
		ctl_error("--interval takes seconds, from 0.1 to 86400, and not '%s'", text);
		return false;
	}
	*ret_ns = (uint64_t)(seconds * 1e9);
	return true;
}

static bool read_count(const char *text, uint64_t *ret_count)
{
	char *end;

	errno = 0;
	*ret_count = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *ret_count == 0) {
		ctl_error("--count takes a number, from 1 on, and not '%s'", text);
		return false;
	}
	return true;
}

static bool read_pool(const char *text, uint32_t *ret_pool)
{
	char *end;
	unsigned long pool = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || pool >= MEMPOOL_MAX_DATA_POOLS) {
		ctl_error("--pool takes the number of a pool, from 0 on, and not '%s'", text);
		return false;
	}
	*ret_pool = (uint32_t)pool;
	return true;
}

static bool read_older(const char *text, uint64_t *ret_ns)
{
	const char *why;

	if (conf_value_duration(text, ret_ns, &why) < 0 || *ret_ns == 0) {
		ctl_error("--older takes a time, as in 500ms, 10s or 5min, and not '%s'", text);
		return false;
	}
	return true;
}

static bool read_from(const char *text, uint64_t *ret_ns)
{
	const char *why;

	if (conf_value_duration(text, ret_ns, &why) < 0) {
		ctl_error("--from takes a time, as in 500ms, 10s or 5min, and not '%s'", text);
		return false;
	}
	return true;
}

static bool read_speed(const char *text, double *ret_speed)
{
	char *end;

	if (strcmp(text, "max") == 0) {
		*ret_speed = 0;
		return true;
	}
	*ret_speed = strtod(text, &end);
	if (end == text || *end != '\0' || !(*ret_speed >= 1e-6 && *ret_speed <= 1e6)) {
		ctl_error("--speed takes a factor, from 0.000001 to 1000000, or max, and not '%s'",
			  text);
		return false;
	}
	return true;
}

static bool read_as(const char *text, enum content_as *ret_as)
{
	if (strcmp(text, "hex") == 0)
		*ret_as = CONTENT_AS_HEX;
	else if (strcmp(text, "text") == 0)
		*ret_as = CONTENT_AS_TEXT;
	else if (strcmp(text, "raw") == 0)
		*ret_as = CONTENT_AS_RAW;
	else {
		ctl_error("--as takes hex, text or raw, and not '%s'", text);
		return false;
	}
	return true;
}

static bool read_by(const char *text, enum ctl_by *ret_by)
{
	if (strcmp(text, "site") == 0)
		*ret_by = CTL_BY_SITE;
	else if (strcmp(text, "holder") == 0)
		*ret_by = CTL_BY_HOLDER;
	else {
		ctl_error("--by takes site or holder, and not '%s'", text);
		return false;
	}
	return true;
}

/* Return: false wrong usage, which was said. *ret_given: the bits of what was there. */
static bool read_options(int argc, char **argv, struct ctl_options *options,
			 unsigned int *ret_given)
{
	struct option longs[N_OPTIONS + 1];
	int c;

	options_for_getopt(longs);
	while ((c = getopt_long(argc, argv, OPTION_LETTERS, longs, NULL)) >= 0) {
		enum option_bit bit = c == 'n' ? OPTION_INTERVAL :
						 (enum option_bit)(c - OPTION_VALUE(0));

		if (c == '?')
			return false;
		*ret_given |= bit;
		switch (bit) {
		case OPTION_INTERVAL:
			if (!read_interval(optarg, &options->interval_ns))
				return false;
			break;
		case OPTION_COUNT:
			if (!read_count(optarg, &options->count))
				return false;
			break;
		case OPTION_BY:
			if (!read_by(optarg, &options->by))
				return false;
			break;
		case OPTION_OLDER:
			if (!read_older(optarg, &options->older_ns))
				return false;
			break;
		case OPTION_POOL:
			if (!read_pool(optarg, &options->pool))
				return false;
			options->has_pool = true;
			break;
		case OPTION_AS:
			if (!read_as(optarg, &options->as))
				return false;
			break;
		case OPTION_SPEED:
			if (!read_speed(optarg, &options->speed))
				return false;
			break;
		case OPTION_FROM:
			if (!read_from(optarg, &options->from_ns))
				return false;
			break;
		case OPTION_SUGGEST:
			options->suggest = true;
			break;
		case OPTION_DISCARD:
			options->discard = true;
			break;
		case OPTION_DRY_RUN:
			options->dry_run = true;
			break;
		case OPTION_FORCE:
			options->force = true;
			break;
		case OPTION_YES:
			options->yes = true;
			break;
		case OPTION_JSON:
			options->json = true;
			break;
		case OPTION_LISTEN:
			options->listen = optarg;
			break;
		case OPTION_SEGMENT:
			options->segment = optarg;
			break;
		case OPTION_SHM:
			options->shm_name = optarg;
			break;
		case OPTION_SOCKET:
			options->socket_path = optarg;
			break;
		case OPTION_VERSION:
		case OPTION_HELP:
			break;
		}
	}
	return true;
}

static enum ctl_exit run(char **words, unsigned int given, struct ctl_options *options)
{
	const struct command *command;
	int r;

	if (given & OPTION_VERSION) {
		puts("mempoolctl " MEMPOOL_VERSION);
		return CTL_OK;
	}
	if (!words[0]) {
		help_print(given & OPTION_HELP ? stdout : stderr);
		return given & OPTION_HELP ? CTL_OK : CTL_USAGE;
	}
	command = command_find(words, &options->arguments);
	if (!command) {
		ctl_error("no command '%s'", words[0]);
		return usage_error();
	}
	if (given & OPTION_HELP) {
		help_print_command(command);
		return CTL_OK;
	}
	if (!command_check(command, given, options->arguments))
		return usage_error();

	r = sigbus_init();
	if (r < 0) {
		ctl_error("SIGBUS: %s", strerror(-r));
		return CTL_FAILED;
	}
	return command->run(options);
}

/* One descriptor for each generation that the daemon names; nothing here goes through a bitmap of
 * them, as select(2) does. */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* A full disk or a closed pipe is a failure too. */
static enum ctl_exit flush(enum ctl_exit status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	ctl_error("standard output: %s", strerror(errno));
	return CTL_FAILED;
}

int main(int argc, char **argv)
{
	const char *from_environment = getenv("MEMPOOL_SOCKET");
	struct ctl_options options = {
		.socket_path = from_environment && *from_environment ? from_environment :
								       MEMPOOL_DEFAULT_SOCKET,
		.interval_ns = 1000000000,
		.speed = 1,
		.listen = CTL_DEFAULT_LISTEN,
	};
	unsigned int given = 0;

	if (fd_fill_stdio() < 0)
		return CTL_FAILED;
	allow_files();
	setlocale(LC_CTYPE, "");
	if (!read_options(argc, argv, &options, &given))
		return (int)usage_error();
	return (int)flush(run(argv + optind, given, &options));
}
