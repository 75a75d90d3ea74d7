/* This processor's local APIC as the core uses it: end of interrupt, timer, IPIs. */
#pragma once

#include "lib/base/types.h"

/* Vectors that the core uses itself. */
#define VECTOR_SERIAL	0x30
#define VECTOR_SCI	0x31
#define VECTOR_TIMER	0xf0
#define VECTOR_KICK	0xf1
#define VECTOR_SPURIOUS 0xff

/* Turns on the local APIC of this CPU (x2APIC where the processor has it). */
void apic_init(void);
u32 apic_id(void);

enum apic_message { APIC_FIXED = 0, APIC_NMI = 4 << 8, APIC_INIT = 5 << 8, APIC_STARTUP = 6 << 8 };

/* An interprocessor interrupt; `vector` is a page number for APIC_STARTUP. */
void apic_send(u32 apic_id, enum apic_message message, u8 vector);
void apic_eoi(void);
/* Interrupts at or after TSC `deadline`, once; may be early when it is far away. */
void apic_timer_arm(u64 deadline);
/* Measures TSC and APIC timer against the 8254; sets tsc_khz. Once, on the boot processor. */
void apic_timer_calibrate(void);
/* Lets this CPU's timer interrupt. */
void apic_timer_start(void);

extern u64 tsc_khz;

static inline u64 tsc_from_us(u64 us)
{
	return us * tsc_khz / 1000;
}
