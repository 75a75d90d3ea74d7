/* A guest's access to MSRs, by the policy rows of msr.def. */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/registers.h"

#define MTRR_VARIABLE 8
#define MTRR_FIXED    11

#define MTRRCAP_VALUE (MTRR_VARIABLE | MTRRCAP_FIXED | MTRRCAP_WC)

struct vcpu;

/* The emulated MSRs that only keep a value. */
struct msr_state {
	u64 mtrr_variable[2 * MTRR_VARIABLE];
	u64 mtrr_fixed[MTRR_FIXED];
	u64 mtrr_default;
};

enum msr_class { MSR_REFUSED, MSR_CLASS_PASS, MSR_CLASS_EMULATE, MSR_CLASS_FIXED, MSR_CLASS_VMM };

struct msr_row {
	u32 first, last;
	enum msr_class class;
	bool (*read)(struct vcpu *vcpu, u32 index, u64 *value); /* false: #GP */
	bool (*write)(struct vcpu *vcpu, u32 index, u64 value); /* false: #GP */
	u64 fixed;
	const char *name, *why;
};

/* The row of an MSR; one of class MSR_REFUSED where there is none. */
const struct msr_row *msr_find(u32 index);
/* All rows, for building permission bitmaps. */
const struct msr_row *msr_rows(u32 *count);

/* Power-up values as firmware leaves them for an operating system. */
void msr_state_init(struct msr_state *msr);
