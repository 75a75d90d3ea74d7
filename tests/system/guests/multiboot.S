/*
 * The smallest guests: multiboot (version 1) programs of a few instructions, one for each value of
 * GUEST. The VM's kernel in tests that need a guest which does exactly one wrong thing.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define FAULT_VMM_PORT	0xf5
#define PM1_STATUS	0x600
#define PM1_BUTTON	0x100
#define PM1_CONTROL	0x604
#define PM1_OFF		0x2000
#define PATTERN_FIRST	0x200000
#define PATTERN_DWORDS	0x300000
#define APIC		0xfee00000
#define TICK_VECTOR	0x40

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
#elif defined(GUEST_OFF) || defined(GUEST_OBEY)
	/* Turns itself off: at once, or when its power button is pressed. */
	mov $PM1_STATUS, %dx
#ifdef GUEST_OBEY
	mov $obey_text, %esi
	call put
	mov $PM1_STATUS, %dx
1:	mov $100000, %ecx
2:	loop 2b
	in %dx, %ax
	test $PM1_BUTTON, %ax
	jz 1b
#endif
	mov $PM1_CONTROL, %dx
	mov $PM1_OFF, %ax
	out %ax, %dx
obey_text:
	.asciz "at your command\r\n"
#elif defined(GUEST_PATTERN)
	/* Says whether its memory was zero, and leaves something there. */
	cld
	mov $PATTERN_FIRST, %edi
	mov $PATTERN_DWORDS, %ecx
	xor %eax, %eax
	mov $clean_text, %esi
	repe scasl
	je 1f
	mov $dirty_text, %esi
1:	call put
	mov $PATTERN_FIRST, %edi
	mov $PATTERN_DWORDS, %ecx
	mov $0x5ec2e75a, %eax
	rep stosl
	mov $filled_text, %esi
	call put
	jmp halt
clean_text:
	.asciz "memory is zero\r\n"
dirty_text:
	.asciz "memory is somebody's\r\n"
filled_text:
	.asciz "memory is filled\r\n"
#elif defined(GUEST_TICK)
	/* Sleeps from tick to tick of the fastest periodic timer, and says so now and then. */
	lgdt gdt_pointer
	ljmp $8, $1f
1:	mov $tick, %eax
	mov %ax, tick_gate
	shr $16, %eax
	mov %ax, tick_gate + 6
	lidt idt_pointer
	movl $0x1ff, APIC + 0xf0 /* on */
	movl $0xb, APIC + 0x3e0
	movl $0x20000 + TICK_VECTOR, APIC + 0x320 /* periodic */
	movl $1, APIC + 0x380
	xor %ebx, %ebx
2:	sti
	hlt
	inc %ebx
	test $0xfff, %ebx
	jnz 2b
	mov $tick_text, %esi
	call put
	jmp 2b
tick:	movl $0, APIC + 0xb0
	iret
tick_text:
	.asciz "4096 ticks\r\n"
	.align 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
idt:	.skip TICK_VECTOR * 8
tick_gate:
	.word 0, 8, 0x8e00, 0
gdt_pointer:
	.word idt - gdt - 1
	.long gdt
idt_pointer:
	.word gdt_pointer - idt - 1
	.long idt
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
#include "containment.inc"
#endif
halt:
	cli
	hlt
	jmp halt

put:	lodsb
	test %al, %al
	jz 2f
	call put_byte
	jmp put
put_byte:
	mov %al, %ah
	mov $0x3fd, %dx
1:	in %dx, %al
	test $0x20, %al
	jz 1b
	mov %ah, %al
	mov $0x3f8, %dx
	out %al, %dx
2:	ret

	.bss
	.align 16
	.skip 4096
stack_top:
