/* SDM, "MP Initialization Protocol Algorithm for MP Systems". */
#include "core/boot/smp.h"

#include "core/boot/acpi.h"
#include "core/boot/boot_info.h"
#include "core/boot/planted.h"
#include "core/boot/trampoline.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/mem/window.h"
#include "core/sched/sched.h"
#include "core/trace/log.h"
#include "core/virt/backend.h"
#include "lib/x86/registers.h"

#define STACK_BYTES    16384
#define INIT_US	       10000
#define STARTUP_US     200
#define START_LIMIT_US 500000
#define TSC_COMPARE_US 1000

extern const u8 smp_trampoline[], smp_trampoline_end[];
extern u64 core_pml4[], boot_pdpt_low[];

_Noreturn void smp_main(struct cpu *cpu);

/* For the processor that is being started (trampoline.S). */
struct cpu *volatile smp_next;
u64 smp_stack_top;

static void wait_us(u64 us)
{
	u64 end = rdtsc() + tsc_from_us(us);

	while (rdtsc() < end)
		cpu_relax();
}

/* What becomes of a processor that starts: whoever says so first is right. */
static bool start_settle(struct cpu *cpu, enum cpu_start to)
{
	enum cpu_start from = CPU_STARTING;

	return __atomic_compare_exchange_n(&cpu->start, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/*
 * Guests take the TSC for one clock, whatever processor they are on: neither may ever read less
 * than the other has already said.
 */
static struct tsc_said {
	u64 first, other;
} tsc_said;

static u64 tsc_behind(u64 *mine, const u64 *theirs)
{
	u64 said = __atomic_load_n(theirs, __ATOMIC_ACQUIRE);
	u64 now;

	/* The clock is not read early: not before the other one's word is here. SDM, "RDTSC". */
	__asm__ volatile("mfence; lfence" : : : "memory");
	now = rdtsc();
	cpu_relax();
	__atomic_store_n(mine, now, __ATOMIC_RELEASE);
	return said > now ? said - now : 0;
}

/* The first C of another processor; it stays here for ever. */
void smp_main(struct cpu *cpu)
{
	u64 behind = 0;

	wrmsr(MSR_IA32_GS_BASE, (u64)cpu);
	cpu_init(cpu);
	apic_init();
	apic_timer_start();
	planted_bad_start();
	for (u64 end = rdtsc() + tsc_from_us(TSC_COMPARE_US); rdtsc() < end && !behind;)
		behind = tsc_behind(&tsc_said.other, &tsc_said.first);
	if (behind)
		log_error("processor %u: its TSC is %lu behind the first's", cpu->index, behind);
	else if (backend->cpu_on(cpu))
		log_error("processor %u: cannot enter root mode", cpu->index);
	else if (start_settle(cpu, CPU_ONLINE))
		sched_run();
	start_settle(cpu, CPU_LEFT_OUT);
	halt_forever();
}

static bool wait_online(struct cpu *cpu)
{
	u64 end = rdtsc() + tsc_from_us(START_LIMIT_US);
	u64 ahead = 0;

	while (__atomic_load_n(&cpu->start, __ATOMIC_ACQUIRE) == CPU_STARTING && rdtsc() < end &&
	       !ahead)
		ahead = tsc_behind(&tsc_said.first, &tsc_said.other);
	start_settle(cpu, CPU_LEFT_OUT);
	if (ahead)
		log_error("processor %u: its TSC is %lu ahead of the first's", cpu->index, ahead);
	return cpu->start == CPU_ONLINE;
}

static bool cpu_start(u32 apic_id)
{
	struct cpu *cpu = heap_try_alloc(sizeof(*cpu));
	u8 *stack = heap_try_alloc(STACK_BYTES);

	if (!cpu || !stack)
		return false;
	cpu->self = cpu;
	cpu->index = cpu_count;
	cpu->apic_id = apic_id;
	smp_stack_top = (u64)stack + STACK_BYTES;
	tsc_said = (struct tsc_said){ 0 };
	smp_next = cpu;
	apic_send(apic_id, APIC_INIT, 0);
	wait_us(INIT_US);
	apic_send(apic_id, APIC_STARTUP, TRAMPOLINE / PAGE_SIZE);
	wait_us(STARTUP_US);
	if (smp_next)
		apic_send(apic_id, APIC_STARTUP, TRAMPOLINE / PAGE_SIZE);
	if (!wait_online(cpu)) {
		smp_next = NULL;
		apic_send(apic_id, APIC_INIT,
			  0); /* it must not come later, nor see a panic's NMI */
		return false;
	}
	cpu_table[cpu_count++] = cpu;
	return true;
}

static bool trampoline_is_ram(void)
{
	for (u32 i = 0; i < boot_info.ram_count; i++) {
		const struct memory_range *r = &boot_info.ram[i];

		if (r->base <= TRAMPOLINE && TRAMPOLINE + PAGE_SIZE <= r->base + r->size)
			return true;
	}
	return false;
}

void smp_start(void)
{
	if (acpi_info.cpu_count < 2)
		return;
	if (!trampoline_is_ram()) {
		log_warning("no memory at %x to start other processors from: one is used",
			    TRAMPOLINE);
		return;
	}
	window_write(HPA(TRAMPOLINE), smp_trampoline, (u64)(smp_trampoline_end - smp_trampoline));
	/* The identity mapping of the first 2 MiB, for the step into long mode. */
	core_pml4[0] = core_physical(boot_pdpt_low).raw | PTE_PRESENT | PTE_WRITE;
	for (u32 i = 0; i < acpi_info.cpu_count; i++) {
		u32 id = acpi_info.cpu_apic_id[i];

		if (id != boot_cpu.apic_id && cpu_count < CPU_MAX && !cpu_start(id))
			log_warning("the processor with APIC id %u did not start: left out", id);
	}
	core_pml4[0] = 0;
	write_cr3(read_cr3());
	log_info("%u of %u processors started", cpu_count, acpi_info.cpu_count);
}
