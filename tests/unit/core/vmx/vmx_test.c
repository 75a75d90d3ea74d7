/*
 * Tests of the VT-x back end: how an instruction ends, which events go in and which wait, what
 * became of them, and the registers that guests and root mode share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/mem/frames.h"
#include "core/mem/heap.h"
#include "core/mem/paging.h"
#include "core/virt/events.h"
#include "core/vmx/caps.h"
#include "core/vmx/vmx.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_vmx.h"
#include "tests/support/vmx_guest.h"

#define VECTOR 0x51

#define EVENT(type, vector) (EVENT_VALID | (type) << 8 | (u32)(vector))

/* --- the end of an instruction --- */

/* An instruction that exits in this state, and is finished. */
static bool finish(u64 rip, u64 rflags, u64 interruptibility, u32 length)
{
	guest_plan(VMCS_GUEST_RIP, rip);
	guest_plan(VMCS_GUEST_RFLAGS, rflags);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, interruptibility);
	guest_exit(VMX_EXIT_CPUID);
	return backend->insn_done(guest, length);
}

static void an_instruction_ends(void **state)
{
	(void)state;
	assert_false(finish(GUEST_RIP, GUEST_FLAGS, 0, 3));
	assert_int_equal(vmread(VMCS_GUEST_RIP), GUEST_RIP + 3);
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), GUEST_FLAGS);
	assert_int_equal(fake_insn.dr6, DR6_RESET);
}

static void its_shadow_ends_with_it(void **state)
{
	(void)state;
	finish(GUEST_RIP, GUEST_FLAGS, BLOCKED_BY_STI, 3);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
	finish(GUEST_RIP, GUEST_FLAGS, BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI, 3);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
}

static void the_resume_flag_ends_with_it(void **state)
{
	(void)state;
	finish(GUEST_RIP, GUEST_FLAGS | RFLAGS_RF | RFLAGS_ZF, 0, 3);
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), GUEST_FLAGS | RFLAGS_ZF);
	assert_int_equal(backend->register_get(guest, VCPU_RFLAGS), GUEST_FLAGS | RFLAGS_ZF);
}

/* Left pending it would be lost beside an event that goes in. */
static void a_single_step_trap_is_due(void **state)
{
	(void)state;
	guest_plan(VMCS_GUEST_DR7, DR7_RESET | DR7_GD);
	assert_true(finish(GUEST_RIP, GUEST_FLAGS | RFLAGS_TF | RFLAGS_RF, 0, 2));
	assert_int_equal(vmread(VMCS_GUEST_RIP), GUEST_RIP + 2);
	assert_int_equal(vmread(VMCS_GUEST_RFLAGS), GUEST_FLAGS | RFLAGS_TF);
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_BS);
	assert_int_equal(vmread(VMCS_GUEST_DR7), DR7_RESET);
}

/* With a breakpoint that MOV SS, just before, has met. */
static void the_trap_brings_what_mov_ss_held_back(void **state)
{
	(void)state;
	fake_insn.dr6 = DR6_RESET | DR6_B0;
	guest_plan(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_BS | PENDING_DEBUG_BP | DR6_B1);
	assert_true(finish(GUEST_RIP, GUEST_FLAGS | RFLAGS_TF, BLOCKED_BY_MOV_SS, 2));
	assert_int_equal(fake_insn.dr6, DR6_RESET | DR6_BS | DR6_B1);
}

static void rip_has_32_bits_outside_64_bit_mode(void **state)
{
	u64 code32 = SEG_PRESENT | SEG_CODE | SEG_GRANULAR | SEG_BIG | 11;

	(void)state;
	finish(0xfffffffe, GUEST_FLAGS, 0, 5);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0x100000003);
	guest_plan(VMCS_GUEST_ES_RIGHTS + 2 * SEG_CS, code32);
	finish(0xfffffffe, GUEST_FLAGS, 0, 5);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 3);
	finish(0xfffffff0, GUEST_FLAGS, 0, 5);
	assert_int_equal(vmread(VMCS_GUEST_RIP), 0xfffffff5);
}

/* --- external interrupts --- */

/* The guest's state at the exit before the offer. */
static void guest_at(u64 rflags, u64 interruptibility, u8 tpr)
{
	guest_plan(VMCS_GUEST_RFLAGS, rflags);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, interruptibility);
	guest_exit(VMX_EXIT_CPUID);
	lapic_cr8_set(&guest->lapic, tpr);
}

enum outcome { NOTHING, GOES_IN, WINDOW, TPR_EXIT };

static void offer(int vector, bool ignore_tpr)
{
	guest->offered = vector;
	backend->offer_interrupt(guest, vector, ignore_tpr);
}

/* What an offer has made of the next entry. */
static enum outcome outcome_of(int vector)
{
	u64 event = vmread(VMCS_ENTRY_EVENT), threshold = vmread(VMCS_TPR_THRESHOLD);
	bool window = (vmread(VMCS_PROC_CONTROLS) & PROC_INTERRUPT_WINDOW) != 0;

	assert_int_equal(vmread(VMCS_PROC_CONTROLS) & ~(u64)PROC_INTERRUPT_WINDOW, vmx_caps.proc);
	if (event & EVENT_VALID) {
		assert_int_equal(event, EVENT(EVENT_INTERRUPT, vector));
		assert_true(!window && threshold == 0);
		return GOES_IN;
	}
	if (threshold) {
		assert_int_equal(threshold, vector >> 4);
		assert_false(window);
		return TPR_EXIT;
	}
	return window ? WINDOW : NOTHING;
}

static void an_interrupt_goes_in_or_waits(void **state)
{
	static const struct {
		u64 rflags, blocked;
		u8 tpr;
		int vector;
		bool ignore_tpr;
		enum outcome outcome;
	} rows[] = {
		{ GUEST_FLAGS, 0, 0, OFFER_NONE, false, NOTHING },
		{ RFLAGS_ONE, 0, 0, OFFER_NONE, false, NOTHING },
		{ GUEST_FLAGS, 0, 0, VECTOR, false, GOES_IN },
		{ GUEST_FLAGS, BLOCKED_BY_NMI, 4, VECTOR, false, GOES_IN },
		{ RFLAGS_ONE, 0, 0, VECTOR, false, WINDOW },
		{ GUEST_FLAGS, BLOCKED_BY_STI, 0, VECTOR, false, WINDOW },
		{ GUEST_FLAGS, BLOCKED_BY_MOV_SS, 0, VECTOR, false, WINDOW },
		{ GUEST_FLAGS, 0, 5, VECTOR, false, TPR_EXIT },
		{ RFLAGS_ONE, BLOCKED_BY_MOV_SS, 15, VECTOR, false, TPR_EXIT },
		{ GUEST_FLAGS, 0, 15, 0xff, false, TPR_EXIT },
		{ GUEST_FLAGS, 0, 15, VECTOR, true, GOES_IN },
		{ GUEST_FLAGS, 0, 15, 0, true, GOES_IN }, /* the 8259 may send any */
		{ RFLAGS_ONE, 0, 15, VECTOR, true, WINDOW },
		{ GUEST_FLAGS, 0, 0, OFFER_WINDOW, false, WINDOW },
		{ RFLAGS_ONE, 0, 15, OFFER_WINDOW, false, WINDOW },
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		guest_fresh(state);
		guest_at(rows[i].rflags, rows[i].blocked, rows[i].tpr);
		offer(rows[i].vector, rows[i].ignore_tpr);
		assert_int_equal(outcome_of(rows[i].vector), rows[i].outcome);
		/* The next offer takes it all back, and an entry the event. */
		guest_exit(VMX_EXIT_CPUID);
		offer(OFFER_NONE, false);
		assert_int_equal(outcome_of(OFFER_NONE), NOTHING);
	}
}

/* An entry that injects drops debug traps that are pending, which come first on hardware. */
static void a_pending_debug_trap_goes_first(void **state)
{
	static const u64 pending[] = { PENDING_DEBUG_BS, PENDING_DEBUG_BP | DR6_B2 };

	for (u32 i = 0; i < ARRAY_SIZE(pending); i++) {
		guest_fresh(state);
		guest_plan(VMCS_GUEST_PENDING_DEBUG, pending[i]);
		guest_exit(VMX_EXIT_TPR_THRESHOLD);
		lapic_cr8_set(&guest->lapic, 0);
		assert_false(backend->intr_window(guest));
		assert_false(backend->nmi_window(guest));
		offer(VECTOR, false);
		assert_int_equal(vmread(VMCS_ENTRY_EVENT) & EVENT_VALID, 0);
		assert_true(vmread(VMCS_PROC_CONTROLS) & PROC_INTERRUPT_WINDOW);
	}
	guest_plan(VMCS_GUEST_PENDING_DEBUG, DR6_B2); /* met, but not on: no trap */
	guest_exit(VMX_EXIT_TPR_THRESHOLD);
	assert_true(backend->intr_window(guest));
}

static void an_interrupt_waits_behind_another_event(void **state)
{
	const struct event events[] = {
		{ .type = EVENT_EXCEPTION, .vector = EXC_UD },
		{ .type = EVENT_NMI, .vector = EXC_NMI },
	};

	for (u32 i = 0; i < ARRAY_SIZE(events); i++) {
		guest_fresh(state);
		guest_at(GUEST_FLAGS, 0, 0);
		backend->inject(guest, &events[i]);
		offer(VECTOR, false);
		assert_int_equal(vmread(VMCS_ENTRY_EVENT) & EVENT_VECTOR, events[i].vector);
		assert_true(vmread(VMCS_PROC_CONTROLS) & PROC_INTERRUPT_WINDOW);
		guest_exit(VMX_EXIT_INTERRUPT_WINDOW);
		assert_int_equal(guest->exit.reason, VM_EXIT_WINDOW);
		assert_false(guest->offer_taken);
		offer(VECTOR, false); /* nothing is in its way any more */
		assert_int_equal(outcome_of(VECTOR), GOES_IN);
	}
}

static bool taken(void)
{
	bool was = guest->offer_taken;

	guest->offer_taken = false;
	return was;
}

static void whether_an_interrupt_was_taken(void **state)
{
	(void)state;
	guest_at(GUEST_FLAGS, 0, 0);
	offer(VECTOR, false);
	guest->events = false;
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(fake_vmx.event, EVENT(EVENT_INTERRUPT, VECTOR));
	assert_true(taken());
	assert_true(guest->events);
	guest_exit(VMX_EXIT_CPUID); /* once */
	assert_false(taken());

	/* Its delivery was interrupted: it is still the local APIC's. */
	offer(VECTOR, false);
	guest_plan(VMCS_VECTORING_EVENT, EVENT(EVENT_INTERRUPT, VECTOR));
	guest_exit(VMX_EXIT_EPT_VIOLATION);
	assert_false(taken());
	assert_int_equal(guest->reinject.type, EVENT_NONE);

	/* It was taken, and then an exception's delivery was interrupted. */
	guest_at(GUEST_FLAGS, 0, 0);
	offer(VECTOR, false);
	guest_plan(VMCS_VECTORING_EVENT, EVENT(EVENT_EXCEPTION, EXC_UD));
	guest_exit(VMX_EXIT_EPT_VIOLATION);
	assert_true(taken());
	assert_int_equal(guest->reinject.type, EVENT_EXCEPTION);

	/* It waited. */
	guest_at(RFLAGS_ONE, 0, 0);
	offer(VECTOR, false);
	guest_exit(VMX_EXIT_INTERRUPT_WINDOW);
	assert_false(taken());
}

/* --- exceptions and NMIs --- */

static void inject(const struct event event)
{
	backend->inject(guest, &event);
	guest_exit(VMX_EXIT_CPUID);
}

static void exceptions_go_in(void **state)
{
	(void)state;
	inject((struct event){ EVENT_EXCEPTION, EXC_GP, true, 0x1234 });
	assert_int_equal(fake_vmx.event, EVENT(EVENT_EXCEPTION, EXC_GP) | EVENT_ERROR_VALID);
	assert_int_equal(fake_vmx.error, 0x1234);
	inject((struct event){ EVENT_EXCEPTION, EXC_UD, false, 0 });
	assert_int_equal(fake_vmx.event, EVENT(EVENT_EXCEPTION, EXC_UD));
	inject((struct event){ EVENT_NMI, EXC_NMI, false, 0 });
	assert_int_equal(fake_vmx.event, EVENT(EVENT_NMI, EXC_NMI));
	guest_exit(VMX_EXIT_CPUID); /* nothing goes in twice */
	assert_int_equal(fake_vmx.event & EVENT_VALID, 0);
}

/* An entry with one would be refused. */
static void real_mode_has_no_error_codes(void **state)
{
	struct vcpu_state s = guest_state_long();

	(void)state;
	s.cr0 = CR0_ET;
	s.efer = 0;
	backend->state_set(guest, &s);
	inject((struct event){ EVENT_EXCEPTION, EXC_GP, true, 0x1234 });
	assert_int_equal(fake_vmx.event, EVENT(EVENT_EXCEPTION, EXC_GP));
}

static bool nmi_exit_is_on(void)
{
	return (vmread(VMCS_PROC_CONTROLS) & PROC_NMI_WINDOW) != 0;
}

static void an_nmi_waits_for_its_window(void **state)
{
	static const u64 blocks[] = { BLOCKED_BY_NMI, BLOCKED_BY_STI, BLOCKED_BY_MOV_SS };

	(void)state;
	guest_at(RFLAGS_ONE, 0, 0);
	assert_true(backend->nmi_window(guest));
	assert_false(nmi_exit_is_on());
	for (u32 i = 0; i < ARRAY_SIZE(blocks); i++) {
		guest_at(GUEST_FLAGS, blocks[i], 0);
		assert_false(backend->nmi_window(guest));
		assert_true(nmi_exit_is_on());
		guest_at(GUEST_FLAGS, 0, 0);
		assert_true(backend->nmi_window(guest));
		assert_false(nmi_exit_is_on());
	}
}

/* A new state is still that of an NMI's handler; a reset is not. */
static void a_reset_ends_an_nmis_handler(void **state)
{
	struct vcpu_state s = guest_state_long();

	(void)state;
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI | BLOCKED_BY_STI);
	backend->state_set(guest, &s);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_false(backend->nmi_window(guest));
	backend->nmi_unblock(guest);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
	assert_true(backend->nmi_window(guest));
}

static void an_nmi_behind_an_exception_comes_next(void **state)
{
	(void)state;
	guest->nmi_pending = true;
	backend->inject(guest, &(struct event){ .type = EVENT_EXCEPTION, .vector = EXC_UD });
	assert_true(nmi_exit_is_on());
	guest_exit(VMX_EXIT_NMI_WINDOW);
	backend->inject(guest, &(struct event){ .type = EVENT_NMI, .vector = EXC_NMI });
	assert_false(nmi_exit_is_on());
	guest->nmi_pending = false;
	guest_exit(VMX_EXIT_CPUID);
	backend->inject(guest, &(struct event){ .type = EVENT_EXCEPTION, .vector = EXC_UD });
	assert_false(nmi_exit_is_on());
}

/* An exit while this event was on its way. */
static void interrupted(u64 event)
{
	guest_plan(VMCS_VECTORING_EVENT, event);
	guest_plan(VMCS_VECTORING_ERROR, 0x77);
	guest_plan(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_NMI);
	guest->reinject.type = EVENT_NONE;
	guest_exit(VMX_EXIT_EPT_VIOLATION);
}

static void events_that_were_interrupted_start_again(void **state)
{
	const struct event *e = &guest->reinject;

	(void)state;
	interrupted(EVENT(EVENT_EXCEPTION, EXC_PF) | EVENT_ERROR_VALID);
	assert_int_equal(e->type, EVENT_EXCEPTION);
	assert_int_equal(e->vector, EXC_PF);
	assert_true(e->has_error && e->error == 0x77);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	interrupted(EVENT(EVENT_EXCEPTION, EXC_DB));
	assert_int_equal(e->type, EVENT_EXCEPTION);
	assert_int_equal(e->vector, EXC_DB);
	assert_false(e->has_error);
	/* An NMI blocks NMIs when it goes in again: an entry wants it open until then. */
	interrupted(EVENT(EVENT_NMI, EXC_NMI));
	assert_int_equal(e->type, EVENT_NMI);
	assert_int_equal(e->vector, EXC_NMI);
	assert_int_equal(vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
}

static void instructions_that_were_interrupted_run_again(void **state)
{
	static const u32 types[] = { EVENT_SOFTWARE, EVENT_PRIVILEGED, EVENT_SOFTWARE_EXC,
				     EVENT_INTERRUPT };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		interrupted(EVENT(types[i], EXC_BP));
		assert_int_equal(guest->reinject.type, EVENT_NONE);
		assert_int_equal(vmread(VMCS_GUEST_RIP), GUEST_RIP);
	}
	interrupted(EVENT(EVENT_EXCEPTION, EXC_GP) & ~EVENT_VALID);
	assert_int_equal(guest->reinject.type, EVENT_NONE);
}

/* --- entries --- */

static void launched_once_then_resumed(void **state)
{
	(void)state;
	guest_exit(VMX_EXIT_CPUID);
	assert_false(fake_vmx.resumed);
	guest_exit(VMX_EXIT_CPUID);
	assert_true(fake_vmx.resumed);
}

/* Guest state that the processor refuses looks like an exit, but leaves the VMCS as it was. */
static void a_refused_state_was_not_launched(void **state)
{
	(void)state;
	guest_exit(VMX_EXIT_GUEST_STATE | EXIT_REASON_ENTRY_FAILED);
	assert_int_equal(guest->exit.reason, VM_EXIT_ENTRY_FAILED);
	assert_int_equal(guest->exit.unknown.code, VMX_EXIT_GUEST_STATE | EXIT_REASON_ENTRY_FAILED);
	guest_exit(VMX_EXIT_CPUID);
	assert_false(fake_vmx.resumed);
	guest_exit(VMX_EXIT_GUEST_STATE | EXIT_REASON_ENTRY_FAILED);
	guest_exit(VMX_EXIT_CPUID);
	assert_true(fake_vmx.resumed);
}

static enum vmx_result refuse(u64 *gpr)
{
	(void)gpr;
	fake_vmx_set(VMCS_INSN_ERROR, 12);
	return VMX_FAIL_VALID;
}

static void a_refused_entry_says_why(void **state)
{
	(void)state;
	fake_vmx.on_enter = refuse;
	backend->run(guest);
	assert_int_equal(guest->exit.reason, VM_EXIT_ENTRY_FAILED);
	assert_int_equal(guest->exit.unknown.code, 12);
	assert_non_null(strstr(fake_log.last, "VMLAUNCH failed: error 12"));
	guest_exit(VMX_EXIT_CPUID);
	assert_false(fake_vmx.resumed);
}

/* A VMM that asks for it again and again. */
static void refused_entries_do_not_flood_the_log(void **state)
{
	u64 before = fake_log.lines;

	(void)state;
	fake_vmx.on_enter = refuse;
	for (u32 i = 0; i < 200; i++)
		backend->run(guest);
	for (u32 i = 0; i < 200; i++)
		guest_exit(VMX_EXIT_GUEST_STATE | EXIT_REASON_ENTRY_FAILED);
	assert_in_range(fake_log.lines - before, 1, 100);
}

static void rsp_lives_in_two_places(void **state)
{
	guest_plan(VMCS_GUEST_RSP, 0x8000);
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(guest->page->gpr[GPR_RSP], 0x8000);
	guest_fresh(state);
	guest->page->gpr[GPR_RSP] = 0x9000;
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(vmread(VMCS_GUEST_RSP), 0x9000);
	backend->release(&boot_cpu); /* the VMM may change it */
	guest->page->gpr[GPR_RSP] = 0xa000;
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(vmread(VMCS_GUEST_RSP), 0xa000);
}

static u32 *virtual_tpr(void)
{
	return fake_physical(HPA(vmread(VMCS_VIRTUAL_APIC) + 0x80), sizeof(u32));
}

static u8 tpr_at_entry;

static enum vmx_result change_tpr(u64 *gpr)
{
	(void)gpr;
	tpr_at_entry = (u8)*virtual_tpr();
	*virtual_tpr() = 0x30;
	fake_vmx_set(VMCS_EXIT_REASON, VMX_EXIT_CPUID);
	return VMX_OK;
}

static void the_task_priority_goes_in_and_out(void **state)
{
	(void)state;
	lapic_cr8_set(&guest->lapic, 12);
	fake_vmx.on_enter = change_tpr;
	backend->run(guest);
	assert_int_equal(tpr_at_entry, 12 << 4);
	assert_int_equal(lapic_cr8_get(&guest->lapic), 3);
}

static u64 timer_ticks(u64 rflags)
{
	backend->register_set(guest, VCPU_RFLAGS, rflags);
	guest_exit(VMX_EXIT_CPUID);
	return vmread(VMCS_PREEMPTION_TIMER);
}

/* It counts once each 2^5 TSC ticks here, and only matters where interrupts are off. */
static void the_preemption_timer_ends_a_deaf_run(void **state)
{
	static struct timer timer;

	(void)state;
	timer_init(&timer, NULL);
	fake_insn.tsc_step = 0;
	assert_int_equal(timer_ticks(RFLAGS_ONE), UINT32_MAX);
	timer_set(&timer, fake_insn.tsc + 3200);
	assert_int_equal(timer_ticks(GUEST_FLAGS), UINT32_MAX);
	assert_int_equal(timer_ticks(RFLAGS_ONE), 100);
	assert_int_equal(timer_ticks(GUEST_FLAGS), UINT32_MAX);
	fake_insn.tsc += 3300;
	assert_int_equal(timer_ticks(RFLAGS_ONE), 0);
	timer_set(&timer, fake_insn.tsc + BIT64(40));
	assert_int_equal(timer_ticks(RFLAGS_ONE), UINT32_MAX);
	timer_set(&timer, TIMER_NEVER);
}

/* --- registers that guests and root mode share --- */

static const u32 shared_msrs[] = { MSR_IA32_STAR, MSR_IA32_LSTAR, MSR_IA32_CSTAR, MSR_IA32_FMASK,
				   MSR_IA32_KERNEL_GS_BASE };

static void shared_put(u64 base)
{
	for (u32 i = 0; i < ARRAY_SIZE(shared_msrs); i++)
		wrmsr(shared_msrs[i], base + i);
	write_cr2(base + 0x10);
}

static bool shared_is(u64 base)
{
	for (u32 i = 0; i < ARRAY_SIZE(shared_msrs); i++) {
		if (rdmsr(shared_msrs[i]) != base + i)
			return false;
	}
	return read_cr2() == base + 0x10;
}

static void ring3_never_sees_a_guests_registers(void **state)
{
	const struct table_pointer gdtr = { 0x3f, 0x1000 }, idtr = { 0xfff, 0x2000 };
	struct vcpu *other;

	(void)state;
	shared_put(0x100); /* root mode's, when it comes on */
	write_tables(&gdtr, &idtr);
	assert_int_equal(backend->cpu_on(&boot_cpu), ERR_OK);
	other = guest_another();
	guest_exit(VMX_EXIT_CPUID);
	shared_put(0x200);
	fake_insn.gdtr.limit = fake_insn.idtr.limit = 0xffff; /* as an exit leaves them */
	guest_exit(VMX_EXIT_CPUID);
	assert_true(shared_is(0x200)); /* nothing is switched between two runs */
	guest_exit_of(other, VMX_EXIT_CPUID);
	assert_false(shared_is(0x200));
	shared_put(0x300);
	guest_exit(VMX_EXIT_CPUID);
	assert_true(shared_is(0x200));
	backend->release(&boot_cpu);
	for (u32 i = 0; i < ARRAY_SIZE(shared_msrs); i++)
		assert_int_equal(rdmsr(shared_msrs[i]), 0x100 + i);
	assert_memory_equal(&fake_insn.gdtr, &gdtr, sizeof(gdtr));
	assert_memory_equal(&fake_insn.idtr, &idtr, sizeof(idtr));
	shared_put(0x400); /* ring 3 runs: none of the guests' business */
	backend->release(&boot_cpu);
	assert_true(shared_is(0x400));
	guest_exit_of(other, VMX_EXIT_CPUID);
	assert_true(shared_is(0x300));
	assert_int_equal(backend->register_get(guest, VCPU_CR2), 0x210);
}

static void a_new_guest_finds_nothing_of_another(void **state)
{
	struct vcpu *other = guest_another();
	struct vcpu_state s = guest_state_long();

	(void)state;
	s.cr2 = 0;
	backend->state_set(other, &s);
	guest_exit(VMX_EXIT_CPUID);
	shared_put(0x200);
	guest_exit_of(other, VMX_EXIT_CPUID);
	for (u32 i = 0; i < ARRAY_SIZE(shared_msrs); i++)
		assert_int_equal(rdmsr(shared_msrs[i]), 0);
	assert_int_equal(read_cr2(), 0);
}

static void root_mode_comes_back_whole(void **state)
{
	static struct tss tss;

	(void)state;
	boot_cpu.tss = &tss;
	fake_insn.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE;
	fake_insn.cr3 = 0x123000;
	fake_insn.cr4 = CR4_PAE | CR4_VMXE | CR4_SMEP;
	fake_insn.gdtr = (struct table_pointer){ 0x3f, 0x1000 };
	assert_int_equal(backend->cpu_on(&boot_cpu), ERR_OK);
	wrmsr(MSR_IA32_PAT, PAT_RESET);
	wrmsr(MSR_IA32_EFER, EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE);
	guest_exit(VMX_EXIT_CPUID);
	/* Ring 3 must trap on the FPU, where the guest's registers are. */
	assert_int_equal(vmread(VMCS_HOST_CR0), fake_insn.cr0 | CR0_TS);
	assert_int_equal(vmread(VMCS_HOST_CR3), 0x123000);
	assert_int_equal(vmread(VMCS_HOST_CR4), fake_insn.cr4);
	assert_int_equal(vmread(VMCS_HOST_EFER), rdmsr(MSR_IA32_EFER));
	assert_int_equal(vmread(VMCS_HOST_PAT), PAT_RESET);
	assert_int_equal(vmread(VMCS_HOST_CS_SELECTOR), SELECTOR_CORE_CODE);
	assert_int_equal(vmread(VMCS_HOST_SS_SELECTOR), SELECTOR_CORE_DATA);
	assert_int_equal(vmread(VMCS_HOST_TR_SELECTOR), SELECTOR_TSS);
	assert_int_equal(vmread(VMCS_HOST_GS_BASE), (u64)&boot_cpu);
	assert_int_equal(vmread(VMCS_HOST_TR_BASE), (u64)&tss);
	assert_int_equal(vmread(VMCS_HOST_GDTR_BASE), 0x1000);
	assert_int_equal(vmread(VMCS_HOST_RIP), (u64)vmx_exit_entry);
	assert_int_equal(vmread(VMCS_HOST_SYSENTER_CS), 0);
}

/* --- making and unmaking --- */

static void translations_of_the_number_before_are_gone(void **state)
{
	(void)state;
	assert_int_equal(fake_vmx.invvpids + fake_vmx.invepts, 0);
	assert_int_equal(vmread(VMCS_VPID), 1 + 3 * VM_VCPU_MAX);
	guest_exit(VMX_EXIT_CPUID);
	assert_int_equal(fake_vmx.invvpids, 1);
	assert_int_equal(fake_vmx.invepts, 1);
	backend->stage2_flush(&guest_vm);
	assert_int_equal(fake_vmx.invepts, 2);
}

static void second_stage_entries(void **state)
{
	const struct paging_format *format = backend->stage2_format();
	u64 ram = format->leaf_bits(MAP_READ | MAP_WRITE | MAP_EXECUTE);
	u64 rom = format->leaf_bits(MAP_READ | MAP_UNCACHED);

	(void)state;
	assert_int_equal(ram & 7, EPT_READ | EPT_WRITE | EPT_EXECUTE);
	assert_int_equal(field_get(EPT_MEMORY_TYPE, ram), MEMORY_TYPE_WB);
	assert_int_equal(rom & 7, EPT_READ);
	assert_int_equal(field_get(EPT_MEMORY_TYPE, rom), MEMORY_TYPE_UC);
	assert_int_equal(format->largest, 2);
	assert_int_equal(vmread(VMCS_EPT_POINTER), 0x5000 + 3 * PAGE_SIZE + 0x1e);
}

static void a_vcpu_that_cannot_be_made_leaves_nothing(void **state)
{
	struct vcpu *v = heap_alloc(sizeof(*v));
	hpa_t taken[8], rest;
	u64 before = frames_available();
	u32 count = 0;

	(void)state;
	*v = *guest;
	/* With one free page more each time, until it works. */
	while (frames_available() > ARRAY_SIZE(taken))
		assert_int_equal(frames_alloc(FRAME_CORE, 1, 1, &rest), ERR_OK);
	while (frames_available() > 0)
		assert_int_equal(frames_alloc(FRAME_CORE, 1, 1, &taken[count++]), ERR_OK);
	while (backend->vcpu_init(v) != ERR_OK) {
		assert_int_equal(frames_available(), ARRAY_SIZE(taken) - count);
		assert_true(count > 0);
		frames_free(taken[--count], 1, FRAME_CORE);
	}
	assert_in_range(ARRAY_SIZE(taken) - count, 2, 4);
	before = frames_available();
	backend->vcpu_fini(v);
	assert_true(frames_available() > before);
	heap_free(v, sizeof(*v));
}

static void a_vcpu_that_ends(void **state)
{
	hpa_t vmcs = fake_vmx.current;
	struct vcpu *other;

	(void)state;
	guest_exit(VMX_EXIT_CPUID);
	backend->release(&boot_cpu); /* ring 3 asks for it */
	backend->vcpu_fini(guest);
	assert_int_equal(fake_vmx.cleared.raw, vmcs.raw);
	other = guest_another();
	assert_int_not_equal(fake_vmx.current.raw, 0);
	guest_exit_of(other, VMX_EXIT_CPUID);
	assert_false(fake_vmx.resumed);
}

static void the_tsc_offset(void **state)
{
	(void)state;
	assert_int_equal(vmread(VMCS_TSC_OFFSET), 0);
	backend->tsc_offset_set(guest, -5ULL);
	assert_int_equal(vmread(VMCS_TSC_OFFSET), -5ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, guest_fresh)
		TEST(an_instruction_ends),
		TEST(its_shadow_ends_with_it),
		TEST(the_resume_flag_ends_with_it),
		TEST(a_single_step_trap_is_due),
		TEST(the_trap_brings_what_mov_ss_held_back),
		TEST(rip_has_32_bits_outside_64_bit_mode),
		TEST(an_interrupt_goes_in_or_waits),
		TEST(a_pending_debug_trap_goes_first),
		TEST(an_interrupt_waits_behind_another_event),
		TEST(whether_an_interrupt_was_taken),
		TEST(exceptions_go_in),
		TEST(real_mode_has_no_error_codes),
		TEST(an_nmi_waits_for_its_window),
		TEST(a_reset_ends_an_nmis_handler),
		TEST(an_nmi_behind_an_exception_comes_next),
		TEST(events_that_were_interrupted_start_again),
		TEST(instructions_that_were_interrupted_run_again),
		TEST(launched_once_then_resumed),
		TEST(a_refused_state_was_not_launched),
		TEST(a_refused_entry_says_why),
		TEST(refused_entries_do_not_flood_the_log),
		TEST(rsp_lives_in_two_places),
		TEST(the_task_priority_goes_in_and_out),
		TEST(the_preemption_timer_ends_a_deaf_run),
		TEST(ring3_never_sees_a_guests_registers),
		TEST(a_new_guest_finds_nothing_of_another),
		TEST(root_mode_comes_back_whole),
		TEST(translations_of_the_number_before_are_gone),
		TEST(second_stage_entries),
		TEST(the_tsc_offset),
		TEST(a_vcpu_that_ends),
		TEST(a_vcpu_that_cannot_be_made_leaves_nothing), /* the last: memory is gone */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
