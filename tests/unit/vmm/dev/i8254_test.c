/* The interval timer: exact counts in every mode, edges of counter 0, port 0x61. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/i8254.h"
#include "vmm/dev/ticks.h"

#define START_TICK 1000000ULL

struct pit {
	struct fake fake;
	struct i8254 chip;
};

static void pit_start(struct pit *p)
{
	struct dev_env env = fake_env(&p->fake);

	p->fake.now_ns = ticks_to_ns(START_TICK, I8254_HZ);
	i8254_init(&p->chip, &env);
}

/* Moves to `tick` ticks after the start, running the timer as the board would. */
static void run_to(struct pit *p, u64 tick)
{
	while (fake_next_expiry(&p->fake, ticks_to_ns(START_TICK + tick, I8254_HZ)))
		i8254_expire(&p->chip, I8254_TIMER);
}

static void control(struct pit *p, u8 value)
{
	i8254_write(&p->chip, I8254_CONTROL, value);
}

static void count_write(struct pit *p, u16 counter, u16 count)
{
	i8254_write(&p->chip, counter, (u8)count);
	i8254_write(&p->chip, counter, (u8)(count >> 8));
}

static u16 count_read(struct pit *p, u16 counter)
{
	u8 low = i8254_read(&p->chip, counter);

	return (u16)(low | i8254_read(&p->chip, counter) << 8);
}

static bool out2(struct pit *p)
{
	return (i8254_port61_read(&p->chip) & 0x20) != 0;
}

static void ticks_are_exact(void **state)
{
	u64 year_ns = 365ULL * 86400 * NS_PER_SECOND;

	(void)state;
	assert_int_equal(ticks_from_ns(NS_PER_SECOND, I8254_HZ), I8254_HZ);
	assert_int_equal(ticks_from_ns(100 * year_ns, I8254_HZ), 100ULL * 365 * 86400 * I8254_HZ);
	assert_int_equal(ticks_from_ns(838, I8254_HZ), 0);
	assert_int_equal(ticks_from_ns(839, I8254_HZ), 1);
	for (u64 tick = 5 * I8254_HZ - 2000; tick < 5 * I8254_HZ + 2000; tick++) {
		u64 ns = ticks_to_ns(tick, I8254_HZ);

		assert_int_equal(ticks_from_ns(ns, I8254_HZ), tick);
		assert_int_equal(ticks_from_ns(ns - 1, I8254_HZ), tick - 1);
	}
	assert_int_equal(ticks_to_ns(UINT64_MAX, 1), DEV_NEVER);
}

static void unprogrammed_counters_are_quiet(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	i8254_write(&p.chip, 0, 5);
	run_to(&p, 200000);
	assert_int_equal(p.fake.timer_sets, 0);
	assert_int_equal(p.fake.rises[0], 0);
	assert_int_equal(i8254_read(&p.chip, 0), 0);
	assert_int_equal(i8254_read(&p.chip, 3), 0xff);
	assert_int_equal(i8254_read(&p.chip, 4), 0xff);
}

static void terminal_count_rises_once_and_wraps(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x30);
	count_write(&p, 0, 100);
	run_to(&p, 1);
	assert_int_equal(count_read(&p, 0), 100); /* loaded by the first tick */
	run_to(&p, 2);
	assert_int_equal(count_read(&p, 0), 99);
	run_to(&p, 100);
	assert_false(p.fake.line[0]);
	run_to(&p, 101);
	assert_true(p.fake.line[0]);
	assert_int_equal(count_read(&p, 0), 0);
	run_to(&p, 102);
	assert_int_equal(count_read(&p, 0), 0xffff);
	run_to(&p, 300000);
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(p.fake.deadline_ns[0], DEV_NEVER);
	count_write(&p, 0, 10);
	assert_false(p.fake.line[0]);
	run_to(&p, 300100);
	assert_int_equal(p.fake.rises[0], 2);
}

static void first_byte_stops_a_terminal_count(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x30);
	count_write(&p, 0, 100);
	i8254_write(&p.chip, 0, 50);
	run_to(&p, 1000);
	assert_false(p.fake.line[0]);
	i8254_write(&p.chip, 0, 0);
	run_to(&p, 1050);
	assert_false(p.fake.line[0]);
	run_to(&p, 1051);
	assert_true(p.fake.line[0]);
}

static void rate_generator_never_drifts(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x34);
	count_write(&p, 0, 1193);
	assert_int_equal(p.fake.rises[0], 1); /* the idle level is high */
	run_to(&p, 1 + 1193 * 10000 - 1);
	assert_int_equal(p.fake.rises[0], 1 + 9999);
	assert_int_equal(count_read(&p, 0), 1);
	run_to(&p, 1 + 1193 * 10000);
	assert_int_equal(p.fake.rises[0], 1 + 10000);
	assert_int_equal(count_read(&p, 0), 1193);
	run_to(&p, 1 + 1193 * 10000 + 193);
	assert_int_equal(count_read(&p, 0), 1000);
}

static void late_timer_gives_one_edge(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x34);
	count_write(&p, 0, 1000);
	p.fake.rises[0] = 0;
	p.fake.now_ns = ticks_to_ns(START_TICK + 50500, I8254_HZ);
	i8254_expire(&p.chip, I8254_TIMER);
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(p.fake.deadline_ns[0], ticks_to_ns(START_TICK + 51001, I8254_HZ));
	i8254_expire(&p.chip, I8254_TIMER); /* too early: no edge, armed again */
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(p.fake.deadline_ns[0], ticks_to_ns(START_TICK + 51001, I8254_HZ));
}

static void fastest_rate_is_no_storm(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x34);
	count_write(&p, 0, 2);
	run_to(&p, I8254_HZ / 100); /* 10 ms, 5966 periods */
	assert_in_range(p.fake.rises[0], 300, 501);
	control(&p, 0x34);
	count_write(&p, 0, 1); /* not a rate: stays low */
	p.fake.rises[0] = 0;
	run_to(&p, I8254_HZ / 50);
	assert_int_equal(p.fake.rises[0], 0);
}

static void new_rate_starts_with_the_next_period(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x34);
	count_write(&p, 0, 1000);
	run_to(&p, 501);
	count_write(&p, 0, 300);
	assert_int_equal(count_read(&p, 0), 500);
	p.fake.rises[0] = 0;
	run_to(&p, 1000);
	assert_int_equal(p.fake.rises[0], 0);
	run_to(&p, 1001);
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(count_read(&p, 0), 300);
	run_to(&p, 1300);
	assert_int_equal(p.fake.rises[0], 1);
	run_to(&p, 1301);
	assert_int_equal(p.fake.rises[0], 2);
}

static void square_wave_counts_by_twos(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	i8254_port61_write(&p.chip, 1);
	control(&p, 0xb6);
	count_write(&p, 2, 5);
	static const struct {
		u8 count;
		bool out;
	} expected[5] = { { 4, 1 }, { 2, 1 }, { 0, 1 }, { 4, 0 }, { 2, 0 } };

	for (unsigned i = 0; i < 10; i++) {
		run_to(&p, 1 + i);
		assert_int_equal(count_read(&p, 2), expected[i % 5].count);
		assert_int_equal(out2(&p), expected[i % 5].out);
	}
}

static void square_wave_takes_a_count_at_the_half_period(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x36);
	count_write(&p, 0, 1000);
	p.fake.rises[0] = 0;
	run_to(&p, 101); /* in the high half */
	count_write(&p, 0, 60);
	run_to(&p, 500);
	assert_int_equal(count_read(&p, 0), 2);
	run_to(&p, 501); /* the low half is already the new one */
	assert_int_equal(count_read(&p, 0), 60);
	run_to(&p, 530);
	assert_int_equal(p.fake.rises[0], 0);
	run_to(&p, 531);
	assert_int_equal(p.fake.rises[0], 1);
	run_to(&p, 591);
	assert_int_equal(p.fake.rises[0], 2);
	run_to(&p, 591 + 45); /* in the low half */
	count_write(&p, 0, 40);
	run_to(&p, 650);
	assert_int_equal(p.fake.rises[0], 2);
	run_to(&p, 651);
	assert_int_equal(p.fake.rises[0], 3);
	run_to(&p, 691);
	assert_int_equal(p.fake.rises[0], 4);
}

static void larger_count_taken_early_is_safe(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	p.fake.now_ns = 0; /* the new period would begin before time did */
	control(&p, 0x36);
	count_write(&p, 0, 4);
	count_write(&p, 0, 0);
	p.fake.rises[0] = 0;
	p.fake.now_ns = ticks_to_ns(3, I8254_HZ);
	assert_int_equal(count_read(&p, 0), 0);
	while (fake_next_expiry(&p.fake, ticks_to_ns(3 + 32768, I8254_HZ)))
		i8254_expire(&p.chip, I8254_TIMER);
	assert_int_equal(p.fake.rises[0], 1);
}

static void software_strobe_pulses_once(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x38);
	count_write(&p, 0, 200);
	p.fake.rises[0] = 0;
	run_to(&p, 201);
	assert_int_equal(p.fake.rises[0], 0);
	run_to(&p, 202);
	assert_int_equal(p.fake.rises[0], 1);
	assert_true(p.fake.line[0]);
	run_to(&p, 400000);
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(p.fake.deadline_ns[0], DEV_NEVER);
}

static void triggered_modes_wait_for_the_gate(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0xb2);
	count_write(&p, 2, 50);
	run_to(&p, 100);
	assert_true(out2(&p));
	i8254_port61_write(&p.chip, 1);
	run_to(&p, 102);
	assert_false(out2(&p));
	run_to(&p, 130);
	i8254_port61_write(&p.chip, 0);
	i8254_port61_write(&p.chip, 1); /* starts over */
	run_to(&p, 180);
	assert_false(out2(&p));
	run_to(&p, 181);
	assert_true(out2(&p));

	i8254_port61_write(&p.chip, 0);
	control(&p, 0xba);
	count_write(&p, 2, 50);
	run_to(&p, 300);
	assert_true(out2(&p));
	i8254_port61_write(&p.chip, 1);
	run_to(&p, 350);
	assert_true(out2(&p));
	run_to(&p, 351);
	assert_false(out2(&p));
	run_to(&p, 352);
	assert_true(out2(&p));
}

static void low_gate_pauses_counting(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	i8254_port61_write(&p.chip, 1);
	control(&p, 0xb0);
	count_write(&p, 2, 100);
	run_to(&p, 41);
	i8254_port61_write(&p.chip, 0);
	run_to(&p, 5000);
	assert_int_equal(count_read(&p, 2), 60);
	assert_false(out2(&p));
	i8254_port61_write(&p.chip, 1);
	run_to(&p, 5059);
	assert_false(out2(&p));
	run_to(&p, 5060);
	assert_true(out2(&p));
}

static void rising_gate_restarts_a_rate(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	i8254_port61_write(&p.chip, 1);
	control(&p, 0xb4);
	count_write(&p, 2, 100);
	run_to(&p, 100);
	assert_false(out2(&p));
	i8254_port61_write(&p.chip, 0);
	assert_true(out2(&p)); /* forced high */
	run_to(&p, 1000);
	i8254_port61_write(&p.chip, 1);
	run_to(&p, 1001);
	assert_int_equal(count_read(&p, 2), 100);
	run_to(&p, 1011);
	assert_int_equal(count_read(&p, 2), 90);
}

static void decimal_counts(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x35);
	count_write(&p, 0, 0x1234);
	run_to(&p, 1 + 235);
	assert_int_equal(count_read(&p, 0), 0x0999);
	run_to(&p, 1 + 1234);
	assert_int_equal(count_read(&p, 0), 0x1234);
	control(&p, 0x31);
	count_write(&p, 0, 0);
	run_to(&p, 1235 + 1);
	assert_int_equal(count_read(&p, 0), 0);
	run_to(&p, 1235 + 2);
	assert_int_equal(count_read(&p, 0), 0x9999);
	count_write(&p, 0, 0xffff); /* not decimal at all */
	run_to(&p, 60000);
	assert_true(p.fake.line[0]);
}

static void latches_hold(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x34);
	count_write(&p, 0, 1000);
	run_to(&p, 101);
	control(&p, 0x00); /* latch counter 0 */
	run_to(&p, 201);
	control(&p, 0x00); /* ignored: the first one is still held */
	assert_int_equal(count_read(&p, 0), 900);
	assert_int_equal(count_read(&p, 0), 800);
	control(&p, 0xc2); /* read-back: count and status of counter 0 */
	run_to(&p, 301);
	assert_int_equal(i8254_read(&p.chip, 0), 0x80 | 0x34);
	assert_int_equal(count_read(&p, 0), 800);
	assert_int_equal(count_read(&p, 0), 700);
	count_write(&p, 0, 500);
	control(&p, 0xe2); /* status alone: the count has not been taken yet */
	assert_int_equal(i8254_read(&p.chip, 0), 0xc0 | 0x34);
	run_to(&p, 1001);
	control(&p, 0xe2);
	assert_int_equal(i8254_read(&p.chip, 0), 0x80 | 0x34);
	control(&p, 0xd4); /* the count of counter 1: nothing programmed */
	assert_int_equal(i8254_read(&p.chip, 1), 0);
}

static void one_byte_counts(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	control(&p, 0x14);
	i8254_write(&p.chip, 0, 100);
	run_to(&p, 11);
	assert_int_equal(i8254_read(&p.chip, 0), 90);
	assert_int_equal(i8254_read(&p.chip, 0), 90);
	control(&p, 0x24);
	i8254_write(&p.chip, 0, 2);
	run_to(&p, 12);
	assert_int_equal(i8254_read(&p.chip, 0), 2);
	run_to(&p, 13);
	assert_int_equal(i8254_read(&p.chip, 0), 1);
	control(&p, 0x00);
	assert_int_equal(i8254_read(&p.chip, 0), 1);
}

/* The most significant byte that a calibration loop polls must fall steadily. */
static void polled_counter_falls_steadily(void **state)
{
	struct pit p;

	(void)state;
	pit_start(&p);
	i8254_port61_write(&p.chip, 1);
	control(&p, 0xb0);
	i8254_write(&p.chip, 2, 0xff);
	i8254_write(&p.chip, 2, 0xff);
	run_to(&p, 2);
	for (u64 high = 0xff; high > 0x80; high--) {
		u64 first = 1 + 0xffff - (high << 8 | 0xff);

		run_to(&p, first);
		(void)i8254_read(&p.chip, 2);
		assert_int_equal(i8254_read(&p.chip, 2), high);
		run_to(&p, first + 255);
		(void)i8254_read(&p.chip, 2);
		assert_int_equal(i8254_read(&p.chip, 2), high);
	}
}

static void port61_bits(void **state)
{
	struct pit p;
	unsigned toggles = 0;
	u8 last;

	(void)state;
	pit_start(&p);
	i8254_port61_write(&p.chip, 0xff);
	assert_int_equal(i8254_port61_read(&p.chip) & 0xcf, 0x0f);
	last = i8254_port61_read(&p.chip) & 0x10;
	for (unsigned i = 0; i < 1000; i++) {
		p.fake.now_ns += 1000;
		toggles += (i8254_port61_read(&p.chip) & 0x10) != last;
		last = i8254_port61_read(&p.chip) & 0x10;
	}
	assert_in_range(toggles, 65, 67); /* 1 ms at about 15 us */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_are_exact),
		cmocka_unit_test(unprogrammed_counters_are_quiet),
		cmocka_unit_test(terminal_count_rises_once_and_wraps),
		cmocka_unit_test(first_byte_stops_a_terminal_count),
		cmocka_unit_test(rate_generator_never_drifts),
		cmocka_unit_test(late_timer_gives_one_edge),
		cmocka_unit_test(fastest_rate_is_no_storm),
		cmocka_unit_test(new_rate_starts_with_the_next_period),
		cmocka_unit_test(square_wave_counts_by_twos),
		cmocka_unit_test(square_wave_takes_a_count_at_the_half_period),
		cmocka_unit_test(larger_count_taken_early_is_safe),
		cmocka_unit_test(software_strobe_pulses_once),
		cmocka_unit_test(triggered_modes_wait_for_the_gate),
		cmocka_unit_test(low_gate_pauses_counting),
		cmocka_unit_test(rising_gate_restarts_a_rate),
		cmocka_unit_test(decimal_counts),
		cmocka_unit_test(latches_hold),
		cmocka_unit_test(one_byte_counts),
		cmocka_unit_test(polled_counter_falls_steadily),
		cmocka_unit_test(port61_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
