/* A virtual machine and its virtual processors, as the core keeps them. */
#pragma once

#include "core/cpu/timer.h"
#include "core/mem/paging.h"
#include "core/trace/log_limit.h"
#include "core/virt/backend.h"
#include "core/virt/cpuid.h"
#include "core/virt/lapic.h"
#include "core/virt/msr.h"
#include "lib/abi/vcpu.h"
#include "lib/abi/vm_memory.h"

#define VM_MAX	    64
#define VM_VCPU_MAX 64

struct process;
struct thread;

struct vcpu {
	struct vm *vm;
	u32 index;
	u32 trace_id;			/* vcpu_trace_id() */
	struct thread *thread;		/* the VMM thread that runs it, NULL before it exists */
	struct vcpu_page *page;		/* shared with the VMM: its contents are the guest's */
	struct vcpu_counters *counters; /* shared with the supervisor, which only reads */
	void *virt;			/* the back end's part */

	struct vm_exit exit;   /* the last exit, filled by run() */
	struct event reinject; /* an event whose delivery the last exit interrupted */
	struct event pending;  /* to inject at the next entry */
	u64 posted[2][4];      /* from other CPUs, not yet in the local APIC: edge, and level */
	bool posted_new;
	bool nmi_pending;
	bool init_pending; /* an INIT has arrived */
	bool parked;	   /* waits for its start-up message */
	int startup;	   /* the start-up message's page, -1: none since the last INIT */
	bool triple_fault; /* an exception during a double fault's delivery */
	/* Anything here or in its thread changed: look before the next entry. Others set it at any
	 * time: run_is_over() alone takes it back, before it looks. */
	bool events;
	bool halted;	  /* waits in HLT */
	bool offer_taken; /* the guest took the interrupt that was offered */
	int offered;	  /* the vector on offer, -1: none */
	int extint;	  /* a vector of the 8259 that the VMM has acknowledged, -1: none */
	int eoi_pending;  /* vector of a level interrupt whose end the VMM must hear, -1: none */

	struct timer timer; /* the local APIC's */
	bool timer_fired;   /* and it is set again when this vCPU runs next, if it is periodic */
	u64 tsc_offset;	    /* guest TSC minus host TSC */
	struct msr_state msr;
	struct cpuid_table *cpuid;

	/* Switched when another vCPU gets the processor, not at exits. */
	u64 xcr0;
	u64 tsc_aux;
	u64 dr[4];
	u64 dr6;
	void *fpu; /* XSAVE area, cpu_features.xsave_bytes */

	struct lapic lapic; /* has a page of its own */
};

struct vm {
	u32 number;
	char name[32];
	struct process *process; /* its VMM */
	struct page_table stage2;
	u64 memory_bytes; /* asked for */
	u64 low_bytes;	  /* RAM from guest-physical 0 */
	u64 high_bytes;	  /* RAM from 4 GiB */
	hpa_t block;	  /* its next RAM, before anybody sees it ... */
	u64 block_bytes;  /* 0: there is none yet */
	u64 block_dirty;  /* ... the end of it, which is not zeroed yet */
	u32 vcpu_count;
	struct vcpu *vcpus[VM_VCPU_MAX];
	struct vcpu_counters *counters; /* one per vCPU, in pages of their own */
	struct cpuid_table *cpuid;
	bool intr_line;	      /* the 8259's INTR output */
	struct log_limit log; /* of its VMM's lines and of those about its exits */
};

/* Whether a guest-physical address is RAM of this VM. */
static inline bool vm_is_ram(const struct vm *vm, gpa_t gpa)
{
	return (gpa.raw < vm->low_bytes && !vm_in_vga_hole(gpa)) ||
	       gpa.raw - VM_HIGH_RAM < vm->high_bytes;
}
