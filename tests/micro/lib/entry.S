/*
 * Multiboot 1 entry (Multiboot Specification, "Machine state"): 32-bit protected mode without
 * paging; builds an identity map of 4 GiB in 2 MiB pages and enters 64-bit mode.
 */
#include "tests/micro/lib/layout.h"

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC, MULTIBOOT_HEADER_FLAGS
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_HEADER_FLAGS)

	.text
	.code32
	.globl entry32
entry32:
	cli
	cld
	movl %eax, boot_magic
	movl %ebx, boot_info
	movl $(stack + STACK_BYTES), %esp

	movl $(pdpt + PTE_TABLE), pml4
	movl $(window_pdpt + PTE_TABLE), pml4 + 8
	movl $(pd + PTE_TABLE), pdpt
	movl $(pd + 0x1000 + PTE_TABLE), pdpt + 8
	movl $(pd + 0x2000 + PTE_TABLE), pdpt + 16
	movl $(pd + 0x3000 + PTE_TABLE), pdpt + 24
	movl $(window_pd + PTE_TABLE), window_pdpt
	movl $(window_pt + PTE_TABLE), window_pd
	xorl %ecx, %ecx
	movl $PTE_LARGE, %eax
1:	movl %eax, pd(, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $LARGE_PAGES, %ecx
	jne 1b

	movl $ENTRY_CR4, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_NUM_EFER, %ecx
	rdmsr
	orl $ENTRY_EFER, %eax
	wrmsr
	movl $ENTRY_CR0, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SEL_CODE64, $entry64

	.code64
entry64:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	lldt %ax
	xorl %ebp, %ebp
	call micro_start
2:	cli
	hlt
	jmp 2b

	.data
	.balign 8
	.globl boot_magic, boot_info, gdt, gdt_pointer
boot_magic:
	.long 0
boot_info:
	.long 0
gdt:
	.quad 0
	.quad 0x00af9b000000ffff /* SEL_CODE64 */
	.quad 0x00cf93000000ffff /* SEL_DATA */
	.quad 0x00cf9b000000ffff /* SEL_CODE32 */
	.quad 0x00cff3000000ffff /* SEL_USER_DATA */
	.quad 0x00affb000000ffff /* SEL_USER_CODE */
	.quad 0x00009b000000ffff /* SEL_CODE16 */
	.quad 0x000093000000ffff /* SEL_DATA16 */
	.quad 0x00cf13000000ffff /* SEL_ABSENT_DATA */
	.quad 0x00af1b000000ffff /* SEL_ABSENT_CODE */
	.quad 0, 0		 /* SEL_TSS, filled in by C */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign 4096
	.globl pml4, pdpt, pd, window_pt
pml4:
	.skip 4096
pdpt:
	.skip 4096
pd:
	.skip 4 * 4096
window_pdpt:
	.skip 4096
window_pd:
	.skip 4096
window_pt:
	.skip 4096
stack:
	.skip STACK_BYTES

	.section .note.GNU-stack, "", @progbits
