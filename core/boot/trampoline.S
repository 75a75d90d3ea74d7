/*
 * From a start-up message to C: a processor begins in real mode at the page that the message names,
 * where smp.c has put a copy of this. SDM, "Multiple-Processor (MP) Initialization".
 */
#include "core/boot/long_mode.inc"
#include "core/boot/trampoline.h"

#define CR0_PE 0x1
#define AT(symbol) (symbol - smp_trampoline + TRAMPOLINE)

	.section .rodata
	.balign 16
	.globl smp_trampoline, smp_trampoline_end
smp_trampoline:
	.code16
	cli
	cld
	xorl %eax, %eax
	movw %ax, %ds
	lgdtl AT(gdt_pointer)
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $8, $AT(protected)

	.code32
protected:
	movl $16, %eax
	movl %eax, %ds
	paging_on
	ljmpl $24, $AT(long)

	.code64
long:
	movabsq $smp_entry, %rax
	jmpq *%rax

	.balign 8
gdt:
	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_pointer:
	.short 31
	.long AT(gdt)
smp_trampoline_end:

	.text
smp_entry:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	xchgq %rax, smp_next(%rip) /* one that comes late finds nothing and sleeps */
	testq %rax, %rax
	jz 1f
	movq %rax, %rdi
	movq smp_stack_top(%rip), %rsp
	xorl %ebp, %ebp
	pushq %rbp /* a zero return address ends backtraces */
	jmp smp_main
1:	cli
	hlt
	jmp 1b

	.section .note.GNU-stack, "", @progbits
