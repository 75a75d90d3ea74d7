/*
 * Ways out of 64-bit ring 0 and back: ring 3 (left by any exception that no handler wants),
 * compatibility mode (left by a far return), and a jump to a place that may fault.
 */
#include "tests/micro/lib/layout.h"

	.macro save
	pushfq
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm
	.macro restore
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	popfq
	.endm

	/* Ring 3 and faults may leave DS and ES null, which only 64-bit code can live with. */
	.macro load_data
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	.endm

	.text
	.code64
	.globl user_call
user_call:	/* rip, rsp, rflags, argument */
	save
	movq %rsp, trap_escape + 8
	movq $1f, trap_escape
	pushq $SEL_USER_DATA
	pushq %rsi
	pushq %rdx
	pushq $SEL_USER_CODE
	pushq %rdi
	movq %rcx, %rdi
	iretq
1:	load_data
	movq trap + 8 * 8, %rax
	restore
	ret

	.globl try_jump
try_jump:	/* rip */
	save
	movq %rsp, trap_escape + 8
	movq $2f, trap_escape
	jmp *%rdi
2:	restore
	ret

	.globl compat_call
compat_call:	/* code, argument */
	save
	movl %esi, %eax
	subq $8, %rsp
	movl $3f, (%rsp)
	movl $SEL_CODE64, 4(%rsp)
	pushq $SEL_CODE32
	pushq %rdi
	lretq
3:	movl %eax, %eax
	restore
	ret

	.section .note.GNU-stack, "", @progbits
