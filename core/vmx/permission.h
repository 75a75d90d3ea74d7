/* The permission bitmaps, built from the policy rows; shared by all VMs. */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"

MUST_USE enum err vmx_permission_init(void);
/* I/O bitmap A; B is the page behind it. */
hpa_t vmx_permission_io(void);
hpa_t vmx_permission_msr(void);
/* The same for a guest in x2APIC mode whose local APIC the processor virtualizes. */
hpa_t vmx_permission_msr_x2apic(void);
