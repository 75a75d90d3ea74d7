/*
 * What single operations cost, in ticks of the TSC between two RDTSC around them, less what the
 * pair itself costs. In an emulated machine that counts instructions, a tick is an instruction.
 * Prints one line an operation: BENCH NAME MIN MEDIAN.
 */
#include "tests/bench/guest/handlers.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "bench";

#define SAMPLES	     201U
#define WARM_UP	     8U
#define V_BENCH	     0x51U
#define TIMER_TICKS  30000U
#define PORT_NOTHING 0x2e0 /* no chip answers */
#define PORT_POST    0x80
#define UART_SCRATCH 0x3ff
#define IOAPIC_INDEX 0xfec00000ULL
#define FRESH_FIRST  (16 * MIB)
#define FRESH_STEP   (2 * MIB)

#define DEADLINE_NEVER (~0ULL >> 1)

static u64 empty_sample(void)
{
	u64 start = stamp();

	return stamp() - start;
}

/* --- Instructions
 * -------------------------------------------------------------------------------*/

static u64 cpuid_sample(void)
{
	u64 start = stamp();

	cpuid(1, 0);
	return stamp() - start;
}

static u64 rdmsr_sample(u32 index)
{
	u64 start = stamp();

	rdmsr(index);
	return stamp() - start;
}

static u64 wrmsr_sample(u32 index, u64 value)
{
	u64 start = stamp();

	wrmsr(index, value);
	return stamp() - start;
}

static u64 rdmsr_apic_base_sample(void)
{
	return rdmsr_sample(MSR_IA32_APIC_BASE);
}

static u64 rdmsr_mtrr_sample(void)
{
	return rdmsr_sample(MSR_IA32_MTRR_DEF_TYPE);
}

static u64 wrmsr_pat_sample(void)
{
	return wrmsr_sample(MSR_IA32_PAT, rdmsr(MSR_IA32_PAT));
}

static u64 rdtsc_sample(void)
{
	u64 start = stamp();

	rdtsc();
	return stamp() - start;
}

static u64 xsetbv_sample(void)
{
	u64 start;

	asm volatile("mov %0, %%cr4" ::"r"(read_cr4() | CR4_OSXSAVE) : "memory");
	start = stamp();
	asm volatile("xsetbv" ::"a"(1), "d"(0), "c"(0) : "memory");
	return stamp() - start;
}

/* Clears a bit and sets it again: two writes, as kernels do. */
static u64 cr0_wp_sample(void)
{
	u64 on = read_cr0(), off = on & ~CR0_WP, start = stamp();

	asm volatile("mov %0, %%cr0; mov %1, %%cr0" ::"r"(off), "r"(on) : "memory");
	return stamp() - start;
}

static u64 cr4_pge_sample(void)
{
	u64 on = read_cr4(), off = on & ~CR4_PGE, start = stamp();

	asm volatile("mov %0, %%cr4; mov %1, %%cr4" ::"r"(off), "r"(on) : "memory");
	return stamp() - start;
}

static u64 cr3_sample(void)
{
	u64 cr3 = read_cr3(), start = stamp();

	asm volatile("mov %0, %%cr3" ::"r"(cr3) : "memory");
	return stamp() - start;
}

static u64 cr8_sample(void)
{
	u64 start = stamp();

	asm volatile("mov %0, %%cr8" ::"r"(0ULL) : "memory");
	return stamp() - start;
}

/* --- Devices and memory
 * -------------------------------------------------------------------------*/

static u64 in_sample(void)
{
	u64 start = stamp();

	in_byte(PORT_NOTHING);
	return stamp() - start;
}

static u64 in_pm_timer_sample(void)
{
	u64 start = stamp();

	in_dword(PM_TIMER);
	return stamp() - start;
}

static u64 out_sample(void)
{
	u64 start = stamp();

	out_byte(PORT_POST, 0);
	return stamp() - start;
}

static u64 out_uart_sample(void)
{
	u64 start = stamp();

	out_byte(UART_SCRATCH, 0);
	return stamp() - start;
}

static u64 mmio_read_sample(void)
{
	u64 start = stamp();

	mmio_read(IOAPIC_INDEX);
	return stamp() - start;
}

static u64 mmio_write_sample(void)
{
	u64 start = stamp();

	mmio_write(IOAPIC_INDEX, 0);
	return stamp() - start;
}

/* A page in a large page of its own that nothing has touched before. */
static u64 fresh_page_sample(void)
{
	static u64 next = FRESH_FIRST;
	volatile u8 *page = (volatile u8 *)next;
	u64 start = stamp(), cost;

	*page = 1;
	cost = stamp() - start;
	next += next + FRESH_STEP < ram_end() ? FRESH_STEP : PAGE_SIZE;
	return cost;
}

/* --- Interrupts
 * ---------------------------------------------------------------------------------*/

/* In xAPIC mode: an end of interrupt when none is in service. */
static u64 eoi_xapic_sample(void)
{
	u64 start = stamp();

	mmio_write(LAPIC_BASE + LAPIC_EOI, 0);
	return stamp() - start;
}

/* From the request until the code behind it runs on, the handler and its EOI included. */
static u64 self_ipi_xapic_sample(void)
{
	u64 start;

	vector_set(V_BENCH, handler_xapic);
	handler_stamp = 0;
	irq_enable();
	start = stamp();
	mmio_write(LAPIC_BASE + LAPIC_ICR_LOW, ICR_SELF | V_BENCH);
	while (!handler_stamp)
		;
	start = stamp() - start;
	irq_disable();
	return start;
}

static u64 self_ipi_x2apic_sample(void)
{
	u64 start;

	vector_set(V_BENCH, handler_x2apic);
	handler_stamp = 0;
	irq_enable();
	start = stamp();
	wrmsr(MSR_X2APIC_SELF_IPI, V_BENCH);
	while (!handler_stamp)
		;
	start = stamp() - start;
	irq_disable();
	return start;
}

/* From STI to the first instruction of the handler of an interrupt that waited. */
static u64 window_sample(void)
{
	u64 start;

	vector_set(V_BENCH, handler_x2apic);
	handler_stamp = 0;
	wrmsr(MSR_X2APIC_SELF_IPI, V_BENCH);
	start = stamp();
	irq_open_window();
	return handler_stamp - start;
}

static u64 rdmsr_x2apic_sample(void)
{
	return rdmsr_sample(MSR_X2APIC_TPR);
}

static u64 eoi_x2apic_sample(void)
{
	return wrmsr_sample(MSR_X2APIC_EOI, 0);
}

static u64 wrmsr_deadline_sample(void)
{
	lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | V_BENCH);
	return wrmsr_sample(MSR_IA32_TSC_DEADLINE, DEADLINE_NEVER);
}

static u64 timer_start(void)
{
	u64 deadline;

	vector_set(V_BENCH, handler_x2apic);
	handler_stamp = 0;
	lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | V_BENCH);
	deadline = stamp() + TIMER_TICKS;
	wrmsr(MSR_IA32_TSC_DEADLINE, deadline);
	return deadline;
}

/* From the deadline to the first instruction of the handler, while the guest runs. */
static u64 timer_sample(void)
{
	u64 deadline = timer_start();

	irq_enable();
	while (!handler_stamp)
		;
	irq_disable();
	return handler_stamp - deadline;
}

/* The same while it sleeps. */
static u64 timer_halted_sample(void)
{
	u64 deadline = timer_start();

	irq_enable_and_halt();
	irq_disable();
	return handler_stamp - deadline;
}

/* From the deadline to the instruction behind HLT: the handler and its EOI included. */
static u64 halt_wake_sample(void)
{
	u64 deadline = timer_start();

	irq_enable_and_halt();
	return stamp() - deadline;
}

/* --- The table
 * ----------------------------------------------------------------------------------*/

struct bench {
	const char *name;
	u64 (*sample)(void);
};

static const struct bench everywhere[] = {
	{ "cpuid", cpuid_sample },
	{ "rdmsr-apic-base", rdmsr_apic_base_sample },
	{ "rdmsr-mtrr", rdmsr_mtrr_sample },
	{ "wrmsr-pat", wrmsr_pat_sample },
	{ "rdtsc", rdtsc_sample },
	{ "mov-cr0-wp", cr0_wp_sample },
	{ "mov-cr4-pge", cr4_pge_sample },
	{ "mov-cr3", cr3_sample },
	{ "mov-cr8", cr8_sample },
	{ "in-nothing", in_sample },
	{ "in-pm-timer", in_pm_timer_sample },
	{ "out-port-80", out_sample },
	{ "out-uart", out_uart_sample },
	{ "mmio-read-ioapic", mmio_read_sample },
	{ "mmio-write-ioapic", mmio_write_sample },
	{ "fresh-page", fresh_page_sample },
	{ "eoi-xapic", eoi_xapic_sample },
	{ "self-ipi-xapic", self_ipi_xapic_sample },
};

static const struct bench with_xsave[] = {
	{ "xsetbv", xsetbv_sample },
};

static const struct bench with_x2apic[] = {
	{ "rdmsr-x2apic-tpr", rdmsr_x2apic_sample },
	{ "eoi-x2apic", eoi_x2apic_sample },
	{ "self-ipi-x2apic", self_ipi_x2apic_sample },
	{ "interrupt-window", window_sample },
};

static const struct bench with_deadline[] = {
	{ "wrmsr-tsc-deadline", wrmsr_deadline_sample },
	{ "timer-running", timer_sample },
	{ "timer-halted", timer_halted_sample },
	{ "halt-wake", halt_wake_sample },
};

static void sort(u64 *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		u64 value = values[i];
		unsigned at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void samples_take(u64 (*sample)(void), u64 *values)
{
	for (unsigned i = 0; i < WARM_UP; i++)
		sample();
	for (unsigned i = 0; i < SAMPLES; i++)
		values[i] = sample();
	sort(values, SAMPLES);
}

static void run(const struct bench *rows, unsigned count)
{
	u64 empty[SAMPLES], values[SAMPLES];

	samples_take(empty_sample, empty);
	for (unsigned i = 0; i < count; i++) {
		samples_take(rows[i].sample, values);
		say("BENCH %s %ld %ld", rows[i].name, (long)(values[0] - empty[0]),
		    (long)(values[SAMPLES / 2] - empty[0]));
	}
}

void micro_main(void)
{
	u32 features = cpuid(1, 0).ecx;

	pic_init();
	ioapic_mask_all();
	lapic_init();
	run(everywhere, ARRAY_SIZE(everywhere));
	if (features & CPUID_1_ECX_XSAVE)
		run(with_xsave, ARRAY_SIZE(with_xsave));
	if (!lapic_has_x2apic())
		return;
	lapic_to_x2apic();
	run(with_x2apic, ARRAY_SIZE(with_x2apic));
	if (features & CPUID_1_ECX_TSC_DEADLINE)
		run(with_deadline, ARRAY_SIZE(with_deadline));
}
