/* Tests of the limit on log lines: the window, and what was dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cpu/apic.h"
#include "core/trace/log_limit.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_log.lines = 0;
	return 0;
}

static u32 take(struct log_limit *limit, u32 times)
{
	u32 taken = 0;

	for (u32 i = 0; i < times; i++)
		taken += log_limit_take(limit, "a");
	return taken;
}

static void few_lines_pass(void **state)
{
	struct log_limit limit = { 0 };

	(void)state;
	assert_int_equal(take(&limit, LOG_LIMIT_LINES), LOG_LIMIT_LINES);
	fake_insn.tsc += tsc_from_us(LOG_LIMIT_WINDOW_US);
	assert_int_equal(take(&limit, LOG_LIMIT_LINES), LOG_LIMIT_LINES);
	assert_int_equal(fake_log.lines, 0); /* nothing was dropped: nothing is said */
}

static void the_rest_is_dropped_and_counted(void **state)
{
	struct log_limit limit = { .since = fake_insn.tsc };

	(void)state;
	assert_int_equal(take(&limit, LOG_LIMIT_LINES + 7), LOG_LIMIT_LINES);
	assert_int_equal(fake_log.lines, 0);
	fake_insn.tsc += tsc_from_us(LOG_LIMIT_WINDOW_US);
	assert_int_equal(take(&limit, 1), 1);
	assert_int_equal(fake_log.lines, 1);
	assert_string_equal(fake_log.last, "a: 7 lines dropped");
}

static void asking_on_does_not_lengthen_the_window(void **state)
{
	struct log_limit limit = { .since = fake_insn.tsc };

	(void)state;
	fake_insn.tsc_step = tsc_from_us(LOG_LIMIT_WINDOW_US) / 100;
	assert_in_range(take(&limit, 300), 3 * LOG_LIMIT_LINES, 4 * LOG_LIMIT_LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(few_lines_pass, fresh),
		cmocka_unit_test_setup(the_rest_is_dropped_and_counted, fresh),
		cmocka_unit_test_setup(asking_on_does_not_lengthen_the_window, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
