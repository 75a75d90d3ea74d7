/* The reset ports: which writes reset, and what reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/reset.h"

static void control_port_resets_on_its_bit(void **state)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct reset chip;

	(void)state;
	reset_init(&chip, &env);
	for (unsigned value = 0; value < 256; value++) {
		fake.powers = 0;
		reset_write(&chip, RESET_PORT_CONTROL, (u8)value);
		assert_int_equal(fake.powers, (value & 4) != 0);
		assert_int_equal(reset_read(&chip, RESET_PORT_CONTROL), value & 0x0a);
	}
	assert_int_equal(fake.power, DEV_POWER_RESET);
}

static void fast_port_resets_and_keeps_a20(void **state)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct reset chip;

	(void)state;
	reset_init(&chip, &env);
	assert_int_equal(reset_read(&chip, RESET_PORT_FAST), 0x02);
	reset_write(&chip, RESET_PORT_FAST, 0x00);
	assert_int_equal(reset_read(&chip, RESET_PORT_FAST), 0x00);
	reset_write(&chip, RESET_PORT_FAST, 0xfe);
	assert_int_equal(reset_read(&chip, RESET_PORT_FAST), 0x02);
	assert_int_equal(fake.powers, 0);
	reset_write(&chip, RESET_PORT_FAST, 0x01);
	assert_int_equal(fake.powers, 1);
	assert_int_equal(fake.power, DEV_POWER_RESET);
}

static void other_ports_do_nothing(void **state)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct reset chip;

	(void)state;
	reset_init(&chip, &env);
	reset_write(&chip, 0xcf8, 0xff);
	assert_int_equal(reset_read(&chip, 0xcf8), 0xff);
	assert_int_equal(fake.powers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_port_resets_on_its_bit),
		cmocka_unit_test(fast_port_resets_and_keeps_a20),
		cmocka_unit_test(other_ports_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
