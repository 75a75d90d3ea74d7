/* Tests of the permission maps: every bit says what the policy rows say, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mem/core_map.h"
#include "core/svm/svm.h"
#include "tests/support/fake_machine.h"

/* APM, "MSR Intercept": the three ranges that the map covers, 2 KiB each. */
static const u32 range[] = { 0x00000000, 0xc0000000, 0xc0010000 };

/* A bit of the map, by the manual's layout: bit 2n for reads of MSR n, 2n + 1 for writes. */
static bool intercepted(u32 msr_range, u32 offset, bool write)
{
	const u8 *map = fake_physical(core_physical(svm_permission.msr), 2 * PAGE_SIZE);
	u32 bit = msr_range * 0x800 * 8 + offset * 2 + write;

	return (map[bit / 8] >> bit % 8 & 1) != 0;
}

static void every_msr_in_both_directions(void **state)
{
	u32 read_pass = 0, write_pass = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(range); i++) {
		for (u32 offset = 0; offset < 0x2000; offset++) {
			enum msr_class class = msr_find(range[i] + offset)->class;
			bool pass = class == MSR_CLASS_PASS;

			assert_int_equal(intercepted(i, offset, false), !pass);
			assert_int_equal(intercepted(i, offset, true), !pass);
			read_pass += !intercepted(i, offset, false);
			write_pass += !intercepted(i, offset, true);
		}
	}
	/* No row that passes lies outside the map, where it would be intercepted after all. */
	assert_int_equal(write_pass, 11);
	assert_int_equal(read_pass, 11);
}

/* By number, so that a wrong row shows too: what may pass, and what never may. */
static void named_msrs(void **state)
{
	(void)state;
	assert_false(intercepted(1, 0x100, true)); /* FS_BASE */
	assert_false(intercepted(0, 0x176, true)); /* SYSENTER_EIP */
	assert_true(intercepted(0, 0x10, false));  /* TSC: QEMU forgets the offset in RDMSR */
	assert_true(intercepted(0, 0x10, true));
	assert_true(intercepted(1, 0x80, false)); /* EFER: SVME must not be seen */
	assert_true(intercepted(1, 0x80, true));
	assert_true(intercepted(0, 0x277, true)); /* PAT */
	assert_true(intercepted(0, 0x1b, true));  /* APIC_BASE */
	assert_true(intercepted(2, 0x114, true)); /* VM_CR */
	assert_true(intercepted(2, 0x117, true)); /* VM_HSAVE_PA */
	assert_true(intercepted(0, 0x1d9, true)); /* DEBUGCTL */
	assert_true(intercepted(2, 0x111, true)); /* SMM_BASE */
}

static void the_rest_of_the_map_is_set(void **state)
{
	const u8 *map = fake_physical(core_physical(svm_permission.msr), 2 * PAGE_SIZE);

	(void)state;
	for (u32 i = 0x1800; i < 2 * PAGE_SIZE; i++)
		assert_int_equal(map[i], 0xff);
	assert_int_equal(core_physical(svm_permission.msr).raw % PAGE_SIZE, 0);
}

static void every_port_is_intercepted(void **state)
{
	const u8 *map = fake_physical(core_physical(svm_permission.io), 3 * PAGE_SIZE);

	(void)state;
	for (u32 i = 0; i < 3 * PAGE_SIZE; i++)
		assert_int_equal(map[i], 0xff);
	assert_int_equal(core_physical(svm_permission.io).raw % PAGE_SIZE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_msr_in_both_directions),
		cmocka_unit_test(named_msrs),
		cmocka_unit_test(the_rest_of_the_map_is_set),
		cmocka_unit_test(every_port_is_intercepted),
	};

	fake_machine_start(16 * MIB);
	svm_permission_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
