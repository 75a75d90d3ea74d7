/* Tests of interrupts for a vCPU that lives on another processor: none is lost, none is early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/sched/sched.h"
#include "core/sys/process.h"
#include "core/virt/engine.h"
#include "core/virt/events.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_cpus.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"

#define VCPUS	     2
#define MSI_BASE     0xfee00000ULL
#define MSI_LEVEL    BIT32(15)
#define VECTOR_FIRST 16

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct process process = { .share = { .weight = 1, .allowed = ~0ULL } };
static struct thread threads[VCPUS];
static struct vcpu_counters counters[VCPUS];
static struct vcpu *const v = &vcpus[1]; /* lives on processor 1; the test is processor 0 */

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_cpus_start(2);
	fake_backend_reset();
	fake_devices = (struct fake_devices){ 0 };
	vm = (struct vm){ .vcpu_count = VCPUS };
	for (u32 i = 0; i < VCPUS; i++) {
		struct lapic_effect effect;

		vcpus[i] = (struct vcpu){ .vm = &vm,
					  .index = i,
					  .thread = &threads[i],
					  .counters = &counters[i],
					  .offered = OFFER_NONE,
					  .extint = -1,
					  .startup = -1,
					  .eoi_pending = -1 };
		threads[i] = (struct thread){ .process = &process,
					      .vcpu = &vcpus[i],
					      .home = cpu_table[i],
					      .state = THREAD_RUNNING,
					      .in_guest = true };
		timer_init(&threads[i].timer, NULL);
		timer_init(&vcpus[i].timer, vcpu_timer_fire);
		cpu_table[i]->current = &threads[i];
		vm.vcpus[i] = &vcpus[i];
		lapic_init(&vcpus[i].lapic, i, i == 0);
		lapic_mmio_write(&vcpus[i].lapic, 0xf0, 0x1ff, 0, &effect);
	}
	return 0;
}

static void post(u8 vector, bool level)
{
	fake_cpu_be(0);
	vcpu_accept_interrupt(v, vector, level);
	assert_int_equal(cpu_table[1]->queue.lock.held, 0);
}

static u64 kicks(void)
{
	return fake_devices.kicks_to[fake_apic_id(1)];
}

/* As the engine does before an entry; the vector that is on offer then. */
static int look(void)
{
	fake_cpu_be(1);
	v->events = false;
	assert_false(events_prepare(v));
	return fake_backend.offered;
}

static void take(int vector)
{
	assert_int_equal(v->offered, vector);
	v->offer_taken = true;
	events_collect(v);
}

static bool is_level(u32 vector)
{
	return v->lapic.reg[LAPIC_TMR + vector / 32 * 4] >> vector % 32 & 1;
}

static void each_vector(void **state)
{
	(void)state;
	for (u32 i = 0; i < 2 * 256; i++) {
		u32 vector = i % 256;
		bool level = i >= 256;

		fresh(NULL);
		post((u8)vector, level);
		assert_int_equal(lapic_irr_highest(&v->lapic), -1); /* is not ours to touch */
		assert_true(v->events);
		assert_int_equal(kicks(), 1);
		if (vector < VECTOR_FIRST) {
			assert_int_equal(look(), OFFER_NONE);
			continue;
		}
		assert_int_equal(look(), vector);
		assert_int_equal(is_level(vector), level);
		take((int)vector);
		assert_int_equal(look(), OFFER_NONE);
	}
}

static void all_vectors_at_once(void **state)
{
	(void)state;
	for (u32 vector = VECTOR_FIRST; vector < 256; vector++)
		post((u8)vector, vector % 3 == 0);
	assert_int_equal(look(), 255);
	for (u32 vector = VECTOR_FIRST; vector < 256; vector++) {
		assert_true(v->lapic.reg[0x200 / 4 + vector / 32 * 4] >> vector % 32 & 1);
		assert_int_equal(is_level(vector), vector % 3 == 0);
	}
}

static void the_same_again(void **state)
{
	(void)state;
	post(0x51, true);
	post(0x51, true);
	assert_int_equal(look(), 0x51);
	assert_true(is_level(0x51));
	take(0x51);
	assert_int_equal(look(), OFFER_NONE); /* in service */
	post(0x51, true);		      /* is still level-triggered: its end is told */
	look();
	assert_true(is_level(0x51));
	post(0x51, false);
	post(0x51, true);
	look();
	assert_true(is_level(0x51));
}

static void at_home_nothing_is_posted(void **state)
{
	(void)state;
	fake_cpu_be(1);
	vcpu_accept_interrupt(v, 0x61, false);
	assert_int_equal(lapic_irr_highest(&v->lapic), 0x61);
	assert_false(v->posted_new);
	assert_int_equal(fake_devices.kicks, 0);
}

static bool post_late;

static void after_the_take(enum fake_call call, struct vcpu *vcpu)
{
	(void)vcpu;
	if (call != FAKE_OFFER || !post_late)
		return;
	post_late = false;
	post(0x71, false);
	fake_cpu_be(1);
}

/* Between the look and the entry. */
static void posted_after_the_take(void **state)
{
	(void)state;
	fake_backend.on_call = after_the_take;
	post_late = true;
	assert_int_equal(look(), OFFER_NONE);
	assert_false(post_late);
	assert_true(v->events);
	assert_int_equal(kicks(), 1); /* the entry comes back at once */
	assert_int_equal(look(), 0x71);
}

static bool sent;

static void during_the_injection(enum fake_call call, struct vcpu *vcpu)
{
	if (call != FAKE_INJECT || sent)
		return;
	sent = true;
	if (vcpu->nmi_pending || vcpu->pending.type == EVENT_NONE)
		vm_deliver_msi(&vm, MSI_BASE | 1 << 12, LAPIC_NMI << 8);
	else
		post(0x72, false);
	fake_cpu_be(1);
}

/* The event that goes in is no reason to forget that there is something else to look at. */
static void posted_during_an_injection(void **state)
{
	(void)state;
	fake_backend.on_call = during_the_injection;
	sent = false;
	v->pending = (struct event){ .type = EVENT_EXCEPTION, .vector = EXC_GP };
	assert_int_equal(look(), OFFER_NONE);
	assert_true(sent);
	assert_int_equal(fake_backend.injected.vector, EXC_GP);
	assert_true(v->events);
	assert_int_equal(look(), 0x72);
}

/* The first is on its way already, so this is a second. */
static void an_nmi_during_an_nmis_injection(void **state)
{
	(void)state;
	fake_backend.on_call = during_the_injection;
	sent = false;
	v->nmi_pending = true;
	look();
	assert_true(sent);
	assert_true(v->nmi_pending);
	assert_true(v->events);
	look();
	assert_int_equal(fake_backend.inject_count, 2);
	assert_false(v->nmi_pending);
}

static void while_it_sleeps_in_hlt(void **state)
{
	(void)state;
	fake_cpu_be(1);
	sched_block(&threads[1]);
	assert_int_equal(threads[1].state, THREAD_BLOCKED);
	post(0x81, false);
	assert_int_equal(threads[1].state, THREAD_READY);
	assert_int_equal(kicks(), 1);
	fake_cpu_be(1);
	assert_true(events_wake_from_halt(v));
	assert_int_equal(look(), 0x81);
}

/* It has decided to sleep, and is not asleep yet. */
static void as_it_falls_asleep(void **state)
{
	(void)state;
	fake_cpu_be(1);
	assert_false(events_wake_from_halt(v));
	post(0x82, false);
	fake_cpu_be(1);
	sched_block(&threads[1]);
	assert_int_equal(threads[1].state, THREAD_RUNNING);
	assert_true(v->events);
	assert_true(events_wake_from_halt(v));
}

static void while_its_vmm_sleeps(void **state)
{
	(void)state;
	threads[1].in_guest = false;
	fake_cpu_be(1);
	sched_block(&threads[1]);
	post(0x83, false);
	assert_int_equal(threads[1].state, THREAD_BLOCKED);
	assert_int_equal(kicks(), 0);
	assert_true(v->events); /* for when it runs its vCPU again */
	assert_int_equal(look(), 0x83);
}

static void messages_from_elsewhere(void **state)
{
	(void)state;
	vm_deliver_msi(&vm, MSI_BASE | 1 << 12, 0x91 | MSI_LEVEL);
	assert_int_equal(lapic_irr_highest(&v->lapic), -1);
	assert_int_equal(look(), 0x91);
	assert_true(is_level(0x91));
	fake_cpu_be(0);
	vm_deliver_msi(&vm, MSI_BASE | 0xffULL << 12, 0x92); /* each in its way */
	assert_int_equal(lapic_irr_highest(&vcpus[0].lapic), 0x92);
	assert_int_equal(lapic_irr_highest(&v->lapic), 0x91);
	assert_int_equal(look(), 0x92);
}

static void ipi(enum lapic_mode mode, u8 vector)
{
	fake_cpu_be(0);
	fake_devices.kicks_to[fake_apic_id(1)] = 0;
	v->events = false;
	vcpu_apply_effect(
		&vcpus[0],
		&(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
					.ipi = { .dest = 1, .mode = (u8)mode, .vector = vector } });
	assert_true(v->events);
	assert_int_equal(kicks(), 1);
}

static void other_messages_kick_too(void **state)
{
	(void)state;
	ipi(LAPIC_NMI, 0);
	assert_true(v->nmi_pending);
	look();
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
	ipi(LAPIC_INIT, 0);
	assert_true(v->init_pending);
	ipi(LAPIC_STARTUP, 0x55);
	assert_int_equal(v->startup, 0x55);
	ipi(LAPIC_STARTUP, 0x66);
	assert_int_equal(v->startup, 0x55);
	ipi(LAPIC_FIXED, 0xa1);
	assert_int_equal(look(), 0xa1);
}

static void the_8259s_line_kicks_all(void **state)
{
	(void)state;
	vm_set_intr_line(&vm, true);
	assert_true(vcpus[0].events);
	assert_true(v->events);
	assert_int_equal(kicks(), 1);
	assert_int_equal(fake_devices.kicks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_vector, fresh),
		cmocka_unit_test_setup(all_vectors_at_once, fresh),
		cmocka_unit_test_setup(the_same_again, fresh),
		cmocka_unit_test_setup(at_home_nothing_is_posted, fresh),
		cmocka_unit_test_setup(posted_after_the_take, fresh),
		cmocka_unit_test_setup(posted_during_an_injection, fresh),
		cmocka_unit_test_setup(an_nmi_during_an_nmis_injection, fresh),
		cmocka_unit_test_setup(while_it_sleeps_in_hlt, fresh),
		cmocka_unit_test_setup(as_it_falls_asleep, fresh),
		cmocka_unit_test_setup(while_its_vmm_sleeps, fresh),
		cmocka_unit_test_setup(messages_from_elsewhere, fresh),
		cmocka_unit_test_setup(other_messages_kick_too, fresh),
		cmocka_unit_test_setup(the_8259s_line_kicks_all, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
