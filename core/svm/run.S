/*
 * The world switch. APM, "VMRUN", "VMSAVE", "Global Interrupt Flag, STGI and CLGI Instructions".
 * Root mode's interrupt flag is set while GIF is clear, so that a host interrupt ends the guest's
 * run; it is taken when GIF is set again, and so is one that came with any other exit.
 */
#include "lib/abi/vcpu_offsets.h"

	.text
	/* void svm_enter(u64 *gpr, u64 vmcb_hpa, u64 host_vmcb_hpa); RAX and RSP are in the VMCB */
	.globl svm_enter
svm_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdx
	pushq %rdi
	clgi
	sti
	movq %rsi, %rax
	movq GPR_OFFSET_RCX(%rdi), %rcx
	movq GPR_OFFSET_RDX(%rdi), %rdx
	movq GPR_OFFSET_RBX(%rdi), %rbx
	movq GPR_OFFSET_RBP(%rdi), %rbp
	movq GPR_OFFSET_RSI(%rdi), %rsi
	movq GPR_OFFSET_R8(%rdi), %r8
	movq GPR_OFFSET_R9(%rdi), %r9
	movq GPR_OFFSET_R10(%rdi), %r10
	movq GPR_OFFSET_R11(%rdi), %r11
	movq GPR_OFFSET_R12(%rdi), %r12
	movq GPR_OFFSET_R13(%rdi), %r13
	movq GPR_OFFSET_R14(%rdi), %r14
	movq GPR_OFFSET_R15(%rdi), %r15
	movq GPR_OFFSET_RDI(%rdi), %rdi
	vmload %rax
	vmrun %rax
	vmsave %rax
	movq 8(%rsp), %rax
	vmload %rax
	movq (%rsp), %rax
	movq %rcx, GPR_OFFSET_RCX(%rax)
	movq %rdx, GPR_OFFSET_RDX(%rax)
	movq %rbx, GPR_OFFSET_RBX(%rax)
	movq %rbp, GPR_OFFSET_RBP(%rax)
	movq %rsi, GPR_OFFSET_RSI(%rax)
	movq %rdi, GPR_OFFSET_RDI(%rax)
	movq %r8, GPR_OFFSET_R8(%rax)
	movq %r9, GPR_OFFSET_R9(%rax)
	movq %r10, GPR_OFFSET_R10(%rax)
	movq %r11, GPR_OFFSET_R11(%rax)
	movq %r12, GPR_OFFSET_R12(%rax)
	movq %r13, GPR_OFFSET_R13(%rax)
	movq %r14, GPR_OFFSET_R14(%rax)
	movq %r15, GPR_OFFSET_R15(%rax)
	addq $16, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	stgi /* with the caller's RBP back: a trace from an interrupt here finds its frames */
	cli
	cld
	retq

	.section .note.GNU-stack, "", @progbits
