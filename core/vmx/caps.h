/* What this processor's VT-x can do, decoded once. SDM, "VMX Capability Reporting Facility". */
#pragma once

#include "core/vmx/vmcs.h"
#include "lib/x86/registers.h"

struct vmx_caps {
	u32 revision;			   /* of VMXON regions and VMCSs */
	u32 pin, proc, proc2, exit, entry; /* control words as a guest starts with them */
	u32 timer_shift;		   /* the preemption timer ticks every 2^n of the TSC */
	u64 cr0_fixed0, cr0_fixed1;	   /* bits that VMX operation wants set; may be set */
	u64 cr4_fixed0, cr4_fixed1;
	u64 ept;		 /* VMX_EPT_* */
	bool page_1g, ept_dirty; /* in the second stage */
	bool preemption_timer;	 /* set in `pin` */
	bool apicv;		 /* all of VMX_APICV, which the guest's APIC mode sets in `proc2` */
};

extern struct vmx_caps vmx_caps;

/* Whether this CPU has VT-x and may use it, which is decided here where firmware left it open.
 * Logs the remedy. */
bool vmx_feature_control_ok(void);
/* Decodes vmx_caps, on a CPU that has VT-x. Logs one line with its remedy for each thing missing;
 * true when nothing is. */
bool vmx_caps_read(void);

/* The one formula for registers that have bits with a fixed value, and for control words. */
static inline u64 vmx_legal(u64 wanted, u64 must, u64 may)
{
	return (wanted | must) & may;
}

static inline u64 vmx_cr0(u64 value)
{
	return vmx_legal(value, vmx_caps.cr0_fixed0, vmx_caps.cr0_fixed1);
}

static inline u64 vmx_cr4(u64 value)
{
	return vmx_legal(value, vmx_caps.cr4_fixed0, vmx_caps.cr4_fixed1);
}
