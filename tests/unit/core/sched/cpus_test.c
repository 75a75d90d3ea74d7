/* Tests of the scheduler on several processors: where threads live, and what others do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/apic.h"
#include "core/sched/sched.h"
#include "core/sys/process.h"
#include "core/virt/vm.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_cpus.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_ring3.h"

#define CPUS	4
#define THREADS 6
#define STEPS	16
#define US	1000ULL /* ticks of the fake TSC */
#define MS	(1000 * US)
#define SECOND	(1000 * MS)
#define PERIOD	(50 * MS)

static struct process process[THREADS];
static struct thread thread[THREADS];
static struct vcpu vcpu[THREADS];
static struct vcpu_counters counters[THREADS];
static jmp_buf out;
static u32 ran[STEPS], ran_count, ran_limit;
static void (*in_ring3)(u32 index);

static void ring3(struct frame *frame)
{
	u32 index = (u32)(container_of((void *)frame, struct thread, frame) - thread);

	if (ran_count == ran_limit)
		longjmp(out, 1);
	assert_ptr_equal(this_cpu()->current, &thread[index]);
	assert_ptr_equal(thread[index].home, this_cpu());
	assert_int_equal(thread[index].state, THREAD_RUNNING);
	assert_int_equal(fake_insn.cr3, process[index].space.root.raw);
	ran[ran_count++] = index;
	frame->vector = VECTOR_SPURIOUS; /* nothing happened */
	if (in_ring3)
		in_ring3(index);
}

static void nobody_is_ready(void)
{
	longjmp(out, 2);
}

/* Only one processor runs at a time here: whoever waits for a lock waits for ever. */
static void nobody_releases_it(void)
{
	fail_msg("waits for a lock");
}

static void no_lock_is_held(void)
{
	assert_int_equal(system_lock.held, 0);
	for (u32 i = 0; i < cpu_count; i++)
		assert_int_equal(cpu_table[i]->queue.lock.held, 0);
	for (u32 i = 0; i < THREADS; i++)
		assert_int_equal(process[i].share.lock.held, 0);
}

/* Runs `steps` stays in ring 3 on a processor, on which the test stays; 2: it went to sleep. */
static int run(u32 cpu, u32 steps)
{
	int end;

	fake_cpu_be(cpu);
	ran_count = 0;
	ran_limit = steps;
	end = setjmp(out);
	if (end == 0)
		sched_run();
	no_lock_is_held();
	return end;
}

static u64 kicks_of(u32 cpu)
{
	return fake_devices.kicks_to[fake_apic_id(cpu)];
}

/* The kick arrives. */
static void take_kick(u32 cpu)
{
	assert_true(kicks_of(cpu) > 0);
	fake_devices.kicks_to[fake_apic_id(cpu)] = 0;
	fake_cpu_be(cpu);
	sched_kicked();
	no_lock_is_held();
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_cpus_start(CPUS);
	fake_backend_reset();
	fake_insn.on_wait = nobody_is_ready;
	fake_insn.on_relax = nobody_releases_it;
	fake_devices = (struct fake_devices){ 0 };
	fake_ring3 = ring3;
	in_ring3 = NULL;
	memset(counters, 0, sizeof(counters));
	for (u32 i = 0; i < THREADS; i++) {
		process[i] = (struct process){
			.number = i,
			.share = { .weight = 256, .allowed = ~0ULL, .lock = SPINLOCK(LOCK_SHARE) },
			.space.root = HPA((i + 16) * PAGE_SIZE),
			.threads = { &thread[i] }
		};
		thread_init(&thread[i], &process[i], NULL, 0x400000, 0x7000, i);
		vcpu[i] = (struct vcpu){ .thread = &thread[i], .counters = &counters[i] };
		timer_init(&vcpu[i].timer, NULL);
	}
	return 0;
}

static void pin(u32 index, u32 cpu)
{
	process[index].share.allowed = BIT64(cpu);
}

/* A thread that has processor `cpu`, for good. */
static void runs_on(u32 index, u32 cpu)
{
	pin(index, cpu);
	sched_start(&thread[index]);
	assert_int_equal(run(cpu, 1), 1);
	assert_ptr_equal(cpu_table[cpu]->current, &thread[index]);
	fake_cpu_be(0);
	fake_devices.kicks = 0;
	memset(fake_devices.kicks_to, 0, sizeof(fake_devices.kicks_to));
}

static void block(u32 index)
{
	sched_block(&thread[index]);
}

/* A thread that lives on processor `cpu` and sleeps. */
static void sleeps_on(u32 index, u32 cpu)
{
	runs_on(index, cpu);
	fake_cpu_be(cpu);
	block(index);
	assert_int_equal(thread[index].state, THREAD_BLOCKED);
	assert_int_equal(run(cpu, 1), 2);
	fake_cpu_be(0);
}

static bool is_queued(u32 index, u32 cpu)
{
	const struct thread *t = cpu_table[cpu]->queue.first;

	while (t && t != &thread[index])
		t = t->next;
	return t != NULL;
}

static bool has_timer(u32 cpu, const struct timer *timer)
{
	const struct timer *t = cpu_table[cpu]->timers.first;

	while (t && t != timer)
		t = t->next;
	return t != NULL;
}

/* --- starting */

static void starts_where_fewest_live(void **state)
{
	(void)state;
	for (u32 i = 0; i < CPUS + 1; i++) {
		sched_start(&thread[i]);
		no_lock_is_held();
		assert_ptr_equal(thread[i].home, cpu_table[i % CPUS]);
		assert_true(is_queued(i, i % CPUS));
		assert_int_equal(kicks_of(i % CPUS), i % CPUS == 0 ? 0 : 1);
	}
	assert_int_equal(boot_cpu.queue.threads, 2);
	for (u32 i = 1; i < CPUS; i++)
		assert_int_equal(run(i, 1), 1);
}

static void the_sleeping_count_as_living(void **state)
{
	(void)state;
	sleeps_on(0, 0);
	sleeps_on(1, 1);
	sleeps_on(2, 3);
	sched_start(&thread[3]);
	assert_ptr_equal(thread[3].home, cpu_table[2]);
}

static void starts_where_it_may(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++) {
		pin(i, 2);
		sched_start(&thread[i]);
		assert_ptr_equal(thread[i].home, cpu_table[2]);
	}
	assert_int_equal(cpu_table[2]->queue.threads, 3);
	assert_int_equal(kicks_of(2), 3);
}

/* --- waking */

static void wakes_at_home(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	sched_notify(&thread[0], 4);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_true(is_queued(0, 1));
	assert_int_equal(kicks_of(1), 1);
	assert_int_equal(fake_devices.kicks, 1);
	take_kick(1); /* idle: it looks by itself */
	assert_int_equal(run(1, 1), 1);
	assert_int_equal(thread[0].notified, 4);
}

static void waking_preempts_at_home(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	runs_on(1, 1);
	fake_insn.tsc += SECOND;
	sched_notify(&thread[0], 1);
	assert_false(cpu_table[1]->resched); /* only itself says so */
	take_kick(1);
	assert_true(cpu_table[1]->resched);
	assert_int_equal(run(1, 1), 1);
	assert_int_equal(ran[0], 0);
}

/* It looked before it was woken, and blocks after that: it must look again. */
static void waking_the_running_elsewhere(void **state)
{
	(void)state;
	runs_on(0, 1);
	thread[0].vcpu = &vcpu[0];
	sched_notify(&thread[0], 1);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	assert_true(thread[0].woken);
	assert_true(vcpu[0].events);
	assert_int_equal(kicks_of(1), 1);
	fake_cpu_be(1);
	block(0);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	assert_ptr_equal(this_cpu()->current, &thread[0]);
	assert_int_equal(process[0].share.active, 1);
	block(0); /* once */
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
	assert_null(this_cpu()->current);
}

static void waking_the_running_here_needs_no_kick(void **state)
{
	(void)state;
	runs_on(0, 1);
	fake_cpu_be(1);
	sched_notify(&thread[0], 1);
	assert_true(thread[0].woken);
	assert_int_equal(fake_devices.kicks, 0);
}

static void waking_the_guest_that_runs_here(void **state)
{
	(void)state;
	runs_on(0, 1);
	fake_cpu_be(1);
	sched_wake_guest(&thread[0]);
	assert_int_equal(fake_devices.kicks, 0);
	sched_block(&thread[0]); /* not while there is something to see */
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	sched_block(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
}

static void waking_a_guest_elsewhere(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	thread[0].vcpu = &vcpu[0];
	sched_wake_guest(&thread[0]); /* its VMM sleeps, not the guest */
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_BLOCKED);
	assert_int_equal(fake_devices.kicks, 0);
	thread[0].in_guest = true;
	sched_wake_guest(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_int_equal(kicks_of(1), 1);
}

/* --- ending */

static void a_running_thread_is_ended_by_its_home(void **state)
{
	(void)state;
	runs_on(0, 1);
	fake_cpu_be(1);
	sched_set_deadline(&thread[0], 100 * SECOND);
	fake_cpu_be(0);
	sched_kill(&thread[0]);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	assert_int_equal(kicks_of(1), 1);
	assert_false(cpu_table[1]->resched);
	take_kick(1);
	assert_true(cpu_table[1]->resched);
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(ran_count, 0);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_false(has_timer(1, &thread[0].timer));
	assert_int_equal(cpu_table[1]->queue.threads, 0);
	assert_int_equal(process[0].share.active, 0);
	assert_int_not_equal(fake_insn.cr3, process[0].space.root.raw);
}

static void a_sleeping_thread_is_ended_by_its_home(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	thread[0].vcpu = &vcpu[0];
	vcpu[0].timer.deadline = TIMER_NEVER;
	sched_kill(&thread[0]);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_int_equal(kicks_of(1), 1);
	assert_int_equal(fake_backend.leaves, 0);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(fake_backend.leaves, 1);
	assert_int_equal(process[0].share.active, 0);
}

static void a_ready_thread_is_ended_by_its_home(void **state)
{
	(void)state;
	runs_on(0, 1);
	pin(1, 1);
	sched_start(&thread[1]);
	sched_kill(&thread[1]);
	no_lock_is_held();
	assert_int_equal(thread[1].state, THREAD_READY);
	cpu_table[1]->resched = true;
	assert_int_equal(run(1, 2), 1);
	assert_int_equal(thread[1].state, THREAD_DEAD);
	assert_int_equal(ran[0], 0);
	assert_int_equal(ran[1], 0);
}

static void home_ends_others_at_once(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	runs_on(1, 1);
	pin(2, 1);
	sched_start(&thread[2]);
	fake_cpu_be(1);
	sched_kill(&thread[0]);
	sched_kill(&thread[2]);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(thread[2].state, THREAD_DEAD);
	assert_int_equal(cpu_table[1]->queue.threads, 1);
	assert_null(cpu_table[1]->queue.first);
}

static void the_current_thread_ends_when_it_is_picked(void **state)
{
	(void)state;
	runs_on(0, 1);
	fake_cpu_be(1);
	sched_kill(&thread[0]);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	assert_true(this_cpu()->resched);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(thread[0].state, THREAD_DEAD);
}

static void one_that_never_started_ends_anywhere(void **state)
{
	(void)state;
	fake_cpu_be(2);
	sched_kill(&thread[0]);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(boot_cpu.queue.threads, 0);
	assert_int_equal(process[0].share.active, 0);
	sched_kill(&thread[0]);
	no_lock_is_held();
	assert_int_equal(fake_devices.kicks, 0);
}

/* What another processor writes of one's own would be lost, or make one lose what one writes. */
static void killing_leaves_a_processors_own_alone(void **state)
{
	struct cpu before;

	(void)state;
	runs_on(0, 1);
	cpu_table[1]->resched = cpu_table[1]->yields = true;
	before = *cpu_table[1];
	sched_kill(&thread[0]);
	assert_memory_equal(cpu_table[1], &before, sizeof(before));
}

/* --- pausing */

static void pausing_the_running_elsewhere(void **state)
{
	(void)state;
	runs_on(0, 1);
	sched_pause(&process[0], true);
	no_lock_is_held();
	assert_int_equal(thread[0].state, THREAD_RUNNING);
	take_kick(1);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(ran_count, 0);
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_false(is_queued(0, 1));
	fake_cpu_be(0);
	sched_notify(&thread[0], 1); /* changes nothing */
	assert_int_equal(run(1, 1), 2);
	fake_cpu_be(0);
	sched_pause(&process[0], false);
	assert_true(is_queued(0, 1));
	take_kick(1);
	assert_int_equal(run(1, 1), 1);
	assert_int_equal(process[0].share.active, 1);
}

static void pausing_the_ready_and_the_sleeping(void **state)
{
	(void)state;
	sleeps_on(0, 1);
	pin(1, 2);
	sched_start(&thread[1]);
	sched_pause(&process[0], true);
	sched_pause(&process[1], true);
	assert_false(is_queued(1, 2));
	sched_notify(&thread[0], 1);
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_false(is_queued(0, 1));
	sched_pause(&process[0], false);
	sched_pause(&process[1], false);
	sched_pause(&process[1], false); /* not into the queue twice */
	assert_true(is_queued(0, 1));
	assert_true(is_queued(1, 2));
	assert_null(cpu_table[2]->queue.first->next);
}

/* A VM that is stopped and paused at the same time must still come to its end. */
static void the_killed_end_even_paused(void **state)
{
	(void)state;
	runs_on(0, 1);
	pin(1, 1);
	sched_start(&thread[1]);
	for (u32 i = 0; i < 2; i++) {
		sched_kill(&thread[i]);
		sched_pause(&process[i], true);
	}
	take_kick(1);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(thread[0].state, THREAD_DEAD);
	assert_int_equal(thread[1].state, THREAD_DEAD);
}

/* --- moving */

static void both_queues_are_locked(enum fake_call call, struct vcpu *v)
{
	if (call != FAKE_LEAVE)
		return;
	assert_true(boot_cpu.queue.lock.held);
	assert_true(cpu_table[1]->queue.lock.held);
	assert_ptr_equal(v, &vcpu[1]);
}

/* Thread 0 has processor 0, and thread 1, with a vCPU and timers, waits there. */
static void one_runs_one_waits(void)
{
	for (u32 i = 2; i < CPUS; i++)
		cpu_table[i]->queue.load = ~0U; /* would not help */
	runs_on(0, 0);
	pin(1, 0);
	sched_start(&thread[1]);
	thread[1].vcpu = &vcpu[1];
	timer_set(&thread[1].timer, 100 * SECOND);
	timer_set(&vcpu[1].timer, 50 * SECOND);
	process[1].share.allowed = ~0ULL;
	assert_ptr_equal(thread[1].home, &boot_cpu);
}

static void share_work(void)
{
	fake_devices.kicks_to[0]++;
	take_kick(0);
}

static void moving_keeps_deadlines(void **state)
{
	(void)state;
	one_runs_one_waits();
	fake_backend.on_call = both_queues_are_locked;
	share_work();
	fake_backend.on_call = NULL;
	assert_ptr_equal(thread[1].home, cpu_table[1]);
	assert_true(is_queued(1, 1));
	assert_false(is_queued(1, 0));
	assert_int_equal(kicks_of(1), 1);
	assert_int_equal(fake_backend.leaves, 1);
	assert_int_equal(boot_cpu.queue.threads, 1);
	assert_int_equal(cpu_table[1]->queue.threads, 1);
	assert_false(has_timer(0, &thread[1].timer));
	assert_false(has_timer(0, &vcpu[1].timer));
	assert_false(has_timer(1, &thread[1].timer)); /* only itself can set it */
	assert_int_equal(run(1, 1), 1);
	assert_int_equal(ran[0], 1);
	assert_true(has_timer(1, &thread[1].timer));
	assert_true(has_timer(1, &vcpu[1].timer));
	assert_int_equal(thread[1].timer.deadline, 100 * SECOND);
	assert_int_equal(vcpu[1].timer.deadline, 50 * SECOND);
	assert_false(thread[1].moved);
}

static void moving_keeps_how_far_behind_it_is(void **state)
{
	(void)state;
	one_runs_one_waits();
	cpu_table[1]->queue.floor = 5 * QUEUE_FLOOR_FIRST;
	share_work();
	assert_ptr_equal(thread[1].home, cpu_table[1]);
	assert_int_equal(thread[1].vtime + 2 * MS, 5 * QUEUE_FLOOR_FIRST); /* a newcomer's credit */
}

/* Who computes at its new home has done so alone for long, and nobody has looked at the time. */
static void moving_starves_nobody(void **state)
{
	const struct run_queue *queue = &cpu_table[1]->queue;

	(void)state;
	process[2].share.weight = 1;
	runs_on(2, 1);
	fake_insn.tsc += 1000 * SECOND;
	one_runs_one_waits();
	share_work();
	assert_ptr_equal(thread[1].home, cpu_table[1]);
	take_kick(1);
	assert_true(thread[2].vtime > QUEUE_FLOOR_FIRST + 1000 * SECOND);
	assert_int_equal(queue->floor, thread[2].vtime);
	assert_int_equal(thread[1].vtime + 2 * MS, queue->floor);
}

/* Twice, and never run in between: what was saved first is what counts. */
static void moving_twice_keeps_deadlines(void **state)
{
	(void)state;
	process[2].share.weight = 1;
	runs_on(2, 1);
	one_runs_one_waits();
	share_work();
	assert_ptr_equal(thread[1].home, cpu_table[1]);
	cpu_table[2]->queue.load = 0;
	take_kick(1);
	assert_ptr_equal(thread[1].home, cpu_table[2]);
	assert_int_equal(fake_backend.leaves, 2);
	assert_int_equal(run(2, 1), 1);
	assert_int_equal(thread[1].timer.deadline, 100 * SECOND);
	assert_int_equal(vcpu[1].timer.deadline, 50 * SECOND);
}

static void the_moved_can_be_killed(void **state)
{
	(void)state;
	one_runs_one_waits();
	share_work();
	sched_kill(&thread[1]);
	assert_int_equal(thread[1].state, THREAD_READY);
	assert_int_equal(run(1, 1), 2);
	assert_int_equal(thread[1].state, THREAD_DEAD);
	for (u32 i = 0; i < CPUS; i++) {
		assert_false(has_timer(i, &thread[1].timer));
		assert_false(has_timer(i, &vcpu[1].timer));
	}
	assert_int_equal(cpu_table[1]->queue.threads, 0);
}

static void work_is_shared_as_allowed(void **state)
{
	(void)state;
	runs_on(0, 0);
	for (u32 i = 1; i < THREADS; i++) {
		pin(i, 0);
		sched_start(&thread[i]);
	}
	share_work();
	assert_int_equal(boot_cpu.queue.threads, THREADS); /* pinned */
	process[1].share.allowed = BIT64(0) | BIT64(3);
	process[2].share.allowed = ~0ULL;
	share_work();
	assert_ptr_equal(thread[1].home, cpu_table[3]);
	assert_ptr_equal(thread[2].home, cpu_table[1]);
	for (u32 i = 3; i < THREADS; i++)
		assert_ptr_equal(thread[i].home, &boot_cpu);
}

static void work_is_shared_evenly(void **state)
{
	(void)state;
	fake_cpus_start(2);
	for (u32 i = 0; i < 4; i++) {
		pin(i, 0);
		sched_start(&thread[i]);
		process[i].share.allowed = ~0ULL;
	}
	assert_int_equal(run(0, 1), 1);
	while (boot_cpu.queue.threads > 2) {
		u32 before = boot_cpu.queue.threads;

		share_work();
		assert_true(boot_cpu.queue.threads < before);
	}
	share_work();
	assert_int_equal(boot_cpu.queue.threads, 2);
	assert_int_equal(cpu_table[1]->queue.threads, 2);
}

/* From processor 1 to 0, whose queue somebody has locked: that waits for the next time. */
static void a_second_lock_is_only_tried(void **state)
{
	(void)state;
	fake_cpus_start(2);
	runs_on(0, 1);
	pin(1, 1);
	sched_start(&thread[1]);
	process[1].share.allowed = ~0ULL;
	fake_cpu_be(1);
	queue_settle(&this_cpu()->queue, &thread[0], fake_insn.tsc);
	fake_insn.on_relax = nobody_releases_it;
	boot_cpu.queue.lock.held = 1;
	sched_kicked();
	assert_ptr_equal(thread[1].home, cpu_table[1]);
	assert_int_equal(cpu_table[1]->queue.lock.held, 0);
	assert_int_equal(boot_cpu.queue.lock.held, 1);
	boot_cpu.queue.lock.held = 0;
	sched_kicked();
	assert_ptr_equal(thread[1].home, &boot_cpu);
	no_lock_is_held();
}

/* --- time alone */

/* It had the processor alone for long, slept, and woke while another one computes. */
static void who_was_alone_is_not_starved(void **state)
{
	(void)state;
	runs_on(0, 0);
	fake_insn.tsc += 1000 * SECOND;
	block(0);
	assert_int_equal(run(0, 1), 2);
	runs_on(1, 0);
	fake_insn.tsc += SECOND;
	sched_notify(&thread[0], 1);
	assert_true(boot_cpu.resched);
	assert_int_equal(run(0, 1), 1);
	assert_int_equal(ran[0], 0);
}

static void to_the_slices_end(u32 index)
{
	(void)index;
	assert_int_not_equal(boot_cpu.slice.deadline, TIMER_NEVER);
	fake_insn.tsc = boot_cpu.slice.deadline;
	timer_interrupt();
}

static u64 had[THREADS]; /* ticks */

static void spins_or_computes(u32 index)
{
	u64 ticks = index == 2 ? 2 * MS : 100 * US;

	had[index] += ticks;
	fake_insn.tsc += ticks;
	if (index == 2)
		this_cpu()->resched = true;
	else
		sched_end_turn();
}

/* Two of a VM that let each other go first: that is for their own time only. */
static void who_yields_to_its_own_starves_nobody(void **state)
{
	(void)state;
	memset(had, 0, sizeof(had));
	in_ring3 = spins_or_computes;
	thread[1].process = &process[0];
	process[0].threads[1] = &thread[1];
	for (u32 i = 0; i < 3; i++) {
		pin(i, 0);
		sched_start(&thread[i]);
	}
	process[1].space.root = process[0].space.root;
	for (u32 i = 0; i < 200; i++)
		assert_int_equal(run(0, STEPS), 1);
	assert_in_range(had[2], (had[0] + had[1]) * 3 / 4, (had[0] + had[1]) * 5 / 4);
	assert_in_range(had[0], had[1] * 3 / 4, had[1] * 5 / 4);
}

static void sleep_to_the_slices_end(void)
{
	if (ran_count == ran_limit)
		longjmp(out, 2);
	to_the_slices_end(0);
}

static void who_was_alone_under_a_cap_is_not_starved(void **state)
{
	u32 turns = 0;

	(void)state;
	process[0].share.cap_percent = 50;
	runs_on(0, 0);
	in_ring3 = to_the_slices_end;
	fake_insn.on_wait = sleep_to_the_slices_end;
	for (u32 i = 0; i < 100; i++)
		(void)run(0, STEPS);
	assert_true(fake_insn.tsc > 100 * PERIOD);
	pin(1, 0);
	sched_start(&thread[1]);
	for (u32 i = 0; i < 10; i++) {
		(void)run(0, STEPS);
		for (u32 step = 0; step < ran_count; step++)
			turns += ran[step] == 0;
	}
	assert_in_range(turns, 10 * STEPS / 3, 10 * STEPS * 2 / 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(starts_where_fewest_live, fresh),
		cmocka_unit_test_setup(the_sleeping_count_as_living, fresh),
		cmocka_unit_test_setup(starts_where_it_may, fresh),
		cmocka_unit_test_setup(wakes_at_home, fresh),
		cmocka_unit_test_setup(waking_preempts_at_home, fresh),
		cmocka_unit_test_setup(waking_the_running_elsewhere, fresh),
		cmocka_unit_test_setup(waking_the_running_here_needs_no_kick, fresh),
		cmocka_unit_test_setup(waking_the_guest_that_runs_here, fresh),
		cmocka_unit_test_setup(waking_a_guest_elsewhere, fresh),
		cmocka_unit_test_setup(a_running_thread_is_ended_by_its_home, fresh),
		cmocka_unit_test_setup(a_sleeping_thread_is_ended_by_its_home, fresh),
		cmocka_unit_test_setup(a_ready_thread_is_ended_by_its_home, fresh),
		cmocka_unit_test_setup(home_ends_others_at_once, fresh),
		cmocka_unit_test_setup(the_current_thread_ends_when_it_is_picked, fresh),
		cmocka_unit_test_setup(one_that_never_started_ends_anywhere, fresh),
		cmocka_unit_test_setup(killing_leaves_a_processors_own_alone, fresh),
		cmocka_unit_test_setup(pausing_the_running_elsewhere, fresh),
		cmocka_unit_test_setup(pausing_the_ready_and_the_sleeping, fresh),
		cmocka_unit_test_setup(the_killed_end_even_paused, fresh),
		cmocka_unit_test_setup(moving_keeps_deadlines, fresh),
		cmocka_unit_test_setup(moving_keeps_how_far_behind_it_is, fresh),
		cmocka_unit_test_setup(moving_starves_nobody, fresh),
		cmocka_unit_test_setup(moving_twice_keeps_deadlines, fresh),
		cmocka_unit_test_setup(the_moved_can_be_killed, fresh),
		cmocka_unit_test_setup(work_is_shared_as_allowed, fresh),
		cmocka_unit_test_setup(work_is_shared_evenly, fresh),
		cmocka_unit_test_setup(a_second_lock_is_only_tried, fresh),
		cmocka_unit_test_setup(who_was_alone_is_not_starved, fresh),
		cmocka_unit_test_setup(who_yields_to_its_own_starves_nobody, fresh),
		cmocka_unit_test_setup(who_was_alone_under_a_cap_is_not_starved, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
