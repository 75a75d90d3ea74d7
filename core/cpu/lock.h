/*
 * Locks between processors. Interrupts are off wherever the core takes one, and nobody sleeps with
 * one. Order, outermost first: system, a CPU's run queue (a second is only tried), a share, log.
 */
#pragma once

#include "core/cpu/insn.h"
#include "lib/base/types.h"

struct spinlock {
	u32 held;
};

/* What other processors may ask of one that waits for a lock. */
void cpu_poll(void);

static inline void spin_lock(struct spinlock *lock)
{
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
	return __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}
