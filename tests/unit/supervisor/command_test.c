/* Taking a command line apart: names, arguments, and what is said when they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/commands.h"

static const struct command table[] = {
	{ "list", COMMAND_NONE, "", "", NULL, 0 },
	{ "pause", COMMAND_VM, "VM", "", NULL, 0 },
	{ "stats", COMMAND_MAYBE_VM, "[VM]", "", NULL, 0 },
	{ "trace", COMMAND_WORD, "on|off|dump", "", NULL, 0 },
};

static struct command_line line;
static char why[COMMAND_WHY_BYTES];

static bool parse(const char *text)
{
	static char copy[256];

	memset(why, 'w', sizeof(why));
	strcpy(copy, text);
	return command_parse(table, ARRAY_SIZE(table), copy, &line, why);
}

static void empty_lines(void **state)
{
	(void)state;
	assert_true(parse(""));
	assert_null(line.command);
	assert_true(parse("     "));
	assert_null(line.command);
}

static void commands_and_arguments(void **state)
{
	static const char *const words[] = { "on", "off", "dump" };
	char text[16] = "trace ";

	(void)state;
	assert_true(parse("  list  "));
	assert_ptr_equal(line.command, &table[0]);
	assert_null(line.argument);
	assert_true(parse("pause   debian "));
	assert_ptr_equal(line.command, &table[1]);
	assert_string_equal(line.argument, "debian");
	assert_true(parse("stats"));
	assert_null(line.argument);
	assert_true(parse("stats x"));
	assert_string_equal(line.argument, "x");
	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		strcpy(text + 6, words[i]);
		assert_true(parse(text));
		assert_string_equal(line.argument, words[i]);
	}
}

static void wrong_arguments_show_the_usage(void **state)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "list x", "usage: list" },
		{ "pause", "usage: pause VM" },
		{ "pause a b", "usage: pause VM" },
		{ "stats a b c d e f", "usage: stats [VM]" },
		{ "trace", "usage: trace on|off|dump" },
		{ "trace o", "usage: trace on|off|dump" },
		{ "trace onn", "usage: trace on|off|dump" },
		{ "trace on|off", "usage: trace on|off|dump" },
		{ "trace |", "usage: trace on|off|dump" },
		{ "trace on off", "usage: trace on|off|dump" },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_false(parse(wrong[i].text));
		assert_string_equal(why, wrong[i].why);
	}
}

static void unknown_commands(void **state)
{
	(void)state;
	assert_false(parse("fly"));
	assert_string_equal(why, "unknown command 'fly': 'help' lists all");
	assert_false(parse("stat x"));
	assert_string_equal(why, "unknown command 'stat': did you mean 'stats'? 'help' lists all");
	assert_false(parse("LIST"));
	assert_false(parse("listen"));
	assert_non_null(strstr(why, "'list'?"));
	assert_false(parse("lxxxxx"));
	assert_null(strstr(why, "mean"));
}

static void long_words_are_cut(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'p', sizeof(text));
	memcpy(text, "paus", 4);
	text[sizeof(text) - 1] = '\0';
	assert_false(parse(text));
	assert_true(strnlen(why, sizeof(why)) < sizeof(why));
	assert_non_null(strstr(why, "'help' lists all"));
}

static void the_monitors_own_table(void **state)
{
	(void)state;
	assert_true(commands_count > 10);
	for (u32 i = 0; i < commands_count; i++) {
		const struct command *c = &commands[i];

		assert_non_null(c->run);
		assert_true(strlen(c->help) > 0);
		assert_true(strlen(c->name) + strlen(c->usage) <= 17); /* the help's column */
		assert_int_equal(c->argument == COMMAND_NONE, strlen(c->usage) == 0);
		assert_int_equal(c->argument == COMMAND_VM || c->argument == COMMAND_MAYBE_VM,
				 c->lives != 0);
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(c->name, commands[j].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_lines),
		cmocka_unit_test(commands_and_arguments),
		cmocka_unit_test(wrong_arguments_show_the_usage),
		cmocka_unit_test(unknown_commands),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(the_monitors_own_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
