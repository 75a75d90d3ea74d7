/*
 * Entry from ring 3 and from ring 0. Ring 3's registers are pushed straight into its thread's
 * frame (TSS.RSP0 points at the frame's end), then user_enter() returns on the CPU's own stack:
 * the core runs ring 3 as a subroutine, the same way it runs a guest.
 */
#include "core/cpu/offsets.h"
#include "core/cpu/save.inc"

#define RFLAGS_CORE 0x2 /* nothing but the bit that is always set */

	.text

.macro push_registers
	.irp reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	pushq %\reg
	.endr
	push_preserved
.endm

.macro pop_registers
	pop_preserved
	.irp reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	popq %\reg
	.endr
.endm

/* Back on the CPU's stack and with its flags: ring 3's AC would switch SMAP off, its DF strings. */
.macro return_to_loop
	movq %gs:CPU_LOOP_RSP, %rsp
	pushq $RFLAGS_CORE
	popfq
	pop_preserved
	retq
.endm

/* Makes what was interrupted look like a caller: backtraces go on there. */
.macro link_frame
	andq $-16, %rsp
	pushq FRAME_RIP(%rdi)
	pushq %rbp
	movq %rsp, %rbp
.endm

	/* void user_enter(struct frame *frame) */
	.globl user_enter
user_enter:
	push_preserved
	movq %rsp, %gs:CPU_LOOP_RSP
	cmpq $VECTOR_SYSCALL, FRAME_VECTOR(%rdi)
	movq %rdi, %rsp
	je 1f
	pop_registers
	addq $16, %rsp
	swapgs
	iretq
1:	pop_registers
	addq $16, %rsp
	popq %rcx       /* RIP */
	addq $8, %rsp
	popq %r11       /* RFLAGS */
	popq %rsp
	swapgs
	sysretq

	.globl syscall_entry
syscall_entry:
	swapgs
	movq %rsp, %gs:CPU_SCRATCH_RSP
	movq %gs:CPU_FRAME_TOP, %rsp
	pushq $SELECTOR_USER_DATA
	pushq %gs:CPU_SCRATCH_RSP
	pushq %r11
	pushq $SELECTOR_USER_CODE
	pushq %rcx
	pushq $0
	pushq $VECTOR_SYSCALL
	push_registers
	return_to_loop

trap_common:
	testb $3, 24(%rsp) /* CS of the interrupted code */
	jz 1f
	swapgs
	push_registers
	return_to_loop
1:	push_registers
	cld
	movq %rsp, %rdi
	movq %rsp, %rbx
	link_frame
	call trap_core
	movq %rbx, %rsp
	pop_registers
	addq $16, %rsp
	iretq

	/* NMI, double fault, machine check: own stacks, and GS may be either side's. */
trap_paranoid:
	push_registers
	cld
	movl $MSR_GS_BASE_NUMBER, %ecx
	rdmsr
	xorl %r12d, %r12d
	testl %edx, %edx /* the core's GS base is in the upper half */
	js 1f
	swapgs
	incl %r12d
1:	movq %rsp, %rdi
	movq %rsp, %rbx
	link_frame
	call trap_core
	movq %rbx, %rsp
	testl %r12d, %r12d
	jz 2f
	swapgs
2:	pop_registers
	addq $16, %rsp
	iretq

	/* bool rdmsr_try(u32 index, u64 *value); trap_core() sends a #GP on to rdmsr_absent */
	.globl rdmsr_try, rdmsr_try_insn, rdmsr_absent
rdmsr_try:
	movl %edi, %ecx
rdmsr_try_insn:
	rdmsr
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, (%rsi)
	movl $1, %eax
	retq
rdmsr_absent:
	xorl %eax, %eax
	retq

	/* One 16-byte stub a vector; the vectors that push an error code are 8, 10-14, 17, 21, 29, 30. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	.else
	pushq $0
	.endif
	pushq $vector
	.if (vector == 2) || (vector == 8) || (vector == 18)
	jmp trap_paranoid
	.else
	jmp trap_common
	.endif
	.set vector, vector + 1
	.endr

	.section .note.GNU-stack, "", @progbits
