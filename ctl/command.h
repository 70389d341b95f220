/* SPDX-License-Identifier: MIT */
/*
 * command.h - the tables of commands and options: dispatch, usage, help and completion
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

#include "ctl.h"

/* The options, as a command says which it takes; every one takes the version and help. */
enum option_bit {
	OPTION_JSON = 1 << 0,
	OPTION_SEGMENT = 1 << 1,
	OPTION_SHM = 1 << 2,
	OPTION_SOCKET = 1 << 3,
	OPTION_VERSION = 1 << 4,
	OPTION_HELP = 1 << 5,
	OPTION_INTERVAL = 1 << 6,
	OPTION_COUNT = 1 << 7,
	OPTION_LISTEN = 1 << 8,
	OPTION_DISCARD = 1 << 9,
	OPTION_DRY_RUN = 1 << 10,
	OPTION_BY = 1 << 11,
	OPTION_OLDER = 1 << 12,
	OPTION_POOL = 1 << 13,
	OPTION_FORCE = 1 << 14,
	OPTION_YES = 1 << 15,
	OPTION_SPEED = 1 << 16,
	OPTION_FROM = 1 << 17,
	OPTION_AS = 1 << 18,
	OPTION_SUGGEST = 1 << 19,
};
#define N_OPTIONS 20

/* A command that takes as many arguments as there are. */
#define ARGUMENTS_ANY INT_MAX

struct command {
	const char *name;		/* one word, or two */
	const char *arguments;		/* as help shows them */
	int min_arguments;
	int max_arguments;
	unsigned int options;		/* that it takes */
	enum ctl_exit (*run)(const struct ctl_options *options);
	const char *help;
};

/* For getopt_long(): an option's value is its bit in option_bit, beyond all characters. */
#define OPTION_VALUE(bit) (256 + (bit))
#define OPTION_LETTERS "n:"		/* of --interval */
void options_for_getopt(struct option ret_options[static N_OPTIONS + 1]);

/**
 * command_find() - the command that the first word, or the first two, name
 * @words:    closed by a NULL
 * @ret_rest: its arguments
 */
const struct command *command_find(char **words, char ***ret_rest);

/* Whether the command takes these options and arguments; says why not. */
bool command_check(const struct command *command, unsigned int options, char **arguments);

void help_print(FILE *file);
void help_print_command(const struct command *command);

enum ctl_exit ctl_help(const struct ctl_options *options);

#endif
