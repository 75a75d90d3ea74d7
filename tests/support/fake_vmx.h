/* VT-x of host tests: one VMCS, always current, whose fields are just values. */
#pragma once

#include "lib/base/types.h"

struct fake_vmx {
	hpa_t vmxon, cleared, current; /* the last address of each instruction */
	u64 writes;		       /* VMWRITEs */
	u64 invepts, invvpids;
};

extern struct fake_vmx fake_vmx;

/* Every field 0, nothing counted. */
void fake_vmx_reset(void);
/* What the processor itself writes, read-only fields too. */
void fake_vmx_set(u32 field, u64 value);
