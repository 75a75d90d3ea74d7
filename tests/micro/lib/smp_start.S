/*
 * Where another processor starts: real mode, CS at a page below 1 MiB into which smp_init() has
 * copied the first part. Notes what it found and goes to 64-bit mode as the first one did.
 */
#include "tests/micro/lib/layout.h"

	.text
	.code16
	.globl smp_code, smp_code_end, smp_code_entry
	.balign 16
smp_code:
	movw %cs, %ax
	movw %ax, %ds
	movl %edx, smp_code_entry - smp_code
	movw %ax, %ss
	movw $(smp_code_stack - smp_code), %sp
	pushfl
	popl %eax
	movl %eax, smp_code_entry - smp_code + 4
	movl %cr0, %eax
	movl %eax, smp_code_entry - smp_code + 8
	movl $0, smp_code_entry - smp_code + 12
	movw %cs, smp_code_entry - smp_code + 12
	lgdtl smp_code_gdt - smp_code
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $smp_entry32

	.balign 8
smp_code_gdt:
	.word 12 * 8 - 1
	.long gdt
	.balign 8
smp_code_entry:
	.skip 16
	.skip 16
smp_code_stack:
smp_code_end:

	.code32
smp_entry32:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $ENTRY_CR4, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	orl $ENTRY_EFER, %eax
	wrmsr
	movl $ENTRY_CR0, %eax
	movl %eax, %cr0
	ljmp $SEL_CODE64, $smp_entry64

	.code64
smp_entry64:
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	movl $1, %eax
	cpuid
	shrl $24, %ebx
	movl %ebx, %edi
	incl %ebx
	imull $SMP_STACK_BYTES, %ebx, %esp
	addq $smp_stacks, %rsp
	xorl %ebp, %ebp
	call smp_main
1:	cli
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
