/*
 * From the boot loader to C: multiboot2 hands over in 32-bit protected mode without paging; this
 * enters 64-bit mode with the core mapped where it is linked.
 * Multiboot2 Specification, "The layout of Multiboot2 header" and "I386 machine state".
 */
#include "core/boot/long_mode.inc"

#define MULTIBOOT2_MAGIC 0xe85250d6
#define HEADER_TAG_FRAMEBUFFER 5
#define HEADER_TAG_MODULE_ALIGN 6

#define PTE_TABLE 0x03 /* present, writable */
#define PTE_LARGE 0x83

#define VGA_TEXT 0xb8000
#define VGA_TEXT_BYTES (80 * 25 * 2)
#define VGA_WHITE 0x0f
#define VGA_BLANK_PAIR 0x0f200f20
#define COM1_DATA 0x3f8
#define COM1_STATUS 0x3fd
#define COM1_THR_EMPTY 0x20
#define MACHINE_REFUSED 0x12 /* as in machine.h */
#define PORT_QEMU_EXIT 0xf4 /* these two as in machine.c */
#define PORT_BOCHS_OUT 0xe9

	.section .boot.header, "a"
	.balign 8
header:
	.long MULTIBOOT2_MAGIC, 0, header_end - header
	.long -(MULTIBOOT2_MAGIC + 0 + (header_end - header))
	.balign 8
	.short HEADER_TAG_MODULE_ALIGN, 0
	.long 8
	.balign 8
	.short HEADER_TAG_FRAMEBUFFER, 1 /* optional */
	.long 20, 0, 0, 0
	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .boot, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	movl %eax, %esi /* magic */
	movl %ebx, %edi /* boot information */
	movl $PHYS(boot_stack_top), %esp

	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	btl $29, %edx /* LM */
	jnc no_long_mode
	btl $20, %edx /* NX */
	jnc no_long_mode

	/* The image loader zeroed .bss, page tables included. */
	movl $PHYS(core_pml4), %eax
	movl $PHYS(boot_pdpt_low) + PTE_TABLE, (%eax)
	movl $PHYS(core_pdpt) + PTE_TABLE, 511 * 8(%eax)
	movl $PHYS(boot_pd_low) + PTE_TABLE, PHYS(boot_pdpt_low)
	movl $PTE_LARGE, PHYS(boot_pd_low)
	movl $PHYS(core_pd_window) + PTE_TABLE, PHYS(core_pdpt) + 509 * 8
	movl $PHYS(core_pd_image) + PTE_TABLE, PHYS(core_pdpt) + 510 * 8
	movl $PHYS(core_pt_window) + PTE_TABLE, PHYS(core_pd_window)
	movl $PTE_LARGE, PHYS(core_pd_image)
	movl $PTE_LARGE + 0x200000, PHYS(core_pd_image) + 8

	paging_on
	lgdt boot_gdt_pointer
	ljmpl $8, $long_mode

/* Says so on VGA's text screen and on COM1, then ends like machine_off(MACHINE_REFUSED). */
no_long_mode:
	movl %edi, %ebp /* boot information */
	movl $VGA_TEXT, %edi
	movl $VGA_TEXT_BYTES / 4, %ecx
	movl $VGA_BLANK_PAIR, %eax
	rep stosl
	movl $uart_setup, %esi
	movl $(uart_setup_end - uart_setup) / 2, %ecx
8:	movw $COM1_DATA, %dx
	lodsw
	addb %al, %dl
	movb %ah, %al
	outb %al, %dx
	loop 8b
	movl $no_long_mode_text, %esi
	movl $VGA_TEXT, %edi
1:	lodsb
	testb %al, %al
	jz 4f
	movb %al, %bl
	cmpb $' ', %al
	jb 2f
	movb $VGA_WHITE, %ah
	stosw
2:	movw $COM1_STATUS, %dx
3:	inb %dx, %al
	testb $COM1_THR_EMPTY, %al
	jz 3b
	movb %bl, %al
	movw $COM1_DATA, %dx
	outb %al, %dx
	jmp 1b

	/* The option is looked for in all of the boot information: its first u32 is its size. */
4:	movl (%ebp), %edx
5:	movl $exit_option, %esi
	movl %ebp, %edi
	movl $exit_option_end - exit_option, %ecx
	repe cmpsb
	je 6f
	incl %ebp
	decl %edx
	jnz 5b
	jmp 7f
6:	movb $MACHINE_REFUSED, %al
	outb %al, $PORT_QEMU_EXIT
	outb %al, $PORT_BOCHS_OUT
7:	hlt
	jmp 7b

uart_setup: /* 115200 8N1 as in serial.c: which register, what it gets */
	.byte 1, 0, 3, 0x80, 0, 1, 1, 0, 3, 3
uart_setup_end:
exit_option:
	.ascii "emulator-exit"
exit_option_end:
no_long_mode_text:
	.ascii "ringfence: this processor has no 64-bit mode with no-execute pages (CPUID 80000001h "
	.ascii "EDX bits 29 and 20): a 64-bit x86 processor is needed, with NX (XD, Execute "
	.asciz "Disable) left on in the firmware setup; halted\r\n"

	.balign 8
boot_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
	.short 23
	.long boot_gdt

	.code64
long_mode:
	movabsq $high, %rax
	jmpq *%rax

	.text
high:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movq $boot_stack_top, %rsp
	xorl %ebp, %ebp
	pushq %rbp /* a zero return address ends backtraces */
	xchgq %rdi, %rsi
	movl %edi, %edi
	movl %esi, %esi
	jmp core_main

	.bss
	.balign 4096
	.globl core_pml4, core_pdpt, core_pd_window, core_pt_window, core_pd_image, core_pt_image
core_pml4:	.skip 4096
core_pdpt:	.skip 4096
core_pd_window:	.skip 4096
core_pt_window:	.skip 4096
core_pd_image:	.skip 4096
core_pt_image:	.skip 8192
	.globl boot_pdpt_low
boot_pdpt_low:	.skip 4096
boot_pd_low:	.skip 4096

	.section .note.GNU-stack, "", @progbits
