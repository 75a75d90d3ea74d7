/* The processor of host tests: registers, a clock, and what happens while it waits. */
#pragma once

#include "core/cpu/insn.h"
#include "lib/base/types.h"

#define FAKE_MSR_MAX 32

struct fake_insn {
	u64 tsc, tsc_step; /* rdtsc() gives tsc, then adds the step */
	u64 cr0, cr2, cr3, cr4, xcr0;
	u64 dr0, dr1, dr2, dr3, dr6, dr7;
	u64 cr3_loads; /* each one empties the TLB */
	u64 pge_drops; /* and each of these, of global translations too */
	u64 invlpgs;
	struct table_pointer gdtr, idtr;
	u64 nmis; /* that the NMI handler was asked to take */
	struct {
		u32 index;
		u64 value;
	} msr[FAKE_MSR_MAX]; /* those that were written */
	u32 msr_count;
	u64 msr_writes;
	u32 msr_absent;		    /* does not exist, when not 0 */
	u32 msr_ignored;	    /* reads zero, and writes vanish */
	bool msr_strict;	    /* reading one that nobody wrote fails the test */
	void (*on_wait)(void);	    /* HLT in the idle loop; NULL: fails the test */
	void (*on_interrupt)(void); /* STI window; NULL: nothing is pending */
	void (*on_relax)(void);	    /* PAUSE of one who waits; NULL: nothing comes of it */
	struct cpuid_result (*on_cpuid)(u32 leaf, u32 subleaf); /* NULL: zeroes */
	void (*on_cr3)(u64 value);				/* before CR3 changes */
};

extern struct fake_insn fake_insn;

/* Power-up, with a clock that moves and one processor. */
void fake_insn_reset(void);
