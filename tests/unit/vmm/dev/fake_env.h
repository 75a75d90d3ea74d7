/* The environment of a chip under test: a clock set by hand, and a record of every call. */
#pragma once

#include "vmm/dev/env.h"

#define FAKE_TIMERS 2U
#define FAKE_LINES  2U
#define FAKE_OUTPUT 256U

struct fake {
	u64 now_ns;
	u64 deadline_ns[FAKE_TIMERS];
	bool line[FAKE_LINES];
	unsigned rises[FAKE_LINES];
	unsigned falls[FAKE_LINES];
	unsigned timer_sets;
	unsigned msis;
	u64 msi_address;
	u32 msi_data;
	u8 output[FAKE_OUTPUT];
	unsigned outputs;
	unsigned room; /* bytes of output that are taken before it must wait */
	unsigned powers;
	enum dev_power power;
	u8 status;
};

static inline u64 fake_clock_ns(void *owner)
{
	return ((struct fake *)owner)->now_ns;
}

static inline void fake_timer_set(void *owner, unsigned timer, u64 deadline_ns)
{
	struct fake *f = owner;

	f->deadline_ns[timer] = deadline_ns;
	f->timer_sets++;
}

static inline void fake_line_set(void *owner, unsigned line, bool level)
{
	struct fake *f = owner;

	f->rises[line] += !f->line[line] && level;
	f->falls[line] += f->line[line] && !level;
	f->line[line] = level;
}

static inline void fake_msi(void *owner, u64 address, u32 data)
{
	struct fake *f = owner;

	f->msis++;
	f->msi_address = address;
	f->msi_data = data;
}

static inline bool fake_output(void *owner, u8 byte)
{
	struct fake *f = owner;

	if (f->room == 0)
		return false;
	f->room--;
	f->output[f->outputs++ % FAKE_OUTPUT] = byte;
	return true;
}

static inline void fake_power(void *owner, enum dev_power power, u8 status)
{
	struct fake *f = owner;

	f->powers++;
	f->power = power;
	f->status = status;
}

/* Resets the record and gives the environment that writes it. */
static inline struct dev_env fake_env(struct fake *f)
{
	*f = (struct fake){ .room = ~0U };
	for (unsigned i = 0; i < FAKE_TIMERS; i++)
		f->deadline_ns[i] = DEV_NEVER;
	return (struct dev_env){
		.owner = f,
		.clock_ns = fake_clock_ns,
		.timer_set = fake_timer_set,
		.line_set = fake_line_set,
		.msi = fake_msi,
		.output = fake_output,
		.power = fake_power,
	};
}

/* Moves the clock to the deadline of timer 0 and disarms it; false if none comes by `end_ns`. */
static inline bool fake_next_expiry(struct fake *f, u64 end_ns)
{
	if (f->deadline_ns[0] > end_ns) {
		f->now_ns = end_ns;
		return false;
	}
	if (f->deadline_ns[0] > f->now_ns)
		f->now_ns = f->deadline_ns[0];
	f->deadline_ns[0] = DEV_NEVER;
	return true;
}
