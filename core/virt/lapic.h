/*
 * The local APIC of a virtual processor: registers in xAPIC (memory-mapped) and x2APIC (MSR) mode,
 * interrupt priority, the timer. Pure: time comes in as the guest's TSC, consequences go out as a
 * struct lapic_effect, and the caller serialises all calls on one local APIC.
 * The registers are one page of the architecture's layout, so that a processor with APIC
 * virtualization can work on the same page. SDM and APM, "Advanced Programmable Interrupt
 * Controller (APIC)".
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/apic.h"
#include "lib/x86/registers.h"

#define LAPIC_BASE_ADDRESS 0xfee00000ULL
#define LAPIC_TPR	   (APIC_TPR / 4)
#define LAPIC_TMR	   (0x180 / 4)
#define LAPIC_NEVER	   UINT64_MAX
#define LAPIC_BROADCAST	   UINT32_MAX

/* One tick of the timer's input clock lasts this power of two of TSC ticks. */
#define LAPIC_CLOCK_SHIFT 2U
/* A periodic timer never runs faster than this, in TSC ticks, so that it cannot hog a processor. */
#define LAPIC_PERIOD_MIN BIT64(17)

struct lapic {
	u64 base; /* IA32_APIC_BASE */
	u32 id;
	u32 errors; /* since the last write of ESR, which moves them there */
	/* Where bit n is clear, word n of IRR or ISR is zero; set, it need not be otherwise. */
	u32 irr_words, isr_words;
	bool tmr_changed; /* a back end with a copy of TMR resets it */
	bool armed;
	/* The timer's settings in force; the page may have newer ones, see lapic_written(). */
	u32 timer_lvt, timer_count, timer_shift;
	u64 deadline; /* guest TSC of the next expiry, while armed */
	u32 reg[PAGE_SIZE / 4] ALIGNED(PAGE_SIZE);
};

/* An interprocessor interrupt to deliver; always edge-triggered. */
struct lapic_ipi {
	u32 dest;     /* LAPIC_BROADCAST, or an id or logical mask for lapic_matches() */
	u8 vector;    /* of STARTUP: the page where the processor starts */
	u8 mode;      /* enum lapic_mode: FIXED, LOWEST, SMI, NMI, INIT or STARTUP */
	u8 shorthand; /* enum lapic_shorthand, never LAPIC_TO_SELF with FIXED (done inside) */
	bool logical;
};

#define LAPIC_EFFECT_IPI   BIT32(0) /* deliver `ipi` */
#define LAPIC_EFFECT_EOI   BIT32(1) /* tell the I/O APIC: level-triggered `eoi_vector` is done */
#define LAPIC_EFFECT_TIMER BIT32(2) /* the timer changed: ask lapic_timer_delay() again */

/* What an access asks of the caller. Any access may also change lapic_pending(). */
struct lapic_effect {
	u32 what; /* LAPIC_EFFECT_*, which say what of the rest is valid */
	u8 eoi_vector;
	struct lapic_ipi ipi;
};

/* Power-up: xAPIC mode, software-disabled. */
void lapic_init(struct lapic *l, u32 id, bool bsp);
/* INIT signal: as power-up, but IA32_APIC_BASE (hence the mode) and the id stay; no timer runs. */
void lapic_reset(struct lapic *l);
/* What firmware leaves to a kernel, for VMs without: enabled, 8259 on LINT0, NMI on LINT1. */
void lapic_set_virtual_wire(struct lapic *l);

static inline u32 lapic_mode(const struct lapic *l)
{
	return (u32)field_get(APIC_BASE_MODE, l->base);
}

static inline bool lapic_enabled(const struct lapic *l)
{
	return l->base & APIC_BASE_ENABLE;
}

static inline bool lapic_x2apic(const struct lapic *l)
{
	return l->base & APIC_BASE_X2APIC;
}

/*
 * Register access. `now` is the guest's TSC. False means that the access takes #GP(0) and changed
 * nothing. MSR indices are those of x2APIC mode; MMIO offsets run from 0 to 0xfff, 32 bits wide,
 * and have an effect only in xAPIC mode (elsewhere: reads of ones).
 */
MUST_USE bool lapic_msr_read(const struct lapic *l, u32 index, u64 now, u64 *value);
MUST_USE bool lapic_msr_write(struct lapic *l, u32 index, u64 value, u64 now,
			      struct lapic_effect *effect);
u32 lapic_mmio_read(struct lapic *l, u32 offset, u64 now);
void lapic_mmio_write(struct lapic *l, u32 offset, u32 value, u64 now, struct lapic_effect *effect);
/*
 * A processor with APIC virtualization has written the register at `offset` of the page: does what
 * comes of it. Bits that do not exist vanish, and a register that cannot be written is put right.
 */
void lapic_written(struct lapic *l, u32 offset, u64 now, struct lapic_effect *effect);
/* Whether what a RDMSR returns is what the page holds. */
bool lapic_msr_is_in_page(u32 index);
/* IA32_APIC_BASE: only legal mode changes, and the base address cannot move. Reads: l->base. */
MUST_USE bool lapic_base_write(struct lapic *l, u64 value, struct lapic_effect *effect);
/* IA32_TSC_DEADLINE: zero and ignored outside the timer's TSC-deadline mode. */
u64 lapic_tsc_deadline_read(const struct lapic *l, u64 now);
void lapic_tsc_deadline_write(struct lapic *l, u64 value, u64 now, struct lapic_effect *effect);

/* CR8 is the upper half of TPR. */
static inline u8 lapic_cr8_get(const struct lapic *l)
{
	return (u8)(l->reg[LAPIC_TPR] >> 4);
}

static inline void lapic_cr8_set(struct lapic *l, u8 cr8)
{
	l->reg[LAPIC_TPR] = (u32)(cr8 & 0xf) << 4;
}

/* Whether software has enabled it: else it takes no interrupts, and no part in arbitration. */
bool lapic_accepts(const struct lapic *l);
/*
 * A fixed or lowest-priority interrupt arrives. False when it is not accepted: local APIC disabled,
 * or vector below 16 (which counts as an error).
 */
bool lapic_accept(struct lapic *l, u8 vector, bool level);
/* A processor that delivers interrupts itself ran: IRR and ISR may have changed in the page, and
 * these are the highest vectors there now; 0: none. */
static inline void lapic_vectors_changed(struct lapic *l, u8 requested, u8 serviced)
{
	l->irr_words = requested ? (2U << requested / 32) - 1 : 0;
	l->isr_words = serviced ? (2U << serviced / 32) - 1 : 0;
}

/* The highest vector of IRR and of ISR, or -1. */
int lapic_irr_highest(const struct lapic *l);
int lapic_isr_highest(const struct lapic *l);
/* The vector to inject now, or -1: the highest requested one whose class is above PPR's. */
int lapic_pending(const struct lapic *l);
/* The same, as if TPR were zero: what may go in as soon as TPR allows. */
int lapic_requested(const struct lapic *l);
/* The processor takes `vector`, which lapic_pending() returned: from IRR to ISR. */
void lapic_take(struct lapic *l, u8 vector);
/* Undoes that: the processor took `vector` from the page, but an exit came before its handler. */
void lapic_give_back(struct lapic *l, u8 vector);
/* Also decides lowest-priority arbitration: the lower one wins. */
u8 lapic_ppr(const struct lapic *l);
/* Whether this processor takes the 8259's interrupt. */
bool lapic_takes_extint(const struct lapic *l);

/* Destinations of xAPIC, I/O APIC and MSI messages have 8 bits, of which all ones is broadcast. */
static inline u32 lapic_dest_from_u8(u8 dest)
{
	return dest == 0xff ? LAPIC_BROADCAST : dest;
}

/* Whether a message with this (widened) destination is for this local APIC. */
bool lapic_matches(const struct lapic *l, u32 dest, bool logical);

/* TSC ticks until the timer must be expired; 0: now; LAPIC_NEVER: no interrupt will come of it. */
u64 lapic_timer_delay(const struct lapic *l, u64 now);
/*
 * Expires the timer if its time has come; harmless when early. A periodic timer stays on its grid,
 * and periods that were missed give one interrupt.
 */
void lapic_timer_expire(struct lapic *l, u64 now);
/* The guest's TSC jumps by `delta`; counting timers must not notice. Ask for the delay again. */
void lapic_tsc_jump(struct lapic *l, u64 delta);
