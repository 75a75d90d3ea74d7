/* Sizes, times and shares as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "supervisor/units.h"

static void memory(void **state)
{
	(void)state;
	assert_string_equal(units_memory(0).text, "0K");
	assert_string_equal(units_memory(4 * KIB).text, "4K");
	assert_string_equal(units_memory(512 * MIB).text, "512M");
	assert_string_equal(units_memory(1536 * MIB).text, "1536M");
	assert_string_equal(units_memory(1024 * GIB).text, "1024G");
	assert_string_equal(units_memory(~0ULL).text, "18014398509481983K");
}

static void time(void **state)
{
	(void)state;
	assert_string_equal(units_time(0, 1000000).text, "0:00:00.00");
	assert_string_equal(units_time(1234567890, 1000000).text, "0:00:01.23");
	assert_string_equal(units_time(3661 * 2000000000ULL, 2000000).text, "1:01:01.00");
	assert_string_equal(units_time(~0ULL, 5000000).text, "1024819:06:54.74");
}

static void share(void **state)
{
	(void)state;
	assert_string_equal(units_share(0, 0).text, "-");
	assert_string_equal(units_share(0, 7).text, "0.0 %");
	assert_string_equal(units_share(1, 3).text, "33.3 %");
	assert_string_equal(units_share(7, 7).text, "100.0 %");
	assert_string_equal(units_share(~0ULL, ~0ULL).text, "100.0 %");
}

static void rate(void **state)
{
	(void)state;
	assert_int_equal(units_rate(5, 0, 1000000), 0);
	assert_int_equal(units_rate(5, 1000000000, 1000000), 5);
	assert_int_equal(units_rate(5, 2000000000, 1000000), 2);
	assert_int_equal(units_rate(~0ULL, 1, 5000000), ~0ULL); /* saturates */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),
		cmocka_unit_test(time),
		cmocka_unit_test(share),
		cmocka_unit_test(rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
