/* Tests of the local APIC: registers in both modes, priority, destinations, errors, the timer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/virt/lapic.h"

/* MMIO offsets as the manual's register map prints them. */
#define ID	0x20U
#define VERSION 0x30U
#define TPR	0x80U
#define PPR	0xa0U
#define EOI	0xb0U
#define LDR	0xd0U
#define DFR	0xe0U
#define SVR	0xf0U
#define ISR	0x100U
#define TMR	0x180U
#define IRR	0x200U
#define ESR	0x280U
#define CMCI	0x2f0U
#define ICR	0x300U
#define ICRH	0x310U
#define TIMER	0x320U
#define THERMAL 0x330U
#define PERF	0x340U
#define LINT0	0x350U
#define LINT1	0x360U
#define LVTERR	0x370U
#define INITIAL 0x380U
#define CURRENT 0x390U
#define DIVIDE	0x3e0U
#define SELF	0x3f0U

#define MASKED	 BIT32(16)
#define PERIODIC BIT32(17)
#define DEADLINE BIT32(18)
#define BY_1	 0xbU
#define TICK	 BIT64(LAPIC_CLOCK_SHIFT) /* TSC ticks of one count when divided by 1 */

static struct lapic apic;
static struct lapic_effect effect;
static u64 now;

static void w(u32 offset, u32 value)
{
	lapic_mmio_write(&apic, offset, value, now, &effect);
}

static u32 r(u32 offset)
{
	return lapic_mmio_read(&apic, offset, now);
}

static bool w2(u32 offset, u64 value)
{
	return lapic_msr_write(&apic, MSR_IA32_X2APIC_FIRST + offset / 16, value, now, &effect);
}

static u64 r2(u32 offset)
{
	u64 value = 0xdead;

	assert_true(lapic_msr_read(&apic, MSR_IA32_X2APIC_FIRST + offset / 16, now, &value));
	return value;
}

static bool readable2(u32 offset)
{
	u64 value;

	return lapic_msr_read(&apic, MSR_IA32_X2APIC_FIRST + offset / 16, now, &value);
}

/* An enabled local APIC with id 5 in xAPIC mode. */
static int xapic(void **state)
{
	(void)state;
	now = 1000000;
	lapic_init(&apic, 5, true);
	w(SVR, 0x1ff);
	return 0;
}

static int x2apic(void **state)
{
	xapic(state);
	return lapic_base_write(&apic, apic.base | APIC_BASE_X2APIC, &effect) ? 0 : -1;
}

static void power_up_state(void **state)
{
	(void)state;
	lapic_init(&apic, 5, true);
	assert_int_equal(apic.base, 0xfee00900);
	assert_int_equal(r(ID), 5U << 24);
	assert_int_equal(r(VERSION), 0x50014);
	assert_int_equal(r(SVR), 0xff);
	assert_int_equal(r(DFR), 0xffffffff);
	for (u32 lvt = TIMER; lvt <= LVTERR; lvt += 16)
		assert_int_equal(r(lvt), MASKED);
	assert_false(lapic_accept(&apic, 0x40, false)); /* software-disabled */
	assert_int_equal(lapic_pending(&apic), -1);
	lapic_init(&apic, 1, false);
	assert_int_equal(apic.base, 0xfee00800);
}

static void init_keeps_mode_and_id(void **state)
{
	(void)state;
	assert_true(w2(TPR, 0x20));
	assert_true(w2(TIMER, 0x40));
	assert_true(w2(INITIAL, 100));
	assert_true(lapic_accept(&apic, 0x40, true));
	lapic_reset(&apic);
	assert_true(lapic_x2apic(&apic));
	assert_int_equal(r2(ID), 5);
	assert_int_equal(r2(TPR), 0);
	assert_int_equal(r2(TIMER), MASKED);
	assert_int_equal(r2(IRR + 0x20), 0);
	assert_int_equal(r2(TMR + 0x20), 0);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
}

static void virtual_wire_connects_the_pic(void **state)
{
	(void)state;
	lapic_init(&apic, 0, true);
	assert_false(lapic_takes_extint(&apic));
	lapic_set_virtual_wire(&apic);
	assert_true(lapic_takes_extint(&apic));
	assert_int_equal(r(LINT0), 0x700);
	assert_int_equal(r(LINT1), 0x400);
	w(LINT0, 0x10700);
	assert_false(lapic_takes_extint(&apic));
	w(LINT0, 0x00020); /* fixed: not the 8259's vector */
	assert_false(lapic_takes_extint(&apic));
	assert_true(lapic_base_write(&apic, 0xfee00100, &effect));
	assert_true(lapic_takes_extint(&apic));
	assert_true(lapic_base_write(&apic, 0xfee00000, &effect));
	assert_false(lapic_takes_extint(&apic)); /* not the BSP: the pin is not connected */
}

static void base_transitions(void **state)
{
	static const u64 mode[] = { 0, APIC_BASE_ENABLE, APIC_BASE_ENABLE | APIC_BASE_X2APIC,
				    APIC_BASE_X2APIC };
	static const bool legal[4][4] = {
		/* to disabled, xAPIC, x2APIC, invalid */
		{ true, true, false, false },
		{ true, true, true, false },
		{ true, false, true, false },
	};

	(void)state;
	for (u32 from = 0; from < 3; from++)
		for (u32 to = 0; to < 4; to++) {
			lapic_init(&apic, 0, false);
			apic.base = LAPIC_BASE_ADDRESS | mode[from];
			assert_int_equal(
				lapic_base_write(&apic, LAPIC_BASE_ADDRESS | mode[to], &effect),
				legal[from][to]);
			assert_int_equal(apic.base,
					 LAPIC_BASE_ADDRESS | mode[legal[from][to] ? to : from]);
		}
}

static void base_refuses_moves_and_reserved_bits(void **state)
{
	(void)state;
	assert_false(lapic_base_write(&apic, 0xfee01900, &effect));
	assert_false(lapic_base_write(&apic, 0x1fee00900, &effect));
	assert_false(lapic_base_write(&apic, 0xfee00901, &effect));
	assert_false(lapic_base_write(&apic, 0xfee00b00, &effect));
	assert_false(lapic_base_write(&apic, 0xfee00900 | BIT64(52), &effect));
	assert_int_equal(apic.base, 0xfee00900);
	assert_true(lapic_base_write(&apic, 0xfee00900, &effect));
}

static void disabling_forgets_everything(void **state)
{
	(void)state;
	w(TPR, 0x30);
	w(TIMER, 0x50);
	w(INITIAL, 100);
	assert_true(lapic_accept(&apic, 0x40, false));
	assert_true(lapic_base_write(&apic, 0xfee00100, &effect));
	assert_int_equal(effect.what, LAPIC_EFFECT_TIMER);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	assert_int_equal(lapic_pending(&apic), -1);
	assert_false(lapic_matches(&apic, 5, false));
	assert_false(lapic_matches(&apic, LAPIC_BROADCAST, false));
	assert_int_equal(r(TPR), 0xffffffff); /* nothing answers there */
	assert_true(lapic_base_write(&apic, 0xfee00900, &effect));
	assert_int_equal(r(TPR), 0);
	assert_int_equal(r(SVR), 0xff);
}

static void xapic_ignores_what_is_reserved(void **state)
{
	(void)state;
	w(ID, 0xffffffff);
	assert_int_equal(r(ID), 5U << 24);
	w(VERSION, 0);
	assert_int_equal(r(VERSION), 0x50014);
	w(TPR, 0xffffff31);
	assert_int_equal(r(TPR), 0x31);
	w(LDR, 0xffffffff);
	assert_int_equal(r(LDR), 0xff000000);
	w(DFR, 0);
	assert_int_equal(r(DFR), 0x0fffffff);
	w(SVR, 0xffffffff);
	assert_int_equal(r(SVR), 0x1ff);
	w(TIMER, 0xffffffff);
	assert_int_equal(r(TIMER), 0x700ff);
	w(LINT0, 0xffffffff);
	assert_int_equal(r(LINT0), 0x1a7ff);
	w(LVTERR, 0xffffffff);
	assert_int_equal(r(LVTERR), 0x100ff);
	w(DIVIDE, 0xffffffff);
	assert_int_equal(r(DIVIDE), 0xb);
	w(ICRH, 0xffffffff);
	assert_int_equal(r(ICRH), 0xff000000);
	w(ICR, 0xfffff73f); /* a reserved delivery mode: sends nothing */
	assert_int_equal(r(ICR), 0x000cc73f & ~0x1000U);
	assert_int_equal(effect.what, 0);
	w(ESR, 0);
	assert_int_equal(r(ESR), 0);
}

static void xapic_misaligned_access_does_nothing(void **state)
{
	(void)state;
	w(TPR, 0x40);
	for (u32 byte = 1; byte < 16; byte++) {
		w(TPR + byte, 0x10);
		assert_int_equal(r(TPR + byte), 0);
	}
	assert_int_equal(r(TPR), 0x40);
}

static void illegal_register_is_an_error(void **state)
{
	static const u32 absent[] = { 0x00, 0x10, 0x40, CMCI, 0x3a0, SELF, 0x400, 0xff0 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_int_equal(r(absent[i]), 0);
		w(ESR, 0);
		assert_int_equal(r(ESR), 0x80);
		w(absent[i], 1);
		assert_int_equal(r(ESR), 0x80); /* latched until the next write */
		w(ESR, 0);
		assert_int_equal(r(ESR), 0x80);
		w(ESR, 0);
		assert_int_equal(r(ESR), 0);
	}
	(void)r(EOI); /* write-only, but there */
	w(ESR, 0);
	assert_int_equal(r(ESR), 0);
}

static void x2apic_reserved_bits_fault(void **state)
{
	static const struct {
		u32 reg;
		u64 value;
	} bad[] = {
		{ TPR, 0x100 },	    { TPR, BIT64(32) },
		{ EOI, 1 },	    { SVR, 0x3ff },
		{ SVR, 0x11ff },    { ESR, 1 },
		{ ICR, BIT64(13) }, { ICR, BIT64(16) },
		{ ICR, BIT64(20) }, { TIMER, BIT64(19) },
		{ TIMER, 0x100 },   { LINT0, BIT64(11) },
		{ LVTERR, 0x100 },  { INITIAL, BIT64(32) },
		{ DIVIDE, 4 },	    { SELF, 0x100 },
		{ LDR, 0 },	    { DFR, 0 },
		{ ID, 5 },	    { VERSION, 0 },
		{ PPR, 0 },	    { ISR, 0 },
		{ IRR + 0x70, 0 },  { CURRENT, 0 },
		{ CMCI, MASKED },   { ICRH, 0 },
		{ 0, 0 },	    { 0x400, 0 },
		{ 0xff0, 0 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct lapic before = apic;

		assert_false(w2(bad[i].reg, bad[i].value));
		assert_int_equal(effect.what, 0);
		assert_memory_equal(&before, &apic, sizeof(apic));
	}
	assert_false(readable2(EOI));
	assert_false(readable2(SELF));
	assert_false(readable2(DFR));
	assert_false(readable2(ICRH));
	assert_false(readable2(0x90));
	assert_false(readable2(0xc0));
	assert_false(readable2(CMCI));
	assert_false(readable2(0x400));
	assert_true(w2(TIMER, 0x71000)); /* read-only bits may be set */
}

static void msrs_need_x2apic_mode(void **state)
{
	(void)state;
	assert_false(readable2(ID));
	assert_false(w2(TPR, 0));
	w(TPR, 0x30);
	w(ICRH, 0x05000000);
	w(ICR, 0x4400);
	assert_true(lapic_base_write(&apic, apic.base | APIC_BASE_X2APIC, &effect));
	assert_true(readable2(ID));
	assert_int_equal(r(ID), 0xffffffff);
	w(TPR, 0x50);
	assert_int_equal(r2(TPR), 0x30);
	assert_int_equal(r2(ICR), 0x4400); /* the destination has another shape here */
}

static void x2apic_id_and_ldr(void **state)
{
	(void)state;
	lapic_init(&apic, 0x123, false);
	assert_true(lapic_base_write(&apic, apic.base | APIC_BASE_X2APIC, &effect));
	assert_int_equal(r2(ID), 0x123);
	assert_int_equal(r2(LDR), 0x00120008);
	assert_true(lapic_matches(&apic, 0x123, false));
	assert_false(lapic_matches(&apic, 0x23, false));
	assert_true(lapic_matches(&apic, 0x00120108, true));
	assert_false(lapic_matches(&apic, 0x00120107, true));
	assert_false(lapic_matches(&apic, 0x00130008, true));
	assert_false(lapic_matches(&apic, 0xff, false));
	assert_true(lapic_matches(&apic, lapic_dest_from_u8(0xff), false));
	assert_true(lapic_matches(&apic, LAPIC_BROADCAST, true));
}

static void xapic_destinations(void **state)
{
	(void)state;
	assert_true(lapic_matches(&apic, 5, false));
	assert_false(lapic_matches(&apic, 4, false));
	assert_false(lapic_matches(&apic, 0x105, false));
	assert_false(lapic_matches(&apic, 0xff, true)); /* LDR is 0 */
	w(LDR, 0x04000000);
	assert_true(lapic_matches(&apic, 0x06, true));
	assert_false(lapic_matches(&apic, 0x02, true));
	assert_false(lapic_matches(&apic, 0x104, true));
	w(DFR, 0x0fffffff);
	w(LDR, 0x24000000); /* cluster 2, member 4 */
	assert_true(lapic_matches(&apic, 0x2c, true));
	assert_false(lapic_matches(&apic, 0x2b, true));
	assert_false(lapic_matches(&apic, 0x34, true));
	assert_true(lapic_matches(&apic, 0xf4, true)); /* all clusters */
	assert_false(lapic_matches(&apic, 0xf8, true));
	w(DFR, 0x7fffffff); /* a model that does not exist */
	assert_false(lapic_matches(&apic, 0x24, true));
}

static void priority_order(void **state)
{
	(void)state;
	assert_true(lapic_accept(&apic, 0x31, false));
	assert_true(lapic_accept(&apic, 0xc5, false));
	assert_true(lapic_accept(&apic, 0x7f, false));
	assert_int_equal(r(IRR + 0x10), BIT32(0x11));
	assert_int_equal(r(IRR + 0x30), BIT32(31));
	assert_int_equal(r(IRR + 0x60), BIT32(5));
	assert_int_equal(lapic_pending(&apic), 0xc5);
	lapic_take(&apic, 0xc5);
	assert_int_equal(r(ISR + 0x60), BIT32(5));
	assert_int_equal(r(IRR + 0x60), 0);
	assert_int_equal(r(PPR), 0xc0);
	assert_int_equal(lapic_pending(&apic), -1);
	assert_true(lapic_accept(&apic, 0xcf, false)); /* same class: waits */
	assert_int_equal(lapic_pending(&apic), -1);
	assert_true(lapic_accept(&apic, 0xd0, false));
	assert_int_equal(lapic_pending(&apic), 0xd0);
	lapic_take(&apic, 0xd0);
	lapic_give_back(&apic, 0xd0); /* as if it had not been taken */
	assert_int_equal(r(ISR + 0x60), BIT32(5));
	assert_int_equal(r(PPR), 0xc0);
	assert_int_equal(lapic_pending(&apic), 0xd0);
	lapic_take(&apic, 0xd0);
	w(EOI, 0); /* the highest in service ends first */
	assert_int_equal(r(PPR), 0xc0);
	w(EOI, 0);
	assert_int_equal(lapic_pending(&apic), 0xcf);
	lapic_take(&apic, 0xcf);
	w(EOI, 0);
	w(TPR, 0x70);
	assert_int_equal(r(PPR), 0x70);
	assert_int_equal(lapic_pending(&apic), -1);
	w(TPR, 0x6f);
	assert_int_equal(lapic_pending(&apic), 0x7f);
	w(EOI, 0); /* nothing in service: no effect */
	assert_int_equal(effect.what, 0);
}

static void ppr_keeps_the_subclass_of_tpr(void **state)
{
	(void)state;
	w(TPR, 0x45);
	assert_int_equal(r(PPR), 0x45);
	w(TPR, 0);
	assert_true(lapic_accept(&apic, 0x47, false));
	lapic_take(&apic, 0x47);
	assert_int_equal(r(PPR), 0x40);
	w(TPR, 0x42);
	assert_int_equal(r(PPR), 0x42);
	w(TPR, 0x35);
	assert_int_equal(r(PPR), 0x40);
}

static void cr8_is_the_class_of_tpr(void **state)
{
	(void)state;
	w(TPR, 0xa7);
	assert_int_equal(lapic_cr8_get(&apic), 0xa);
	lapic_cr8_set(&apic, 0x3);
	assert_int_equal(r(TPR), 0x30);
}

/* What a processor with APIC virtualization is given: the manual's layout, on a page of its own. */
static void registers_live_in_the_page(void **state)
{
	(void)state;
	assert_int_equal((u64)apic.reg % PAGE_SIZE, 0);
	assert_int_equal(sizeof(apic.reg), PAGE_SIZE);
	w(TPR, 0x21);
	w(LDR, 0x04000000);
	w(ICRH, 0x03000000);
	w(ICR, 0x00004831);
	w(DIVIDE, BY_1);
	w(TIMER, 0x40 | PERIODIC | MASKED);
	w(INITIAL, 0x12345);
	assert_true(lapic_accept(&apic, 0x91, true));
	assert_true(lapic_accept(&apic, 0x52, false));
	lapic_take(&apic, 0x91);
	for (u32 offset = 0; offset < 0x400; offset += 16) {
		if (offset == PPR || offset == CURRENT) /* computed */
			continue;
		assert_int_equal(apic.reg[offset / 4], r(offset));
		for (u32 i = 1; i < 4; i++)
			assert_int_equal(apic.reg[offset / 4 + i], 0);
	}
	assert_int_equal(apic.reg[(ISR + 0x40) / 4], BIT32(0x11));
	assert_int_equal(apic.reg[(TMR + 0x40) / 4], BIT32(0x11));
	assert_int_equal(apic.reg[(IRR + 0x20) / 4], BIT32(0x12));
	assert_int_equal(apic.reg[TPR / 4], 0x21);
	assert_true(lapic_base_write(&apic, apic.base | APIC_BASE_X2APIC, &effect));
	assert_int_equal(apic.reg[ID / 4], 5);
	assert_int_equal(apic.reg[LDR / 4], BIT32(5));
}

/* A processor that delivers interrupts itself moves vectors in the page, and says so only then. */
static void processor_changes_the_page(void **state)
{
	(void)state;
	assert_true(lapic_accept(&apic, 0x31, false));
	apic.reg[(IRR + 0x10) / 4] = 0;
	apic.reg[(ISR + 0x10) / 4] = BIT32(0x11);
	apic.reg[(ISR + 0x60) / 4] = BIT32(1);
	apic.reg[(IRR + 0x70) / 4] = BIT32(0x1f) | BIT32(0);
	lapic_vectors_changed(&apic, 0xff, 0xc1);
	assert_int_equal(lapic_isr_highest(&apic), 0xc1);
	assert_int_equal(lapic_irr_highest(&apic), 0xff);
	assert_int_equal(lapic_ppr(&apic), 0xc0);
	assert_int_equal(lapic_pending(&apic), 0xff);
	lapic_take(&apic, 0xff);
	assert_int_equal(lapic_irr_highest(&apic), 0xe0);
	assert_int_equal(lapic_pending(&apic), -1);
	w(EOI, 0);
	assert_int_equal(apic.reg[(ISR + 0x70) / 4], 0);
	assert_int_equal(lapic_pending(&apic), 0xe0);
	apic.reg[TPR / 4] = 0xe0;
	assert_int_equal(lapic_pending(&apic), -1);
	assert_int_equal(lapic_requested(&apic), 0xe0);
	assert_int_equal(lapic_cr8_get(&apic), 0xe);
	apic.reg[(IRR + 0x70) / 4] = 0;
	apic.reg[(IRR + 0x10) / 4] = 1; /* the first bit of its word */
	lapic_vectors_changed(&apic, 0x20, 0);
	assert_int_equal(lapic_irr_highest(&apic), 0x20);
	apic.reg[(IRR + 0x10) / 4] = 0;
	apic.reg[(ISR + 0x60) / 4] = 0;
	apic.reg[(ISR + 0x10) / 4] = BIT32(31);
	lapic_vectors_changed(&apic, 0, 0x3f);
	assert_int_equal(lapic_irr_highest(&apic), -1);
	assert_int_equal(lapic_isr_highest(&apic), 0x3f);
	apic.reg[(IRR + 0x70) / 4] = 0;
	apic.reg[(ISR + 0x60) / 4] = 0;
	apic.reg[(ISR + 0x10) / 4] = 0;
	assert_int_equal(lapic_irr_highest(&apic), -1);
	assert_int_equal(lapic_isr_highest(&apic), -1);
	assert_int_equal(lapic_ppr(&apic), 0xe0);
	w(EOI, 0);
	assert_int_equal(effect.what, 0);
	assert_true(lapic_accept(&apic, 0xf1, false));
	assert_int_equal(lapic_pending(&apic), 0xf1);
}

static void tmr_change_is_told(void **state)
{
	(void)state;
	assert_true(apic.tmr_changed); /* since the reset */
	apic.tmr_changed = false;
	assert_true(lapic_accept(&apic, 0x61, false));
	assert_false(apic.tmr_changed);
	assert_true(lapic_accept(&apic, 0x61, true));
	assert_true(apic.tmr_changed);
	apic.tmr_changed = false;
	assert_true(lapic_accept(&apic, 0x61, true));
	assert_false(apic.tmr_changed);
	assert_true(lapic_accept(&apic, 0x61, false));
	assert_true(apic.tmr_changed);
	assert_int_equal(r(TMR + 0x30), 0);
}

/* Every vector alone, and below every other: word boundaries and both ends. */
static void all_vectors(void **state)
{
	(void)state;
	for (u32 high = 16; high < 256; high++) {
		xapic(NULL);
		assert_true(lapic_accept(&apic, (u8)high, false));
		for (u32 low = 16; low < high; low += 5)
			assert_true(lapic_accept(&apic, (u8)low, false));
		assert_int_equal(lapic_pending(&apic), high);
		lapic_take(&apic, (u8)high);
		assert_int_equal(lapic_isr_highest(&apic), high);
		assert_int_equal(r(ISR + high / 32 * 16), BIT32(high % 32));
		assert_int_equal(lapic_pending(&apic), -1);
		w(EOI, 0);
		assert_int_equal(lapic_isr_highest(&apic), -1);
		assert_int_equal(lapic_irr_highest(&apic),
				 high == 16 ? -1 : (int)(high - 17) / 5 * 5 + 16);
	}
}

/* As the processor does it: the whole value goes into the page, then it tells. */
static void written(u32 offset, u32 value)
{
	apic.reg[offset / 4] = value;
	lapic_written(&apic, offset, now, &effect);
}

static void written_registers_keep_their_bits(void **state)
{
	static const struct {
		u32 offset, value;
	} kept[] = {
		{ ID, 5U << 24 },     { LDR, 0xff000000 }, { DFR, 0xffffffff },	 { SVR, 0x1ff },
		{ ESR, 0 },	      { ICR, 0x000ccfff }, { ICRH, 0xff000000 }, { TIMER, 0x700ff },
		{ THERMAL, 0x107ff }, { PERF, 0x107ff },   { LINT0, 0x1a7ff },	 { LINT1, 0x1a7ff },
		{ LVTERR, 0x100ff },  { TPR, 0xff },	   { DIVIDE, 0xb },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(kept); i++) {
		written(kept[i].offset, 0xffffffff);
		assert_int_equal(apic.reg[kept[i].offset / 4], kept[i].value);
		assert_int_equal(r(kept[i].offset), kept[i].value);
	}
	written(DFR, 0);
	assert_int_equal(apic.reg[DFR / 4], 0x0fffffff);
	xapic(NULL);
	written(SVR, 0);
	written(LINT0, 0x700);
	assert_int_equal(r(LINT0), MASKED | 0x700);
	assert_int_equal(r(ICRH), 0);
	assert_false(lapic_accept(&apic, 0x40, false));
}

static void written_icr_sends(void **state)
{
	(void)state;
	written(ICRH, 0x03ffffff);
	written(ICR, 0x00005890); /* with the read-only status bit */
	assert_int_equal(effect.what, LAPIC_EFFECT_IPI);
	assert_int_equal(effect.ipi.dest, 3);
	assert_int_equal(effect.ipi.vector, 0x90);
	assert_true(effect.ipi.logical);
	assert_int_equal(r(ICR), 0x4890);
	written(ICR, 0x00044071);
	assert_int_equal(effect.what, 0);
	assert_int_equal(lapic_pending(&apic), 0x71);
	written(ICR, 0x0000000f);
	written(ESR, 0x12345678);
	assert_int_equal(r(ESR), 0x20);
	assert_true(lapic_base_write(&apic, apic.base | APIC_BASE_X2APIC, &effect));
	written(SELF, 0x0e); /* the processor does the legal vectors itself */
	assert_true(w2(ESR, 0));
	assert_int_equal(r2(ESR), 0x20);
}

/* What was before is gone from the page; the timer knows it all the same. */
static void written_timer_settles_under_the_old_settings(void **state)
{
	(void)state;
	written(DIVIDE, BY_1);
	written(TIMER, 0x40);
	written(INITIAL, 1000);
	assert_int_equal(effect.what, LAPIC_EFFECT_TIMER);
	assert_int_equal(lapic_timer_delay(&apic, now), 1000 * TICK);
	now += 400 * TICK;
	written(DIVIDE, 0); /* by 2 */
	assert_int_equal(r(CURRENT), 600);
	assert_int_equal(lapic_timer_delay(&apic, now), 1200 * TICK);
	now += 1200 * TICK;
	written(TIMER, 0x50 | MASKED); /* it came due before */
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_irr_highest(&apic), 0x40);
	lapic_take(&apic, 0x40);
	w(EOI, 0);
	written(TIMER, 0x50 | PERIODIC);
	written(INITIAL, 0x100000);
	now += 0x100000 * 2 * TICK + 6;
	written(INITIAL, 50);
	assert_int_equal(lapic_pending(&apic), 0x50);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_PERIOD_MIN);
	written(INITIAL, 0x100000);
	now += 0x100000 * 2 * TICK + 10;
	written(TIMER, 0x50); /* one-shot from the next period on */
	assert_int_equal(lapic_timer_delay(&apic, now), 0x100000 * 2 * TICK - 10);
	written(TIMER, 0x50 | DEADLINE);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_tsc_deadline_write(&apic, now + 5, now, &effect);
	written(INITIAL, 7); /* ignored in this mode, and looks so */
	assert_int_equal(r(INITIAL), 0x100000);
	assert_int_equal(lapic_timer_delay(&apic, now), 5);
	written(SVR, 0xff);
	assert_int_equal(r(TIMER), MASKED | DEADLINE | 0x50);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
}

static void msrs_in_the_page(void **state)
{
	(void)state;
	assert_true(w2(TIMER, 0x40));
	assert_true(w2(INITIAL, 0x10000));
	assert_true(w2(ICR, 0x0000012300004031));
	now += 1000;
	for (u32 index = 0x7f0; index < 0x910; index++) {
		u64 value;
		bool legal = lapic_msr_read(&apic, index, now, &value);

		if (!lapic_msr_is_in_page(index))
			assert_true(!legal || index == 0x830 || index == 0x839);
		else if (index != 0x80a) /* PPR is the processor's */
			assert_int_equal(value, apic.reg[(index - 0x800) * 4]);
		assert_true(legal || !lapic_msr_is_in_page(index));
	}
	assert_true(lapic_msr_is_in_page(0x802));
	assert_true(lapic_msr_is_in_page(0x808));
	assert_true(lapic_msr_is_in_page(0x80a));
	assert_false(lapic_msr_is_in_page(0x80b));
	assert_false(lapic_msr_is_in_page(0x830));
}

static void eoi_of_level_interrupts_is_told(void **state)
{
	(void)state;
	assert_true(lapic_accept(&apic, 0x61, true));
	assert_int_equal(r(TMR + 0x30), 2);
	lapic_take(&apic, 0x61);
	w(EOI, 0);
	assert_int_equal(effect.what, LAPIC_EFFECT_EOI);
	assert_int_equal(effect.eoi_vector, 0x61);
	assert_true(lapic_accept(&apic, 0x61, false)); /* the same vector, now by edge */
	assert_int_equal(r(TMR + 0x30), 0);
	lapic_take(&apic, 0x61);
	w(EOI, 0);
	assert_int_equal(effect.what, 0);
}

static void software_disable_masks_and_keeps_requests(void **state)
{
	(void)state;
	w(TIMER, 0x40);
	w(LINT0, 0x700);
	assert_true(lapic_accept(&apic, 0x50, false));
	w(SVR, 0xff);
	assert_int_equal(r(TIMER), MASKED | 0x40);
	assert_int_equal(r(LINT0), MASKED | 0x700);
	w(TIMER, 0x41); /* cannot be unmasked now */
	assert_int_equal(r(TIMER), MASKED | 0x41);
	assert_false(lapic_accept(&apic, 0x60, false));
	assert_int_equal(lapic_pending(&apic), 0x50);
	w(SVR, 0x1ff);
	assert_int_equal(r(TIMER), MASKED | 0x41); /* software unmasks, not the enable bit */
}

static void illegal_vectors(void **state)
{
	(void)state;
	w(LVTERR, 0xee);
	assert_false(lapic_accept(&apic, 15, false));
	assert_int_equal(lapic_pending(&apic), 0xee);
	lapic_take(&apic, 0xee);
	w(EOI, 0);
	w(ICR, 0x0000000f); /* fixed, vector 15 */
	assert_int_equal(effect.what, 0);
	assert_int_equal(lapic_pending(&apic), -1); /* one interrupt until ESR is written */
	w(ESR, 0);
	assert_int_equal(r(ESR), 0x60);
	w(LVTERR, 0x0e); /* an error while telling an error */
	assert_false(lapic_accept(&apic, 0, false));
	w(ESR, 0);
	assert_int_equal(r(ESR), 0x40);
	assert_int_equal(lapic_pending(&apic), -1);
}

static void xapic_ipi(void **state)
{
	(void)state;
	w(ICRH, 3U << 24);
	w(ICR, 0x00004890); /* logical, fixed, 0x90 */
	assert_int_equal(effect.what, LAPIC_EFFECT_IPI);
	assert_int_equal(effect.ipi.dest, 3);
	assert_int_equal(effect.ipi.vector, 0x90);
	assert_int_equal(effect.ipi.mode, LAPIC_FIXED);
	assert_int_equal(effect.ipi.shorthand, LAPIC_TO_DEST);
	assert_true(effect.ipi.logical);
	w(ICRH, 0xff000000);
	w(ICR, 0x00004400);
	assert_int_equal(effect.ipi.dest, LAPIC_BROADCAST);
	assert_int_equal(effect.ipi.mode, LAPIC_NMI);
	assert_false(effect.ipi.logical);
	w(ICR, 0x000c4500); /* INIT to all others */
	assert_int_equal(effect.ipi.mode, LAPIC_INIT);
	assert_int_equal(effect.ipi.shorthand, LAPIC_TO_OTHERS);
	w(ICR, 0x000c8500); /* INIT level de-assert: nothing to do */
	assert_int_equal(effect.what, 0);
	w(ICR, 0x00004608); /* STARTUP at page 8: vectors below 16 are fine */
	assert_int_equal(effect.what, LAPIC_EFFECT_IPI);
	assert_int_equal(effect.ipi.mode, LAPIC_STARTUP);
	assert_int_equal(effect.ipi.vector, 8);
	w(ICR, 0x00044500); /* INIT to itself */
	assert_int_equal(effect.what, 0);
	w(ICR, 0x00044071); /* fixed to itself: done inside */
	assert_int_equal(effect.what, 0);
	assert_int_equal(lapic_pending(&apic), 0x71);
}

static void x2apic_ipi(void **state)
{
	(void)state;
	assert_true(w2(ICR, 0x0000012300004031));
	assert_int_equal(effect.what, LAPIC_EFFECT_IPI);
	assert_int_equal(effect.ipi.dest, 0x123);
	assert_int_equal(effect.ipi.vector, 0x31);
	assert_int_equal(r2(ICR), 0x0000012300004031);
	assert_true(w2(ICR, 0x000000ff00004031));
	assert_int_equal(effect.ipi.dest, 0xff);
	assert_true(w2(SELF, 0x45));
	assert_int_equal(effect.what, 0);
	assert_int_equal(lapic_pending(&apic), 0x45);
	assert_true(w2(SELF, 0x0f));
	assert_true(w2(ESR, 0));
	assert_int_equal(r2(ESR), 0x20);
	assert_true(lapic_base_write(&apic, 0xfee00100, &effect));
	assert_true(lapic_base_write(&apic, 0xfee00900, &effect));
	assert_int_equal(r(ICRH), 0);
}

static void one_shot_counts_exactly(void **state)
{
	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40);
	w(INITIAL, 1000);
	assert_int_equal(effect.what, LAPIC_EFFECT_TIMER);
	assert_int_equal(lapic_timer_delay(&apic, now), 1000 * TICK);
	assert_int_equal(r(CURRENT), 1000);
	now += TICK - 1;
	assert_int_equal(r(CURRENT), 1000);
	now += 1;
	assert_int_equal(r(CURRENT), 999);
	now += 998 * TICK;
	assert_int_equal(r(CURRENT), 1);
	lapic_timer_expire(&apic, now); /* early */
	assert_int_equal(lapic_pending(&apic), -1);
	now += TICK;
	assert_int_equal(r(CURRENT), 0);
	assert_int_equal(lapic_timer_delay(&apic, now), 0);
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	assert_int_equal(r(INITIAL), 1000);
}

static void divide_rates(void **state)
{
	static const u32 code[] = { 0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa };

	(void)state;
	w(TIMER, 0x40);
	for (u32 i = 0; i < ARRAY_SIZE(code); i++) {
		w(DIVIDE, code[i]);
		w(INITIAL, 0xffffffff);
		assert_int_equal(lapic_timer_delay(&apic, now), 0xffffffffULL * TICK << i);
	}
	now += 0x80000000ULL * TICK * 128;
	w(DIVIDE, BY_1); /* the count goes on from where it is */
	assert_int_equal(r(CURRENT), 0x7fffffff);
	assert_int_equal(lapic_timer_delay(&apic, now), 0x7fffffffULL * TICK);
}

static void count_zero_stops(void **state)
{
	(void)state;
	w(TIMER, 0x40 | PERIODIC);
	w(INITIAL, 0x1000000);
	assert_int_not_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	w(INITIAL, 0);
	assert_int_equal(effect.what, LAPIC_EFFECT_TIMER);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	assert_int_equal(r(CURRENT), 0);
}

static void periodic_stays_on_its_grid(void **state)
{
	u64 period = 0x100000 * TICK;

	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40 | PERIODIC);
	w(INITIAL, 0x100000);
	now += period + 777;
	assert_int_equal(r(CURRENT), (period - 777 + TICK - 1) / TICK);
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), period - 777);
	lapic_take(&apic, 0x40);
	w(EOI, 0);
	now += 10 * period; /* nine missed: one interrupt, same grid */
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_timer_delay(&apic, now), period - 777);
	lapic_take(&apic, 0x40);
	w(EOI, 0);
	assert_int_equal(lapic_pending(&apic), -1);
	now += period - 777; /* exactly on the grid */
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), period);
}

static void periodic_has_a_least_period(void **state)
{
	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40 | PERIODIC);
	w(INITIAL, 1);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_PERIOD_MIN);
	assert_int_equal(r(CURRENT), 1);
	now += LAPIC_PERIOD_MIN;
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_PERIOD_MIN);
}

static void masked_timer_counts_without_interrupt(void **state)
{
	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40 | MASKED);
	w(INITIAL, 1000);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	now += 10 * TICK;
	assert_int_equal(r(CURRENT), 990);
	w(TIMER, 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), 990 * TICK);
	w(TIMER, 0x40 | MASKED);
	now += 2000 * TICK;
	w(TIMER, 0x40); /* expired while masked: lost */
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_pending(&apic), -1);
	w(INITIAL, 10);
	now += 10 * TICK;
	w(TIMER, 0x40 | MASKED); /* came due before it was masked */
	assert_int_equal(lapic_pending(&apic), 0x40);
}

static void one_shot_and_periodic_count_on(void **state)
{
	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40);
	w(INITIAL, 0x100000);
	now += TICK;
	w(TIMER, 0x40 | PERIODIC);
	assert_int_equal(lapic_timer_delay(&apic, now), 0xfffff * TICK);
	now += 0xfffff * TICK;
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_timer_delay(&apic, now), 0x100000 * TICK);
}

static void tsc_deadline(void **state)
{
	(void)state;
	lapic_tsc_deadline_write(&apic, now + 5, now, &effect); /* wrong mode: ignored */
	assert_int_equal(effect.what, 0);
	assert_int_equal(lapic_tsc_deadline_read(&apic, now), 0);
	w(TIMER, 0x40 | DEADLINE);
	w(INITIAL, 1000); /* ignored in this mode */
	assert_int_equal(r(INITIAL), 0);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_tsc_deadline_write(&apic, now + 500, now, &effect);
	assert_int_equal(effect.what, LAPIC_EFFECT_TIMER);
	assert_int_equal(lapic_tsc_deadline_read(&apic, now), now + 500);
	assert_int_equal(lapic_timer_delay(&apic, now), 500);
	assert_int_equal(r(CURRENT), 0);
	now += 500;
	lapic_timer_expire(&apic, now);
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_tsc_deadline_read(&apic, now), 0);
	lapic_take(&apic, 0x40);
	w(EOI, 0);
	lapic_tsc_deadline_write(&apic, now - 1, now, &effect); /* past: at once */
	assert_int_equal(lapic_pending(&apic), 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_take(&apic, 0x40);
	w(EOI, 0);
	lapic_tsc_deadline_write(&apic, now + 500, now, &effect);
	lapic_tsc_deadline_write(&apic, 0, now, &effect);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_tsc_deadline_write(&apic, UINT64_MAX, 1,
				 &effect); /* far, not wrapped into the past */
	assert_int_equal(lapic_timer_delay(&apic, 1), UINT64_MAX - 1);
}

static void mode_change_disarms(void **state)
{
	(void)state;
	w(TIMER, 0x40 | DEADLINE);
	lapic_tsc_deadline_write(&apic, now + 500, now, &effect);
	w(TIMER, 0x40);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	w(INITIAL, 1000);
	w(TIMER, 0x40 | DEADLINE);
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	lapic_tsc_deadline_write(&apic, now + 500, now, &effect);
	w(TIMER, 0x40 | DEADLINE | PERIODIC); /* reserved: does not run */
	assert_int_equal(lapic_timer_delay(&apic, now), LAPIC_NEVER);
	assert_int_equal(lapic_tsc_deadline_read(&apic, now), 0);
}

static void tsc_jump_moves_counting_timers(void **state)
{
	(void)state;
	w(DIVIDE, BY_1);
	w(TIMER, 0x40);
	w(INITIAL, 1000);
	lapic_tsc_jump(&apic, 0 - 999999ULL);
	assert_int_equal(lapic_timer_delay(&apic, 1), 1000 * TICK);
	lapic_tsc_jump(&apic, UINT64_MAX - 101); /* the count runs over the wrap of the TSC */
	now = UINT64_MAX - 100;
	assert_int_equal(lapic_timer_delay(&apic, now), 1000 * TICK);
	assert_int_equal(r(CURRENT), 1000);
	now += 1000 * TICK;
	assert_int_equal(lapic_timer_delay(&apic, now), 0);
	w(TIMER, 0x40 | DEADLINE);
	lapic_tsc_deadline_write(&apic, 0x1000000, 0, &effect);
	lapic_tsc_jump(&apic, 0x800000);
	assert_int_equal(lapic_timer_delay(&apic, 0x800000), 0x800000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(power_up_state),
		cmocka_unit_test_setup(init_keeps_mode_and_id, x2apic),
		cmocka_unit_test(virtual_wire_connects_the_pic),
		cmocka_unit_test(base_transitions),
		cmocka_unit_test_setup(base_refuses_moves_and_reserved_bits, xapic),
		cmocka_unit_test_setup(disabling_forgets_everything, xapic),
		cmocka_unit_test_setup(xapic_ignores_what_is_reserved, xapic),
		cmocka_unit_test_setup(xapic_misaligned_access_does_nothing, xapic),
		cmocka_unit_test_setup(illegal_register_is_an_error, xapic),
		cmocka_unit_test_setup(x2apic_reserved_bits_fault, x2apic),
		cmocka_unit_test_setup(msrs_need_x2apic_mode, xapic),
		cmocka_unit_test(x2apic_id_and_ldr),
		cmocka_unit_test_setup(xapic_destinations, xapic),
		cmocka_unit_test_setup(priority_order, xapic),
		cmocka_unit_test_setup(ppr_keeps_the_subclass_of_tpr, xapic),
		cmocka_unit_test_setup(cr8_is_the_class_of_tpr, xapic),
		cmocka_unit_test_setup(registers_live_in_the_page, xapic),
		cmocka_unit_test_setup(processor_changes_the_page, xapic),
		cmocka_unit_test_setup(tmr_change_is_told, xapic),
		cmocka_unit_test(all_vectors),
		cmocka_unit_test_setup(written_registers_keep_their_bits, xapic),
		cmocka_unit_test_setup(written_icr_sends, xapic),
		cmocka_unit_test_setup(written_timer_settles_under_the_old_settings, xapic),
		cmocka_unit_test_setup(msrs_in_the_page, x2apic),
		cmocka_unit_test_setup(eoi_of_level_interrupts_is_told, xapic),
		cmocka_unit_test_setup(software_disable_masks_and_keeps_requests, xapic),
		cmocka_unit_test_setup(illegal_vectors, xapic),
		cmocka_unit_test_setup(xapic_ipi, xapic),
		cmocka_unit_test_setup(x2apic_ipi, x2apic),
		cmocka_unit_test_setup(one_shot_counts_exactly, xapic),
		cmocka_unit_test_setup(divide_rates, xapic),
		cmocka_unit_test_setup(count_zero_stops, xapic),
		cmocka_unit_test_setup(periodic_stays_on_its_grid, xapic),
		cmocka_unit_test_setup(periodic_has_a_least_period, xapic),
		cmocka_unit_test_setup(masked_timer_counts_without_interrupt, xapic),
		cmocka_unit_test_setup(one_shot_and_periodic_count_on, xapic),
		cmocka_unit_test_setup(tsc_deadline, xapic),
		cmocka_unit_test_setup(mode_change_disarms, xapic),
		cmocka_unit_test_setup(tsc_jump_moves_counting_timers, xapic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
