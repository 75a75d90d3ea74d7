/* Where the main thread of a ring-3 program begins. */
	.text
	.globl ring3_start
ring3_start:
	xorl %ebp, %ebp
	andq $-16, %rsp
	call main
	movl %eax, %edi
	xorl %eax, %eax /* SYSCALL_exit */
	syscall
	ud2

	.section .note.GNU-stack, "", @progbits
