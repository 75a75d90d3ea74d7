/* The AMD-V back end's own structures; nothing outside this folder sees them. */
#pragma once

#include "core/virt/guest_fetch.h"
#include "core/virt/permission.h"
#include "core/virt/vm.h"
#include "lib/x86/vmcb.h"

struct svm_cpu {
	u8 host_save[PAGE_SIZE] ALIGNED(PAGE_SIZE); /* VM_HSAVE_PA */
	struct vmcb host;			    /* VMLOAD state of root mode */
	hpa_t host_hpa;
	u32 asid_next;
	u64 asid_generation;
};

struct svm_vcpu {
	struct vmcb vmcb ALIGNED(PAGE_SIZE);
	hpa_t vmcb_hpa;
	u64 asid_generation; /* of the CPU that gave this vCPU its ASID, 0: none yet */
	struct cpu *cpu;     /* where it ran last */
	bool stale;	     /* its ASID's translations must go before the next entry */
	bool nmi_blocked;    /* the guest is in an NMI handler */
	bool iret_seen;	     /* its IRET is about to run */
	bool stepping;	     /* TF is ours: the trap after the IRET comes here */
	u64 iret_rip;
	struct guest_page code; /* where the last instruction that exited was read */
};

struct svm_features {
	u32 flags; /* SVM_FEATURE_* */
	u32 asids;
	bool tcg, bochs; /* emulated, with virtual interrupts that differ: see holds_back() */
};

extern struct svm_features svm_features;

/* Enters the guest with GIF clear and comes back with root mode's state whole. run.S */
void svm_enter(u64 *gpr, u64 vmcb_hpa, u64 host_vmcb_hpa);

/* Decodes the exit into vcpu->exit. */
void svm_exit_decode(struct vcpu *vcpu, const struct vmcb *vmcb);

/* The permission maps, built from the policy rows; shared by all VMs. */
void svm_permission_init(void);
extern struct permission svm_permission;

/* State and single registers. */
void svm_state_get(struct vcpu *vcpu, struct vcpu_state *state);
void svm_state_set(struct vcpu *vcpu, const struct vcpu_state *state);
u64 svm_register_get(struct vcpu *vcpu, enum vcpu_register which);
void svm_register_set(struct vcpu *vcpu, enum vcpu_register which, u64 value);

static inline struct svm_vcpu *svm_vcpu(const struct vcpu *vcpu)
{
	return vcpu->virt;
}

static inline struct vmcb *vcpu_vmcb(const struct vcpu *vcpu)
{
	return &svm_vcpu(vcpu)->vmcb;
}

/* Says that fields of a clean-bit group were changed. */
static inline void vmcb_dirty(struct vmcb *vmcb, u32 group)
{
	vmcb->control.clean &= ~group;
}
