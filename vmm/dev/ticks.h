/*
 * Nanoseconds to periods of a chip's clock and back, exactly: whole seconds and the rest are
 * converted apart, so nothing is rounded twice and 64 bits are enough for any clock below 4 GHz.
 */
#pragma once

#include "lib/base/types.h"
#include "vmm/dev/env.h"

#define NS_PER_SECOND 1000000000ULL

/* Whole periods of an `hz` clock in `ns`. */
static inline u64 ticks_from_ns(u64 ns, u32 hz)
{
	return ns / NS_PER_SECOND * hz + ns % NS_PER_SECOND * hz / NS_PER_SECOND;
}

/* The first nanosecond at which ticks_from_ns() gives `ticks`; DEV_NEVER when out of range. */
static inline u64 ticks_to_ns(u64 ticks, u32 hz)
{
	u64 seconds = ticks / hz;

	if (seconds >= DEV_NEVER / NS_PER_SECOND)
		return DEV_NEVER;
	return seconds * NS_PER_SECOND + (ticks % hz * NS_PER_SECOND + hz - 1) / hz;
}
