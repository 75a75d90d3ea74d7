/* VT-x of host tests: one VMCS, always current, whose fields are just values. */
#pragma once

#include "core/vmx/insn.h"
#include "lib/base/types.h"

struct fake_vmx {
	hpa_t vmxon, cleared, current; /* the last address of each instruction */
	u64 writes;		       /* VMWRITEs */
	u64 invepts, invvpids;

	/* The guest: sets registers and the fields that an exit sets; NULL: exits at once. */
	enum vmx_result (*on_enter)(u64 *gpr);
	u64 entries;	  /* VMLAUNCH and VMRESUME */
	bool resumed;	  /* the last one was VMRESUME */
	u64 event, error; /* VM-entry event and its error code, as the last one found them */
};

extern struct fake_vmx fake_vmx;

/* Every field 0, nothing counted. */
void fake_vmx_reset(void);
/* What the processor itself writes, read-only fields too. */
void fake_vmx_set(u32 field, u64 value);
