/* Restart policies: whether, when, and the back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "supervisor/restart.h"

static u64 delay(enum manifest_restart policy, enum guest_end end, u64 ran_ms)
{
	u32 failures = 0;

	return restart_delay(policy, end, ran_ms, &failures);
}

static void policies(void **state)
{
	static const struct {
		enum manifest_restart policy;
		enum guest_end end;
		bool restarts;
	} table[] = {
		{ MANIFEST_RESTART_NEVER, GUEST_END_IN_ORDER, false },
		{ MANIFEST_RESTART_NEVER, GUEST_END_FAILURE, false },
		{ MANIFEST_RESTART_NEVER, GUEST_END_RESET, true },
		{ MANIFEST_RESTART_ON_FAILURE, GUEST_END_IN_ORDER, false },
		{ MANIFEST_RESTART_ON_FAILURE, GUEST_END_FAILURE, true },
		{ MANIFEST_RESTART_ON_FAILURE, GUEST_END_RESET, true },
		{ MANIFEST_RESTART_ALWAYS, GUEST_END_IN_ORDER, true },
		{ MANIFEST_RESTART_ALWAYS, GUEST_END_FAILURE, true },
		{ MANIFEST_RESTART_ALWAYS, GUEST_END_RESET, true },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		u64 ms = delay(table[i].policy, table[i].end, 5000);

		assert_int_equal(ms != RESTART_NEVER, table[i].restarts);
	}
}

/* Making VMs without pause would leave nobody else the processor. */
static void starts_are_a_second_apart(void **state)
{
	(void)state;
	assert_int_equal(delay(MANIFEST_RESTART_ALWAYS, GUEST_END_IN_ORDER, 0), 1000);
	assert_int_equal(delay(MANIFEST_RESTART_ALWAYS, GUEST_END_IN_ORDER, 300), 700);
	assert_int_equal(delay(MANIFEST_RESTART_NEVER, GUEST_END_RESET, 999), 1);
	assert_int_equal(delay(MANIFEST_RESTART_NEVER, GUEST_END_RESET, 1000), 0);
	assert_int_equal(delay(MANIFEST_RESTART_NEVER, GUEST_END_RESET, ~0ULL), 0);
}

static void failures_in_a_row_back_off(void **state)
{
	static const u64 seconds[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
	u32 failures = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(seconds); i++)
		assert_int_equal(restart_delay(MANIFEST_RESTART_ON_FAILURE, GUEST_END_FAILURE, 10,
					       &failures),
				 seconds[i] * 1000);
	assert_int_equal(failures, ARRAY_SIZE(seconds));
	/* One that ran well for a while begins anew. */
	assert_int_equal(
		restart_delay(MANIFEST_RESTART_ALWAYS, GUEST_END_FAILURE, 60000, &failures), 1000);
	assert_int_equal(failures, 1);
	/* And so does one that ended in order. */
	failures = 7;
	(void)restart_delay(MANIFEST_RESTART_ALWAYS, GUEST_END_IN_ORDER, 10, &failures);
	assert_int_equal(failures, 0);
}

static void a_reset_is_no_recovery(void **state)
{
	u32 failures = 3;

	(void)state;
	(void)restart_delay(MANIFEST_RESTART_ON_FAILURE, GUEST_END_RESET, 10, &failures);
	assert_int_equal(failures, 3);
	failures = ~0U;
	assert_in_range(restart_delay(MANIFEST_RESTART_ALWAYS, GUEST_END_FAILURE, 1, &failures),
			1000, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies),
		cmocka_unit_test(starts_are_a_second_apart),
		cmocka_unit_test(failures_in_a_row_back_off),
		cmocka_unit_test(a_reset_is_no_recovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
