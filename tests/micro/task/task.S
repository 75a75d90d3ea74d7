/*
 * Tasks and what makes the processor switch between them, in 32-bit protected mode (SDM volume 3,
 * "Task Management").
 */
#include "tests/micro/lib/layout.h"
#include "tests/micro/task/task.h"

#define CR0_PG	     0x80000000
#define FLAG_NT	     0x4000
#define LAPIC_ICR    0xfee00300
#define ICR_NMI_SELF 0x44400
#define PIC_EOI	     0x20
#define PORT_ANY     0x61

	/* struct how */
	.set how_cr4, how
	.set how_cr3, how + 4
	.set how_action, how + 8
	.set how_far, how + 12
	.set how_jump, how + 20
	.set how_skip, how + 24
	.set how_pop, how + 28
	/* struct seen */
	.set seen_faults, seen
	.set seen_vector, seen + 4
	.set seen_error, seen + 8
	.set seen_eip, seen + 12
	.set seen_cs, seen + 16
	.set seen_eflags, seen + 20
	.set seen_cr2, seen + 24
	.set seen_dr6, seen + 28
	.set seen_fault_tr, seen + 32
	.set seen_runs, seen + 36
	.set seen_tr, seen + 40
	.set seen_task_eflags, seen + 44
	.set seen_cr0, seen + 48
	.set seen_dr7, seen + 52
	.set seen_window, seen + 56
	.set seen_es0, seen + 60
	.set seen_task_cs, seen + 64
	.set seen_popped, seen + 68
	.set seen_link, seen + 72
	.set seen_gpr, seen + 76
	.set seen_kept, seen + 108
	.set seen_end_eflags, seen + 112

	.text
	.code32
	.globl run_task
run_task:
	lgdt task_gdt_pointer
	lidt task_idt_pointer
	movl how_cr3, %eax
	testl %eax, %eax
	jz 1f
	movl %cr4, %ecx
	orl how_cr4, %ecx
	movl %ecx, %cr4
	movl %eax, %cr3
	movl %cr0, %eax
	orl $CR0_PG, %eax
	movl %eax, %cr0
	jmp 1f
1:	movl $SEL_MAIN, %eax
	ltr %ax
	movl %esp, main_esp
	movl $KEPT, %ebx
	call *how_action
main_end:
	cli
	movl main_esp, %esp
	movl %ebx, seen_kept
	pushfl
	popl seen_end_eflags
	pushl $2
	popfl
	clts
	movl %cr0, %eax
	andl $~CR0_PG, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ret

/* What the main task does. */
	.globl act_call, act_jump, act_int, act_int3, act_iret, act_absent, act_irq, act_nmi
	.globl act_call_end, act_jump_end, act_int_end, act_int3_end, act_iret_at, act_iret_end
act_call: /* twice: the task goes on where it was */
	lcall *how_far
	lcall *how_far
act_call_end:
	ret
act_jump:
	ljmp *how_far
act_jump_end:
	ret
act_int:
	int $VEC_SWITCH
act_int_end:
	ret
act_int3:
	int3
act_int3_end:
	ret
act_iret:
	pushfl
	orl $FLAG_NT, (%esp)
	popfl
act_iret_at:
	iret
act_iret_end:
	ret
act_absent:
	movl $SEL_ABSENT_DATA, %eax
	movl %eax, %fs
	ret
act_irq:
	sti
	hlt
	cli
	cmpl $3, seen_runs
	jb act_irq
	ret
act_nmi:
	movl $ICR_NMI_SELF, LAPIC_ICR
	movl $1000, %ecx
1:	cmpl $2, seen_runs
	jae 2f
	inb $PORT_ANY, %al /* exits, for processors that cannot be interrupted otherwise */
	loop 1b
2:	ret

/* A task that writes down how it was entered and goes back; the next switch finds it behind. */
	.globl task_echo, task_back
task_echo:
	incl seen_runs
	movl %eax, seen_gpr
	movl %ecx, seen_gpr + 4
	movl %edx, seen_gpr + 8
	movl %ebx, seen_gpr + 12
	movl %esp, seen_gpr + 16
	movl %ebp, seen_gpr + 20
	movl %esi, seen_gpr + 24
	movl %edi, seen_gpr + 28
	cmpl $0, how_pop
	je 1f
	popl seen_popped
1:	pushfl
	popl seen_task_eflags
	xorl %eax, %eax
	str %ax
	movl %eax, seen_tr
	movl %cs, %eax
	movl %eax, seen_task_cs
	movl %dr7, %eax
	movl %eax, seen_dr7
	movl %es:0, %eax
	movl %eax, seen_es0
	movl %cr0, %eax
	movl %eax, seen_cr0
	testl %eax, %eax
	jns 2f
	movl WINDOW, %eax
	movl %eax, seen_window
2:	cmpl $0, how_skip
	je 3f
	movl $main_end, main_tss + 0x20
3:	cmpl $0, how_jump
	jne 4f
	iret
	jmp task_echo
4:	ljmp $SEL_MAIN, $0
task_back:
	jmp task_echo

	.globl task_user, task_irq, task_nmi, task_fault, task16
task_user:
	incl seen_runs
	pushfl
	popl seen_task_eflags
	movl %cs, %eax
	movl %eax, seen_task_cs
	iret
	jmp task_user
task_irq:
	incl seen_runs
	movb $PIC_EOI, %al
	outb %al, $0x20
	iret
	jmp task_irq
task_nmi: /* the second one waits for the end of the first one's handler */
	incl seen_runs
	cmpl $1, seen_runs
	jne 2f
	movl $ICR_NMI_SELF, LAPIC_ICR
	movl $1000, %ecx
1:	loop 1b
	movl seen_runs, %eax
	movl %eax, seen_popped
2:	iret
	jmp task_nmi
task_fault: /* goes back to the main task, not to the one that faulted */
	popl seen_popped
	incl seen_faults
	movzwl fault_tss, %eax
	movl %eax, seen_link
	movw $SEL_MAIN, fault_tss
	iret
	jmp task_fault

	.code16
task16:
	addr32 incl seen_runs
	addr32 movl %eax, seen_gpr
	addr32 movl %esp, seen_gpr + 16
	addr32 movl %edi, seen_gpr + 28
	pushfl
	addr32 popl seen_task_eflags
	strw %ax
	addr32 movw %ax, seen_tr
	iretw
	jmp task16

	.globl v86_begin, v86_end
v86_begin:
	int $VEC_SWITCH
v86_end:
	.code32

/* Faults. In the main task it goes on at its end; another task returns to the one before. */
	.macro fault vector, has_error
	.globl fault_\vector
fault_\vector:
	.if !\has_error
	pushl $0
	.endif
	pushl $\vector
	jmp fault_common
	.endm
	fault 1, 0
	fault 8, 1
	fault 10, 1
	fault 11, 1
	fault 12, 1
	fault 13, 1
	fault 14, 1
	fault 64, 0
fault_common:
	pushl %eax
	movl $SEL_DATA, %eax
	movl %eax, %ds
	incl seen_faults
	movl 4(%esp), %eax
	movl %eax, seen_vector
	movl 8(%esp), %eax
	movl %eax, seen_error
	movl 12(%esp), %eax
	movl %eax, seen_eip
	movl 16(%esp), %eax
	movl %eax, seen_cs
	movl 20(%esp), %eax
	movl %eax, seen_eflags
	movl %cr2, %eax
	movl %eax, seen_cr2
	movl %dr6, %eax
	movl %eax, seen_dr6
	xorl %eax, %eax
	str %ax
	movl %eax, seen_fault_tr
	cmpl $SEL_MAIN, %eax
	je 1f
	pushfl
	orl $FLAG_NT, (%esp)
	popfl
	iret
1:	movl $main_end, 12(%esp)
	popl %eax
	addl $8, %esp
	iret

	.data
	.balign 4
task_gdt_pointer:
	.word 8 * GDT_ENTRIES - 1
	.long task_gdt
task_idt_pointer:
	.word 8 * 256 - 1
	.long task_idt
main_esp:
	.long 0

	.section .note.GNU-stack, "", @progbits
