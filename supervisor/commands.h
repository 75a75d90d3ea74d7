/* The monitor's commands. */
#pragma once

#include "supervisor/command.h"

extern const struct command commands[];
extern const u32 commands_count;

/* --- machine_commands.c */

void command_log(struct supervisor *s, const struct command_line *line);
void command_mem(struct supervisor *s, const struct command_line *line);
void command_cpus(struct supervisor *s, const struct command_line *line);
void command_trace(struct supervisor *s, const struct command_line *line);
void command_version(struct supervisor *s, const struct command_line *line);
