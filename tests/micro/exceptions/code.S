/* 32-bit code that raises the exceptions which 64-bit mode has no instruction for. */
#include "tests/micro/lib/layout.h"

	.macro may_fault insn:vararg
771:	\insn
772:
	.pushsection .fixups, "a"
	.quad 771b, 772b
	.popsection
	.endm

	.text
	.code32
	.globl compat_into, compat_bound, compat_cpuid
compat_into:
	movb $0x7f, %al
	addb $1, %al
	may_fault into
	lret
compat_bound:
	subl $8, %esp
	movl $10, (%esp)
	movl $20, 4(%esp)
	movl $21, %eax
	may_fault bound %eax, (%esp)
	addl $8, %esp
	lret
compat_cpuid:	/* leaf in %eax; gives %eax and proves that %ebx survives around it */
	pushl %ebx
	cpuid
	popl %ebx
	lret

	.section .note.GNU-stack, "", @progbits
