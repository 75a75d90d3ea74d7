/* Other processors of a micro guest: see smp.h. */
#include "tests/micro/lib/smp.h"

#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/time.h"

#define CODE_BASE     0x70000U /* nothing else of the guest, its loader or firmware is there */
#define ICR_STARTUP   (6U << 8)
#define INIT_US	      10000U /* Intel: ten milliseconds between INIT and the start-up message */
#define NAP_COUNT     1000U
#define TSS_AVAILABLE (0x89ULL << 40)

/* What other processors need of a task-state segment; no I/O map. */
struct smp_tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} PACKED;

struct smp_cpu smp_cpus[SMP_MAX];
static struct smp_tss task[SMP_MAX];
static u64 tables[SMP_MAX][ARRAY_SIZE(gdt)];
u8 smp_stacks[SMP_MAX][SMP_STACK_BYTES] ALIGNED(4096);

extern const u8 smp_code[], smp_code_end[], smp_code_entry[];
NORETURN void smp_main(u32 id);

static u8 *code_at(unsigned page)
{
	return (u8 *)(u64)(CODE_BASE + page * PAGE_SIZE);
}

static unsigned last_page;

const struct smp_entry *smp_entry(void)
{
	return (const struct smp_entry *)(code_at(last_page) + (smp_code_entry - smp_code));
}

static void on_event(struct trap_frame *frame)
{
	(void)frame;
	lapic_eoi();
}

void smp_init(void)
{
	for (unsigned page = 0; page < SMP_PAGES; page++)
		memcpy(code_at(page), smp_code, (size_t)(smp_code_end - smp_code));
	trap_handle(SMP_VECTOR_WAKE, on_event);
	trap_handle(SMP_VECTOR_TIMER, on_event);
	lapic_init();
}

u32 smp_count(void)
{
	return cpuid(0xb, 1).ebx & 0xffff;
}

u32 smp_startup_vector(unsigned page)
{
	last_page = page;
	return (CODE_BASE + page * PAGE_SIZE) / PAGE_SIZE;
}

void smp_send_init(u32 id)
{
	lapic_send(ICR_INIT | ICR_ASSERT, id);
}

void smp_send_startup(u32 id, unsigned page)
{
	lapic_send(ICR_STARTUP | ICR_ASSERT | smp_startup_vector(page), id);
}

bool smp_start(u32 id)
{
	u64 before = smp_cpus[id].starts;

	smp_send_init(id);
	delay_us(INIT_US);
	smp_send_startup(id, 0);
	smp_send_startup(id, 0);
	return smp_wait(&smp_cpus[id].starts, before + 1);
}

static void tables_load(u32 id)
{
	u64 base = (u64)&task[id], limit = sizeof(task[id]) - 1;
	u64 *table = tables[id];
	const struct table_pointer pointer = { sizeof(tables[id]) - 1, (u64)table };

	task[id].ist[IST_FAULT - 1] = (u64)smp_stacks[id] + SMP_STACK_BYTES / 2;
	task[id].ist[IST_NMI - 1] = (u64)smp_stacks[id] + SMP_STACK_BYTES / 2;
	task[id].iomap_base = sizeof(task[id]);
	memcpy(table, gdt, sizeof(tables[id]));
	table[SEL_TSS / 8] =
		limit | (base & 0xffffff) << 16 | TSS_AVAILABLE | (base >> 24 & 0xff) << 56;
	table[SEL_TSS / 8 + 1] = base >> 32;
	asm volatile("lgdt %0; ltr %w1" ::"m"(pointer), "r"(SEL_TSS) : "memory");
	idt_restore();
}

/* The life of another processor: from job to job, in HLT between them. */
void smp_main(u32 id)
{
	struct smp_cpu *cpu = &smp_cpus[id];

	tables_load(id);
	lapic_init();
	cpu->job = NULL; /* one that an INIT has ended */
	cpu->starts++;
	for (;;) {
		irq_disable();
		if (!cpu->job) {
			irq_enable_and_halt();
			continue;
		}
		irq_enable();
		cpu->job();
		cpu->job = NULL;
	}
}

void smp_begin(u32 id, void (*job)(void))
{
	smp_cpus[id].job = job;
	lapic_send(ICR_ASSERT | SMP_VECTOR_WAKE, id);
}

bool smp_finish(u32 id)
{
	u64 end = rdtsc() + us_to_tsc(SMP_WAIT_US);

	while (smp_cpus[id].job && rdtsc() < end)
		smp_nap();
	return !smp_cpus[id].job;
}

bool smp_run(u32 id, void (*job)(void))
{
	smp_begin(id, job);
	return smp_finish(id);
}

void smp_nap(void)
{
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIV_16);
	lapic_write(LAPIC_LVT_TIMER, SMP_VECTOR_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, NAP_COUNT);
	irq_enable_and_halt();
	irq_disable();
}

bool smp_wait(const volatile u64 *value, u64 target)
{
	u64 end = rdtsc() + us_to_tsc(SMP_WAIT_US);

	while (*value < target && rdtsc() < end)
		smp_nap();
	return *value >= target;
}

void smp_quiet(void)
{
	u64 end = rdtsc() + us_to_tsc(SMP_QUIET_US);

	while (rdtsc() < end)
		smp_nap();
}
