/* Tests of a * b / c against the compiler's 128-bit arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/mul_div.h"

static void check(u64 a, u64 b, u64 c)
{
	unsigned __int128 exact = (unsigned __int128)a * b / c;

	assert_int_equal(mul_div(a, b, c), exact > UINT64_MAX ? UINT64_MAX : (u64)exact);
}

static void edges(void **state)
{
	static const u64 edge[] = { 0,
				    1,
				    2,
				    3,
				    0xffffffff,
				    0x100000000,
				    BIT64(63),
				    BIT64(63) + 1,
				    UINT64_MAX - 1,
				    UINT64_MAX,
				    1000000000,
				    2400000 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(edge); i++)
		for (u32 j = 0; j < ARRAY_SIZE(edge); j++)
			for (u32 k = 1; k < ARRAY_SIZE(edge); k++)
				check(edge[i], edge[j], edge[k]);
}

static void anything(void **state)
{
	u64 seed = 1;

	(void)state;
	for (u32 i = 0; i < 100000; i++) {
		u64 n[3];

		for (u32 j = 0; j < 3; j++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			n[j] = (seed ^ seed >> 29) >> (seed >> 58);
		}
		check(n[0], n[1], n[2] | 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges),
		cmocka_unit_test(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
