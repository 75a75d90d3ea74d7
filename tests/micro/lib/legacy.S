/*
 * From 64-bit mode to 32-bit protected mode without paging and back (APM volume 2, "Processor
 * Initialization and Long Mode Activation").
 */
#include "tests/micro/lib/layout.h"

#define CR0_PG	0x80000000
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define LME	0x100

	.text
	.code64
	.globl legacy_run, long_stack
legacy_run:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movl %edi, %esi
	movq %rsp, long_stack
	sidt long_idt
	pushq $SEL_CODE32
	pushq $1f
	lretq

	.code32
1:	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	andl $~LME, %eax
	wrmsr
	movl %cr4, %eax
	andl $~(CR4_PAE | 0x80), %eax
	movl %eax, %cr4
	lidt no_idt
	call *%esi
	movl %eax, %esi

	.globl legacy_return
legacy_return:
	movl %cr4, %eax
	andl $~CR4_PSE, %eax
	orl $ENTRY_CR4, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	orl $ENTRY_EFER, %eax
	wrmsr
	movl $ENTRY_CR0, %eax
	movl %eax, %cr0
	ljmp $SEL_CODE64, $2f

	.code64
2:	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movq long_stack, %rsp
	lidt long_idt
	movl %esi, %eax
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.data
	.balign 8
long_stack:
	.quad 0
long_idt:
	.word 0
	.quad 0
no_idt:
	.word 0
	.long 0

	.section .note.GNU-stack, "", @progbits
