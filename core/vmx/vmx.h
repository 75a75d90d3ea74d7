/* The VT-x back end's own structures; nothing outside this folder sees them. */
#pragma once

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/virt/vm.h"
#include "core/vmx/insn.h"
#include "lib/base/assert.h"
#include "lib/x86/vmcs.h"

/* What SYSCALL, SWAPGS and a page fault of ring 3 use; the VMCS does not switch it. */
struct vmx_registers {
	u64 star, lstar, cstar, fmask, kernel_gs_base, cr2;
};

struct vmx_cpu {
	u32 vmxon[PAGE_SIZE / sizeof(u32)] ALIGNED(PAGE_SIZE);
	struct vmx_vcpu *current; /* whose VMCS is current */
	struct vmx_vcpu *loaded;  /* whose registers are in the processor, NULL: root mode's */
	struct vmx_registers registers; /* root mode's */
	struct table_pointer gdtr, idtr;
};

struct vmx_vcpu {
	u32 vmcs[PAGE_SIZE / sizeof(u32)] ALIGNED(PAGE_SIZE);
	hpa_t vmcs_hpa;
	struct cpu *active; /* where its VMCS is active, NULL: nowhere */
	struct cpu *cpu;    /* where it ran last, with these translations; NULL: nowhere */
	bool launched;
	bool event_injected;	 /* the next entry takes an event in */
	bool interrupt_injected; /* and it is the interrupt on offer */
	u32 apic_mode; /* that the controls are set for; LAPIC_MODE_OFF: no APIC virtualization */
	u16 vpid;
	u64 ept_pointer;
	/* As they are in the VMCS. */
	u32 proc; /* primary controls */
	u32 tpr_threshold;
	u32 preemption_timer;
	u64 cr4_mask;
	u64 host_rsp;
	u64 rflags;
	struct vmx_registers registers;
};

/*
 * Enters the guest and comes back with root mode's registers whole. Not VMX_OK: the processor
 * refused before it loaded any of the guest's state. run.S
 */
enum vmx_result vmx_enter(u64 *gpr, bool launched, u64 *host_rsp);
/* Where the processor goes at an exit. */
extern const char vmx_exit_entry[];

/* Decodes the exit into vcpu->exit. */
void vmx_exit_decode(struct vcpu *vcpu);

/* What #DB does beside its delivery, when root mode raises it. `causes`: bits of DR6. */
void vmx_debug_raised(struct vcpu *vcpu, u64 causes);

/* Makes this vCPU's VMCS the current one. */
static inline void vmx_select(struct vmx_vcpu *x)
{
	struct vmx_cpu *host = this_cpu()->virt;
	enum vmx_result result;

	if (host->current == x)
		return;
	assert(!x->active || x->active == this_cpu());
	x->active = this_cpu();
	host->current = x;
	result = vmptrld(&x->vmcs_hpa);
	assert(result == VMX_OK);
}

static inline void vmx_rflags_set(struct vmx_vcpu *x, u64 value)
{
	x->rflags = value;
	vmwrite(VMCS_GUEST_RFLAGS, value);
}

void vmx_state_get(struct vcpu *vcpu, struct vcpu_state *state);
void vmx_state_set(struct vcpu *vcpu, const struct vcpu_state *state);
u64 vmx_register_get(struct vcpu *vcpu, enum vcpu_register which);
void vmx_register_set(struct vcpu *vcpu, enum vcpu_register which, u64 value);
/* What APIC virtualization needs in the VM and in the VMCS. */
MUST_USE enum err vmx_apic_init(const struct vcpu *vcpu);
/* Before an entry: what changed in vcpu->lapic, its mode too. False: the processor delivers nothing
 * from there. */
bool vmx_apic_sync(struct vcpu *vcpu);
/* After an exit, where it does: what it has done there. */
void vmx_apic_collect(struct vcpu *vcpu);

/* Whether the processor delivers interrupts from the local APIC's page by itself. */
static inline bool vmx_apic_delivers(const struct vmx_vcpu *x)
{
	return x->apic_mode != LAPIC_MODE_OFF;
}

/* CR0 and CR4 bits that the guest does not own, and what it sees of them. */
void vmx_control_registers_init(struct vcpu *vcpu);
/* A MOV to CR0 or CR4 that touches them. False: it takes #GP(0). */
bool vmx_cr0_write(u64 value);
bool vmx_cr4_write(const struct vcpu *vcpu, u64 value);

/* Whether the guest counts as being in an NMI handler. */
static inline void vmx_nmi_block(bool on)
{
	u64 blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY) & ~(u64)BLOCKED_BY_NMI;

	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, on ? blocked | BLOCKED_BY_NMI : blocked);
}

/* The shadow of MOV SS or STI is over. */
static inline void vmx_shadow_end(void)
{
	u64 blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (blocked & BLOCKED_SHADOW)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~BLOCKED_SHADOW);
}

static inline struct vmx_vcpu *vmx_vcpu(const struct vcpu *vcpu)
{
	return vcpu->virt;
}
