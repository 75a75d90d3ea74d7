/* The table of commands, and those about VMs. */
#include "supervisor/commands.h"

#include "lib/base/format.h"
#include "supervisor/supervisor.h"

#define LIFE_OFF     BIT32(VM_OFF)
#define LIFE_RUNNING BIT32(VM_RUNNING)
#define LIFE_PAUSED  BIT32(VM_PAUSED)
#define LIFE_WAITING BIT32(VM_WAITING)
#define LIFE_EXISTS  (LIFE_RUNNING | LIFE_PAUSED)
#define LIFE_ANY     (BIT32(VM_LIFE_COUNT) - 1)

#define USAGE_BYTES 32U

static void command_help(struct supervisor *s, const struct command_line *line)
{
	(void)line;
	for (u32 i = 0; i < commands_count; i++) {
		char usage[USAGE_BYTES];

		format(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].usage);
		console_say(s, "%-18s %s", usage, commands[i].help);
	}
	monitor_help_keys(s);
}

static void command_list(struct supervisor *s, const struct command_line *line)
{
	(void)line;
	report_list(s);
}

static void command_stats(struct supervisor *s, const struct command_line *line)
{
	if (line->guest) {
		report_stats(s, line->guest);
		return;
	}
	for (u32 i = 0; i < s->guest_count; i++)
		report_stats(s, &s->guest[i]);
}

static void command_console(struct supervisor *s, const struct command_line *line)
{
	input_front(s, (u32)(line->guest - s->guest));
}

static void command_start(struct supervisor *s, const struct command_line *line)
{
	guest_start(s, line->guest);
	if (line->guest->life == VM_RUNNING)
		console_line(s, "VM %s: started", line->argument);
}

static void command_pause(struct supervisor *s, const struct command_line *line)
{
	guest_pause(s, line->guest, true);
}

static void command_resume(struct supervisor *s, const struct command_line *line)
{
	guest_pause(s, line->guest, false);
}

static void command_stop(struct supervisor *s, const struct command_line *line)
{
	if (line->guest->stopping && guest_exists(line->guest))
		console_say(s, "VM %s is being stopped: 'kill' ends it at once", line->argument);
	guest_stop(s, line->guest);
}

static void command_reset(struct supervisor *s, const struct command_line *line)
{
	guest_reset(s, line->guest);
}

static void command_kill(struct supervisor *s, const struct command_line *line)
{
	guest_kill(s, line->guest);
}

static void command_poweroff(struct supervisor *s, const struct command_line *line)
{
	(void)line;
	supervisor_power_off(s);
	console_say(s, "the machine goes off with its last VM; 'poweroff' again kills them all");
}

const struct command commands[] = {
	{ "help", COMMAND_NONE, "", "this list", command_help, 0 },
	{ "list", COMMAND_NONE, "", "every VM: state, vCPUs, memory, time used, exits",
	  command_list, 0 },
	{ "stats", COMMAND_MAYBE_VM, "[VM]", "where a VM's time goes, its exits by reason",
	  command_stats, LIFE_ANY },
	{ "console", COMMAND_VM, "VM", "goes to the console of a VM", command_console,
	  LIFE_EXISTS | LIFE_WAITING },
	{ "start", COMMAND_VM, "VM", "starts a VM that is off", command_start,
	  LIFE_OFF | LIFE_WAITING },
	{ "pause", COMMAND_VM, "VM", "keeps a VM from running", command_pause, LIFE_RUNNING },
	{ "resume", COMMAND_VM, "VM", "lets a paused VM run on", command_resume, LIFE_PAUSED },
	{ "stop", COMMAND_VM, "VM", "presses a VM's power button, and ends it if that fails",
	  command_stop, LIFE_EXISTS | LIFE_WAITING },
	{ "reset", COMMAND_VM, "VM", "ends a VM at once and starts it again", command_reset,
	  LIFE_EXISTS },
	{ "kill", COMMAND_VM, "VM", "ends a VM at once", command_kill, LIFE_EXISTS | LIFE_WAITING },
	{ "log", COMMAND_NONE, "", "what Ringfence has said", command_log, 0 },
	{ "mem", COMMAND_NONE, "", "the machine's memory and who has it", command_mem, 0 },
	{ "cpus", COMMAND_NONE, "", "the machine's processors and how busy they are", command_cpus,
	  0 },
	{ "trace", COMMAND_WORD, "on|off|dump", "records exits, keeps them, shows the last ones",
	  command_trace, 0 },
	{ "version", COMMAND_NONE, "", "what runs here, and since when", command_version, 0 },
	{ "poweroff", COMMAND_NONE, "", "stops every VM, then the machine", command_poweroff, 0 },
};
const u32 commands_count = ARRAY_SIZE(commands);
