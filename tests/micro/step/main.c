/*
 * Single step over instructions that exit: whatever the hypervisor does with one, RIP stands
 * behind it afterwards, whatever its prefixes, and the trap comes there and nowhere else
 * (APM volume 2, "Single Stepping"; volume 3, "Instruction Prefixes").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"

const char micro_name[] = "step";

#define DR7_L0	     BIT64(0)
#define PORT_NOBODY  0x5f4
#define UART_SCRATCH 0x3ff
#define VEC_IRQ	     0x41

/* Sets TF, runs `insn` with these registers, and checks that the trap comes right behind it. */
static void check_stepped(const char *text)
{
	check(trap.count == 1 && trap.vector == EXC_DB && trap.length > 0 &&
		      trap.offset == trap.length && trap.dr6 & DR6_BS,
	      "%s: %lu x vector %lu at +%lu of %lu, DR6 %lx", text, trap.count, trap.vector,
	      trap.offset, trap.length, trap.dr6);
}

#define SET_TF "pushfq; orl $0x100, (%%rsp); popfq\n"
#define STEP(insn, rax, rcx, rdx)                                                                  \
	({                                                                                         \
		u64 a_ = (rax), c_ = (rcx), d_ = (rdx);                                            \
		trap_clear();                                                                      \
		asm volatile(SET_TF TRAPPING(insn)                                                 \
			     : "+a"(a_), "+c"(c_), "+d"(d_)::"rbx", "rsi", "rdi", "memory", "cc"); \
		check_stepped(insn);                                                               \
		a_;                                                                                \
	})

static void check_plain(void)
{
	STEP("nop", 0, 0, 0);
	STEP("rdtsc", 0, 0, 0);
	if (!tcg_lacks("single step over PAUSE"))
		STEP("pause", 0, 0, 0);
}

static void check_cpuid(void)
{
	check_equal(STEP("cpuid", 0x80000000, 0, 0), cpuid(0x80000000, 0).eax, "CPUID stepped");
	STEP(".byte 0xf3, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x66, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x67, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x40, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x2e, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x66, 0xf2, 0x4f, 0x0f, 0xa2", 0, 0, 0);
	STEP(".byte 0x3e, 0x3e, 0x3e, 0x3e, 0x66, 0x66, 0x66, 0x67, 0x67, 0xf3, 0xf3, 0x36, 0x48, "
	     "0x0f, 0xa2",
	     0, 0, 0);
}

static void check_msr(void)
{
	u64 efer = rdmsr(MSR_IA32_EFER), apic = rdmsr(MSR_IA32_APIC_BASE);

	check_equal(STEP("rdmsr", 0, MSR_IA32_EFER, 0), efer, "RDMSR stepped");
	STEP(".byte 0x66, 0x0f, 0x32", 0, MSR_IA32_EFER, 0);
	STEP(".byte 0x48, 0x0f, 0x32", 0, MSR_IA32_APIC_BASE, 0);
	STEP(".byte 0xf2, 0x0f, 0x32", 0, MSR_IA32_STAR, 0);
	STEP("wrmsr", efer, MSR_IA32_EFER, 0);
	STEP(".byte 0xf3, 0x0f, 0x30", apic, MSR_IA32_APIC_BASE, 0);
	STEP(".byte 0x66, 0x41, 0x0f, 0x30", efer, MSR_IA32_EFER, 0);
	check_equal(rdmsr(MSR_IA32_EFER), efer, "EFER afterwards");
}

static void check_io(void)
{
	out_byte(UART_SCRATCH, 0x42);
	check_equal(STEP("inb %%dx, %%al", 0, 0, UART_SCRATCH), 0x42, "IN stepped");
	STEP("inw %%dx, %%ax", 0, 0, PORT_NOBODY);
	STEP("inl %%dx, %%eax", 0, 0, PORT_NOBODY);
	STEP(".byte 0x48, 0xed", 0, 0, PORT_NOBODY);
	STEP(".byte 0x67, 0xec", 0, 0, PORT_NOBODY);
	STEP("inb $0x21, %%al", 0, 0, 0);
	STEP("outb %%al, %%dx", 0x43, 0, UART_SCRATCH);
	STEP("outw %%ax, %%dx", 0, 0, PORT_NOBODY);
	STEP("outl %%eax, %%dx", 0, 0, PORT_NOBODY);
	STEP("outb %%al, $0x80", 0, 0, 0);
	STEP(".byte 0x66, 0x67, 0xf3, 0xe7, 0x80", 0, 0, 0);
	check_equal(in_byte(UART_SCRATCH), 0x43, "OUT stepped");
}

/*
 * A repeated string instruction traps after an element, with RIP at the instruction until it is
 * finished (one step late in QEMU); an emulator may do more than one element at once.
 */
static void check_string(void)
{
	u8 buffer[4] = { 0 };
	u64 c = 2, s, d = (u64)buffer;

	out_byte(UART_SCRATCH, 0x66);
	for (unsigned i = 0; i < 3; i++) {
		trap_clear();
		asm volatile(SET_TF TRAPPING("rep insb")
			     : "+c"(c), "+D"(d)
			     : "d"(UART_SCRATCH)
			     : "memory", "cc");
		check(trap.count == 1 && trap.vector == EXC_DB && trap.dr6 & DR6_BS,
		      "one trap a step of REP INSB");
		check(d == (u64)buffer + 2 - c, "RDI and RCX go together");
		if (trap.offset == trap.length)
			break;
	}
	check_stepped("REP INSB");
	check(c == 0 && buffer[0] == 0x66 && buffer[1] == 0x66 && buffer[2] == 0, "both elements");
	trap_clear();
	d = (u64)buffer;
	asm volatile(SET_TF TRAPPING("insb") : "+D"(d) : "d"(UART_SCRATCH) : "memory", "cc");
	check_stepped("INSB");
	s = (u64)buffer;
	trap_clear();
	asm volatile(SET_TF TRAPPING("outsb") : "+S"(s) : "d"(UART_SCRATCH) : "memory", "cc");
	check_stepped("OUTSB");
}

static void check_mmio(void)
{
	u64 lapic = LAPIC_BASE + LAPIC_TPR;

	STEP("movl (%%rcx), %%eax", 0, IOREGSEL, 0);
	STEP("movl %%eax, (%%rcx)", 0x21, IOREGSEL, 0);
	check_equal(STEP("movl (%%rcx), %%eax", 0, IOREGSEL, 0), 0x21, "MOV stepped");
	STEP("orl $0x40, (%%rcx)", 0, IOREGSEL, 0);
	STEP("lock addl %%eax, (%%rcx)", 1, IOREGSEL, 0);
	check_equal(STEP("xchgl %%eax, (%%rcx)", 3, IOREGSEL, 0), 0x62, "XCHG stepped");
	STEP("movl $0x20, 0x10(%%rcx)", 0, lapic - 0x10, 0);
	STEP("movl $0, -0x12345678(%%rcx, %%rdx, 4)", 0, lapic + 0x12345678 - 8, 2);
	STEP("movzbl (%%rcx), %%eax", 0, IOREGSEL, 0);
}

static void check_control(void)
{
	u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	STEP("movq %%cr0, %%rax", 0, 0, 0);
	STEP("movq %%rax, %%cr0", cr0 | CR0_TS, 0, 0);
	STEP("clts", 0, 0, 0);
	check_equal(read_cr0(), cr0, "CR0 afterwards");
	STEP("movq %%rax, %%cr3", cr3, 0, 0);
	STEP("movq %%rax, %%cr4", cr4 | CR4_DE, 0, 0);
	STEP("movq %%rax, %%cr4", cr4, 0, 0);
	STEP("movq %%rax, %%cr8", 5, 0, 0);
	check_equal(STEP("movq %%cr8, %%rax", 0, 0, 0), 5, "CR8 stepped");
	STEP("movq %%rax, %%cr8", 0, 0, 0);
	if (cpuid(0x80000001, 0).ecx & BIT32(4))
		STEP(".byte 0xf0, 0x0f, 0x20, 0xc0", 0, 0, 0); /* LOCK MOV from CR0 is CR8 */
	STEP("movq %%rax, %%dr0", 0x1000, 0, 0);
	STEP("movq %%dr0, %%rax", 0, 0, 0);
	STEP("invlpg (%%rcx)", 0, WINDOW_BASE, 0);
	STEP("wbinvd", 0, 0, 0);
	STEP("smsww %%ax", 0, 0, 0);
	STEP("lmsw %%ax", cr0, 0, 0);
	if (!(cpuid(1, 0).ecx & BIT32(26)))
		return;
	write_cr4(cr4 | CR4_OSXSAVE);
	STEP("xgetbv", 0, 0, 0);
	STEP("xsetbv", 3, 0, 0);
	write_cr4(cr4);
}

/* An instruction that faults gives its fault, not the trap; TF is in the saved flags. */
static void check_fault_wins(void)
{
	TRY("pushfq; orl $0x100, (%%rsp); popfq; ud2", "a"(0));
	check(trap.count == 1 && trap.vector == EXC_UD && trap.rflags & RFLAGS_TF, "UD2 with TF");
	if (!policy("#GP of a refused MSR with TF"))
		return;
	trap_clear();
	asm volatile(SET_TF TRAPPING("rdmsr")::"c"(0x12345678) : "eax", "edx", "memory", "cc");
	check(trap.count == 1 && trap.vector == EXC_GP && trap.rflags & RFLAGS_TF &&
		      trap.offset == 0,
	      "refused RDMSR with TF");
}

/* MOV SS holds the trap back for one instruction, also when that one exits. */
static void check_mov_ss(void)
{
	u64 a = 0;

	trap_clear();
	asm volatile("movl %%ss, %%ecx;" SET_TF TRAPPING("movl %%ecx, %%ss; cpuid")
		     : "+a"(a)::"rbx", "rcx", "rdx", "memory", "cc");
	check_stepped("MOV SS, CPUID");
}

/* The same, when that one is a trap itself. */
static void check_mov_ss_int1(void)
{
	if (tcg_lacks("INT1"))
		return;
	trap_clear();
	asm volatile("movl %%ss, %%ecx;" SET_TF TRAPPING("movl %%ecx, %%ss; .byte 0xf1")::
			     : "rcx", "memory", "cc");
	check(trap.count == 1 && trap.vector == EXC_DB && trap.offset == trap.length,
	      "MOV SS, INT1: %lu x vector %lu at +%lu", trap.count, trap.vector, trap.offset);
}

static u64 irqs, traps_before_irq;

static void on_irq(struct trap_frame *frame)
{
	(void)frame;
	irqs++;
	traps_before_irq = trap.count;
	lapic_eoi();
}

static void check_irq_behind(const char *text)
{
	irq_disable();
	check(irqs == 1 && traps_before_irq == 1, "%s: %lu interrupts, the last behind %lu traps",
	      text, irqs, traps_before_irq);
	irqs = 0;
}

/* An interrupt that the stepped instruction sends, or lets in, comes behind the trap. */
static void check_interrupts(void)
{
	trap_handle(VEC_IRQ, on_irq);
	irq_enable();
	STEP("movl %%eax, (%%rcx)", ICR_SELF | VEC_IRQ, LAPIC_BASE + LAPIC_ICR_LOW, 0);
	check_irq_behind("self-IPI");
	if (lapic_has_x2apic()) {
		lapic_to_x2apic();
		irq_enable();
		STEP("wrmsr", VEC_IRQ, MSR_IA32_X2APIC_FIRST + LAPIC_SELF_IPI / 16, 0);
		check_irq_behind("self-IPI by WRMSR");
		lapic_to_xapic();
	}
	write_cr8(15);
	lapic_send_self(VEC_IRQ);
	irq_enable();
	STEP("movq %%rax, %%cr8", 0, 0, 0);
	check_irq_behind("CR8");
	trap_handle(VEC_IRQ, NULL);
}

/* The trap ends the wait: nothing else would. */
static void check_hlt(void)
{
	if (!tcg_lacks("single step over HLT"))
		STEP("hlt", 0, 0, 0);
}

static u64 breaks;

static void on_break(struct trap_frame *frame)
{
	breaks++;
	frame->rflags |= RFLAGS_RF;
	asm volatile("movq %0, %%dr6" ::"r"(DR6_RESET));
}

/* A breakpoint on an instruction that exits: once before it, with RF not again. */
static void check_breakpoint(void)
{
	u64 here, cr0 = read_cr0();

	trap_handle(EXC_DB, on_break);
	write_dr7(DR7_RESET | DR7_L0);
	asm volatile("leaq 1f(%%rip), %0; movq %0, %%dr0; xorl %%eax, %%eax; 1: cpuid; nop"
		     : "=&r"(here)::"rax", "rbx", "rcx", "rdx", "memory");
	check_equal(breaks, 1, "breakpoint on CPUID");
	asm volatile("leaq 1f(%%rip), %0; movq %0, %%dr0; 1: movl (%1), %%eax; nop"
		     : "=&r"(here)
		     : "r"(IOREGSEL)
		     : "rax", "memory");
	check_equal(breaks, 2, "breakpoint on an MMIO read");
	asm volatile("leaq 1f(%%rip), %0; movq %0, %%dr0; 1: movq %1, %%cr0; nop"
		     : "=&r"(here)
		     : "r"(cr0 | CR0_CD)
		     : "memory");
	check_equal(breaks, 3, "breakpoint on MOV to CR0");
	write_cr0(cr0);
	write_dr7(DR7_RESET);
	trap_handle(EXC_DB, NULL);
}

/* Instructions that lie on two pages which are not neighbours in memory. */
static void check_page_crossing(void)
{
	static const u8 code[] = { 0x0f, 0xa2, 0xc3 };		       /* cpuid; ret */
	static const u8 prefixed[] = { 0x66, 0x48, 0x0f, 0xa2, 0xc3 }; /* the same, prefixes */
	u8 *second = page_alloc(), *first = page_alloc();
	u64 window = window_map(0, (u64)first, PTE_PRESENT);

	window_map(1, (u64)second, PTE_PRESENT);
	for (unsigned split = 1; split < sizeof(prefixed); split++) {
		u64 a = 0;

		memcpy(first + PAGE_SIZE - split, prefixed, split);
		memcpy(second, prefixed + split, sizeof(prefixed) - split);
		asm volatile("call *%1"
			     : "+a"(a)
			     : "r"(window + PAGE_SIZE - split)
			     : "rbx", "rcx", "rdx", "memory");
		check(a == cpuid(0, 0).eax, "prefixed CPUID split after %u bytes", split);
	}
	memcpy(first + PAGE_SIZE - 2, code, 2);
	window_unmap(1);
	trap_clear();
	try_jump(window + PAGE_SIZE - 2);
	check(trap.vector == EXC_PF && trap.rip == window + PAGE_SIZE,
	      "CPUID is the last thing on a mapped page: vector %lu", trap.vector);
}

/* Ring 3 code that exits, on user pages under SMEP and SMAP. */
static void check_user(void)
{
	extern const u8 user_cpuid[], user_page[];
	u64 code = window_map(2, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 at = code + (u64)(user_cpuid - user_page), cr4 = read_cr4();

	if (cpuid(7, 0).ebx & BIT32(20))
		write_cr4(cr4 | CR4_SMAP | CR4_SMEP);
	trap_clear();
	check_equal(user_call(at, 0, RFLAGS_ONE, 0), cpuid(0, 0).eax, "CPUID in ring 3");
	check_equal(trap.vector, VEC_USER, "ring 3 goes on");
	trap_clear();
	user_call(at, 0, RFLAGS_ONE | RFLAGS_TF, 0);
	check(trap.vector == EXC_DB && trap.rip == at + 2, "single step in ring 3");
	user_call(at + 2, 0, RFLAGS_ONE | RFLAGS_TF, 0);
	check(trap.vector == EXC_DB && trap.rip == at + 4, "single step over CPUID in ring 3");
	write_cr4(cr4);
}
asm(".pushsection .user, \"ax\"\n"
    "user_cpuid: movl %edi, %eax\n"
    "cpuid\n"
    "int $0x80\n"
    ".popsection");

void micro_main(void)
{
	lapic_init();
	check_plain();
	check_cpuid();
	check_msr();
	check_io();
	check_string();
	check_mmio();
	check_control();
	check_fault_wins();
	check_mov_ss();
	check_mov_ss_int1();
	check_interrupts();
	check_hlt();
	check_breakpoint();
	check_page_crossing();
	check_user();
}
