/*
 * Tests that both vendors' maps say the same of every MSR, every direction and every port. The bits
 * are found by the manuals' layouts, not by the code's: SDM, "MSR-Bitmap Address" and "I/O-Bitmap
 * Addresses"; APM, "MSR Intercept" and "IOIO Intercept".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mem/core_map.h"
#include "core/svm/svm.h"
#include "core/vmx/permission.h"
#include "tests/support/fake_machine.h"

static bool bit_at(const u8 *map, u32 bit)
{
	return (map[bit / 8] >> bit % 8 & 1) != 0;
}

/* Whether it exits, on VT-x: 1 KiB each for reads low, reads high, writes low, writes high. */
static bool exits_by(hpa_t at, u32 msr, bool write)
{
	const u8 *map = fake_physical(at, PAGE_SIZE);

	if (msr <= 0x1fff)
		return bit_at(map + (write ? 2048 : 0), msr);
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		return bit_at(map + (write ? 3072 : 1024), msr - 0xc0000000);
	return true;
}

static bool vmx_exits(u32 msr, bool write)
{
	return exits_by(core_physical(vmx_permission.msr), msr, write);
}

/* On AMD-V: 2 KiB each for three ranges, two bits an MSR. */
static bool svm_exits(u32 msr, bool write)
{
	const u8 *map = fake_physical(core_physical(svm_permission.msr), 2 * PAGE_SIZE);

	if (msr <= 0x1fff)
		return bit_at(map, 2 * msr + write);
	if (msr >= 0xc0000000 && msr <= 0xc0001fff)
		return bit_at(map + 0x800, 2 * (msr - 0xc0000000) + write);
	if (msr >= 0xc0010000 && msr <= 0xc0011fff)
		return bit_at(map + 0x1000, 2 * (msr - 0xc0010000) + write);
	return true;
}

static u32 passed;

static void compare(u32 first, u32 last)
{
	for (u32 msr = first; msr <= last; msr++) {
		bool pass = msr_find(msr)->class == MSR_CLASS_PASS;

		for (u32 write = 0; write < 2; write++) {
			assert_int_equal(vmx_exits(msr, write != 0), !pass);
			assert_int_equal(svm_exits(msr, write != 0), !pass);
			passed += !vmx_exits(msr, write != 0);
		}
	}
}

static void both_say_the_same_of_every_msr(void **state)
{
	(void)state;
	passed = 0;
	compare(0, 0x1fff);
	compare(0xc0000000, 0xc0001fff);
	assert_int_equal(passed, 2 * 11);
	compare(0xc0010000, 0xc0011fff); /* VT-x has no bits for these: nothing may pass on AMD */
	assert_int_equal(passed, 2 * 11);
}

/* By number, so that a wrong row shows too: what may pass, and what never may. */
static void named_msrs(void **state)
{
	static const u32 never[] = { 0x10,  0x1b,  0x3a,  0x48,	 0x1d9,	     0x277,
				     0x480, 0x491, 0x6e0, 0x808, 0xc0000080, 0xda0 };
	static const u32 pass[] = { 0x174,	0x175,	    0x176,	0xc0000081,
				    0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
				    0xc0000101, 0xc0000102, 0xc0000103 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(never); i++)
		assert_true(vmx_exits(never[i], false) && vmx_exits(never[i], true));
	for (u32 i = 0; i < ARRAY_SIZE(pass); i++)
		assert_true(!vmx_exits(pass[i], false) && !vmx_exits(pass[i], true));
}

static void both_say_the_same_of_every_port(void **state)
{
	const u8 *a = fake_physical(core_physical(vmx_permission.io), PAGE_SIZE);
	const u8 *b = fake_physical(core_physical(vmx_permission.io + PAGE_SIZE), PAGE_SIZE);
	const u8 *iopm = fake_physical(core_physical(svm_permission.io), 3 * PAGE_SIZE);

	(void)state;
	for (u32 port = 0; port < 0x10000; port++) {
		bool vmx = port < 0x8000 ? bit_at(a, port) : bit_at(b, port - 0x8000);

		assert_int_equal(vmx, bit_at(iopm, port));
		assert_true(vmx);
	}
}

static bool in_ranges(const u32 (*ranges)[2], u32 count, u32 msr)
{
	for (u32 i = 0; i < count; i++) {
		if (msr >= ranges[i][0] && msr <= ranges[i][1])
			return true;
	}
	return false;
}

/*
 * SDM, "Virtualizing MSR-Based APIC Accesses": only writes of TPR, EOI and SELF IPI are
 * virtualized, and reads do not look whether there is a register.
 */
static void what_a_virtualized_x2apic_answers(void **state)
{
	static const u32 reads[][2] = {
		{ 0x802, 0x803 }, /* id, version */
		{ 0x808, 0x808 }, /* TPR */
		{ 0x80a, 0x80a }, /* PPR */
		{ 0x80d, 0x80d }, /* LDR */
		{ 0x80f, 0x828 }, /* SVR, ISR, TMR, IRR, ESR */
		{ 0x832, 0x838 }, /* LVT, initial count */
		{ 0x83e, 0x83e }, /* divide configuration */
	};
	static const u32 writes[][2] = { { 0x808, 0x808 }, { 0x80b, 0x80b }, { 0x83f, 0x83f } };
	hpa_t map = core_physical(vmx_msr_x2apic);

	(void)state;
	assert_int_equal(map.raw % PAGE_SIZE, 0);
	assert_int_not_equal(map.raw, core_physical(vmx_permission.msr).raw);
	for (u32 msr = 0; msr <= 0x1fff; msr++) {
		bool read = in_ranges(reads, ARRAY_SIZE(reads), msr);
		bool write = in_ranges(writes, ARRAY_SIZE(writes), msr);

		assert_int_equal(exits_by(map, msr, false), vmx_exits(msr, false) && !read);
		assert_int_equal(exits_by(map, msr, true), vmx_exits(msr, true) && !write);
	}
	for (u32 msr = 0xc0000000; msr <= 0xc0001fff; msr++) {
		assert_int_equal(exits_by(map, msr, false), vmx_exits(msr, false));
		assert_int_equal(exits_by(map, msr, true), vmx_exits(msr, true));
	}
}

static void maps_of_their_own_in_whole_pages(void **state)
{
	(void)state;
	assert_int_equal(core_physical(vmx_permission.msr).raw % PAGE_SIZE, 0);
	assert_int_equal(core_physical(vmx_permission.io).raw % PAGE_SIZE, 0);
	assert_int_not_equal(core_physical(vmx_permission.msr).raw,
			     core_physical(svm_permission.msr).raw);
	assert_int_not_equal(core_physical(vmx_permission.io).raw,
			     core_physical(svm_permission.io).raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_say_the_same_of_every_msr),
		cmocka_unit_test(named_msrs),
		cmocka_unit_test(both_say_the_same_of_every_port),
		cmocka_unit_test(what_a_virtualized_x2apic_answers),
		cmocka_unit_test(maps_of_their_own_in_whole_pages),
	};

	fake_machine_start(16 * MIB);
	svm_permission_init();
	vmx_permission_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
