/* A VM's part of the processors: its weight against others', and a cap. */
#pragma once

#include "core/cpu/lock.h"

struct share {
	u32 weight;	      /* MANIFEST_WEIGHT_*: a VM of twice the weight gets twice as much */
	u32 cap_percent;      /* of one processor; 0: none */
	u64 allowed;	      /* processors by index, a bit each */
	u32 active;	      /* atomic: its threads that run or could */
	struct spinlock lock; /* guards what follows */
	u64 period;	      /* the last one that was looked at, since TSC 0 */
	u64 used;	      /* ticks of the TSC that it had in it, or owes */
};
