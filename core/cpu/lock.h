/*
 * Locks between processors. Interrupts are off wherever the core takes one, and nobody sleeps with
 * one. A debug build asserts the order (core/cpu/lock.c).
 */
#pragma once

#include "core/cpu/insn.h"
#include "lib/base/types.h"

/* The order, outermost first. A second run queue is only tried while one is held. */
enum lock_rank {
	LOCK_SYSTEM = 1,
	LOCK_QUEUE,
	LOCK_SHARE,
	LOCK_LOG,
	LOCK_RANKS,
};

struct spinlock {
	u32 held;
	enum lock_rank rank;
};

#define SPINLOCK(its_rank) ((struct spinlock){ .rank = (its_rank) })

/* What other processors may ask of one that waits for a lock. */
void cpu_poll(void);

#ifdef DEBUG
/* Before this processor waits for a lock, or tries it, which never waits. */
void lock_order_enter(const struct spinlock *lock, bool tries);
void lock_order_leave(const struct spinlock *lock);
#else
static inline void lock_order_enter(const struct spinlock *lock, bool tries)
{
	(void)lock;
	(void)tries;
}

static inline void lock_order_leave(const struct spinlock *lock)
{
	(void)lock;
}
#endif

static inline void spin_lock(struct spinlock *lock)
{
	lock_order_enter(lock, false);
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) != 0) {
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED) != 0) {
			cpu_relax();
			cpu_poll();
		}
	}
}

/* Whether it was free; then the caller has it. */
static inline bool spin_try(struct spinlock *lock)
{
	if (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) != 0)
		return false;
	lock_order_enter(lock, true);
	return true;
}

static inline void spin_unlock(struct spinlock *lock)
{
	lock_order_leave(lock);
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}
