/* The debug console and the exit port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/testdev.h"

static void console_is_found_and_prints(void **state)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct testdev chip;

	(void)state;
	testdev_init(&chip, &env);
	assert_int_equal(testdev_read(&chip, TESTDEV_PORT_CONSOLE), 0xe9);
	assert_int_equal(testdev_read(&chip, TESTDEV_PORT_EXIT), 0xff);
	fake.room = 1;
	testdev_write(&chip, TESTDEV_PORT_CONSOLE, 'x');
	testdev_write(&chip, TESTDEV_PORT_CONSOLE, 'y'); /* lost */
	assert_int_equal(fake.outputs, 1);
	assert_int_equal(fake.output[0], 'x');
	assert_int_equal(fake.powers, 0);
}

static void exit_port_ends_the_vm_with_a_status(void **state)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct testdev chip;

	(void)state;
	testdev_init(&chip, &env);
	testdev_write(&chip, 0xf5, 1);
	assert_int_equal(fake.powers, 0);
	testdev_write(&chip, TESTDEV_PORT_EXIT, 0x2a);
	assert_int_equal(fake.powers, 1);
	assert_int_equal(fake.power, DEV_POWER_TEST);
	assert_int_equal(fake.status, 0x2a);
	assert_int_equal(fake.outputs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(console_is_found_and_prints),
		cmocka_unit_test(exit_port_ends_the_vm_with_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
