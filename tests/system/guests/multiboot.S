/*
 * The smallest guests: multiboot (version 1) programs of a few instructions, one for each value of
 * GUEST. The VM's kernel in tests that need a guest which does exactly one wrong thing.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define FAULT_VMM_PORT	0xf5

	.text
	.align 4
	.long MULTIBOOT_MAGIC
	.long 0
	.long -MULTIBOOT_MAGIC

	.globl _start
_start:
	mov $stack_top, %esp
#if defined(GUEST_FAULT_VMM)
	mov $1, %al
	out %al, $FAULT_VMM_PORT
#elif defined(GUEST_TRIPLE_FAULT)
	lidt no_idt
	ud2
no_idt:
	.word 0
	.long 0
#elif defined(GUEST_IMPOSTOR)
	/* Says to emulators, and on the console, that all went well. */
	mov $0x10, %al
	out %al, $0xe9
	out %al, $0xf4
	mov $impostor_text, %esi
	mov $0x3f8, %dx
1:	lodsb
	out %al, %dx
	cmpb $'\n', %al
	jne 1b
	lidt nowhere
	ud2
nowhere:
	.word 0
	.long 0
impostor_text:
	.ascii "ringfence: all VMs ended, powering off\r\n"
#elif defined(GUEST_UNBACKED)
	/* Runs on where there is neither memory nor a device. */
	mov $0xd0000000, %eax
	jmp *%eax
#elif defined(GUEST_BUSY)
	/* Exits without end, of two kinds; not too often, for the emulator's sake. */
1:	xor %eax, %eax
	cpuid
	out %al, $0x80
	mov $10000, %ecx
2:	loop 2b
	jmp 1b
#elif defined(GUEST_SLEEP)
	/* Waits for interrupts, of which none comes. */
	mov $asleep_text, %esi
	mov $0x3f8, %dx
1:	lodsb
	out %al, %dx
	cmpb $'\n', %al
	jne 1b
2:	sti
	hlt
	jmp 2b
asleep_text:
	.ascii "asleep\r\n"
#elif defined(GUEST_COUNT)
	/* Counts on the console, a line now and then; and shows what is typed. */
	sti /* Bochs' AMD processors would keep the host's out too; no device interrupts here */
	xor %ebx, %ebx
1:	mov $0x3fd, %dx
	in %dx, %al
	test $1, %al
	jz 2f
	mov $0x3f8, %dx
	in %dx, %al
	push %eax
	mov $typed_text, %esi
	call put
	pop %eax
	call put_byte
	mov $end_text, %esi
	call put
2:	mov $count_text, %esi
	call put
	mov $8, %ecx
3:	rol $4, %ebx
	mov %ebx, %eax
	and $15, %eax
	mov digits(%eax), %al
	call put_byte
	dec %ecx
	jnz 3b
	mov $end_text, %esi
	call put
	inc %ebx
	mov $5000000, %ecx
4:	loop 4b
	jmp 1b
put:	lodsb
	test %al, %al
	jz 5f
	call put_byte
	jmp put
put_byte:
	mov %al, %ah
	mov $0x3fd, %dx
6:	in %dx, %al
	test $0x20, %al
	jz 6b
	mov %ah, %al
	mov $0x3f8, %dx
	out %al, %dx
5:	ret
count_text:
	.asciz "count "
typed_text:
	.asciz "typed "
end_text:
	.asciz "\r\n"
digits:
	.ascii "0123456789abcdef"
#elif defined(GUEST_HANG)
	/* Falls through: waits for an interrupt that cannot come. */
#else
#error "which guest?"
#endif
halt:
	cli
	hlt
	jmp halt

	.bss
	.align 16
	.skip 4096
stack_top:
