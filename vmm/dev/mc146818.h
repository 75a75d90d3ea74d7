/*
 * The clock and CMOS memory of a PC at ports 0x70 and 0x71. Motorola, "MC146818 Real-Time Clock
 * plus RAM"; the place of the century and of the memory sizes is PC custom, as firmware reads it.
 */
#pragma once

#include "vmm/dev/env.h"
#include "vmm/dev/timer.h"

#define MC146818_INDEX 0 /* offset of port 0x70; reads as all ones */
#define MC146818_DATA  1 /* offset of port 0x71 */
#define MC146818_BYTES 128U

#define MC146818_IRQ   0 /* output line: interrupt request, high until register C is read */
#define MC146818_TIMER 0 /* the next enabled interrupt */

struct mc146818 {
	struct dev_env env;
	u8 ram[MC146818_BYTES]; /* of the time, only a copy unless it is frozen */
	u8 index;
	bool irq;

	/* The divider chain: nanoseconds of chain time, and the guest time at which it had them. */
	u64 chain_ns;
	u64 chain_start_ns;
	u64 time; /* seconds since the year 0 when the chain was at second `time_mark` */
	u64 time_mark;
	u8 weekday_shift; /* days by which the guest's weekday is ahead of the date's */

	u64 seen_second; /* chain time up to which register C is current */
	u64 seen_tick;
	struct dev_timer timer;
};

/* Power-on reset; the clock starts at 1970 until set. Of env, asks only for the time. */
void mc146818_init(struct mc146818 *c, const struct dev_env *env);
/* At reset: says what time it is now, in seconds since 1970, UTC. The new second begins now. */
void mc146818_set_time(struct mc146818 *c, u64 utc_seconds);
/* Stores the bytes of RAM below and above 4 GiB where firmware looks for them. */
void mc146818_set_memory(struct mc146818 *c, u64 below_4g, u64 above_4g);
u8 mc146818_read(struct mc146818 *c, u16 offset);
void mc146818_write(struct mc146818 *c, u16 offset, u8 value);
void mc146818_expire(struct mc146818 *c, unsigned timer);
