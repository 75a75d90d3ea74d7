/* What task.S does and finds; all of it below 4 GiB. */
#pragma once

/* Selectors behind those of the common GDT. */
#define SEL_MAIN	0x60 /* the TSS that a test starts in */
#define SEL_TASK	0x68
#define SEL_FAULT	0x70 /* of a task that handles faults */
#define SEL_LDT		0x78
#define SEL_GATE	0x80 /* task gate to SEL_TASK */
#define SEL_USER_CODE32 0x8b
#define SEL_CODE_AT	0x90 /* 16-bit, from task16 on */
#define GDT_ENTRIES	19

#define SEL_LOCAL  0x0c	      /* second entry of the LDT */
#define WINDOW	   0x10000000 /* maps to another page in each address space */
#define UNMAPPED   0x14000000
#define VEC_SWITCH 0x40
#define KEPT	   0x6b657074

#ifndef __ASSEMBLER__
#include "lib/base/types.h"

struct tss32 {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 gpr[8]; /* in the order of instruction encoding */
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, iomap;
};
static_assert(sizeof(struct tss32) == 104, "SDM, \"Task-State Segment (TSS)\"");

struct tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
	u16 gpr[8];
	u16 es, cs, ss, ds, ldt;
};
static_assert(sizeof(struct tss16) == 44, "SDM, \"16-Bit Task-State Segment\"");

/* What task.S is to do. */
struct how {
	u32 cr4, cr3; /* CR3 0: without paging */
	u32 action;
	u32 far_offset, far_selector;
	u32 jump; /* the task goes back by JMP, not IRET */
	u32 skip; /* and makes the main task go on at its end */
	u32 pop;  /* and finds an error code on its stack */
};
extern struct how how;

/* What it found. */
struct seen {
	u32 faults, vector, error, eip, cs, eflags, cr2, dr6, fault_tr; /* the last fault */
	u32 runs, tr, task_eflags, cr0, dr7, window, es0, task_cs, popped, link; /* the task */
	u32 gpr[8];
	u32 kept, end_eflags; /* of the main task, at the end */
};
extern struct seen seen;

extern struct tss32 main_tss, fault_tss;
extern u64 task_gdt[GDT_ENTRIES], task_idt[256];

extern const u8 run_task[], act_call[], act_jump[], act_int[], act_int3[], act_iret[], act_absent[],
	act_irq[], act_nmi[];
extern const u8 act_call_end[], act_jump_end[], act_int_end[], act_int3_end[], act_iret_at[],
	act_iret_end[];
extern const u8 task_echo[], task_back[], task_user[], task_irq[], task_nmi[], task_fault[],
	task16[];
extern const u8 v86_begin[], v86_end[];
extern const u8 fault_1[], fault_8[], fault_10[], fault_11[], fault_12[], fault_13[], fault_14[],
	fault_64[];
#endif
