/* Tests of events: priorities, nesting, re-injection, messages and their destinations, the timer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/sched/sched.h"
#include "core/sys/process.h"
#include "core/virt/engine.h"
#include "core/virt/events.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"

#define VCPUS 3

#define MSI_BASE    0xfee00000ULL
#define MSI_LOGICAL BIT64(2)
#define MSI_LEVEL   BIT32(15)

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct process process = { .share = { .weight = 1, .allowed = 1 } };
static struct thread threads[VCPUS];
static struct vcpu_counters counters[VCPUS];
static struct vcpu *const v = &vcpus[0];

static u64 msi_to(u32 dest)
{
	return MSI_BASE | (u64)dest << 12;
}

static u32 msi_data(enum lapic_mode mode, u8 vector)
{
	return (u32)mode << 8 | vector;
}

static void lapic_enable(struct lapic *l)
{
	struct lapic_effect effect = { 0 };

	lapic_mmio_write(l, 0xf0, 0x1ff, 0, &effect);
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_backend_reset();
	vm = (struct vm){ .vcpu_count = VCPUS };
	memset(counters, 0, sizeof(counters));
	for (u32 i = 0; i < VCPUS; i++) {
		vcpus[i] = (struct vcpu){ .vm = &vm,
					  .index = i,
					  .thread = &threads[i],
					  .counters = &counters[i],
					  .offered = OFFER_NONE,
					  .extint = -1,
					  .startup = -1,
					  .eoi_pending = -1 };
		threads[i] = (struct thread){ .process = &process,
					      .home = &boot_cpu,
					      .state = THREAD_RUNNING,
					      .in_guest = true };
		timer_init(&threads[i].timer, NULL);
		timer_init(&vcpus[i].timer, vcpu_timer_fire);
		vm.vcpus[i] = &vcpus[i];
		lapic_init(&vcpus[i].lapic, i, i == 0);
		lapic_set_virtual_wire(&vcpus[i].lapic);
		lapic_enable(&vcpus[i].lapic);
	}
	return 0;
}

/* As the engine does when v->events says that there is something to look at. */
static bool prepare(void)
{
	v->events = false;
	return events_prepare(v);
}

/* What the back end would do with the offered interrupt at the next entry. */
static void guest_takes_offer(void)
{
	assert_true(fake_backend.offered >= 0);
	v->offer_taken = true;
	events_collect(v);
}

static void nothing_to_do(void **state)
{
	(void)state;
	v->events = true;
	assert_false(prepare());
	assert_int_equal(fake_backend.inject_count, 0);
	assert_int_equal(fake_backend.offered, OFFER_NONE);
	assert_int_equal(v->offered, OFFER_NONE);
	assert_false(v->events);
}

/* --- exceptions */

static bool contributory(u32 vector)
{
	return vector == EXC_DE || vector == EXC_TS || vector == EXC_NP || vector == EXC_SS ||
	       vector == EXC_GP;
}

/* SDM, "Conditions for Generating a Double Fault", all pairs. */
static void all_pairs_of_exceptions(void **state)
{
	(void)state;
	for (u32 first = 0; first < EXC_COUNT; first++) {
		for (u32 second = 0; second < EXC_COUNT; second++) {
			bool twice =
				(contributory(first) && contributory(second)) ||
				(first == EXC_PF && (second == EXC_PF || contributory(second)));

			if (first == EXC_NMI || second == EXC_NMI)
				continue;
			fresh(NULL);
			v->reinject = (struct event){ EVENT_EXCEPTION, (u8)first, false, 0 };
			vcpu_raise(v, (u8)second, exception_has_error(second), 0x123);
			assert_true(v->events);
			assert_int_equal(v->triple_fault, first == EXC_DF);
			if (first == EXC_DF)
				continue;
			assert_int_equal(v->reinject.type, EVENT_NONE);
			assert_int_equal(v->pending.type, EVENT_EXCEPTION);
			assert_int_equal(v->pending.vector, twice ? (u32)EXC_DF : second);
			assert_int_equal(v->pending.has_error,
					 twice || exception_has_error(second));
			assert_int_equal(v->pending.error, twice ? 0 : 0x123);
		}
	}
}

/* An exception that was raised but not yet injected counts as being delivered. */
static void pending_exceptions_nest_too(void **state)
{
	(void)state;
	vcpu_raise(v, EXC_PF, true, 2);
	vcpu_raise(v, EXC_GP, true, 8);
	assert_int_equal(v->pending.vector, EXC_DF);
	assert_int_equal(v->pending.error, 0);
	vcpu_raise(v, EXC_GP, true, 8);
	assert_true(v->triple_fault);
}

/* Neither an NMI's delivery nor an interrupt's makes a double fault. */
static void interrupted_nmi_is_benign(void **state)
{
	(void)state;
	v->reinject = (struct event){ .type = EVENT_NMI, .vector = EXC_NMI };
	vcpu_raise(v, EXC_PF, true, 0);
	assert_int_equal(v->pending.vector, EXC_PF);
	assert_false(v->triple_fault);
}

static void exception_goes_in_once(void **state)
{
	(void)state;
	vcpu_raise(v, EXC_GP, true, 0x10);
	assert_false(prepare());
	assert_int_equal(fake_backend.inject_count, 1);
	assert_int_equal(fake_backend.injected.type, EVENT_EXCEPTION);
	assert_int_equal(fake_backend.injected.vector, EXC_GP);
	assert_true(fake_backend.injected.has_error);
	assert_int_equal(fake_backend.injected.error, 0x10);
	assert_false(v->events);
	assert_false(prepare());
	assert_int_equal(fake_backend.inject_count, 1);
}

static void reinjection_comes_first(void **state)
{
	(void)state;
	v->pending = (struct event){ EVENT_EXCEPTION, EXC_DB, false, 0 };
	v->reinject = (struct event){ EVENT_EXCEPTION, EXC_PF, true, 6 };
	assert_false(prepare());
	assert_int_equal(fake_backend.injected.vector, EXC_PF);
	assert_int_equal(fake_backend.injected.error, 6);
	assert_true(v->events); /* the other one is still to come */
	assert_false(prepare());
	assert_int_equal(fake_backend.injected.vector, EXC_DB);
	assert_false(v->events);
}

/* --- NMI */

static void exception_before_nmi(void **state)
{
	(void)state;
	v->nmi_pending = true;
	vcpu_raise(v, EXC_GP, true, 0);
	assert_false(prepare());
	assert_int_equal(fake_backend.inject_count, 1);
	assert_int_equal(fake_backend.injected.type, EVENT_EXCEPTION);
	assert_true(v->nmi_pending);
	assert_true(v->events);
	assert_false(prepare());
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
	assert_int_equal(fake_backend.injected.vector, EXC_NMI);
	assert_false(v->nmi_pending);
	assert_false(v->events);
}

static void nmi_waits_for_its_window(void **state)
{
	(void)state;
	v->nmi_pending = true;
	fake_backend.nmi_window = false;
	assert_false(prepare());
	assert_int_equal(fake_backend.inject_count, 0);
	assert_true(v->nmi_pending);
	assert_true(v->events);
	fake_backend.nmi_window = true;
	assert_false(prepare());
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
}

static void nmi_ignores_the_interrupt_flag(void **state)
{
	(void)state;
	fake_backend.intr_window = false;
	fake_backend.interrupts_enabled = false;
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_NMI, 0));
	assert_false(prepare());
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
}

/* --- external interrupts */

static void the_highest_vector_is_offered(void **state)
{
	(void)state;
	vcpu_accept_interrupt(v, 0x31, false);
	vcpu_accept_interrupt(v, 0x52, false);
	assert_true(v->events);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x52);
	assert_false(fake_backend.ignore_tpr);
	guest_takes_offer();
	assert_int_equal(counters[0].injected, 1);
	assert_true(v->events);
	/* 0x31 waits until the end of 0x52. */
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, OFFER_NONE);
}

/* A vector that does not exist is an error, which may have a vector of its own. */
static void an_illegal_vector_is_not_overlooked(void **state)
{
	struct lapic_effect effect;

	(void)state;
	lapic_mmio_write(&v->lapic, 0x370, 0x43, 0, &effect);
	assert_false(prepare());
	assert_false(v->events);
	vcpu_accept_interrupt(v, 5, false);
	assert_true(v->events);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x43);
}

static void an_offer_not_taken_is_made_again(void **state)
{
	(void)state;
	vcpu_accept_interrupt(v, 0x31, false);
	assert_false(prepare());
	events_collect(v); /* not taken */
	assert_int_equal(counters[0].injected, 0);
	vcpu_accept_interrupt(v, 0x52, false);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x52);
	guest_takes_offer();
	assert_int_equal(lapic_pending(&v->lapic), -1);
	assert_true(lapic_ppr(&v->lapic) == 0x50);
}

static void the_8259_is_acknowledged_in_a_window(void **state)
{
	(void)state;
	vm_set_intr_line(&vm, true);
	assert_true(prepare()); /* the VMM must say which vector */
	v->extint = 0x08;
	v->events = true;
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x08);
	assert_true(fake_backend.ignore_tpr); /* ExtINT knows no priority */
	vm_set_intr_line(&vm, false);
	guest_takes_offer();
	assert_int_equal(v->extint, -1);
	assert_int_equal(lapic_ppr(&v->lapic), 0); /* the local APIC has no part in it */
}

static void the_8259_waits_for_a_window(void **state)
{
	(void)state;
	fake_backend.intr_window = false;
	vm_set_intr_line(&vm, true);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, OFFER_WINDOW);
}

/* A processor that takes the local APIC's interrupts by itself would never come back for it. */
static void the_8259_before_the_local_apic(void **state)
{
	(void)state;
	vm_set_intr_line(&vm, true);
	vcpu_accept_interrupt(v, 0x31, false);
	fake_backend.intr_window = false;
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, OFFER_WINDOW);
	fake_backend.intr_window = true;
	assert_true(prepare());
	v->extint = 0x08;
	vm_set_intr_line(&vm, false);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x08);
	guest_takes_offer();
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, 0x31);
	assert_false(fake_backend.ignore_tpr);
}

static void a_masked_lint0_takes_no_8259(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	vm_set_intr_line(&vm, true);
	lapic_mmio_write(&v->lapic, 0x350, 0x10700, 0, &effect);
	assert_false(prepare());
	assert_int_equal(fake_backend.offered, OFFER_NONE);
}

/* The VMM is asked before the entry that would inject; so nothing may be injected on that way. */
static void no_injection_is_lost_to_an_acknowledge(void **state)
{
	(void)state;
	vm_set_intr_line(&vm, true);
	vcpu_raise(v, EXC_GP, true, 0x18);
	if (prepare()) {
		/* The VMM acknowledges, and meanwhile an NMI comes. */
		v->extint = 0x08;
		vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_NMI, 0));
		assert_false(prepare());
	}
	assert_int_equal(fake_backend.inject_count, 1);
	assert_int_equal(fake_backend.injected.vector, EXC_GP);
}

/* --- waking from HLT */

static void what_ends_hlt(void **state)
{
	(void)state;
	assert_false(events_wake_from_halt(v));
	v->nmi_pending = true;
	assert_true(events_wake_from_halt(v));
	v->nmi_pending = false;
	v->pending.type = EVENT_EXCEPTION;
	assert_true(events_wake_from_halt(v));
	v->pending.type = EVENT_NONE;
	vcpu_accept_interrupt(v, 0x31, false);
	assert_true(events_wake_from_halt(v));
	fake_backend.interrupts_enabled = false;
	assert_false(events_wake_from_halt(v));
	fake_backend.interrupts_enabled = true;
	lapic_take(&v->lapic, 0x31);
	assert_false(events_wake_from_halt(v));
	vm_set_intr_line(&vm, true);
	assert_true(events_wake_from_halt(v));
	vm_set_intr_line(&vm, false);
	v->extint = 0x20;
	assert_true(events_wake_from_halt(v));
}

static void a_sleeping_vcpu_is_woken(void **state)
{
	(void)state;
	threads[0].state = THREAD_BLOCKED;
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_FIXED, 0x41));
	assert_int_equal(threads[0].state, THREAD_READY);
	sched_kill(&threads[0]);
	v->thread = NULL; /* a vCPU that nobody runs yet */
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_FIXED, 0x42));
	assert_int_equal(lapic_pending(&v->lapic), 0x42);
}

/* --- messages */

static int pending_of(u32 index)
{
	return lapic_pending(&vcpus[index].lapic);
}

static void msi_reaches_its_destination_only(void **state)
{
	(void)state;
	vm_deliver_msi(&vm, msi_to(1), msi_data(LAPIC_FIXED, 0x41));
	assert_int_equal(pending_of(0), -1);
	assert_int_equal(pending_of(1), 0x41);
	assert_int_equal(pending_of(2), -1);
	vm_deliver_msi(&vm, msi_to(77), msi_data(LAPIC_FIXED, 0x42)); /* nobody */
	vm_deliver_msi(&vm, msi_to(0xff), msi_data(LAPIC_FIXED, 0x43));
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(pending_of(i), 0x43);
}

static void msi_elsewhere_is_no_message(void **state)
{
	(void)state;
	vm_deliver_msi(&vm, 0xfed00000, msi_data(LAPIC_FIXED, 0x41));
	vm_deliver_msi(&vm, 0, msi_data(LAPIC_FIXED, 0x41));
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_FIXED, 0x0f)); /* illegal vector */
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_SMI, 0x41));
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_STARTUP, 0x10));
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_EXTINT, 0x41));
	vm_deliver_msi(&vm, msi_to(0), msi_data((enum lapic_mode)3, 0x41)); /* reserved */
	assert_int_equal(pending_of(0), -1);
	assert_false(v->nmi_pending);
	assert_int_equal(v->startup, -1); /* it runs */
}

static void msi_trigger_mode(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	vm_deliver_msi(&vm, msi_to(0), msi_data(LAPIC_FIXED, 0x41) | MSI_LEVEL);
	assert_false(prepare());
	guest_takes_offer();
	lapic_mmio_write(&v->lapic, 0xb0, 0, 0, &effect);
	assert_int_equal(effect.what, LAPIC_EFFECT_EOI);
	assert_int_equal(effect.eoi_vector, 0x41);
	vcpu_apply_effect(v, &effect);
	assert_int_equal(v->eoi_pending, 0x41);
}

static void logical_and_lowest_priority(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	for (u32 i = 0; i < VCPUS; i++)
		lapic_mmio_write(&vcpus[i].lapic, 0xd0, 1U << (24 + i), 0, &effect);
	vm_deliver_msi(&vm, msi_to(6) | MSI_LOGICAL, msi_data(LAPIC_FIXED, 0x41));
	assert_int_equal(pending_of(0), -1);
	assert_int_equal(pending_of(1), 0x41);
	assert_int_equal(pending_of(2), 0x41);
	/* Of vCPUs 1 and 2, the one with the lower priority gets it. */
	lapic_take(&vcpus[1].lapic, 0x41);
	lapic_mmio_write(&vcpus[1].lapic, 0x80, 0x60, 0, &effect);
	lapic_take(&vcpus[2].lapic, 0x41);
	vm_deliver_msi(&vm, msi_to(6) | MSI_LOGICAL, msi_data(LAPIC_LOWEST, 0x91));
	assert_int_equal(pending_of(1), -1);
	assert_int_equal(pending_of(2), 0x91);
}

static void send_ipi(enum lapic_shorthand shorthand, enum lapic_mode mode, u8 vector, u32 dest)
{
	vcpu_apply_effect(&vcpus[1],
			  &(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
						  .ipi = { .dest = dest,
							   .vector = vector,
							   .mode = (u8)mode,
							   .shorthand = (u8)shorthand } });
}

static void ipi_destinations(void **state)
{
	static const struct {
		enum lapic_shorthand shorthand;
		u32 dest;
		bool reached[VCPUS];
	} row[] = {
		{ LAPIC_TO_DEST, 2, { false, false, true } },
		{ LAPIC_TO_DEST, 1, { false, true, false } },
		{ LAPIC_TO_DEST, LAPIC_BROADCAST, { true, true, true } },
		{ LAPIC_TO_DEST, 9, { false, false, false } },
		{ LAPIC_TO_SELF, 0, { false, true, false } },
		{ LAPIC_TO_ALL, 0, { true, true, true } },
		{ LAPIC_TO_OTHERS, 0, { true, false, true } },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		fresh(NULL);
		send_ipi(row[i].shorthand, LAPIC_FIXED, 0x61, row[i].dest);
		for (u32 j = 0; j < VCPUS; j++)
			assert_int_equal(pending_of(j), row[i].reached[j] ? 0x61 : -1);
		fresh(NULL);
		send_ipi(row[i].shorthand, LAPIC_NMI, 0, row[i].dest);
		for (u32 j = 0; j < VCPUS; j++)
			assert_int_equal(vcpus[j].nmi_pending, row[i].reached[j]);
	}
}

/* Who has not enabled its local APIC has no part in arbitration: the interrupt would be lost. */
static void lowest_priority_finds_one_that_accepts(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	lapic_mmio_write(&vcpus[0].lapic, 0xf0, 0xff, 0, &effect);
	lapic_mmio_write(&vcpus[1].lapic, 0x80, 0x20, 0, &effect);
	vm_deliver_msi(&vm, msi_to(0xff), msi_data(LAPIC_LOWEST, 0x91));
	assert_int_equal(pending_of(0), -1);
	assert_int_equal(pending_of(1), -1);
	assert_int_equal(pending_of(2), 0x91);
	lapic_mmio_write(&vcpus[1].lapic, 0xf0, 0xff, 0, &effect);
	lapic_mmio_write(&vcpus[2].lapic, 0xf0, 0xff, 0, &effect);
	vm_deliver_msi(&vm, msi_to(0xff), msi_data(LAPIC_LOWEST, 0x92)); /* nobody */
}

/* "All but self" and lowest priority together mean one of them. */
static void lowest_priority_with_a_shorthand(void **state)
{
	(void)state;
	send_ipi(LAPIC_TO_OTHERS, LAPIC_LOWEST, 0x61, 0);
	assert_int_equal(pending_of(0), 0x61);
	assert_int_equal(pending_of(1), -1);
	assert_int_equal(pending_of(2), -1);
}

/* A processor without a local APIC is on no bus. */
static void a_disabled_local_apic_hears_nothing(void **state)
{
	struct lapic_effect effect;

	(void)state;
	assert_true(lapic_base_write(&vcpus[2].lapic, LAPIC_BASE_ADDRESS, &effect));
	send_ipi(LAPIC_TO_ALL, LAPIC_NMI, 0, 0);
	assert_true(vcpus[0].nmi_pending && vcpus[1].nmi_pending);
	assert_false(vcpus[2].nmi_pending);
	send_ipi(LAPIC_TO_OTHERS, LAPIC_INIT, 0, 0);
	assert_true(vcpus[0].init_pending);
	assert_false(vcpus[1].init_pending);
	assert_false(vcpus[2].init_pending);
}

/* --- INIT and start-up messages */

static void init_is_heard_by_a_running_vcpu(void **state)
{
	(void)state;
	vcpus[2].nmi_pending = true;
	vcpus[2].events = false;
	threads[2].state = THREAD_BLOCKED;
	send_ipi(LAPIC_TO_DEST, LAPIC_INIT, 0, 2);
	assert_true(vcpus[2].init_pending);
	assert_false(vcpus[2].nmi_pending); /* it came before */
	assert_int_equal(vcpus[2].startup, -1);
	assert_int_equal(threads[2].state, THREAD_READY);
	assert_false(vcpus[0].init_pending || vcpus[1].init_pending);
	sched_kill(&threads[2]);
}

/* Messages of one start, in one go: the first start-up message counts. */
static void startup_is_heard_behind_an_init_only(void **state)
{
	(void)state;
	send_ipi(LAPIC_TO_DEST, LAPIC_STARTUP, 0x98, 2);
	assert_int_equal(vcpus[2].startup, -1);
	send_ipi(LAPIC_TO_DEST, LAPIC_INIT, 0, 2);
	send_ipi(LAPIC_TO_DEST, LAPIC_STARTUP, 0x99, 2);
	send_ipi(LAPIC_TO_DEST, LAPIC_STARTUP, 0x9a, 2);
	assert_int_equal(vcpus[2].startup, 0x99);
	send_ipi(LAPIC_TO_DEST, LAPIC_INIT, 0, 2); /* starts over */
	assert_int_equal(vcpus[2].startup, -1);
}

static void who_waits_for_startup_hears_nothing_else(void **state)
{
	(void)state;
	vcpus[2].parked = true;
	send_ipi(LAPIC_TO_DEST, LAPIC_NMI, 0, 2);
	assert_false(vcpus[2].nmi_pending);
	threads[2].state = THREAD_BLOCKED;
	send_ipi(LAPIC_TO_OTHERS, LAPIC_STARTUP, 0x77, 0);
	assert_int_equal(vcpus[2].startup, 0x77);
	assert_int_equal(vcpus[0].startup, -1);
	assert_int_equal(threads[2].state, THREAD_READY);
	send_ipi(LAPIC_TO_DEST, LAPIC_NMI, 0, 2); /* by now it runs, or is about to */
	assert_true(vcpus[2].nmi_pending);
	sched_kill(&threads[2]);
}

/* --- the local APIC's timer */

static void arm_one_shot(u32 count)
{
	struct lapic_effect effect = { 0 };

	lapic_mmio_write(&v->lapic, 0x3e0, 0xb, vcpu_tsc(v), &effect);
	lapic_mmio_write(&v->lapic, 0x320, 0x51, vcpu_tsc(v), &effect);
	lapic_mmio_write(&v->lapic, 0x380, count, vcpu_tsc(v), &effect);
	assert_true(effect.what & LAPIC_EFFECT_TIMER);
	vcpu_apply_effect(v, &effect);
}

static void the_timer_uses_the_hosts_clock(void **state)
{
	(void)state;
	fake_insn.tsc_step = 0;
	v->tsc_offset = 0 - 500000ULL; /* the guest's clock is behind */
	arm_one_shot(1000);
	assert_int_equal(v->timer.deadline, fake_insn.tsc + (1000 << LAPIC_CLOCK_SHIFT));
	threads[0].state = THREAD_BLOCKED;
	fake_insn.tsc = v->timer.deadline;
	timer_interrupt();
	assert_int_equal(pending_of(0), 0x51);
	assert_int_equal(threads[0].state, THREAD_READY);
	assert_int_equal(v->timer.deadline, TIMER_NEVER); /* one shot */
	sched_kill(&threads[0]);
}

#define PERIOD (1000000ULL << LAPIC_CLOCK_SHIFT)

/* Its first deadline. */
static u64 arm_periodic(void)
{
	struct lapic_effect effect = { 0 };

	fake_insn.tsc_step = 0;
	arm_one_shot(1000000);
	lapic_mmio_write(&v->lapic, 0x320, 0x20051, vcpu_tsc(v), &effect);
	vcpu_apply_effect(v, &effect);
	return v->timer.deadline;
}

static void timer_comes(void)
{
	fake_insn.tsc = v->timer.deadline;
	timer_interrupt();
	assert_true(v->timer_fired);
	assert_int_equal(pending_of(0), 0x51);
}

static void a_periodic_timer_goes_on(void **state)
{
	u64 first = arm_periodic();

	(void)state;
	timer_comes();
	vcpu_timer_resume(v);
	assert_false(v->timer_fired);
	assert_int_equal(v->timer.deadline, first + PERIOD);
	timer_set(&v->timer, TIMER_NEVER);
}

/* Paused, or without a processor: nothing interrupts the host, and it gets one tick in the end. */
static void a_periodic_timer_waits_for_its_vcpu(void **state)
{
	u64 first = arm_periodic();

	(void)state;
	timer_comes();
	assert_int_equal(v->timer.deadline, TIMER_NEVER);
	assert_null(boot_cpu.timers.first);
	fake_insn.tsc = first + 10 * PERIOD + PERIOD / 2;
	vcpu_timer_resume(v);
	assert_int_equal(pending_of(0), 0x51);
	lapic_take(&v->lapic, 0x51);
	assert_int_equal(lapic_irr_highest(&v->lapic), -1);
	assert_int_equal(v->timer.deadline, first + 11 * PERIOD); /* on its grid */
	timer_set(&v->timer, TIMER_NEVER);
}

/* One that has fired and was stopped since then stays so. */
static void a_stopped_timer_does_not_go_on(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	arm_periodic();
	timer_comes();
	lapic_mmio_write(&v->lapic, 0x380, 0, vcpu_tsc(v), &effect);
	vcpu_apply_effect(v, &effect);
	vcpu_timer_resume(v);
	assert_int_equal(v->timer.deadline, TIMER_NEVER);
}

static void stopping_the_timer_takes_it_out(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	arm_one_shot(1000);
	lapic_mmio_write(&v->lapic, 0x380, 0, vcpu_tsc(v), &effect);
	vcpu_apply_effect(v, &effect);
	assert_int_equal(v->timer.deadline, TIMER_NEVER);
	assert_null(boot_cpu.timers.first);
}

/* A deadline beyond the end of the host's clock never comes. */
static void a_deadline_beyond_time(void **state)
{
	struct lapic_effect effect = { 0 };

	(void)state;
	lapic_mmio_write(&v->lapic, 0x320, 0x40051, vcpu_tsc(v), &effect);
	lapic_tsc_deadline_write(&v->lapic, UINT64_MAX, vcpu_tsc(v), &effect);
	vcpu_apply_effect(v, &effect);
	assert_true(v->timer.deadline > BIT64(63));
	timer_set(&v->timer, TIMER_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_to_do, fresh),
		cmocka_unit_test_setup(all_pairs_of_exceptions, fresh),
		cmocka_unit_test_setup(pending_exceptions_nest_too, fresh),
		cmocka_unit_test_setup(interrupted_nmi_is_benign, fresh),
		cmocka_unit_test_setup(exception_goes_in_once, fresh),
		cmocka_unit_test_setup(reinjection_comes_first, fresh),
		cmocka_unit_test_setup(exception_before_nmi, fresh),
		cmocka_unit_test_setup(nmi_waits_for_its_window, fresh),
		cmocka_unit_test_setup(nmi_ignores_the_interrupt_flag, fresh),
		cmocka_unit_test_setup(the_highest_vector_is_offered, fresh),
		cmocka_unit_test_setup(an_illegal_vector_is_not_overlooked, fresh),
		cmocka_unit_test_setup(an_offer_not_taken_is_made_again, fresh),
		cmocka_unit_test_setup(the_8259_is_acknowledged_in_a_window, fresh),
		cmocka_unit_test_setup(the_8259_waits_for_a_window, fresh),
		cmocka_unit_test_setup(the_8259_before_the_local_apic, fresh),
		cmocka_unit_test_setup(a_masked_lint0_takes_no_8259, fresh),
		cmocka_unit_test_setup(no_injection_is_lost_to_an_acknowledge, fresh),
		cmocka_unit_test_setup(what_ends_hlt, fresh),
		cmocka_unit_test_setup(a_sleeping_vcpu_is_woken, fresh),
		cmocka_unit_test_setup(msi_reaches_its_destination_only, fresh),
		cmocka_unit_test_setup(msi_elsewhere_is_no_message, fresh),
		cmocka_unit_test_setup(msi_trigger_mode, fresh),
		cmocka_unit_test_setup(logical_and_lowest_priority, fresh),
		cmocka_unit_test_setup(ipi_destinations, fresh),
		cmocka_unit_test_setup(lowest_priority_finds_one_that_accepts, fresh),
		cmocka_unit_test_setup(lowest_priority_with_a_shorthand, fresh),
		cmocka_unit_test_setup(a_disabled_local_apic_hears_nothing, fresh),
		cmocka_unit_test_setup(init_is_heard_by_a_running_vcpu, fresh),
		cmocka_unit_test_setup(startup_is_heard_behind_an_init_only, fresh),
		cmocka_unit_test_setup(who_waits_for_startup_hears_nothing_else, fresh),
		cmocka_unit_test_setup(the_timer_uses_the_hosts_clock, fresh),
		cmocka_unit_test_setup(a_periodic_timer_goes_on, fresh),
		cmocka_unit_test_setup(a_periodic_timer_waits_for_its_vcpu, fresh),
		cmocka_unit_test_setup(a_stopped_timer_does_not_go_on, fresh),
		cmocka_unit_test_setup(stopping_the_timer_takes_it_out, fresh),
		cmocka_unit_test_setup(a_deadline_beyond_time, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
