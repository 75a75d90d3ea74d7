/* Interrupt handlers of a handful of instructions, so that what is measured is not they; the time.
 */
#pragma once

#include "tests/micro/lib/trap.h"

extern const u8 handler_x2apic[], handler_xapic[];

/* TSC at the first instruction of the last handler that ran; 0: none since it was cleared. */
extern volatile u64 handler_stamp;

static inline void vector_set(unsigned vector, const u8 *handler)
{
	u64 entry = (u64)handler;

	idt[vector].offset_low = (u16)entry;
	idt[vector].offset_middle = (u16)(entry >> 16);
	idt[vector].offset_high = (u32)(entry >> 32);
}

static inline u64 stamp(void)
{
	u64 now;

	asm volatile("rdtsc; shlq $32, %%rdx; orq %%rdx, %%rax" : "=a"(now)::"rdx", "memory");
	return now;
}
