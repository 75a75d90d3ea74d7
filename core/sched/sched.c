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

static void queue_add(struct cpu *cpu, struct thread *thread)
{
	thread->state = THREAD_READY;
	thread->next = NULL;
	if (cpu->queue_last)
		cpu->queue_last->next = thread;
	else
		cpu->queue_first = thread;
	cpu->queue_last = thread;
}

static struct thread *queue_take(struct cpu *cpu)
{
	struct thread *thread = cpu->queue_first;

	if (thread) {
		cpu->queue_first = thread->next;
		if (!cpu->queue_first)
			cpu->queue_last = NULL;
	}
	return thread;
}

static void queue_remove(struct cpu *cpu, const struct thread *thread)
{
	struct thread *previous = NULL;

	for (struct thread *at = cpu->queue_first; at; previous = at, at = at->next) {
		if (at != thread)
			continue;
		if (previous)
			previous->next = at->next;
		else
			cpu->queue_first = at->next;
		if (cpu->queue_last == at)
			cpu->queue_last = previous;
		return;
	}
}

/* Locks the queue of the CPU where the thread lives now. */
static struct cpu *home_lock(const struct thread *thread)
{
	for (;;) {
		struct cpu *home = __atomic_load_n(&thread->home, __ATOMIC_ACQUIRE);

		spin_lock(&home->lock);
		if (thread->home == home)
			return home;
		spin_unlock(&home->lock);
	}
}

static void cpu_kick(const struct cpu *cpu)
{
	apic_send(cpu->apic_id, APIC_FIXED, VECTOR_KICK);
}

/* A CPU without work, for a thread that waits for a busy one; NULL: none. */
static struct cpu *idle_find(const struct cpu *busy)
{
	for (u32 i = 0; i < cpu_count; i++) {
		if (cpus[i] != busy && __atomic_load_n(&cpus[i]->idle, __ATOMIC_RELAXED))
			return cpus[i];
	}
	return NULL;
}

/* Takes down a thread's timers, which are in this CPU's queue, until it runs at its new home. */
static void timers_save(struct thread *thread)
{
	thread->moved = true;
	thread->moved_deadline[0] = thread->timer.deadline;
	timer_set(&thread->timer, TIMER_NEVER);
	if (!thread->vcpu)
		return;
	thread->moved_deadline[1] = thread->vcpu->timer.deadline;
	timer_set(&thread->vcpu->timer, TIMER_NEVER);
}

/* Moves a thread that is in no queue; only its home may do that. */
static void thread_move(struct thread *thread, struct cpu *to)
{
	if (!thread->moved)
		timers_save(thread);
	if (thread->vcpu)
		vcpu_detach(thread->vcpu);
	this_cpu()->threads--;
	spin_lock(&to->lock);
	to->threads++;
	to->idle = false;
	__atomic_store_n(&thread->home, to, __ATOMIC_RELEASE);
	queue_add(to, thread);
	spin_unlock(&to->lock);
	cpu_kick(to);
}

/* Sets what timers_save() took down. */
static void timers_restore(struct thread *thread)
{
	thread->moved = false;
	timer_set(&thread->timer, thread->moved_deadline[0]);
	if (thread->vcpu)
		timer_set(&thread->vcpu->timer, thread->moved_deadline[1]);
}

/* Gives a thread that waits here to a CPU that has nothing to do. */
static void work_share(struct cpu *cpu)
{
	struct cpu *to = cpu->current ? idle_find(cpu) : NULL;
	struct thread *thread;

	if (!to)
		return;
	spin_lock(&cpu->lock);
	thread = cpu->queue_first;
	while (thread && (thread->pinned || thread->killed))
		thread = thread->next;
	if (thread)
		queue_remove(cpu, thread);
	spin_unlock(&cpu->lock);
	if (thread)
		thread_move(thread, to);
}

void sched_kicked(void)
{
	struct cpu *cpu = this_cpu();

	if (cpu->current && cpu->current->killed)
		cpu->resched = true;
	work_share(cpu);
	if (cpu->queue_first)
		slice_start(cpu);
}

/* A thread that waited for something may run again; its home is locked, and unlocked here. */
static void ready_unlock(struct cpu *home, struct thread *thread)
{
	queue_add(home, thread);
	spin_unlock(&home->lock);
	if (home == this_cpu())
		sched_kicked();
	else
		cpu_kick(home);
}

/* Wakes it if it is blocked, or sees to it that it looks again before it blocks. */
static void wake_unlock(struct cpu *home, struct thread *thread)
{
	bool runs = thread->state == THREAD_RUNNING;

	if (thread->state == THREAD_BLOCKED) {
		ready_unlock(home, thread);
		return;
	}
	thread->woken = runs;
	spin_unlock(&home->lock);
	if (runs && home != this_cpu())
		cpu_kick(home);
}

static void deadline_fire(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct thread, timer);

	thread->timed_out = true;
	wake_unlock(home_lock(thread), thread);
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
		.home = this_cpu(),
		.frame = { .rip = entry,
			   .rsp = stack_top,
			   .rdi = argument,
			   .cs = SELECTOR_USER_CODE,
			   .ss = SELECTOR_USER_DATA,
			   .rflags = RFLAGS_ONE | RFLAGS_IF },
	};
	timer_init(&thread->timer, deadline_fire);
}

/* Where fewest threads live. */
static struct cpu *home_choose(void)
{
	struct cpu *best = cpus[0];

	for (u32 i = 1; i < cpu_count; i++) {
		if (cpus[i]->threads < best->threads)
			best = cpus[i];
	}
	return best;
}

void sched_start(struct thread *thread)
{
	struct cpu *home;

	assert(thread->state == THREAD_NEW);
	thread->pinned = !thread->vcpu; /* the supervisor */
	if (!thread->pinned)
		thread->home = home_choose();
	home = home_lock(thread);
	home->threads++;
	ready_unlock(home, thread);
}

/* On its home: nothing of it is left there. */
static void thread_end(struct thread *thread)
{
	timer_set(&thread->timer, TIMER_NEVER);
	if (thread->vcpu) {
		timer_set(&thread->vcpu->timer, TIMER_NEVER);
		vcpu_detach(thread->vcpu);
	}
	process_leave(thread->process);
	if (thread->state != THREAD_NEW)
		thread->home->threads--;
	thread->in_guest = false;
	__atomic_store_n(&thread->state, THREAD_DEAD, __ATOMIC_RELEASE);
}

void sched_kill(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	struct cpu *home = home_lock(thread);

	if (home == cpu || thread->state == THREAD_NEW) {
		if (thread->state == THREAD_READY)
			queue_remove(home, thread);
		spin_unlock(&home->lock);
		if (thread->state != THREAD_DEAD)
			thread_end(thread);
		if (cpu->current == thread) {
			cpu->current = NULL;
			cpu->resched = true;
		}
		return;
	}
	thread->killed = true;
	if (thread->state == THREAD_DEAD)
		spin_unlock(&home->lock);
	else
		wake_unlock(home, thread);
}

void sched_notify(struct thread *thread, u64 bits)
{
	__atomic_or_fetch(&thread->notified, bits, __ATOMIC_RELEASE);
	wake_unlock(home_lock(thread), thread);
}

void sched_wake_guest(struct thread *thread)
{
	struct cpu *home = home_lock(thread);

	if (thread->state == THREAD_BLOCKED && !thread->in_guest)
		spin_unlock(&home->lock);
	else
		wake_unlock(home, thread);
}

void sched_block(struct thread *thread)
{
	struct cpu *cpu = this_cpu();

	assert(cpu->current == thread);
	spin_lock(&cpu->lock);
	if (thread->woken) {
		thread->woken = false;
	} else {
		thread->state = THREAD_BLOCKED;
		cpu->current = NULL;
	}
	spin_unlock(&cpu->lock);
}

void sched_finish_wait(struct thread *thread)
{
	thread->frame.rax = __atomic_exchange_n(&thread->notified, 0, __ATOMIC_ACQUIRE);
	thread->timed_out = false;
	thread->waits = false;
	thread->woken = false; /* what it was woken for is known now */
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
	this_cpu()->resched |= this_cpu()->queue_first != NULL;
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

/* The next thread of this CPU's queue; sleeps until there is one. */
static struct thread *next_wait(struct cpu *cpu)
{
	struct thread *thread;

	while (!(thread = queue_take(cpu))) {
		cpu->idle = true;
		spin_unlock(&cpu->lock);
		wait_interrupt();
		spin_lock(&cpu->lock);
		cpu->idle = false;
		cpu->resched = false;
	}
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
	spin_lock(&cpu->lock);
	if (thread)
		queue_add(cpu, thread);
	while ((thread = next_wait(cpu))->killed)
		thread_end(thread);
	thread->state = THREAD_RUNNING;
	cpu->current = thread;
	spin_unlock(&cpu->lock);
	if (thread->moved)
		timers_restore(thread);
	cpu->frame_top = (u64)(&thread->frame + 1);
	cpu->tss->rsp[0] = cpu->frame_top;
	process_load(thread->process);
	timer_set(&cpu->slice, TIMER_NEVER);
	work_share(cpu);
	if (cpu->queue_first)
		slice_start(cpu);
	return thread;
}

/* One stay in ring 3 and what ended it. */
static void run_ring3(struct thread *thread)
{
	struct frame *frame = &thread->frame;

	if (thread->waits)
		sched_finish_wait(thread);
	backend->release(this_cpu());
	user_enter(frame);
	if (frame->vector == VECTOR_SYSCALL)
		syscall_dispatch(thread);
	else if (frame->vector >= EXC_COUNT)
		irq_dispatch((u32)frame->vector);
	else if (frame->vector != EXC_SX) /* an INIT from outside, redirected */
		process_fault(thread);
}

void sched_run(void)
{
	struct cpu *cpu = this_cpu();

	for (;;) {
		struct thread *thread = pick(cpu);

		if (thread->in_guest)
			engine_run(thread->vcpu);
		else
			run_ring3(thread);
	}
}
