/*
 * The local APIC under any sequence of accesses, interrupts and passing time: no undefined
 * behaviour, no impossible register state, and a timer that always has a sane next expiry.
 */
#include <stdlib.h>
#include <string.h>

#include "core/virt/lapic.h"
#include "lib/base/cursor.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define IRR_INDEX	 (0x200 / 4)
#define ISR_INDEX	 (0x100 / 4)
#define COUNT_INDEX	 (0x380 / 4)
#define COUNT_PERIOD_MAX BIT64(32 + 7 + LAPIC_CLOCK_SHIFT)
#define JUMP_MASK	 BITS64(47, 0)

enum op {
	OP_MMIO_READ,
	OP_MMIO_WRITE,
	OP_MSR_READ,
	OP_MSR_WRITE,
	OP_BASE,
	OP_DEADLINE,
	OP_ACCEPT,
	OP_TAKE,
	OP_TIME,
	OP_EXPIRE,
	OP_TSC_JUMP,
	OP_CR8,
	OP_RESET,
	OP_WRITTEN,
	OP_MATCH,
	OP_COUNT
};

static void require(bool fact)
{
	if (!fact)
		abort();
}

static void check_effect(const struct lapic_effect *e)
{
	require(!(e->what & ~(LAPIC_EFFECT_IPI | LAPIC_EFFECT_EOI | LAPIC_EFFECT_TIMER)));
	if (!(e->what & LAPIC_EFFECT_IPI))
		return;
	require(e->ipi.shorthand <= LAPIC_TO_OTHERS && e->ipi.mode <= LAPIC_STARTUP &&
		e->ipi.mode != LAPIC_NMI - 1);
	if (e->ipi.mode <= LAPIC_LOWEST)
		require(e->ipi.vector >= 16 && e->ipi.shorthand != LAPIC_TO_SELF);
	if (e->ipi.mode >= LAPIC_INIT)
		require(e->ipi.shorthand != LAPIC_TO_SELF && e->ipi.shorthand != LAPIC_TO_ALL);
}

/* A clear bit in irr_words and isr_words is a promise. */
static void check_words(const struct lapic *l)
{
	for (u32 i = 0; i < 8; i++) {
		require((l->irr_words >> i & 1) || !l->reg[IRR_INDEX + i * 4]);
		require((l->isr_words >> i & 1) || !l->reg[ISR_INDEX + i * 4]);
	}
}

static void check_state(const struct lapic *l, u64 now)
{
	int pending = lapic_pending(l);
	u64 delay = lapic_timer_delay(l, now);
	u64 lvt = 0, count = 0;

	check_words(l);
	require((l->base & APIC_BASE_ADDRESS) == LAPIC_BASE_ADDRESS);
	require(!lapic_x2apic(l) || lapic_enabled(l));
	require(!((l->reg[IRR_INDEX] | l->reg[ISR_INDEX]) & 0xffff));
	require(pending < 0 || (l->reg[IRR_INDEX + pending / 32 * 4] >> (pending % 32) & 1 &&
				pending > lapic_ppr(l)));
	if (!lapic_enabled(l))
		require(pending < 0 && delay == LAPIC_NEVER);
	if (!lapic_x2apic(l))
		return;
	require(lapic_msr_read(l, 0x832, now, &lvt) && lapic_msr_read(l, 0x839, now, &count));
	require(count <= l->reg[COUNT_INDEX]);
	if (!(lvt & BIT64(18)) && delay != LAPIC_NEVER)
		require(delay <= COUNT_PERIOD_MAX);
}

/* A register that the processor wrote ends as one that it left to us, whatever it held before. */
static void check_written(struct lapic *l, u32 where, u32 value, u64 now)
{
	static const u32 offsets[] = { 0x020, 0x0d0, 0x0e0, 0x0f0, 0x280, 0x300, 0x310, 0x320,
				       0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };
	static struct lapic ours;
	struct lapic_effect effect = { 0 }, expected = { 0 };
	u32 offset = offsets[where % ARRAY_SIZE(offsets)];

	if (lapic_mode(l) != LAPIC_MODE_XAPIC)
		return;
	lapic_timer_expire(l, now); /* one that is disabled takes nothing more */
	ours = *l;
	lapic_mmio_write(&ours, offset, value, now, &expected);
	l->reg[offset / 4] = value;
	lapic_written(l, offset, now, &effect);
	require(!memcmp(&effect, &expected, sizeof(effect)));
	require(!memcmp(&ours, l, sizeof(ours)));
}

static void run_op(struct lapic *l, enum op op, u32 where, u64 value, u64 *now)
{
	struct lapic_effect effect = { 0 };
	int vector = lapic_pending(l);
	u64 read;

	switch (op) {
	case OP_MMIO_READ:
		(void)lapic_mmio_read(l, where & 0xfff, *now);
		break;
	case OP_MMIO_WRITE:
		lapic_mmio_write(l, where & 0xff0, (u32)value, *now, &effect);
		break;
	case OP_MSR_READ:
		(void)!lapic_msr_read(l, MSR_IA32_X2APIC_FIRST + (where & 0xff), *now, &read);
		break;
	case OP_MSR_WRITE:
		(void)!lapic_msr_write(l, MSR_IA32_X2APIC_FIRST + (where & 0xff), value, *now,
				       &effect);
		break;
	case OP_BASE:
		(void)!lapic_base_write(l, LAPIC_BASE_ADDRESS | (value & 0xd01), &effect);
		break;
	case OP_DEADLINE:
		lapic_tsc_deadline_write(l, value, *now, &effect);
		read = lapic_tsc_deadline_read(l, *now);
		require(read == 0 || read == value);
		break;
	case OP_ACCEPT:
		(void)lapic_accept(l, (u8)where, value & 1);
		break;
	case OP_TAKE:
		if (vector >= 0)
			lapic_take(l, (u8)vector);
		require(vector < 0 || lapic_pending(l) < 0);
		break;
	case OP_TIME:
		*now += value & JUMP_MASK;
		break;
	case OP_EXPIRE:
		lapic_timer_expire(l, *now);
		require(lapic_timer_delay(l, *now) > 0);
		break;
	case OP_TSC_JUMP:
		lapic_tsc_jump(l, value);
		*now += value;
		break;
	case OP_CR8:
		lapic_cr8_set(l, (u8)value);
		require(lapic_cr8_get(l) == (value & 0xf));
		break;
	case OP_WRITTEN:
		check_written(l, where, (u32)value, *now);
		break;
	case OP_RESET:
		lapic_reset(l);
		break;
	default:
		(void)lapic_matches(l, (u32)value, where & 1);
		(void)lapic_takes_extint(l);
		break;
	}
	check_effect(&effect);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct lapic apic;
	u8 op, bytes;
	u16 where;
	u64 now = 0;

	if (!cursor_read_u8(&c, &op) || !cursor_read_u64(&c, &now))
		return 0;
	lapic_init(&apic, op & 0x3f, op & 0x40);
	if (op & 0x80)
		lapic_set_virtual_wire(&apic);
	while (cursor_read_u8(&c, &op) && cursor_read_u16(&c, &where) &&
	       cursor_read_u8(&c, &bytes)) {
		u64 value = 0;

		if (!cursor_read(&c, &value, bytes % (sizeof(value) + 1)))
			break;
		run_op(&apic, op % OP_COUNT, where, value, &now);
		check_state(&apic, now);
	}
	return 0;
}
