/*
 * Tests of the guest's registers in the VMCS: what is set comes back in every mode, what the
 * processor really holds is legal, and what the guest only believes stays apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_vmx.h"
#include "tests/support/vmx_guest.h"

#define REAL_RIGHTS (SEG_PRESENT | SEG_CODE | 3)
#define CODE32	    (SEG_PRESENT | SEG_CODE | SEG_GRANULAR | SEG_BIG | 11)
#define DATA32	    (SEG_PRESENT | SEG_CODE | SEG_GRANULAR | SEG_BIG | 3)

static struct vcpu_state state_real(void)
{
	struct vcpu_state s = { .rip = 0xfff0,
				.rflags = RFLAGS_ONE,
				.cr0 = CR0_ET | CR0_CD | CR0_NW,
				.dr6 = DR6_RESET,
				.dr7 = DR7_RESET,
				.gdtr.limit = 0xffff,
				.idtr = { .base = 0x1000, .limit = 0x3ff } };

	for (u32 i = 0; i < SEG_COUNT; i++)
		s.segment[i] = (struct segment){ .base = i * 0x100,
						 .limit = 0xffff,
						 .rights = REAL_RIGHTS,
						 .selector = (u16)(i * 0x10) };
	s.segment[SEG_CS].base = 0xffff0000;
	s.segment[SEG_CS].rights = SEG_PRESENT | SEG_CODE | 11;
	s.segment[SEG_LDTR].rights = SEG_PRESENT | 2;
	s.segment[SEG_TR].rights = SEG_PRESENT | 3;
	return s;
}

static struct vcpu_state state_protected(void)
{
	struct vcpu_state s = guest_state_long();

	s.cr0 = CR0_PE | CR0_NE | CR0_TS | CR0_MP | CR0_EM | CR0_AM;
	s.cr3 = 0;
	s.cr4 = CR4_DE | CR4_MCE;
	s.efer = 0;
	s.rip = 0xfffffff0;
	s.rflags = RFLAGS_ONE | RFLAGS_IOPL | RFLAGS_TF;
	s.segment[SEG_CS].rights = CODE32;
	s.segment[SEG_SS].rights = DATA32;
	s.segment[SEG_FS] = (struct segment){ .rights = SEG_UNUSABLE };
	s.segment[SEG_GS] = (struct segment){ .rights = SEG_UNUSABLE };
	s.segment[SEG_TR].rights = SEG_PRESENT | 3;
	return s;
}

static struct vcpu_state state_pae(void)
{
	struct vcpu_state s = state_protected();

	s.cr0 |= CR0_PG | CR0_WP;
	s.cr3 = 0x12340;
	s.cr4 = CR4_PAE | CR4_PGE;
	s.efer = EFER_NXE;
	/* Ring 3: CPL is SS's DPL. */
	s.segment[SEG_CS].rights |= SEG_DPL;
	s.segment[SEG_SS].rights |= SEG_DPL;
	return s;
}

static struct vcpu_state state_long(void)
{
	struct vcpu_state s = guest_state_long();

	s.cr4 |= CR4_OSXSAVE | CR4_PCIDE | CR4_SMEP | CR4_OSFXSR;
	s.cr8 = 15;
	s.dr6 = DR6_RESET | DR6_BS | DR6_B1;
	s.dr7 = DR7_RESET | DR7_GD | 0xf0003;
	return s;
}

static struct vcpu_state (*const modes[])(void) = { state_real, state_protected, state_pae,
						    state_long };

/* Over any other mode, in the processor's registers or not. */
static void what_is_set_comes_back(void **state)
{
	for (u32 from = 0; from < ARRAY_SIZE(modes); from++) {
		for (u32 to = 0; to < ARRAY_SIZE(modes); to++) {
			struct vcpu_state old = modes[from](), set = modes[to](), got;

			guest_fresh(state);
			backend->state_set(guest, &old);
			if (to % 2)
				guest_exit(VMX_EXIT_CPUID); /* CR2 is in the processor now */
			boot_cpu.resident = from % 2 ? guest : NULL; /* and DR6 */
			backend->state_set(guest, &set);
			memset(&got, 0, sizeof(got));
			backend->state_get(guest, &got);
			assert_memory_equal(&got, &set, sizeof(got));
		}
	}
}

/* Ring 3 gets the structure: padding must not carry what the core had there. */
static void padding_is_left_alone(void **state)
{
	struct vcpu_state got;
	struct segment *s = &got.segment[SEG_GS];

	(void)state;
	memset(&got, 0x5a, sizeof(got));
	backend->state_get(guest, &got);
	assert_int_equal(s->pad[0], 0x5a5a);
	assert_int_equal(s->pad[2], 0x5a5a);
	assert_int_equal(got.idtr.pad[0], 0x5a5a);
}

/* SDM, "Checks on Guest Control Registers, Debug Registers, and MSRs". */
static void the_real_registers_are_legal(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
		struct vcpu_state s = modes[i]();
		u64 cr0, efer, entry;

		backend->state_set(guest, &s);
		cr0 = vmread(VMCS_GUEST_CR0);
		efer = vmread(VMCS_GUEST_EFER);
		entry = vmread(VMCS_ENTRY_CONTROLS);
		assert_int_equal(cr0 & (CR0_NE | CR0_CD | CR0_NW), CR0_NE);
		assert_int_equal(cr0 & (CR0_PE | CR0_PG | CR0_TS),
				 s.cr0 & (CR0_PE | CR0_PG | CR0_TS));
		assert_int_equal(vmread(VMCS_GUEST_CR4), s.cr4 | CR4_VMXE | CR4_MCE);
		assert_int_equal((entry & ENTRY_LONG_MODE) != 0, (efer & EFER_LMA) != 0);
		assert_int_equal(entry & ~(u64)ENTRY_LONG_MODE, ENTRY_LOAD_EFER);
		assert_true(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_ONE);
	}
}

static void rflags_always_has_its_one(void **state)
{
	struct vcpu_state s = state_real();

	(void)state;
	s.rflags = 0;
	backend->state_set(guest, &s);
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), RFLAGS_ONE);
}

/* A VMM cannot give its guest what CPUID hides. */
static void hidden_bits_of_cr4_are_dropped(void **state)
{
	struct vcpu_state s = guest_state_long();

	(void)state;
	s.cr4 |= CR4_LA57 | CR4_CET | CR4_PKE | CR4_UINTR | CR4_SMAP;
	backend->state_set(guest, &s);
	assert_int_equal(vmread(VMCS_GUEST_CR4), CR4_PAE | CR4_PGE | CR4_VMXE | CR4_MCE);
	assert_int_equal(backend->register_get(guest, VCPU_CR4), CR4_PAE | CR4_PGE);
}

static void what_a_guest_does_not_own(void **state)
{
	u64 cr0 = vmread(VMCS_CR0_MASK), cr4 = vmread(VMCS_CR4_MASK);

	(void)state;
	assert_int_equal(cr0, CR0_NE | CR0_CD | CR0_NW);
	assert_int_equal(~cr4, CR4_TSD | CR4_DE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR |
				       CR4_OSXMMEXCPT | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP);
}

/* Masked bits come from the shadow, the others from what the guest has done since. */
static void registers_are_where_the_guest_left_them(void **state)
{
	struct vcpu_state s = guest_state_long(), got = { 0 };

	(void)state;
	s.cr0 = CR0_PE | CR0_ET | CR0_CD;
	s.efer = 0;
	backend->state_set(guest, &s);
	guest_plan(VMCS_GUEST_CR0, CR0_PE | CR0_ET | CR0_NE | CR0_TS | CR0_WP);
	guest_plan(VMCS_GUEST_CR4, CR4_VMXE | CR4_MCE | CR4_DE);
	guest_exit(VMX_EXIT_CPUID);
	fake_insn.dr6 = DR6_RESET | DR6_B3; /* in the processor while the vCPU is resident */
	assert_int_equal(backend->register_get(guest, VCPU_CR0),
			 CR0_PE | CR0_ET | CR0_CD | CR0_TS | CR0_WP);
	assert_int_equal(backend->register_get(guest, VCPU_CR4), CR4_DE);
	backend->state_get(guest, &got);
	assert_int_equal(got.cr0, CR0_PE | CR0_ET | CR0_CD | CR0_TS | CR0_WP);
	assert_int_equal(got.cr4, CR4_DE);
	assert_int_equal(got.dr6, DR6_RESET | DR6_B3);
}

static u64 rights_of(u32 name, u32 rights)
{
	struct vcpu_state s = guest_state_long();

	s.segment[name].rights = rights;
	backend->state_set(guest, &s);
	return vmread(VMCS_GUEST_ES_RIGHTS + 2 * name);
}

/* SDM, "Checks on Guest Segment Registers": as loading the segment would have left it. */
static void segment_rights_as_the_processor_wants_them(void **state)
{
	(void)state;
	assert_int_equal(rights_of(SEG_CS, SEG_PRESENT | SEG_CODE | 10),
			 SEG_PRESENT | SEG_CODE | 11);
	assert_int_equal(rights_of(SEG_DS, SEG_PRESENT | SEG_CODE | 2), SEG_PRESENT | SEG_CODE | 3);
	assert_int_equal(rights_of(SEG_TR, SEG_PRESENT | 9), SEG_PRESENT | 11);
	assert_int_equal(rights_of(SEG_TR, SEG_PRESENT | 1), SEG_PRESENT | 3);
	assert_int_equal(rights_of(SEG_LDTR, SEG_PRESENT | 2), SEG_PRESENT | 2);
	assert_int_equal(rights_of(SEG_LDTR, 0), SEG_UNUSABLE);
	assert_int_equal(rights_of(SEG_ES, 0), SEG_UNUSABLE);
	assert_int_equal(rights_of(SEG_ES, SEG_PRESENT | SEG_UNUSABLE), SEG_PRESENT | SEG_UNUSABLE);
	assert_int_equal(rights_of(SEG_FS, 0xfffe0f00 | SEG_PRESENT | SEG_CODE | 3),
			 SEG_PRESENT | SEG_CODE | 3);
}

static void the_privilege_level_is_the_stack_segments(void **state)
{
	struct vcpu_state s = guest_state_long();

	(void)state;
	for (u32 level = 0; level < 4; level++) {
		s.segment[SEG_SS].rights = (u32)field_set(SEG_DPL, SEG_UNUSABLE, level);
		backend->state_set(guest, &s);
		assert_int_equal(backend->register_get(guest, VCPU_CPL), level);
	}
}

static void single_registers(void **state)
{
	(void)state;
	assert_int_equal(backend->register_get(guest, VCPU_RFLAGS), GUEST_FLAGS);
	backend->register_set(guest, VCPU_RFLAGS, RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(backend->register_get(guest, VCPU_RFLAGS), RFLAGS_ONE | RFLAGS_ZF);
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), RFLAGS_ONE | RFLAGS_ZF);
	backend->register_set(guest, VCPU_CR2, 0x1234);
	assert_int_equal(backend->register_get(guest, VCPU_CR2), 0x1234);
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(fake_insn.cr2, 0x1234);
	backend->register_set(guest, VCPU_CR2, 0x5678);
	assert_int_equal(fake_insn.cr2, 0x5678);
	fake_insn.cr2 = 0x9abc; /* a page fault of the guest */
	assert_int_equal(backend->register_get(guest, VCPU_CR2), 0x9abc);
}

static void efer_switches_the_entry(void **state)
{
	(void)state;
	backend->register_set(guest, VCPU_EFER, EFER_LME);
	assert_int_equal(vmread(VMCS_ENTRY_CONTROLS), ENTRY_LOAD_EFER);
	assert_int_equal(backend->register_get(guest, VCPU_EFER), EFER_LME);
	backend->register_set(guest, VCPU_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	assert_int_equal(vmread(VMCS_ENTRY_CONTROLS), ENTRY_LOAD_EFER | ENTRY_LONG_MODE);
	/* The guest itself goes on to paging: the processor keeps both. */
	backend->register_set(guest, VCPU_EFER, EFER_LME);
	guest_plan(VMCS_GUEST_EFER, EFER_LME | EFER_LMA);
	guest_plan(VMCS_ENTRY_CONTROLS, ENTRY_LOAD_EFER | ENTRY_LONG_MODE);
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(backend->register_get(guest, VCPU_EFER), EFER_LME | EFER_LMA);
	backend->register_set(guest, VCPU_EFER, EFER_LME | EFER_LMA | EFER_SCE);
	assert_int_equal(vmread(VMCS_ENTRY_CONTROLS), ENTRY_LOAD_EFER | ENTRY_LONG_MODE);
}

static void pat_is_the_guests(void **state)
{
	(void)state;
	assert_int_equal(backend->register_get(guest, VCPU_PAT), PAT_RESET);
	backend->register_set(guest, VCPU_PAT, 0x0606060606060606);
	assert_int_equal(backend->register_get(guest, VCPU_PAT), 0x0606060606060606);
}

/* A new state starts afresh: no shadow, nothing pending, no old translations, a look at TPR. */
static void a_new_state_starts_afresh(void **state)
{
	struct vcpu_state s = guest_state_long();
	u64 flushes;

	(void)state;
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI | BLOCKED_BY_NMI);
	guest_plan(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS);
	guest_exit(VMX_EXIT_CPUID);
	flushes = fake_vmx.invvpids;
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(fake_vmx.invvpids, flushes);
	guest->events = false;
	s.cr8 = 9;
	backend->state_set(guest, &s);
	/* A task switch sets a state in the middle of an NMI handler. */
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_int_equal(vmread(VMCS_GUEST_PENDING_DEBUG), 0);
	assert_int_equal(lapic_cr8_get(&guest->lapic), 9);
	assert_true(guest->events);
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(fake_vmx.invvpids, flushes + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, guest_fresh)
		TEST(what_is_set_comes_back),
		TEST(padding_is_left_alone),
		TEST(the_real_registers_are_legal),
		TEST(rflags_always_has_its_one),
		TEST(hidden_bits_of_cr4_are_dropped),
		TEST(what_a_guest_does_not_own),
		TEST(registers_are_where_the_guest_left_them),
		TEST(segment_rights_as_the_processor_wants_them),
		TEST(the_privilege_level_is_the_stack_segments),
		TEST(single_registers),
		TEST(efer_switches_the_entry),
		TEST(pat_is_the_guests),
		TEST(a_new_state_starts_afresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
