/*
 * Hardware task switches: CALL, JMP and IRET to a TSS, task gates in the IDT, and what must fault
 * (SDM volume 3, "Task Management"; APM volume 2, "Task Management").
 */
#include "tests/micro/task/task.h"

#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/legacy.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "task";

#define TSS32	    0x89
#define TSS16	    0x81
#define TSS_BUSY    BIT64(41) /* in a descriptor */
#define TASK_GATE   0x85
#define GATE32	    0x8e
#define GATE32_USER 0xee
#define LDT_TYPE    0x82
#define DATA_TYPE   0x93
#define V86_CODE    0x60000ULL
#define STACK_WORDS 512
#define PSE_PAGE    (4 * MIB)
#define PAGES_MAIN  (16 * MIB) /* what WINDOW maps to */
#define PAGES_TASK  (20 * MIB)
#define MAGIC_MAIN  0x4d41494eU
#define MAGIC_TASK  0x5441534bU
#define MAGIC_LOCAL 0x4c4f434cU
#define TRAP_T	    1
#define GPR_EBX	    3
#define GPR_ESP	    4
#define GPR_EDI	    7
#define DR7_L0_G1   (DR7_RESET | BIT64(0) | BIT64(3))

struct how how;
struct seen seen;
struct tss32 main_tss, fault_tss;
u64 task_gdt[GDT_ENTRIES] ALIGNED(8), task_idt[256] ALIGNED(8);

/* A TSS may cross a page boundary. */
static u8 task_pages[2 * PAGE_SIZE] ALIGNED(4096);
static struct tss32 *const task = (void *)(task_pages + PAGE_SIZE - 52);
static struct tss16 small;
static u32 stacks[3][STACK_WORDS], fault_stack[STACK_WORDS];
static u64 ldt[2];
static u32 local_magic;

struct space {
	u32 pse[1024];
	u64 pae_pd[512];
	u64 pae_pdpt[4] ALIGNED(32);
} ALIGNED(4096);
static struct space main_space, task_space;

enum paging { UNPAGED, PSE, PAE };
static const char *const paging_names[] = { "no paging", "PSE", "PAE" };
static enum paging paging;

static u32 low(const void *pointer)
{
	return (u32)(u64)pointer;
}

static u64 descriptor(u32 base, u32 limit, u8 type, u8 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)type << 40 |
	       (u64)(limit >> 16 & 0xf) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static u64 gate(u32 offset, u16 selector, u8 type)
{
	return (offset & 0xffff) | (u64)selector << 16 | (u64)type << 40 |
	       (u64)(offset >> 16) << 48;
}

static bool is_busy(u16 selector)
{
	return (task_gdt[selector / 8] & TSS_BUSY) != 0;
}

static void space_init(struct space *s, u64 window)
{
	for (u32 i = 0; i < 1024; i++)
		s->pse[i] =
			(u32)(i * PSE_PAGE | PTE_PAGE_SIZE | PTE_USER | PTE_WRITE | PTE_PRESENT);
	s->pse[WINDOW / PSE_PAGE] = (u32)(window | PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT);
	s->pse[UNMAPPED / PSE_PAGE] = 0;
	for (u32 i = 0; i < 512; i++)
		s->pae_pd[i] = i * 2 * MIB | PTE_PAGE_SIZE | PTE_USER | PTE_WRITE | PTE_PRESENT;
	s->pae_pd[WINDOW / (2 * MIB)] = window | PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT;
	s->pae_pd[UNMAPPED / (2 * MIB)] = 0;
	s->pae_pdpt[0] = (u64)s->pae_pd | PTE_PRESENT;
	for (u32 i = 1; i < 4; i++)
		s->pae_pdpt[i] = ((u64)pd + i * PAGE_SIZE) | PTE_PRESENT;
}

static u32 space_root(const struct space *s)
{
	if (paging == UNPAGED)
		return 0;
	return paging == PSE ? low(s->pse) : low(s->pae_pdpt);
}

static void tss_init(struct tss32 *t, const struct space *s, u32 *stack, const void *entry)
{
	memset(t, 0, sizeof(*t));
	t->cr3 = space_root(s);
	t->esp0 = low(fault_stack + STACK_WORDS);
	t->ss0 = SEL_DATA;
	t->eip = low(entry);
	t->eflags = RFLAGS_ONE;
	for (u32 i = 0; i < 8; i++)
		t->gpr[i] = 0x11111111 * (i + 1);
	t->gpr[GPR_ESP] = low(stack + STACK_WORDS);
	t->cs = SEL_CODE32;
	t->es = t->ss = t->ds = SEL_DATA;
}

static void idt_init(void)
{
	static const struct {
		u8 vector;
		const u8 *entry;
	} faults[] = {
		{ 1, fault_1 },	  { 8, fault_8 },   { 10, fault_10 }, { 11, fault_11 },
		{ 12, fault_12 }, { 13, fault_13 }, { 14, fault_14 },
	};

	memset(task_idt, 0, sizeof(task_idt));
	for (u32 i = 0; i < ARRAY_SIZE(faults); i++)
		task_idt[faults[i].vector] = gate(low(faults[i].entry), SEL_CODE32, GATE32);
}

/* Everything as at the first time; the test then changes what it is about. */
static void prepare(const void *action, const void *entry)
{
	memcpy(task_gdt, gdt, sizeof(gdt));
	task_gdt[SEL_MAIN / 8] = descriptor(low(&main_tss), sizeof(main_tss) - 1, TSS32, 0);
	task_gdt[SEL_TASK / 8] = descriptor(low(task), sizeof(*task) - 1, TSS32, 0);
	task_gdt[SEL_FAULT / 8] = descriptor(low(&fault_tss), sizeof(fault_tss) - 1, TSS32, 0);
	task_gdt[SEL_LDT / 8] = descriptor(low(ldt), sizeof(ldt) - 1, LDT_TYPE, 0);
	task_gdt[SEL_GATE / 8] = gate(0, SEL_TASK, TASK_GATE);
	task_gdt[SEL_USER_CODE32 / 8] = descriptor(0, 0xfffff, 0xfb, 0xc);
	task_gdt[SEL_CODE_AT / 8] = descriptor(low(task16), 0xffff, 0x9b, 0);
	ldt[1] = descriptor(low(&local_magic), sizeof(local_magic) - 1, DATA_TYPE, 4);
	idt_init();
	tss_init(&main_tss, &main_space, stacks[0], NULL);
	tss_init(task, &task_space, stacks[1], entry);
	tss_init(&fault_tss, &main_space, stacks[2], task_fault);
	memset(&seen, 0, sizeof(seen));
	how = (struct how){
		.cr4 = paging == PSE ? (u32)CR4_PSE : (u32)CR4_PAE,
		.cr3 = space_root(&main_space),
		.action = low(action),
		.far_selector = SEL_TASK,
	};
}

static void go(void)
{
	legacy_run(run_task);
}

static void check_went(const char *what, u32 runs)
{
	check(seen.runs == runs && seen.faults == 0,
	      "%s, %s: %u runs, %u faults: vector %u error %x at %x", paging_names[paging], what,
	      seen.runs, seen.faults, seen.vector, seen.error, seen.eip);
	check_equal(seen.kept, KEPT, what);
	check_equal(seen.end_eflags & (RFLAGS_NT | RFLAGS_IF), 0, what);
}

/* The task was entered as its TSS says. */
static void check_entered(const char *what, bool nested)
{
	check_equal(seen.tr, SEL_TASK, what);
	check_equal(seen.task_eflags & RFLAGS_NT, nested ? RFLAGS_NT : 0, what);
	check(seen.cr0 & CR0_TS, "%s: CR0 %x", what, seen.cr0);
	check_equal(task->link & 0xffff, nested ? SEL_MAIN : 0, what);
	check(paging == UNPAGED || seen.window == MAGIC_TASK, "%s, %s: address space: %x",
	      paging_names[paging], what, seen.window);
	check(!is_busy(SEL_TASK), "%s: the task is not busy afterwards", what);
	check(is_busy(SEL_MAIN), "%s: the main task is busy afterwards", what);
}

static void check_call(void)
{
	prepare(act_call, task_echo);
	asm volatile("mov %0, %%dr7" ::"r"(DR7_L0_G1));
	go();
	check_went("CALL", 2);
	check_entered("CALL", true);
	check_equal(seen.dr7, DR7_RESET | BIT64(3), "local breakpoints end with the task");
	check_equal(main_tss.eip, low(act_call_end), "EIP behind the second CALL");
	check_equal(main_tss.eflags & RFLAGS_NT, 0, "NT of the calling task");
	check_equal(task->eflags & RFLAGS_NT, 0, "IRET clears NT in the old task's TSS");
	check_equal(main_tss.gpr[GPR_EBX], KEPT, "EBX in the calling task's TSS");
	check_equal(main_tss.ds, SEL_DATA, "DS in the calling task's TSS");
	asm volatile("mov %0, %%dr7" ::"r"(DR7_RESET));

	prepare(act_call, task_echo);
	how.jump = 1; /* JMP to a busy task */
	go();
	check(seen.faults == 1 && seen.vector == EXC_GP && seen.error == SEL_MAIN,
	      "JMP to a busy task: vector %u error %x", seen.vector, seen.error);
	check_equal(seen.fault_tr, SEL_TASK, "it faults in the task that jumps");
}

static void check_registers(void)
{
	prepare(act_int, task_echo);
	task_idt[VEC_SWITCH] = gate(0, SEL_TASK, TASK_GATE);
	go();
	check_went("INT n through a task gate", 1);
	check_entered("INT n", true);
	for (u32 i = 0; i < 8; i++)
		check_equal(seen.gpr[i],
			    i == GPR_ESP ? low(stacks[1] + STACK_WORDS) : 0x11111111 * (i + 1),
			    "general registers from the TSS");
	check_equal(main_tss.eip, low(act_int_end), "EIP behind INT n");

	prepare(act_int3, task_echo);
	task_idt[EXC_BP] = gate(0, SEL_TASK, TASK_GATE);
	go();
	check_went("INT3 through a task gate", 1);
	check_equal(main_tss.eip, low(act_int3_end), "EIP behind INT3");
}

static void check_jump(void)
{
	prepare(act_jump, task_echo);
	how.jump = 1;
	go();
	check_went("JMP", 1);
	check_entered("JMP", false);
	check_equal(main_tss.eip, low(act_jump_end), "EIP behind JMP");
	check_equal(task->eip, low(task_back), "EIP behind the other JMP");

	prepare(act_iret, task_echo);
	how.jump = 1;
	main_tss.link = SEL_TASK;
	task_gdt[SEL_TASK / 8] |= TSS_BUSY;
	go();
	check_went("IRET", 1);
	check_entered("IRET", false);
	check_equal(main_tss.eip, low(act_iret_end), "EIP behind IRET");
	check_equal(main_tss.eflags & RFLAGS_NT, 0, "NT after IRET");

	prepare(act_call, task_echo);
	how.far_selector = SEL_GATE;
	go();
	check_went("CALL of a task gate", 2);
	check_entered("CALL of a task gate", true);
}

static void check_other_tasks(void)
{
	prepare(act_call, task_echo);
	task->ldt = SEL_LDT;
	task->es = SEL_LOCAL;
	local_magic = MAGIC_LOCAL;
	go();
	check_went("a task with an LDT", 2);
	check_equal(seen.es0, MAGIC_LOCAL, "segment in the LDT");

	prepare(act_call, task_user);
	task->cs = SEL_USER_CODE32;
	task->ds = task->es = task->ss = SEL_USER_DATA;
	go();
	check_went("a task in ring 3", 2);
	check_equal(seen.task_cs, SEL_USER_CODE32, "CS of ring 3");

	prepare(act_call, NULL);
	memset(&small, 0, sizeof(small));
	small.flags = RFLAGS_ONE;
	small.cs = SEL_CODE_AT;
	small.ds = small.es = SEL_DATA;
	small.ss = SEL_DATA16; /* the upper half of ESP is undefined */
	small.gpr[GPR_ESP] = 0x7c00;
	small.gpr[0] = 0x1234;
	small.gpr[GPR_EDI] = 0x5678;
	task_gdt[SEL_TASK / 8] = descriptor(low(&small), sizeof(small) - 1, TSS16, 0);
	go();
	check_went("a 16-bit TSS", 2);
	check_equal(seen.gpr[GPR_ESP] & 0xffff, 0x7c00, "SP of a 16-bit TSS");
	check_equal(seen.gpr[GPR_EDI] & 0xffff, 0x5678, "DI of a 16-bit TSS");
	check_equal(seen.tr & 0xffff, SEL_TASK, "TR of a 16-bit TSS");
	check_equal(small.link, SEL_MAIN, "back link of a 16-bit TSS");
	check_equal(small.gpr[GPR_EDI], 0x5678, "DI saved in a 16-bit TSS");
}

static void check_v86(void)
{
	prepare(act_int3, NULL);
	memcpy((void *)V86_CODE, v86_begin, (size_t)(v86_end - v86_begin));
	task->eflags = (u32)(RFLAGS_ONE | RFLAGS_VM | RFLAGS_IOPL);
	task->eip = 0;
	task->cs = V86_CODE >> 4;
	task->ss = task->ds = task->es = 0x5000;
	task->gpr[GPR_ESP] = 0x1000;
	task_idt[EXC_BP] = gate(0, SEL_TASK, TASK_GATE);
	task_idt[VEC_SWITCH] = gate(low(fault_64), SEL_CODE32, GATE32_USER);
	go();
	check(seen.faults == 1 && seen.vector == VEC_SWITCH,
	      "virtual-8086 task: vector %u error %x", seen.vector, seen.error);
	check(seen.eflags & RFLAGS_VM, "virtual-8086 task: EFLAGS %x", seen.eflags);
	check_equal(seen.cs, V86_CODE >> 4, "CS of a virtual-8086 task");
	check_equal(seen.eip, v86_end - v86_begin, "IP behind INT in a virtual-8086 task");
}

/* Exceptions through a task gate push their error code there; the handler mends the main task. */
static void check_exceptions(void)
{
	prepare(act_absent, task_echo);
	how.pop = how.skip = 1;
	task_idt[EXC_NP] = gate(0, SEL_TASK, TASK_GATE);
	go();
	check_went("#NP through a task gate", 1);
	check_entered("#NP", true);
	check_equal(seen.popped, SEL_ABSENT_DATA, "error code of #NP");
	check_equal(seen.gpr[GPR_ESP], low(stacks[1] + STACK_WORDS - 1),
		    "ESP below the error code");

	prepare(act_absent, task_echo);
	how.pop = how.skip = 1;
	task_idt[EXC_NP] = 0;
	task_idt[EXC_DF] = gate(0, SEL_TASK, TASK_GATE);
	go();
	check_went("#DF through a task gate", 1);
	check_entered("#DF", true);
	check_equal(seen.popped, 0, "error code of #DF");
}

static void check_interrupts(void)
{
	prepare(act_irq, task_irq);
	task_idt[PIC_VECTOR_BASE] = gate(0, SEL_TASK, TASK_GATE);
	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
	pit_start(0, 2, 1193);
	pic_unmask(IRQ_PIT);
	go();
	pic_mask_all();
	check_went("interrupts through a task gate", seen.runs);
	check(seen.runs >= 3, "interrupts through a task gate: %u", seen.runs);

	prepare(act_nmi, task_nmi);
	task_idt[EXC_NMI] = gate(0, SEL_TASK, TASK_GATE);
	go();
	check_went("NMIs through a task gate", 2);
	check_equal(seen.popped, 1, "no NMI in an NMI's task");
}

static void expect_fault(const char *what, u32 vector, u32 error, u16 tr)
{
	go();
	check(seen.faults == 1 && seen.vector == vector && seen.error == error &&
		      seen.fault_tr == tr,
	      "%s, %s: %u faults, vector %u error %x task %x, not %u %x %x", paging_names[paging],
	      what, seen.faults, seen.vector, seen.error, seen.fault_tr, vector, error, tr);
	if (tr == SEL_MAIN)
		check_equal(seen.eip, how.action == low(act_iret) ? low(act_iret_at) : how.action,
			    what);
	check_equal(is_busy(SEL_MAIN), true, what);
}

/* What faults in the task that asks for the switch. */
static void check_refused(void)
{
	prepare(act_call, task_echo);
	how.far_selector = SEL_MAIN;
	expect_fault("CALL of a busy task", EXC_GP, SEL_MAIN, SEL_MAIN);

	prepare(act_call, task_echo);
	task_gdt[SEL_TASK / 8] &= ~(0x80ULL << 40);
	expect_fault("CALL of an absent TSS", EXC_NP, SEL_TASK, SEL_MAIN);

	prepare(act_call, task_echo);
	task_gdt[SEL_TASK / 8] = descriptor(low(task), sizeof(*task) - 2, TSS32, 0);
	expect_fault("a TSS that is too small", EXC_TS, SEL_TASK, SEL_MAIN);

	prepare(act_call, task_echo);
	task_gdt[SEL_TASK / 8] = descriptor(low(&small), sizeof(small) - 2, TSS16, 0);
	expect_fault("a 16-bit TSS that is too small", EXC_TS, SEL_TASK, SEL_MAIN);

	prepare(act_iret, task_echo);
	main_tss.link = SEL_TASK;
	expect_fault("IRET to a task that is not busy", EXC_TS, SEL_TASK, SEL_MAIN);

	prepare(act_iret, task_echo);
	main_tss.link = 8 * GDT_ENTRIES;
	expect_fault("IRET beyond the GDT", EXC_TS, 8 * GDT_ENTRIES, SEL_MAIN);

	if (paging == UNPAGED)
		return;
	prepare(act_call, task_echo);
	task_gdt[SEL_TASK / 8] = descriptor(UNMAPPED, sizeof(*task) - 1, TSS32, 0);
	expect_fault("a TSS that is not mapped", EXC_PF, 0, SEL_MAIN);
	check_equal(align_down(seen.cr2, PAGE_SIZE), UNMAPPED, "CR2");
	check(!is_busy(SEL_TASK), "not busy after a refusal");
}

/* What faults in the new task. */
static void check_faulted(void)
{
	prepare(act_int, task_echo);
	task_idt[VEC_SWITCH] = gate(0, SEL_TASK, TASK_GATE);
	task->ds = SEL_ABSENT_DATA;
	expect_fault("a task with absent data", EXC_NP, SEL_ABSENT_DATA, SEL_TASK);
	check_equal(seen.eip, low(task_echo), "EIP in the new task");
	check_equal(task->link, SEL_MAIN, "back link after a fault");
	check_equal(seen.kept, KEPT, "back in the main task");

	prepare(act_int, task_echo);
	task_idt[VEC_SWITCH] = gate(0, SEL_TASK, TASK_GATE);
	task->es = SEL_USER_CODE32 + 8 * GDT_ENTRIES;
	expect_fault("a task with data beyond the GDT", EXC_TS,
		     (SEL_USER_CODE32 + 8 * GDT_ENTRIES) & ~3U, SEL_TASK);

	/* With a stack that is none, only another task can handle it. */
	prepare(act_int, task_echo);
	task_idt[VEC_SWITCH] = gate(0, SEL_TASK, TASK_GATE);
	task_idt[EXC_TS] = gate(0, SEL_FAULT, TASK_GATE);
	task->ss = SEL_CODE32;
	go();
	check(seen.faults == 1 && seen.runs == 0, "a task without a stack: %u faults, vector %u",
	      seen.faults, seen.vector);
	check_equal(seen.popped, SEL_CODE32, "error code in a third task");
	check_equal(seen.link, SEL_TASK, "back link of the third task");
	check_equal(task->eip, low(task_echo), "EIP of the task without a stack");
	check_equal(seen.kept, KEPT, "the main task after all");
}

static void check_trap(void)
{
	if (tcg_lacks("debug trap of a task switch"))
		return;
	prepare(act_int, task_echo);
	task_idt[VEC_SWITCH] = gate(0, SEL_TASK, TASK_GATE);
	task->trap = TRAP_T;
	asm volatile("mov %0, %%dr6" ::"r"(DR6_RESET));
	go();
	check(seen.faults == 1 && seen.vector == EXC_DB, "debug trap: %u faults, vector %u",
	      seen.faults, seen.vector);
	check_equal(seen.dr6 & DR6_BT, DR6_BT, "DR6.BT");
	check_equal(seen.eip, low(task_echo), "debug trap before the first instruction");
	asm volatile("mov %0, %%dr6" ::"r"(DR6_RESET));
}

/* TR holds a TSS of 32 bits now. */
static void tr_restore(void)
{
	gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	asm volatile("ltr %w0" ::"r"(SEL_TSS) : "memory");
}

void micro_main(void)
{
	pic_init();
	lapic_init();
	space_init(&main_space, PAGES_MAIN);
	space_init(&task_space, PAGES_TASK);
	*(u32 *)PAGES_MAIN = MAGIC_MAIN;
	*(u32 *)PAGES_TASK = MAGIC_TASK;
	for (paging = UNPAGED; paging <= PAE; paging++) {
		check_call();
		check_registers();
		check_jump();
		check_other_tasks();
		check_v86();
		check_exceptions();
		check_interrupts();
		check_refused();
		check_faulted();
		check_trap();
	}
	tr_restore();
}
