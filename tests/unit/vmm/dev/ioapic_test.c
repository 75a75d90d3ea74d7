/* The I/O APIC: registers, message encoding, edges and levels, EOI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/ioapic.h"

#define MASKED	   0x10000U
#define LEVEL	   0x8000U
#define REMOTE_IRR 0x4000U
#define LOGICAL	   0x800U

struct apic {
	struct fake fake;
	struct ioapic chip;
};

static void apic_start(struct apic *a)
{
	struct dev_env env = fake_env(&a->fake);

	ioapic_init(&a->chip, &env);
}

static u32 reg_read(struct apic *a, u32 reg)
{
	ioapic_write(&a->chip, IOAPIC_INDEX, reg);
	return ioapic_read(&a->chip, IOAPIC_DATA);
}

static void reg_write(struct apic *a, u32 reg, u32 value)
{
	ioapic_write(&a->chip, IOAPIC_INDEX, reg);
	ioapic_write(&a->chip, IOAPIC_DATA, value);
}

static void entry_write(struct apic *a, unsigned pin, u32 low, u8 destination)
{
	reg_write(a, 0x11 + 2 * pin, (u32)destination << 24);
	reg_write(a, 0x10 + 2 * pin, low);
}

static u32 entry_low(struct apic *a, unsigned pin)
{
	return reg_read(a, 0x10 + 2 * pin);
}

static void registers_after_reset(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	assert_int_equal(reg_read(&a, 0), 0);
	assert_int_equal(reg_read(&a, 1), 0x00170020);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(entry_low(&a, pin), MASKED);
		assert_int_equal(reg_read(&a, 0x11 + 2 * pin), 0);
	}
	assert_int_equal(ioapic_read(&a.chip, IOAPIC_INDEX), 0x3f);
	assert_int_equal(ioapic_read(&a.chip, IOAPIC_EOI), 0);
	assert_int_equal(ioapic_read(&a.chip, 0x20), 0xffffffff);
}

static void only_writable_bits_are_kept(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	reg_write(&a, 0, 0xffffffff);
	assert_int_equal(reg_read(&a, 0), 0x0f000000);
	assert_int_equal(reg_read(&a, 2), 0x0f000000);
	reg_write(&a, 1, 0);
	reg_write(&a, 2, 0);
	assert_int_equal(reg_read(&a, 1), 0x00170020);
	entry_write(&a, 5, 0xffffffff, 0xff);
	assert_int_equal(entry_low(&a, 5), 0x1afff);
	assert_int_equal(reg_read(&a, 0x1b), 0xff000000);
	for (u32 reg = 0x40; reg < 0x100; reg++) { /* pins that do not exist */
		reg_write(&a, reg, 0xffffffff);
		assert_int_equal(reg_read(&a, reg), 0);
	}
	ioapic_write(&a.chip, 0x20, 0xffffffff);
	ioapic_input(&a.chip, 24, true);
	ioapic_input(&a.chip, ~0U, true);
	assert_int_equal(a.fake.msis, 0);
}

static void edge_is_sent_when_it_comes(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	entry_write(&a, 4, 0x31, 0x12);
	ioapic_input(&a.chip, 4, true);
	assert_int_equal(a.fake.msis, 1);
	assert_int_equal(a.fake.msi_address, 0xfee12000);
	assert_int_equal(a.fake.msi_data, 0x31);
	ioapic_input(&a.chip, 4, true);
	assert_int_equal(a.fake.msis, 1);
	assert_int_equal(entry_low(&a, 4), 0x31);
	ioapic_input(&a.chip, 4, false);
	ioapic_input(&a.chip, 4, true);
	assert_int_equal(a.fake.msis, 2);
	ioapic_eoi(&a.chip, 0x31);
	assert_int_equal(a.fake.msis, 2);
}

static void masked_edge_is_lost(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	entry_write(&a, 4, MASKED | 0x31, 0);
	ioapic_input(&a.chip, 4, true);
	entry_write(&a, 4, 0x31, 0);
	assert_int_equal(a.fake.msis, 0);
}

static void level_is_sent_once_until_its_eoi(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	entry_write(&a, 10, LEVEL | LOGICAL | 0x2000 | 0x100 | 0x55, 0x03);
	ioapic_input(&a.chip, 10, true);
	assert_int_equal(a.fake.msis, 1);
	assert_int_equal(a.fake.msi_address, 0xfee03004);
	assert_int_equal(a.fake.msi_data, 0xc155);
	assert_int_equal(entry_low(&a, 10) & REMOTE_IRR, REMOTE_IRR);
	ioapic_input(&a.chip, 10, false);
	ioapic_input(&a.chip, 10, true);
	assert_int_equal(a.fake.msis, 1);
	ioapic_eoi(&a.chip, 0x54);
	assert_int_equal(a.fake.msis, 1);
	ioapic_eoi(&a.chip, 0x55);
	assert_int_equal(a.fake.msis, 2);
	assert_int_equal(entry_low(&a, 10) & REMOTE_IRR, REMOTE_IRR);
	ioapic_input(&a.chip, 10, false);
	ioapic_write(&a.chip, IOAPIC_EOI, 0x55);
	assert_int_equal(a.fake.msis, 2);
	assert_int_equal(entry_low(&a, 10) & REMOTE_IRR, 0);
}

static void masked_level_waits(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	entry_write(&a, 16, MASKED | LEVEL | 0x60, 0);
	ioapic_input(&a.chip, 16, true);
	assert_int_equal(a.fake.msis, 0);
	entry_write(&a, 16, LEVEL | 0x60, 0);
	assert_int_equal(a.fake.msis, 1);
	entry_write(&a, 16, MASKED | LEVEL | 0x60, 0);
	assert_int_equal(entry_low(&a, 16) & REMOTE_IRR, REMOTE_IRR);
	ioapic_eoi(&a.chip, 0x60);
	assert_int_equal(a.fake.msis, 1);
	entry_write(&a, 16, LEVEL | 0x60, 0);
	assert_int_equal(a.fake.msis, 2);
}

static void change_to_edge_ends_a_level(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	entry_write(&a, 16, LEVEL | 0x60, 0);
	ioapic_input(&a.chip, 16, true);
	entry_write(&a, 16, MASKED | 0x60, 0);
	assert_int_equal(entry_low(&a, 16), MASKED | 0x60);
	entry_write(&a, 16, LEVEL | 0x60, 0);
	assert_int_equal(a.fake.msis, 2);
}

static void one_eoi_ends_every_pin_of_the_vector(void **state)
{
	struct apic a;

	(void)state;
	apic_start(&a);
	for (unsigned pin = 20; pin < 24; pin++) {
		entry_write(&a, pin, LEVEL | 0x70, 0);
		ioapic_input(&a.chip, pin, true);
	}
	assert_int_equal(a.fake.msis, 4);
	ioapic_input(&a.chip, 20, false);
	ioapic_eoi(&a.chip, 0x70);
	assert_int_equal(a.fake.msis, 7);
	assert_int_equal(entry_low(&a, 20) & REMOTE_IRR, 0);
}

static void delivery_modes(void **state)
{
	static const struct {
		u32 mode;
		bool sent;
		bool level;
	} rows[8] = { { 0, 1, 1 }, { 1, 1, 1 }, { 2, 1, 0 }, { 3, 0, 0 },
		      { 4, 1, 0 }, { 5, 1, 0 }, { 6, 0, 0 }, { 7, 0, 0 } };
	struct apic a;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		apic_start(&a);
		entry_write(&a, 1, LEVEL | rows[i].mode << 8 | 0x40, 0xff);
		ioapic_input(&a.chip, 1, true);
		assert_int_equal(a.fake.msis, rows[i].sent);
		assert_int_equal(entry_low(&a, 1) & REMOTE_IRR, rows[i].level ? REMOTE_IRR : 0);
		if (!rows[i].sent)
			continue;
		assert_int_equal(a.fake.msi_address, 0xfeeff000);
		assert_int_equal(a.fake.msi_data,
				 (rows[i].level ? 0xc000 : 0) | rows[i].mode << 8 | 0x40);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_after_reset),
		cmocka_unit_test(only_writable_bits_are_kept),
		cmocka_unit_test(edge_is_sent_when_it_comes),
		cmocka_unit_test(masked_edge_is_lost),
		cmocka_unit_test(level_is_sent_once_until_its_eoi),
		cmocka_unit_test(masked_level_waits),
		cmocka_unit_test(change_to_edge_ends_a_level),
		cmocka_unit_test(one_eoi_ends_every_pin_of_the_vector),
		cmocka_unit_test(delivery_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
