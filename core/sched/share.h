/* A process's part of the processors: its weight against others', where it may run, and a cap. */
#pragma once

#include "core/cpu/lock.h"
#include "lib/abi/manifest.h"

struct share {
	u32 weight;	      /* of the whole process: twice the weight is twice as much */
	u32 cap_percent;      /* of one processor's time; 0: no cap */
	u64 allowed;	      /* a bit for each processor that it may run on */
	u32 active;	      /* atomic: its threads that run or could */
	struct spinlock lock; /* guards what follows */
	u64 period;	      /* the last one that was looked at, since TSC 0 */
	u64 used;	      /* ticks of the TSC that it had in it, or owes */
};

/* The supervisor's: first where the serial port's interrupts come. */
#define SHARE_SUPERVISOR                                        \
	((struct share){ .weight = 4 * MANIFEST_WEIGHT_DEFAULT, \
			 .allowed = BIT64(0),                   \
			 .lock = SPINLOCK(LOCK_SHARE) })
