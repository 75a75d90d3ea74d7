/* Line editing: what stands in the line, and that a terminal shows the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/line_edit.h"

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"

static struct line_edit edit;

/* A terminal of one long row. */
static struct {
	char row[2 * LINE_EDIT_BYTES];
	u32 cursor;
} terminal;

static void terminal_write(const struct line_edit_echo *echo)
{
	for (u32 i = 0; i < echo->length; i++) {
		char c = echo->bytes[i];

		assert_true(c == '\b' || (c >= ' ' && c <= '~'));
		if (c == '\b') {
			assert_true(terminal.cursor > 0);
			terminal.cursor--;
			continue;
		}
		assert_true(terminal.cursor < sizeof(terminal.row) - 1);
		terminal.row[terminal.cursor++] = c;
	}
}

static void terminal_clear(void)
{
	memset(terminal.row, ' ', sizeof(terminal.row));
	terminal.cursor = 0;
}

/* What is shown is the line, and spaces behind it. */
static void terminal_check(void)
{
	assert_int_equal(terminal.cursor, edit.cursor);
	assert_memory_equal(terminal.row, edit.text, edit.length);
	for (u32 i = edit.length; i < sizeof(terminal.row); i++)
		assert_int_equal(terminal.row[i], ' ');
}

static enum line_edit_result feed(u8 byte)
{
	struct line_edit_echo echo;
	enum line_edit_result result = line_edit_feed(&edit, byte, &echo);

	terminal_write(&echo);
	terminal_check();
	if (result != LINE_EDIT_MORE) {
		terminal_clear();
		if (result == LINE_EDIT_DONE)
			assert_int_equal(strlen(edit.text), edit.length);
	}
	return result;
}

static void type(const char *keys)
{
	while (*keys)
		assert_int_equal(feed((u8)*keys++), LINE_EDIT_MORE);
}

static void expect_line(const char *text)
{
	assert_int_equal(feed('\r'), LINE_EDIT_DONE);
	assert_string_equal(edit.text, text);
	line_edit_begin(&edit);
}

static int fresh(void **state)
{
	(void)state;
	memset(&edit, 0, sizeof(edit));
	line_edit_begin(&edit);
	terminal_clear();
	return 0;
}

static void typing_at_the_end_echoes_that_alone(void **state)
{
	struct line_edit_echo echo;

	(void)state;
	for (const char *c = "list"; *c; c++) {
		assert_int_equal(line_edit_feed(&edit, (u8)*c, &echo), LINE_EDIT_MORE);
		assert_int_equal(echo.length, 1);
		assert_int_equal(echo.bytes[0], *c);
	}
	assert_int_equal(line_edit_feed(&edit, 0x7f, &echo), LINE_EDIT_MORE);
	assert_int_equal(echo.length, 3);
	assert_memory_equal(echo.bytes, "\b \b", 3);
}

static void edits(void **state)
{
	static const struct {
		const char *keys, *line;
	} table[] = {
		{ "list", "list" },
		{ "lisk\x7ft", "list" },
		{ "lisk\bt", "list" },
		{ "\x7f\x7f\bx", "x" },
		{ "abc\x15xy", "xy" },
		{ "abc" LEFT LEFT "\x15xy", "xybc" },
		{ "pause one\x17two", "pause two" },
		{ "pause one  \x17two", "pause two" },
		{ "\x17\x17", "" },
		{ "ac" LEFT "b", "abc" },
		{ "bc" LEFT LEFT LEFT LEFT "a", "abc" },
		{ "ab" RIGHT RIGHT "c", "abc" },
		{ "bc\x1b[Ha\x1b[Fd", "abcd" },
		{ "bc\x1b[1~a\x1b[4~d", "abcd" },
		{ "bc\x01"
		  "a\x05"
		  "d",
		  "abcd" },
		{ "abxc" LEFT LEFT "\x1b[3~", "abc" },
		{ "abxc\x02\x02\x04", "abc" },
		{ "abc\x1b[3~\x04", "abc" },
		{ "abcd" LEFT LEFT "\x0b", "ab" },
		{ "abcd" LEFT "\x7f", "abd" },
		{ "\x1bOHa\x1bOC", "a" },
		{ "a\tb\x07\x80\xff", "ab" },			     /* keys without a meaning */
		{ "a\x1b[24~\x1b[1;5Cb\x1b[999999999999Dc", "abc" }, /* sequences without one */
		{ "a\x1bxb", "ab" },
		{ UP DOWN "a", "a" }, /* nothing is remembered yet */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		fresh(NULL);
		type(table[i].keys);
		expect_line(table[i].line);
	}
}

static void both_ends_of_a_line(void **state)
{
	(void)state;
	type("a");
	assert_int_equal(feed('\r'), LINE_EDIT_DONE);
	line_edit_begin(&edit);
	assert_int_equal(feed('\n'), LINE_EDIT_MORE); /* of the CR before it */
	type("b");
	assert_int_equal(feed('\n'), LINE_EDIT_DONE);
	line_edit_begin(&edit);
	assert_int_equal(feed('\n'), LINE_EDIT_DONE);
	assert_int_equal(edit.length, 0);
}

static void cancel(void **state)
{
	(void)state;
	type("abc");
	assert_int_equal(feed(3), LINE_EDIT_CANCEL);
	line_edit_begin(&edit);
	expect_line("");
	type(UP);
	expect_line(""); /* it is not remembered */
}

static void a_full_line_takes_no_more(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3 * LINE_EDIT_BYTES; i++)
		assert_int_equal(feed('x'), LINE_EDIT_MORE);
	assert_int_equal(edit.length, LINE_EDIT_BYTES - 1);
	type("\x01y");
	assert_int_equal(edit.text[0], 'x');
	type("\x04y");
	assert_int_equal(edit.text[0], 'y');
	type("\x05\x15");
	expect_line("");
}

static void history(void **state)
{
	(void)state;
	type("one");
	expect_line("one");
	type("two");
	expect_line("two");
	type("two"); /* the same again is not remembered again */
	expect_line("two");
	expect_line("");
	type("thr" UP);
	assert_int_equal(edit.length, 3);
	type(UP UP UP);
	assert_memory_equal(edit.text, "one", 3);
	type(DOWN "!");
	expect_line("two!");
	type(UP UP DOWN DOWN DOWN);
	expect_line("");
	type("\x10\x10\x10\x0e");
	expect_line("two");
}

static void history_is_a_ring(void **state)
{
	char line[2] = { 0 };

	(void)state;
	for (u32 i = 0; i < 2 * LINE_EDIT_LINES; i++) {
		line[0] = (char)('A' + i);
		type(line);
		expect_line(line);
	}
	for (u32 i = 0; i < 3 * LINE_EDIT_LINES; i++)
		type(UP);
	assert_int_equal(edit.text[0], 'A' + LINE_EDIT_LINES);
}

static void shown_again(void **state)
{
	struct line_edit_echo echo;

	(void)state;
	type("abcd" LEFT LEFT);
	terminal_clear();
	line_edit_show(&edit, &echo);
	terminal_write(&echo);
	terminal_check();
}

static void any_keys(void **state)
{
	(void)state;
	srand(1);
	for (u32 i = 0; i < 200000; i++) {
		u8 byte = (u8)rand();

		if (byte % 8 == 0)
			byte = (u8) "\x1b[ABCDHF3~\r"[rand() % 12];
		if (feed(byte) != LINE_EDIT_MORE)
			line_edit_begin(&edit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(typing_at_the_end_echoes_that_alone, fresh),
		cmocka_unit_test_setup(edits, fresh),
		cmocka_unit_test_setup(both_ends_of_a_line, fresh),
		cmocka_unit_test_setup(cancel, fresh),
		cmocka_unit_test_setup(a_full_line_takes_no_more, fresh),
		cmocka_unit_test_setup(history, fresh),
		cmocka_unit_test_setup(history_is_a_ring, fresh),
		cmocka_unit_test_setup(shown_again, fresh),
		cmocka_unit_test_setup(any_keys, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
