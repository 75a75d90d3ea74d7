/*
 * A vCPU on the VT-x back end of host tests: a whole machine, the real back end, and a guest that
 * exits as planned. Tests see the VMCS and what the back end says, nothing of its own structures.
 */
#pragma once

#include "core/virt/vm.h"
#include "lib/x86/vmcs.h"

extern struct vm guest_vm; /* RAM: VMX_GUEST_RAM bytes from 0 */
extern struct vcpu *guest; /* in 64-bit mode at GUEST_RIP, interrupts on, no exit yet */
extern struct vcpu_counters guest_counters;

#define GUEST_RAM   (16 * MIB)
#define GUEST_RIP   0x100000ULL
#define GUEST_FLAGS (RFLAGS_ONE | RFLAGS_IF)
/* Of a processor that looks like Broadwell. */
#define GUEST_CR0_FIXED0 (CR0_PE | CR0_NE | CR0_PG)

/* For each test: power-up, root mode on, a new vCPU. The machine itself is started once. */
int guest_fresh(void **state);
/* A second vCPU of a VM of its own; at most one in a test. */
struct vcpu *guest_another(void);

/* 64-bit mode, 32-bit paging's registers, and so on: a state that the processor takes. */
struct vcpu_state guest_state_long(void);

/* The next exit sets this field; fields that describe exits are zero unless planned. */
void guest_plan(u32 field, u64 value);
/* Enters, and exits for `reason` as planned. */
void guest_exit(u64 reason);
/* The same of a vCPU that need not be `guest`. */
void guest_exit_of(struct vcpu *v, u64 reason);
