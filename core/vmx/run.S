/* The world switch. SDM, "VMLAUNCH/VMRESUME" and "VM Exits". */
#include "core/cpu/save.inc"
#include "core/virt/guest_registers.inc"

#define VMCS_HOST_RSP 0x6c14 /* these as in lib/x86/vmcs.h and insn.h */
#define VMX_FAIL_INVALID 1
#define VMX_FAIL_VALID 2

	.text
	/* enum vmx_result vmx_enter(u64 *gpr, bool launched, u64 *host_rsp); RSP is in the VMCS */
	.globl vmx_enter
vmx_enter:
	push_preserved
	pushq %rdi
	cmpq %rsp, (%rdx)
	je 1f
	movq %rsp, (%rdx)
	movl $VMCS_HOST_RSP, %eax
	vmwrite %rsp, %rax
1:	testb %sil, %sil /* moves keep the flags */
	movq GPR_OFFSET_RAX(%rdi), %rax
	guest_registers load_one
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
	guest_registers store_one
	popq %rdi
	xorl %eax, %eax /* VMX_OK */
4:	pop_preserved
	retq

	.section .note.GNU-stack, "", @progbits
