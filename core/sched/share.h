/* How a process's threads share the processors with those of others. */
#pragma once

#include "lib/base/types.h"

struct share {
	u32 weight;	 /* of the whole process, relative to the others' */
	u32 cap_percent; /* of one processor's time; 0: no cap */
	u64 allowed;	 /* a bit for each processor that it may run on */
};

/* The supervisor's: what it does for the VMs comes before what they do. */
#define SHARE_SUPERVISOR ((struct share){ .weight = 4 * 256, .allowed = UINT64_MAX })
