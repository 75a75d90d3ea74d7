/*
 * The instruction forms that drivers use on device memory, one short function each and one row in
 * a table: text, code, width in bytes, the flags that the form defines, and where it may run.
 * At entry: RDI = the memory, RSI = 64 bytes of scratch RAM, FS base = RDI, RCX = 2, DF clear;
 * RAX, RDX and RDI may change as the instruction says; R8-R11 are free.
 */
#define FLAGS_ALL   0x8d5 /* OF SF ZF AF PF CF */
#define FLAGS_LOGIC 0x8c5 /* AF is undefined */
#define FLAGS_LOGIC_SHIFT 0x0c5 /* OF is undefined, too */
#define FLAGS_CF    0x001 /* only CF is defined */
#define ANYWHERE    0
#define HOLE_ONLY   1 /* touches more than one register */

	.macro form width, flags, insn, where=ANYWHERE
	.pushsection .rodata
91:	.string "\insn"
	.popsection
	.pushsection .data.forms, "aw"
	.quad 91b, 92f, \width, \flags, \where
	.popsection
92:	\insn
	ret
	.endm

	.pushsection .data.forms, "aw"
	.globl forms_begin
	.balign 8
forms_begin:
	.popsection

	.text
	.code64
	/* Loads: partial registers keep their upper bits, 32-bit ones clear them. */
	form 1, FLAGS_ALL, "movb (%rdi), %al"
	form 1, FLAGS_ALL, "movb (%rdi), %ah"
	form 1, FLAGS_ALL, "movb (%rdi), %r8b; movzbl %r8b, %edx"
	form 2, FLAGS_ALL, "movw (%rdi), %ax"
	form 4, FLAGS_ALL, "movl (%rdi), %eax"
	form 4, FLAGS_ALL, "movl (%rdi), %r9d; movq %r9, %rdx"
	form 8, FLAGS_ALL, "movq (%rdi), %rax"
	form 8, FLAGS_ALL, "movq (%rdi), %r15; movq %r15, %rax"
	form 1, FLAGS_ALL, "movzbl (%rdi), %eax"
	form 1, FLAGS_ALL, "movzbw (%rdi), %ax"
	form 1, FLAGS_ALL, "movzbq (%rdi), %rax"
	form 2, FLAGS_ALL, "movzwl (%rdi), %eax"
	form 2, FLAGS_ALL, "movzwq (%rdi), %r10; movq %r10, %rax"
	form 1, FLAGS_ALL, "movsbl (%rdi), %eax"
	form 1, FLAGS_ALL, "movsbw (%rdi), %ax"
	form 1, FLAGS_ALL, "movsbq (%rdi), %rax"
	form 2, FLAGS_ALL, "movswl (%rdi), %eax"
	form 2, FLAGS_ALL, "movswq (%rdi), %rax"
	form 4, FLAGS_ALL, "movslq (%rdi), %rax"
	/* Stores. */
	form 1, FLAGS_ALL, "movb %al, (%rdi)"
	form 1, FLAGS_ALL, "movb %ah, (%rdi)"
	form 1, FLAGS_ALL, "movb %sil, (%rdi)"
	form 2, FLAGS_ALL, "movw %ax, (%rdi)"
	form 4, FLAGS_ALL, "movl %eax, (%rdi)"
	form 4, FLAGS_ALL, "movl %eax, %r12d; movl %r12d, (%rdi)"
	form 8, FLAGS_ALL, "movq %rax, (%rdi)"
	form 1, FLAGS_ALL, "movb $0x5a, (%rdi)"
	form 2, FLAGS_ALL, "movw $0xa55a, (%rdi)"
	form 4, FLAGS_ALL, "movl $0x89abcd12, (%rdi)"
	form 8, FLAGS_ALL, "movq $-0x12, (%rdi)"
	form 4, FLAGS_ALL, "movnti %eax, (%rdi)"
	/* Addressing. */
	form 4, FLAGS_ALL, "movl -8(%rdi, %rcx, 4), %eax"
	form 4, FLAGS_ALL, "movl %eax, -2(%rdi, %rcx)"
	form 4, FLAGS_ALL, "leaq 0x12345(%rdi), %r11; movl -0x12345(%r11), %eax"
	form 4, FLAGS_ALL, "movq %rdi, %r13; movl $0x77, (%r13)"
	form 4, FLAGS_ALL, "movq %rdi, %r12; movl $0x66, (%r12)"
	form 4, FLAGS_ALL, "movl %fs:0, %eax"
	form 4, FLAGS_ALL, "movl %eax, %fs:-4(, %rcx, 2)"
	form 4, FLAGS_ALL, "movl (%edi), %eax"
	form 4, FLAGS_ALL, "movl %ds:(%rdi), %eax"
	/* Read-modify-write and compares. */
	form 1, FLAGS_ALL, "addb %al, (%rdi)"
	form 2, FLAGS_ALL, "addw %ax, (%rdi)"
	form 4, FLAGS_ALL, "addl %eax, (%rdi)"
	form 8, FLAGS_ALL, "addq %rax, (%rdi)"
	form 4, FLAGS_ALL, "addl $0x7f, (%rdi)"
	form 4, FLAGS_ALL, "addl $0x12345678, (%rdi)"
	form 8, FLAGS_ALL, "addq $-0x80, (%rdi)"
	form 4, FLAGS_ALL, "addl (%rdi), %eax"
	form 4, FLAGS_ALL, "adcl %eax, (%rdi)"
	form 4, FLAGS_ALL, "sbbl $1, (%rdi)"
	form 4, FLAGS_ALL, "subl %eax, (%rdi)"
	form 8, FLAGS_ALL, "subq (%rdi), %rax"
	form 1, FLAGS_LOGIC, "andb $0xf0, (%rdi)"
	form 2, FLAGS_LOGIC, "andw $0xff, (%rdi)"
	form 4, FLAGS_LOGIC, "andl $-2, (%rdi)"
	form 4, FLAGS_LOGIC, "andl (%rdi), %eax"
	form 1, FLAGS_LOGIC, "orb $0x81, (%rdi)"
	form 4, FLAGS_LOGIC, "orl %eax, (%rdi)"
	form 4, FLAGS_LOGIC, "lock orl $0x42, (%rdi)"
	form 8, FLAGS_LOGIC, "orq (%rdi), %rax"
	form 1, FLAGS_LOGIC, "xorb %al, (%rdi)"
	form 4, FLAGS_LOGIC, "xorl %eax, (%rdi)"
	form 4, FLAGS_LOGIC, "xorl (%rdi), %eax"
	form 1, FLAGS_ALL, "cmpb $0x7f, (%rdi)"
	form 2, FLAGS_ALL, "cmpw (%rdi), %ax"
	form 4, FLAGS_ALL, "cmpl %eax, (%rdi)"
	form 8, FLAGS_ALL, "cmpq $-1, (%rdi)"
	form 1, FLAGS_LOGIC, "testb $0x10, (%rdi)"
	form 4, FLAGS_LOGIC, "testl %eax, (%rdi)"
	form 4, FLAGS_LOGIC, "testl $0x80000000, (%rdi)"
	form 4, FLAGS_ALL, "incl (%rdi)"
	form 4, FLAGS_ALL, "lock decl (%rdi)"
	form 4, FLAGS_ALL, "notl (%rdi)"
	form 4, FLAGS_ALL, "negl (%rdi)"
	form 1, FLAGS_ALL, "xchgb %al, (%rdi)"
	form 4, FLAGS_ALL, "xchgl %eax, (%rdi)"
	form 8, FLAGS_ALL, "xchgq %rdx, (%rdi)"
	form 4, FLAGS_ALL, "lock cmpxchgl %edx, (%rdi)"
	form 4, FLAGS_ALL, "movl (%rdi), %eax; lock cmpxchgl %edx, (%rdi)"
	form 8, FLAGS_ALL, "cmpxchgq %rdx, (%rdi)"
	form 4, FLAGS_ALL, "lock xaddl %eax, (%rdi)"
	form 4, FLAGS_CF, "btl $3, (%rdi)"
	form 4, FLAGS_CF, "lock btsl $5, (%rdi)"
	form 4, FLAGS_CF, "lock btrl $2, (%rdi)"
	form 4, FLAGS_CF, "btcl $7, (%rdi)"
	form 4, FLAGS_CF, "btsl %ecx, (%rdi)"
	form 8, FLAGS_CF, "btrq $6, (%rdi)"
	/* Strings. */
	form 1, FLAGS_ALL, "stosb"
	form 4, FLAGS_ALL, "stosl"
	form 8, FLAGS_ALL, "stosq"
	form 4, FLAGS_ALL, "rep stosl", HOLE_ONLY
	form 1, FLAGS_ALL, "movl $300, %ecx; rep stosb", HOLE_ONLY
	form 2, FLAGS_ALL, "std; rep stosw; cld", HOLE_ONLY
	form 1, FLAGS_ALL, "movsb"
	form 4, FLAGS_ALL, "movsl"
	form 4, FLAGS_ALL, "rep movsl", HOLE_ONLY
	form 4, FLAGS_ALL, "xchgq %rsi, %rdi; movsl; xchgq %rsi, %rdi"
	form 1, FLAGS_ALL, "movl $20, %ecx; xchgq %rsi, %rdi; rep movsb; xchgq %rsi, %rdi", HOLE_ONLY
	form 8, FLAGS_ALL, "xchgq %rsi, %rdi; rep movsq; xchgq %rsi, %rdi", HOLE_ONLY
	form 4, FLAGS_ALL, "xchgq %rsi, %rdi; lodsl; xchgq %rsi, %rdi"
	form 1, FLAGS_ALL, "xchgq %rsi, %rdi; rep lodsb; xchgq %rsi, %rdi", HOLE_ONLY
	form 4, FLAGS_ALL, "xorl %ecx, %ecx; rep stosl"
	form 1, FLAGS_ALL, "movb $0xa6, %al; scasb"
	form 4, FLAGS_ALL, "repe scasl", HOLE_ONLY
	form 4, FLAGS_ALL, "cmpsl"
	form 1, FLAGS_ALL, "repne cmpsb", HOLE_ONLY
	/* Conditional moves and sets, shifts. */
	form 4, FLAGS_ALL, "cmovcl (%rdi), %eax"
	form 4, FLAGS_ALL, "cmovncl (%rdi), %eax"
	form 1, FLAGS_ALL, "setc (%rdi)"
	form 1, FLAGS_ALL, "setnz (%rdi)"
	form 4, FLAGS_LOGIC, "shll $1, (%rdi)"
	form 4, FLAGS_LOGIC_SHIFT, "shrl $3, (%rdi)"
	form 4, FLAGS_LOGIC_SHIFT, "sarl %cl, (%rdi)"
	form 1, FLAGS_CF, "rolb $2, (%rdi)"
	/* The stack. */
	form 8, FLAGS_ALL, "pushq (%rdi); popq %rax"
	form 8, FLAGS_ALL, "pushq %rax; popq (%rdi)"
	form 2, FLAGS_ALL, "pushw (%rdi); popw %ax"

	.pushsection .data.forms, "aw"
	.globl forms_end
forms_end:
	.popsection

/* form_run(struct form_registers *): loads the registers, runs ->code, stores the registers. */
	.globl form_run
form_run:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rdi, %rbx
	movq 0(%rbx), %rax
	movq 8(%rbx), %rcx
	movq 16(%rbx), %rdx
	movq 24(%rbx), %rsi
	movq 32(%rbx), %rdi
	pushq 40(%rbx)
	popfq
	call *48(%rbx)
	pushfq
	popq 40(%rbx)
	movq %rax, 0(%rbx)
	movq %rcx, 8(%rbx)
	movq %rdx, 16(%rbx)
	movq %rsi, 24(%rbx)
	movq %rdi, 32(%rbx)
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

/* RIP-relative forms, copied to a page in front of which the device is mapped. */
	.globl relative_read, relative_write, relative_end
relative_read:
	movl relative_read - 0x1000(%rip), %eax
	ret
relative_write:
	movl $0x0000002c, relative_read - 0x1000(%rip)
	ret
relative_end:

/* 32-bit code: absolute addresses without and with ModRM, 32-bit registers. */
	.code32
	.globl compat_forms
compat_forms:
	movl $0x31, 0xfec00000
	movl 0xfec00000, %eax
	incl 0xfec00000
	movl $0xfec00000, %ecx
	addl (%ecx), %eax
	movl %eax, %edx
	shll $8, %eax
	movb 0xfec00000, %al
	movw $0x44, (%ecx)
	shll $8, %eax
	movzbl (%ecx), %ecx
	orl %ecx, %eax
	lret

	.section .note.GNU-stack, "", @progbits
