/* The permission bitmaps, built from the policy rows; shared by all VMs. */
#pragma once

#include "core/virt/permission.h"

void vmx_permission_init(void);
/* I/O bitmap B is the page behind A. */
extern struct permission vmx_permission;
/* MSRs for a guest in x2APIC mode whose local APIC the processor virtualizes. */
extern u8 *vmx_msr_x2apic;
