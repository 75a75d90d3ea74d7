/*
 * The threads that are ready on one processor, by virtual time: ticks of the TSC that a thread has
 * had, divided by the weight of its VM, which the VM's active threads share. Everything here wants
 * the queue's lock held, and now is a reading of the TSC.
 */
#pragma once

#include "core/cpu/lock.h"

struct thread;
struct share;

/* Where virtual time begins. It wraps. */
#define QUEUE_FLOOR_FIRST (1ULL << 40)

struct run_queue {
	struct spinlock lock; /* guards this, and the states of the threads that live here */
	struct thread *first;
	u64 floor;	/* virtual time below which nobody starts who was away */
	u32 load;	/* weights of who is ready or runs; others read it without the lock */
	u32 threads;	/* that live here; changed atomically */
	bool throttled; /* some are not taken only because of a cap */
};

#define RUN_QUEUE_EMPTY \
	((struct run_queue){ .lock = SPINLOCK(LOCK_QUEUE), .floor = QUEUE_FLOOR_FIRST })

/* A thread that becomes ready. One whose VM is paused is ready and in no queue. */
void queue_add(struct run_queue *queue, struct thread *thread);
void queue_remove(struct run_queue *queue, const struct thread *thread);
/* After time has passed, and before anything is taken or compared: `current` has the processor. */
void queue_settle(struct run_queue *queue, const struct thread *current, u64 now);
/* Takes the next; NULL: nobody may run. `yields` comes last, its VM's other threads first. */
struct thread *queue_take(struct run_queue *queue, const struct thread *yields, u64 now);
/* Whether somebody who waits here is so far behind `current` that it goes first. */
bool queue_preempts(const struct run_queue *queue, const struct thread *current);
/* Takes a thread that would balance the load if it ran on a processor of this index and load. */
struct thread *queue_give(struct run_queue *queue, u32 to_index, u32 to_load);
u32 thread_load(const struct thread *thread);

/* A thread had the processor for so long. */
void share_charge(struct thread *thread, u64 ticks, u64 now);
/* Ticks that its cap leaves in this period; all ones: no cap. */
u64 share_left(struct share *share, u64 now);
/* When the next period begins. */
u64 share_period_end(u64 now);
