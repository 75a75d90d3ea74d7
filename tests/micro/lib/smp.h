/*
 * More than one processor: starting them (SDM volume 3, "Multiple-Processor (MP) Initialization"),
 * giving them work, waiting for them. They are known by their local APIC ids, from 0 on without a
 * gap; 0 is the one that booted.
 */
#pragma once

#include "lib/base/types.h"

#define SMP_MAX		 64U
#define SMP_VECTOR_WAKE	 0xe1U
#define SMP_VECTOR_TIMER 0xe2U
#define SMP_PAGES	 2U
#define SMP_WAIT_US	 2000000U
#define SMP_QUIET_US	 2000U

struct smp_cpu {
	volatile u64 starts; /* how often it has come through a start-up message */
	void (*volatile job)(void);
};
extern struct smp_cpu smp_cpus[SMP_MAX];

/* What the last processor to start found in its registers, and where. */
struct smp_entry {
	u32 edx, flags, cr0, cs;
};
const struct smp_entry *smp_entry(void);

/* Puts the start-up code into low memory and enables this processor's local APIC. */
void smp_init(void);
/* How many processors there are, this one included. */
u32 smp_count(void);

/* INIT, and a start-up message at one of SMP_PAGES pages. */
void smp_send_init(u32 id);
void smp_send_startup(u32 id, unsigned page);
u32 smp_startup_vector(unsigned page);
/* Both, the second one twice as kernels do; false when the processor does not come. */
bool smp_start(u32 id);

/* Lets another processor do something, and waits until it has: false when it does not. */
bool smp_run(u32 id, void (*job)(void));
/* The same without waiting. */
void smp_begin(u32 id, void (*job)(void));
bool smp_finish(u32 id);

/* Waits with interrupts on, in HLT, so that others can have the host's processor. */
void smp_nap(void);
bool smp_wait(const volatile u64 *value, u64 target);
/* Long enough for whatever is on its way. */
void smp_quiet(void);
