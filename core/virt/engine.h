/* What happens to a vCPU between its exits, above the vendor seam. */
#pragma once

#include "core/virt/vm.h"

/*
 * Runs the vCPU until its VMM is needed, it sleeps, or the processor is wanted otherwise. The
 * thread's state says which when this returns.
 */
void engine_run(struct vcpu *vcpu);

/* Takes the VMM's answer to the last exit from the shared page. False: it broke the contract. */
MUST_USE bool engine_take_reply(struct vcpu *vcpu);

/* Lifecycle. ERR_NO_MEMORY: nothing is left behind. */
MUST_USE enum err vcpu_create(struct vm *vm, u32 index);
void vcpu_destroy(struct vcpu *vcpu);
/* This CPU, on which it ran, keeps nothing of it. */
void vcpu_detach(struct vcpu *vcpu);

/* INIT, or power-up when none has arrived; others than the first wait for a start-up message. */
void vcpu_reset(struct vcpu *vcpu);
/* Real mode, at the page that the start-up message names; false: none has arrived. */
MUST_USE bool vcpu_start(struct vcpu *vcpu);

/* Interrupt sources. Each wakes the vCPU when it has to act. */
void vcpu_accept_interrupt(struct vcpu *vcpu, u8 vector, bool level);
void vm_deliver_msi(struct vm *vm, u64 address, u32 data);
void vm_set_intr_line(struct vm *vm, bool level);
/* Does what a local APIC access asked for. */
void vcpu_apply_effect(struct vcpu *vcpu, const struct lapic_effect *effect);

/* Raises an exception in the guest, by the rules for one that comes during another's delivery. */
void vcpu_raise(struct vcpu *vcpu, u8 vector, bool has_error, u32 error);

static inline void vcpu_raise_gp(struct vcpu *vcpu)
{
	vcpu_raise(vcpu, 13, true, 0);
}

u64 vcpu_tsc(const struct vcpu *vcpu);
