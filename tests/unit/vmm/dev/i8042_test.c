/* The keyboard controller: reset, A20, replies, and that nobody is attached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/i8042.h"

#define REPLY_FULL 0x01

struct kbc {
	struct fake fake;
	struct i8042 chip;
};

static void kbc_start(struct kbc *k)
{
	struct dev_env env = fake_env(&k->fake);

	i8042_init(&k->chip, &env);
}

static u8 status(struct kbc *k)
{
	return i8042_read(&k->chip, I8042_PORT_COMMAND);
}

static u8 data(struct kbc *k)
{
	return i8042_read(&k->chip, I8042_PORT_DATA);
}

static void command(struct kbc *k, u8 value)
{
	i8042_write(&k->chip, I8042_PORT_COMMAND, value);
}

static void data_write(struct kbc *k, u8 value)
{
	i8042_write(&k->chip, I8042_PORT_DATA, value);
}

static void expect_reply(struct kbc *k, u8 value)
{
	assert_int_equal(status(k) & REPLY_FULL, REPLY_FULL);
	assert_int_equal(data(k), value);
	assert_int_equal(status(k) & REPLY_FULL, 0);
}

static void self_tests_reply(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	assert_int_equal(status(&k), 0x10);
	command(&k, 0xaa);
	assert_int_equal(status(&k), 0x1d);
	expect_reply(&k, 0x55);
	command(&k, 0xab);
	expect_reply(&k, 0x00);
	command(&k, 0xa9);
	expect_reply(&k, 0x01);
	command(&k, 0xc0);
	expect_reply(&k, 0x80);
	assert_int_equal(i8042_read(&k.chip, 0x61), 0xff);
}

static void config_is_kept(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	command(&k, 0x60);
	data_write(&k, 0xff);
	command(&k, 0x20);
	expect_reply(&k, 0x77);
	command(&k, 0xae);
	command(&k, 0xa8);
	command(&k, 0x20);
	expect_reply(&k, 0x47);
	command(&k, 0xad);
	command(&k, 0xa7);
	command(&k, 0x20);
	expect_reply(&k, 0x77);
}

static void devices_do_not_reply(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	data_write(&k, 0xff);
	assert_int_equal(status(&k) & 0x03, 0);
	command(&k, 0xd4);
	data_write(&k, 0xf2);
	assert_int_equal(status(&k) & 0x03, 0);
	command(&k, 0xd3);
	data_write(&k, 0x5a);
	assert_int_equal(status(&k) & 0x03, 0);
	for (unsigned i = 0; i < 256; i++) { /* no command leaves the input buffer full */
		command(&k, (u8)i);
		assert_int_equal(status(&k) & 0x02, 0);
	}
}

static void pulse_and_output_port_reset(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	command(&k, 0xfe);
	assert_int_equal(k.fake.powers, 1);
	assert_int_equal(k.fake.power, DEV_POWER_RESET);
	command(&k, 0xff); /* pulses nothing */
	command(&k, 0xf1);
	assert_int_equal(k.fake.powers, 1);
	command(&k, 0xf0);
	assert_int_equal(k.fake.powers, 2);
	command(&k, 0xd1);
	data_write(&k, 0xdd);
	assert_int_equal(k.fake.powers, 2);
	command(&k, 0xd0);
	expect_reply(&k, 0xdd);
	command(&k, 0xd1);
	data_write(&k, 0xfe);
	assert_int_equal(k.fake.powers, 3);
	data_write(&k, 0xfe); /* to the keyboard */
	assert_int_equal(k.fake.powers, 3);
}

static void command_forgets_the_one_before(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	command(&k, 0xd1);
	command(&k, 0x20);
	data_write(&k, 0x00);
	assert_int_equal(k.fake.powers, 0);
}

static void reply_interrupts_when_enabled(void **state)
{
	struct kbc k;

	(void)state;
	kbc_start(&k);
	command(&k, 0xaa);
	assert_false(k.fake.line[0]);
	(void)data(&k);
	command(&k, 0x60);
	data_write(&k, 0x41);
	command(&k, 0xd2);
	data_write(&k, 0x1c);
	assert_true(k.fake.line[0]);
	assert_int_equal(data(&k), 0x1c);
	assert_false(k.fake.line[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(self_tests_reply),
		cmocka_unit_test(config_is_kept),
		cmocka_unit_test(devices_do_not_reply),
		cmocka_unit_test(pulse_and_output_port_reset),
		cmocka_unit_test(command_forgets_the_one_before),
		cmocka_unit_test(reply_interrupts_when_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
