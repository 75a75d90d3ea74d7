/* Round robin with a time slice; the processor sleeps when nothing is ready. */
#include "core/sched/sched.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/irq.h"
#include "core/sys/process.h"
#include "core/sys/syscall.h"
#include "core/virt/engine.h"
#include "lib/abi/syscall.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

#define SLICE_US 2000

static struct thread *queue_first, *queue_last;

static void slice_fire(struct timer *timer)
{
	(void)timer;
	this_cpu()->resched = true;
}

/* A thread that was alone on the processor has no end of its turn until somebody waits. */
static void slice_start(struct cpu *cpu)
{
	if (!cpu->current || cpu->slice.deadline != TIMER_NEVER)
		return;
	cpu->slice.fire = slice_fire;
	timer_set(&cpu->slice, rdtsc() + tsc_from_us(SLICE_US));
}

static void queue_add(struct thread *thread)
{
	thread->state = THREAD_READY;
	thread->next = NULL;
	if (queue_last)
		queue_last->next = thread;
	else
		queue_first = thread;
	queue_last = thread;
	slice_start(this_cpu());
}

static struct thread *queue_take(void)
{
	struct thread *thread = queue_first;

	if (thread) {
		queue_first = thread->next;
		if (!queue_first)
			queue_last = NULL;
	}
	return thread;
}

static void queue_remove(struct thread *thread)
{
	struct thread *previous = NULL;

	for (struct thread *at = queue_first; at; previous = at, at = at->next) {
		if (at != thread)
			continue;
		if (previous)
			previous->next = at->next;
		else
			queue_first = at->next;
		if (queue_last == at)
			queue_last = previous;
		return;
	}
}

/* The guest must be left, see sched_must_leave(). */
static void guest_interrupt(struct thread *thread)
{
	if (thread->vcpu)
		thread->vcpu->events = true;
}

static void deadline_fire(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct thread, timer);

	thread->timed_out = true;
	guest_interrupt(thread);
	if (thread->state == THREAD_BLOCKED)
		queue_add(thread);
}

static void nothing_fire(struct timer *timer)
{
	(void)timer; /* the interrupt itself is the purpose */
}

void thread_init(struct thread *thread, struct process *process, struct vcpu *vcpu, u64 entry,
		 u64 stack_top, u64 argument)
{
	*thread = (struct thread){
		.process = process,
		.vcpu = vcpu,
		.frame = { .rip = entry,
			   .rsp = stack_top,
			   .rdi = argument,
			   .cs = SELECTOR_USER_CODE,
			   .ss = SELECTOR_USER_DATA,
			   .rflags = RFLAGS_ONE | RFLAGS_IF },
	};
	timer_init(&thread->timer, deadline_fire);
}

void sched_start(struct thread *thread)
{
	assert(thread->state == THREAD_NEW);
	queue_add(thread);
}

void sched_kill(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	if (thread->state == THREAD_READY)
		queue_remove(thread);
	thread->state = THREAD_DEAD;
	thread->in_guest = false;
	timer_set(&thread->timer, TIMER_NEVER);
	if (cpu->current == thread) {
		cpu->current = NULL;
		cpu->resched = true;
	}
}

void sched_pause(struct process *process, bool paused)
{
	process->paused = paused;
	for (u32 i = 0; i < PROCESS_THREADS && !paused; i++) {
		struct thread *thread = process->threads[i];

		if (thread && thread->state == THREAD_PAUSED)
			queue_add(thread);
	}
}

void sched_notify(struct thread *thread, u64 bits)
{
	thread->notified |= bits;
	guest_interrupt(thread);
	if (thread->state == THREAD_BLOCKED)
		queue_add(thread);
}

void sched_wake_guest(struct thread *thread)
{
	if (thread->state == THREAD_BLOCKED && thread->in_guest)
		queue_add(thread);
}

void sched_block(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	assert(cpu->current == thread);
	thread->state = THREAD_BLOCKED;
	cpu->current = NULL;
}

void sched_finish_wait(struct thread *thread)
{
	thread->frame.rax = thread->notified;
	thread->notified = 0;
	thread->timed_out = false;
}

void sched_leave_guest(struct thread *thread)
{
	thread->in_guest = false;
	sched_finish_wait(thread);
}

void sched_set_deadline(struct thread *thread, u64 deadline)
{
	if (thread->timer.deadline != deadline)
		timer_set(&thread->timer, deadline);
}

void sched_end_turn(void)
{
	this_cpu()->resched |= queue_first != NULL;
}

void sched_exit_soon(u64 us)
{
	struct timer *nudge = &this_cpu()->nudge;

	nudge->fire = nothing_fire;
	timer_set(nudge, rdtsc() + tsc_from_us(us));
}

static void supervisor_notify(u64 bits)
{
	struct process *supervisor = process_supervisor();

	if (supervisor)
		sched_notify(process_main(supervisor), bits);
}

void sched_console_input(void)
{
	supervisor_notify(NOTIFY_CONSOLE);
}

void sched_power_button(void)
{
	supervisor_notify(NOTIFY_POWER);
}

/* Adds the time since the last call, on this CPU, to what it was spent on. */
static void time_book(struct cpu *cpu, u64 *total)
{
	u64 now = rdtsc();

	*total += now - cpu->booked;
	cpu->booked = now;
}

/* The first thread that is ready; those of paused processes wait aside. NULL: none. */
static struct thread *ready_take(void)
{
	struct thread *thread;

	while ((thread = queue_take()) && thread->process->paused)
		thread->state = THREAD_PAUSED;
	return thread;
}

/* The next thread, and the slice that it may keep the processor while others wait. */
static struct thread *pick(struct cpu *cpu)
{
	struct thread *thread = cpu->current;

	if (thread && !cpu->resched)
		return thread;
	cpu->resched = false;
	cpu->current = NULL;
	if (thread)
		queue_add(thread);
	while (!(thread = ready_take())) {
		wait_interrupt();
		cpu->resched = false;
		time_book(cpu, &cpu->info.idle_tsc);
	}
	thread->state = THREAD_RUNNING;
	cpu->current = thread;
	cpu->frame_top = (u64)(&thread->frame + 1);
	cpu->tss->rsp[0] = cpu->frame_top;
	process_load(thread->process);
	timer_set(&cpu->slice, TIMER_NEVER);
	if (queue_first)
		slice_start(cpu);
	return thread;
}

/* One stay in ring 3 and what ended it. */
static void run_ring3(struct thread *thread)
{
	struct frame *frame = &thread->frame;

	backend->release(this_cpu());
	user_enter(frame);
	if (frame->vector == VECTOR_SYSCALL)
		syscall_dispatch(thread);
	else if (frame->vector >= EXC_COUNT)
		irq_dispatch((u32)frame->vector);
	else if (frame->vector != EXC_SX) /* an INIT from outside, redirected */
		process_fault(thread);
}

/* What the time of a thread, as it is now, is spent on. */
static u64 *time_account(struct cpu *cpu, const struct thread *thread)
{
	if (!thread->vcpu)
		return &cpu->info.supervisor_tsc;
	return thread->in_guest ? &thread->vcpu->counters->run_tsc
				: &thread->vcpu->counters->vmm_tsc;
}

void sched_run(void)
{
	struct cpu *cpu = this_cpu();

	cpu->booked = rdtsc();
	for (;;) {
		struct thread *thread = pick(cpu);
		u64 *account = time_account(cpu, thread);

		if (thread->in_guest)
			engine_run(thread->vcpu);
		else
			run_ring3(thread);
		time_book(cpu, account);
	}
}
