/* ACPI power management: widths, PM timer and its overflow, power button, S5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/dev/ticks.h"

#define TMR_STS	   0x0001
#define PWRBTN_STS 0x0100

struct pm {
	struct fake fake;
	struct acpi_pm chip;
};

static void pm_start(struct pm *p)
{
	struct dev_env env = fake_env(&p->fake);

	acpi_pm_init(&p->chip, &env);
}

static u32 in(struct pm *p, u16 offset, unsigned size)
{
	return acpi_pm_read(&p->chip, offset, size);
}

static void out(struct pm *p, u16 offset, unsigned size, u32 value)
{
	acpi_pm_write(&p->chip, offset, size, value);
}

static void run_to_tick(struct pm *p, u64 tick)
{
	while (fake_next_expiry(&p->fake, ticks_to_ns(tick, ACPI_PM_TMR_HZ)))
		acpi_pm_expire(&p->chip, ACPI_PM_TIMER);
}

static void acpi_mode_is_always_on(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	assert_int_equal(in(&p, ACPI_PM1_CNT, 2), 0x0001);
	out(&p, ACPI_PM1_CNT, 2, 0);
	assert_int_equal(in(&p, ACPI_PM1_CNT, 2), 0x0001);
	assert_int_equal(in(&p, ACPI_PM1_CNT, 1), 0x01);
	out(&p, ACPI_PM1_CNT, 4, 0xffffdbff); /* everything but SLP_EN, and another sleep type */
	assert_int_equal(in(&p, ACPI_PM1_CNT, 4), 0x1803);
	assert_int_equal(p.fake.powers, 0);
}

static void timer_counts_exactly(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	p.fake.now_ns = NS_PER_SECOND;
	assert_int_equal(in(&p, ACPI_PM_TMR, 4), 3579545);
	p.fake.now_ns = 1000000 * NS_PER_SECOND;
	assert_int_equal(in(&p, ACPI_PM_TMR, 4), 3579545000000ULL & 0xffffff);
	acpi_pm_set_wide_timer(&p.chip);
	assert_int_equal(in(&p, ACPI_PM_TMR, 4), (u32)3579545000000ULL);
	assert_int_equal(in(&p, ACPI_PM_TMR, 2), (u16)3579545000000ULL);
	assert_int_equal(in(&p, ACPI_PM_TMR + 1, 1), (u8)(3579545000000ULL >> 8));
	assert_int_equal(in(&p, ACPI_PM_TMR + 1, 2), (u16)(3579545000000ULL >> 8));
	out(&p, ACPI_PM_TMR, 4, 0);
	assert_int_equal(in(&p, ACPI_PM_TMR, 4), (u32)3579545000000ULL);
}

static void overflow_interrupts_when_enabled(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	run_to_tick(&p, 0x7fffff);
	assert_int_equal(in(&p, ACPI_PM1_STS, 2), 0);
	run_to_tick(&p, 0x800000);
	assert_int_equal(in(&p, ACPI_PM1_STS, 2), TMR_STS);
	assert_false(p.fake.line[0]);
	assert_int_equal(p.fake.timer_sets, 0);
	out(&p, ACPI_PM1_EN, 2, TMR_STS);
	assert_true(p.fake.line[0]);
	assert_int_equal(p.fake.timer_sets, 0); /* nothing more to wait for */
	out(&p, ACPI_PM1_STS, 2, TMR_STS);
	assert_false(p.fake.line[0]);
	run_to_tick(&p, 0xffffff);
	assert_false(p.fake.line[0]);
	run_to_tick(&p, 0x1000000);
	assert_true(p.fake.line[0]);
	run_to_tick(&p, 0x5000000);
	assert_int_equal(p.fake.rises[0], 2);
	out(&p, ACPI_PM1_STS, 2, TMR_STS);
	acpi_pm_expire(&p.chip, ACPI_PM_TIMER); /* too early */
	assert_false(p.fake.line[0]);
	assert_int_equal(p.fake.deadline_ns[0], ticks_to_ns(0x5800000, ACPI_PM_TMR_HZ));
	out(&p, ACPI_PM1_EN, 2, 0);
	assert_int_equal(p.fake.deadline_ns[0], DEV_NEVER);
}

static void power_button_raises_the_sci(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	acpi_pm_press_power(&p.chip);
	assert_false(p.fake.line[0]);
	assert_int_equal(in(&p, ACPI_PM1_STS, 2), PWRBTN_STS);
	out(&p, ACPI_PM1_STS + 1, 1, PWRBTN_STS >> 8);
	assert_int_equal(in(&p, ACPI_PM1_STS, 2), 0);
	out(&p, ACPI_PM1_EN, 2, PWRBTN_STS);
	acpi_pm_press_power(&p.chip);
	assert_true(p.fake.line[0]);
	assert_int_equal(in(&p, ACPI_PM1_STS, 4), PWRBTN_STS << 16 | PWRBTN_STS);
	out(&p, ACPI_PM1_STS, 2, 0); /* only ones clear */
	assert_true(p.fake.line[0]);
	out(&p, ACPI_PM1_STS, 2, PWRBTN_STS);
	assert_false(p.fake.line[0]);
}

static void enables_keep_only_what_exists(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	out(&p, ACPI_PM1_EN, 2, 0xffff);
	assert_int_equal(in(&p, ACPI_PM1_EN, 2), 0x0721);
	out(&p, ACPI_PM1_EN, 1, 0);
	assert_int_equal(in(&p, ACPI_PM1_EN, 2), 0x0700);
	out(&p, ACPI_PM1_STS, 4, 0x01200000);
	assert_int_equal(in(&p, ACPI_PM1_EN, 2), 0x0120);
}

static void sleep_type_s5_turns_off(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	out(&p, ACPI_PM1_CNT, 2, 1 << 13 | 5 << 10); /* a sleep type without a meaning */
	assert_int_equal(p.fake.powers, 0);
	out(&p, ACPI_PM1_CNT, 2, ACPI_SLP_TYP_S5 << 10);
	assert_int_equal(p.fake.powers, 0);
	out(&p, ACPI_PM1_CNT, 2, 1 << 13 | ACPI_SLP_TYP_S5 << 10 | 1);
	assert_int_equal(p.fake.powers, 1);
	assert_int_equal(p.fake.power, DEV_POWER_OFF);
	assert_int_equal(in(&p, ACPI_PM1_CNT, 2), 0x0001); /* SLP_EN reads as zero */
	out(&p, ACPI_PM1_CNT + 1, 1, 0x20);
	assert_int_equal(p.fake.powers, 2);
}

static void general_events_are_stored_and_never_active(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	for (u16 i = 0; i < 16; i++)
		out(&p, (u16)(ACPI_GPE0 + i), 1, 0xa0U + i);
	assert_int_equal(in(&p, ACPI_GPE0, 4), 0);
	assert_int_equal(in(&p, ACPI_GPE0 + 4, 4), 0);
	assert_int_equal(in(&p, ACPI_GPE0 + 8, 4), 0xabaaa9a8);
	assert_int_equal(in(&p, ACPI_GPE0 + 14, 2), 0xafae);
	assert_int_equal(in(&p, ACPI_GPE0 + 14, 4), 0x0020afae); /* into SMI_EN */
	assert_false(p.fake.line[0]);
}

static void odd_accesses_stay_inside(void **state)
{
	struct pm p;

	(void)state;
	pm_start(&p);
	for (u32 offset = 0; offset < 0x10000; offset += 7) {
		out(&p, (u16)offset, 4, 0);
		(void)in(&p, (u16)offset, 4);
	}
	out(&p, 0xffff, 4, 0xffffffff); /* does not wrap around to the first register */
	assert_int_equal(in(&p, ACPI_PM1_EN, 2), 0);
	assert_int_equal(in(&p, 0x70, 4), 0);
	assert_int_equal(in(&p, ACPI_PM_TMR, 0), 0);
	assert_int_equal(in(&p, ACPI_PM1_CNT, 9), 0x0001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acpi_mode_is_always_on),
		cmocka_unit_test(timer_counts_exactly),
		cmocka_unit_test(overflow_interrupts_when_enabled),
		cmocka_unit_test(power_button_raises_the_sci),
		cmocka_unit_test(enables_keep_only_what_exists),
		cmocka_unit_test(sleep_type_s5_turns_off),
		cmocka_unit_test(general_events_are_stored_and_never_active),
		cmocka_unit_test(odd_accesses_stay_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
