/* Tests of a vCPU's power-up, INIT and start: what they change, what they leave, who waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/cpu.h"
#include "core/sys/process.h"
#include "core/sys/vm_sys.h"
#include "core/virt/engine.h"
#include "core/virt/events.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_machine.h"

#define VCPUS 3

static struct vm *vm;
static struct vcpu *first, *second;
static u32 runs;
static struct vcpu_state entered; /* as the guest began */

/* The guest runs until its VMM gets a notification. */
static void run_once(struct vcpu *v)
{
	runs++;
	backend->state_get(v, &entered);
	v->exit = (struct vm_exit){ .reason = VM_EXIT_NONE };
	sched_notify(v->thread, 1);
}

/* A VM whose threads are all in the guest, none in the run queue. */
static int fresh(void **state)
{
	static const struct vm_request request = { .name = "a",
						   .memory_bytes = 4 * MIB,
						   .cpus = VCPUS,
						   .weight = 1,
						   .cpus_allowed = 1,
						   .kernel_module = 2,
						   .initrd_module = MANIFEST_NO_FILE };
	u32 number;

	(void)state;
	fake_backend_reset();
	fake_backend.on_run = run_once;
	runs = 0;
	if (fake_machine_supervisor() || vm_create(&request, &number))
		return -1;
	vm = vm_find(number);
	first = vm->vcpus[0];
	second = vm->vcpus[1];
	for (u32 i = 1; i < VCPUS; i++) {
		if (process_thread_start(vm->process, i, vm->vcpus[i], FAKE_RING3_CODE))
			return -1;
		sched_kill(vm->vcpus[i]->thread);
	}
	for (u32 i = 0; i < VCPUS; i++)
		vm->vcpus[i]->thread->in_guest = true;
	return 0;
}

static int clear(void **state)
{
	(void)state;
	boot_cpu.current = NULL;
	fake_machine_clear();
	return 0;
}

/* One turn on the processor. */
static void turn(struct vcpu *v)
{
	v->thread->state = THREAD_RUNNING;
	v->thread->in_guest = true;
	v->thread->notified = 0;
	v->thread->woken = false;
	boot_cpu.current = v->thread;
	process_load(vm->process);
	engine_run(v);
	boot_cpu.current = NULL;
}

static void send(u32 to, enum lapic_mode mode, u8 vector)
{
	vcpu_apply_effect(first,
			  &(struct lapic_effect){
				  .what = LAPIC_EFFECT_IPI,
				  .ipi = { .dest = to, .mode = (u8)mode, .vector = vector } });
	if (vm->vcpus[to]->thread->state == THREAD_READY)
		sched_kill(vm->vcpus[to]->thread); /* woken: out of the queue */
}

/* SDM, "Processor State After Reset", for what both causes give. */
static void check_reset_state(const struct vcpu_state *s)
{
	assert_int_equal(s->rip, 0xfff0);
	assert_int_equal(s->rflags, 2);
	assert_int_equal(s->cr2 | s->cr3 | s->cr4 | s->cr8 | s->efer, 0);
	assert_int_equal(s->dr6, 0xffff0ff0);
	assert_int_equal(s->dr7, 0x400);
	assert_int_equal(s->segment[SEG_CS].selector, 0xf000);
	assert_int_equal(s->segment[SEG_CS].base, 0xffff0000);
	assert_int_equal(s->segment[SEG_CS].rights, 0x9b);
	for (u32 i = SEG_ES; i <= SEG_GS; i++) {
		assert_int_equal(s->segment[i].limit, 0xffff);
		if (i == SEG_CS)
			continue;
		assert_int_equal(s->segment[i].selector | s->segment[i].base, 0);
		assert_int_equal(s->segment[i].rights, 0x93);
	}
	assert_int_equal(s->segment[SEG_LDTR].rights, 0x82);
	assert_int_equal(s->segment[SEG_TR].rights, 0x8b);
	assert_int_equal(s->segment[SEG_TR].limit, 0xffff);
	assert_int_equal(s->gdtr.base | s->idtr.base, 0);
	assert_int_equal(s->gdtr.limit, 0xffff);
	assert_int_equal(s->idtr.limit, 0xffff);
}

static void power_up(void **state)
{
	(void)state;
	check_reset_state(&fake_backend.state);
	assert_int_equal(fake_backend.state.cr0, 0x60000010);
	for (u32 i = 0; i < VCPUS; i++) {
		const struct vcpu *v = vm->vcpus[i];

		assert_int_equal(v->parked, i != 0);
		assert_int_equal(v->startup, -1);
		assert_int_equal(lapic_takes_extint(&v->lapic), i == 0);
		assert_int_equal(lapic_accepts(&v->lapic), i == 0);
		assert_int_equal(v->page->gpr[GPR_RAX] | v->page->gpr[GPR_R15], 0);
		assert_true(v->events);
	}
}

/* Everything an interrupted life leaves behind. */
static void live(struct vcpu *v)
{
	struct lapic_effect effect;

	lapic_mmio_write(&v->lapic, 0xf0, 0x1ff, 0, &effect);
	lapic_mmio_write(&v->lapic, 0x80, 0x40, 0, &effect);
	assert_true(lapic_accept(&v->lapic, 0x91, true));
	v->parked = false;
	v->pending = (struct event){ EVENT_EXCEPTION, EXC_GP, true, 8 };
	v->reinject = (struct event){ EVENT_EXCEPTION, EXC_PF, true, 2 };
	v->triple_fault = true;
	v->halted = true;
	v->extint = 0x20;
	v->events = false;
	v->msr.mtrr_fixed[3] = 0x55;
	v->xcr0 = 7;
	v->tsc_offset = 0x1234;
	v->tsc_aux = 77;
	((u8 *)v->fpu)[32] = 0xab;
	memset(v->dr, 0x5a, sizeof(v->dr));
	for (u32 i = 0; i < GPR_COUNT; i++)
		v->page->gpr[i] = ~0ULL;
	timer_set(&v->timer, 99999999);
}

static void init_resets_some_things(void **state)
{
	(void)state;
	live(second);
	vm->cpuid->basic[CPUID_FEATURES].eax = 0x830f12; /* family, model, stepping */
	fake_backend.state.cr0 = CR0_PE | CR0_PG | CR0_WP;
	fake_backend.nmi_window = false;
	send(1, LAPIC_INIT, 0);
	turn(second);
	assert_int_equal(runs, 0);
	assert_true(fake_backend.nmi_window);
	assert_true(second->parked);
	assert_false(second->init_pending);
	check_reset_state(&fake_backend.state);
	assert_int_equal(second->pending.type, EVENT_NONE);
	assert_int_equal(second->reinject.type, EVENT_NONE);
	assert_false(second->triple_fault);
	assert_false(second->halted);
	assert_int_equal(second->extint, -1);
	assert_true(second->events);
	assert_int_equal(second->timer.deadline, TIMER_NEVER);
	assert_int_equal(second->dr[0] | second->dr[1] | second->dr[2] | second->dr[3], 0);
	assert_int_equal(fake_insn.dr0 | fake_insn.dr3, 0); /* they were in the processor */
	assert_false(lapic_accepts(&second->lapic));
	assert_int_equal(lapic_irr_highest(&second->lapic), -1);
	assert_int_equal(lapic_cr8_get(&second->lapic), 0);
	assert_int_equal(second->page->gpr[GPR_RDX], 0x830f12);
	for (u32 i = 0; i < GPR_COUNT; i++)
		assert_true(i == GPR_RDX || second->page->gpr[i] == 0);
}

static void init_leaves_others(void **state)
{
	struct lapic_effect effect;

	(void)state;
	live(second);
	assert_true(lapic_base_write(
		&second->lapic, LAPIC_BASE_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC, &effect));
	send(1, LAPIC_INIT, 0);
	turn(second);
	assert_int_equal(second->msr.mtrr_fixed[3], 0x55);
	assert_int_equal(second->xcr0, 7);
	assert_int_equal(second->tsc_offset, 0x1234);
	assert_int_equal(second->tsc_aux, 77);
	assert_int_equal(((u8 *)second->fpu)[32], 0xab);
	assert_true(lapic_x2apic(&second->lapic));
	assert_int_equal(second->lapic.id, 1);
}

/* The caches stay as they were: on, or as firmware would have found them. */
static void init_leaves_the_caches(void **state)
{
	static const u64 caches[] = { 0, CR0_CD, CR0_CD | CR0_NW };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(caches); i++) {
		fake_backend.state.cr0 = CR0_PE | CR0_ET | caches[i];
		send(1, LAPIC_INIT, 0);
		turn(second);
		assert_int_equal(fake_backend.state.cr0, CR0_ET | caches[i]);
	}
}

static void a_start_from_power_up(void **state)
{
	(void)state;
	turn(second);
	assert_int_equal(second->thread->state, THREAD_BLOCKED);
	assert_int_equal(runs, 0);
	send(1, LAPIC_INIT, 0);
	turn(second);
	assert_int_equal(second->thread->state, THREAD_BLOCKED);
	send(1, LAPIC_STARTUP, 0x9a);
	turn(second);
	assert_int_equal(runs, 1);
	assert_false(second->parked);
	assert_int_equal(entered.segment[SEG_CS].selector, 0x9a00);
	assert_int_equal(entered.segment[SEG_CS].base, 0x9a000);
	assert_int_equal(entered.rip, 0);
	assert_int_equal(entered.rflags, 2);
	send(1, LAPIC_STARTUP, 0x10); /* most kernels send two */
	fake_backend.state.rip = 0x77;
	turn(second);
	assert_int_equal(runs, 2);
	assert_int_equal(entered.rip, 0x77);
}

/* All messages are there before its thread has run for the first time. */
static void a_start_before_the_thread_ran(void **state)
{
	struct thread *thread = vm->vcpus[2]->thread;

	(void)state;
	vm->vcpus[2]->thread = NULL;
	vcpu_apply_effect(first, &(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
							 .ipi = { .mode = LAPIC_INIT,
								  .shorthand = LAPIC_TO_OTHERS } });
	vcpu_apply_effect(first, &(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
							 .ipi = { .mode = LAPIC_STARTUP,
								  .vector = 0xff,
								  .shorthand = LAPIC_TO_OTHERS } });
	vm->vcpus[2]->thread = thread;
	turn(vm->vcpus[2]);
	assert_int_equal(runs, 1);
	assert_int_equal(entered.segment[SEG_CS].base, 0xff000);
}

/* An NMI behind the start-up message is for the started processor, however late that is. */
static void an_nmi_behind_the_start(void **state)
{
	(void)state;
	send(1, LAPIC_NMI, 0);
	send(1, LAPIC_INIT, 0);
	send(1, LAPIC_NMI, 0);
	assert_false(second->nmi_pending);
	send(1, LAPIC_STARTUP, 8);
	send(1, LAPIC_NMI, 0);
	turn(second);
	assert_int_equal(runs, 1);
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
}

/* --- while another processor looks at it, or starts it */

static enum fake_call at;
static u32 times;
static enum lapic_mode messages[2];

/* As the guest on another processor would, in the middle of what this one does. */
static void others_send(enum fake_call call, struct vcpu *v)
{
	if (v != second || call != at || times++ > 0)
		return;
	for (u32 i = 0; i < ARRAY_SIZE(messages); i++)
		vcpu_apply_effect(first, &(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
								 .ipi = { .dest = 1,
									  .mode = (u8)messages[i],
									  .vector = 0x9a } });
}

static void during(enum fake_call call, enum lapic_mode one, enum lapic_mode two)
{
	at = call;
	times = 0;
	messages[0] = one;
	messages[1] = two;
	fake_backend.on_call = others_send;
}

/* SMI stands for nothing: there is none. */
static void a_start_while_it_resets(void **state)
{
	(void)state;
	live(second);
	send(1, LAPIC_INIT, 0);
	during(FAKE_STATE_SET, LAPIC_STARTUP, LAPIC_SMI);
	turn(second);
	assert_int_equal(runs, 1);
	assert_int_equal(entered.segment[SEG_CS].base, 0x9a000);
}

static void an_nmi_while_it_starts(void **state)
{
	(void)state;
	send(1, LAPIC_STARTUP, 0x10);
	during(FAKE_STATE_SET, LAPIC_NMI, LAPIC_STARTUP);
	turn(second);
	assert_int_equal(entered.segment[SEG_CS].base, 0x10000);
	assert_int_equal(fake_backend.injected.type, EVENT_NMI);
	turn(second);
	assert_int_equal(runs, 2);
	assert_false(second->parked);
}

/* It starts where it was told to, and then is reset: nowhere else. */
static void an_init_while_it_starts(void **state)
{
	(void)state;
	send(1, LAPIC_STARTUP, 0x10);
	during(FAKE_STATE_GET, LAPIC_INIT, LAPIC_SMI);
	turn(second);
	assert_int_equal(entered.segment[SEG_CS].base, 0x10000);
	fake_backend.on_call = NULL;
	turn(second);
	assert_int_equal(runs, 1);
	assert_true(second->parked);
	assert_int_equal(second->thread->state, THREAD_BLOCKED);
}

static void an_init_and_a_start_while_it_starts(void **state)
{
	(void)state;
	send(1, LAPIC_STARTUP, 0x10);
	during(FAKE_STATE_SET, LAPIC_INIT, LAPIC_STARTUP);
	turn(second);
	turn(second);
	assert_int_equal(runs, 2);
	assert_int_equal(entered.segment[SEG_CS].base, 0x9a000);
}

/* A message that comes when everything was looked at is seen at the next look, which is due. */
static void a_message_after_the_look(void **state)
{
	(void)state;
	second->parked = false;
	during(FAKE_OFFER, LAPIC_INIT, LAPIC_STARTUP);
	turn(second);
	assert_int_equal(runs, 1);
	turn(second);
	assert_int_equal(entered.segment[SEG_CS].base, 0x9a000);
}

static bool must_look;

static void enter_once(struct vcpu *v)
{
	must_look = v->events;
	run_once(v);
}

static void notify_late(enum fake_call call, struct vcpu *v)
{
	if (call == FAKE_REGISTER_GET) /* of who wakes from HLT: behind the first question */
		sched_notify(v->thread, 8);
}

static void a_notification_during_the_look(void **state)
{
	(void)state;
	second->parked = false;
	second->halted = true;
	fake_backend.on_run = enter_once;
	fake_backend.on_call = notify_late;
	must_look = false;
	second->extint = 0x20;
	turn(second);
	assert_int_equal(runs, 1);
	assert_true(must_look);
	assert_int_equal(second->thread->frame.rax & 8, 8);
}

/* A vCPU that waits for its start is still at its VMM's service. */
static void a_parked_vcpu_sees_notifications(void **state)
{
	(void)state;
	second->thread->state = THREAD_RUNNING;
	sched_notify(second->thread, 4);
	boot_cpu.current = second->thread;
	engine_run(second);
	assert_false(second->thread->in_guest);
	assert_int_equal(second->thread->frame.rax, 4);
	assert_int_equal(second->page->exit.reason, VM_EXIT_NONE);
	assert_true(second->parked);
}

/* The answer to an exit that came before the INIT belongs to what the INIT ends. */
static void an_answer_before_the_init(void **state)
{
	(void)state;
	live(second);
	second->triple_fault = false;
	second->page->reply = VCPU_REPLY_DONE;
	second->page->insn_length = 3;
	send(1, LAPIC_INIT, 0);
	assert_true(engine_take_reply(second));
	turn(second);
	check_reset_state(&fake_backend.state);
	assert_int_equal(second->thread->state, THREAD_BLOCKED);
}

/* The first processor does not wait: it begins where firmware would be. */
static void init_of_the_first(void **state)
{
	(void)state;
	vcpu_apply_effect(second, &(struct lapic_effect){ .what = LAPIC_EFFECT_IPI,
							  .ipi = { .mode = LAPIC_INIT } });
	turn(first);
	assert_int_equal(runs, 1);
	check_reset_state(&entered);
	assert_false(first->parked);
	send(0, LAPIC_STARTUP, 0x10);
	turn(first);
	assert_int_equal(entered.rip, 0xfff0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(power_up, fresh, clear),
		cmocka_unit_test_setup_teardown(init_resets_some_things, fresh, clear),
		cmocka_unit_test_setup_teardown(init_leaves_others, fresh, clear),
		cmocka_unit_test_setup_teardown(init_leaves_the_caches, fresh, clear),
		cmocka_unit_test_setup_teardown(a_start_from_power_up, fresh, clear),
		cmocka_unit_test_setup_teardown(a_start_before_the_thread_ran, fresh, clear),
		cmocka_unit_test_setup_teardown(an_nmi_behind_the_start, fresh, clear),
		cmocka_unit_test_setup_teardown(a_parked_vcpu_sees_notifications, fresh, clear),
		cmocka_unit_test_setup_teardown(a_start_while_it_resets, fresh, clear),
		cmocka_unit_test_setup_teardown(an_nmi_while_it_starts, fresh, clear),
		cmocka_unit_test_setup_teardown(an_init_while_it_starts, fresh, clear),
		cmocka_unit_test_setup_teardown(an_init_and_a_start_while_it_starts, fresh, clear),
		cmocka_unit_test_setup_teardown(a_message_after_the_look, fresh, clear),
		cmocka_unit_test_setup_teardown(a_notification_during_the_look, fresh, clear),
		cmocka_unit_test_setup_teardown(an_answer_before_the_init, fresh, clear),
		cmocka_unit_test_setup_teardown(init_of_the_first, fresh, clear),
	};

	fake_machine_start(16 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
