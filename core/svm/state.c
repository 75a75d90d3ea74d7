/* The guest's registers in the VMCB, in vendor-neutral form and back. */
#include "core/svm/svm.h"

#include "core/virt/engine.h"
#include "lib/x86/registers.h"

static const u16 segment_place[SEG_COUNT] = {
#define PLACE(field) offsetof(struct vmcb_save, field)
	[SEG_ES] = PLACE(es), [SEG_CS] = PLACE(cs), [SEG_SS] = PLACE(ss),     [SEG_DS] = PLACE(ds),
	[SEG_FS] = PLACE(fs), [SEG_GS] = PLACE(gs), [SEG_LDTR] = PLACE(ldtr), [SEG_TR] = PLACE(tr),
#undef PLACE
};

static struct vmcb_segment *segment_of(struct vmcb_save *save, u32 name)
{
	return (struct vmcb_segment *)(void *)((u8 *)save + segment_place[name]);
}

static void segment_get(const struct vmcb_segment *in, struct segment *out)
{
	u64 rights = field_get(ATTR_LOW, in->attributes) |
		     field_set(RIGHTS_HIGH, 0, field_get(ATTR_HIGH, in->attributes));

	if (!(rights & SEG_PRESENT))
		rights |= SEG_UNUSABLE;
	out->base = in->base;
	out->limit = in->limit;
	out->rights = (u32)rights;
	out->selector = in->selector;
}

static void segment_set(struct vmcb_segment *out, const struct segment *in)
{
	u64 attributes = field_get(RIGHTS_LOW, in->rights);

	attributes = field_set(ATTR_HIGH, attributes, field_get(RIGHTS_HIGH, in->rights));
	if (in->rights & SEG_UNUSABLE)
		attributes &= ~SEG_PRESENT;
	*out = (struct vmcb_segment){ in->selector, (u16)attributes, in->limit, in->base };
}

void svm_state_get(struct vcpu *v, struct vcpu_state *state)
{
	struct vmcb_save *save = &vcpu_vmcb(v)->save;

	state->rip = save->rip;
	state->rflags = save->rflags;
	state->cr0 = save->cr0;
	state->cr2 = save->cr2;
	state->cr3 = save->cr3;
	state->cr4 = save->cr4;
	state->cr8 = lapic_cr8_get(&v->lapic);
	state->efer = save->efer & ~EFER_SVME;
	state->dr6 = save->dr6;
	state->dr7 = save->dr7;
	state->gdtr.base = save->gdtr.base;
	state->gdtr.limit = (u16)save->gdtr.limit;
	state->idtr.base = save->idtr.base;
	state->idtr.limit = (u16)save->idtr.limit;
	for (u32 i = 0; i < SEG_COUNT; i++)
		segment_get(segment_of(save, i), &state->segment[i]);
	/* SS.DPL is not kept by the processor; CPL is. */
	state->segment[SEG_SS].rights =
		(u32)field_set(SEG_DPL, state->segment[SEG_SS].rights, save->cpl);
}

void svm_state_set(struct vcpu *v, const struct vcpu_state *state)
{
	struct vmcb *vmcb = vcpu_vmcb(v);
	struct vmcb_save *save = &vmcb->save;

	save->rip = state->rip;
	save->rflags = state->rflags | RFLAGS_ONE;
	save->cr0 = state->cr0;
	save->cr2 = state->cr2;
	save->cr3 = state->cr3;
	save->cr4 = state->cr4;
	save->efer = state->efer | EFER_SVME;
	save->dr6 = state->dr6;
	save->dr7 = state->dr7;
	save->gdtr.base = state->gdtr.base;
	save->gdtr.limit = state->gdtr.limit;
	save->idtr.base = state->idtr.base;
	save->idtr.limit = state->idtr.limit;
	for (u32 i = 0; i < SEG_COUNT; i++)
		segment_set(segment_of(save, i), &state->segment[i]);
	save->cpl = (u8)field_get(SEG_DPL, state->segment[SEG_SS].rights);
	lapic_cr8_set(&v->lapic, (u8)state->cr8);
	vmcb->control.int_state = 0;
	svm_vcpu(v)->stale = true; /* cached translations go before the next entry */
	v->events = true;	   /* of which TPR is a part */
	vmcb_dirty(vmcb, CLEAN_CRX | CLEAN_DRX | CLEAN_DT | CLEAN_SEG | CLEAN_CR2);
}

u64 svm_register_get(struct vcpu *v, enum vcpu_register which)
{
	const struct vmcb_save *save = &vcpu_vmcb(v)->save;

	switch (which) {
	case VCPU_CR0:
		return save->cr0;
	case VCPU_CR2:
		return save->cr2;
	case VCPU_CR4:
		return save->cr4;
	case VCPU_RFLAGS:
		return save->rflags;
	case VCPU_EFER:
		return save->efer & ~EFER_SVME;
	case VCPU_PAT:
		return save->g_pat;
	default:
		return save->cpl;
	}
}

void svm_register_set(struct vcpu *v, enum vcpu_register which, u64 value)
{
	struct vmcb *vmcb = vcpu_vmcb(v);

	if (which == VCPU_RFLAGS)
		vmcb->save.rflags = value;
	else if (which == VCPU_EFER)
		vmcb->save.efer = value | EFER_SVME;
	else if (which == VCPU_PAT)
		vmcb->save.g_pat = value;
	else
		vmcb->save.cr2 = value;
	vmcb_dirty(vmcb, which < VCPU_EFER ? CLEAN_CR2 : CLEAN_CRX | CLEAN_NP);
}
