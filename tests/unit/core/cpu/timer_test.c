/* Tests of the timer queue: order, moving, firing, and what the hardware is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"

static struct timer timer[4];
static u32 fired[16], fired_count;

static void fire(struct timer *t)
{
	assert_int_equal(t->deadline, TIMER_NEVER); /* it may be set again from here */
	assert_true(fired_count < ARRAY_SIZE(fired));
	fired[fired_count++] = (u32)(t - timer);
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_insn.tsc = 0;
	fake_insn.tsc_step = 0;
	fake_devices = (struct fake_devices){ 0 };
	fired_count = 0;
	for (u32 i = 0; i < ARRAY_SIZE(timer); i++)
		timer_init(&timer[i], fire);
	return 0;
}

static void interrupt_at(u64 now)
{
	fake_insn.tsc = now;
	timer_interrupt();
}

static void fires_in_order_of_deadlines(void **state)
{
	(void)state;
	timer_set(&timer[0], 300);
	timer_set(&timer[1], 100);
	timer_set(&timer[2], 200);
	timer_set(&timer[3], 100); /* equal deadlines: first come, first served */
	interrupt_at(250);
	assert_int_equal(fired_count, 3);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 3);
	assert_int_equal(fired[2], 2);
	assert_ptr_equal(boot_cpu.timers.first, &timer[0]);
	interrupt_at(300);
	assert_int_equal(fired_count, 4);
	assert_null(boot_cpu.timers.first);
}

static void hardware_follows_the_earliest(void **state)
{
	(void)state;
	timer_set(&timer[0], 300);
	assert_int_equal(fake_devices.timer_deadline, 300);
	timer_set(&timer[1], 400); /* later: nothing to tell */
	assert_int_equal(fake_devices.timer_arms, 1);
	timer_set(&timer[2], 100);
	assert_int_equal(fake_devices.timer_deadline, 100);
	interrupt_at(100);
	assert_int_equal(fake_devices.timer_deadline, 300);
	interrupt_at(300);
	assert_int_equal(fake_devices.timer_deadline, 400);
	assert_int_equal(fake_devices.timer_arms, 4);
}

static void early_interrupt_arms_again(void **state)
{
	(void)state;
	timer_set(&timer[0], 1000000);
	interrupt_at(500);
	assert_int_equal(fired_count, 0);
	assert_int_equal(fake_devices.timer_arms, 2);
	assert_int_equal(fake_devices.timer_deadline, 1000000);
}

static void moving_and_taking_out(void **state)
{
	(void)state;
	timer_set(&timer[0], 100);
	timer_set(&timer[1], 200);
	timer_set(&timer[0], 300); /* later */
	timer_set(&timer[1], TIMER_NEVER);
	timer_set(&timer[2], TIMER_NEVER); /* never was in */
	assert_int_equal(timer[1].deadline, TIMER_NEVER);
	interrupt_at(250);
	assert_int_equal(fired_count, 0);
	assert_int_equal(fake_devices.timer_deadline, 300);
	timer_set(&timer[0], 260); /* earlier */
	assert_int_equal(fake_devices.timer_deadline, 260);
	interrupt_at(260);
	assert_int_equal(fired_count, 1);
}

static void removing_from_the_middle_keeps_the_rest(void **state)
{
	(void)state;
	for (u32 i = 0; i < 4; i++)
		timer_set(&timer[i], 100 + i);
	timer_set(&timer[1], TIMER_NEVER);
	timer_set(&timer[3], TIMER_NEVER);
	timer_set(&timer[1], 101);
	interrupt_at(1000);
	assert_int_equal(fired_count, 3);
	assert_int_equal(fired[0], 0);
	assert_int_equal(fired[1], 1);
	assert_int_equal(fired[2], 2);
}

static void fire_later(struct timer *t)
{
	fire(t);
	timer_set(t, 500);
}

static void takes_out_the_other(struct timer *t)
{
	fire(t);
	timer_set(&timer[1], TIMER_NEVER);
}

static void handlers_may_change_the_queue(void **state)
{
	(void)state;
	timer_init(&timer[0], fire_later);
	timer_set(&timer[0], 100);
	interrupt_at(100);
	interrupt_at(499);
	assert_int_equal(fired_count, 1);
	assert_int_equal(fake_devices.timer_deadline, 500);
	timer_set(&timer[0], TIMER_NEVER);
	timer_init(&timer[0], takes_out_the_other);
	timer_set(&timer[0], 600);
	timer_set(&timer[1], 600);
	interrupt_at(700);
	assert_int_equal(fired_count, 2);
	assert_null(boot_cpu.timers.first);
}

static void a_past_deadline_fires_at_once(void **state)
{
	(void)state;
	fake_insn.tsc = 1000;
	timer_set(&timer[0], 5);
	timer_set(&timer[1], 0);
	assert_int_equal(fake_devices.timer_deadline, 0);
	interrupt_at(1000);
	assert_int_equal(fired_count, 2);
	assert_int_equal(fired[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(fires_in_order_of_deadlines, fresh),
		cmocka_unit_test_setup(hardware_follows_the_earliest, fresh),
		cmocka_unit_test_setup(early_interrupt_arms_again, fresh),
		cmocka_unit_test_setup(moving_and_taking_out, fresh),
		cmocka_unit_test_setup(removing_from_the_middle_keeps_the_rest, fresh),
		cmocka_unit_test_setup(handlers_may_change_the_queue, fresh),
		cmocka_unit_test_setup(a_past_deadline_fires_at_once, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
