/*
 * The MC146818: the time is computed when it is read; while the guest has frozen it (SET, or the
 * divider chain in reset) the bytes are plain memory, and count again from there afterwards. The
 * flags of register C are brought up to date by each access, so a timer is armed only while an
 * interrupt is enabled and the request line is low.
 */
#include "vmm/dev/mc146818.h"

#include "vmm/dev/calendar.h"
#include "vmm/dev/ticks.h"

#define INDEX_MASK 0x7fU /* bit 7 of the index port is the NMI mask of the chip set */
#define CHAIN_HZ   32768U
#define UTC_LIMIT  253402300799ULL /* the end of the year 9999 */

/* "Address Map" */
#define REG_SECOND	 0x00
#define REG_SECOND_ALARM 0x01
#define REG_MINUTE	 0x02
#define REG_MINUTE_ALARM 0x03
#define REG_HOUR	 0x04
#define REG_HOUR_ALARM	 0x05
#define REG_WEEKDAY	 0x06 /* 1 is Sunday */
#define REG_DAY		 0x07
#define REG_MONTH	 0x08
#define REG_YEAR	 0x09
#define REG_A		 0x0a
#define REG_B		 0x0b
#define REG_C		 0x0c
#define REG_D		 0x0d
#define REG_CENTURY	 0x32

/* "Register A" */
#define A_UPDATE      BIT32(7)
#define A_DIVIDER     BITS64(6, 4)
#define A_RATE	      BITS64(3, 0)
#define A_INITIAL     0x26U /* 32768 Hz crystal, 1024 Hz periodic rate */
#define DIVIDER_RESET 6U    /* 6 and 7 hold the chain in reset */

/* "Register B" and "Register C": enables and flags have the same places */
#define B_SET	  BIT32(7)
#define PERIODIC  BIT32(6)
#define ALARM	  BIT32(5)
#define UPDATED	  BIT32(4)
#define FLAGS	  (PERIODIC | ALARM | UPDATED)
#define B_BINARY  BIT32(2)
#define B_24_HOUR BIT32(1)
#define C_REQUEST BIT32(7)
#define D_VALID	  BIT32(7)

#define HOUR_PM	       BIT32(7)
#define ALARM_ANY      0xc0U /* "Don't care": both top bits of an alarm byte set */
#define ALARM_NEVER    UINT64_MAX
#define CHAIN_RESET_NS 500000000ULL /* the first update comes half a second after a reset */
/* "Update Cycle": the time may change from 244 us before the cycle, which lasts 1984 us. */
#define UPDATE_NS 2228000ULL

/* Where PC firmware leaves the memory size */
#define CMOS_BASE_KIB	      0x15
#define CMOS_EXTENDED_KIB     0x17
#define CMOS_EXTENDED_KIB_TOO 0x30
#define CMOS_ABOVE_16M	      0x34 /* in 64 KiB */
#define CMOS_ABOVE_4G	      0x5b /* in 64 KiB, three bytes */
#define BASE_KIB	      640U

static unsigned chain_divider(const struct mc146818 *c)
{
	return (unsigned)field_get(A_DIVIDER, c->ram[REG_A]);
}

static bool chain_in_reset(const struct mc146818 *c)
{
	return chain_divider(c) >= DIVIDER_RESET;
}

static bool time_is_frozen(const struct mc146818 *c)
{
	return (c->ram[REG_B] & B_SET) || chain_in_reset(c);
}

/* Nanoseconds that the divider chain has counted. */
static u64 chain_position(const struct mc146818 *c, u64 now)
{
	if (chain_in_reset(c) || now < c->chain_start_ns)
		return c->chain_ns;
	return c->chain_ns + (now - c->chain_start_ns);
}

/* The guest time at which the chain will have counted `position`, which is not in the past. */
static u64 chain_deadline(const struct mc146818 *c, u64 position)
{
	return c->chain_start_ns + (position - c->chain_ns);
}

/* "Divider Control": periods of the chain between periodic interrupts, 0 if there are none. */
static u64 periodic_ticks(const struct mc146818 *c)
{
	u64 rate = field_get(A_RATE, c->ram[REG_A]);

	if (rate == 0)
		return 0;
	return rate <= 2 ? BIT64(rate + 6) : BIT64(rate - 1);
}

static u8 byte_encode(const struct mc146818 *c, unsigned n)
{
	return (u8)(c->ram[REG_B] & B_BINARY ? n : (n / 10) << 4 | n % 10);
}

static unsigned byte_decode(const struct mc146818 *c, unsigned byte)
{
	return c->ram[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}

static u8 hour_encode(const struct mc146818 *c, unsigned hour)
{
	unsigned half = hour % 12;

	if (c->ram[REG_B] & B_24_HOUR)
		return byte_encode(c, hour);
	return (u8)(byte_encode(c, half == 0 ? 12 : half) | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned hour_decode(const struct mc146818 *c, unsigned byte)
{
	if (c->ram[REG_B] & B_24_HOUR)
		return byte_decode(c, byte);
	return byte_decode(c, byte & ~HOUR_PM) % 12 + (byte & HOUR_PM ? 12U : 0U);
}

static u64 time_at(const struct mc146818 *c, u64 chain_second)
{
	return c->time + (chain_second - c->time_mark);
}

/* Writes the time at a second of the chain into the bytes that the guest reads. */
static void time_store(struct mc146818 *c, u64 chain_second)
{
	struct calendar date = calendar_from_seconds(time_at(c, chain_second));

	c->ram[REG_SECOND] = byte_encode(c, date.second);
	c->ram[REG_MINUTE] = byte_encode(c, date.minute);
	c->ram[REG_HOUR] = hour_encode(c, date.hour);
	c->ram[REG_WEEKDAY] = byte_encode(c, (date.weekday + c->weekday_shift) % 7U + 1U);
	c->ram[REG_DAY] = byte_encode(c, date.day);
	c->ram[REG_MONTH] = byte_encode(c, date.month);
	c->ram[REG_YEAR] = byte_encode(c, date.year % 100);
	c->ram[REG_CENTURY] = byte_encode(c, date.year / 100 % 100);
}

static unsigned byte_decode_within(const struct mc146818 *c, unsigned reg, unsigned low,
				   unsigned high)
{
	unsigned n = byte_decode(c, c->ram[reg]);

	if (n < low)
		return low;
	return n > high ? high : n;
}

/* Counts on from the bytes as the guest has left them; what cannot be is moved into range. */
static void time_load(struct mc146818 *c, u64 chain_second)
{
	unsigned century = byte_decode_within(c, REG_CENTURY, 0, 99);
	unsigned weekday = byte_decode_within(c, REG_WEEKDAY, 1, 7) - 1;
	struct calendar date = {
		.year = century * 100 + byte_decode_within(c, REG_YEAR, 0, 99),
		.month = (u8)byte_decode_within(c, REG_MONTH, 1, 12),
		.day = (u8)byte_decode_within(c, REG_DAY, 1, 31),
		.hour = (u8)min_u64(hour_decode(c, c->ram[REG_HOUR]), 23),
		.minute = (u8)byte_decode_within(c, REG_MINUTE, 0, 59),
		.second = (u8)byte_decode_within(c, REG_SECOND, 0, 59),
	};

	c->time = calendar_to_seconds(&date);
	c->time_mark = chain_second;
	date = calendar_from_seconds(c->time);
	c->weekday_shift = (u8)((weekday + 7 - date.weekday) % 7);
}

static bool alarm_is_any(const struct mc146818 *c, unsigned reg)
{
	return (c->ram[reg] & ALARM_ANY) == ALARM_ANY;
}

static unsigned alarm_value(const struct mc146818 *c, unsigned reg)
{
	if (alarm_is_any(c, reg))
		return 0;
	return reg == REG_HOUR_ALARM ? hour_decode(c, c->ram[reg]) : byte_decode(c, c->ram[reg]);
}

static bool alarm_byte_matches(const struct mc146818 *c, unsigned reg, u64 n)
{
	return alarm_is_any(c, reg) || alarm_value(c, reg) == n;
}

/* An alarm byte that no time has keeps the alarm from going off. */
static bool alarm_is_possible(const struct mc146818 *c)
{
	static const struct {
		u8 reg;
		u8 limit;
	} rows[] = { { REG_HOUR_ALARM, 23 }, { REG_MINUTE_ALARM, 59 }, { REG_SECOND_ALARM, 59 } };
	bool possible = true;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		possible = possible && alarm_value(c, rows[i].reg) <= rows[i].limit;
	return possible;
}

/* The first time from `time` on at which the alarm goes off, ALARM_NEVER if it cannot. */
static u64 alarm_next(const struct mc146818 *c, u64 time)
{
	u64 end = time + SECONDS_PER_DAY;

	while (alarm_is_possible(c) && time < end) {
		if (!alarm_byte_matches(c, REG_HOUR_ALARM, time / 3600 % 24))
			time += 3600 - time % 3600;
		else if (!alarm_byte_matches(c, REG_MINUTE_ALARM, time / 60 % 60))
			time += 60 - time % 60;
		else if (!alarm_byte_matches(c, REG_SECOND_ALARM, time % 60))
			time++;
		else
			return time;
	}
	return ALARM_NEVER;
}

/* Sets the flags for what has happened since the last look; gives the current chain second. */
static u64 flags_sync(struct mc146818 *c, u64 now)
{
	u64 position = chain_position(c, now);
	u64 second = position / NS_PER_SECOND;
	u64 tick = ticks_from_ns(position, CHAIN_HZ);
	u64 period = periodic_ticks(c);

	if (period != 0 && tick / period > c->seen_tick / period)
		c->ram[REG_C] |= PERIODIC;
	if (second > c->seen_second && !time_is_frozen(c)) {
		c->ram[REG_C] |= UPDATED;
		if (alarm_next(c, time_at(c, c->seen_second) + 1) <= time_at(c, second))
			c->ram[REG_C] |= ALARM;
	}
	c->seen_tick = tick;
	c->seen_second = second;
	return second;
}

/* The guest time at which an enabled interrupt comes next. */
static u64 irq_deadline(const struct mc146818 *c)
{
	u64 period = periodic_ticks(c);
	u64 next = DEV_NEVER;
	u64 alarm;

	if (chain_in_reset(c))
		return DEV_NEVER;
	if ((c->ram[REG_B] & PERIODIC) && period != 0)
		next = ticks_to_ns((c->seen_tick / period + 1) * period, CHAIN_HZ);
	if (time_is_frozen(c))
		return next == DEV_NEVER ? next : chain_deadline(c, next);
	if (c->ram[REG_B] & UPDATED)
		next = min_u64(next, (c->seen_second + 1) * NS_PER_SECOND);
	if (c->ram[REG_B] & ALARM) {
		alarm = alarm_next(c, time_at(c, c->seen_second) + 1);
		if (alarm != ALARM_NEVER)
			next = min_u64(next, (alarm - c->time + c->time_mark) * NS_PER_SECOND);
	}
	return next == DEV_NEVER ? next : chain_deadline(c, next);
}

/* A request stays until register C is read, so nothing new can happen on the line till then. */
static void irq_update(struct mc146818 *c)
{
	bool irq = (c->ram[REG_C] & c->ram[REG_B] & FLAGS) != 0;

	c->ram[REG_C] = (u8)((c->ram[REG_C] & FLAGS) | (irq ? C_REQUEST : 0));
	if (irq != c->irq) {
		c->irq = irq;
		c->env.line_set(c->env.owner, MC146818_IRQ, irq);
	}
	dev_timer_arm(&c->timer, &c->env, MC146818_TIMER, irq ? DEV_NEVER : irq_deadline(c));
}

/* The chain starts over from its reset position; nothing that is due then has been missed. */
static void chain_restart(struct mc146818 *c, u64 now)
{
	c->chain_ns = CHAIN_RESET_NS;
	c->chain_start_ns = now;
	c->seen_second = CHAIN_RESET_NS / NS_PER_SECOND;
	c->seen_tick = ticks_from_ns(CHAIN_RESET_NS, CHAIN_HZ);
}

/* Changes registers A and B, which together say whether the time is frozen. */
static void control_write(struct mc146818 *c, u8 a, u8 b, u64 now)
{
	u64 second = flags_sync(c, now);
	bool was_reset = chain_in_reset(c);
	bool was_frozen = time_is_frozen(c);

	if (!was_frozen) /* in the old format: a change of format does not convert bytes */
		time_store(c, second);
	c->ram[REG_A] = (u8)(a & ~A_UPDATE);
	c->ram[REG_B] = (u8)(b & B_SET ? b & ~UPDATED : b);
	if (was_reset || chain_in_reset(c)) {
		chain_restart(c, now);
		second = c->seen_second;
	}
	if (was_frozen && !time_is_frozen(c))
		time_load(c, second);
	irq_update(c);
}

static bool reg_is_time(unsigned index)
{
	return index == REG_CENTURY || index == REG_SECOND || index == REG_MINUTE ||
	       (index >= REG_HOUR && index <= REG_YEAR && index != REG_HOUR_ALARM);
}

static void time_write(struct mc146818 *c, u8 value, u64 now)
{
	u64 second = flags_sync(c, now);

	if (!time_is_frozen(c))
		time_store(c, second);
	c->ram[c->index] = value;
	if (!time_is_frozen(c))
		time_load(c, second);
	irq_update(c);
}

static void data_write(struct mc146818 *c, u8 value, u64 now)
{
	if (reg_is_time(c->index)) {
		time_write(c, value, now);
		return;
	}
	switch (c->index) {
	case REG_A:
		control_write(c, value, c->ram[REG_B], now);
		break;
	case REG_B:
		control_write(c, c->ram[REG_A], value, now);
		break;
	case REG_C:
	case REG_D:
		break;
	default: /* an alarm byte changes what comes next */
		flags_sync(c, now);
		c->ram[c->index] = value;
		irq_update(c);
		break;
	}
}

static u8 flags_read(struct mc146818 *c)
{
	u8 flags = c->ram[REG_C];

	c->ram[REG_C] = 0;
	irq_update(c);
	return flags;
}

static u8 data_read(struct mc146818 *c, u64 now)
{
	u64 second = flags_sync(c, now);
	bool frozen = time_is_frozen(c);

	irq_update(c);
	if (reg_is_time(c->index) && !frozen)
		time_store(c, second);
	if (c->index == REG_A && !frozen &&
	    chain_position(c, now) % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_NS)
		return (u8)(c->ram[REG_A] | A_UPDATE);
	return c->index == REG_C ? flags_read(c) : c->ram[c->index];
}

static u64 clock_now(const struct mc146818 *c)
{
	return c->env.clock_ns(c->env.owner);
}

void mc146818_init(struct mc146818 *c, const struct dev_env *env)
{
	*c = (struct mc146818){ .env = *env };
	c->ram[REG_A] = A_INITIAL;
	c->ram[REG_B] = B_24_HOUR;
	c->ram[REG_D] = D_VALID;
	dev_timer_init(&c->timer);
	mc146818_set_time(c, 0);
}

void mc146818_set_time(struct mc146818 *c, u64 utc_seconds)
{
	c->chain_ns = 0;
	c->chain_start_ns = clock_now(c);
	c->seen_second = 0;
	c->seen_tick = 0;
	c->time = CALENDAR_UNIX_DAY * SECONDS_PER_DAY + min_u64(utc_seconds, UTC_LIMIT);
	c->time_mark = 0;
	c->weekday_shift = 0;
}

static void ram_store(struct mc146818 *c, unsigned at, unsigned bytes, u64 value)
{
	for (unsigned i = 0; i < bytes; i++)
		c->ram[at + i] = (u8)(value >> (8 * i));
}

/* (value - start) in units, at least 0 and at most `limit` */
static u64 units_above(u64 value, u64 start, u64 unit, u64 limit)
{
	return value < start ? 0 : min_u64((value - start) / unit, limit);
}

void mc146818_set_memory(struct mc146818 *c, u64 below_4g, u64 above_4g)
{
	u64 extended = units_above(below_4g, MIB, KIB, UINT16_MAX);

	ram_store(c, CMOS_BASE_KIB, 2, BASE_KIB);
	ram_store(c, CMOS_EXTENDED_KIB, 2, extended);
	ram_store(c, CMOS_EXTENDED_KIB_TOO, 2, extended);
	ram_store(c, CMOS_ABOVE_16M, 2, units_above(below_4g, 16 * MIB, 64 * KIB, UINT16_MAX));
	ram_store(c, CMOS_ABOVE_4G, 3, min_u64(above_4g / (64 * KIB), 0xffffff));
}

u8 mc146818_read(struct mc146818 *c, u16 offset)
{
	return offset == MC146818_DATA ? data_read(c, clock_now(c)) : 0xff;
}

void mc146818_write(struct mc146818 *c, u16 offset, u8 value)
{
	if (offset == MC146818_INDEX)
		c->index = (u8)(value & INDEX_MASK);
	else if (offset == MC146818_DATA)
		data_write(c, value, clock_now(c));
}

void mc146818_expire(struct mc146818 *c, unsigned timer)
{
	if (timer != MC146818_TIMER)
		return;
	dev_timer_expired(&c->timer);
	flags_sync(c, clock_now(c));
	irq_update(c);
}
