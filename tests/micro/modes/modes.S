/*
 * The modes of older software: protected mode without paging, with 4 MiB and 4 KiB pages, with PAE,
 * and real mode (APM volume 2, "Legacy Paging", "Real-Address Mode").
 */
#include "tests/micro/lib/layout.h"
#include "tests/micro/modes/modes.h"

#define CR0_PE	0x1
#define CR0_PG	0x80000000
#define CR4_PSE 0x10
#define CR4_PAE 0x20

	.text
/* What a 32-bit kernel does that exits; fills paged_results. */
	.code32
exits32:
	xorl %eax, %eax
	cpuid
	movl %ebx, paged_results
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	movl %eax, paged_results + 4
	movl %cr0, %eax
	movl %eax, paged_results + 8
	movl $UART_SCRATCH, %edx
	movb $0x5c, %al
	outb %al, %dx
	xorl %eax, %eax
	inb %dx, %al
	movl %eax, paged_results + 12
	movl $0x31, IOAPIC_SELECT
	incl IOAPIC_SELECT
	movl IOAPIC_SELECT, %eax
	movl %eax, paged_results + 16
	movl $IOAPIC_SELECT, %ebx
	xorl %eax, %eax
	movb (%ebx), %al
	movl %eax, paged_results + 20
	ret

	.globl run_unpaged, run_pse, run_pae, run_real
run_unpaged:
	call exits32
	movl $1, %eax
	ret

run_pse:
	movl %cr4, %eax
	orl $CR4_PSE, %eax
	movl %eax, %cr4
	movl $pse_directory, %eax
	jmp run_paged
run_pae:
	movl %cr4, %eax
	orl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $pae_pdpt, %eax
run_paged:
	movl %eax, %cr3
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	jmp 1f
1:	call exits32
	movl %cr4, %eax
	testl $CR4_PAE, %eax
	jnz 2f
	movl WINDOW_4K, %eax
	movl %eax, paged_results + 24
2:	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	movl $2, %eax
	ret

/* Real mode: C has copied the code to REAL_BASE and SEL_CODE16, SEL_DATA16 there. */
run_real:
	movl $SEL_DATA, %eax /* FS keeps its 4 GiB limit in real mode */
	movl %eax, %fs
	ljmp $SEL_CODE16, $(real_enter - real_begin)
real_back:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl long_stack, %esp
	movl $3, %esi
	jmp legacy_return

	.code16
	.balign 16
	.globl real_begin, real_end, real_int_at, real_fault_at, real_irq_at, real_results_at
#define AT(label) (label - real_begin)
real_begin:
real_enter:
	movw $SEL_DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	lidtl AT(real_idt)
	movl %cr0, %eax
	andl $~CR0_PE, %eax
	movl %eax, %cr0
	ljmp $REAL_SEGMENT, $AT(1f)
1:	movw $REAL_SEGMENT, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $REAL_STACK, %esp

	int $0x21
	int $0x21

	xorl %eax, %eax
	cpuid
	movl %ebx, AT(results)
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	movl %eax, AT(results) + 4
	smsww %ax
	movw %ax, AT(results) + 20

	movw $UART_SCRATCH, %dx
	movb $0x77, %al
	outb %al, %dx
	xorw %ax, %ax
	inb %dx, %al
	movw %ax, AT(results) + 28

	/* Strings with 16-bit addresses: the upper half of EDI stays. */
	movl $(0x12340000 + AT(results) + 30), %edi
	movl $0x56780002, %ecx
	rep insb
	movl %edi, AT(results) + 8

	/* Faults: the handler goes on at the address that is stored here. */
	movw $AT(2f), AT(resume)
	xorb %bl, %bl
	divb %bl
2:	movw $AT(3f), AT(resume)
	ud2
3:	movw $AT(4f), AT(resume)
	.byte 0x0f, 0x01, 0xd8 /* VMRUN */
4:	movw $AT(5f), AT(resume)
	.byte 0x0f, 0x01, 0xd9 /* VMMCALL */
5:
	/* Device memory through a segment that kept a 4 GiB limit. */
	movl $IOAPIC_SELECT, %ebx
	movl $0x24, %fs:(%ebx)
	addl $2, %fs:(%ebx)
	movl %fs:(%ebx), %eax
	movl %eax, AT(results) + 12
	xorl %eax, %eax
	movw %fs:(%ebx), %ax
	movl %eax, AT(results) + 16

	/* An interrupt wakes HLT. */
6:	sti
	hlt
	cli
	cmpw $2, AT(results) + 26
	jb 6b

	/* In and out of protected mode. */
	movw $5, %cx
7:	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	jmp 8f
8:	andl $~CR0_PE, %eax
	movl %eax, %cr0
	jmp 9f
9:	incw AT(results) + 32
	loop 7b

	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $real_back

real_int:
	incw %cs:AT(results) + 22
	iretw
real_fault:
	pushw %bp
	pushw %ax
	movw %sp, %bp
	movw %cs:AT(resume), %ax
	movw %ax, 4(%bp)
	incw %cs:AT(results) + 24
	popw %ax
	popw %bp
	iretw
real_irq:
	pushw %ax
	incw %cs:AT(results) + 26
	movb $0x20, %al
	outb %al, $0x20
	popw %ax
	iretw

	.balign 4
real_idt:
	.word 0x3ff
	.long REAL_IVT
resume:
	.word 0
	.balign 4
results:
	.skip 36
real_end:
	.set real_results_at, AT(results)
	.set real_int_at, AT(real_int)
	.set real_fault_at, AT(real_fault)
	.set real_irq_at, AT(real_irq)

	.bss
	.balign 4096
	.globl paged_results, pse_directory, pse_table, pae_pdpt
pse_directory:
	.skip 4096
pse_table:
	.skip 4096
pae_pdpt:
	.skip 32
paged_results:
	.skip 28

	.section .note.GNU-stack, "", @progbits
