/*
 * The 8254 interval timer of a PC and the system control port 0x61 that gates its counter 2.
 * Intel, "8254 Programmable Interval Timer"; Intel, "I/O Controller Hub 9 (ICH9) Family
 * Datasheet", "NMI_SC - NMI Status and Control Register".
 */
#pragma once

#include "vmm/dev/env.h"
#include "vmm/dev/timer.h"

#define I8254_HZ       1193182U
#define I8254_COUNTERS 3U
#define I8254_CONTROL  3 /* offset of the control word; the counters are at 0, 1 and 2 */

#define I8254_OUT0  0 /* output line: OUT of counter 0 */
#define I8254_TIMER 0 /* the next rising edge of OUT0 */

struct i8254_counter {
	u8 control;    /* access, mode and BCD bits of the last control word */
	u8 first_byte; /* of a count written in two bytes */
	bool write_second;
	bool read_second;
	bool count_latched;
	bool status_latched;
	u16 latched_count;
	u8 latched_status;

	bool gate;
	bool counting;	/* neither stopped by the gate nor waiting for a trigger */
	bool null;	/* the count written last is not in the counting element yet */
	u32 reload;	/* the count written last, 1 to 65536; 0: none since the control word */
	u32 period;	/* what the counting element was loaded with; 0: not loaded */
	s64 start;	/* tick at which it held `period`, while counting */
	s64 elapsed;	/* ticks counted, while not counting */
	s64 reload_due; /* tick at which `reload` replaces `period` (modes 2 and 3) */
};

struct i8254 {
	struct dev_env env;
	struct i8254_counter counters[I8254_COUNTERS];
	u8 port61;     /* the bits that a guest can write */
	s64 next_rise; /* tick of the next rising edge of OUT0 */
	u64 last_rise_ns;
	struct dev_timer timer;
};

/* Power-on reset: no counter runs until a guest programs it. Makes no call to env. */
void i8254_init(struct i8254 *c, const struct dev_env *env);
/* `offset` from port 0x40: 0 to 2 are the counters, 3 the control word (reads as all ones). */
u8 i8254_read(struct i8254 *c, u16 offset);
void i8254_write(struct i8254 *c, u16 offset, u8 value);
u8 i8254_port61_read(struct i8254 *c);
void i8254_port61_write(struct i8254 *c, u8 value);
void i8254_expire(struct i8254 *c, unsigned timer);
