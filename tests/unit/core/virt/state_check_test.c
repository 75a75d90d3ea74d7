/* Tests of the vCPU state that a VMM may ask for: each rule broken alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/virt/state_check.h"
#include "lib/x86/registers.h"

/* Real mode after reset, protected mode, and 64-bit mode: all fine. */
static const struct vcpu_state reset = { .cr0 = CR0_ET | CR0_CD | CR0_NW,
					 .dr6 = DR6_RESET,
					 .dr7 = DR7_RESET };
static const struct vcpu_state protected = { .cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000 };
static const struct vcpu_state long_mode = {
	.cr0 = CR0_PE | CR0_PG,
	.cr3 = 0x1000,
	.cr4 = CR4_PAE,
	.efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE,
	.segment[SEG_CS].rights = SEG_CODE | SEG_PRESENT | SEG_LONG,
};

static void what_runs(void **state)
{
	struct vcpu_state s = long_mode;

	(void)state;
	assert_true(state_is_runnable(&reset));
	assert_true(state_is_runnable(&protected));
	assert_true(state_is_runnable(&long_mode));
	s.segment[SEG_CS].rights = SEG_CODE | SEG_PRESENT | SEG_BIG; /* compatibility mode */
	assert_true(state_is_runnable(&s));
	s = reset;
	s.efer = EFER_LME; /* on the way to 64-bit mode */
	assert_true(state_is_runnable(&s));
	s.cr8 = 15;
	assert_true(state_is_runnable(&s));
}

#define BREAK(base, field, value)                         \
	do {                                              \
		struct vcpu_state broken = (base);        \
                                                          \
		broken.field = (value);                   \
		assert_false(state_is_runnable(&broken)); \
	} while (0)

static void what_does_not(void **state)
{
	(void)state;
	BREAK(reset, cr0, BIT64(32));
	BREAK(reset, cr0, CR0_PG); /* without PE */
	BREAK(reset, cr0, CR0_NW); /* without CD */
	BREAK(reset, cr4, CR4_VMXE);
	BREAK(reset, cr4, CR4_SMXE);
	BREAK(reset, cr4, BIT64(32));
	BREAK(reset, cr3, BIT64(52));
	BREAK(reset, cr8, 16);
	BREAK(reset, dr6, BIT64(32));
	BREAK(reset, dr7, BIT64(32));
	BREAK(reset, efer, EFER_LMA);		 /* without LME and paging */
	BREAK(reset, efer, EFER_LME | EFER_LMA); /* without paging */
	BREAK(protected, efer, EFER_LME);	 /* paging without LMA */
	BREAK(long_mode, efer, EFER_LMA);	 /* without LME */
	BREAK(long_mode, cr4, 0);		 /* without PAE */
	BREAK(long_mode, segment[SEG_CS].rights, SEG_LONG | SEG_BIG);
}

static void efer_bits(void **state)
{
	const u64 allowed = EFER_SCE | EFER_LME | EFER_NXE;

	(void)state;
	for (u32 bit = 0; bit < 64; bit++) {
		struct vcpu_state s = reset;

		s.efer = BIT64(bit);
		assert_int_equal(state_is_runnable(&s), (allowed & BIT64(bit)) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_runs),
		cmocka_unit_test(what_does_not),
		cmocka_unit_test(efer_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
