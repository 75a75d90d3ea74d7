/* Tests of the MSR policy: the table's shape, each class, and the emulated MSRs' rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/virt/engine.h"
#include "core/virt/msr.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_insn.h"

static struct vm vm;
static struct vcpu vcpu;

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_insn.tsc_step = 0;
	fake_backend_reset();
	vm = (struct vm){ .vcpu_count = 1, .vcpus = { &vcpu } };
	vcpu = (struct vcpu){ .vm = &vm, .extint = -1, .eoi_pending = -1, .offered = OFFER_NONE };
	timer_init(&vcpu.timer, NULL);
	lapic_init(&vcpu.lapic, 0, true);
	msr_state_init(&vcpu.msr);
	return 0;
}

static bool wr(u32 index, u64 value)
{
	const struct msr_row *row = msr_find(index);

	assert_non_null(row->write);
	return row->write(&vcpu, index, value);
}

static u64 rd(u32 index)
{
	const struct msr_row *row = msr_find(index);
	u64 value = 0xdead;

	assert_non_null(row->read);
	assert_true(row->read(&vcpu, index, &value));
	return value;
}

/* --- the table */

static void rows_are_ranges_that_do_not_overlap(void **state)
{
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	(void)state;
	assert_true(count > 30);
	for (u32 i = 0; i < count; i++) {
		assert_true(rows[i].first <= rows[i].last);
		assert_int_not_equal(rows[i].class, MSR_REFUSED);
		assert_true(strlen(rows[i].why) > 0);
		for (u32 j = 0; j < i; j++)
			assert_true(rows[i].last < rows[j].first || rows[j].last < rows[i].first);
	}
}

static void a_class_has_the_handlers_it_needs(void **state)
{
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	(void)state;
	for (u32 i = 0; i < count; i++) {
		assert_int_equal(rows[i].read != NULL, rows[i].class == MSR_CLASS_EMULATE);
		assert_int_equal(rows[i].write != NULL, rows[i].class == MSR_CLASS_EMULATE);
		/* The permission map knows only the three ranges, one MSR a row. */
		if (rows[i].class == MSR_CLASS_PASS)
			assert_int_equal(rows[i].first, rows[i].last);
	}
}

static const struct msr_row *search(u32 index)
{
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	for (u32 i = 0; i < count; i++) {
		if (index >= rows[i].first && index <= rows[i].last)
			return &rows[i];
	}
	return NULL;
}

static void check_find(u32 index)
{
	const struct msr_row *expected = search(index);
	const struct msr_row *found = msr_find(index);

	if (expected)
		assert_ptr_equal(found, expected);
	else
		assert_int_equal(found->class, MSR_REFUSED);
}

static void finding_agrees_with_the_rows(void **state)
{
	static const u32 range[] = { 0, 0x4b564c00, 0xc0000000, 0xc0010000 };
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(range); i++) {
		for (u32 offset = 0; offset < 0x2000; offset++)
			check_find(range[i] + offset);
	}
	for (u32 i = 0; i < count; i++) {
		check_find(rows[i].first - 1);
		check_find(rows[i].last + 1);
	}
	check_find(~0U);
}

/* What would let a guest out, or tell it what it must not know, has no row. */
static void dangerous_ones_are_refused(void **state)
{
	static const u32 index[] = {
		MSR_IA32_FEATURE_CONTROL,
		MSR_IA32_BIOS_UPDT_TRIG,
		MSR_IA32_DEBUGCTL,
		MSR_IA32_SPEC_CTRL,
		MSR_IA32_PRED_CMD,
		MSR_IA32_XSS,
		MSR_AMD_VM_CR,
		MSR_AMD_VM_HSAVE_PA,
		0x480 /* VMX_BASIC */,
		0xc0010111 /* SMM_BASE */,
		0xc0010112 /* TSeg */,
		MSR_AMD_TSC_RATIO,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(index); i++)
		assert_int_equal(msr_find(index[i])->class, MSR_REFUSED);
}

/* --- EFER */

static void efer_reserved_bits(void **state)
{
	const u64 writable = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

	(void)state;
	for (u32 bit = 0; bit < 64; bit++) {
		fake_backend.efer = 0;
		assert_int_equal(wr(MSR_IA32_EFER, BIT64(bit)), (writable & BIT64(bit)) != 0);
		if (!(writable & BIT64(bit)))
			assert_int_equal(fake_backend.efer, 0);
	}
}

static void efer_lma_is_the_processors(void **state)
{
	(void)state;
	assert_true(wr(MSR_IA32_EFER, EFER_LME | EFER_LMA));
	assert_int_equal(fake_backend.efer, EFER_LME);
	fake_backend.efer = EFER_LME | EFER_LMA;
	fake_backend.paging_is_on = true;
	assert_true(wr(MSR_IA32_EFER, EFER_LME | EFER_NXE));
	assert_int_equal(fake_backend.efer, EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(rd(MSR_IA32_EFER), fake_backend.efer);
}

static void efer_lme_is_fixed_while_paging(void **state)
{
	(void)state;
	fake_backend.paging_is_on = true;
	assert_false(wr(MSR_IA32_EFER, EFER_LME));
	fake_backend.efer = EFER_LME | EFER_LMA;
	assert_false(wr(MSR_IA32_EFER, 0));
	assert_int_equal(fake_backend.efer, EFER_LME | EFER_LMA);
	fake_backend.paging_is_on = false;
	assert_true(wr(MSR_IA32_EFER, 0));
}

/* --- memory types */

static bool type_is_valid(u64 type)
{
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

static void pat_types(void **state)
{
	(void)state;
	for (u32 entry = 0; entry < 8; entry++) {
		for (u64 type = 0; type < 256; type++) {
			u64 value = (PAT_RESET & ~(0xffULL << 8 * entry)) | type << 8 * entry;
			bool valid = type_is_valid(type) || type == 7;

			fake_backend.pat = PAT_RESET;
			assert_int_equal(wr(MSR_IA32_PAT, value), valid);
			assert_int_equal(rd(MSR_IA32_PAT), valid ? value : PAT_RESET);
		}
	}
}

static void mtrr_power_up(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_IA32_MTRR_DEF_TYPE), 0xc06);
	assert_int_equal(rd(MSR_IA32_MTRR_FIX64K), 0x0606060606060606);
	assert_int_equal(rd(MSR_IA32_MTRR_FIX4K_C000 + 7), 0x0606060606060606);
	assert_int_equal(rd(MSR_IA32_MTRR_PHYSMASK0), 0);
	assert_int_equal(msr_find(MSR_IA32_MTRRCAP)->fixed, 0x508);
}

static void mtrr_default(void **state)
{
	(void)state;
	for (u64 type = 0; type < 256; type++)
		assert_int_equal(wr(MSR_IA32_MTRR_DEF_TYPE, 0x800 | type), type_is_valid(type));
	for (u32 bit = 8; bit < 64; bit++) {
		assert_true(wr(MSR_IA32_MTRR_DEF_TYPE, 0));
		assert_int_equal(wr(MSR_IA32_MTRR_DEF_TYPE, BIT64(bit)), bit == 10 || bit == 11);
	}
}

static void mtrr_variable(void **state)
{
	(void)state;
	for (u32 i = 0; i < MTRR_VARIABLE; i++) {
		u32 base = MSR_IA32_MTRR_PHYSBASE0 + 2 * i;

		for (u64 type = 0; type < 256; type++)
			assert_int_equal(wr(base, 0x10000 | type), type_is_valid(type));
		for (u32 bit = 8; bit < 64; bit++) {
			assert_int_equal(wr(base, BIT64(bit)), bit >= 12 && bit < 52);
			assert_int_equal(wr(base + 1, BIT64(bit)), bit >= 11 && bit < 52);
		}
		assert_false(wr(base + 1, 1));
		assert_true(wr(base, 0x100000 + i * 0x1000));
		assert_true(wr(base + 1, 0xff00800));
	}
	for (u32 i = 0; i < MTRR_VARIABLE; i++)
		assert_int_equal(rd(MSR_IA32_MTRR_PHYSBASE0 + 2 * i), 0x100000 + i * 0x1000);
	assert_int_equal(msr_find(MSR_IA32_MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE)->class, MSR_REFUSED);
}

static void mtrr_fixed(void **state)
{
	static const u32 index[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
				     0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

	(void)state;
	static_assert(ARRAY_SIZE(index) == MTRR_FIXED, "all of them");
	/* Each register is one of its own. */
	for (u32 i = 0; i < MTRR_FIXED; i++)
		assert_true(wr(index[i], 0x0101010101010100ULL | (i % 2 ? 4 : 5)));
	for (u32 i = 0; i < MTRR_FIXED; i++)
		assert_int_equal(rd(index[i]), 0x0101010101010100ULL | (i % 2 ? 4 : 5));
	for (u32 i = 0; i < MTRR_FIXED; i++)
		assert_true(wr(index[i], i % 2 ? 0x0600000000000000 : 0));
	for (u32 byte = 0; byte < 8; byte++) {
		for (u64 type = 0; type < 256; type++)
			assert_int_equal(wr(0x268, type << 8 * byte), type_is_valid(type));
	}
	for (u32 i = 0x251; i < 0x258; i++)
		assert_int_equal(msr_find(i)->class, MSR_REFUSED);
}

/* --- clocks and the local APIC */

static void writing_the_tsc_moves_the_offset(void **state)
{
	(void)state;
	assert_true(wr(MSR_IA32_TSC, 0));
	assert_int_equal(vcpu_tsc(&vcpu), 0);
	assert_int_equal(fake_backend.tsc_offset, 0 - fake_insn.tsc);
	assert_true(wr(MSR_IA32_TSC, UINT64_MAX));
	assert_int_equal(vcpu_tsc(&vcpu), UINT64_MAX);
	fake_insn.tsc += 2;
	assert_int_equal(vcpu_tsc(&vcpu), 1);
}

/* A counting timer does not notice that the guest's clock was set. */
static void a_timer_survives_a_tsc_write(void **state)
{
	struct lapic_effect effect = { 0 };
	u64 deadline;

	(void)state;
	lapic_mmio_write(&vcpu.lapic, 0xf0, 0x1ff, vcpu_tsc(&vcpu), &effect);
	lapic_mmio_write(&vcpu.lapic, 0x320, 0x51, vcpu_tsc(&vcpu), &effect);
	lapic_mmio_write(&vcpu.lapic, 0x380, 1000, vcpu_tsc(&vcpu), &effect);
	vcpu_apply_effect(&vcpu, &effect);
	deadline = vcpu.timer.deadline;
	assert_int_not_equal(deadline, TIMER_NEVER);
	assert_true(wr(MSR_IA32_TSC, 77));
	assert_int_equal(vcpu.timer.deadline, deadline);
	timer_set(&vcpu.timer, TIMER_NEVER);
}

static void apic_base(void **state)
{
	(void)state;
	assert_int_equal(rd(MSR_IA32_APIC_BASE), 0xfee00900);
	assert_false(wr(MSR_IA32_APIC_BASE, 0xfee01900)); /* it cannot move */
	assert_true(wr(MSR_IA32_APIC_BASE, 0xfee00d00));
	assert_true(lapic_x2apic(&vcpu.lapic));
	assert_true(vcpu.events);
}

static void x2apic_registers(void **state)
{
	u64 value;

	(void)state;
	/* In xAPIC mode each one is a #GP. */
	assert_false(msr_find(0x802)->read(&vcpu, 0x802, &value));
	assert_false(wr(0x808, 0));
	assert_true(wr(MSR_IA32_APIC_BASE, 0xfee00d00));
	assert_int_equal(rd(0x802), 0);
	assert_true(wr(0x808, 0x20));
	assert_int_equal(rd(0x808), 0x20);
	assert_false(wr(0x808, 0x100));
	assert_false(wr(0x802, 1));
	assert_false(msr_find(0x8ff)->read(&vcpu, 0x8ff, &value));
}

static void tsc_deadline(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	assert_true(wr(MSR_IA32_TSC_DEADLINE, 12345)); /* ignored in the other modes */
	assert_int_equal(rd(MSR_IA32_TSC_DEADLINE), 0);
	lapic_mmio_write(&vcpu.lapic, 0xf0, 0x1ff, vcpu_tsc(&vcpu), &effect);
	lapic_mmio_write(&vcpu.lapic, 0x320, 0x40051, vcpu_tsc(&vcpu), &effect);
	assert_true(wr(MSR_IA32_TSC_DEADLINE, vcpu_tsc(&vcpu) + 1000));
	assert_int_equal(rd(MSR_IA32_TSC_DEADLINE), vcpu_tsc(&vcpu) + 1000);
	assert_int_equal(vcpu.timer.deadline, fake_insn.tsc + 1000);
	assert_true(wr(MSR_IA32_TSC_DEADLINE, 0));
	assert_int_equal(vcpu.timer.deadline, TIMER_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rows_are_ranges_that_do_not_overlap, fresh),
		cmocka_unit_test_setup(a_class_has_the_handlers_it_needs, fresh),
		cmocka_unit_test_setup(finding_agrees_with_the_rows, fresh),
		cmocka_unit_test_setup(dangerous_ones_are_refused, fresh),
		cmocka_unit_test_setup(efer_reserved_bits, fresh),
		cmocka_unit_test_setup(efer_lma_is_the_processors, fresh),
		cmocka_unit_test_setup(efer_lme_is_fixed_while_paging, fresh),
		cmocka_unit_test_setup(pat_types, fresh),
		cmocka_unit_test_setup(mtrr_power_up, fresh),
		cmocka_unit_test_setup(mtrr_default, fresh),
		cmocka_unit_test_setup(mtrr_variable, fresh),
		cmocka_unit_test_setup(mtrr_fixed, fresh),
		cmocka_unit_test_setup(writing_the_tsc_moves_the_offset, fresh),
		cmocka_unit_test_setup(a_timer_survives_a_tsc_write, fresh),
		cmocka_unit_test_setup(apic_base, fresh),
		cmocka_unit_test_setup(x2apic_registers, fresh),
		cmocka_unit_test_setup(tsc_deadline, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
