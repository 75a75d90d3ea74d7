/* The world switch. SDM, "VMLAUNCH/VMRESUME" and "VM Exits". */
#include "lib/abi/vcpu_offsets.h"

#define VMCS_HOST_RSP 0x6c14 /* these as in lib/x86/vmcs.h and insn.h */
#define VMX_FAIL_INVALID 1
#define VMX_FAIL_VALID 2

	.text
	/* enum vmx_result vmx_enter(u64 *gpr, bool launched, u64 *host_rsp); RSP is in the VMCS */
	.globl vmx_enter
vmx_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	cmpq %rsp, (%rdx)
	je 1f
	movq %rsp, (%rdx)
	movl $VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
1:	testb %sil, %sil /* moves keep the flags */
	movq GPR_OFFSET_RAX(%rdi), %rax
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
	jz 2f
	vmresume
	jmp 3f
2:	vmlaunch
3:	popq %rdi
	movl $VMX_FAIL_INVALID, %eax
	movl $VMX_FAIL_VALID, %ecx
	cmovzl %ecx, %eax
	jmp 4f

	.globl vmx_exit_entry
vmx_exit_entry:
	pushq %rax
	movq 8(%rsp), %rax
	popq GPR_OFFSET_RAX(%rax)
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
	popq %rdi
	xorl %eax, %eax /* VMX_OK */
4:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	retq

	.section .note.GNU-stack, "", @progbits
