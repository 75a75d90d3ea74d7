/*
 * The common part of both vendors' entry checks: SDM, "Checks on Guest Control Registers, Debug
 * Registers, and MSRs"; APM, "Canonicalization and Consistency Checks".
 */
#include "core/virt/state_check.h"

#include "lib/x86/registers.h"

#define CR0_HIGH      BITS64(63, 32)
#define CR4_FORBIDDEN (CR4_VMXE | CR4_SMXE | BITS64(63, 32))
#define PHYSICAL_MAX  BITS64(63, 52)

static bool control_registers_agree(const struct vcpu_state *s)
{
	bool paging = (s->cr0 & CR0_PG) != 0;
	bool long_mode = (s->efer & EFER_LME) != 0;

	if (paging && !(s->cr0 & CR0_PE))
		return false;
	if ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD))
		return false;
	if (((s->efer & EFER_LMA) != 0) != (paging && long_mode))
		return false;
	return !(paging && long_mode) || (s->cr4 & CR4_PAE);
}

bool state_is_runnable(const struct vcpu_state *s)
{
	if ((s->cr0 & CR0_HIGH) || (s->cr4 & CR4_FORBIDDEN) || (s->efer & ~EFER_KNOWN) ||
	    (s->cr3 & PHYSICAL_MAX) || (s->dr6 >> 32) != 0 || (s->dr7 >> 32) != 0 || s->cr8 > 15)
		return false;
	/* 64-bit and 32-bit code at once does not exist. */
	if ((s->efer & EFER_LMA) && (s->segment[SEG_CS].rights & SEG_LONG) &&
	    (s->segment[SEG_CS].rights & SEG_BIG))
		return false;
	return control_registers_agree(s);
}
