/* SPDX-License-Identifier: MIT */
/*
 * command.c - see command.h
 *
 * Options may stand before or after the command. mempoolctl(1) has an item for each row of
 * the two tables, which tests/man compares with the help that is made of them.
 */
#include "command.h"

#include <string.h>

#include "build_config.h"
#include "mempool_protocol.h"

#define LOOKS (READS | OPTION_INTERVAL | OPTION_COUNT)
#define READS (OPTION_JSON | OPTION_SEGMENT | OPTION_SHM | OPTION_SOCKET)
#define ASKS (OPTION_JSON | OPTION_SEGMENT | OPTION_SOCKET)

static const struct command commands[] = {
	{ "ping", "", 0, 0, ASKS, ctl_ping, "whether mempoold answers; with --segment, serves it" },
	{ "status", "", 0, 0, READS, ctl_status,
	  "pools with what is used of them, and who holds how much" },
	{ "pools", "", 0, 0, READS | OPTION_SUGGEST, ctl_pools,
	  "to size pools: peaks, and what did not fit" },
	{ "holders", "", 0, 0, READS, ctl_holders,
	  "who holds my chunks: what each has of each pool" },
	{ "chunks", "", 0, 0, READS | OPTION_BY | OPTION_OLDER | OPTION_POOL, ctl_chunks,
	  "what is held, since when, and where in the code" },
	{ "queues", "", 0, 0, READS, ctl_queues, "queues, and what is on its way in them" },
	{ "topics", "", 0, 0, READS, ctl_topics, "topics, and what they keep" },
	{ "subscribers", "", 0, 0, READS | OPTION_INTERVAL, ctl_subscribers,
	  "who reads which topic, how far behind, and who is stuck" },
	{ "top", "", 0, 0, LOOKS, ctl_top, "a live view; its keys are in its last line" },
	{ "watch", "", 0, 0, LOOKS, ctl_watch, "a line at each look, for logs" },
	{ "audit", "", 0, 0, READS, ctl_audit, "check every word, and say what is wrong" },
	{ "metrics", "", 0, 0, READS, ctl_metrics, "all of it for Prometheus" },
#if MEMPOOL_HAS_SERVE
	{ "serve", "", 0, 0, OPTION_LISTEN | OPTION_SEGMENT | OPTION_SOCKET, ctl_serve,
	  "metrics, and a page to look at, by HTTP" },
#endif
	{ "topic tail", "NAME", 1, 1, OPTION_AS | OPTION_COUNT | OPTION_SEGMENT | OPTION_SOCKET,
	  ctl_topic_tail, "what is published, as it comes" },
	{ "topic peek", "NAME", 1, 1, OPTION_AS | OPTION_COUNT | OPTION_SEGMENT | OPTION_SOCKET,
	  ctl_topic_peek, "the last message that a topic keeps, or the last --count" },
	{ "queue peek", "NAME", 1, 1, OPTION_COUNT | OPTION_SEGMENT | OPTION_SHM | OPTION_SOCKET,
	  ctl_queue_peek, "which messages wait in a queue" },
	{ "topic drain", "NAME", 1, 1, ASKS, ctl_topic_drain,
	  "drop the messages that a topic keeps" },
	{ "queue drain", "NAME", 1, 1, ASKS, ctl_queue_drain,
	  "drop the messages that wait in a queue" },
	{ "record", "FILE [NAME]...", 1, ARGUMENTS_ANY, ASKS | OPTION_COUNT | OPTION_INTERVAL,
	  ctl_record, "what is published goes to a file; nobody notices" },
	{ "replay", "FILE [TOPIC]...", 1, ARGUMENTS_ANY,
	  ASKS | OPTION_DRY_RUN | OPTION_FROM | OPTION_SPEED, ctl_replay,
	  "publish what a recording has, at its intervals" },
	{ "forget", "HOLDER [GENERATION]", 1, 2, ASKS, ctl_forget,
	  "free what a holder has that nobody can see alive" },
	{ "kill", "HOLDER [GENERATION]", 1, 2, ASKS | OPTION_FORCE | OPTION_YES, ctl_kill,
	  "end the process of a holder, after a question" },
	{ "check-config", "[FILE]", 0, 1, OPTION_JSON, ctl_check_config,
	  "check a config, and show its mistakes" },
	{ "dump", "", 0, 0, OPTION_JSON | OPTION_SOCKET, ctl_dump,
	  "the config in force, with all defaults" },
	{ "reload", "", 0, 0, OPTION_DISCARD | OPTION_DRY_RUN | OPTION_JSON | OPTION_SOCKET, ctl_reload,
	  "read the config again, and put it in force" },
	{ "help", "[COMMAND]", 0, 2, 0, ctl_help, "this, or more about one command" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	enum option_bit bit;
	const char *name;
	const char *argument;		/* NULL: none */
	const char *help;
} options[N_OPTIONS] = {
	{ OPTION_INTERVAL, "interval", "SECONDS", "time between two looks (default: 1)" },
	{ OPTION_COUNT, "count", "N", "end after so many looks, or messages" },
	{ OPTION_BY, "by", "WHAT", "a line for each site, or each holder" },
	{ OPTION_OLDER, "older", "TIME", "only what is held for so long, as in 10s" },
	{ OPTION_POOL, "pool", "NUMBER", "only chunks of this pool" },
	{ OPTION_SUGGEST, "suggest", NULL, "print pools for a config, by their peaks" },
	{ OPTION_DISCARD, "discard", NULL, "drop messages that have no place in a new layout" },
	{ OPTION_DRY_RUN, "dry-run", NULL, "change nothing, and say what would be done" },
	{ OPTION_SPEED, "speed", "FACTOR", "so many times as fast, or 'max' (default: 1)" },
	{ OPTION_FROM, "from", "TIME", "begin so long after the recording did, as in 10s" },
	{ OPTION_AS, "as", "FORM", "a message as hex (default), text or raw" },
	{ OPTION_FORCE, "force", NULL, "send SIGKILL, not SIGTERM" },
	{ OPTION_YES, "yes", NULL, "do not ask" },
	{ OPTION_JSON, "json", NULL, "print JSON" },
	{ OPTION_LISTEN, "listen", "ADDRESS", "where to serve (default: " CTL_DEFAULT_LISTEN ")" },
	{ OPTION_SEGMENT, "segment", "NAME", "only this segment of the daemon" },
	{ OPTION_SHM, "shm", "NAME", "read this object in /dev/shm and ask no daemon" },
	{ OPTION_SOCKET, "socket", "PATH",
	  "the daemon's socket (default: $MEMPOOL_SOCKET, else\n"
	  "                           " MEMPOOL_DEFAULT_SOCKET ")" },
	{ OPTION_VERSION, "version", NULL, "print the version" },
	{ OPTION_HELP, "help", NULL, "print this, or more about a command" },
};

void options_for_getopt(struct option ret_options[static N_OPTIONS + 1])
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		ret_options[i] = (struct option){
			.name = options[i].name,
			.has_arg = options[i].argument ? required_argument : no_argument,
			.val = OPTION_VALUE((int)options[i].bit),
		};
	ret_options[N_OPTIONS] = (struct option){ 0 };
}

const struct command *command_find(char **words, char ***ret_rest)
{
	char two[64] = "";

	if (words[0] && words[1])
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		bool is_one = strcmp(commands[i].name, words[0]) == 0;

		if (!is_one && strcmp(commands[i].name, two) != 0)
			continue;
		*ret_rest = words + (is_one ? 1 : 2);
		return &commands[i];
	}
	return NULL;
}

bool command_check(const struct command *command, unsigned int given, char **arguments)
{
	int n = 0;

	for (size_t i = 0; i < N_OPTIONS; i++)
		if (given & options[i].bit & ~command->options) {
			ctl_error("%s takes no --%s", command->name, options[i].name);
			return false;
		}
	while (arguments[n])
		n++;
	if (n < command->min_arguments) {
		ctl_error("%s needs %s", command->name, command->arguments);
		return false;
	}
	if (n > command->max_arguments) {
		ctl_error("%s takes no '%s'", command->name, arguments[command->max_arguments]);
		return false;
	}
	if ((given & OPTION_SHM) && (given & OPTION_SEGMENT)) {
		ctl_error("--shm names one segment already, --segment is for a daemon's");
		return false;
	}
	return true;
}

static void print_options(FILE *file, unsigned int wanted)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char name[32];

		if (!(wanted & options[i].bit))
			continue;
		snprintf(name, sizeof(name), "%s--%s %s",
			 options[i].bit == OPTION_INTERVAL ? "-n, " : "    ", options[i].name,
			 options[i].argument ? options[i].argument : "");
		fprintf(file, "  %-24s %s\n", name, options[i].help);
	}
}

void help_print(FILE *file)
{
	fputs("Usage: mempoolctl [OPTION]... COMMAND\n"
	      "\n"
	      "Look at the shared-memory pools of mempoold. All but replay map segments\n"
	      "read-only.\n"
	      "\n"
	      "Commands:\n",
	      file);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(file, "  %s %-*s %s\n", commands[i].name,
			(int)(26 - strlen(commands[i].name)), commands[i].arguments,
			commands[i].help);
	fputs("\n"
	      "Options:\n",
	      file);
	print_options(file, ~0U);
	fputs("\n"
	      "Environment: MEMPOOL_SOCKET; NO_COLOR (not empty: no colour).\n"
	      "\n"
	      "Exit status: 0 done; 1 failed, or the audit found a fault; 64 wrong usage; 69 no\n"
	      "daemon answers; 78 a config that cannot be used.\n",
	      file);
}

void help_print_command(const struct command *command)
{
	printf("Usage: mempoolctl [OPTION]... %s%s%s\n\n%s: %s.\n", command->name,
	       command->arguments[0] ? " " : "", command->arguments, command->name,
	       command->help);
	if (command->options) {
		fputs("\nOptions:\n", stdout);
		print_options(stdout, command->options);
	}
	fputs("\nMore in mempoolctl(1).\n", stdout);
}

enum ctl_exit ctl_help(const struct ctl_options *given)
{
	const struct command *command;
	char **rest;

	if (!given->arguments[0]) {
		help_print(stdout);
		return CTL_OK;
	}
	command = command_find(given->arguments, &rest);
	if (!command || *rest) {
		ctl_error("no command '%s'", command ? *rest : given->arguments[0]);
		return CTL_USAGE;
	}
	help_print_command(command);
	return CTL_OK;
}
