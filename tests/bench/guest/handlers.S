/* Each handler notes when it started, ends the interrupt at the local APIC, and returns. */
#define MSR_X2APIC_EOI 0x80b
#define XAPIC_EOI      0xfee000b0

	.macro note_start
	pushq %rax
	pushq %rdx
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	movq %rax, handler_stamp
	.endm

	.text
	.globl handler_x2apic
handler_x2apic:
	note_start
	pushq %rcx
	movl $MSR_X2APIC_EOI, %ecx
	xorl %eax, %eax
	xorl %edx, %edx
	wrmsr
	popq %rcx
	popq %rdx
	popq %rax
	iretq

	.globl handler_xapic
handler_xapic:
	note_start
	movl $XAPIC_EOI, %eax
	movl $0, (%rax)
	popq %rdx
	popq %rax
	iretq

	.bss
	.balign 8
	.globl handler_stamp
handler_stamp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
