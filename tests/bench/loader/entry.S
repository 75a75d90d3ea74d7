/* Multiboot Specification version 1, "OS image format"; then the jump that version 2 describes. */
#define MULTIBOOT_MAGIC	 0x1badb002
#define MULTIBOOT_FLAGS	 0x3 /* align modules, tell the memory map */
#define MULTIBOOT2_MAGIC 0x36d76289
#define STACK_BYTES	 16384

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.globl _start
_start:
	movl $(stack + STACK_BYTES), %esp
	pushl %ebx
	call load
	movl $MULTIBOOT2_MAGIC, %eax
	movl $information, %ebx
	jmp *entry

	.bss
	.balign 16
stack:
	.skip STACK_BYTES

	.section .note.GNU-stack, "", @progbits
