/*
 * Interrupts: self-IPIs and priorities, interrupt shadow and windows, the 8259 through the
 * virtual wire, the I/O APIC with edge and level, NMI and its blocking (SDM volume 3, "APIC";
 * data sheets 8259A and 82093AA).
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "interrupts";

#define V_LOW	    0x41U
#define V_MIDDLE    0x61U
#define V_HIGH	    0x91U
#define V_LEVEL	    0x71U
#define LOG_ENTRIES 64U
#define PIT_PIN	    2U /* ISA IRQ 0 is wired to pin 2 */
#define UART_PIN    4U
#define UART_IER    0x3f9
#define UART_IIR    0x3fa
#define IER_THRE    0x02
#define PIT_1MS	    1193U
#define WAIT_US	    2000000U
#define NMI_WAIT_US 100000U /* a hypervisor may need a moment to see the IRET */

/* What came, in order; with the place where it came. */
static struct {
	u64 count;
	u64 vector[LOG_ENTRIES], rip[LOG_ENTRIES];
} entries;

static void log_clear(void)
{
	entries.count = 0;
	asm volatile("" ::: "memory");
}

static void log_frame(const struct trap_frame *frame)
{
	if (entries.count < LOG_ENTRIES) {
		entries.vector[entries.count] = frame->vector;
		entries.rip[entries.count] = frame->rip;
	}
	entries.count++;
}

static void on_irq(struct trap_frame *frame)
{
	log_frame(frame);
	lapic_eoi();
}

static void on_irq_without_eoi(struct trap_frame *frame)
{
	log_frame(frame);
}

/* A local APIC may always send its spurious vector; it wants no EOI. */
static void on_spurious(struct trap_frame *frame)
{
	(void)frame;
}

static bool log_is(unsigned count, const u8 *vectors)
{
	if (entries.count != count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (entries.vector[i] != vectors[i])
			return false;
	return true;
}

#define check_log(text, ...)                                                           \
	({                                                                             \
		const u8 want_[] = { __VA_ARGS__ };                                    \
		check(log_is(sizeof(want_), want_), "%s: %lu came, %lx first", (text), \
		      entries.count, entries.count ? entries.vector[0] : 0);           \
	})

static void check_self_ipi(void)
{
	static const struct {
		const char *text;
		u32 command, destination;
	} ways[] = {
		{ "self shorthand", ICR_SELF, 0 },    { "physical destination", 0, 0 },
		{ "all, self included", ICR_ALL, 0 }, { "logical destination", ICR_LOGICAL, 0x02 },
		{ "physical broadcast", 0, 0xff },
	};

	lapic_write(LAPIC_DFR, 0xffffffff);
	lapic_write(LAPIC_LDR, 0x02000000);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		log_clear();
		lapic_send(ways[i].command | ICR_ASSERT | V_LOW, ways[i].destination);
		irq_open_window();
		check_log(ways[i].text, V_LOW);
	}
	log_clear();
	lapic_send(ICR_LOGICAL | ICR_ASSERT | V_LOW, 0x04);
	lapic_send(ICR_OTHERS | ICR_ASSERT | V_LOW, 0);
	irq_open_window();
	check_equal(entries.count, 0, "IPIs for others");
}

static void on_inspect(struct trap_frame *frame)
{
	unsigned vector = (unsigned)frame->vector;

	log_frame(frame);
	check(lapic_bit(LAPIC_ISR, vector) && !lapic_bit(LAPIC_IRR, vector), "ISR in the handler");
	check_equal(lapic_read(LAPIC_PPR) & 0xf0, vector & 0xf0, "PPR in the handler");
	lapic_eoi();
	check(!lapic_bit(LAPIC_ISR, vector), "ISR after EOI");
}

static void check_registers(void)
{
	trap_handle(V_MIDDLE, on_inspect);
	log_clear();
	lapic_send_self(V_MIDDLE);
	check(lapic_bit(LAPIC_IRR, V_MIDDLE), "IRR while interrupts are off");
	check(!lapic_bit(LAPIC_ISR, V_MIDDLE), "ISR while interrupts are off");
	irq_open_window();
	check_log("one interrupt", V_MIDDLE);
	check_equal(lapic_read(LAPIC_PPR), 0, "PPR afterwards");
	trap_handle(V_MIDDLE, on_irq);
}

static void check_priority(void)
{
	log_clear();
	lapic_send_self(V_LOW);
	lapic_send_self(V_HIGH);
	lapic_send_self(V_MIDDLE);
	lapic_send_self(V_HIGH);
	irq_open_window();
	check_log("highest first, one of two the same", V_HIGH, V_MIDDLE, V_LOW);
	log_clear();
	write_cr8(8);
	lapic_send_self(V_LOW);
	lapic_send_self(V_HIGH);
	irq_open_window();
	check_log("CR8 holds the lower one off", V_HIGH);
	check_equal(lapic_read(LAPIC_TPR), 0x80, "TPR shows CR8");
	irq_enable();
	write_cr8(3);
	check_log("lower CR8 lets it in at once", V_HIGH, V_LOW);
	irq_disable();
	lapic_write(LAPIC_TPR, 0xf0);
	check_equal(read_cr8(), 15, "CR8 shows TPR");
	lapic_send_self(V_HIGH);
	log_clear();
	irq_open_window();
	check_equal(entries.count, 0, "TPR 0xf0 holds everything off");
	irq_enable();
	lapic_write(LAPIC_TPR, 0);
	check_log("lower TPR lets it in", V_HIGH);
	irq_disable();
}

static void on_nesting(struct trap_frame *frame)
{
	log_frame(frame);
	if (frame->vector == V_MIDDLE) {
		lapic_send_self(V_LOW);
		lapic_send_self(V_HIGH);
		irq_open_window();
		check(entries.count == 2 && entries.vector[1] == V_HIGH, "the higher one nests");
		lapic_send_self(V_MIDDLE);
		irq_open_window();
		check_equal(entries.count, 2, "the same one does not nest");
		trap_handle(V_MIDDLE, on_irq);
	}
	lapic_eoi();
}

static void check_nesting(void)
{
	trap_handle(V_MIDDLE, on_nesting);
	trap_handle(V_HIGH, on_nesting);
	log_clear();
	lapic_send_self(V_MIDDLE);
	irq_open_window();
	check_log("order of nested interrupts", V_MIDDLE, V_HIGH, V_MIDDLE, V_LOW);
	trap_handle(V_HIGH, on_irq);
}

/* What is in service blocks its class and below until EOI. */
static void check_eoi(void)
{
	trap_handle(V_MIDDLE, on_irq_without_eoi);
	log_clear();
	lapic_send_self(V_MIDDLE);
	irq_open_window();
	lapic_send_self(V_LOW);
	lapic_send_self(V_MIDDLE + 1);
	lapic_send_self(V_HIGH);
	irq_open_window();
	check_log("blocked without EOI", V_MIDDLE, V_HIGH);
	irq_enable();
	lapic_eoi();
	irq_disable();
	check_log("after EOI", V_MIDDLE, V_HIGH, V_MIDDLE + 1, V_LOW);
	trap_handle(V_MIDDLE, on_irq);
}

/* Runs code that opens interrupts with one pending; the label 5 is where it must come. */
#define WINDOW(code, text, ...)                                                               \
	({                                                                                    \
		u64 where_;                                                                   \
		log_clear();                                                                  \
		lapic_send_self(V_LOW);                                                       \
		asm volatile("leaq 5f(%%rip), %0\n" code "\n cli"                             \
			     : "=&r"(where_)                                                  \
			     : __VA_ARGS__                                                    \
			     : "rax", "rbx", "rcx", "rdx", "memory", "cc");                   \
		check(entries.count == 1 && entries.rip[0] == where_, "%s: %lu came, at %ld", \
		      (text), entries.count, (long)(entries.rip[0] - where_));                \
	})

static void check_shadow(void)
{
	u64 tpr = LAPIC_BASE + LAPIC_ID;

	WINDOW("sti; nop; 5: nop; nop", "STI");
	WINDOW("pushfq; orl $0x200, (%%rsp); popfq; 5: nop; nop", "POPF");
	WINDOW("xorl %%eax, %%eax; sti; cpuid; 5: nop; nop", "STI, CPUID");
	WINDOW("movl $0xc0000080, %%ecx; sti; rdmsr; 5: nop; nop", "STI, RDMSR");
	WINDOW("movl $0x5f4, %%edx; sti; inb %%dx, %%al; 5: nop; nop", "STI, IN");
	WINDOW("movl $0x80, %%edx; sti; outb %%al, %%dx; 5: nop; nop", "STI, OUT");
	WINDOW("sti; movl (%1), %%eax; 5: nop; nop", "STI, MMIO read", "r"(tpr));
	WINDOW("sti; movq %%cr8, %%rax; 5: nop; nop", "STI, MOV from CR8");
	WINDOW("sti; hlt; 5: nop; nop", "STI, HLT");
	log_clear();
	lapic_send_self(V_LOW);
	asm volatile("sti; cli; nop; nop");
	check_equal(entries.count, 0, "STI, CLI lets nothing in");
	for (unsigned i = 0; i < 20; i++)
		cpuid(0, 0);
	check_equal(entries.count, 0, "nothing comes while interrupts are off");
	irq_open_window();
	check_equal(entries.count, 1, "and once when they are on");
}

/* IRET that sets IF opens the window at once. */
static void check_iret(void)
{
	WINDOW("movl %%ss, %%eax; pushq %%rax; leaq 8(%%rsp), %%rax; pushq %%rax; pushfq;"
	       "orl $0x200, (%%rsp); movl %%cs, %%eax; pushq %%rax; leaq 5f(%%rip), %%rax;"
	       "pushq %%rax; iretq; 5: nop; nop",
	       "IRET");
}

static void check_many(void)
{
	log_clear();
	irq_enable();
	for (u64 i = 0; i < 200; i++) {
		lapic_send_self(i & 1 ? V_LOW : V_HIGH);
		cpuid(0, 0);
		if (entries.count != i + 1) {
			check(false, "after %lu IPIs %lu came", i + 1, entries.count);
			break;
		}
	}
	irq_disable();
	check_equal(entries.count, 200, "200 IPIs");
}

/* An interrupt takes ring 3 out and lets it go on. */
static void check_user(void)
{
	extern const u8 user_wait[], user_page[];
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 counter = window_map(1, align_down((u64)&entries, PAGE_SIZE), PTE_PRESENT | PTE_USER);

	counter += (u64)&entries.count % PAGE_SIZE;
	log_clear();
	trap_clear();
	lapic_send_self(V_LOW);
	user_call(code + (u64)(user_wait - user_page), 0, RFLAGS_ONE | RFLAGS_IF, counter);
	check_log("interrupt in ring 3", V_LOW);
	check_equal(trap.vector, VEC_USER, "ring 3 goes on");
}
asm(".pushsection .user, \"ax\"\n"
    "user_wait: cmpq $0, (%rdi)\n"
    "je user_wait\n"
    "int $0x80\n"
    ".popsection");

static void on_pic(struct trap_frame *frame)
{
	log_frame(frame);
	pic_eoi((unsigned)frame->vector - PIC_VECTOR_BASE);
}

static void check_pic(void)
{
	trap_handle(PIC_VECTOR_BASE, on_pic);
	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
	pit_start(0, 2, PIT_1MS);
	log_clear();
	irq_enable();
	delay_us(3000);
	check_equal(entries.count, 0, "a masked IRQ does not come");
	write_cr8(15);
	pic_unmask(IRQ_PIT);
	check(wait_for_count(&entries.count, 3, WAIT_US), "IRQ 0 comes again and again");
	check_equal(entries.vector[0], PIC_VECTOR_BASE, "vector of IRQ 0");
	write_cr8(0);
	irq_disable();
	trap_handle(PIC_VECTOR_BASE, on_irq_without_eoi);
	log_clear();
	irq_enable();
	check(wait_for_count(&entries.count, 1, WAIT_US), "IRQ 0 comes");
	delay_us(3000);
	check_equal(entries.count, 1, "and no more without EOI");
	check_equal(pic_read(PIC_READ_ISR), 1, "8259 ISR");
	check_equal(pic_read(PIC_READ_IRR) & 1, 1, "8259 IRR");
	irq_disable();
	trap_handle(PIC_VECTOR_BASE, on_pic);
	pic_eoi(IRQ_PIT);
	irq_enable();
	check(wait_for_count(&entries.count, 2, WAIT_US), "EOI lets the next one in");
	irq_disable();
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED | LVT_EXTINT);
	log_clear();
	irq_enable();
	delay_us(3000);
	check_equal(entries.count, 0, "a masked LINT0 lets nothing in");
	irq_disable();
	pic_mask_all();
}

static void check_ioapic_edge(void)
{
	log_clear();
	ioapic_route(PIT_PIN, V_MIDDLE, lapic_id());
	irq_enable();
	check(wait_for_count(&entries.count, 3, WAIT_US), "edges on pin 2");
	check_equal(entries.vector[0], V_MIDDLE, "vector of pin 2");
	check(!lapic_bit(LAPIC_TMR, V_MIDDLE), "TMR says edge");
	ioapic_route(PIT_PIN, REDIR_MASKED | V_MIDDLE, lapic_id());
	log_clear();
	delay_us(3000);
	check_equal(entries.count, 0, "a masked pin lets nothing in");
	irq_disable();
	pit_start(0, 0, 0);
}

/* The UART holds its line up as long as its transmitter is empty and the interrupt is wanted. */
static void on_level(struct trap_frame *frame)
{
	log_frame(frame);
	check(lapic_bit(LAPIC_TMR, V_LEVEL), "TMR says level");
	check(ioapic_read(IOAPIC_REDIR + 2 * UART_PIN) & REDIR_REMOTE_IRR, "remote IRR is set");
	if (entries.count == 3)
		out_byte(UART_IER, 0);
	lapic_eoi();
}

static void check_ioapic_level(void)
{
	trap_handle(V_LEVEL, on_level);
	log_clear();
	ioapic_route(UART_PIN, REDIR_MASKED | REDIR_LEVEL | V_LEVEL, lapic_id());
	out_byte(UART_IER, IER_THRE);
	irq_enable();
	delay_us(200);
	check_equal(entries.count, 0, "a masked level pin lets nothing in");
	ioapic_write(IOAPIC_REDIR + 2 * UART_PIN, REDIR_LEVEL | V_LEVEL);
	wait_for_count(&entries.count, 3, WAIT_US);
	delay_us(200);
	irq_disable();
	out_byte(UART_IER, 0);
	check_log("a level comes again after EOI until it is low", V_LEVEL, V_LEVEL, V_LEVEL);
	check(!(ioapic_read(IOAPIC_REDIR + 2 * UART_PIN) & REDIR_REMOTE_IRR),
	      "remote IRR is clear");
	ioapic_mask_all();
}

static volatile u64 nmi_count;
static u64 nmi_depth, nmi_depth_max;

static void on_nmi(struct trap_frame *frame)
{
	log_frame(frame);
	nmi_depth++;
	if (nmi_depth > nmi_depth_max)
		nmi_depth_max = nmi_depth;
	if (nmi_count++ == 0) {
		lapic_send_self(ICR_NMI);
		cpuid(0, 0);
		for (unsigned i = 0; i < 100; i++)
			cpu_pause();
		check_equal(nmi_count, 1, "NMI is blocked in its handler");
	}
	nmi_depth--;
}

static void check_nmi(void)
{
	trap_handle(EXC_NMI, on_nmi);
	log_clear();
	lapic_send_self(ICR_NMI);
	check(wait_for_count(&nmi_count, 2, NMI_WAIT_US),
	      "NMI comes with interrupts off, and again");
	check_equal(nmi_depth_max, 1, "NMIs do not nest");
	for (u64 i = 3; i < 50; i++) {
		lapic_send_self(ICR_NMI);
		if (!check(wait_for_count(&nmi_count, i, NMI_WAIT_US), "NMI %lu comes", i))
			break;
	}
	check_equal(nmi_count, 49, "no NMI came twice");
}

/* The IRET of any exception ends the blocking. */
static void on_nmi_with_fault(struct trap_frame *frame)
{
	log_frame(frame);
	if (nmi_count++ != 0)
		return;
	lapic_send_self(ICR_NMI);
	check_equal(nmi_count, 1, "NMI is blocked before the exception");
	TRY("ud2");
	check(wait_for_count(&nmi_count, 2, NMI_WAIT_US), "and comes after its IRET");
}

static void check_nmi_iret(void)
{
	nmi_count = 0;
	idt[EXC_NMI].ist = 0; /* they nest on purpose */
	trap_handle(EXC_NMI, on_nmi_with_fault);
	lapic_send_self(ICR_NMI);
	check(wait_for_count(&nmi_count, 2, NMI_WAIT_US), "two NMIs");
	idt[EXC_NMI].ist = IST_NMI;
	trap_handle(EXC_NMI, NULL);
}

static void check_both_modes(void)
{
	check_registers();
	check_priority();
	check_nesting();
	check_eoi();
	check_iret();
	check_many();
	nmi_count = 0;
	nmi_depth_max = 0;
	check_nmi();
	check_nmi_iret();
}

static void check_x2apic(void)
{
	if (!lapic_has_x2apic()) {
		say("no x2APIC on this processor");
		return;
	}
	lapic_to_x2apic();
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
	log_clear();
	wrmsr(MSR_IA32_X2APIC_FIRST + LAPIC_SELF_IPI / 16, V_LOW);
	irq_open_window();
	check_log("self-IPI register", V_LOW);
	check_both_modes();
	lapic_to_xapic();
}

void micro_main(void)
{
	pic_init();
	lapic_init();
	ioapic_mask_all();
	trap_handle(V_LOW, on_irq);
	trap_handle(V_MIDDLE, on_irq);
	trap_handle(V_MIDDLE + 1, on_irq);
	trap_handle(V_HIGH, on_irq);
	trap_handle(SPURIOUS_VECTOR, on_spurious);
	check_self_ipi();
	check_both_modes();
	check_shadow();
	check_user();
	check_pic();
	check_ioapic_edge();
	check_ioapic_level();
	check_x2apic();
}
