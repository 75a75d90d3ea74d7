/* a * b / c with a 128-bit product: the processor's own MUL and DIV, no compiler library. */
#pragma once

#include "lib/base/types.h"

/* The quotient must fit in 64 bits (saturates otherwise); c is not zero. */
static inline u64 mul_div(u64 a, u64 b, u64 c)
{
	u64 high, low, rest;

	__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(a), "rm"(b) : "cc");
	if (high >= c)
		return UINT64_MAX;
	__asm__("divq %4" : "=a"(low), "=d"(rest) : "a"(low), "d"(high), "rm"(c) : "cc");
	return low;
}
