/* The MSR policy table and the handlers of emulated MSRs. */
#include "core/virt/msr.h"

#include "core/virt/engine.h"
#include "lib/base/assert.h"

#define MTRR_TYPE_BITS	  BITS64(7, 0)
#define MTRR_DEF_WRITABLE (MTRR_DEF_TYPE | MTRR_DEF_FIXED | MTRR_DEF_ENABLE)
#define PHYSICAL_RESERVED BITS64(63, 52)

static bool memory_type_is_valid(u64 type)
{
	return type <= MEMORY_TYPE_WB && type != 2 && type != 3;
}

/* One in each byte; UC- exists in the PAT only. */
static bool memory_types_are_valid(u64 types, bool pat)
{
	for (u32 i = 0; i < 8; i++) {
		u64 type = types >> (8 * i) & 0xff;

		if (!memory_type_is_valid(type) && !(pat && type == MEMORY_TYPE_UC_))
			return false;
	}
	return true;
}

static bool msr_read_tsc(struct vcpu *vcpu, u32 index, u64 *value)
{
	(void)index;
	*value = vcpu_tsc(vcpu);
	return true;
}

static bool msr_write_tsc(struct vcpu *vcpu, u32 index, u64 value)
{
	u64 delta = value - vcpu_tsc(vcpu);

	(void)index;
	vcpu->tsc_offset += delta;
	backend->tsc_offset_set(vcpu, vcpu->tsc_offset);
	lapic_tsc_jump(&vcpu->lapic, delta);
	vcpu_apply_effect(vcpu, &(struct lapic_effect){ .what = LAPIC_EFFECT_TIMER });
	return true;
}

static bool msr_read_apic_base(struct vcpu *vcpu, u32 index, u64 *value)
{
	(void)index;
	*value = vcpu->lapic.base;
	return true;
}

static bool msr_write_apic_base(struct vcpu *vcpu, u32 index, u64 value)
{
	struct lapic_effect effect;

	(void)index;
	if (!lapic_base_write(&vcpu->lapic, value, &effect))
		return false;
	vcpu_apply_effect(vcpu, &effect);
	return true;
}

static bool msr_read_tsc_deadline(struct vcpu *vcpu, u32 index, u64 *value)
{
	(void)index;
	*value = lapic_tsc_deadline_read(&vcpu->lapic, vcpu_tsc(vcpu));
	return true;
}

static bool msr_write_tsc_deadline(struct vcpu *vcpu, u32 index, u64 value)
{
	struct lapic_effect effect;

	(void)index;
	lapic_tsc_deadline_write(&vcpu->lapic, value, vcpu_tsc(vcpu), &effect);
	vcpu_apply_effect(vcpu, &effect);
	return true;
}

static bool msr_read_x2apic(struct vcpu *vcpu, u32 index, u64 *value)
{
	return lapic_msr_read(&vcpu->lapic, index, vcpu_tsc(vcpu), value);
}

static bool msr_write_x2apic(struct vcpu *vcpu, u32 index, u64 value)
{
	struct lapic_effect effect;

	if (!lapic_msr_write(&vcpu->lapic, index, value, vcpu_tsc(vcpu), &effect))
		return false;
	vcpu_apply_effect(vcpu, &effect);
	return true;
}

static bool msr_read_efer(struct vcpu *vcpu, u32 index, u64 *value)
{
	(void)index;
	*value = backend->register_get(vcpu, VCPU_EFER);
	return true;
}

/* SDM, "IA32_EFER": LME cannot change while paging is on; LMA is the processor's. */
static bool msr_write_efer(struct vcpu *vcpu, u32 index, u64 value)
{
	u64 old = backend->register_get(vcpu, VCPU_EFER);

	(void)index;
	if ((value & ~EFER_KNOWN) != 0)
		return false;
	if (((old ^ value) & EFER_LME) != 0 && (backend->register_get(vcpu, VCPU_CR0) & CR0_PG))
		return false;
	backend->register_set(vcpu, VCPU_EFER, (value & ~EFER_LMA) | (old & EFER_LMA));
	return true;
}

static bool msr_read_pat(struct vcpu *vcpu, u32 index, u64 *value)
{
	(void)index;
	*value = backend->register_get(vcpu, VCPU_PAT);
	return true;
}

static bool msr_write_pat(struct vcpu *vcpu, u32 index, u64 value)
{
	(void)index;
	if (!memory_types_are_valid(value, true))
		return false;
	backend->register_set(vcpu, VCPU_PAT, value);
	return true;
}

/* The eleven fixed-range registers are in one array: 64K, two 16K, eight 4K. */
static u64 *mtrr_slot(struct msr_state *msr, u32 index)
{
	if (index == MSR_IA32_MTRR_DEF_TYPE)
		return &msr->mtrr_default;
	if (index < MSR_IA32_MTRR_FIX64K)
		return &msr->mtrr_variable[index - MSR_IA32_MTRR_PHYSBASE0];
	if (index == MSR_IA32_MTRR_FIX64K)
		return &msr->mtrr_fixed[0];
	if (index <= MSR_IA32_MTRR_FIX16K_A000)
		return &msr->mtrr_fixed[1 + index - MSR_IA32_MTRR_FIX16K_8000];
	return &msr->mtrr_fixed[3 + index - MSR_IA32_MTRR_FIX4K_C000];
}

static bool mtrr_takes(u32 index, u64 value)
{
	bool is_mask = (index & 1) != 0;
	u64 reserved = PHYSICAL_RESERVED | (is_mask ? BITS64(10, 0) : BITS64(11, 8));

	if (index == MSR_IA32_MTRR_DEF_TYPE)
		return !(value & ~MTRR_DEF_WRITABLE) && memory_type_is_valid(value & MTRR_DEF_TYPE);
	if (index >= MSR_IA32_MTRR_FIX64K)
		return memory_types_are_valid(value, false);
	return !(value & reserved) && (is_mask || memory_type_is_valid(value & MTRR_TYPE_BITS));
}

static bool msr_read_mtrr(struct vcpu *vcpu, u32 index, u64 *value)
{
	*value = *mtrr_slot(&vcpu->msr, index);
	return true;
}

static bool msr_write_mtrr(struct vcpu *vcpu, u32 index, u64 value)
{
	if (!mtrr_takes(index, value))
		return false;
	*mtrr_slot(&vcpu->msr, index) = value;
	return true;
}

static const struct msr_row rows[] = {
#define ROW(first, last, class, read, write, fixed, why) \
	{ first, last, class, read, write, fixed, #first, why },
#define MSR_PASS(msr, why) ROW(msr, msr, MSR_CLASS_PASS, NULL, NULL, 0, why)
#define MSR_EMULATE(first, last, handler, why) \
	ROW(first, last, MSR_CLASS_EMULATE, msr_read_##handler, msr_write_##handler, 0, why)
#define MSR_FIXED(first, last, value, why) ROW(first, last, MSR_CLASS_FIXED, NULL, NULL, value, why)
#define MSR_TO_VMM(first, last, why)	   ROW(first, last, MSR_CLASS_VMM, NULL, NULL, 0, why)
#include "core/virt/msr.def"
#undef MSR_PASS
#undef MSR_EMULATE
#undef MSR_FIXED
#undef MSR_TO_VMM
};

static const struct msr_row refused = { .class = MSR_REFUSED, .name = "refused", .why = "no row" };

/* GCC and clang make a decision tree of the case ranges: few instructions on the exit path. */
const struct msr_row *msr_find(u32 index)
{
	switch (index) {
#define ROW_AT(first, last)  \
	case first ... last: \
		return &rows[__COUNTER__ - FIRST_COUNTER];
#define MSR_PASS(msr, why)		       ROW_AT(msr, msr)
#define MSR_EMULATE(first, last, handler, why) ROW_AT(first, last)
#define MSR_FIXED(first, last, value, why)     ROW_AT(first, last)
#define MSR_TO_VMM(first, last, why)	       ROW_AT(first, last)
		enum { FIRST_COUNTER = __COUNTER__ + 1 };
#include "core/virt/msr.def"
	default:
		return &refused;
	}
}

const struct msr_row *msr_rows(u32 *count)
{
	*count = ARRAY_SIZE(rows);
	return rows;
}

void msr_state_init(struct msr_state *msr)
{
	*msr = (struct msr_state){ .mtrr_default =
					   MTRR_DEF_ENABLE | MTRR_DEF_FIXED | MEMORY_TYPE_WB };
	for (u32 i = 0; i < MTRR_FIXED; i++)
		msr->mtrr_fixed[i] = 0x0101010101010101ULL * MEMORY_TYPE_WB;
}
