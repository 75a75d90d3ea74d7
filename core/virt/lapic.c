/*
 * The local APIC of a virtual processor: see lapic.h. lapic.def says for each register who may do
 * what with it and which bits exist; this file is what registers do.
 * SDM and APM, "Advanced Programmable Interrupt Controller (APIC)".
 */
#include "core/virt/lapic.h"

#include "lib/base/string.h"

/* Indices into the page. */
enum {
#define LAPIC(name, offset, ...) REG_##name = (offset) / 4,
#include "core/virt/lapic.def"
#undef LAPIC
};

/* A register has 4 bytes, but the next one starts this far behind it; 40h of them at most. */
#define STRIDE	16U
#define WORDS	(STRIDE / 4)
#define NUMBERS 0x40U

#define VERSION_VALUE	0x00050014U /* integrated, six LVT entries, EOI broadcasts always */
#define VECTOR_FIRST	16U	    /* lower ones are illegal */
#define PRIORITY	BITS64(7, 4)
#define SVR_RESET	0xffU
#define TIMER_MODE	(LVT_PERIODIC | LVT_DEADLINE)
#define APIC_BASE_VALID (APIC_BASE_BSP | APIC_BASE_MODE | APIC_BASE_ADDRESS)

/* --- sets of vectors --- */

static void set_add(u32 *set, u32 *words, u8 vector)
{
	set[vector / 32 * WORDS] |= BIT32(vector % 32);
	*words |= BIT32(vector / 32);
}

static void set_remove(u32 *set, u32 *words, u8 vector)
{
	set[vector / 32 * WORDS] &= ~BIT32(vector % 32);
	if (!set[vector / 32 * WORDS])
		*words &= ~BIT32(vector / 32);
}

static u32 highest_bit(u32 value)
{
	return 31U ^ (u32)__builtin_clz(value);
}

/* Most sets are empty most of the time, and `words` knows it. */
static int set_highest(const u32 *set, u32 words)
{
	while (words) {
		u32 i = highest_bit(words);
		u32 word = set[i * WORDS];

		if (word)
			return (int)(i * 32 + highest_bit(word));
		words &= ~BIT32(i);
	}
	return -1;
}

int lapic_irr_highest(const struct lapic *l)
{
	return set_highest(&l->reg[REG_IRR], l->irr_words);
}

int lapic_isr_highest(const struct lapic *l)
{
	return set_highest(&l->reg[REG_ISR], l->isr_words);
}

/* --- acceptance and priority --- */

/* Notes an error; the first one after a write of ESR also interrupts, if the LVT entry says so. */
static void lapic_error(struct lapic *l, u32 error)
{
	u32 lvt = l->reg[REG_LVT_ERROR];
	bool first = !l->errors;

	l->errors |= error;
	if (!first || (lvt & LVT_MASKED))
		return;
	if ((u8)lvt < VECTOR_FIRST)
		l->errors |= ESR_RECEIVE_VECTOR;
	else
		lapic_accept(l, (u8)lvt, false);
}

/* Nor is the bit set while IA32_APIC_BASE disables all. */
bool lapic_accepts(const struct lapic *l)
{
	return l->reg[REG_SVR] & SVR_ENABLE;
}

bool lapic_accept(struct lapic *l, u8 vector, bool level)
{
	u32 *tmr = &l->reg[REG_TMR + vector / 32 * WORDS];

	if (!lapic_accepts(l))
		return false;
	if (vector < VECTOR_FIRST) {
		lapic_error(l, ESR_RECEIVE_VECTOR);
		return false;
	}
	if ((*tmr >> vector % 32 & 1) != level) {
		*tmr ^= BIT32(vector % 32);
		l->tmr_changed = true;
	}
	set_add(&l->reg[REG_IRR], &l->irr_words, vector);
	return true;
}

u8 lapic_ppr(const struct lapic *l)
{
	int serviced = lapic_isr_highest(l);

	return (u8)max_u64(l->reg[REG_TPR], serviced < 0 ? 0 : (u32)serviced & PRIORITY);
}

int lapic_requested(const struct lapic *l)
{
	int vector = lapic_irr_highest(l);

	return vector >= 0 && vector >> 4 > lapic_isr_highest(l) >> 4 ? vector : -1;
}

int lapic_pending(const struct lapic *l)
{
	int vector = lapic_requested(l);

	return vector >= 0 && vector >> 4 > lapic_cr8_get(l) ? vector : -1;
}

void lapic_take(struct lapic *l, u8 vector)
{
	set_remove(&l->reg[REG_IRR], &l->irr_words, vector);
	set_add(&l->reg[REG_ISR], &l->isr_words, vector);
}

void lapic_give_back(struct lapic *l, u8 vector)
{
	set_remove(&l->reg[REG_ISR], &l->isr_words, vector);
	set_add(&l->reg[REG_IRR], &l->irr_words, vector);
}

bool lapic_takes_extint(const struct lapic *l)
{
	u32 lvt = l->reg[REG_LVT_LINT0];

	/* Without a local APIC the pin is INTR, and only the BSP's is connected. */
	if (!lapic_enabled(l))
		return l->base & APIC_BASE_BSP;
	return !(lvt & LVT_MASKED) && field_get(LVT_MODE, lvt) == LAPIC_EXTINT;
}

/* --- destinations --- */

/* Clusters above, their members below; the flat model is a single cluster. */
static bool matches_logical(const struct lapic *l, u32 dest)
{
	bool x2apic = lapic_x2apic(l);
	u32 model = x2apic ? DFR_FLAT : l->reg[REG_DFR] >> 28;
	u32 ldr = x2apic ? l->reg[REG_LDR] : l->reg[REG_LDR] >> 24;
	u32 members = x2apic ? 0xffff : model == DFR_FLAT ? 0xff : 0xf;
	bool all_clusters = model == DFR_CLUSTER && dest >> 4 == 0xf;

	if (model != DFR_FLAT && model != DFR_CLUSTER)
		return false;
	return (ldr & dest & members) && (all_clusters || !((ldr ^ dest) & ~members));
}

bool lapic_matches(const struct lapic *l, u32 dest, bool logical)
{
	if (!lapic_enabled(l))
		return false;
	if (dest == LAPIC_BROADCAST)
		return true;
	return logical ? matches_logical(l, dest) : dest == l->id;
}

/* --- the timer --- */

static bool timer_mode_is(const struct lapic *l, u32 mode)
{
	return (l->timer_lvt & TIMER_MODE) == mode;
}

/* TSC ticks from initial count to zero: below 2^42, so sums with it cannot pass for the past. */
static u64 timer_period(const struct lapic *l)
{
	u64 period = (u64)l->timer_count << l->timer_shift;

	return timer_mode_is(l, LVT_PERIODIC) ? max_u64(period, LAPIC_PERIOD_MIN) : period;
}

/* The TSC may wrap under a counting timer, but a deadline is compared as a plain number. */
static u64 timer_left(const struct lapic *l, u64 now)
{
	bool over =
		timer_mode_is(l, LVT_DEADLINE) ? now >= l->deadline : (s64)(l->deadline - now) <= 0;

	return over ? 0 : l->deadline - now;
}

void lapic_timer_expire(struct lapic *l, u64 now)
{
	if (!l->armed || timer_left(l, now))
		return;
	if (timer_mode_is(l, LVT_PERIODIC))
		l->deadline += ((now - l->deadline) / timer_period(l) + 1) * timer_period(l);
	else
		l->armed = false;
	if (!(l->timer_lvt & LVT_MASKED))
		lapic_accept(l, (u8)l->timer_lvt, false);
}

u64 lapic_timer_delay(const struct lapic *l, u64 now)
{
	return l->armed && !(l->timer_lvt & LVT_MASKED) ? timer_left(l, now) : LAPIC_NEVER;
}

void lapic_tsc_jump(struct lapic *l, u64 delta)
{
	if (!timer_mode_is(l, LVT_DEADLINE))
		l->deadline += delta;
}

static u32 timer_current_count(const struct lapic *l, u64 now)
{
	u64 left = timer_left(l, now);

	if (!l->armed || timer_mode_is(l, LVT_DEADLINE))
		return 0;
	if (!left && timer_mode_is(l, LVT_PERIODIC)) /* due, but not yet expired */
		left = timer_period(l) - (now - l->deadline) % timer_period(l);
	return (u32)min_u64((left + BIT64(l->timer_shift) - 1) >> l->timer_shift, l->timer_count);
}

u64 lapic_tsc_deadline_read(const struct lapic *l, u64 now)
{
	return timer_mode_is(l, LVT_DEADLINE) && l->armed && timer_left(l, now) ? l->deadline : 0;
}

void lapic_tsc_deadline_write(struct lapic *l, u64 value, u64 now, struct lapic_effect *effect)
{
	effect->what = 0;
	if (!timer_mode_is(l, LVT_DEADLINE))
		return;
	lapic_timer_expire(l, now);
	l->armed = value != 0;
	l->deadline = value;
	lapic_timer_expire(l, now);
	effect->what = LAPIC_EFFECT_TIMER;
}

/* --- what writes do --- */

/* One register write: its index, the value (existing bits only), and when. */
struct reg_write {
	u32 reg, value;
	u32 high; /* of ICR in x2APIC mode */
	u64 now;
	struct lapic_effect *effect;
};

/* What came due before a write that bears on the timer happens under the old settings. */
static void timer_settle(struct lapic *l, const struct reg_write *w)
{
	lapic_timer_expire(l, w->now);
	w->effect->what = LAPIC_EFFECT_TIMER;
}

static void write_keep(struct lapic *l, const struct reg_write *w)
{
	l->reg[w->reg] = w->value;
}

static void write_eoi(struct lapic *l, const struct reg_write *w)
{
	int vector = lapic_isr_highest(l);

	if (vector < 0)
		return;
	set_remove(&l->reg[REG_ISR], &l->isr_words, (u8)vector);
	if (!(l->reg[REG_TMR + (u32)vector / 32 * WORDS] & BIT32(vector % 32)))
		return;
	w->effect->what |= LAPIC_EFFECT_EOI;
	w->effect->eoi_vector = (u8)vector;
}

static void write_dfr(struct lapic *l, const struct reg_write *w)
{
	l->reg[REG_DFR] = w->value | (u32)DFR_ONES;
}

/* Software-disabling masks the local interrupts; requests that are already here stay. */
static void write_svr(struct lapic *l, const struct reg_write *w)
{
	timer_settle(l, w);
	l->reg[REG_SVR] = w->value;
	if (w->value & SVR_ENABLE)
		return;
	for (u32 reg = REG_LVT_TIMER; reg <= REG_LVT_ERROR; reg += WORDS)
		l->reg[reg] |= LVT_MASKED;
	l->timer_lvt |= LVT_MASKED;
}

static void write_esr(struct lapic *l, const struct reg_write *w)
{
	l->reg[w->reg] = l->errors;
	l->errors = 0;
}

static void write_lvt(struct lapic *l, const struct reg_write *w)
{
	u32 masked = l->reg[REG_SVR] & SVR_ENABLE ? 0 : LVT_MASKED;

	/* Those two are read-only, and always idle here. */
	l->reg[w->reg] = (w->value & ~(LVT_STATUS | LVT_REMOTE_IRR)) | masked;
}

/* One-shot and periodic count on into each other; any other change of mode disarms. */
static void write_lvt_timer(struct lapic *l, const struct reg_write *w)
{
	u32 old = l->timer_lvt;

	timer_settle(l, w);
	write_lvt(l, w);
	l->timer_lvt = l->reg[w->reg];
	if (((old ^ l->timer_lvt) & TIMER_MODE) && ((old | l->timer_lvt) & LVT_DEADLINE))
		l->armed = false;
}

static void write_initial_count(struct lapic *l, const struct reg_write *w)
{
	timer_settle(l, w);
	if (!(l->timer_lvt & LVT_DEADLINE)) {
		l->timer_count = w->value;
		l->armed = w->value != 0;
		l->deadline = w->now + timer_period(l);
	}
	l->reg[w->reg] = l->timer_count;
}

/* A timer tick is this power of two of TSC ticks. The encoding 7 divides by 1, 0 by 2, 6 by 128. */
static u32 divide_to_shift(u32 divide)
{
	return LAPIC_CLOCK_SHIFT + (((divide >> 1 & 4) + (divide & 3) + 1) & 7);
}

/* The count stays where it is and goes on at the new rate. */
static void write_divide(struct lapic *l, const struct reg_write *w)
{
	u64 count;

	timer_settle(l, w);
	count = timer_current_count(l, w->now);
	l->reg[w->reg] = w->value;
	l->timer_shift = divide_to_shift(w->value);
	if (!timer_mode_is(l, LVT_DEADLINE))
		l->deadline = w->now + (count << l->timer_shift);
}

/* The combinations that a local APIC sends; it ignores the others. */
static bool ipi_sendable(const struct lapic_ipi *ipi, u32 icr)
{
	const u32 all =
		BIT32(LAPIC_FIXED) | BIT32(LAPIC_LOWEST) | BIT32(LAPIC_SMI) | BIT32(LAPIC_NMI);
	const u32 others = all | BIT32(LAPIC_INIT) | BIT32(LAPIC_STARTUP);
	bool to_self = ipi->shorthand == LAPIC_TO_SELF || ipi->shorthand == LAPIC_TO_ALL;

	/* INIT level de-assert only synchronised arbitration ids, long ago. */
	if (ipi->mode == LAPIC_INIT && (icr & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL)
		return false;
	return (to_self ? all : others) & BIT32(ipi->mode);
}

static void send_to_self(struct lapic *l, u8 vector)
{
	if (vector < VECTOR_FIRST)
		lapic_error(l, ESR_SEND_VECTOR);
	else
		lapic_accept(l, vector, false);
}

static void write_icr(struct lapic *l, const struct reg_write *w)
{
	u32 high = lapic_x2apic(l) ? w->high : l->reg[REG_ICR_HIGH];
	const struct lapic_ipi ipi = {
		.dest = lapic_x2apic(l) ? high : lapic_dest_from_u8((u8)(high >> 24)),
		.vector = (u8)w->value,
		.mode = (u8)field_get(ICR_MODE, w->value),
		.shorthand = (u8)field_get(ICR_SHORTHAND, w->value),
		.logical = w->value & ICR_LOGICAL,
	};
	bool fixed = ipi.mode <= LAPIC_LOWEST;

	l->reg[w->reg] = w->value & ~ICR_PENDING;
	l->reg[REG_ICR_HIGH] = high;
	if (!ipi_sendable(&ipi, w->value))
		return;
	if (fixed && (ipi.vector < VECTOR_FIRST || ipi.shorthand == LAPIC_TO_SELF)) {
		send_to_self(l, ipi.vector);
	} else {
		w->effect->what = LAPIC_EFFECT_IPI;
		w->effect->ipi = ipi;
	}
}

static void write_self_ipi(struct lapic *l, const struct reg_write *w)
{
	send_to_self(l, (u8)w->value);
}

/* --- access --- */

#define R  BIT32(0)
#define W  BIT32(1)
#define R2 BIT32(2)
#define W2 BIT32(3)
#define RW (R | W | R2 | W2)

static const struct reg_row {
	u64 bits;
	u32 access;
	void (*write)(struct lapic *l, const struct reg_write *w);
} rows[NUMBERS] = {
#define AT(offset, count) (offset) / STRIDE...(offset) / STRIDE + (count)-1
#define LAPIC(name, offset, count, access, bits, handler) \
	[AT(offset, count)] = { bits, access, write_##handler },
#include "core/virt/lapic.def"
#undef LAPIC
};

static_assert(REG_TPR == LAPIC_TPR && REG_TMR == LAPIC_TMR, "known outside");

/* The row of a register's number; nothing is at number 0. */
static const struct reg_row *reg_row(u32 number)
{
	return &rows[number < NUMBERS ? number : 0];
}

static u32 reg_read(const struct lapic *l, u32 reg, u64 now)
{
	if (reg == REG_PPR)
		return lapic_ppr(l);
	return reg == REG_CURRENT_COUNT ? timer_current_count(l, now) : l->reg[reg];
}

bool lapic_msr_read(const struct lapic *l, u32 index, u64 now, u64 *value)
{
	u32 number = index - MSR_IA32_X2APIC_FIRST;

	if (!lapic_x2apic(l) || !(reg_row(number)->access & R2))
		return false;
	*value = reg_read(l, number * WORDS, now);
	if (number * WORDS == REG_ICR)
		*value |= (u64)l->reg[REG_ICR_HIGH] << 32;
	return true;
}

bool lapic_msr_write(struct lapic *l, u32 index, u64 value, u64 now, struct lapic_effect *effect)
{
	u32 number = index - MSR_IA32_X2APIC_FIRST;
	const struct reg_row *row = reg_row(number);
	struct reg_write w = { number * WORDS, (u32)value, (u32)(value >> 32), now, effect };

	effect->what = 0;
	if (!lapic_x2apic(l) || !(row->access & W2) || (value & ~row->bits))
		return false;
	row->write(l, &w);
	return true;
}

/* The row of an access, NULL where it has no effect. Where no register is, it is an error. */
static const struct reg_row *mmio_row(struct lapic *l, u32 offset, u32 access)
{
	const struct reg_row *row = reg_row(offset / STRIDE);

	if (lapic_mode(l) != LAPIC_MODE_XAPIC)
		return NULL;
	if ((row->access & access) && offset % STRIDE == 0)
		return row;
	if (!(row->access & (R | W)))
		lapic_error(l, ESR_REGISTER);
	return NULL;
}

u32 lapic_mmio_read(struct lapic *l, u32 offset, u64 now)
{
	if (mmio_row(l, offset, R))
		return reg_read(l, offset / 4, now);
	return lapic_mode(l) == LAPIC_MODE_XAPIC ? 0 : UINT32_MAX;
}

void lapic_mmio_write(struct lapic *l, u32 offset, u32 value, u64 now, struct lapic_effect *effect)
{
	const struct reg_row *row = mmio_row(l, offset, W);

	effect->what = 0;
	if (row)
		row->write(l, &(struct reg_write){ .reg = offset / 4,
						   .value = value & (u32)row->bits,
						   .now = now,
						   .effect = effect });
}

bool lapic_msr_is_in_page(u32 index)
{
	u32 number = index - MSR_IA32_X2APIC_FIRST, reg = number * WORDS;

	return (reg_row(number)->access & R2) && reg != REG_ICR && reg != REG_CURRENT_COUNT;
}

/* The id can be written on some processors; here, as on most, it cannot. Its shape depends on the
 * mode, as that of LDR does, which x2APIC mode derives from it. */
static void id_apply(struct lapic *l)
{
	l->reg[REG_ID] = lapic_x2apic(l) ? l->id : l->id << 24;
	if (lapic_x2apic(l))
		l->reg[REG_LDR] = (l->id >> 4) << 16 | BIT32(l->id & 0xf);
}

void lapic_written(struct lapic *l, u32 offset, u64 now, struct lapic_effect *effect)
{
	const struct reg_row *row = reg_row(offset / STRIDE);
	struct reg_write w = { .reg = offset / STRIDE * WORDS, .now = now, .effect = effect };

	effect->what = 0;
	if (!(row->access & (W | W2))) {
		id_apply(l);
		return;
	}
	w.value = l->reg[w.reg] & (u32)row->bits;
	w.high = l->reg[REG_ICR_HIGH];
	row->write(l, &w);
}

/* --- modes and reset --- */

void lapic_reset(struct lapic *l)
{
	/* Base and id stay all the time: a start-up message may be looking for them. */
	l->errors = l->irr_words = l->isr_words = 0;
	l->armed = false;
	l->timer_count = 0;
	l->deadline = 0;
	memset(l->reg, 0, sizeof(l->reg));
	l->tmr_changed = true;
	l->timer_shift = divide_to_shift(0);
	l->timer_lvt = LVT_MASKED;
	for (u32 reg = REG_LVT_TIMER; reg <= REG_LVT_ERROR; reg += WORDS)
		l->reg[reg] = LVT_MASKED;
	l->reg[REG_VERSION] = VERSION_VALUE;
	l->reg[REG_DFR] = UINT32_MAX;
	l->reg[REG_SVR] = SVR_RESET;
	id_apply(l);
}

void lapic_init(struct lapic *l, u32 id, bool bsp)
{
	l->id = id;
	l->base = LAPIC_BASE_ADDRESS | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
	lapic_reset(l);
}

void lapic_set_virtual_wire(struct lapic *l)
{
	l->reg[REG_SVR] |= SVR_ENABLE;
	l->reg[REG_LVT_LINT0] = (u32)field_set(LVT_MODE, 0, LAPIC_EXTINT);
	l->reg[REG_LVT_LINT1] = (u32)field_set(LVT_MODE, 0, LAPIC_NMI);
}

bool lapic_base_write(struct lapic *l, u64 value, struct lapic_effect *effect)
{
	/* x2APIC mode is reached from xAPIC mode only, and left only to "off". */
	static const u8 legal[] = {
		[LAPIC_MODE_OFF] = BIT32(LAPIC_MODE_OFF) | BIT32(LAPIC_MODE_XAPIC),
		[LAPIC_MODE_XAPIC] =
			BIT32(LAPIC_MODE_OFF) | BIT32(LAPIC_MODE_XAPIC) | BIT32(LAPIC_MODE_X2APIC),
		[LAPIC_MODE_X2APIC] = BIT32(LAPIC_MODE_OFF) | BIT32(LAPIC_MODE_X2APIC),
	};
	u64 from = l->base;

	effect->what = 0;
	if ((value & ~APIC_BASE_VALID) || (value & APIC_BASE_ADDRESS) != LAPIC_BASE_ADDRESS ||
	    !(legal[lapic_mode(l)] & BIT32(field_get(APIC_BASE_MODE, value))))
		return false;
	l->base = value;
	if (!lapic_enabled(l)) { /* what it held is lost when it is enabled again */
		lapic_reset(l);
		effect->what = LAPIC_EFFECT_TIMER;
	} else if ((from ^ value) & APIC_BASE_X2APIC) {
		id_apply(l);
		l->reg[REG_ICR_HIGH] = 0; /* the destination has another shape */
	}
	return true;
}
