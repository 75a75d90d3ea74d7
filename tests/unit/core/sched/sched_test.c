/* Tests of the scheduler: who runs next, waking, time slices, waiting with a deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/sched/sched.h"
#include "core/sys/process.h"
#include "core/virt/vm.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_ring3.h"

#define THREADS 4
#define STEPS	16

static struct process process[THREADS];
static struct thread thread[THREADS];
static struct tss tss;
static jmp_buf out;
static u32 ran[STEPS], ran_count, ran_limit;
static void (*in_ring3)(u32 index);

static u32 index_of(const struct frame *frame)
{
	return (u32)(container_of((void *)(uintptr_t)frame, struct thread, frame) - thread);
}

/* One stay in ring 3: the test's function may do what a system call or an interrupt would. */
static void ring3(struct frame *frame)
{
	u32 index = index_of(frame);

	if (ran_count == ran_limit)
		longjmp(out, 1);
	assert_ptr_equal(boot_cpu.current, &thread[index]);
	assert_int_equal(thread[index].state, THREAD_RUNNING);
	assert_int_equal(boot_cpu.frame_top, (u64)(frame + 1));
	assert_int_equal(boot_cpu.tss->rsp[0], (u64)(frame + 1));
	assert_int_equal(fake_insn.cr3, process[index].space.root.raw);
	ran[ran_count++] = index;
	frame->vector = VECTOR_KICK; /* nothing happened */
	if (in_ring3)
		in_ring3(index);
}

static void nobody_is_ready(void)
{
	longjmp(out, 2);
}

/* Runs `steps` stays in ring 3; 2: the processor went to sleep before. */
static int run(u32 steps)
{
	int end;

	ran_count = 0;
	ran_limit = steps;
	end = setjmp(out);
	if (end == 0)
		sched_run();
	return end;
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_backend_reset();
	fake_insn.on_wait = nobody_is_ready;
	fake_devices = (struct fake_devices){ 0 };
	fake_ring3 = ring3;
	in_ring3 = NULL;
	boot_cpu.tss = &tss;
	for (u32 i = 0; i < THREADS; i++) {
		process[i] = (struct process){ .number = i,
					       .share = { .weight = 256, .allowed = ~0ULL },
					       .space.root = HPA((i + 1) * PAGE_SIZE),
					       .threads = { &thread[i] } };
		thread_init(&thread[i], &process[i], NULL, 0x400000, 0x7000, i);
	}
	return 0;
}

/* The queue is the scheduler's own: taken empty by killing everybody. */
static int clear(void **state)
{
	(void)state;
	for (u32 i = 0; i < THREADS; i++)
		sched_kill(&thread[i]);
	fake_insn.on_wait = nobody_is_ready;
	return run(1) == 2 ? 0 : -1;
}

static void expire_slice(u32 index)
{
	(void)index;
	if (boot_cpu.slice.deadline == TIMER_NEVER)
		return;
	fake_insn.tsc = boot_cpu.slice.deadline;
	timer_interrupt();
}

static void a_new_thread_starts_as_it_was_made(void **state)
{
	const struct frame *f = &thread[1].frame;

	(void)state;
	assert_int_equal(thread[1].state, THREAD_NEW);
	assert_int_equal(f->rip, 0x400000);
	assert_int_equal(f->rsp, 0x7000);
	assert_int_equal(f->rdi, 1);
	assert_int_equal(f->cs & 3, 3);
	assert_int_equal(f->ss & 3, 3);
	assert_int_equal(f->rflags, RFLAGS_ONE | RFLAGS_IF);
	assert_int_equal(thread[1].timer.deadline, TIMER_NEVER);
}

static void one_thread_keeps_the_processor(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	assert_int_equal(run(3), 1);
	assert_int_equal(boot_cpu.slice.deadline, TIMER_NEVER);
	assert_int_equal(boot_cpu.timers.first == NULL, true);
}

static void round_robin_by_slices(void **state)
{
	static const u32 order[] = { 0, 1, 2, 0, 1, 2 };

	(void)state;
	for (u32 i = 0; i < 3; i++)
		sched_start(&thread[i]);
	in_ring3 = expire_slice;
	assert_int_equal(run(ARRAY_SIZE(order)), 1);
	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(ran[i], order[i]);
}

static void without_an_expired_slice_nobody_else_runs(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	sched_start(&thread[1]);
	assert_int_equal(run(4), 1);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(ran[i], 0);
	assert_int_not_equal(boot_cpu.slice.deadline, TIMER_NEVER);
}

static void wake_the_other(u32 index)
{
	if (index == 0 && thread[1].state == THREAD_BLOCKED)
		sched_notify(&thread[1], 1);
	else
		expire_slice(index);
}

/* A thread alone on the processor has no slice; one that wakes meanwhile must get its turn. */
static void a_woken_thread_is_not_starved(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	thread[1].state = THREAD_BLOCKED;
	in_ring3 = wake_the_other;
	assert_int_equal(run(5), 1);
	assert_int_equal(ran[0], 0);
	assert_int_equal(ran[1], 0); /* its slice runs out here */
	assert_int_equal(ran[2], 1);
	assert_int_equal(ran[4], 0); /* after what the other was behind */
}

static void timeout_of_the_other(u32 index)
{
	if (ran_count == 1) {
		fake_insn.tsc = thread[1].timer.deadline;
		timer_interrupt();
	} else {
		expire_slice(index);
	}
}

static void a_deadline_is_not_starved(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	thread[1].state = THREAD_BLOCKED;
	sched_set_deadline(&thread[1], 5000000);
	in_ring3 = timeout_of_the_other;
	assert_int_equal(run(3), 1);
	assert_true(thread[1].timed_out);
	assert_int_equal(ran[1], 1); /* at once: the other has had more for long */
}

/* Its engine looks before it enters the guest again. */
static void a_guest_is_told_to_look(void **state)
{
	struct vcpu vcpu = { 0 };

	(void)state;
	thread[0].vcpu = &vcpu;
	sched_notify(&thread[0], 1);
	assert_true(vcpu.events);
	vcpu.events = false;
	sched_set_deadline(&thread[0], 5000000);
	fake_insn.tsc = 5000000;
	timer_interrupt();
	assert_true(vcpu.events);
}

static void block_first(u32 index)
{
	if (index == 0)
		sched_block(&thread[0]);
}

static void blocking_gives_the_processor_away(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	sched_start(&thread[1]);
	in_ring3 = block_first;
	assert_int_equal(run(3), 1);
	assert_int_equal(ran[0], 0);
	assert_int_equal(ran[1], 1);
	assert_int_equal(ran[2], 1);
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
}

static void sleeps_when_nobody_is_ready(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	in_ring3 = block_first;
	assert_int_equal(run(3), 2);
	assert_int_equal(ran_count, 1);
	assert_null(boot_cpu.current);
	sched_notify(&thread[0], 4);
	in_ring3 = NULL;
	assert_int_equal(run(1), 1);
	assert_int_equal(thread[0].notified, 4);
}

static void notifications_add_up_and_wake_once(void **state)
{
	(void)state;
	thread[0].state = THREAD_BLOCKED;
	sched_notify(&thread[0], 1);
	assert_int_equal(thread[0].state, THREAD_READY);
	sched_notify(&thread[0], 4); /* must not be queued twice */
	assert_int_equal(thread[0].notified, 5);
	assert_true(sched_must_leave(&thread[0]));
	sched_finish_wait(&thread[0]);
	assert_int_equal(thread[0].frame.rax, 5);
	assert_false(sched_must_leave(&thread[0]));
	in_ring3 = block_first;
	assert_int_equal(run(2), 2);
	assert_int_equal(ran_count, 1);
}

static void guests_wake_only_in_the_guest(void **state)
{
	(void)state;
	thread[0].state = THREAD_BLOCKED;
	sched_wake_guest(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
	thread[0].in_guest = true;
	sched_wake_guest(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_READY);
	thread[0].in_guest = false;
}

static void the_dead_stay_dead(void **state)
{
	(void)state;
	thread[0].state = THREAD_BLOCKED;
	sched_set_deadline(&thread[0], 5000000);
	sched_kill(&thread[0]);
	assert_null(boot_cpu.timers.first);
	sched_notify(&thread[0], 1);
	sched_wake_guest(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(run(1), 2);
}

static void killing_takes_out_of_the_queue(void **state)
{
	(void)state;
	for (u32 victim = 0; victim < 3; victim++) {
		for (u32 i = 0; i < 3; i++) {
			thread_init(&thread[i], &process[i], NULL, 0, 0, 0);
			sched_start(&thread[i]);
		}
		sched_kill(&thread[victim]);
		sched_start(&thread[3]); /* goes behind the last one, whoever that is */
		in_ring3 = expire_slice;
		assert_int_equal(run(3), 1);
		assert_int_equal(ran[0], victim == 0 ? 1 : 0);
		assert_int_equal(ran[1], victim == 2 ? 1 : 2);
		assert_int_equal(ran[2], 3);
		boot_cpu.current = NULL;
		for (u32 i = 0; i < THREADS; i++)
			sched_kill(&thread[i]);
		thread_init(&thread[3], &process[3], NULL, 0, 0, 0);
	}
}

static void kill_itself(u32 index)
{
	sched_kill(&thread[index]);
}

static void the_current_thread_can_die(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	sched_start(&thread[1]);
	in_ring3 = kill_itself;
	assert_int_equal(run(3), 2);
	assert_int_equal(ran_count, 2);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(thread[1].state, THREAD_DEAD);
}

static void exit_soon_only_interrupts(void **state)
{
	u64 start;

	(void)state;
	start = fake_insn.tsc;
	sched_exit_soon(3);
	assert_in_range(boot_cpu.nudge.deadline, start + 3000, start + 3010);
	fake_insn.tsc = start + 3010;
	timer_interrupt();
	assert_false(boot_cpu.resched);
	assert_null(boot_cpu.timers.first);
}

static bool others_wait;

static void yield_in_ring3(u32 index)
{
	(void)index;
	sched_end_turn();
	assert_int_equal(boot_cpu.resched, others_wait);
}

/* Giving up a turn that nobody else wants changes nothing. */
static void yield_alone(void **state)
{
	(void)state;
	sched_start(&thread[0]);
	others_wait = false;
	in_ring3 = yield_in_ring3;
	assert_int_equal(run(3), 1);
	assert_int_equal(ran[2], 0);
}

static void yield_to_others(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++)
		sched_start(&thread[i]);
	others_wait = true;
	in_ring3 = yield_in_ring3;
	assert_int_equal(run(6), 1);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(ran[i], i % 3);
}

/* --- pausing: what happens meanwhile is not lost, and nothing of it runs */

static void pause_first(u32 index)
{
	if (index == 1)
		sched_pause(&process[0], true);
	expire_slice(index);
}

static void a_paused_process_does_not_run(void **state)
{
	(void)state;
	sched_start(&thread[1]);
	sched_start(&thread[0]);
	in_ring3 = pause_first;
	assert_int_equal(run(3), 1);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(ran[i], 1);
	sched_pause(&process[0], true); /* twice changes nothing */
	sched_pause(&process[0], false);
	sched_pause(&process[0], false); /* must not be queued twice */
	others_wait = true;
	in_ring3 = yield_in_ring3;
	assert_int_equal(run(4), 1);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(ran[i], (i + 1) % 2);
}

static void what_wakes_a_paused_thread_waits(void **state)
{
	(void)state;
	thread[0].state = THREAD_BLOCKED;
	thread[1].state = THREAD_BLOCKED;
	thread[1].in_guest = true;
	sched_set_deadline(&thread[2], 5000000);
	thread[2].state = THREAD_BLOCKED;
	for (u32 i = 0; i < 4; i++)
		sched_pause(&process[i], true);
	sched_notify(&thread[0], 4);
	sched_wake_guest(&thread[1]);
	fake_insn.tsc = 5000000;
	timer_interrupt();
	sched_start(&thread[3]);
	thread[1].in_guest = false;
	assert_int_equal(run(1), 2);
	assert_int_equal(ran_count, 0);
	for (u32 i = 0; i < 4; i++)
		sched_pause(&process[i], false);
	assert_int_equal(thread[0].notified, 4);
	assert_true(thread[2].timed_out);
	others_wait = true;
	in_ring3 = yield_in_ring3;
	assert_int_equal(run(4), 1);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(ran[i], i);
}

static void a_sleeper_stays_asleep_over_a_pause(void **state)
{
	(void)state;
	thread[0].state = THREAD_BLOCKED;
	sched_pause(&process[0], true);
	sched_pause(&process[0], false);
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
	assert_int_equal(run(1), 2);
}

/* Whether its turn has come since or not. */
static void a_paused_thread_can_be_killed(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++)
		sched_start(&thread[i]);
	sched_pause(&process[0], true);
	others_wait = true;
	in_ring3 = yield_in_ring3;
	assert_int_equal(run(2), 1);
	assert_int_equal(thread[0].state, THREAD_READY);
	sched_pause(&process[2], true);
	for (u32 i = 0; i < 3; i += 2) {
		sched_kill(&thread[i]);
		sched_pause(&process[i], false);
		assert_int_equal(thread[i].state, THREAD_DEAD);
	}
	others_wait = false;
	assert_int_equal(run(2), 1);
	assert_int_equal(ran[0] + ran[1], 2);
}

/* --- what the time is spent on */

static struct vcpu_counters counters;
static struct vcpu vcpu = { .counters = &counters };

static void spend(u32 index)
{
	fake_insn.tsc += index == 0 ? 1000000 : 3000000;
	if (index == 0)
		sched_block(&thread[0]);
	else
		sched_kill(&thread[1]);
}

static void nobody_for_a_while(void)
{
	fake_insn.tsc += 10000000;
	if (thread[0].state != THREAD_BLOCKED)
		longjmp(out, 2);
	sched_notify(&thread[0], 1);
	in_ring3 = kill_itself;
}

static void time_is_booked(void **state)
{
	const u64 slack = 10000; /* the fake TSC moves when it is read */

	(void)state;
	boot_cpu.info = (struct cpu_info){ 0 };
	counters = (struct vcpu_counters){ 0 };
	thread[1].vcpu = &vcpu;
	sched_start(&thread[0]);
	sched_start(&thread[1]);
	fake_insn.tsc += 77000000; /* before anything ran */
	fake_insn.on_wait = nobody_for_a_while;
	in_ring3 = spend;
	assert_int_equal(run(9), 2);
	assert_in_range(boot_cpu.info.supervisor_tsc, 1000000, 1000000 + slack);
	assert_in_range(counters.vmm_tsc, 3000000, 3000000 + slack);
	assert_in_range(boot_cpu.info.idle_tsc, 10000000, 10000000 + slack);
	assert_int_equal(counters.run_tsc, 0);
}

/* Stays without a change of thread, of which the last ends its turn. */
static void spend_again(u32 index)
{
	thread[index].frame.vector = VECTOR_SPURIOUS; /* at which nobody looks at the time */
	fake_insn.tsc += 1000000;
	boot_cpu.resched = ran_count == 3;
}

static void all_that_it_had_is_charged_once(void **state)
{
	const u64 charged = 3000000 * MANIFEST_WEIGHT_DEFAULT / process[0].share.weight;
	u64 before;

	(void)state;
	sched_start(&thread[0]);
	assert_int_equal(run(0), 1);
	before = thread[0].vtime;
	boot_cpu.charged = rdtsc();
	in_ring3 = spend_again;
	assert_int_equal(run(4), 1);
	assert_in_range(thread[0].vtime - before, charged, charged + 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_thread_starts_as_it_was_made, fresh, clear),
		cmocka_unit_test_setup_teardown(one_thread_keeps_the_processor, fresh, clear),
		cmocka_unit_test_setup_teardown(round_robin_by_slices, fresh, clear),
		cmocka_unit_test_setup_teardown(without_an_expired_slice_nobody_else_runs, fresh,
						clear),
		cmocka_unit_test_setup_teardown(a_woken_thread_is_not_starved, fresh, clear),
		cmocka_unit_test_setup_teardown(a_deadline_is_not_starved, fresh, clear),
		cmocka_unit_test_setup_teardown(a_guest_is_told_to_look, fresh, clear),
		cmocka_unit_test_setup_teardown(blocking_gives_the_processor_away, fresh, clear),
		cmocka_unit_test_setup_teardown(sleeps_when_nobody_is_ready, fresh, clear),
		cmocka_unit_test_setup_teardown(notifications_add_up_and_wake_once, fresh, clear),
		cmocka_unit_test_setup_teardown(guests_wake_only_in_the_guest, fresh, clear),
		cmocka_unit_test_setup_teardown(the_dead_stay_dead, fresh, clear),
		cmocka_unit_test_setup_teardown(killing_takes_out_of_the_queue, fresh, clear),
		cmocka_unit_test_setup_teardown(the_current_thread_can_die, fresh, clear),
		cmocka_unit_test_setup_teardown(exit_soon_only_interrupts, fresh, clear),
		cmocka_unit_test_setup_teardown(yield_alone, fresh, clear),
		cmocka_unit_test_setup_teardown(yield_to_others, fresh, clear),
		cmocka_unit_test_setup_teardown(a_paused_process_does_not_run, fresh, clear),
		cmocka_unit_test_setup_teardown(what_wakes_a_paused_thread_waits, fresh, clear),
		cmocka_unit_test_setup_teardown(a_sleeper_stays_asleep_over_a_pause, fresh, clear),
		cmocka_unit_test_setup_teardown(a_paused_thread_can_be_killed, fresh, clear),
		cmocka_unit_test_setup_teardown(time_is_booked, fresh, clear),
		cmocka_unit_test_setup_teardown(all_that_it_had_is_charged_once, fresh, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
