/* SPDX-License-Identifier: MIT */
/*
 * mempoolctl.c - the operator's program: options, dispatch, help
 *
 * One table of commands drives dispatch and help. Options may stand before or after the
 * command and mean the same to all of them.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "build_config.h"
#include "ctl.h"
#include "mempool_protocol.h"
#include "shm/sigbus.h"

struct command {
	const char *name;		/* one word, or two */
	const char *arguments;		/* as help shows them */
	int n_arguments;
	enum ctl_exit (*run)(const struct ctl_options *options);
	const char *help;
};

static const struct command commands[] = {
	{ "status", "", 0, ctl_status, "pools with what is used of them, and who holds how much" },
	{ "audit", "", 0, ctl_audit, "check every word, and say what is wrong" },
	{ "topic drain", "NAME", 1, ctl_topic_drain, "let go of the messages that a topic keeps" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What a peer, a file or a name service sent must not steer the terminal. */
static void print_safe(FILE *file, const char *text)
{
	mbstate_t state = { 0 };
	wchar_t c;

	while (*text) {
		size_t n = mbrtowc(&c, text, strlen(text), &state);

		if (n == (size_t)-1 || n == (size_t)-2) {
			state = (mbstate_t){ 0 };
			n = 1;
			fputc('?', file);
		} else if (iswprint((wint_t)c)) {
			fwrite(text, 1, n, file);
		} else {
			fputc('?', file);
		}
		text += n;
	}
}

void ctl_error(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	fputs("mempoolctl: ", stderr);
	print_safe(stderr, text);
	fputc('\n', stderr);
}

static void print_help(FILE *file)
{
	fputs("Usage: mempoolctl [OPTION]... COMMAND\n"
	      "\n"
	      "Look at the shared-memory pools of mempoold. Segments are mapped read-only.\n"
	      "\n"
	      "Commands:\n",
	      file);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(file, "  %s %-*s %s\n", commands[i].name,
			(int)(17 - strlen(commands[i].name)), commands[i].arguments,
			commands[i].help);
	fputs("\n"
	      "Options:\n"
	      "  --json             print JSON\n"
	      "  --segment NAME     only this segment of the daemon\n"
	      "  --socket PATH      the daemon's socket (default: $MEMPOOL_SOCKET, else\n"
	      "                     " MEMPOOL_DEFAULT_SOCKET ")\n"
	      "  --shm NAME         read this object in /dev/shm and ask no daemon\n"
	      "  --version          print the version\n"
	      "  --help             print this\n"
	      "\n"
	      "CHUNKS of a holder: those it has alone, and those it has given away that nobody\n"
	      "has taken yet. BYTES: the chunk sizes of their pools, not what was asked for.\n"
	      "Counts are exact where nothing moves while they are read.\n"
	      "\n"
	      "Environment: MEMPOOL_SOCKET; NO_COLOR (not empty: no colour).\n"
	      "\n"
	      "Exit status: 0 done; 1 failed, or the audit found a fault; 64 wrong usage; 69 no\n"
	      "daemon answers.\n",
	      file);
}

static enum ctl_exit usage_error(void)
{
	fputs("Try 'mempoolctl --help'.\n", stderr);
	return CTL_USAGE;
}

/* The command that the first word, or the first two, name; *ret_n is how many. */
static const struct command *find_command(char **words, int n_words, int *ret_n)
{
	char two[64];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		*ret_n = 1;
		if (strcmp(commands[i].name, words[0]) == 0)
			return &commands[i];
		if (n_words < 2)
			continue;
		*ret_n = 2;
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		if (strcmp(commands[i].name, two) == 0)
			return &commands[i];
	}
	return NULL;
}

static enum ctl_exit run_command(char **words, int n_words, struct ctl_options *options)
{
	const struct command *command;
	int n_named, r;

	if (n_words == 0) {
		print_help(stderr);
		return CTL_USAGE;
	}

	command = find_command(words, n_words, &n_named);
	if (!command) {
		ctl_error("no command '%s'", words[0]);
		return usage_error();
	}
	words += n_named;
	n_words -= n_named;
	if (n_words < command->n_arguments) {
		ctl_error("%s needs %s", command->name, command->arguments);
		return usage_error();
	}
	if (n_words > command->n_arguments) {
		ctl_error("%s takes no '%s'", command->name, words[command->n_arguments]);
		return usage_error();
	}
	options->arguments = words;
	if (options->shm_name && options->segment) {
		ctl_error("--shm names one segment already, --segment is for a daemon's");
		return usage_error();
	}

	r = sigbus_init();
	if (r < 0) {
		ctl_error("SIGBUS: %s", strerror(-r));
		return CTL_FAILED;
	}
	return command->run(options);
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
	enum { OPT_HELP = 256, OPT_JSON, OPT_SEGMENT, OPT_SHM, OPT_SOCKET, OPT_VERSION };
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, OPT_HELP },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "segment", required_argument, NULL, OPT_SEGMENT },
		{ "shm", required_argument, NULL, OPT_SHM },
		{ "socket", required_argument, NULL, OPT_SOCKET },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ 0 },
	};
	const char *from_environment = getenv("MEMPOOL_SOCKET");
	struct ctl_options options = {
		.socket_path = from_environment && *from_environment ? from_environment :
								       MEMPOOL_DEFAULT_SOCKET,
	};
	int c;

	setlocale(LC_CTYPE, "");

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		switch (c) {
		case OPT_HELP:
			print_help(stdout);
			return (int)flush(CTL_OK);
		case OPT_VERSION:
			puts("mempoolctl " MEMPOOL_VERSION);
			return (int)flush(CTL_OK);
		case OPT_JSON:
			options.json = true;
			break;
		case OPT_SEGMENT:
			options.segment = optarg;
			break;
		case OPT_SHM:
			options.shm_name = optarg;
			break;
		case OPT_SOCKET:
			options.socket_path = optarg;
			break;
		default:
			return (int)usage_error();
		}
	}

	return (int)flush(run_command(argv + optind, argc - optind, &options));
}
