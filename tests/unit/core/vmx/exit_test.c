/*
 * Tests of exit decoding: the neutral reason and the facts of every exit reason that VT-x has, and
 * what the processor leaves to root mode at an exit. SDM, "Basic Exit Reasons" and "Information for
 * VM Exits Due to Vectored Events".
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

#define LENGTH	  7U
#define DEVICE	  0xfec00000ULL
#define HIGH_JUNK 0xdeadbeef00000000ULL

#define EVENT(type, vector) (EVENT_VALID | (type) << 8 | (vector))
#define ERROR_CODE	    EVENT_ERROR_VALID

static const struct {
	u32 number;
	enum vm_exit_reason reason;
	bool has_length; /* an instruction that root mode may finish */
} reasons[] = {
	{ 1, VM_EXIT_INTERRUPT, false },
	{ 2, VM_EXIT_SHUTDOWN, false },
	{ 3, VM_EXIT_HOST_NMI, false },
	{ 4, VM_EXIT_HOST_NMI, false },
	{ 7, VM_EXIT_WINDOW, false },
	{ 8, VM_EXIT_WINDOW, false },
	{ 10, VM_EXIT_CPUID, true },
	{ 11, VM_EXIT_REFUSED, false },
	{ 12, VM_EXIT_HLT, true },
	{ 13, VM_EXIT_CACHE, true },
	{ 15, VM_EXIT_REFUSED_GP, false },
	{ 17, VM_EXIT_REFUSED, false },
	{ 18, VM_EXIT_REFUSED, false },
	{ 19, VM_EXIT_REFUSED, false },
	{ 20, VM_EXIT_REFUSED, false },
	{ 21, VM_EXIT_REFUSED, false },
	{ 22, VM_EXIT_REFUSED, false },
	{ 23, VM_EXIT_REFUSED, false },
	{ 24, VM_EXIT_REFUSED, false },
	{ 25, VM_EXIT_REFUSED, false },
	{ 26, VM_EXIT_REFUSED, false },
	{ 27, VM_EXIT_REFUSED, false },
	{ 30, VM_EXIT_IO, true },
	{ 31, VM_EXIT_MSR, true },
	{ 32, VM_EXIT_MSR, true },
	{ 33, VM_EXIT_ENTRY_FAILED, false },
	{ 34, VM_EXIT_ENTRY_FAILED, false },
	{ 36, VM_EXIT_REFUSED, false },
	{ 39, VM_EXIT_REFUSED, false },
	{ 40, VM_EXIT_PAUSE, true },
	{ 41, VM_EXIT_ENTRY_FAILED, false },
	{ 43, VM_EXIT_WINDOW, false },
	{ 44, VM_EXIT_MMIO, false },
	{ 45, VM_EXIT_EOI, false },
	{ 48, VM_EXIT_RAM_FAULT, false },
	{ 49, VM_EXIT_RAM_FAULT, false },
	{ 50, VM_EXIT_REFUSED, false },
	{ 52, VM_EXIT_INTERRUPT, false },
	{ 53, VM_EXIT_REFUSED, false },
	{ 54, VM_EXIT_CACHE, true },
	{ 55, VM_EXIT_XSETBV, true },
	{ 56, VM_EXIT_APIC, false },
};

static void every_reason_that_is_expected(void **state)
{
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		guest_fresh(state);
		guest_plan(VMCS_EXIT_INSN_LENGTH, LENGTH);
		guest_exit(reasons[i].number);
		assert_int_equal(guest->exit.reason, reasons[i].reason);
		assert_int_equal(guest->exit.insn_length, reasons[i].has_length ? LENGTH : 0);
	}
}

/* Exceptions (0), task switches (9) and control registers (28) have tests of their own. */
static bool is_expected(u32 number)
{
	for (u32 i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].number == number)
			return true;
	}
	return number == 0 || number == 9 || number == 28;
}

static void every_other_reason_is_unknown(void **state)
{
	static const u32 far[] = { 255, 0x7fff, 0xffff };

	(void)state;
	for (u32 number = 0; number < 256; number++) {
		if (is_expected(number))
			continue;
		guest_plan(VMCS_EXIT_QUALIFICATION, 0x1111);
		guest_plan(VMCS_GUEST_PHYSICAL, 0x2222);
		guest_plan(VMCS_EXIT_INSN_LENGTH, LENGTH);
		guest_exit(number);
		assert_int_equal(guest->exit.reason, VM_EXIT_UNKNOWN);
		assert_int_equal(guest->exit.insn_length, 0);
		assert_int_equal(guest->exit.unknown.code, number);
		assert_int_equal(guest->exit.unknown.info1, 0x1111);
		assert_int_equal(guest->exit.unknown.info2, 0x2222);
	}
	for (u32 i = 0; i < ARRAY_SIZE(far); i++) {
		guest_exit(far[i]);
		assert_int_equal(guest->exit.reason, VM_EXIT_UNKNOWN);
	}
}

/* Flags above the basic reason do not change what it is. */
static void the_basic_reason_counts(void **state)
{
	(void)state;
	guest_exit(BIT32(27) | 10);
	assert_int_equal(guest->exit.reason, VM_EXIT_CPUID);
}

static void a_triple_fault_says_what_is_known(void **state)
{
	(void)state;
	guest_exit(VMX_EXIT_TRIPLE_FAULT);
	assert_int_equal(guest->exit.unknown.code, VMX_EXIT_TRIPLE_FAULT);
}

static void io(u64 qualification)
{
	guest->page->gpr[GPR_RAX] = HIGH_JUNK | 0x11223344;
	guest_plan(VMCS_EXIT_QUALIFICATION, qualification);
	guest_plan(VMCS_EXIT_INSN_LENGTH, LENGTH);
	guest_exit(VMX_EXIT_IO);
	assert_int_equal(guest->exit.reason, VM_EXIT_IO);
	assert_int_equal(guest->exit.io.value, 0x11223344);
}

static void port_access(void **state)
{
	(void)state;
	io(0x03f80000 | 0x40); /* OUT from AL, the port an immediate operand */
	assert_int_equal(guest->exit.io.port, 0x3f8);
	assert_int_equal(guest->exit.io.size, 1);
	assert_int_equal(guest->exit.io.in, 0);
	assert_int_equal(guest->exit.io.string, 0);
	assert_int_equal(guest->exit.insn_length, LENGTH);
	io(0xffff0000 | 0x8 | 1); /* IN to AX */
	assert_int_equal(guest->exit.io.port, 0xffff);
	assert_int_equal(guest->exit.io.size, 2);
	assert_int_equal(guest->exit.io.in, 1);
	io(0x0cfc0000 | 3); /* OUT from EAX */
	assert_int_equal(guest->exit.io.port, 0xcfc);
	assert_int_equal(guest->exit.io.size, 4);
}

static void string_access_is_left_to_the_decoder(void **state)
{
	(void)state;
	io(0x01f00000 | 0x30 | 0x8 | 1); /* REP INSW */
	assert_int_equal(guest->exit.io.port, 0x1f0);
	assert_int_equal(guest->exit.io.string, 1);
	assert_int_equal(guest->exit.io.in, 1);
	assert_int_equal(guest->exit.io.size, 2);
	assert_int_equal(guest->exit.insn_length, 0);
}

static void registers_of_msr_and_xsetbv(void **state)
{
	u64 *gpr = guest->page->gpr;

	(void)state;
	gpr[GPR_RAX] = HIGH_JUNK | 0x89abcdef;
	gpr[GPR_RDX] = HIGH_JUNK | 0x01234567;
	gpr[GPR_RCX] = HIGH_JUNK | 0xc0000080;
	guest_exit(VMX_EXIT_RDMSR);
	assert_int_equal(guest->exit.msr.index, 0xc0000080);
	assert_int_equal(guest->exit.msr.write, 0);
	guest_exit(VMX_EXIT_WRMSR);
	assert_int_equal(guest->exit.msr.index, 0xc0000080);
	assert_int_equal(guest->exit.msr.write, 1);
	assert_int_equal(guest->exit.msr.value, 0x0123456789abcdef);
	gpr[GPR_RCX] = HIGH_JUNK | 1;
	guest_exit(VMX_EXIT_XSETBV);
	assert_int_equal(guest->exit.xsetbv.index, 1);
	assert_int_equal(guest->exit.xsetbv.value, 0x0123456789abcdef);
}

static void ept_violation(u64 gpa, u64 qualification)
{
	guest_plan(VMCS_GUEST_PHYSICAL, gpa);
	guest_plan(VMCS_EXIT_QUALIFICATION, qualification);
	guest_exit(VMX_EXIT_EPT_VIOLATION);
}

static void device_memory(void **state)
{
	static const struct {
		u64 qualification;
		u32 access;
	} rows[] = {
		{ QUAL_EPT_READ, 0 },
		{ QUAL_EPT_WRITE, MMIO_WRITE },
		{ QUAL_EPT_READ | QUAL_EPT_WRITE, MMIO_WRITE },
		{ QUAL_EPT_FETCH, MMIO_FETCH },
		{ QUAL_EPT_WRITE | 0x7b8, MMIO_WRITE }, /* what else an exit says */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		ept_violation(DEVICE + 0x123, rows[i].qualification);
		assert_int_equal(guest->exit.reason, VM_EXIT_MMIO);
		assert_int_equal(guest->exit.mmio.gpa, DEVICE + 0x123);
		assert_int_equal(guest->exit.mmio.access, rows[i].access);
	}
	ept_violation(GUEST_RAM, QUAL_EPT_READ);
	assert_int_equal(guest->exit.reason, VM_EXIT_MMIO);
	ept_violation(0xa0000, QUAL_EPT_READ); /* the VGA hole */
	assert_int_equal(guest->exit.reason, VM_EXIT_MMIO);
}

/* All of RAM is mapped for every access: the second stage is broken. */
static void ram_must_not_fault(void **state)
{
	(void)state;
	ept_violation(GUEST_RAM - 1, QUAL_EPT_FETCH);
	assert_int_equal(guest->exit.reason, VM_EXIT_RAM_FAULT);
	assert_int_equal(guest->exit.unknown.code, VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(guest->exit.unknown.info1, QUAL_EPT_FETCH);
	assert_int_equal(guest->exit.unknown.info2, GUEST_RAM - 1);
}

static u64 blocked(void)
{
	return vmread(VMCS_GUEST_INTERRUPTIBILITY);
}

static void exception(u64 info)
{
	guest_plan(VMCS_EXIT_EVENT, info);
	guest_exit(VMX_EXIT_EXCEPTION);
}

/* An IRET that opened NMIs and then faulted will run again: they are still blocked. */
static void a_faulting_iret_has_not_opened_nmis(void **state)
{
	ept_violation(DEVICE, QUAL_EPT_READ);
	assert_int_equal(blocked(), 0);
	ept_violation(DEVICE, QUAL_EPT_READ | QUAL_NMI_UNBLOCKING);
	assert_int_equal(blocked(), BLOCKED_BY_NMI);
	guest_fresh(state);
	exception(EVENT(EVENT_EXCEPTION, EXC_AC) | ERROR_CODE);
	assert_int_equal(blocked(), 0);
	exception(EVENT(EVENT_EXCEPTION, EXC_AC) | ERROR_CODE | EVENT_NMI_UNBLOCKING);
	assert_int_equal(blocked(), BLOCKED_BY_NMI);
}

/* During another event's delivery, and with a double fault, the bit means nothing. */
static void the_unblocking_bit_is_not_always_defined(void **state)
{
	guest_plan(VMCS_VECTORING_EVENT, EVENT(EVENT_INTERRUPT, 0x30));
	ept_violation(DEVICE, QUAL_EPT_WRITE | QUAL_NMI_UNBLOCKING);
	assert_int_equal(blocked(), 0);
	guest_fresh(state);
	guest_plan(VMCS_VECTORING_EVENT, EVENT(EVENT_EXCEPTION, EXC_GP));
	exception(EVENT(EVENT_EXCEPTION, EXC_AC) | ERROR_CODE | EVENT_NMI_UNBLOCKING);
	assert_int_equal(blocked(), 0);
	guest_fresh(state);
	exception(EVENT(EVENT_EXCEPTION, EXC_DF) | ERROR_CODE | EVENT_NMI_UNBLOCKING);
	assert_int_equal(blocked(), 0);
}

static void an_nmi_goes_to_root_mode(void **state)
{
	(void)state;
	exception(EVENT(EVENT_NMI, EXC_NMI));
	assert_int_equal(guest->exit.reason, VM_EXIT_HOST_NMI);
	assert_int_equal(fake_insn.nmis, 1);
	assert_int_equal(blocked(), 0); /* the guest's own are another matter */
	exception(EVENT(EVENT_EXCEPTION, EXC_MC));
	assert_int_equal(fake_insn.nmis, 1);
}

static void exceptions(void **state)
{
	(void)state;
	guest_plan(VMCS_EXIT_EVENT_ERROR, 0x5a);
	exception(EVENT(EVENT_EXCEPTION, EXC_AC) | ERROR_CODE);
	assert_int_equal(guest->exit.reason, VM_EXIT_EXCEPTION);
	assert_int_equal(guest->exit.exception.vector, EXC_AC);
	assert_int_equal(guest->exit.exception.has_error, 1);
	assert_int_equal(guest->exit.exception.error, 0x5a);
	assert_int_equal(guest->exit.insn_length, 0);
	exception(EVENT(EVENT_EXCEPTION, EXC_MC));
	assert_int_equal(guest->exit.exception.vector, EXC_MC);
	assert_int_equal(guest->exit.exception.has_error, 0);
	assert_int_equal(fake_insn.dr6, DR6_RESET);
}

static void debug_exit(u64 qualification)
{
	guest_plan(VMCS_EXIT_QUALIFICATION, qualification);
	exception(EVENT(EVENT_EXCEPTION, EXC_DB));
	assert_int_equal(guest->exit.reason, VM_EXIT_EXCEPTION);
	assert_int_equal(guest->exit.exception.vector, EXC_DB);
	assert_int_equal(guest->exit.exception.has_error, 0);
}

/* The exit comes before a #DB's effects. B3 to B0 say what is new, the other bits add up. */
static void a_debug_exception_has_its_effects(void **state)
{
	(void)state;
	guest_plan(VMCS_GUEST_DR7, DR7_RESET | DR7_GD | 3);
	debug_exit(DR6_B0 | DR6_B2);
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_B0 | DR6_B2);
	assert_int_equal(vmread(VMCS_GUEST_DR7), DR7_RESET | 3);
	debug_exit(DR6_BS | DR6_B3);
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_BS | DR6_B3);
	debug_exit(DR6_BD);
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_BS | DR6_BD);
	debug_exit(~0ULL); /* only what this processor has */
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_BD | DR6_BS | 0xf);
	assert_int_equal(vmread(VMCS_GUEST_RIP), GUEST_RIP);
}

/* An entry wants a trap to be pending in a shadow with TF set; the #DB goes in and ends it. */
static void a_debug_exception_ends_the_shadow(void **state)
{
	(void)state;
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI | BLOCKED_BY_NMI);
	debug_exit(DR6_BS);
	assert_int_equal(blocked(), BLOCKED_BY_NMI);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	exception(EVENT(EVENT_PRIVILEGED, EXC_DB));
	assert_int_equal(blocked(), 0);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_MOV_SS);
	exception(EVENT(EVENT_EXCEPTION, EXC_AC));
	assert_int_equal(blocked(), BLOCKED_BY_MOV_SS);
}

static void int1_is_a_trap_without_a_cause(void **state)
{
	(void)state;
	guest_plan(VMCS_GUEST_DR7, DR7_RESET | DR7_GD);
	guest_plan(VMCS_EXIT_INSN_LENGTH, 1);
	exception(EVENT(EVENT_PRIVILEGED, EXC_DB));
	assert_int_equal(guest->exit.exception.vector, EXC_DB);
	assert_int_equal(vmread(VMCS_GUEST_RIP), GUEST_RIP + 1);
	assert_int_equal(fake_insn.dr6, DR6_RESET);
}

enum access { MOV_TO, MOV_FROM, CLTS, LMSW };

/* An access with this value in R9. */
static void control_register(u32 number, enum access access, u64 value)
{
	guest->page->gpr[GPR_R9] = value;
	guest_plan(VMCS_EXIT_QUALIFICATION, number | (u64)access << 4 | (u64)GPR_R9 << 8);
	guest_exit(VMX_EXIT_CR);
}

/* The processor runs it again, past a breakpoint that has been taken. */
static bool runs_again(void)
{
	return guest->exit.reason == VM_EXIT_CR && guest->exit.insn_length == 0 &&
	       vmread(VMCS_GUEST_RIP) == GUEST_RIP &&
	       vmread(VMCS_GUEST_RFLAGS) == (GUEST_FLAGS | RFLAGS_RF);
}

static bool refused(void)
{
	return guest->exit.reason == VM_EXIT_REFUSED_GP && vmread(VMCS_GUEST_RFLAGS) == GUEST_FLAGS;
}

static void cr0_bits_that_the_guest_only_believes(void **state)
{
	const u64 cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET;
	u64 real = vmread(VMCS_GUEST_CR0);

	(void)state;
	control_register(0, MOV_TO, cr0 | CR0_CD);
	assert_true(runs_again());
	assert_int_equal(vmread(VMCS_CR0_SHADOW), CR0_CD);
	assert_int_equal(backend->register_get(guest, VCPU_CR0), cr0 | CR0_CD);
	guest_plan(VMCS_GUEST_RFLAGS, GUEST_FLAGS);
	control_register(0, MOV_TO, cr0 | CR0_CD | CR0_NW | CR0_NE);
	assert_true(runs_again());
	assert_int_equal(vmread(VMCS_CR0_SHADOW), CR0_CD | CR0_NW | CR0_NE);
	assert_int_equal(vmread(VMCS_GUEST_CR0), real);
}

static void cr0_values_that_no_processor_takes(void **state)
{
	static const u64 wrong[] = { CR0_PE | CR0_NW, CR0_PG, CR0_PG | CR0_CD | CR0_NW };
	u64 shadow = vmread(VMCS_CR0_SHADOW);

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		control_register(0, MOV_TO, wrong[i]);
		assert_true(refused());
		assert_int_equal(vmread(VMCS_CR0_SHADOW), shadow);
	}
}

/* Clearing the real one would let a machine check shut the machine down. */
static void cr4_mce_is_a_belief(void **state)
{
	u64 real = vmread(VMCS_GUEST_CR4);

	(void)state;
	assert_true(real & CR4_MCE);
	assert_int_equal(backend->register_get(guest, VCPU_CR4), CR4_PAE | CR4_PGE);
	control_register(4, MOV_TO, CR4_PAE | CR4_PGE | CR4_MCE);
	assert_true(runs_again());
	assert_int_equal(backend->register_get(guest, VCPU_CR4), CR4_PAE | CR4_PGE | CR4_MCE);
	guest_plan(VMCS_GUEST_RFLAGS, GUEST_FLAGS);
	control_register(4, MOV_TO, CR4_PAE | CR4_PGE);
	assert_true(runs_again());
	assert_int_equal(backend->register_get(guest, VCPU_CR4), CR4_PAE | CR4_PGE);
	assert_int_equal(vmread(VMCS_GUEST_CR4), real);
}

static void cr4_bits_that_cpuid_hides(void **state)
{
	static const u64 hidden[] = { CR4_VMXE, CR4_SMXE, CR4_SMAP, CR4_PKE,   CR4_CET,
				      CR4_LA57, CR4_UMIP, CR4_VME,  BIT64(31), BIT64(63) };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(hidden); i++) {
		control_register(4, MOV_TO, CR4_PAE | CR4_MCE | hidden[i]);
		assert_true(refused());
		assert_int_equal(vmread(VMCS_CR4_SHADOW), 0);
	}
}

/* Outside 64-bit mode the operand has 32 bits, whatever the register holds above. */
static void cr4_operand_of_32_bits(void **state)
{
	(void)state;
	guest_plan(VMCS_GUEST_ES_RIGHTS + 2 * SEG_CS, SEG_PRESENT | SEG_CODE | SEG_BIG | 11);
	control_register(4, MOV_TO, HIGH_JUNK | CR4_PAE | CR4_MCE);
	assert_true(runs_again());
	assert_int_equal(vmread(VMCS_CR4_SHADOW), CR4_MCE);
	guest_fresh(NULL);
	control_register(4, MOV_TO, HIGH_JUNK | CR4_PAE | CR4_MCE);
	assert_true(refused());
}

static void accesses_that_nobody_asked_to_see(void **state)
{
	(void)state;
	control_register(0, MOV_FROM, CR0_PE);
	assert_true(refused());
	control_register(0, CLTS, CR0_PE);
	assert_true(refused());
	control_register(0, LMSW, CR0_PE);
	assert_true(refused());
	control_register(4, MOV_FROM, CR4_PAE);
	assert_true(refused());
	control_register(3, MOV_TO, 0);
	assert_true(refused());
	control_register(8, MOV_TO, 0);
	assert_true(refused());
}

static u32 fired;

static void fire(struct timer *timer)
{
	(void)timer;
	fired++;
}

static void the_preemption_timer_stands_for_the_local_apics(void **state)
{
	static struct timer due, later;

	(void)state;
	timer_init(&due, fire);
	timer_init(&later, fire);
	timer_set(&due, fake_insn.tsc);
	timer_set(&later, fake_insn.tsc + MIB);
	fired = 0;
	guest_exit(VMX_EXIT_PREEMPTION_TIMER);
	assert_int_equal(guest->exit.reason, VM_EXIT_INTERRUPT);
	assert_int_equal(fired, 1);
	assert_ptr_equal(boot_cpu.timers.first, &later);
	timer_set(&later, TIMER_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, guest_fresh)
		TEST(every_reason_that_is_expected),
		TEST(every_other_reason_is_unknown),
		TEST(the_basic_reason_counts),
		TEST(a_triple_fault_says_what_is_known),
		TEST(port_access),
		TEST(string_access_is_left_to_the_decoder),
		TEST(registers_of_msr_and_xsetbv),
		TEST(device_memory),
		TEST(ram_must_not_fault),
		TEST(a_faulting_iret_has_not_opened_nmis),
		TEST(the_unblocking_bit_is_not_always_defined),
		TEST(an_nmi_goes_to_root_mode),
		TEST(exceptions),
		TEST(a_debug_exception_has_its_effects),
		TEST(a_debug_exception_ends_the_shadow),
		TEST(int1_is_a_trap_without_a_cause),
		TEST(cr0_bits_that_the_guest_only_believes),
		TEST(cr0_values_that_no_processor_takes),
		TEST(cr4_mce_is_a_belief),
		TEST(cr4_bits_that_cpuid_hides),
		TEST(cr4_operand_of_32_bits),
		TEST(accesses_that_nobody_asked_to_see),
		TEST(the_preemption_timer_stands_for_the_local_apics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
