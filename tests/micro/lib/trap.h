/*
 * Exceptions and interrupts of the guest itself: the IDT, a record of the last exception, and a
 * table that says where to go on after an instruction that is meant to fault.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/registers.h"

#define VEC_USER 0x80U /* the gate that ring 3 may call: ends user_call() */

#define TRAP_VECTORS 256U

/* What vectors.S saves. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* pushed by the processor */
};

/* The last exception taken since trap_clear(). */
struct trap {
	u64 count;
	u64 vector, error, rip, cs, rflags, rsp, ss, rax;
	u64 offset; /* of rip from the start of the TRAPPING() code */
	u64 length; /* of that code */
	u64 cr2;    /* of a #PF */
	u64 dr6;    /* of a #DB */
};
static_assert(offsetof(struct trap, rax) == 8 * 8, "user.S reads it");
extern struct trap trap;

struct fixup {
	u64 begin, end;
};

/* Code that may fault: an exception at or right behind it is recorded and goes on behind it. */
#define TRAPPING(code)          \
	"771: " code "\n772:\n" \
	".pushsection .fixups, \"a\"\n .quad 771b, 772b\n .popsection\n"

/* Runs one instruction that may fault; gives the number of exceptions. */
#define TRY(code, ...)                                                      \
	({                                                                  \
		trap_clear();                                               \
		asm volatile(TRAPPING(code)::__VA_ARGS__ : "memory", "cc"); \
		trap.count;                                                 \
	})

typedef void trap_handler(struct trap_frame *frame);

void trap_init(void);
void trap_clear(void);
/* Replaces the recording of `vector` by `handler`; NULL goes back. */
void trap_handle(unsigned vector, trap_handler *handler);
/* Checks that exactly one exception came, at the start of the TRAPPING() code. */
bool trap_is_fault(unsigned vector, u64 error);

struct idt_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};
static_assert(sizeof(struct idt_gate) == 16, "64-bit gate");

#define GATE_INTERRUPT	    0x8e
#define GATE_TRAP	    0x8f
#define GATE_USER_INTERRUPT 0xee
#define GATE_ABSENT	    0x0e

extern struct idt_gate idt[TRAP_VECTORS];
struct table_pointer {
	u16 limit;
	u64 base;
} PACKED;
void idt_load(u64 base, u16 limit);
void idt_restore(void);
/* Addresses of the entries, for guests that build their own gates. */
u64 idt_entry(unsigned vector);

/* Task-state segment in 64-bit mode (APM volume 2, "64-Bit Task State Segment"). */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
	u8 iomap[8192 + 1];
} PACKED;
extern struct tss tss;
extern u64 gdt[12];

#define IST_FAULT 1U /* #DF and NMI may come when the stack is unusable */
#define IST_NMI	  2U

/*
 * Runs code in ring 3 with `rdi` = argument until it causes any exception or interrupt that has no
 * handler; VEC_USER is the polite way back. The record is in `trap`; returns trap.rax.
 */
u64 user_call(u64 rip, u64 rsp, u64 rflags, u64 argument);
/* Runs 32-bit code in compatibility mode until its far return; it may use %eax, %ecx, %edx. */
u64 compat_call(const void *code, u64 argument);
/* Jumps to an address that may not be executable; an exception comes back here. */
void try_jump(u64 rip);
