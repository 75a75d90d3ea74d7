/* What is typed at the monitor's prompt, taken apart and checked against a table of commands. */
#pragma once

#include "lib/base/types.h"

struct supervisor;
struct guest;
struct command_line;

enum command_argument {
	COMMAND_NONE,
	COMMAND_VM,	  /* the name of one */
	COMMAND_MAYBE_VM, /* the same, or nothing */
	COMMAND_WORD,	  /* one of the words in `usage`, with '|' in between */
};

struct command {
	const char *name;
	enum command_argument argument;
	const char *usage; /* how the argument is written in the help */
	const char *help;
	void (*run)(struct supervisor *s, const struct command_line *line);
	u32 lives; /* in which the VM may be: bits of enum vm_life */
};

struct command_line {
	const struct command *command; /* NULL: the line is empty */
	const char *argument;	       /* NULL: none */
	struct guest *guest;	       /* NULL: none named; found by the monitor */
};

#define COMMAND_WHY_BYTES 128U

/*
 * Takes a line apart, in place. False: it is no command, and `why` tells the user what to do, in
 * COMMAND_WHY_BYTES.
 */
MUST_USE bool command_parse(const struct command *table, u32 count, char *text,
			    struct command_line *out, char *why);
