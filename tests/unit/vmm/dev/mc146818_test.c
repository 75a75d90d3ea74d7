/* The clock: dates, formats, freezing, the three interrupts, memory sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/calendar.h"
#include "vmm/dev/mc146818.h"
#include "vmm/dev/ticks.h"

#define NEW_YEAR_2024 1704067200ULL /* a Monday */
#define MS	      1000000ULL

struct rtc {
	struct fake fake;
	struct mc146818 chip;
};

static void rtc_start(struct rtc *r, u64 utc)
{
	struct dev_env env = fake_env(&r->fake);

	r->fake.now_ns = 123456789;
	mc146818_init(&r->chip, &env);
	mc146818_set_time(&r->chip, utc);
}

static u8 reg_read(struct rtc *r, u8 index)
{
	mc146818_write(&r->chip, MC146818_INDEX, index);
	return mc146818_read(&r->chip, MC146818_DATA);
}

static void reg_write(struct rtc *r, u8 index, u8 value)
{
	mc146818_write(&r->chip, MC146818_INDEX, index);
	mc146818_write(&r->chip, MC146818_DATA, value);
}

static void run_for(struct rtc *r, u64 ns)
{
	u64 end = r->fake.now_ns + ns;

	while (fake_next_expiry(&r->fake, end))
		mc146818_expire(&r->chip, MC146818_TIMER);
}

/* Second, minute, hour, weekday, day, month, year, century. */
static void expect_time(struct rtc *r, const u8 expected[8])
{
	static const u8 regs[8] = { 0, 2, 4, 6, 7, 8, 9, 0x32 };

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(reg_read(r, regs[i]), expected[i]);
}

#define EXPECT_TIME(r, ...) expect_time(r, (const u8[8]){ __VA_ARGS__ })

static void calendar_agrees_both_ways(void **state)
{
	struct calendar last = calendar_from_seconds(0);

	(void)state;
	assert_int_equal(last.weekday, 6);
	for (u64 day = 1; day < 2600ULL * 366; day++) {
		struct calendar date = calendar_from_seconds(day * SECONDS_PER_DAY + 86399);

		assert_int_equal(calendar_to_seconds(&date), day * SECONDS_PER_DAY + 86399);
		assert_int_equal(date.weekday, (last.weekday + 1) % 7);
		if (date.day != last.day + 1)
			assert_true(date.day == 1 && last.day >= 28);
		last = date;
	}
	for (u32 year = 1900; year <= 2400; year += 100) {
		struct calendar leap = { .year = year, .month = 2, .day = 29 };

		leap = calendar_from_seconds(calendar_to_seconds(&leap));
		assert_int_equal(leap.month, year % 400 == 0 ? 2 : 3);
	}
}

static void epoch_is_1970(void **state)
{
	struct rtc r;
	struct dev_env env = fake_env(&r.fake);

	(void)state;
	mc146818_init(&r.chip, &env);
	EXPECT_TIME(&r, 0, 0, 0, 5, 1, 1, 0x70, 0x19);
	assert_int_equal(reg_read(&r, 0x0d), 0x80);
	assert_int_equal(mc146818_read(&r.chip, MC146818_INDEX), 0xff);
	assert_int_equal(mc146818_read(&r.chip, 2), 0xff);
	assert_int_equal(r.fake.timer_sets, 0);
}

static void leap_day_and_new_year(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024 - 1);
	EXPECT_TIME(&r, 0x59, 0x59, 0x23, 1, 0x31, 0x12, 0x23, 0x20);
	run_for(&r, NS_PER_SECOND - 1);
	assert_int_equal(reg_read(&r, 0), 0x59);
	run_for(&r, 1);
	EXPECT_TIME(&r, 0, 0, 0, 2, 1, 1, 0x24, 0x20);
	run_for(&r, 59 * SECONDS_PER_DAY * NS_PER_SECOND);
	EXPECT_TIME(&r, 0, 0, 0, 5, 0x29, 2, 0x24, 0x20);
	run_for(&r, SECONDS_PER_DAY * NS_PER_SECOND);
	EXPECT_TIME(&r, 0, 0, 0, 6, 1, 3, 0x24, 0x20);
}

static void formats(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024 + 23 * 3600 + 58 * 60 + 45);
	reg_write(&r, 0x0b, 0x06);
	EXPECT_TIME(&r, 45, 58, 23, 2, 1, 1, 24, 20);
	reg_write(&r, 0x0b, 0x04);
	assert_int_equal(reg_read(&r, 4), 0x80 | 11);
	reg_write(&r, 0x0b, 0x00);
	assert_int_equal(reg_read(&r, 4), 0x91);
	run_for(&r, 2 * 60 * NS_PER_SECOND);
	assert_int_equal(reg_read(&r, 4), 0x12); /* midnight */
	run_for(&r, 12 * 3600 * NS_PER_SECOND);
	assert_int_equal(reg_read(&r, 4), 0x92); /* noon */
	run_for(&r, 3600 * NS_PER_SECOND);
	assert_int_equal(reg_read(&r, 4), 0x81);
	reg_write(&r, 4, 0x92);
	reg_write(&r, 0x0b, 0x02);
	assert_int_equal(reg_read(&r, 4), 0x12);
	reg_write(&r, 0x0b, 0x00);
	reg_write(&r, 4, 0x12);
	reg_write(&r, 0x0b, 0x02);
	assert_int_equal(reg_read(&r, 4), 0x00);
}

static void frozen_time_is_memory(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	run_for(&r, 300 * MS);
	reg_write(&r, 0x0b, 0x82);
	run_for(&r, 10 * NS_PER_SECOND);
	EXPECT_TIME(&r, 0, 0, 0, 2, 1, 1, 0x24, 0x20);
	reg_write(&r, 0, 0x58);
	reg_write(&r, 2, 0x59);
	reg_write(&r, 4, 0x23);
	reg_write(&r, 6, 0x04);
	reg_write(&r, 7, 0x28);
	reg_write(&r, 8, 0x02);
	reg_write(&r, 9, 0x00);
	reg_write(&r, 0x32, 0x21);
	run_for(&r, 10 * NS_PER_SECOND);
	reg_write(&r, 0x0b, 0x02);
	EXPECT_TIME(&r, 0x58, 0x59, 0x23, 4, 0x28, 2, 0, 0x21);
	run_for(&r, 700 * MS); /* the divider chain has run on */
	assert_int_equal(reg_read(&r, 0), 0x59);
	run_for(&r, NS_PER_SECOND);
	EXPECT_TIME(&r, 0, 0, 0, 5, 1, 3, 0, 0x21); /* 2100 is no leap year; weekday as set */
}

static void divider_reset_restarts_the_second(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	run_for(&r, 900 * MS);
	reg_write(&r, 0x0a, 0x76);
	run_for(&r, 5 * NS_PER_SECOND);
	assert_int_equal(reg_read(&r, 0), 0);
	assert_int_equal(reg_read(&r, 0x0a), 0x76);
	reg_write(&r, 0, 0x30);
	reg_write(&r, 0x0a, 0x26);
	run_for(&r, 499 * MS);
	assert_int_equal(reg_read(&r, 0), 0x30);
	run_for(&r, 1 * MS);
	assert_int_equal(reg_read(&r, 0), 0x31);
}

static void impossible_time_is_moved_into_range(void **state)
{
	static const u8 regs[8] = { 0, 2, 4, 6, 7, 8, 9, 0x32 };
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	for (unsigned fill = 0; fill < 256; fill++) {
		reg_write(&r, 0x0b, (u8)(0x80 | (fill & 6)));
		for (unsigned i = 0; i < 8; i++)
			reg_write(&r, regs[i], (u8)fill);
		reg_write(&r, 0x0b, 0x06);
		assert_in_range(reg_read(&r, 0), 0, 59);
		assert_in_range(reg_read(&r, 4), 0, 23);
		assert_in_range(reg_read(&r, 6), 1, 7);
		assert_in_range(reg_read(&r, 7), 1, 31);
		assert_in_range(reg_read(&r, 8), 1, 12);
		assert_in_range(reg_read(&r, 9), 0, 99);
	}
}

static void running_time_takes_a_single_byte(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024 + 5);
	reg_write(&r, 4, 0x17);
	EXPECT_TIME(&r, 5, 0, 0x17, 2, 1, 1, 0x24, 0x20);
	run_for(&r, NS_PER_SECOND);
	EXPECT_TIME(&r, 6, 0, 0x17, 2, 1, 1, 0x24, 0x20);
}

static void update_in_progress_comes_before_the_second(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	run_for(&r, NS_PER_SECOND - 2229000);
	assert_int_equal(reg_read(&r, 0x0a), 0x26);
	run_for(&r, 1000);
	assert_int_equal(reg_read(&r, 0x0a), 0xa6);
	run_for(&r, 2228000);
	assert_int_equal(reg_read(&r, 0x0a), 0x26);
	reg_write(&r, 0x0b, 0x82);
	run_for(&r, NS_PER_SECOND - 1);
	assert_int_equal(reg_read(&r, 0x0a), 0x26);
}

static void update_interrupt_waits_for_register_c(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	reg_write(&r, 0x0b, 0x12);
	run_for(&r, NS_PER_SECOND - 1);
	assert_false(r.fake.line[0]);
	run_for(&r, 1);
	assert_true(r.fake.line[0]);
	run_for(&r, 10 * NS_PER_SECOND);
	assert_int_equal(r.fake.rises[0], 1);
	assert_int_equal(r.fake.deadline_ns[0], DEV_NEVER);
	assert_int_equal(reg_read(&r, 0x0c), 0xd0); /* no alarm, but periods went by */
	assert_false(r.fake.line[0]);
	assert_int_equal(reg_read(&r, 0x0c), 0);
	run_for(&r, NS_PER_SECOND);
	assert_int_equal(r.fake.rises[0], 2);
	reg_write(&r, 0x0b, 0x92); /* SET turns the update interrupt off */
	assert_int_equal(reg_read(&r, 0x0b), 0x82);
	assert_false(r.fake.line[0]);
}

static void periodic_interrupt_has_its_rates(void **state)
{
	static const struct {
		u8 rate;
		unsigned hertz;
	} rows[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };
	struct rtc r;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 end;

		rtc_start(&r, NEW_YEAR_2024);
		reg_write(&r, 0x0a, (u8)(0x20 | rows[i].rate));
		reg_write(&r, 0x0b, 0x42);
		end = r.fake.now_ns + 10 * NS_PER_SECOND;
		while (fake_next_expiry(&r.fake, end)) {
			mc146818_expire(&r.chip, MC146818_TIMER);
			assert_true(r.fake.line[0]);
			assert_int_equal(reg_read(&r, 0x0c) & 0xc0, 0xc0);
		}
		assert_int_equal(r.fake.rises[0], 10 * rows[i].hertz);
	}
	reg_write(&r, 0x0a, 0x20); /* no rate */
	(void)reg_read(&r, 0x0c);
	assert_int_equal(r.fake.deadline_ns[0], DEV_NEVER);
}

static void missed_periods_count_once(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	reg_write(&r, 0x0b, 0x42);
	r.fake.now_ns += 3 * NS_PER_SECOND;
	mc146818_expire(&r.chip, MC146818_TIMER);
	assert_int_equal(r.fake.rises[0], 1);
	(void)reg_read(&r, 0x0c);
	assert_true(r.fake.deadline_ns[0] > r.fake.now_ns);
	mc146818_expire(&r.chip, MC146818_TIMER);
	assert_int_equal(r.fake.rises[0], 1);
}

static void alarm_at_a_time_of_day(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024 + 12 * 3600);
	reg_write(&r, 1, 0x15);
	reg_write(&r, 3, 0x30);
	reg_write(&r, 5, 0x11);
	reg_write(&r, 0x0b, 0x22);
	run_for(&r, (23 * 3600 + 30 * 60 + 15) * NS_PER_SECOND - 1);
	assert_false(r.fake.line[0]);
	run_for(&r, 1);
	assert_true(r.fake.line[0]);
	assert_int_equal(reg_read(&r, 0x0c) & 0xa0, 0xa0);
	run_for(&r, SECONDS_PER_DAY * NS_PER_SECOND);
	assert_int_equal(r.fake.rises[0], 2);
}

static void alarm_with_any_hour_and_minute(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024 + 50);
	reg_write(&r, 1, 0x20);
	reg_write(&r, 3, 0xff);
	reg_write(&r, 5, 0xc0);
	reg_write(&r, 0x0b, 0x22);
	run_for(&r, 30 * NS_PER_SECOND - 1);
	assert_false(r.fake.line[0]);
	run_for(&r, 1);
	assert_true(r.fake.line[0]);
}

static void impossible_alarm_never_comes(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	reg_write(&r, 1, 0x75);
	reg_write(&r, 3, 0xff);
	reg_write(&r, 5, 0xff);
	reg_write(&r, 0x0b, 0x22);
	assert_int_equal(r.fake.deadline_ns[0], DEV_NEVER);
	run_for(&r, 3 * SECONDS_PER_DAY * NS_PER_SECOND);
	assert_int_equal(reg_read(&r, 0x0c) & 0x20, 0);
}

static void flags_without_enables_are_seen_by_polling(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	run_for(&r, 2 * NS_PER_SECOND);
	assert_int_equal(r.fake.timer_sets, 0);
	assert_int_equal(reg_read(&r, 0x0c), 0x50);
	assert_int_equal(reg_read(&r, 0x0c), 0);
	run_for(&r, NS_PER_SECOND);
	reg_write(&r, 0x0b, 0x12); /* the flag is already there */
	assert_true(r.fake.line[0]);
}

static void memory_is_kept_and_sized(void **state)
{
	struct rtc r;

	(void)state;
	rtc_start(&r, NEW_YEAR_2024);
	reg_write(&r, 0x8f, 0x5a); /* the top bit of the index is the NMI mask */
	assert_int_equal(reg_read(&r, 0x0f), 0x5a);
	reg_write(&r, 0x0c, 0xff);
	reg_write(&r, 0x0d, 0x00);
	assert_int_equal(reg_read(&r, 0x0c), 0);
	assert_int_equal(reg_read(&r, 0x0d), 0x80);
	mc146818_set_memory(&r.chip, 3 * GIB, 5 * GIB);
	assert_int_equal(reg_read(&r, 0x15) | reg_read(&r, 0x16) << 8, 640);
	assert_int_equal(reg_read(&r, 0x17) | reg_read(&r, 0x18) << 8, 0xffff);
	assert_int_equal(reg_read(&r, 0x30) | reg_read(&r, 0x31) << 8, 0xffff);
	assert_int_equal(reg_read(&r, 0x34) | reg_read(&r, 0x35) << 8, (3 * GIB - 16 * MIB) >> 16);
	assert_int_equal(reg_read(&r, 0x5b) | reg_read(&r, 0x5c) << 8 | reg_read(&r, 0x5d) << 16,
			 5 * GIB >> 16);
	mc146818_set_memory(&r.chip, 8 * MIB, 0);
	assert_int_equal(reg_read(&r, 0x17) | reg_read(&r, 0x18) << 8, 7 * 1024);
	assert_int_equal(reg_read(&r, 0x34) | reg_read(&r, 0x35) << 8, 0);
	mc146818_set_memory(&r.chip, 0, UINT64_MAX);
	assert_int_equal(reg_read(&r, 0x17) | reg_read(&r, 0x18) << 8, 0);
	assert_int_equal(reg_read(&r, 0x5d), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calendar_agrees_both_ways),
		cmocka_unit_test(epoch_is_1970),
		cmocka_unit_test(leap_day_and_new_year),
		cmocka_unit_test(formats),
		cmocka_unit_test(frozen_time_is_memory),
		cmocka_unit_test(divider_reset_restarts_the_second),
		cmocka_unit_test(impossible_time_is_moved_into_range),
		cmocka_unit_test(running_time_takes_a_single_byte),
		cmocka_unit_test(update_in_progress_comes_before_the_second),
		cmocka_unit_test(update_interrupt_waits_for_register_c),
		cmocka_unit_test(periodic_interrupt_has_its_rates),
		cmocka_unit_test(missed_periods_count_once),
		cmocka_unit_test(alarm_at_a_time_of_day),
		cmocka_unit_test(alarm_with_any_hour_and_minute),
		cmocka_unit_test(impossible_alarm_never_comes),
		cmocka_unit_test(flags_without_enables_are_seen_by_polling),
		cmocka_unit_test(memory_is_kept_and_sized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
