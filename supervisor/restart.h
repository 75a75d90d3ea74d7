/* Whether and when a VM that has ended starts again. */
#pragma once

#include "lib/abi/manifest.h"

#define RESTART_NEVER	     UINT64_MAX
#define RESTART_PAUSE_MS     1000U  /* from one start to the next, at least */
#define RESTART_BACK_OFF_MS  1000U  /* after a first failure; doubles with each further one */
#define RESTART_BACK_OFF_MAX 60000U /* but waits no longer than this */
#define RESTART_STABLE_MS    60000U /* a VM that ran so long has not failed before */

enum guest_end {
	GUEST_END_IN_ORDER,
	GUEST_END_RESET, /* the guest asked for it: always granted */
	GUEST_END_FAILURE,
};

/*
 * Milliseconds until the next start, or RESTART_NEVER, for a VM that ended after `ran_ms`.
 * `failures` are those in a row, counted here.
 */
u64 restart_delay(enum manifest_restart policy, enum guest_end end, u64 ran_ms, u32 *failures);
