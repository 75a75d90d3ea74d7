/* Words between spaces; the first names the command, a second one is its argument. */
#include "supervisor/command.h"

#include "lib/base/format.h"
#include "lib/base/string.h"

#define ALIKE_LEAST 2 /* letters of a mistyped name that must be right for a guess */

/* The next word of a line, terminated, or NULL; *at is moved behind it. */
static char *word_take(char **at)
{
	char *word;

	while (**at == ' ')
		(*at)++;
	if (**at == '\0')
		return NULL;
	word = *at;
	while (**at != ' ' && **at != '\0')
		(*at)++;
	if (**at == ' ')
		*(*at)++ = '\0';
	return word;
}

static u32 letters_alike(const char *a, const char *b)
{
	u32 count = 0;

	while (a[count] != '\0' && a[count] == b[count])
		count++;
	return count;
}

static const struct command *command_find(const struct command *table, u32 count, const char *name)
{
	for (u32 i = 0; i < count; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

static void unknown_describe(const struct command *table, u32 count, const char *name, char *why)
{
	const struct command *best = NULL;
	u32 alike = ALIKE_LEAST - 1;

	for (u32 i = 0; i < count; i++) {
		if (letters_alike(table[i].name, name) > alike) {
			alike = letters_alike(table[i].name, name);
			best = &table[i];
		}
	}
	if (best)
		format(why, COMMAND_WHY_BYTES,
		       "unknown command '%.24s': did you mean '%s'? 'help' lists all", name,
		       best->name);
	else
		format(why, COMMAND_WHY_BYTES, "unknown command '%.24s': 'help' lists all", name);
}

/* Whether `word` is one of those that stand in `words` with '|' in between. */
static bool word_is_among(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = words; at; at = *at ? at + 1 : NULL) {
		const char *end = at;

		while (*end != '|' && *end != '\0')
			end++;
		if ((size_t)(end - at) == length && memcmp(at, word, length) == 0)
			return true;
		at = end;
	}
	return false;
}

static bool arguments_fit(const struct command *c, const char *argument, const char *more)
{
	switch (c->argument) {
	case COMMAND_NONE:
		return !argument;
	case COMMAND_VM:
		return argument && !more;
	case COMMAND_MAYBE_VM:
		return !more;
	case COMMAND_WORD:
		return argument && !more && word_is_among(c->usage, argument);
	}
	return false;
}

bool command_parse(const struct command *table, u32 count, char *text, struct command_line *out,
		   char *why)
{
	const char *name = word_take(&text);
	const char *argument = word_take(&text);
	const char *more = word_take(&text);

	*out = (struct command_line){ .argument = argument };
	if (!name)
		return true;
	out->command = command_find(table, count, name);
	if (!out->command) {
		unknown_describe(table, count, name, why);
		return false;
	}
	if (!arguments_fit(out->command, argument, more)) {
		format(why, COMMAND_WHY_BYTES, "usage: %s%s%s", name,
		       out->command->argument == COMMAND_NONE ? "" : " ", out->command->usage);
		return false;
	}
	return true;
}
