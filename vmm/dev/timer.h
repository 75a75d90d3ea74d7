/*
 * A chip's timer that remembers its deadline, so that the environment hears only of changes: most
 * register accesses leave the deadline where it was.
 */
#pragma once

#include "vmm/dev/env.h"

struct dev_timer {
	u64 deadline_ns; /* as the environment knows it; DEV_NEVER: not armed */
};

/* Call at reset: the environment has forgotten the old deadlines, too. */
static inline void dev_timer_init(struct dev_timer *t)
{
	t->deadline_ns = DEV_NEVER;
}

static inline void dev_timer_arm(struct dev_timer *t, const struct dev_env *env, unsigned timer,
				 u64 deadline_ns)
{
	if (deadline_ns == t->deadline_ns)
		return;
	t->deadline_ns = deadline_ns;
	env->timer_set(env->owner, timer, deadline_ns);
}

/* Call first in <chip>_expire(): an expired timer is no longer armed. */
static inline void dev_timer_expired(struct dev_timer *t)
{
	t->deadline_ns = DEV_NEVER;
}
