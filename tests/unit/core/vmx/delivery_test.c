/*
 * Tests of the VT-x back end around a processor that delivers interrupts from the local APIC's page
 * by itself: offers, exits, and deliveries that an exit cuts short. SDM, "APIC Virtualization and
 * Virtual Interrupts" and "Exit Qualification".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/sys/process.h"
#include "core/vmx/caps.h"
#include "core/vmx/vmx.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_vmx.h"
#include "tests/support/vmx_guest.h"

#define IRR	  0x200U
#define ISR	  0x100U
#define PIC	  0x68	      /* a vector of the 8259 */
#define INTERRUPT 0x80000000U /* valid, type 0; the vector is below */

static struct process process = { .number = 3 };

static int fresh(void **state)
{
	int error = guest_fresh(state);

	(void)frames_free_all(process_owner(&process));
	guest_vm.process = &process;
	guest_vm.stage2 = (struct page_table){ .format = &paging_root_format_1g,
					       .memory = process_table_memory(&process) };
	vmx_caps.apicv = true;
	if (error || guest_vm.stage2.memory.table_alloc(&process, &guest_vm.stage2.root) ||
	    vmx_apic_init(guest))
		return -1;
	lapic_cr8_set(&guest->lapic, 0);
	return 0;
}

static u32 *word(u32 set, u8 vector)
{
	return &guest->lapic.reg[(set + vector / 32 * 16U) / 4];
}

/* As events.c does it. */
static void offer(int vector, bool ignore_tpr)
{
	guest->events = false;
	guest->offered = vector;
	backend->offer_interrupt(guest, vector, ignore_tpr);
}

/* The processor takes a vector of the page, as far as IRR and ISR. */
static void processor_takes(u8 vector)
{
	*word(IRR, vector) &= ~(1U << vector % 32);
	*word(ISR, vector) |= 1U << vector % 32;
	guest_plan(VMCS_GUEST_INTERRUPT_STATUS, (u64)vector << 8);
}

static bool waits_for_window(void)
{
	return vmread(VMCS_PROC_CONTROLS) & PROC_INTERRUPT_WINDOW;
}

static void the_page_is_the_virtual_apic_page(void **state)
{
	(void)state;
	assert_int_equal(vmread(VMCS_VIRTUAL_APIC) % PAGE_SIZE, 0);
	assert_int_equal((u64)guest->lapic.reg % PAGE_SIZE, 0);
	*word(IRR, 0x41) = 0x12345678;
	assert_int_equal(*(u32 *)fake_physical(HPA(vmread(VMCS_VIRTUAL_APIC) + 0x220), 4),
			 0x12345678);
}

/* Whatever IF, the shadow and TPR say: the processor looks at them itself. */
static void nothing_is_on_offer(void **state)
{
	(void)state;
	assert_true(lapic_accept(&guest->lapic, 0x41, false));
	for (u32 i = 0; i < 3; i++) {
		fake_vmx_set(VMCS_GUEST_RFLAGS, i == 0 ? GUEST_FLAGS : RFLAGS_ONE);
		lapic_cr8_set(&guest->lapic, i == 2 ? 15 : 0);
		offer(0x41, false);
		assert_int_equal(guest->offered, OFFER_NONE);
		assert_int_equal(vmread(VMCS_ENTRY_EVENT), 0);
		assert_int_equal(vmread(VMCS_TPR_THRESHOLD), 0);
		assert_int_equal(vmread(VMCS_GUEST_INTERRUPT_STATUS), 0x41);
		assert_false(waits_for_window());
	}
}

static void taken_without_an_exit(void **state)
{
	(void)state;
	assert_true(lapic_accept(&guest->lapic, 0x41, false));
	offer(0x41, false);
	processor_takes(0x41);
	guest_exit(VMX_EXIT_CPUID);
	assert_false(guest->offer_taken);
	assert_int_equal(lapic_irr_highest(&guest->lapic), -1);
	assert_int_equal(lapic_isr_highest(&guest->lapic), 0x41);
	assert_false(guest->events);
}

static void a_delivery_cut_short_starts_over(void **state)
{
	(void)state;
	assert_true(lapic_accept(&guest->lapic, 0xa5, false));
	offer(0xa5, false);
	processor_takes(0xa5);
	guest_plan(VMCS_VECTORING_EVENT, INTERRUPT | 0xa5);
	guest_exit(VMX_EXIT_EPT_VIOLATION);
	assert_int_equal(lapic_irr_highest(&guest->lapic), 0xa5);
	assert_int_equal(lapic_isr_highest(&guest->lapic), -1);
	assert_int_equal(guest->reinject.type, EVENT_NONE);
	assert_false(guest->offer_taken);
	assert_true(guest->events);
	offer(0xa5, false);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPT_STATUS), 0xa5);
}

/* The 8259's is injected, and is in neither register. */
static void the_8259s_is_on_offer(void **state)
{
	(void)state;
	assert_true(lapic_accept(&guest->lapic, 0x41, false));
	offer(OFFER_WINDOW, false);
	assert_true(waits_for_window()); /* the page's waits, too */
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPT_STATUS), 0x41);
	offer(PIC, true);
	assert_int_equal(guest->offered, PIC);
	assert_int_equal(vmread(VMCS_ENTRY_EVENT), INTERRUPT | PIC);
	assert_false(waits_for_window());
	guest_plan(VMCS_VECTORING_EVENT, INTERRUPT | PIC);
	guest_exit(VMX_EXIT_EPT_VIOLATION);
	assert_false(guest->offer_taken);
	assert_int_equal(lapic_irr_highest(&guest->lapic), 0x41);
	assert_int_equal(lapic_isr_highest(&guest->lapic), -1);
	offer(PIC, true);
	guest_exit(VMX_EXIT_CPUID);
	assert_true(guest->offer_taken);
}

static void registers_written(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2; i++) {
		guest_plan(VMCS_EXIT_QUALIFICATION, i == 0 ? 0x0f0 : ~0ULL);
		guest_plan(VMCS_EXIT_INSN_LENGTH, 7);
		guest_exit(VMX_EXIT_APIC_WRITE);
		assert_int_equal(guest->exit.reason, VM_EXIT_APIC);
		assert_int_equal(guest->exit.apic.offset, i == 0 ? 0x0f0 : 0xfff);
		assert_int_equal(guest->exit.insn_length, 0); /* RIP is past it */
	}
}

static void end_of_interrupt(void **state)
{
	(void)state;
	guest_plan(VMCS_EXIT_QUALIFICATION, ~0ULL << 8 | 0x71);
	guest_plan(VMCS_EXIT_INSN_LENGTH, 7);
	guest_exit(VMX_EXIT_EOI);
	assert_int_equal(guest->exit.reason, VM_EXIT_EOI);
	assert_int_equal(guest->exit.eoi.vector, 0x71);
	assert_int_equal(guest->exit.insn_length, 0);
}

static void accesses_that_are_not_virtualized(void **state)
{
	static const struct {
		u32 type, access;
	} row[] = { { 0, 0 }, { 1, MMIO_WRITE }, { 2, MMIO_FETCH },
		    { 3, 0 }, { 10, 0 },	 { 15, MMIO_FETCH } };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		guest_plan(VMCS_EXIT_QUALIFICATION, ~0xffffULL | row[i].type << 12 | 0x393);
		guest_exit(VMX_EXIT_APIC_ACCESS);
		assert_int_equal(guest->exit.reason, VM_EXIT_MMIO);
		assert_int_equal(guest->exit.mmio.gpa, 0xfee00393);
		assert_int_equal(guest->exit.mmio.access, row[i].access);
		assert_int_equal(guest->exit.insn_length, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_page_is_the_virtual_apic_page, fresh),
		cmocka_unit_test_setup(nothing_is_on_offer, fresh),
		cmocka_unit_test_setup(taken_without_an_exit, fresh),
		cmocka_unit_test_setup(a_delivery_cut_short_starts_over, fresh),
		cmocka_unit_test_setup(the_8259s_is_on_offer, fresh),
		cmocka_unit_test_setup(registers_written, fresh),
		cmocka_unit_test_setup(end_of_interrupt, fresh),
		cmocka_unit_test_setup(accesses_that_are_not_virtualized, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
