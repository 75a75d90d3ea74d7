/* Tests of processes and VMs whose threads live on two processors: their end, and the locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/apic.h"
#include "core/sys/process.h"
#include "core/sys/syscall.h"
#include "core/sys/vm_sys.h"
#include "core/trace/log.h"
#include "core/virt/vm.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_cpus.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_machine.h"
#include "tests/support/fake_ring3.h"

#define VCPUS 2

static struct vm *vm, *other;
static jmp_buf out;
static void (*in_ring3)(struct thread *thread);

static void ring3(struct frame *frame)
{
	frame->vector = VECTOR_SPURIOUS;
	in_ring3(this_cpu()->current);
}

static void nobody_is_ready(void)
{
	longjmp(out, 2);
}

static void leave(struct thread *thread)
{
	(void)thread;
	longjmp(out, 1);
}

/* Runs a processor until in_ring3() leaves, or nobody is left: 2. The test stays on it. */
static int run(u32 cpu)
{
	int end;

	fake_cpu_be(cpu);
	end = setjmp(out);
	if (end == 0)
		sched_run();
	return end;
}

static void no_lock_is_held(void)
{
	assert_int_equal(system_lock.held, 0);
	assert_int_equal(log_lock.held, 0);
	for (u32 i = 0; i < cpu_count; i++)
		assert_int_equal(cpu_table[i]->queue.lock.held, 0);
}

/* Whoever waits for other processors: they have interrupts on. */
static void others_poll(void)
{
	u32 me = this_cpu()->index;

	fake_cpu_be(1 - me);
	cpu_poll();
	fake_cpu_be(me);
}

static struct vm *create(u32 cpus)
{
	const struct vm_request request = { .name = "a",
					    .memory_bytes = 4 * MIB,
					    .cpus = cpus,
					    .kernel_module = 2,
					    .initrd_module = MANIFEST_NO_FILE,
					    .weight = MANIFEST_WEIGHT_DEFAULT,
					    .cpus_allowed = BIT64(1) };
	u32 number;

	assert_int_equal(vm_create(&request, &number), ERR_OK);
	return vm_find(number);
}

/* The supervisor has processor 0; two VMs may use processor 1 only, and have not started. */
static int fresh(void **state)
{
	(void)state;
	fake_cpus_start(2);
	fake_backend_reset();
	fake_devices = (struct fake_devices){ 0 };
	fake_ring3 = ring3;
	in_ring3 = leave;
	fake_insn.on_wait = nobody_is_ready;
	fake_insn.on_relax = others_poll;
	if (fake_machine_supervisor())
		return -1;
	vm = create(VCPUS);
	other = create(1);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	fake_devices.on_kick = NULL;
	fake_backend.on_call = NULL;
	fake_cpu_be(0);
	for (u32 i = 0; i < VM_MAX; i++) {
		if (vm_find(i))
			process_stop(vm_find(i)->process, PROCESS_EXITED);
	}
	fake_cpu_be(1);
	in_ring3 = leave;
	sched_kicked();
	if (run(1) != 2) /* their threads end there */
		return -1;
	fake_cpu_be(0);
	fake_machine_clear();
	return 0;
}

static u64 call(struct thread *t, u64 number, u64 a, u64 b)
{
	t->frame.rax = number;
	t->frame.rdi = a;
	t->frame.rsi = b;
	t->frame.rdx = 0;
	syscall_dispatch(t);
	no_lock_is_held();
	return t->frame.rax;
}

static void start_both(void)
{
	struct thread *supervisor = process_main(process_supervisor());

	assert_int_equal(call(supervisor, SYSCALL_vm_start, vm->number, 0), ERR_OK);
	assert_int_equal(call(supervisor, SYSCALL_vm_start, other->number, 0), ERR_OK);
	assert_int_equal(run(1), 1);
	fake_cpu_be(0);
}

static u64 destroy(const struct vm *which)
{
	return call(process_main(process_supervisor()), SYSCALL_vm_destroy, which->number, 0);
}

static void a_vm_goes_when_all_have_let_go(void **state)
{
	(void)state;
	start_both();
	fake_cpu_be(1);
	assert_ptr_equal(this_cpu()->current, process_main(vm->process));
	assert_int_equal(call(process_main(vm->process), SYSCALL_thread_start, 1, FAKE_RING3_CODE),
			 ERR_OK);
	fake_cpu_be(0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(destroy(vm), ERR_AGAIN);
	assert_ptr_equal(vm_find(0), vm);
	assert_int_equal(vm->process->status, PROCESS_EXITED);
	fake_cpu_be(1);
	sched_kicked();
	assert_int_equal(run(1), 1);
	assert_ptr_equal(this_cpu()->current, process_main(other->process));
	assert_true(process_is_over(vm->process));
	fake_cpu_be(0);
	assert_int_equal(process_main(process_supervisor())->notified, NOTIFY_VM(0));
	assert_int_equal(destroy(vm), ERR_OK);
	assert_null(vm_find(0));
}

/* One thread is dead, one is not. */
static void the_last_thread_counts(void **state)
{
	(void)state;
	start_both();
	fake_cpu_be(1);
	(void)call(process_main(vm->process), SYSCALL_thread_start, 1, FAKE_RING3_CODE);
	vm->process->threads[0]->state = THREAD_DEAD;
	assert_false(process_is_over(vm->process));
	vm->process->threads[0]->state = THREAD_RUNNING;
	vm->process->threads[1]->state = THREAD_DEAD;
	assert_false(process_is_over(vm->process));
	vm->process->threads[1]->state = THREAD_READY;
}

/* Its call waited for the lock while the supervisor stopped its VM. */
static void the_stopped_start_no_thread(void **state)
{
	(void)state;
	start_both();
	assert_int_equal(destroy(vm), ERR_AGAIN);
	fake_cpu_be(1);
	assert_int_equal(call(process_main(vm->process), SYSCALL_thread_start, 1, FAKE_RING3_CODE),
			 ERR_EXISTS);
	assert_null(vm->process->threads[1]);
	assert_null(vm->vcpus[1]->thread);
}

static void supervisor_destroys(u32 apic_id)
{
	if (apic_id != fake_apic_id(0) || !process_is_over(vm->process))
		return;
	fake_devices.on_kick = NULL;
	fake_cpu_be(0);
	assert_int_equal(destroy(vm), ERR_OK);
	fake_cpu_be(1);
	vm = NULL;
}

static void yield_and_be_stopped(struct thread *thread)
{
	if (!vm)
		longjmp(out, 1);
	if (thread != process_main(vm->process)) {
		this_cpu()->resched = true; /* until it is its turn */
		fake_insn.tsc = this_cpu()->slice.deadline;
		return;
	}
	sched_end_turn();
	fake_cpu_be(0);
	assert_int_equal(destroy(vm), ERR_AGAIN);
	fake_devices.on_kick = supervisor_destroys;
	fake_cpu_be(1);
	sched_kicked();
}

/* From the moment a thread is dead its memory may be anybody's. */
static void nothing_is_left_of_the_dead(void **state)
{
	struct vm *third = create(1);

	(void)state;
	sched_start(process_main(third->process)); /* two that can be compared with the dead one */
	start_both();
	in_ring3 = yield_and_be_stopped;
	assert_int_equal(run(1), 1);
	assert_null(vm);
	no_lock_is_held();
}

static void a_fault_elsewhere_stops_all(void **state)
{
	(void)state;
	start_both();
	fake_cpu_be(1);
	(void)call(process_main(vm->process), SYSCALL_thread_start, 1, FAKE_RING3_CODE);
	process_fault(process_main(vm->process));
	no_lock_is_held();
	assert_int_equal(vm->process->status, PROCESS_KILLED);
	assert_int_equal(vm->process->threads[1]->state, THREAD_DEAD); /* it lived here */
	assert_int_equal(process_main(vm->process)->state, THREAD_RUNNING);
	assert_int_equal(run(1), 1);
	assert_true(process_is_over(vm->process));
}

/* --- locks */

static bool held_then;

static void is_locked(enum fake_call what, struct vcpu *v)
{
	if (v == vm->vcpus[1] && (what == FAKE_STATE_GET || what == FAKE_STATE_SET))
		held_then = system_lock.held != 0;
}

/* So that nobody starts its thread meanwhile, on another processor. */
static void state_of_an_unstarted_vcpu(void **state)
{
	(void)state;
	start_both();
	fake_backend.on_call = is_locked;
	fake_cpu_be(1);
	held_then = false;
	assert_int_equal(
		call(process_main(vm->process), SYSCALL_vcpu_get_state, 1, FAKE_RING3_DATA),
		ERR_OK);
	assert_true(held_then);
	held_then = false;
	(void)call(process_main(vm->process), SYSCALL_vcpu_set_state, 1, FAKE_RING3_DATA);
	assert_true(held_then);
}

static void no_call_keeps_a_lock(void **state)
{
	static const u64 values[] = { 0, 1, FAKE_RING3_DATA, ~0ULL };

	(void)state;
	start_both();
	for (u32 i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(values) * SYSCALL_COUNT; i++) {
		u64 a = values[i % ARRAY_SIZE(values)];
		u64 b = values[i / ARRAY_SIZE(values) % ARRAY_SIZE(values)];
		u32 number = i / ARRAY_SIZE(values) / ARRAY_SIZE(values);

		if (number == SYSCALL_exit || number == SYSCALL_wait ||
		    number == SYSCALL_machine_off || number == SYSCALL_vm_destroy)
			continue;
		fake_cpu_be(0);
		process_load(process_supervisor());
		(void)call(this_cpu()->current, number, a, b);
		fake_cpu_be(1);
		(void)call(this_cpu()->current, number, a, b);
	}
	assert_int_equal(call(this_cpu()->current, SYSCALL_exit, 0, 0), ERR_OK);
}

/* --- a VMM that hangs */

#define SECOND 1000000000ULL /* of the fake TSC */

static u64 silent, vocal; /* ticks that the two VMs' threads have had in ring 3 */

/* To the end of its turn, which comes even when nobody else wants the processor. */
static u64 turn_pass(void)
{
	u64 start = fake_insn.tsc;

	assert_in_range(this_cpu()->slice.deadline, start, start + SECOND);
	fake_insn.tsc = this_cpu()->slice.deadline;
	timer_interrupt();
	return fake_insn.tsc - start;
}

/* The first VM's VMM says nothing any more; the other's says now and then that it lives. */
static void hang(struct thread *thread)
{
	if (thread->process == vm->process) {
		silent += turn_pass();
		return;
	}
	if (vm->process->status != PROCESS_RUNNING && vocal > 15 * SECOND)
		longjmp(out, 1);
	vocal += turn_pass();
	thread->frame.vector = VECTOR_SYSCALL;
	thread->frame.rax = SYSCALL_wait;
	thread->frame.rdi = 0;
}

static void a_vmm_that_hangs_is_killed(void **state)
{
	(void)state;
	silent = vocal = 0;
	start_both();
	in_ring3 = hang;
	assert_int_equal(run(1), 1);
	assert_in_range(silent, 10 * SECOND - 1000, 12 * SECOND);
	assert_int_equal(vm->process->status, PROCESS_KILLED);
	assert_true(process_is_over(vm->process));
	assert_int_equal(other->process->status, PROCESS_RUNNING);
	no_lock_is_held();
}

/* The time in its guest does not count, nor the number of its exits. */
static void work_and_exit(struct vcpu *v)
{
	fake_insn.tsc += SECOND;
	v->exit.reason = VM_EXIT_IO;
}

static void answer(struct thread *thread)
{
	vocal += 9 * SECOND;
	fake_insn.tsc += 9 * SECOND;
	this_cpu()->resched = true;
	if (vocal > 60 * SECOND)
		longjmp(out, 1);
	thread->frame.vector = VECTOR_SYSCALL;
	thread->frame.rax = SYSCALL_vcpu_run;
	thread->frame.rdi = WAIT_FOREVER;
}

static void a_slow_vmm_is_not_killed(void **state)
{
	(void)state;
	vocal = 0;
	process_stop(other->process, PROCESS_EXITED);
	fake_backend.on_run = work_and_exit;
	assert_int_equal(call(process_main(process_supervisor()), SYSCALL_vm_start, vm->number, 0),
			 ERR_OK);
	in_ring3 = answer;
	assert_int_equal(run(1), 1);
	assert_int_equal(vm->process->status, PROCESS_RUNNING);
}

/* Who was alone has a turn from now on, and not until somebody looks whether it hangs. */
static void who_comes_has_a_turn_soon(void **state)
{
	struct thread *supervisor = process_main(process_supervisor());
	struct cpu *cpu = cpu_table[1];

	(void)state;
	assert_int_equal(call(supervisor, SYSCALL_vm_start, vm->number, 0), ERR_OK);
	assert_int_equal(run(1), 1);
	assert_true(cpu->slice.deadline > fake_insn.tsc + SECOND / 2);
	fake_cpu_be(0);
	assert_int_equal(call(supervisor, SYSCALL_vm_start, other->number, 0), ERR_OK);
	fake_cpu_be(1);
	sched_kicked();
	assert_in_range(cpu->slice.deadline, fake_insn.tsc, fake_insn.tsc + SECOND / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_vm_goes_when_all_have_let_go, fresh, clear),
		cmocka_unit_test_setup_teardown(the_last_thread_counts, fresh, clear),
		cmocka_unit_test_setup_teardown(the_stopped_start_no_thread, fresh, clear),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_the_dead, fresh, clear),
		cmocka_unit_test_setup_teardown(a_fault_elsewhere_stops_all, fresh, clear),
		cmocka_unit_test_setup_teardown(state_of_an_unstarted_vcpu, fresh, clear),
		cmocka_unit_test_setup_teardown(no_call_keeps_a_lock, fresh, clear),
		cmocka_unit_test_setup_teardown(a_vmm_that_hangs_is_killed, fresh, clear),
		cmocka_unit_test_setup_teardown(a_slow_vmm_is_not_killed, fresh, clear),
		cmocka_unit_test_setup_teardown(who_comes_has_a_turn_soon, fresh, clear),
	};

	fake_machine_start(32 * MIB);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
