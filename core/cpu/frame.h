/* The registers saved when ring 3 or ring 0 is interrupted. Layout fixed by trap.S. */
#pragma once

#include "core/cpu/offsets.h"
#include "lib/base/types.h"

struct frame {
	u64 r15, r14, r13, r12, rbp, rbx;
	u64 r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	u64 vector; /* an IDT vector, or VECTOR_SYSCALL */
	u64 error;
	u64 rip, cs, rflags, rsp, ss;
} ALIGNED(16);

static_assert(offsetof(struct frame, vector) == FRAME_VECTOR, "trap.S");
static_assert(offsetof(struct frame, rip) == FRAME_RIP, "trap.S");
static_assert(sizeof(struct frame) == FRAME_BYTES, "trap.S");

/*
 * Runs ring 3 with the registers in `frame` until it is interrupted, faults or makes a system
 * call; returns with `frame` updated. Interrupts are off on both sides.
 */
void user_enter(struct frame *frame);

/* Called by trap.S for everything that interrupts ring 0, on the current or an IST stack. */
void trap_core(struct frame *frame);
