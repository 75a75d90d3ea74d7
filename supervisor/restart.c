/* The back-off gives a machine without an operator a chance, and the other VMs the processor. */
#include "supervisor/restart.h"

static u64 back_off(u32 failures)
{
	u64 delay = RESTART_BACK_OFF_MS;

	while (--failures > 0 && delay < RESTART_BACK_OFF_MAX)
		delay *= 2;
	return min_u64(delay, RESTART_BACK_OFF_MAX);
}

u64 restart_delay(enum manifest_restart policy, enum guest_end end, u64 ran_ms, u32 *failures)
{
	u64 pause = RESTART_PAUSE_MS - min_u64(ran_ms, RESTART_PAUSE_MS);

	if (end == GUEST_END_RESET)
		return pause;
	if (end == GUEST_END_FAILURE && policy != MANIFEST_RESTART_NEVER) {
		if (ran_ms >= RESTART_STABLE_MS)
			*failures = 0;
		return back_off(++*failures);
	}
	*failures = 0;
	return policy == MANIFEST_RESTART_ALWAYS ? pause : RESTART_NEVER;
}
