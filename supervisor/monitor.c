/* The prompt: edits a line, and has it done. */
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "supervisor/commands.h"
#include "supervisor/supervisor.h"

static const char prompt[] = "ringfence> ";

/* So long after the last output of a guest the prompt comes again: not between its lines. */
#define QUIET_MS 300

static const char *const life_names[VM_LIFE_COUNT] = {
	[VM_OFF] = "is off: 'start' starts it",
	[VM_RUNNING] = "is running",
	[VM_PAUSED] = "is paused: 'resume' lets it run on",
	[VM_WAITING] = "waits for its next start: 'start' does it now, 'stop' not at all",
};

static bool prompt_is_shown(const struct supervisor *s)
{
	return s->console.in_line && s->console.line_owner == MONITOR;
}

static void prompt_show(struct supervisor *s)
{
	struct line_edit_echo echo;

	console_end_line(s);
	console_echo(s, prompt, sizeof(prompt) - 1);
	line_edit_show(&s->monitor.edit, &echo);
	console_echo(s, echo.bytes, echo.length);
}

void monitor_begin(struct supervisor *s)
{
	console_say(s, "ringfence: monitor: 'help' lists its commands, Ctrl-A n goes back");
	prompt_show(s);
}

u64 monitor_wake_time(const struct supervisor *s)
{
	if (s->front != MONITOR || prompt_is_shown(s))
		return WAIT_FOREVER;
	return s->console.guest_spoke + tsc_of_ms(s, QUIET_MS);
}

void monitor_refresh(struct supervisor *s)
{
	if (ring3_tsc() >= monitor_wake_time(s))
		prompt_show(s);
}

static struct guest *guest_named(struct supervisor *s, const char *name)
{
	for (u32 i = 0; i < s->guest_count; i++) {
		if (strcmp(s->guest[i].config->name, name) == 0)
			return &s->guest[i];
	}
	return NULL;
}

/* The VM that a command names is there, and in a state that the command is for. */
static bool guest_resolve(struct supervisor *s, struct command_line *line)
{
	const struct command *c = line->command;

	if (!line->argument || c->argument == COMMAND_WORD)
		return true;
	line->guest = guest_named(s, line->argument);
	if (!line->guest) {
		console_say(s, "no VM is named '%.32s': 'list' shows all", line->argument);
		return false;
	}
	if (!(c->lives & BIT32(line->guest->life))) {
		console_say(s, "VM %s %s", line->argument, life_names[line->guest->life]);
		return false;
	}
	return true;
}

static void line_do(struct supervisor *s, char *text)
{
	struct command_line line;
	char why[COMMAND_WHY_BYTES];

	if (!command_parse(commands, commands_count, text, &line, why))
		console_say(s, "%s", why);
	else if (line.command && guest_resolve(s, &line))
		line.command->run(s, &line);
}

void monitor_byte(struct supervisor *s, u8 byte)
{
	struct line_edit *edit = &s->monitor.edit;
	struct line_edit_echo echo;
	char text[LINE_EDIT_BYTES];
	enum line_edit_result result;

	if (!prompt_is_shown(s))
		prompt_show(s);
	result = line_edit_feed(edit, byte, &echo);
	console_echo(s, echo.bytes, echo.length);
	if (result == LINE_EDIT_MORE)
		return;
	console_end_line(s);
	memcpy(text, edit->text, sizeof(text));
	line_edit_begin(edit);
	if (result == LINE_EDIT_DONE)
		line_do(s, text);
	if (s->front == MONITOR)
		prompt_show(s);
}

void monitor_help_keys(struct supervisor *s)
{
	console_say(s, "ringfence: Ctrl-A n    the next VM's console");
	console_say(s, "ringfence: Ctrl-A m    the monitor, a prompt for commands such as 'list'");
	console_say(s, "ringfence: Ctrl-A a    types Ctrl-A itself; so does Ctrl-A Ctrl-A");
	console_say(s, "ringfence: Ctrl-A h    this help");
}
