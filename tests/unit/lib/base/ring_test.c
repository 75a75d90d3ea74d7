/* The byte ring between two processes: order, limits, and a hostile index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/ring.h"

static void bytes_come_out_in_order(void **state)
{
	static struct ring ring;
	u8 byte = 0;

	(void)state;
	assert_false(ring_get(&ring, &byte));
	for (u32 i = 0; i < RING_BYTES; i++)
		assert_true(ring_put(&ring, (u8)(i * 7)));
	assert_false(ring_put(&ring, 1));
	for (u32 i = 0; i < RING_BYTES; i++) {
		assert_true(ring_get(&ring, &byte));
		assert_int_equal(byte, (u8)(i * 7));
	}
	assert_false(ring_get(&ring, &byte));
}

static void wild_index_stays_inside(void **state)
{
	static struct ring ring;
	u8 byte;

	(void)state;
	ring.head = 0xffffffff;
	assert_int_equal(ring_used(&ring), RING_BYTES);
	assert_false(ring_put(&ring, 1));
	for (u32 i = 0; i < 3 * RING_BYTES && ring_get(&ring, &byte); i++)
		;
	assert_true(ring_used(&ring) <= RING_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_in_order),
		cmocka_unit_test(wild_index_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
