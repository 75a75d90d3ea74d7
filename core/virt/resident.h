/*
 * State that stays in the processor over exits and is switched only when another vCPU gets the
 * processor: FPU and SIMD registers, XCR0, DR0-3 and DR6, TSC_AUX. Root mode uses none of them.
 */
#pragma once

#include "lib/base/types.h"

struct vcpu;

/* Makes this vCPU's state the one in the processor. */
void resident_load(struct vcpu *vcpu);
/* Saves this vCPU's state if it is in the processor. */
void resident_evict(struct vcpu *vcpu);
/* DR6, where the back end's structure does not hold it. */
u64 resident_dr6(const struct vcpu *vcpu);
void resident_dr6_set(struct vcpu *vcpu, u64 value);
/* DR0-3 become zero. */
void resident_breakpoints_clear(struct vcpu *vcpu);
/* The XCR0 of this vCPU now. */
u64 resident_xcr0(const struct vcpu *vcpu);
