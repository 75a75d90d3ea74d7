/*
 * Threads of ring 3 and who gets the processor. A thread is either in ring 3 or "in the guest":
 * then the core runs its vCPU in its place until the VMM is needed.
 */
#pragma once

#include "core/cpu/frame.h"
#include "core/cpu/timer.h"

struct process;
struct vcpu;

enum thread_state {
	THREAD_NEW,	/* not started */
	THREAD_READY,	/* in the run queue */
	THREAD_RUNNING, /* has a processor */
	THREAD_BLOCKED, /* waits for a notification, deadline or, in the guest, an interrupt */
	THREAD_DEAD,
};

struct thread {
	struct frame frame; /* ring 3's registers; first, so that it is aligned */
	struct process *process;
	struct vcpu *vcpu;   /* the vCPU it runs, NULL for the supervisor */
	struct thread *next; /* in the run queue */
	struct cpu *home;    /* where it runs; only that CPU changes it */
	u64 vtime;	     /* see queue.h */
	bool fresh;	     /* it was away, and takes no credit for that */
	bool throttled;	     /* its VM's cap keeps it from running */
	bool killed;	     /* its home makes it DEAD */
	bool woken;	     /* a wake-up came while it was not blocked: the next block() is none */
	bool waits;	     /* in the system call wait */
	bool moved;	     /* its timers have still to be set at its new home */
	u64 moved_deadline[2];
	enum thread_state state;
	bool in_guest;
	bool timed_out; /* the deadline of wait or vcpu_run has passed */
	u64 notified;	/* bits not yet seen */
	u64 heard;	/* its vmm_tsc when it last waited or had left its guest */
	struct timer timer;
};

void thread_init(struct thread *thread, struct process *process, struct vcpu *vcpu, u64 entry,
		 u64 stack_top, u64 argument);
void sched_start(struct thread *thread);
/* Takes a thread out of scheduling for ever. */
void sched_kill(struct thread *thread);
/* Whether the threads of a process are kept from running when they are ready. */
void sched_pause(struct process *process, bool paused);
/* Sets notification bits and wakes the thread. */
void sched_notify(struct thread *thread, u64 bits);
/* Wakes a thread whose vCPU sleeps in HLT. */
void sched_wake_guest(struct thread *thread);

/* Whether a thread in the guest has something to see in ring 3. */
static inline bool sched_must_leave(const struct thread *thread)
{
	return thread->notified != 0 || thread->timed_out;
}

/* Of the current thread: sleep; leave the guest; wait with a deadline. */
void sched_block(struct thread *thread);
void sched_leave_guest(struct thread *thread);
void sched_set_deadline(struct thread *thread, u64 deadline);
/* Bits and time-out are consumed; the bits are the system call's result. */
void sched_finish_wait(struct thread *thread);

/* The current thread has no use for the rest of its slice; others that are ready have. */
void sched_end_turn(void);
/* Ends the guest's run on this CPU after about this long, so that events are decided again. */
void sched_exit_soon(u64 us);
/* The serial port has received something: the supervisor's. */
void sched_console_input(void);
/* The machine's power button was pressed: the supervisor's, too. */
void sched_power_button(void);

/* Another CPU has put a thread into this one's queue, or wants something of its current one. */
void sched_kicked(void);
/* Runs threads on this CPU for ever. */
_Noreturn void sched_run(void);
