/*
 * Threads' lives and who has which processor. A thread lives on one CPU, which alone runs and moves
 * it; others put it into that CPU's queue and kick. A CPU with nothing to run sleeps.
 */
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

#define SLICE_US   2000
#define LOOK_US	   1000000  /* how often somebody looks at a VMM that has the processor alone */
#define SILENCE_US 10000000 /* of its time in which a VMM neither waits nor runs its guest */

static void slice_fire(struct timer *timer)
{
	(void)timer;
	this_cpu()->resched = true;
}

static void slice_end_at(struct cpu *cpu, u64 deadline)
{
	cpu->slice.fire = slice_fire;
	timer_set(&cpu->slice, deadline);
}

/*
 * The current thread's turn ends when somebody waits, or at the VM's cap; the next period may let
 * others run. One that is alone goes on when it has been looked at.
 */
static void slice_start(struct cpu *cpu, u64 now)
{
	struct run_queue *queue = &cpu->queue;
	u64 left = cpu->current ? share_left(&cpu->current->process->share, now) : ~0ULL;

	if (cpu->current && queue->first)
		left = min_u64(left, tsc_from_us(SLICE_US));
	if (cpu->current && cpu->current->vcpu)
		left = min_u64(left, tsc_from_us(LOOK_US));
	if (queue->throttled)
		left = min_u64(left, share_period_end(now) - now);
	slice_end_at(cpu, left == ~0ULL ? TIMER_NEVER : now + left);
}

/* Books the time since the last call, and charges it to the current thread's VM. */
static u64 time_book(struct cpu *cpu)
{
	u64 now = cpu_book(cpu);

	if (cpu->current)
		share_charge(cpu->current, now - cpu->charged, now);
	cpu->charged = now;
	return now;
}

/* Locks the queue of the CPU where the thread lives now. */
static struct cpu *home_lock(const struct thread *thread)
{
	for (;;) {
		struct cpu *home = __atomic_load_n(&thread->home, __ATOMIC_ACQUIRE);

		spin_lock(&home->queue.lock);
		if (thread->home == home)
			return home;
		spin_unlock(&home->queue.lock);
	}
}

static void cpu_kick(const struct cpu *cpu)
{
	apic_send(cpu->apic_id, APIC_FIXED, VECTOR_KICK);
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

/* Sets what timers_save() took down. */
static void timers_restore(struct thread *thread)
{
	thread->moved = false;
	timer_set(&thread->timer, thread->moved_deadline[0]);
	if (thread->vcpu)
		timer_set(&thread->vcpu->timer, thread->moved_deadline[1]);
}

static void threads_count(struct cpu *cpu, u32 change)
{
	__atomic_add_fetch(&cpu->queue.threads, change, __ATOMIC_RELAXED);
}

/*
 * Moves a thread that was taken from this CPU's queue. Both queues are locked: nobody ever sees a
 * thread that is ready and in neither.
 */
static void thread_move(struct thread *thread, struct cpu *to)
{
	if (!thread->moved)
		timers_save(thread);
	if (thread->vcpu)
		vcpu_detach(thread->vcpu);
	threads_count(this_cpu(), -1U);
	threads_count(to, 1);
	thread->vtime += to->queue.floor - this_cpu()->queue.floor;
	thread->fresh = true; /* that floor is old when somebody computes there alone */
	to->queue.load += thread_load(thread);
	__atomic_store_n(&thread->home, to, __ATOMIC_RELEASE);
	queue_add(&to->queue, thread);
}

/*
 * Gives threads that wait here to CPUs with less to do, while that balances the two. The second
 * lock is only tried, because that CPU may be trying the same.
 */
static void work_share(struct cpu *cpu)
{
	for (u32 i = 0; cpu->queue.first && i < cpu_count; i++) {
		struct cpu *to = cpu_table[i];
		struct thread *thread = NULL;

		if (to->queue.load >= cpu->queue.load)
			continue;
		spin_lock(&cpu->queue.lock);
		if (spin_try(&to->queue.lock)) {
			thread = queue_give(&cpu->queue, i, to->queue.load);
			if (thread)
				thread_move(thread, to);
			spin_unlock(&to->queue.lock);
		}
		spin_unlock(&cpu->queue.lock);
		if (thread)
			cpu_kick(to);
	}
}

void sched_kicked(void)
{
	struct cpu *cpu = this_cpu();
	struct thread *current = cpu->current;
	u64 now;

	if (!current)
		return; /* it looks before it sleeps */
	now = time_book(cpu);
	spin_lock(&cpu->queue.lock);
	queue_settle(&cpu->queue, current, now);
	cpu->resched |=
		current->killed || current->process->paused || queue_preempts(&cpu->queue, current);
	spin_unlock(&cpu->queue.lock);
	work_share(cpu);
	if (cpu->queue.first && cpu->slice.deadline > now + tsc_from_us(SLICE_US))
		slice_start(cpu, now);
}

/* A thread that waited for something may run again; its home is locked, and unlocked here. */
static void ready_unlock(struct cpu *home, struct thread *thread)
{
	queue_add(&home->queue, thread);
	spin_unlock(&home->queue.lock);
	if (home == this_cpu())
		sched_kicked();
	else
		cpu_kick(home);
}

/*
 * Wakes it if it is blocked, or sees to it that it looks again before it blocks, and that a guest
 * is left; its home is locked, and unlocked here.
 */
static void wake_unlock(struct cpu *home, struct thread *thread)
{
	bool elsewhere = thread->state == THREAD_RUNNING && home != this_cpu();

	if (thread->vcpu)
		__atomic_store_n(&thread->vcpu->events, true, __ATOMIC_SEQ_CST);
	if (thread->state == THREAD_BLOCKED) {
		ready_unlock(home, thread);
		return;
	}
	thread->woken = true;
	spin_unlock(&home->queue.lock);
	if (elsewhere)
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

/* Where fewest threads live, of the CPUs that it may use. */
static struct cpu *home_choose(u64 allowed)
{
	struct cpu *best = NULL;

	for (u32 i = 0; i < cpu_count; i++) {
		if ((allowed >> i & 1) &&
		    (!best || cpu_table[i]->queue.threads < best->queue.threads))
			best = cpu_table[i];
	}
	assert(best); /* vm_create() has seen to it */
	return best;
}

void sched_start(struct thread *thread)
{
	struct cpu *home;

	assert(thread->state == THREAD_NEW);
	thread->home = home_choose(thread->process->share.allowed);
	home = home_lock(thread);
	threads_count(home, 1);
	ready_unlock(home, thread);
}

static void supervisor_notify(u64 bits)
{
	struct process *supervisor = process_supervisor();

	if (supervisor && bits)
		sched_notify(process_main(supervisor), bits);
}

/* On its home, where nothing of it is left; the last that it does is to be DEAD. */
static void thread_end(struct thread *thread)
{
	const struct vm *vm = thread->process->vm;
	u64 notice = vm ? NOTIFY_VM(vm->number) : 0;

	timer_set(&thread->timer, TIMER_NEVER);
	if (thread->vcpu) {
		timer_set(&thread->vcpu->timer, TIMER_NEVER);
		vcpu_detach(thread->vcpu);
	}
	process_leave(thread->process);
	if (thread->state != THREAD_NEW)
		threads_count(thread->home, -1U);
	if (thread->state == THREAD_READY)
		__atomic_sub_fetch(&thread->process->share.active, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&thread->state, THREAD_DEAD, __ATOMIC_RELEASE);
	supervisor_notify(notice);
}

/* A thread that has a processor, or lives elsewhere, ends when its home picks it. */
void sched_kill(struct thread *thread)
{
	struct cpu *home = home_lock(thread);

	if (thread->state == THREAD_DEAD) {
		spin_unlock(&home->queue.lock);
	} else if (thread->state == THREAD_NEW || (home == this_cpu() && home->current != thread)) {
		queue_remove(&home->queue, thread);
		spin_unlock(&home->queue.lock);
		thread_end(thread);
	} else {
		thread->killed = true;
		if (home == this_cpu())
			home->resched = true;
		wake_unlock(home, thread);
	}
}

void sched_pause(struct process *process, bool paused)
{
	if (process->paused == paused)
		return;
	process->paused = paused;
	for (u32 i = 0; i < PROCESS_THREADS; i++) {
		struct thread *thread = process->threads[i];
		struct cpu *home;

		if (!thread)
			continue;
		home = home_lock(thread);
		if (thread->state == THREAD_READY) {
			queue_remove(&home->queue, thread);
			queue_add(&home->queue, thread);
		}
		spin_unlock(&home->queue.lock);
		cpu_kick(home);
	}
}

void sched_notify(struct thread *thread, u64 bits)
{
	__atomic_or_fetch(&thread->notified, bits, __ATOMIC_RELEASE);
	wake_unlock(home_lock(thread), thread);
}

void sched_wake_guest(struct thread *thread)
{
	struct cpu *home;

	if (thread == this_cpu()->current) { /* only this CPU makes it anything else */
		thread->woken = true;
		return;
	}
	home = home_lock(thread);
	if (thread->state == THREAD_BLOCKED && !thread->in_guest)
		spin_unlock(&home->queue.lock);
	else
		wake_unlock(home, thread);
}

void sched_block(struct thread *thread)
{
	struct cpu *cpu = this_cpu();
	u64 now = time_book(cpu);

	assert(cpu->current == thread);
	spin_lock(&cpu->queue.lock);
	queue_settle(&cpu->queue, thread, now);
	if (thread->woken) {
		thread->woken = false;
	} else {
		thread->state = THREAD_BLOCKED;
		__atomic_sub_fetch(&thread->process->share.active, 1, __ATOMIC_RELAXED);
		cpu->current = NULL;
	}
	spin_unlock(&cpu->queue.lock);
}

void sched_finish_wait(struct thread *thread)
{
	thread->frame.rax = __atomic_exchange_n(&thread->notified, 0, __ATOMIC_ACQUIRE);
	thread->timed_out = false;
	thread->waits = false;
	thread->woken = false; /* what it was woken for is known now */
	if (thread->vcpu)
		thread->heard = thread->vcpu->counters->vmm_tsc;
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
	struct cpu *cpu = this_cpu();

	cpu->yields = cpu->queue.first != NULL;
	cpu->resched |= cpu->yields;
}

void sched_exit_soon(u64 us)
{
	struct timer *nudge = &this_cpu()->nudge;

	nudge->fire = nothing_fire;
	timer_set(nudge, rdtsc() + tsc_from_us(us));
}

void sched_console_input(void)
{
	supervisor_notify(NOTIFY_CONSOLE);
}

void sched_power_button(void)
{
	supervisor_notify(NOTIFY_POWER);
}

/* The next thread that may run here; sleeps until there is one. */
static struct thread *next_wait(struct cpu *cpu, const struct thread *yields)
{
	struct thread *thread;

	for (;;) {
		u64 now = time_book(cpu);

		spin_lock(&cpu->queue.lock);
		thread = queue_take(&cpu->queue, yields, now);
		if (thread && !thread->killed)
			thread->state = THREAD_RUNNING;
		spin_unlock(&cpu->queue.lock);
		if (thread && !thread->killed)
			return thread;
		if (thread) {
			thread_end(thread);
			yields = NULL; /* this may have been the one */
			continue;
		}
		slice_start(cpu, now);
		wait_interrupt();
		cpu->resched = false;
	}
}

/* A VMM that hangs: no exit and no deadline takes that long. */
static bool is_silent(const struct thread *thread)
{
	return thread->vcpu && !thread->in_guest &&
	       thread->vcpu->counters->vmm_tsc - thread->heard > tsc_from_us(SILENCE_US);
}

/* Another thread gets this CPU, or once more the one that had it. */
static struct thread *pick(struct cpu *cpu)
{
	struct thread *thread = cpu->current, *yields = cpu->yields ? thread : NULL;

	time_book(cpu);
	if (thread && is_silent(thread))
		process_kill(thread->process, "it has not answered for 10 s");
	cpu->spent = &cpu->info.idle_tsc;
	cpu->resched = cpu->yields = false;
	cpu->current = NULL;
	if (thread) {
		spin_lock(&cpu->queue.lock);
		queue_settle(&cpu->queue, thread, cpu->booked);
		/* Others of its VM go first in that VM's time only: two could yield for ever. */
		if (queue_preempts(&cpu->queue, thread))
			yields = NULL;
		queue_add(&cpu->queue, thread);
		spin_unlock(&cpu->queue.lock);
	}
	thread = next_wait(cpu, yields);
	cpu->current = thread;
	if (thread->moved)
		timers_restore(thread);
	cpu->frame_top = (u64)(&thread->frame + 1);
	cpu->tss->rsp[0] = cpu->frame_top;
	process_load(thread->process);
	work_share(cpu);
	slice_start(cpu, cpu->booked);
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

	cpu->booked = rdtsc(); /* what came before was nobody's */
	for (;;) {
		struct thread *thread = cpu->current;

		if (!thread || cpu->resched)
			thread = pick(cpu);
		if (thread->in_guest) {
			cpu->spent = &thread->vcpu->counters->run_tsc;
			engine_run(thread->vcpu);
		} else {
			cpu->spent = thread->vcpu ? &thread->vcpu->counters->vmm_tsc
						  : &cpu->info.supervisor_tsc;
			run_ring3(thread);
			cpu_book(cpu);
		}
	}
}
