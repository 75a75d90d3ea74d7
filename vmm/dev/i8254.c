/*
 * The 8254: a counter is a start tick, a count and the current time, so its value is exact whenever
 * it is read and nothing runs between accesses. Only counter 0 arms a timer, for rising edges of
 * its output; edges that passed while nobody looked come out as one.
 */
#include "vmm/dev/i8254.h"

#include "vmm/dev/ticks.h"

#define NEVER INT64_MAX

/* "Control Word Format" */
#define CONTROL_COUNTER	 BITS64(7, 6)
#define CONTROL_ACCESS	 BITS64(5, 4)
#define CONTROL_MODE	 BITS64(3, 1)
#define CONTROL_BCD	 BIT32(0)
#define CONTROL_KEPT	 0x3fU /* access, mode and BCD */
#define COUNTER_READBACK 3U
#define ACCESS_LATCH	 0U
#define ACCESS_LOW	 1U
#define ACCESS_HIGH	 2U
#define ACCESS_BOTH	 3U

/* "Read-Back Command"; the latch bits are active low */
#define READBACK_NO_COUNT  BIT32(5)
#define READBACK_NO_STATUS BIT32(4)
#define READBACK_SELECT(n) BIT32((n) + 1)
#define STATUS_OUT	   BIT32(7)
#define STATUS_NULL	   BIT32(6)

/* Port 0x61 */
#define PORT61_GATE2	BIT32(0)
#define PORT61_WRITABLE 0x0fU /* gate, speaker, and two error masks that only read back */
#define PORT61_REFRESH	BIT32(4)
#define PORT61_OUT2	BIT32(5)
#define REFRESH_TICKS	18 /* about 15 microseconds */

/* Closer edges of OUT0 come out as one: they would cost the guest all of its time. */
#define RISE_GAP_NS 20000U

enum mode {
	MODE_TERMINAL_COUNT,
	MODE_ONE_SHOT,
	MODE_RATE,
	MODE_SQUARE,
	MODE_SOFTWARE_STROBE,
	MODE_HARDWARE_STROBE,
};

/* "Gate Pin Operations Summary", and when a count that was written starts to count. */
static const struct {
	bool periodic;	    /* counts the same period again and again */
	bool on_write;	    /* writing the count loads it at once */
	bool gate_triggers; /* a rising gate loads the count */
	bool gate_pauses;   /* a low gate stops counting */
} mode_rows[] = {
	[MODE_TERMINAL_COUNT] = { .on_write = true, .gate_pauses = true },
	[MODE_ONE_SHOT] = { .gate_triggers = true },
	[MODE_RATE] = { .periodic = true, .gate_triggers = true, .gate_pauses = true },
	[MODE_SQUARE] = { .periodic = true, .gate_triggers = true, .gate_pauses = true },
	[MODE_SOFTWARE_STROBE] = { .on_write = true, .gate_pauses = true },
	[MODE_HARDWARE_STROBE] = { .gate_triggers = true },
};

/* Modes 6 and 7 are modes 2 and 3: the top bit does not matter then. */
static enum mode counter_mode(const struct i8254_counter *k)
{
	u64 mode = field_get(CONTROL_MODE, k->control);

	return (enum mode)(mode > MODE_HARDWARE_STROBE ? mode - 4 : mode);
}

static unsigned counter_access(const struct i8254_counter *k)
{
	return (unsigned)field_get(CONTROL_ACCESS, k->control);
}

/* The number of values a counter runs through, which a count of zero stands for. */
static u32 counter_range(const struct i8254_counter *k)
{
	return k->control & CONTROL_BCD ? 10000 : 65536;
}

static u32 bcd_decode(u32 bcd)
{
	return (bcd >> 12) * 1000 + (bcd >> 8 & 15) * 100 + (bcd >> 4 & 15) * 10 + (bcd & 15);
}

static u32 bcd_encode(u32 n)
{
	return (n / 1000 % 10) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10;
}

/* Ticks since the counting element was loaded. */
static s64 counter_elapsed(const struct i8254_counter *k, s64 now)
{
	if (!k->counting)
		return k->elapsed;
	return now > k->start ? now - k->start : 0;
}

/* The high half of a square wave is the longer one when the count is odd. */
static s64 square_high(u32 period)
{
	return (period + 1) / 2;
}

static bool counter_out(const struct i8254_counter *k, s64 now)
{
	enum mode mode = counter_mode(k);
	s64 elapsed = counter_elapsed(k, now);

	if (k->period == 0)
		return mode != MODE_TERMINAL_COUNT;
	switch (mode) {
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT:
		return elapsed >= k->period;
	case MODE_RATE:
		return !k->counting || elapsed % k->period != k->period - 1;
	case MODE_SQUARE:
		return !k->counting || elapsed % k->period < square_high(k->period);
	default:
		return elapsed != k->period;
	}
}

/* The tick after `now` at which OUT rises by itself. */
static s64 counter_next_rise(const struct i8254_counter *k, s64 now)
{
	s64 elapsed = counter_elapsed(k, now);

	if (!k->counting || k->period == 0)
		return NEVER;
	switch (counter_mode(k)) {
	case MODE_TERMINAL_COUNT:
	case MODE_ONE_SHOT:
		return elapsed < k->period ? k->start + k->period : NEVER;
	case MODE_SQUARE:
		if (k->reload_due != NEVER && counter_out(k, now))
			return k->reload_due + k->reload / 2;
		break;
	case MODE_RATE:
		break;
	default:
		return elapsed <= k->period ? k->start + k->period + 1 : NEVER;
	}
	if (k->reload_due != NEVER)
		return k->reload_due;
	return k->period < 2 ? NEVER : k->start + (elapsed / k->period + 1) * k->period;
}

/* What the counting element holds. A square wave counts by twos, in each half from the top. */
static u16 counter_value(const struct i8254_counter *k, s64 now)
{
	s64 elapsed = counter_elapsed(k, now);
	s64 range = counter_range(k);
	s64 value = 0;

	if (k->period == 0)
		return 0;
	switch (counter_mode(k)) {
	case MODE_RATE:
		value = k->period - elapsed % k->period;
		break;
	case MODE_SQUARE:
		elapsed %= k->period;
		if (elapsed >= square_high(k->period))
			elapsed -= square_high(k->period);
		value = (s64)(k->period & ~1U) - 2 * elapsed;
		break;
	default:
		value = range + k->period - elapsed % range;
		break;
	}
	value %= range;
	return (u16)(k->control & CONTROL_BCD ? bcd_encode((u32)value) : (u32)value);
}

static u8 counter_status(const struct i8254_counter *k, s64 now)
{
	bool null = k->null || (k->counting && now < k->start);

	return (u8)((counter_out(k, now) ? STATUS_OUT : 0) | (null ? STATUS_NULL : 0) | k->control);
}

/* A count is transferred to the counting element at the next tick, and counts from there. */
static void counter_load(struct i8254_counter *k, s64 now)
{
	k->period = k->reload;
	k->start = now + 1;
	k->elapsed = 0;
	k->counting = k->gate || !mode_rows[counter_mode(k)].gate_pauses;
	k->null = false;
	k->reload_due = NEVER;
}

/* Modes 2 and 3 take a new count at the end of the period or of the half period. */
static s64 counter_reload_tick(const struct i8254_counter *k, s64 now)
{
	s64 elapsed = counter_elapsed(k, now);
	s64 phase = elapsed % k->period;
	s64 begin = k->start + elapsed - phase;

	if (counter_mode(k) == MODE_SQUARE && phase < square_high(k->period))
		return begin + square_high(k->period);
	return begin + k->period;
}

static void counter_reload(struct i8254_counter *k, s64 now)
{
	bool half;

	if (now < k->reload_due)
		return;
	half = (k->reload_due - k->start) % k->period != 0;
	k->period = k->reload;
	k->start = k->reload_due - (half ? square_high(k->period) : 0);
	k->null = false;
	k->reload_due = NEVER;
}

static void counter_set_count(struct i8254_counter *k, u16 count, s64 now)
{
	u32 ticks = k->control & CONTROL_BCD ? bcd_decode(count) : count;
	u32 range = counter_range(k);

	k->reload = ticks == 0 || ticks > range ? range : ticks;
	k->null = true;
	if (mode_rows[counter_mode(k)].on_write ||
	    (mode_rows[counter_mode(k)].periodic && k->period == 0))
		counter_load(k, now);
	else if (mode_rows[counter_mode(k)].periodic && k->counting)
		k->reload_due = counter_reload_tick(k, now);
}

static void counter_set_gate(struct i8254_counter *k, bool gate, s64 now)
{
	enum mode mode = counter_mode(k);
	bool rises = gate && !k->gate;

	if (!gate && mode_rows[mode].gate_pauses && k->counting) {
		k->elapsed = counter_elapsed(k, now);
		k->counting = false;
		k->reload_due = NEVER;
	}
	k->gate = gate;
	if (!rises || k->reload == 0)
		return;
	if (mode_rows[mode].gate_triggers) {
		counter_load(k, now);
	} else if (k->period != 0) {
		k->start = now - k->elapsed;
		k->counting = true;
	}
}

static void counter_set_control(struct i8254_counter *k, u8 value)
{
	*k = (struct i8254_counter){
		.control = (u8)(value & CONTROL_KEPT),
		.gate = k->gate,
		.null = true,
		.reload_due = NEVER,
	};
}

static void counter_write(struct i8254_counter *k, u8 value, s64 now)
{
	switch (counter_access(k)) {
	case ACCESS_LOW:
		counter_set_count(k, value, now);
		return;
	case ACCESS_HIGH:
		counter_set_count(k, (u16)(value << 8), now);
		return;
	case ACCESS_BOTH:
		break;
	default: /* not programmed yet */
		return;
	}
	k->write_second = !k->write_second;
	if (!k->write_second) {
		counter_set_count(k, (u16)(value << 8 | k->first_byte), now);
		return;
	}
	k->first_byte = value;
	if (counter_mode(k) == MODE_TERMINAL_COUNT) { /* the first byte stops the counter */
		k->period = 0;
		k->counting = false;
		k->elapsed = 0;
	}
}

static void counter_latch_count(struct i8254_counter *k, s64 now)
{
	if (k->count_latched)
		return;
	k->latched_count = counter_value(k, now);
	k->count_latched = true;
}

static void counter_latch_status(struct i8254_counter *k, s64 now)
{
	if (k->status_latched)
		return;
	k->latched_status = counter_status(k, now);
	k->status_latched = true;
}

static u8 counter_read(struct i8254_counter *k, s64 now)
{
	u16 count = k->count_latched ? k->latched_count : counter_value(k, now);
	bool high = counter_access(k) == ACCESS_HIGH;

	if (k->status_latched) {
		k->status_latched = false;
		return k->latched_status;
	}
	if (counter_access(k) == ACCESS_BOTH) {
		high = k->read_second;
		k->read_second = !k->read_second;
	}
	if (!k->read_second)
		k->count_latched = false;
	return (u8)(high ? count >> 8 : count);
}

static void out0_arm(struct i8254 *c)
{
	u64 deadline = DEV_NEVER;

	if (c->next_rise != NEVER)
		deadline = max_u64(ticks_to_ns((u64)c->next_rise, I8254_HZ),
				   c->last_rise_ns + RISE_GAP_NS);
	dev_timer_arm(&c->timer, &c->env, I8254_TIMER, deadline);
}

/* Brings everything up to the present, and gives the current tick. */
static s64 timer_sync(struct i8254 *c)
{
	u64 now_ns = c->env.clock_ns(c->env.owner);
	s64 now = (s64)ticks_from_ns(now_ns, I8254_HZ);

	for (unsigned i = 0; i < I8254_COUNTERS; i++)
		counter_reload(&c->counters[i], now);
	if (now < c->next_rise)
		return now;
	c->last_rise_ns = now_ns;
	c->env.line_set(c->env.owner, I8254_OUT0, false);
	c->env.line_set(c->env.owner, I8254_OUT0, true);
	c->next_rise = counter_next_rise(&c->counters[0], now);
	out0_arm(c);
	return now;
}

/* After a guest has changed counter 0: idle high, but low until a terminal count. */
static void out0_changed(struct i8254 *c, s64 now)
{
	struct i8254_counter *k = &c->counters[0];

	c->env.line_set(c->env.owner, I8254_OUT0,
			counter_mode(k) != MODE_TERMINAL_COUNT || counter_out(k, now));
	c->next_rise = counter_next_rise(k, now);
	out0_arm(c);
}

static void readback_write(struct i8254 *c, u8 value, s64 now)
{
	for (unsigned i = 0; i < I8254_COUNTERS; i++) {
		if (!(value & READBACK_SELECT(i)))
			continue;
		if (!(value & READBACK_NO_COUNT))
			counter_latch_count(&c->counters[i], now);
		if (!(value & READBACK_NO_STATUS))
			counter_latch_status(&c->counters[i], now);
	}
}

static void control_write(struct i8254 *c, u8 value, s64 now)
{
	unsigned index = (unsigned)field_get(CONTROL_COUNTER, value);

	if (index == COUNTER_READBACK) {
		readback_write(c, value, now);
	} else if (field_get(CONTROL_ACCESS, value) == ACCESS_LATCH) {
		counter_latch_count(&c->counters[index], now);
	} else {
		counter_set_control(&c->counters[index], value);
		if (index == 0)
			out0_changed(c, now);
	}
}

void i8254_init(struct i8254 *c, const struct dev_env *env)
{
	*c = (struct i8254){ .env = *env, .next_rise = NEVER };
	for (unsigned i = 0; i < I8254_COUNTERS; i++) {
		c->counters[i].gate = i != 2;
		c->counters[i].null = true;
		c->counters[i].reload_due = NEVER;
	}
	dev_timer_init(&c->timer);
}

u8 i8254_read(struct i8254 *c, u16 offset)
{
	s64 now = timer_sync(c);

	return offset < I8254_COUNTERS ? counter_read(&c->counters[offset], now) : 0xff;
}

void i8254_write(struct i8254 *c, u16 offset, u8 value)
{
	s64 now = timer_sync(c);

	if (offset == I8254_CONTROL)
		control_write(c, value, now);
	if (offset >= I8254_COUNTERS)
		return;
	counter_write(&c->counters[offset], value, now);
	if (offset == 0)
		out0_changed(c, now);
}

u8 i8254_port61_read(struct i8254 *c)
{
	s64 now = timer_sync(c);
	bool out = counter_out(&c->counters[2], now);
	bool refresh = now / REFRESH_TICKS % 2 != 0;

	return (u8)(c->port61 | (out ? PORT61_OUT2 : 0) | (refresh ? PORT61_REFRESH : 0));
}

void i8254_port61_write(struct i8254 *c, u8 value)
{
	s64 now = timer_sync(c);

	c->port61 = (u8)(value & PORT61_WRITABLE);
	counter_set_gate(&c->counters[2], (value & PORT61_GATE2) != 0, now);
}

void i8254_expire(struct i8254 *c, unsigned timer)
{
	if (timer != I8254_TIMER)
		return;
	dev_timer_expired(&c->timer);
	timer_sync(c);
	out0_arm(c);
}
