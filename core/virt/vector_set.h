/* A set of the 256 interrupt vectors, as the local APIC's IRR, ISR and TMR are. */
#pragma once

#include "lib/base/types.h"

static inline void set_add(u64 set[4], u8 vector)
{
	set[vector / 64] |= BIT64(vector % 64);
}

static inline void set_remove(u64 set[4], u8 vector)
{
	set[vector / 64] &= ~BIT64(vector % 64);
}

static inline bool set_has(const u64 set[4], u8 vector)
{
	return set[vector / 64] & BIT64(vector % 64);
}

/* The highest vector in the set, or -1. Most sets are empty most of the time. */
static inline int set_highest(const u64 set[4])
{
	if (!(set[0] | set[1] | set[2] | set[3]))
		return -1;
	for (int i = 3; i >= 0; i--)
		if (set[i])
			return i * 64 + 63 - __builtin_clzll(set[i]);
	return -1;
}

/* The 32 vectors from 32 * word on, as a register shows them. */
static inline u32 set_word(const u64 set[4], u32 word)
{
	return (u32)(set[word / 2] >> (word % 2 * 32));
}
