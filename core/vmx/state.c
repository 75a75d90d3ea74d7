/* The guest's registers in the VMCS, in vendor-neutral form and back. */
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/virt/engine.h"
#include "core/virt/resident.h"
#include "core/vmx/caps.h"
#include "core/vmx/insn.h"
#include "core/vmx/vmx.h"
#include "lib/x86/registers.h"

#define RIGHTS_ALL (BITS64(7, 0) | BITS64(15, 12) | SEG_UNUSABLE)
#define TYPE_BUSY  BIT64(1) /* of a TSS */
#define TYPE_USED  BIT64(0) /* accessed, of code and data */

/*
 * CR0 bits that the guest only believes to change: those that VMX operation fixes (SDM,
 * "Restrictions on VMX Operation"; PE and PG are free with unrestricted guest), and CD and NW,
 * which would slow the whole processor down.
 */
static u64 cr0_mask(void)
{
	return (((u32)vmx_caps.cr0_fixed0 | (u32)~vmx_caps.cr0_fixed1) & ~(CR0_PE | CR0_PG)) |
	       CR0_CD | CR0_NW;
}

static u64 cr0_real(u64 value)
{
	u64 mask = cr0_mask();

	return (value & ~mask) | (vmx_caps.cr0_fixed0 & mask);
}

/*
 * CR4 bits likewise: those that CPUID does not offer, and MCE, without which a machine check would
 * shut the whole machine down.
 */
static u64 cr4_hidden(const struct vcpu *v)
{
	return ~cpuid_cr4_bits(v->cpuid);
}

void vmx_control_registers_init(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu(v);

	x->cr4_mask = cr4_hidden(v) | CR4_MCE;
	vmwrite(VMCS_CR0_MASK, cr0_mask());
	vmwrite(VMCS_CR4_MASK, x->cr4_mask);
}

/*
 * Only the shadow is changed here; then the guest runs its instruction again, which no longer
 * touches a masked bit, and the processor does all that a change of mode means.
 */
bool vmx_cr0_write(u64 value)
{
	if ((value & CR0_NW) && !(value & CR0_CD))
		return false;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	vmwrite(VMCS_CR0_SHADOW, value & cr0_mask());
	return true;
}

bool vmx_cr4_write(const struct vcpu *v, u64 value)
{
	bool long_code = vmread(VMCS_GUEST_ES_RIGHTS + 2 * SEG_CS) & SEG_LONG;

	if ((long_code ? value : (u32)value) & cr4_hidden(v))
		return false;
	vmwrite(VMCS_CR4_SHADOW, value & CR4_MCE);
	return true;
}

static u64 control_register(u32 value, u64 mask, u32 shadow)
{
	return (vmread(value) & ~mask) | (vmread(shadow) & mask);
}

static u64 cr0_get(void)
{
	return control_register(VMCS_GUEST_CR0, cr0_mask(), VMCS_CR0_SHADOW);
}

static u64 cr4_get(const struct vmx_vcpu *x)
{
	return control_register(VMCS_GUEST_CR4, x->cr4_mask, VMCS_CR4_SHADOW);
}

/* Whether this vCPU's registers outside the VMCS are in the processor. */
static bool is_loaded(const struct vmx_vcpu *x)
{
	const struct vmx_cpu *host = this_cpu()->virt;

	return host->loaded == x;
}

static u64 cr2_get(const struct vmx_vcpu *x)
{
	return is_loaded(x) ? read_cr2() : x->registers.cr2;
}

static void cr2_set(struct vmx_vcpu *x, u64 value)
{
	x->registers.cr2 = value;
	if (is_loaded(x))
		write_cr2(value);
}

static void segment_get(u32 name, struct segment *out)
{
	out->base = vmread(VMCS_GUEST_ES_BASE + 2 * name);
	out->limit = (u32)vmread(VMCS_GUEST_ES_LIMIT + 2 * name);
	out->rights = (u32)vmread(VMCS_GUEST_ES_RIGHTS + 2 * name);
	out->selector = (u16)vmread(VMCS_GUEST_ES_SELECTOR + 2 * name);
}

/* The processor demands what its own loading of a segment would have set. */
static u64 rights_legal(u32 name, u64 rights)
{
	rights &= RIGHTS_ALL;
	if (name == SEG_TR)
		return rights | TYPE_BUSY;
	if (rights & SEG_CODE)
		rights |= TYPE_USED;
	return rights & SEG_PRESENT ? rights : rights | SEG_UNUSABLE;
}

static void segment_set(u32 name, const struct segment *in)
{
	vmwrite(VMCS_GUEST_ES_BASE + 2 * name, in->base);
	vmwrite(VMCS_GUEST_ES_LIMIT + 2 * name, in->limit);
	vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * name, rights_legal(name, in->rights));
	vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * name, in->selector);
}

void vmx_state_get(struct vcpu *v, struct vcpu_state *state)
{
	struct vmx_vcpu *x = vmx_vcpu(v);

	vmx_select(x);
	state->rip = vmread(VMCS_GUEST_RIP);
	state->rflags = x->rflags;
	state->cr0 = cr0_get();
	state->cr2 = cr2_get(x);
	state->cr3 = vmread(VMCS_GUEST_CR3);
	state->cr4 = cr4_get(x);
	state->cr8 = lapic_cr8_get(&v->lapic);
	state->efer = vmread(VMCS_GUEST_EFER);
	state->dr6 = resident_dr6(v);
	state->dr7 = vmread(VMCS_GUEST_DR7);
	state->gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
	state->gdtr.limit = (u16)vmread(VMCS_GUEST_GDTR_LIMIT);
	state->idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
	state->idtr.limit = (u16)vmread(VMCS_GUEST_IDTR_LIMIT);
	for (u32 i = 0; i < SEG_COUNT; i++)
		segment_get(i, &state->segment[i]);
	for (u32 i = 0; i < ARRAY_SIZE(state->pdpte) && !(state->efer & EFER_LMA); i++)
		state->pdpte[i] = vmread(VMCS_GUEST_PDPTE0 + 2 * i);
}

static void efer_set(u64 value)
{
	u64 entry = vmread(VMCS_ENTRY_CONTROLS) & ~(u64)ENTRY_LONG_MODE;

	vmwrite(VMCS_GUEST_EFER, value);
	vmwrite(VMCS_ENTRY_CONTROLS, value & EFER_LMA ? entry | ENTRY_LONG_MODE : entry);
}

u64 vmx_register_get(struct vcpu *v, enum vcpu_register which)
{
	vmx_select(vmx_vcpu(v));
	switch (which) {
	case VCPU_CR0:
		return cr0_get();
	case VCPU_CR2:
		return cr2_get(vmx_vcpu(v));
	case VCPU_CR4:
		return cr4_get(vmx_vcpu(v));
	case VCPU_RFLAGS:
		return vmx_vcpu(v)->rflags;
	case VCPU_EFER:
		return vmread(VMCS_GUEST_EFER);
	case VCPU_PAT:
		return vmread(VMCS_GUEST_PAT);
	default:
		return field_get(SEG_DPL, vmread(VMCS_GUEST_ES_RIGHTS + 2 * SEG_SS));
	}
}

void vmx_register_set(struct vcpu *v, enum vcpu_register which, u64 value)
{
	vmx_select(vmx_vcpu(v));
	if (which == VCPU_RFLAGS)
		vmx_rflags_set(vmx_vcpu(v), value);
	else if (which == VCPU_EFER)
		efer_set(value);
	else if (which == VCPU_PAT)
		vmwrite(VMCS_GUEST_PAT, value);
	else
		cr2_set(vmx_vcpu(v), value);
}

void vmx_state_set(struct vcpu *v, const struct vcpu_state *state)
{
	struct vmx_vcpu *x = vmx_vcpu(v);

	vmx_select(x);
	vmwrite(VMCS_GUEST_RIP, state->rip);
	vmx_rflags_set(x, state->rflags | RFLAGS_ONE);
	vmwrite(VMCS_CR0_SHADOW, state->cr0 & cr0_mask());
	vmwrite(VMCS_GUEST_CR0, cr0_real(state->cr0));
	vmwrite(VMCS_GUEST_CR3, state->cr3);
	vmwrite(VMCS_CR4_SHADOW, state->cr4 & CR4_MCE);
	vmwrite(VMCS_GUEST_CR4, (state->cr4 & ~cr4_hidden(v)) | vmx_caps.cr4_fixed0 | CR4_MCE);
	efer_set(state->efer);
	cr2_set(x, state->cr2);
	resident_dr6_set(v, state->dr6);
	vmwrite(VMCS_GUEST_DR7, state->dr7);
	vmwrite(VMCS_GUEST_GDTR_BASE, state->gdtr.base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, state->gdtr.limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, state->idtr.base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, state->idtr.limit);
	for (u32 i = 0; i < SEG_COUNT; i++)
		segment_set(i, &state->segment[i]);
	for (u32 i = 0; i < ARRAY_SIZE(state->pdpte); i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, state->pdpte[i]);
	/* Whether an NMI's handler still runs is no part of this state. */
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	lapic_cr8_set(&v->lapic, (u8)state->cr8);
	v->events = true;
	x->cpu = NULL; /* cached translations go before the next entry */
}
