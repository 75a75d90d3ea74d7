/* The console's own keys: which bytes pass, and which do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "supervisor/escape.h"

static enum escape_action feed(struct escape *e, u8 in, u8 *out)
{
	*out = in;
	return escape_feed(e, out);
}

static void every_other_byte_passes(void **state)
{
	struct escape e = { 0 };
	u8 out;

	(void)state;
	for (u32 byte = 0; byte < 256; byte++) {
		if (byte == ESCAPE_KEY)
			continue;
		assert_int_equal(feed(&e, (u8)byte, &out), ESCAPE_BYTE);
		assert_int_equal(out, byte);
	}
}

static void keys(void **state)
{
	static const struct {
		u8 key;
		enum escape_action action;
	} table[] = {
		{ 'n', ESCAPE_NEXT },	  { 'm', ESCAPE_MONITOR },  { 'h', ESCAPE_HELP },
		{ '?', ESCAPE_HELP },	  { 'a', ESCAPE_BYTE },	    { ESCAPE_KEY, ESCAPE_BYTE },
		{ 'x', ESCAPE_UNKNOWN },  { 'N', ESCAPE_UNKNOWN },  { 0, ESCAPE_UNKNOWN },
		{ 0x1b, ESCAPE_UNKNOWN }, { 0xff, ESCAPE_UNKNOWN },
	};
	struct escape e = { 0 };
	u8 out;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		assert_int_equal(feed(&e, ESCAPE_KEY, &out), ESCAPE_NOTHING);
		assert_int_equal(feed(&e, table[i].key, &out), table[i].action);
		assert_int_equal(out, table[i].action == ESCAPE_BYTE ? ESCAPE_KEY : table[i].key);
		/* It is over after one key. */
		assert_int_equal(feed(&e, 'n', &out), ESCAPE_BYTE);
		assert_int_equal(out, 'n');
	}
}

static void two_keys_in_a_row_are_one_byte(void **state)
{
	struct escape e = { 0 };
	u32 passed = 0;
	u8 out;

	(void)state;
	for (u32 i = 0; i < 10; i++)
		passed += feed(&e, ESCAPE_KEY, &out) == ESCAPE_BYTE;
	assert_int_equal(passed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_other_byte_passes),
		cmocka_unit_test(keys),
		cmocka_unit_test(two_keys_in_a_row_are_one_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
