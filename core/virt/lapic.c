/*
 * The local APIC of a virtual processor: see lapic.h. One table says for each register which mode
 * may do what with it and which bits exist; the rest of the file is what registers do.
 * SDM and APM, "Advanced Programmable Interrupt Controller (APIC)".
 */
#include "core/virt/lapic.h"

#include "core/virt/vector_set.h"

/* Register numbers: MMIO offset / 16, or MSR - 0x800. */
enum {
	REG_ID = 0x02,
	REG_VERSION = 0x03,
	REG_TPR = 0x08,
	REG_APR = 0x09,
	REG_PPR = 0x0a,
	REG_EOI = 0x0b,
	REG_RRD = 0x0c,
	REG_LDR = 0x0d,
	REG_DFR = 0x0e,
	REG_SVR = 0x0f,
	REG_ISR = 0x10,
	REG_TMR = 0x18,
	REG_IRR = 0x20,
	REG_ESR = 0x28,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT_TIMER = 0x32,
	REG_LVT_THERMAL = 0x33,
	REG_LVT_PERF = 0x34,
	REG_LVT_LINT0 = 0x35,
	REG_LVT_LINT1 = 0x36,
	REG_LVT_ERROR = 0x37,
	REG_INITIAL_COUNT = 0x38,
	REG_CURRENT_COUNT = 0x39,
	REG_DIVIDE = 0x3e,
	REG_SELF_IPI = 0x3f,
};

#define LVT_FIRST REG_LVT_TIMER
#define LVT_LAST  REG_LVT_ERROR

/* Integrated local APIC, six LVT entries, no suppression of EOI broadcasts. */
#define VERSION_VALUE 0x00050014U

#define VECTOR_MASK  BITS64(7, 0)
#define VECTOR_FIRST 16U /* lower ones are illegal */
#define PRIORITY     BITS64(7, 4)
#define ID_XAPIC     BITS64(31, 24)

#define SVR_ENABLE BIT64(8)
#define SVR_VALID  (VECTOR_MASK | SVR_ENABLE)
#define SVR_RESET  0xffU

#define DFR_MODEL     BITS64(31, 28)
#define DFR_ONES      BITS64(27, 0)
#define DFR_FLAT      0xfU
#define DFR_CLUSTER   0x0U
#define LDR_CLUSTER   BITS64(31, 28) /* in the cluster model of xAPIC mode */
#define LDR_MEMBERS   BITS64(27, 24)
#define X2LDR_CLUSTER BITS64(31, 16)
#define X2LDR_MEMBERS BITS64(15, 0)

#define ESR_SEND_VECTOR	   BIT32(5)
#define ESR_RECEIVE_VECTOR BIT32(6)
#define ESR_REGISTER	   BIT32(7)

#define LVT_MODE       BITS64(10, 8)
#define LVT_STATUS     BIT64(12) /* read-only, and always idle here */
#define LVT_POLARITY   BIT64(13)
#define LVT_REMOTE_IRR BIT64(14) /* read-only */
#define LVT_LEVEL      BIT64(15)
#define LVT_MASKED     BIT64(16)
#define LVT_PERIODIC   BIT64(17)
#define LVT_DEADLINE   BIT64(18)
#define LVT_TIMER_MODE (LVT_PERIODIC | LVT_DEADLINE)
#define LVT_READ_ONLY  (LVT_STATUS | LVT_REMOTE_IRR)

#define LVT_VALID	(VECTOR_MASK | LVT_STATUS | LVT_MASKED)
#define LVT_VALID_TIMER (LVT_VALID | LVT_TIMER_MODE)
#define LVT_VALID_MODE	(LVT_VALID | LVT_MODE)
#define LVT_VALID_LINT	(LVT_VALID_MODE | LVT_POLARITY | LVT_REMOTE_IRR | LVT_LEVEL)

#define ICR_VECTOR    BITS64(7, 0)
#define ICR_MODE      BITS64(10, 8)
#define ICR_LOGICAL   BIT64(11)
#define ICR_STATUS    BIT64(12) /* read-only, and always idle here */
#define ICR_ASSERT    BIT64(14)
#define ICR_LEVEL     BIT64(15)
#define ICR_SHORTHAND BITS64(19, 18)
#define ICR_VALID     (BITS64(12, 0) | ICR_ASSERT | ICR_LEVEL | ICR_SHORTHAND)

#define DIVIDE_HIGH BIT64(3)
#define DIVIDE_LOW  BITS64(1, 0)

#define APIC_BASE_VALID (APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE | APIC_BASE_ADDRESS)

#define MMIO_STRIDE	   16U
#define MSR_ICR		   (LAPIC_MSR_FIRST + REG_ICR)
#define REGS_PER_VECTORSET 8U

/* --- acceptance and priority --- */

static bool lapic_software_enabled(const struct lapic *l)
{
	return lapic_enabled(l) && (l->reg[REG_SVR] & SVR_ENABLE);
}

/* Notes an error; the first one after a write of ESR also interrupts, if the LVT entry says so. */
static void lapic_error(struct lapic *l, u32 error)
{
	u32 lvt = l->reg[REG_LVT_ERROR];
	u8 vector = (u8)field_get(VECTOR_MASK, lvt);
	bool first = !l->errors;

	l->errors |= error;
	if (!first || (lvt & LVT_MASKED))
		return;
	if (vector < VECTOR_FIRST)
		l->errors |= ESR_RECEIVE_VECTOR;
	else
		lapic_accept(l, vector, false);
}

bool lapic_accept(struct lapic *l, u8 vector, bool level)
{
	if (!lapic_software_enabled(l))
		return false;
	if (vector < VECTOR_FIRST) {
		lapic_error(l, ESR_RECEIVE_VECTOR);
		return false;
	}
	if (level)
		set_add(l->tmr, vector);
	else
		set_remove(l->tmr, vector);
	set_add(l->irr, vector);
	return true;
}

u8 lapic_ppr(const struct lapic *l)
{
	int serviced = set_highest(l->isr);
	u8 in_service = serviced < 0 ? 0 : (u8)((u32)serviced & PRIORITY);
	u8 tpr = (u8)l->reg[REG_TPR];

	return (tpr & PRIORITY) >= in_service ? tpr : in_service;
}

int lapic_pending(const struct lapic *l)
{
	int vector = set_highest(l->irr); /* none while disabled */

	if (vector < 0)
		return -1;
	return ((u32)vector & PRIORITY) > (lapic_ppr(l) & PRIORITY) ? vector : -1;
}

int lapic_requested(const struct lapic *l)
{
	int vector = set_highest(l->irr);
	int serviced = vector < 0 ? -1 : set_highest(l->isr);

	if (serviced < 0)
		return vector;
	return ((u32)vector & PRIORITY) > ((u32)serviced & PRIORITY) ? vector : -1;
}

void lapic_take(struct lapic *l, u8 vector)
{
	set_remove(l->irr, vector);
	set_add(l->isr, vector);
}

/* --- destinations and pins --- */

static u32 lapic_x2ldr(const struct lapic *l)
{
	return (l->id >> 4) << 16 | BIT32(l->id & 0xf);
}

static bool matches_logical(const struct lapic *l, u32 dest)
{
	u32 ldr = l->reg[REG_LDR];
	u64 mda = (u64)dest << 24;

	if (lapic_x2apic(l)) {
		ldr = lapic_x2ldr(l);
		return !((ldr ^ dest) & X2LDR_CLUSTER) && (ldr & dest & X2LDR_MEMBERS);
	}
	if (dest > 0xff)
		return false;
	switch (field_get(DFR_MODEL, l->reg[REG_DFR])) {
	case DFR_FLAT:
		return ldr & mda;
	case DFR_CLUSTER:
		return (!((ldr ^ mda) & LDR_CLUSTER) || !(~mda & LDR_CLUSTER)) &&
		       (ldr & mda & LDR_MEMBERS);
	default:
		return false;
	}
}

bool lapic_matches(const struct lapic *l, u32 dest, bool logical)
{
	if (!lapic_enabled(l))
		return false;
	if (dest == LAPIC_BROADCAST)
		return true;
	return logical ? matches_logical(l, dest) : dest == l->id;
}

static bool lint_delivers(const struct lapic *l, u32 reg, enum lapic_mode mode)
{
	u32 lvt = l->reg[reg];

	/* Without a local APIC the pins are INTR and NMI, and only the BSP's are connected. */
	if (!lapic_enabled(l))
		return l->base & APIC_BASE_BSP;
	return !(lvt & LVT_MASKED) && field_get(LVT_MODE, lvt) == (u64)mode;
}

bool lapic_takes_extint(const struct lapic *l)
{
	return lint_delivers(l, REG_LVT_LINT0, LAPIC_EXTINT);
}

bool lapic_takes_nmi(const struct lapic *l)
{
	return lint_delivers(l, REG_LVT_LINT1, LAPIC_NMI);
}

/* --- the timer --- */

static bool timer_in_deadline_mode(const struct lapic *l)
{
	return (l->reg[REG_LVT_TIMER] & LVT_TIMER_MODE) == LVT_DEADLINE;
}

static bool timer_in_periodic_mode(const struct lapic *l)
{
	return (l->reg[REG_LVT_TIMER] & LVT_TIMER_MODE) == LVT_PERIODIC;
}

/* A timer tick is this power of two of TSC ticks. The encoding 7 divides by 1, 0 by 2, 6 by 128. */
static unsigned timer_tick_shift(const struct lapic *l)
{
	u32 divide = l->reg[REG_DIVIDE];
	u64 code = field_get(DIVIDE_HIGH, divide) << 2 | field_get(DIVIDE_LOW, divide);

	return LAPIC_CLOCK_SHIFT + (((unsigned)code + 1) & 7);
}

/* TSC ticks from the initial count to zero: below 2^42, so sums with it cannot pass for the past.
 */
static u64 timer_period(const struct lapic *l)
{
	u64 period = (u64)l->reg[REG_INITIAL_COUNT] << timer_tick_shift(l);

	return timer_in_periodic_mode(l) ? max_u64(period, LAPIC_PERIOD_MIN) : period;
}

/* The TSC may wrap under a counting timer, but a deadline is compared as a plain number. */
static u64 timer_left(const struct lapic *l, u64 now)
{
	if (timer_in_deadline_mode(l))
		return now >= l->deadline ? 0 : l->deadline - now;
	return (s64)(l->deadline - now) <= 0 ? 0 : l->deadline - now;
}

void lapic_timer_expire(struct lapic *l, u64 now)
{
	u32 lvt = l->reg[REG_LVT_TIMER];

	if (!l->armed || timer_left(l, now))
		return;
	if (timer_in_periodic_mode(l)) {
		u64 period = timer_period(l);

		l->deadline += ((now - l->deadline) / period + 1) * period;
	} else {
		l->armed = false;
	}
	if (!(lvt & LVT_MASKED))
		lapic_accept(l, (u8)field_get(VECTOR_MASK, lvt), false);
}

u64 lapic_timer_delay(const struct lapic *l, u64 now)
{
	if (!l->armed || (l->reg[REG_LVT_TIMER] & LVT_MASKED))
		return LAPIC_NEVER;
	return timer_left(l, now);
}

void lapic_tsc_jump(struct lapic *l, u64 delta)
{
	if (!timer_in_deadline_mode(l))
		l->deadline += delta;
}

static u32 timer_current_count(const struct lapic *l, u64 now)
{
	unsigned shift = timer_tick_shift(l);
	u64 left;

	if (!l->armed || timer_in_deadline_mode(l))
		return 0;
	left = timer_left(l, now);
	if (!left && timer_in_periodic_mode(l)) /* due, but not yet expired */
		left = timer_period(l) - (now - l->deadline) % timer_period(l);
	return (u32)min_u64((left + BIT64(shift) - 1) >> shift, l->reg[REG_INITIAL_COUNT]);
}

u64 lapic_tsc_deadline_read(const struct lapic *l, u64 now)
{
	return timer_in_deadline_mode(l) && l->armed && timer_left(l, now) ? l->deadline : 0;
}

void lapic_tsc_deadline_write(struct lapic *l, u64 value, u64 now, struct lapic_effect *effect)
{
	*effect = (struct lapic_effect){ 0 };
	if (!timer_in_deadline_mode(l))
		return;
	lapic_timer_expire(l, now);
	l->armed = value != 0;
	l->deadline = value;
	lapic_timer_expire(l, now);
	effect->what |= LAPIC_EFFECT_TIMER;
}

/* --- writes with consequences --- */

/* One register write: its number, the value (existing bits only), and when. */
struct reg_write {
	u32 reg, value;
	u64 now;
	struct lapic_effect *effect;
};

static void write_eoi(struct lapic *l, const struct reg_write *w)
{
	int vector = set_highest(l->isr);

	if (vector < 0)
		return;
	set_remove(l->isr, (u8)vector);
	if (!set_has(l->tmr, (u8)vector))
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
	lapic_timer_expire(l, w->now);
	l->reg[REG_SVR] = w->value;
	if (w->value & SVR_ENABLE)
		return;
	for (u32 reg = LVT_FIRST; reg <= LVT_LAST; reg++)
		l->reg[reg] |= LVT_MASKED;
	w->effect->what |= LAPIC_EFFECT_TIMER;
}

static void write_esr(struct lapic *l, const struct reg_write *w)
{
	(void)w;
	l->reg[REG_ESR] = l->errors;
	l->errors = 0;
}

static void write_lvt(struct lapic *l, const struct reg_write *w)
{
	l->reg[w->reg] = w->value & (u32)~LVT_READ_ONLY;
	if (!(l->reg[REG_SVR] & SVR_ENABLE))
		l->reg[w->reg] |= LVT_MASKED;
}

/* What came due before the write happens under the old settings. */
static void write_lvt_timer(struct lapic *l, const struct reg_write *w)
{
	u32 old = l->reg[REG_LVT_TIMER];

	lapic_timer_expire(l, w->now);
	write_lvt(l, w);
	/* One-shot and periodic count on into each other; any other change of mode disarms. */
	if (((old ^ w->value) & LVT_TIMER_MODE) && ((old | w->value) & LVT_DEADLINE))
		l->armed = false;
	w->effect->what |= LAPIC_EFFECT_TIMER;
}

static void write_initial_count(struct lapic *l, const struct reg_write *w)
{
	if (l->reg[REG_LVT_TIMER] & LVT_DEADLINE)
		return;
	lapic_timer_expire(l, w->now);
	l->reg[REG_INITIAL_COUNT] = w->value;
	l->armed = w->value != 0;
	l->deadline = w->now + timer_period(l);
	w->effect->what |= LAPIC_EFFECT_TIMER;
}

/* The count stays where it is and goes on at the new rate. */
static void write_divide(struct lapic *l, const struct reg_write *w)
{
	u64 count;

	lapic_timer_expire(l, w->now);
	count = timer_current_count(l, w->now);
	l->reg[REG_DIVIDE] = w->value;
	if (!timer_in_deadline_mode(l))
		l->deadline = w->now + (count << timer_tick_shift(l));
	w->effect->what |= LAPIC_EFFECT_TIMER;
}

/* The combinations that a local APIC sends; it ignores the others. */
static bool ipi_sendable(const struct lapic_ipi *ipi, u32 icr)
{
	bool to_self = ipi->shorthand == LAPIC_TO_SELF || ipi->shorthand == LAPIC_TO_ALL;

	switch (ipi->mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
	case LAPIC_SMI:
	case LAPIC_NMI:
		return true;
	case LAPIC_INIT: /* level de-assert only synchronised arbitration ids, long ago */
		return !to_self && (!(icr & ICR_LEVEL) || (icr & ICR_ASSERT));
	case LAPIC_STARTUP:
		return !to_self;
	default:
		return false;
	}
}

static void ipi_send(struct lapic *l, const struct lapic_ipi *ipi, struct lapic_effect *effect)
{
	if (ipi->mode <= LAPIC_LOWEST && ipi->vector < VECTOR_FIRST) {
		lapic_error(l, ESR_SEND_VECTOR);
		return;
	}
	if (ipi->mode <= LAPIC_LOWEST && ipi->shorthand == LAPIC_TO_SELF) {
		lapic_accept(l, ipi->vector, false);
		return;
	}
	effect->what |= LAPIC_EFFECT_IPI;
	effect->ipi = *ipi;
}

static void write_icr(struct lapic *l, const struct reg_write *w)
{
	u32 high = l->reg[REG_ICR_HIGH];
	struct lapic_ipi ipi = {
		.dest = lapic_x2apic(l) ? high : lapic_dest_from_u8((u8)(high >> 24)),
		.vector = (u8)field_get(ICR_VECTOR, w->value),
		.mode = (u8)field_get(ICR_MODE, w->value),
		.shorthand = (u8)field_get(ICR_SHORTHAND, w->value),
		.logical = w->value & ICR_LOGICAL,
	};

	l->reg[REG_ICR] = w->value & (u32)~ICR_STATUS;
	if (ipi_sendable(&ipi, w->value))
		ipi_send(l, &ipi, w->effect);
}

static void write_self_ipi(struct lapic *l, const struct reg_write *w)
{
	struct lapic_ipi ipi = { .vector = (u8)w->value, .shorthand = LAPIC_TO_SELF };

	ipi_send(l, &ipi, w->effect);
}

/* --- the register table --- */

#define R  BIT32(0) /* readable in xAPIC mode */
#define W  BIT32(1)
#define R2 BIT32(2) /* readable in x2APIC mode */
#define W2 BIT32(3)
#define RW (R | W | R2 | W2)

struct reg_row {
	u32 access;
	u32 valid; /* bits that exist: others are ignored (xAPIC) or #GP (x2APIC) */
	void (*write)(struct lapic *l, const struct reg_write *w); /* NULL: just keep the value */
};

static const struct reg_row reg_rows[LAPIC_REGS] = {
	/* The id can be written on some processors; here, as on most, it cannot. */
	[REG_ID] = { R | R2, 0, NULL },
	[REG_VERSION] = { R | R2, 0, NULL },
	[REG_TPR] = { RW, 0xff, NULL },
	[REG_APR] = { R, 0, NULL },
	[REG_PPR] = { R | R2, 0, NULL },
	[REG_EOI] = { W | W2, 0, write_eoi },
	[REG_RRD] = { R, 0, NULL },
	[REG_LDR] = { R | W | R2, (u32)ID_XAPIC, NULL },
	[REG_DFR] = { R | W, (u32)DFR_MODEL, write_dfr },
	[REG_SVR] = { RW, SVR_VALID, write_svr },
	[REG_ISR... REG_ISR + 7] = { R | R2, 0, NULL },
	[REG_TMR... REG_TMR + 7] = { R | R2, 0, NULL },
	[REG_IRR... REG_IRR + 7] = { R | R2, 0, NULL },
	[REG_ESR] = { RW, 0, write_esr },
	[REG_ICR] = { RW, ICR_VALID, write_icr },
	[REG_ICR_HIGH] = { R | W, (u32)ID_XAPIC, NULL },
	[REG_LVT_TIMER] = { RW, LVT_VALID_TIMER, write_lvt_timer },
	[REG_LVT_THERMAL] = { RW, LVT_VALID_MODE, write_lvt },
	[REG_LVT_PERF] = { RW, LVT_VALID_MODE, write_lvt },
	[REG_LVT_LINT0] = { RW, LVT_VALID_LINT, write_lvt },
	[REG_LVT_LINT1] = { RW, LVT_VALID_LINT, write_lvt },
	[REG_LVT_ERROR] = { RW, LVT_VALID, write_lvt },
	[REG_INITIAL_COUNT] = { RW, UINT32_MAX, write_initial_count },
	[REG_CURRENT_COUNT] = { R | R2, 0, NULL },
	[REG_DIVIDE] = { RW, DIVIDE_HIGH | DIVIDE_LOW, write_divide },
	[REG_SELF_IPI] = { W2, VECTOR_MASK, write_self_ipi },
};

static_assert(REG_TPR == 0x08, "lapic_cr8_get and _set know TPR's number");
static_assert(LVT_LAST - LVT_FIRST + 1 == (VERSION_VALUE >> 16) + 1, "version counts LVT entries");
static_assert(REG_ISR + REGS_PER_VECTORSET == REG_TMR, "vector sets follow each other");
static_assert(REG_TMR + REGS_PER_VECTORSET == REG_IRR, "vector sets follow each other");

static u32 reg_read(const struct lapic *l, u32 reg, u64 now)
{
	switch (reg) {
	case REG_ID:
		return lapic_x2apic(l) ? l->id : l->id << 24;
	case REG_VERSION:
		return VERSION_VALUE;
	case REG_PPR:
		return lapic_ppr(l);
	case REG_LDR:
		return lapic_x2apic(l) ? lapic_x2ldr(l) : l->reg[REG_LDR];
	case REG_ISR ... REG_ISR + 7:
		return set_word(l->isr, reg - REG_ISR);
	case REG_TMR ... REG_TMR + 7:
		return set_word(l->tmr, reg - REG_TMR);
	case REG_IRR ... REG_IRR + 7:
		return set_word(l->irr, reg - REG_IRR);
	case REG_CURRENT_COUNT:
		return timer_current_count(l, now);
	default:
		return l->reg[reg];
	}
}

static void reg_write(struct lapic *l, const struct reg_write *w)
{
	const struct reg_row *row = &reg_rows[w->reg];

	if (row->write)
		row->write(l, w);
	else
		l->reg[w->reg] = w->value;
}

/* --- x2APIC mode --- */

static const struct reg_row *msr_row(const struct lapic *l, u32 index)
{
	static const struct reg_row no_access;
	u32 reg = index - LAPIC_MSR_FIRST;

	return lapic_x2apic(l) && reg < LAPIC_REGS ? &reg_rows[reg] : &no_access;
}

bool lapic_msr_read(const struct lapic *l, u32 index, u64 now, u64 *value)
{
	if (!(msr_row(l, index)->access & R2))
		return false;
	*value = reg_read(l, index - LAPIC_MSR_FIRST, now);
	if (index == MSR_ICR)
		*value |= (u64)l->reg[REG_ICR_HIGH] << 32;
	return true;
}

bool lapic_msr_write(struct lapic *l, u32 index, u64 value, u64 now, struct lapic_effect *effect)
{
	const struct reg_row *row = msr_row(l, index);
	struct reg_write w = { index - LAPIC_MSR_FIRST, (u32)value, now, effect };
	u64 valid = index == MSR_ICR ? row->valid | BITS64(63, 32) : row->valid;

	*effect = (struct lapic_effect){ 0 };
	if (!(row->access & W2) || (value & ~valid))
		return false;
	if (index == MSR_ICR)
		l->reg[REG_ICR_HIGH] = (u32)(value >> 32);
	reg_write(l, &w);
	return true;
}

/* --- xAPIC mode --- */

/* The row of an offset, or NULL when nothing is there, which counts as an error. */
static const struct reg_row *mmio_row(struct lapic *l, u32 offset)
{
	u32 reg = offset / MMIO_STRIDE;

	if (!lapic_enabled(l) || lapic_x2apic(l))
		return NULL;
	if (reg < LAPIC_REGS && (reg_rows[reg].access & (R | W)))
		return &reg_rows[reg];
	lapic_error(l, ESR_REGISTER);
	return NULL;
}

u32 lapic_mmio_read(struct lapic *l, u32 offset, u64 now)
{
	const struct reg_row *row;

	if (!lapic_enabled(l) || lapic_x2apic(l))
		return UINT32_MAX;
	row = mmio_row(l, offset);
	if (!row || !(row->access & R) || offset % MMIO_STRIDE)
		return 0;
	return reg_read(l, offset / MMIO_STRIDE, now);
}

void lapic_mmio_write(struct lapic *l, u32 offset, u32 value, u64 now, struct lapic_effect *effect)
{
	const struct reg_row *row = mmio_row(l, offset);
	struct reg_write w = { offset / MMIO_STRIDE, value, now, effect };

	*effect = (struct lapic_effect){ 0 };
	if (!row || !(row->access & W) || offset % MMIO_STRIDE)
		return;
	w.value &= row->valid;
	reg_write(l, &w);
}

/* --- modes and reset --- */

void lapic_reset(struct lapic *l)
{
	u64 base = l->base;
	u32 id = l->id;

	*l = (struct lapic){ .base = base, .id = id };
	l->reg[REG_DFR] = UINT32_MAX;
	l->reg[REG_SVR] = SVR_RESET;
	for (u32 reg = LVT_FIRST; reg <= LVT_LAST; reg++)
		l->reg[reg] = LVT_MASKED;
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

/* x2APIC mode is reached from xAPIC mode only, and left only to "disabled". */
static bool base_change_legal(u64 from, u64 to)
{
	bool from_x2apic = from & APIC_BASE_X2APIC;
	bool to_x2apic = to & APIC_BASE_X2APIC;

	if (to_x2apic)
		return (from & APIC_BASE_ENABLE) && (to & APIC_BASE_ENABLE);
	return !from_x2apic || !(to & APIC_BASE_ENABLE);
}

bool lapic_base_write(struct lapic *l, u64 value, struct lapic_effect *effect)
{
	u64 from = l->base;

	*effect = (struct lapic_effect){ 0 };
	if ((value & ~APIC_BASE_VALID) || (value & APIC_BASE_ADDRESS) != LAPIC_BASE_ADDRESS ||
	    !base_change_legal(from, value))
		return false;
	l->base = value;
	if (!(value & APIC_BASE_ENABLE)) { /* what it held is lost when it is enabled again */
		lapic_reset(l);
		effect->what |= LAPIC_EFFECT_TIMER;
	} else if ((from ^ value) & APIC_BASE_X2APIC) {
		l->reg[REG_ICR_HIGH] = 0;
	}
	return true;
}
