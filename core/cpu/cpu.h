/* What each processor owns: its stack, descriptor tables, timers and the thread it runs. */
#pragma once

#include "core/cpu/frame.h"
#include "core/cpu/lock.h"
#include "core/cpu/offsets.h"
#include "core/cpu/timer.h"
#include "core/sched/queue.h"
#include "lib/abi/syscall.h"
#include "lib/base/types.h"
#include "lib/x86/tables.h"

#define CPU_MAX 64

struct thread;
struct vcpu;

enum cpu_start { CPU_STARTING, CPU_ONLINE, CPU_LEFT_OUT };

struct cpu {
	struct cpu *self;	/* GS:0 */
	u64 loop_rsp;		/* this CPU's stack while ring 3 runs (trap.S) */
	u64 frame_top;		/* end of the current thread's saved registers (trap.S) */
	u64 scratch_rsp;	/* ring 3's stack pointer in the first instructions of SYSCALL */
	u32 index;		/* own: 0 is the processor that booted */
	u32 apic_id;		/* own, set once */
	struct thread *current; /* own: the thread that has this processor, NULL when idle */
	struct vcpu *resident;	/* own: whose FPU, debug registers and XCR0 are loaded, or NULL */
	enum cpu_start start;	/* it goes online by itself; who starts it may leave it out first */
	bool resched;		/* own: leave the current thread at the next chance */
	bool yields;		/* own: others first */
	struct run_queue queue; /* others put threads into it */
	u64 flushes;		/* requests of tlb_flush_all() that it has seen */
	struct timer_queue timers;
	struct timer slice; /* ends the current thread's turn */
	struct timer nudge; /* sched_exit_soon() */
	struct tss *tss;
	void *virt; /* the vendor back end's per-CPU data */
	u64 gdt[8];
	struct cpu_info info;	   /* own */
	u8 locks_held[LOCK_RANKS]; /* own; debug builds */
	u64 *spent;		   /* own: what time is spent on now */
	u64 booked;		   /* own: the TSC up to which it is booked there */
	u64 charged;		   /* own: up to which the current thread has paid for it */
};

static_assert(offsetof(struct cpu, self) == CPU_SELF, "trap.S");
static_assert(offsetof(struct cpu, loop_rsp) == CPU_LOOP_RSP, "trap.S");
static_assert(offsetof(struct cpu, frame_top) == CPU_FRAME_TOP, "trap.S");
static_assert(offsetof(struct cpu, scratch_rsp) == CPU_SCRATCH_RSP, "trap.S");

static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	__asm__("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* Books the time since the last call on what it was spent on; the TSC now. */
static inline u64 cpu_book(struct cpu *cpu)
{
	u64 now = rdtsc();

	*cpu->spent += now - cpu->booked;
	cpu->booked = now;
	return now;
}

/* No CPU has old translations of the core's own half any more. */
void tlb_flush_all(void);

/* What the processor can do, decoded once from CPUID. */
struct cpu_features {
	bool smep, smap, umip, page_1g, rdtscp, x2apic, tsc_deadline, xsave;
	u64 xcr0;	 /* all that XSAVE can manage here */
	u32 xsave_bytes; /* area for all of it */
	u32 physical_bits;
};

extern struct cpu_features cpu_features;

/* SMAP: the core may read and write ring-3 pages in between. */
static inline void ring3_access_begin(void)
{
	if (cpu_features.smap)
		__asm__ volatile("stac" : : : "memory");
}

static inline void ring3_access_end(void)
{
	if (cpu_features.smap)
		__asm__ volatile("clac" : : : "memory");
}

/* Decodes cpu_features; the rest of the core relies on it. */
void cpu_detect(void);
/* Gives the running processor its tables, stacks, system-call entry and protections. */
void cpu_init(struct cpu *cpu);
/* The boot processor's structure, and all that run, by index. */
extern struct cpu boot_cpu;
extern struct cpu *cpu_table[CPU_MAX];
extern u32 cpu_count;
