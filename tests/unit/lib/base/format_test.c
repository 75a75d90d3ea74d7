/* Tests of the small printf, most of them against the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/format.h"

static char text[128], expected[128];

/* The same conversion by both, with lengths. */
#define SAME(...)                                                                       \
	do {                                                                            \
		int length = snprintf(expected, sizeof(expected), __VA_ARGS__);         \
                                                                                        \
		assert_int_equal(format(text, sizeof(text), __VA_ARGS__), (u64)length); \
		assert_string_equal(text, expected);                                    \
	} while (0)

static void numbers(void **state)
{
	(void)state;
	SAME("%d %i %u %x", 0, 1, 2U, 3U);
	SAME("%d", INT32_MIN);
	SAME("%d", INT32_MAX);
	SAME("%u", UINT32_MAX);
	SAME("%x", 0xdeadbeef);
	SAME("%ld", INT64_MIN);
	SAME("%ld", INT64_MAX);
	SAME("%lu", UINT64_MAX);
	SAME("%lx", UINT64_MAX);
	SAME("%llu %lld", 1ULL << 63, -1LL);
	SAME("%zu", (size_t)1 << 40);
}

static void width_and_flags(void **state)
{
	(void)state;
	SAME("[%5d] [%-5d] [%05d]", 42, 42, 42);
	SAME("[%5d] [%-5d] [%05d]", -42, -42, -42);
	SAME("[%016lx] [%4x] [%1x]", 0xabcUL, 0x12345U, 0x12345U);
	SAME("[%8s] [%-8s] [%2s]", "abc", "abc", "abc");
	SAME("[%3c] [%-3c]", 'x', 'x');
	SAME("[%012ld]", INT64_MIN / 1000000000);
}

static void strings(void **state)
{
	char open_end[3] = { 'a', 'b', 'c' }; /* not terminated */
	const char *volatile nothing = NULL;

	(void)state;
	SAME("%s", "");
	SAME("[%.3s] [%.0s] [%.9s]", "abcdef", "abcdef", "abc");
	SAME("%.3s|%.*s", open_end, 2, open_end);
	SAME("[%6.2s] [%-6.2s]", "abc", "abc");
	SAME("[%.*s]", -1, "all of it");
	format(text, sizeof(text), "%s", nothing);
	assert_string_equal(text, "(null)");
}

static void percent_and_plain(void **state)
{
	const char *odd = "100%% %"; /* ends inside a conversion */

	(void)state;
	SAME("%d%%", 100);
	SAME("plain");
	assert_int_equal(format(text, sizeof(text), "%s", ""), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	assert_int_equal(format(text, sizeof(text), odd), 5);
#pragma GCC diagnostic pop
	assert_string_equal(text, "100% ");
	format(text, sizeof(text), "%p", (void *)0xabc000);
	assert_string_equal(text, "abc000");
}

/* Every size of buffer: always terminated, never a byte beyond. */
static void cut_at_the_end(void **state)
{
	(void)state;
	assert_int_equal(format(text, 0, "abc"), 0);
	for (size_t size = 1; size < 20; size++) {
		memset(text, '#', sizeof(text));
		size_t length = format(text, size, "%s-%5d-%c", "abcd", 12, 'z');

		assert_int_equal(length, size - 1 < 12 ? size - 1 : 12);
		assert_int_equal(text[length], '\0');
		assert_int_equal(text[size], '#');
		assert_int_equal(strncmp(text, "abcd-   12-z", length), 0);
	}
}

static void a_huge_width_stays_inside(void **state)
{
	(void)state;
	assert_int_equal(format(text, sizeof(text), "%9999d", 1), sizeof(text) - 1);
	assert_int_equal(format(text, sizeof(text), "%-9999d|", 1), sizeof(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),	  cmocka_unit_test(width_and_flags),
		cmocka_unit_test(strings),	  cmocka_unit_test(percent_and_plain),
		cmocka_unit_test(cut_at_the_end), cmocka_unit_test(a_huge_width_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
