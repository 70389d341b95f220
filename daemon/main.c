/* SPDX-License-Identifier: MIT */
/*
 * main.c - mempoold's command line
 *
 * One mode a run: serve (the default), --check-config, --remove. It always stays in the
 * foreground, as service managers want it.
 *
 * Exit status: 0; EX_USAGE 64; EX_CONFIG 78 for a config that cannot be used, which the
 * unit does not restart; 1 for everything else.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "build_config.h"
#include "daemon/base/handed.h"
#include "daemon/base/log.h"
#include "daemon/config/check.h"
#include "daemon/config/conf.h"
#include "daemon/last.h"
#include "daemon/segments/keep.h"
#include "daemon/segments/place.h"
#include "daemon/segments/remove.h"
#include "daemon/server.h"
#include "shm/fd.h"
#include "shm/segment.h"
#include "shm/sigbus.h"

#define CONF_ERROR_BYTES 256

enum mode {
	MODE_SERVE,
	MODE_CHECK,
	MODE_REMOVE,
};

struct options {
	const char *config_path;
	const char *socket_path;	/* NULL: as configured */
	enum mode mode;
	bool foreground;
};

static void print_help(void)
{
	puts("usage: mempoold [OPTION...]\n"
	     "Lay out shared-memory pools and let clients attach to them.\n"
	     "\n"
	     "  -c, --config FILE    read this config (default " MEMPOOL_SYSCONFDIR_FILE ")\n"
	     "  -C, --check-config   check the config, print what it makes, and exit\n"
	     "  -s, --socket PATH    listen here instead of where the config says\n"
	     "  -f, --foreground     log plainly to stderr, without priorities for the journal\n"
	     "      --remove         unlink the config's segments that nobody uses, and exit\n"
	     "  -V, --version        print the version and exit\n"
	     "  -h, --help           print this and exit\n"
	     "\n"
	     "Exit status: 0, 64 wrong usage, 78 wrong config, 1 everything else.");
}

/* Return: -1 go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	enum { OPTION_REMOVE = 256 };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "socket", required_argument, NULL, 's' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "remove", no_argument, NULL, OPTION_REMOVE },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:Cs:fVh", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'C':
			options->mode = MODE_CHECK;
			break;
		case 's':
			options->socket_path = optarg;
			break;
		case 'f':
			options->foreground = true;
			break;
		case OPTION_REMOVE:
			options->mode = MODE_REMOVE;
			break;
		case 'V':
			puts("mempoold " MEMPOOL_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_help();
			return EXIT_SUCCESS;
		default:
			fputs("Try 'mempoold --help'.\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "mempoold: unexpected argument '%s'\nTry 'mempoold --help'.\n",
			argv[optind]);
		return EX_USAGE;
	}
	return -1;
}

/* Return: the exit status. */
static int serve(const struct options *options, struct conf *conf, const char *conf_error)
{
	log_set_level(conf->log_level);
	log_info("mempoold " MEMPOOL_VERSION " starts with %s",
		 conf_error ? "the segments that there are" : conf->path);
	return server_run(conf, options->socket_path, conf_error) < 0 ? EXIT_FAILURE
								      : EXIT_SUCCESS;
}

/* With a config that cannot be used. Return: the exit status. */
static int serve_last(const struct options *options, const struct conf_error *error)
{
	char text[CONF_ERROR_BYTES];
	struct conf *conf;
	int r;

	/* Without anything that an end would drop, the service manager is to see it fail. */
	if (options->mode != MODE_SERVE || !keep_has_any())
		return EX_CONFIG;
	r = last_conf(options->config_path, options->socket_path, &conf);
	if (r < 0) {
		log_error("cannot go on with the segments that there are: %s", strerror(-r));
		return EX_CONFIG;
	}
	log_error("the service manager has kept segments for us, which an end might drop: mempoold goes "
		  "on with them, and lets in nobody new but root and its own user, until a reload "
		  "finds a config that it can use");
	snprintf(text, sizeof(text), "%s:%u: %s", error->path ? error->path : "", error->line,
		 error->text ? error->text : "");
	return serve(options, conf, text);
}

/* Return: the exit status. */
static int remove_all(const struct options *options, struct conf *conf)
{
	/* It looks at what members could write. */
	int r = sigbus_init();

	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	else
		r = remove_segments(conf, options->socket_path);
	conf_free(conf);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool is_kept_name(const char *name)
{
	return keep_is_name(name) || place_is_name(name);
}

/* Return: the exit status. */
static int run(const struct options *options)
{
	struct conf_error error;
	struct conf *conf;
	int r;

	r = options->mode == MODE_SERVE ? handed_init(is_kept_name) : 0;
	if (r < 0)
		return EXIT_FAILURE;
	r = conf_load(options->config_path, conf_log_warning, NULL, &conf, &error);
	if (r == 0)
		return options->mode == MODE_SERVE ? serve(options, conf, NULL)
						   : remove_all(options, conf);
	conf_log_error(LOG_ERR, &error);
	r = r == -ENOMEM ? EXIT_FAILURE : serve_last(options, &error);
	conf_error_deinit(&error);
	return r;
}

/* A parent may have left us some blocked: then a stop, or a reload, would wait for ever. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv)
{
	struct options options = { .config_path = MEMPOOL_SYSCONFDIR_FILE };
	int r;

	if (fd_fill_stdio() < 0)
		return EX_OSERR;
	unblock_signals();
	/* What RLIMIT_FSIZE does not allow is an error (EFBIG), and not our end. */
	signal(SIGXFSZ, SIG_IGN);
	r = parse_options(argc, argv, &options);
	if (r >= 0)
		return r;
	log_init(options.foreground);
	if (options.mode == MODE_CHECK)
		return conf_check(options.config_path, "");
	r = options.mode == MODE_SERVE ? log_start_writer() : 0;
	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = run(&options);
	log_finish();
	return r;
}
