/* Debug builds: each processor counts the locks that it holds, by rank, and asserts their order. */
#include "core/cpu/lock.h"

#ifdef DEBUG

#include "core/cpu/cpu.h"
#include "lib/base/assert.h"

void lock_order_enter(const struct spinlock *lock, bool tries)
{
	u8 *held = this_cpu()->locks_held;

	assert(lock->rank > 0 && lock->rank < LOCK_RANKS);
	for (u32 rank = lock->rank + tries; rank < LOCK_RANKS; rank++)
		assert(held[rank] == 0);
	held[lock->rank]++;
}

void lock_order_leave(const struct spinlock *lock)
{
	u8 *held = this_cpu()->locks_held;

	assert(lock->held && held[lock->rank] > 0);
	held[lock->rank]--;
}

#endif
