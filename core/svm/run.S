/*
 * The world switch. APM, "VMRUN", "VMSAVE", "Global Interrupt Flag, STGI and CLGI Instructions".
 * Root mode's interrupt flag is set while GIF is clear, so that a host interrupt ends the guest's
 * run; it is taken when GIF is set again, and so is one that came with any other exit.
 */
#include "core/cpu/save.inc"
#include "core/virt/guest_registers.inc"

	.text
	/* void svm_enter(u64 *gpr, u64 vmcb_hpa, u64 host_vmcb_hpa); RAX and RSP are in the VMCB */
	.globl svm_enter
svm_enter:
	push_preserved
	pushq %rdx
	pushq %rdi
	clgi
	sti
	movq %rsi, %rax
	guest_registers load_one
	vmload %rax
	vmrun %rax
	vmsave %rax
	movq 8(%rsp), %rax
	vmload %rax
	movq (%rsp), %rax
	guest_registers store_one
	addq $16, %rsp
	pop_preserved
	stgi /* with the caller's RBP back: a trace from an interrupt here finds its frames */
	cli
	cld
	retq

	.section .note.GNU-stack, "", @progbits
