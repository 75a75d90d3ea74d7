/* Clocks of a PC: PIT (data sheet 8254), ACPI PM timer, RTC (MC146818), and the TSC against them.
 */
#pragma once

#include "lib/base/types.h"

#define PIT_HZ	   1193182ULL
#define PM_HZ	   3579545ULL
#define PIT_DATA0  0x40
#define PIT_DATA2  0x42
#define PIT_MODE   0x43
#define PORT_61	   0x61
#define PM_TIMER   0x608
#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define PIT_SELECT(channel, mode) ((u8)((channel) << 6 | 0x30 | (mode) << 1)) /* low, high byte */
#define PIT_LATCH(channel)	  ((u8)((channel) << 6))

/* Starts channel 0 or 2 in `mode` with `count`. */
void pit_start(unsigned channel, unsigned mode, u16 count);
u16 pit_read(unsigned channel);

u8 cmos_read(u8 index);
void cmos_write(u8 index, u8 value);

u32 pm_timer(void);
/*
 * A clock and the TSC at the same time: of several readings the one that took least, because
 * another virtual machine may get the processor in the middle of one.
 */
struct clock_sample {
	u64 tsc, value;
};
struct clock_sample clock_sample(u64 (*read)(void));
/* TSC ticks a millisecond, measured once against PIT channel 2. */
u64 tsc_per_ms(void);
u64 us_to_tsc(u64 us);
u64 tsc_to_us(u64 tsc);
/* Spins. */
void delay_us(u64 us);
/* Spins until *counter is at least `target` (changed by an interrupt handler) or time is up. */
bool wait_for_count(const volatile u64 *counter, u64 target, u64 timeout_us);
