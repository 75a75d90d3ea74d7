/*
 * Several processors: INIT and start-up messages, interprocessor interrupts to every kind of
 * destination, pins of the I/O APIC to any processor, one clock and one memory for all (SDM volume
 * 3, "APIC" and "Multiple-Processor Management").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/smp.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "smp";

#define V_LOW	      0x41U
#define V_MIDDLE      0x61U
#define V_LEVEL	      0x71U
#define ICR_LOWEST    (1U << 8)
#define ICR_RESERVED  (3U << 8)
#define ICR_EXTINT    (7U << 8)
#define ICR_LEVEL     BIT32(15)
#define REDIR_LOGICAL BIT32(11)
#define REDIR_LOWEST  (1U << 8)
#define REDIR_NMI     (4U << 8)
#define DFR_FLAT      0xffffffffU
#define DFR_CLUSTER   0x0fffffffU
#define X2APIC_ALL    0xffffffffU
#define PIT_PIN	      2U
#define PIT_1MS	      1193U
#define UART_PIN      4U
#define UART_IER      0x3f9
#define IER_THRE      0x02
#define CPUS_USED     4U /* the tests' own arithmetic is for so many */
#define ALL	      0xfU
#define ROUNDS	      200U
#define TSC_JUMP      1000000000ULL

static u32 cpus; /* at least two, at most CPUS_USED */
static volatile u64 taken[CPUS_USED][TRAP_VECTORS];

static u32 existing(u32 mask)
{
	return mask & ((1U << cpus) - 1);
}

static void on_irq(struct trap_frame *frame)
{
	taken[lapic_id()][frame->vector]++;
	lapic_eoi();
}

static void on_nmi(struct trap_frame *frame)
{
	taken[lapic_id()][frame->vector]++;
}

/* A local APIC may always send its spurious vector; it wants no EOI. */
static void on_spurious(struct trap_frame *frame)
{
	(void)frame;
}

static void taken_clear(void)
{
	memset((void *)(u64)taken, 0, sizeof(taken));
	asm volatile("" ::: "memory");
}

static void wait_for(u32 mask, unsigned vector)
{
	for (u32 id = 0; id < cpus; id++)
		if (mask >> id & 1)
			smp_wait(&taken[id][vector], 1);
}

/* Exactly the processors in `mask` have taken the vector, and each of them once. */
static void check_taken(const char *text, u32 mask, unsigned vector)
{
	mask = existing(mask);
	wait_for(mask, vector);
	smp_quiet();
	for (u32 id = 0; id < cpus; id++)
		check(taken[id][vector] == (mask >> id & 1), "%s: processor %u took %lu", text, id,
		      taken[id][vector]);
}

/* --- starting */

static void check_entry(unsigned page)
{
	const struct smp_entry *e = smp_entry();

	check_equal(e->cs, smp_startup_vector(page) << 8, "CS of the start-up message");
	check_equal(e->edx, cpuid(1, 0).eax, "EDX is the processor's signature");
	check_equal(e->flags, RFLAGS_ONE, "flags");
	check_equal(e->cr0 & ~(u32)(CR0_CD | CR0_NW), CR0_ET, "CR0 without its cache bits");
}

static void check_start(void)
{
	for (u32 id = 1; id < cpus; id++) {
		if (!check(smp_start(id), "processor %u starts", id))
			micro_fail("the other tests need it");
		check_entry(0);
	}
	smp_quiet();
	for (u32 id = 1; id < cpus; id++)
		check_equal(smp_cpus[id].starts, 1, "the second start-up message does nothing");
	for (u32 id = 1; id < cpus; id++) {
		smp_send_startup(id, 1);
		lapic_send(ICR_INIT | ICR_LEVEL, id); /* the de-assert that kernels send */
	}
	smp_quiet();
	for (u32 id = 1; id < cpus; id++)
		check_equal(smp_cpus[id].starts, 1,
			    "nor does one without an INIT, nor a de-assert");
}

static volatile u64 spinning;
static volatile u64 left_over;

static void job_spin(void)
{
	irq_disable();
	spinning++;
	for (;;)
		cpu_pause();
}

static void job_arm(void)
{
	write_dr0(0x1234);
	write_cr8(4);
	lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | V_MIDDLE);
	lapic_write(LAPIC_TIMER_INITIAL, 200000);
}

static void job_left_over(void)
{
	left_over = read_dr0() | read_cr8() | lapic_read(LAPIC_TIMER_INITIAL);
}

/* INIT ends whatever a processor is at; then it hears nothing but the start-up message. */
static void check_init(void)
{
	u64 before, after;

	check(smp_run(1, job_arm), "a job for processor 1");
	smp_wait(&taken[1][V_MIDDLE], 1);
	check(taken[1][V_MIDDLE] >= 1, "its timer");
	smp_send_init(1);
	smp_quiet();
	taken_clear();
	if (policy("interrupts for a processor that waits for its start")) {
		lapic_send(ICR_ASSERT | V_LOW, 1);
		lapic_send(ICR_ASSERT | ICR_NMI, 1);
	}
	smp_quiet();
	before = rdtsc();
	smp_send_startup(1, 1);
	check(smp_wait(&smp_cpus[1].starts, 2), "processor 1 starts again, at another page");
	check_entry(1);
	smp_quiet();
	check_equal(taken[1][V_LOW] + taken[1][EXC_NMI] + taken[1][V_MIDDLE], 0,
		    "interrupts while it waited");
	check(smp_run(1, job_left_over), "a job for processor 1");
	check_equal(left_over, 0, "debug register, TPR and timer after INIT");
	after = rdtsc();
	check(after > before, "the TSC goes on");

	smp_begin(1, job_spin);
	check(smp_wait(&spinning, 1), "processor 1 spins with interrupts off");
	check(smp_start(1), "INIT takes it out");
	check_equal(smp_cpus[1].starts, 3, "starts of processor 1");
}

/* As kernels start all others at once. */
static void check_start_all(void)
{
	u64 before[CPUS_USED];

	for (u32 id = 1; id < cpus; id++)
		before[id] = smp_cpus[id].starts;
	lapic_send(ICR_OTHERS | ICR_INIT | ICR_ASSERT, 0);
	smp_quiet();
	lapic_send(ICR_OTHERS | (6U << 8) | ICR_ASSERT | smp_startup_vector(0), 0);
	for (u32 id = 1; id < cpus; id++)
		check(smp_wait(&smp_cpus[id].starts, before[id] + 1), "processor %u starts", id);
	smp_quiet();
	for (u32 id = 1; id < cpus; id++)
		check_equal(smp_cpus[id].starts, before[id] + 1, "starts in one go");
}

/* --- who is who */

static struct {
	volatile u32 leaf1, leafb, lapic, cores, extended, extended_core;
} who[SMP_MAX];

static void job_who(void)
{
	u32 id = lapic_id();

	who[id].lapic = id;
	who[id].leaf1 = cpuid(1, 0).ebx >> 24;
	who[id].leafb = cpuid(0xb, 0).edx;
	who[id].cores = cpuid(0xb, 1).ebx & 0xffff;
	if (cpuid(0x80000000, 0).eax < 0x8000001e)
		return;
	who[id].extended = cpuid(0x8000001e, 0).eax;
	who[id].extended_core = cpuid(0x8000001e, 0).ebx & 0xff;
}

static void check_who(void)
{
	bool extended =
		cpuid(0x80000000, 0).eax >= 0x8000001e && policy("numbers in leaf 0x8000001e");

	job_who();
	for (u32 id = 1; id < cpus; id++)
		check(smp_run(id, job_who), "processor %u says who it is", id);
	for (u32 id = 0; id < cpus; id++) {
		check_equal(who[id].lapic, id, "id of the local APIC");
		check_equal(who[id].leaf1, id, "id in leaf 1");
		check_equal(who[id].leafb, id, "id in leaf 0xb");
		check_equal(who[id].cores, smp_count(), "processors in leaf 0xb");
		if (extended) {
			check_equal(who[id].extended, id, "id in leaf 0x8000001e");
			check_equal(who[id].extended_core, id, "core in leaf 0x8000001e");
		}
	}
	check_equal(cpuid(1, 0).ebx >> 16 & 0xff, smp_count(), "processors in leaf 1");
	check(cpuid(1, 0).edx & BIT32(28), "leaf 1 says that there are several");
}

/* --- interprocessor interrupts */

/* What processor 1 sends when it is the sender. */
static u32 send_command, send_to;

static void job_send(void)
{
	lapic_send(send_command, send_to);
}

static void send_from(u32 sender, u32 command, u32 destination)
{
	taken_clear();
	send_command = command | ICR_ASSERT;
	send_to = destination;
	if (sender == 0)
		job_send();
	else
		check(smp_run(sender, job_send), "processor %u sends", sender);
}

/* The destination, and who shall take it: of processors 0 to 3. */
struct row {
	const char *text;
	u32 command, destination;
	u32 mask;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		send_from(0, rows[i].command | V_LOW, rows[i].destination);
		check_taken(rows[i].text, rows[i].mask, V_LOW);
	}
}

static const struct row physical[] = {
	{ "to itself", 0, 0, 1 },
	{ "to 1", 0, 1, 2 },
	{ "to 3", 0, 3, 8 },
	{ "to nobody", 0, 200, 0 },
	{ "shorthand self", ICR_SELF, 3, 1 },
	{ "shorthand all", ICR_ALL, 3, ALL },
	{ "shorthand others", ICR_OTHERS, 3, ALL & ~1U },
	{ "reserved delivery mode", ICR_RESERVED, 1, 0 },
};

static void check_from_another(void)
{
	static const struct row extint[] = { { "ExtINT as a message", ICR_EXTINT, 1, 0 } };

	if (policy("ExtINT as a message"))
		check_rows(extint, ARRAY_SIZE(extint));
	send_from(1, V_LOW, 0);
	check_taken("from 1 to 0", 1, V_LOW);
	send_from(1, V_LOW, 1);
	check_taken("from 1 to itself", 2, V_LOW);
	send_from(1, ICR_OTHERS | V_LOW, 0);
	check_taken("from 1 to others", ALL & ~2U, V_LOW);
	send_from(1, ICR_SELF | V_LOW, 0);
	check_taken("from 1, shorthand self", 2, V_LOW);
}

static void check_nmis(void)
{
	send_from(0, ICR_NMI, 1);
	check_taken("NMI to 1", 2, EXC_NMI);
	send_from(0, ICR_NMI | ICR_OTHERS, 0);
	check_taken("NMI to others", ALL & ~1U, EXC_NMI);
	send_from(1, ICR_NMI | ICR_OTHERS, 0);
	check_taken("NMI from 1 to others", ALL & ~2U, EXC_NMI);
}

static u32 takers(unsigned vector)
{
	u32 mask = 0;

	for (u32 id = 0; id < cpus; id++)
		mask |= taken[id][vector] ? 1U << id : 0;
	return mask;
}

static u64 taken_by_all(unsigned vector)
{
	u64 sum = 0;

	for (u32 id = 0; id < cpus; id++)
		sum += taken[id][vector];
	return sum;
}

static void check_one_of(const char *text, u32 command, u32 destination, u32 mask)
{
	send_from(0, command | V_LOW, destination);
	smp_quiet();
	check(taken_by_all(V_LOW) == 1 && (takers(V_LOW) & ~existing(mask)) == 0,
	      "%s: taken %lu times, by %x", text, taken_by_all(V_LOW), takers(V_LOW));
}

static void job_busy(void)
{
	write_cr8(5);
}

static void job_idle(void)
{
	write_cr8(0);
}

/* One of them takes it; here the one with the lowest priority. */
static void check_lowest(u32 logical_1_2, u32 logical_all)
{
	check_one_of("lowest priority of 1 and 2", ICR_LOWEST | ICR_LOGICAL, logical_1_2, 6);
	check_one_of("lowest priority of all", ICR_LOWEST | ICR_LOGICAL, logical_all, ALL);
	if (cpus < 3 || !policy("the lowest priority takes it"))
		return;
	check_one_of("lowest priority of the others", ICR_LOWEST | ICR_OTHERS, 0, ALL & ~1U);
	check(smp_run(1, job_busy), "processor 1 is busy");
	check_one_of("lowest priority is 2", ICR_LOWEST | ICR_LOGICAL, logical_1_2, 4);
	check(smp_run(1, job_idle) && smp_run(2, job_busy), "processor 2 is busy");
	check_one_of("lowest priority is 1", ICR_LOWEST | ICR_LOGICAL, logical_1_2, 2);
	check(smp_run(2, job_idle), "all are idle");
}

static u32 ldr_value[CPUS_USED];
static u32 dfr_value;

static void job_logical(void)
{
	lapic_write(LAPIC_DFR, dfr_value);
	lapic_write(LAPIC_LDR, ldr_value[lapic_id()]);
}

static void logical_set(u32 dfr, const u32 *ldr)
{
	dfr_value = dfr;
	for (u32 id = 0; id < cpus; id++) {
		ldr_value[id] = ldr[id] << 24;
		if (id == 0)
			job_logical();
		else
			check(smp_run(id, job_logical), "processor %u gets a logical id", id);
	}
}

static void check_flat(void)
{
	static const struct row rows[] = {
		{ "flat, 0", ICR_LOGICAL, 0x01, 1 },
		{ "flat, 1 and 2", ICR_LOGICAL, 0x06, 6 },
		{ "flat, nobody", ICR_LOGICAL, 0x30, 0 },
		{ "flat, none", ICR_LOGICAL, 0, 0 },
		{ "flat, 3 and more", ICR_LOGICAL, 0x38, 8 },
		{ "flat, all", ICR_LOGICAL, 0xff, ALL },
	};

	logical_set(DFR_FLAT, (const u32[]){ 1, 2, 4, 8 });
	check_rows(rows, ARRAY_SIZE(rows));
	check_lowest(6, 0xf);
}

/* Clusters of two: 0 and 1 are members of the first, 2 and 3 of the second. */
static void check_cluster(void)
{
	static const struct row rows[] = {
		{ "cluster 0, first", ICR_LOGICAL, 0x01, 1 },
		{ "cluster 0, both", ICR_LOGICAL, 0x03, 3 },
		{ "cluster 1, second", ICR_LOGICAL, 0x12, 8 },
		{ "cluster 1, all", ICR_LOGICAL, 0x1f, 0xc },
		{ "cluster 2", ICR_LOGICAL, 0x2f, 0 },
		{ "cluster 1, nobody", ICR_LOGICAL, 0x14, 0 },
	};
	static const struct row all_clusters[] = {
		{ "all clusters, all", ICR_LOGICAL, 0xff, ALL },
		{ "all clusters, second", ICR_LOGICAL, 0xf2, 0xa },
	};

	logical_set(DFR_CLUSTER, (const u32[]){ 0x01, 0x02, 0x11, 0x12 });
	check_rows(rows, ARRAY_SIZE(rows));
	if (policy("members of all clusters"))
		check_rows(all_clusters, ARRAY_SIZE(all_clusters));
}

static void check_broadcast(void)
{
	static const struct row rows[] = { { "physical broadcast", 0, 0xff, ALL } };

	check_rows(rows, ARRAY_SIZE(rows));
}

/* --- x2APIC mode */

static void job_to_x2apic(void)
{
	wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_X2APIC);
}

static void job_to_xapic(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE) & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC);

	wrmsr(MSR_IA32_APIC_BASE, base);
	wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
	mmio_write(LAPIC_BASE + LAPIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
}

static volatile u64 mode_after_init;

static void job_mode(void)
{
	mode_after_init = rdmsr(MSR_IA32_APIC_BASE) & APIC_BASE_X2APIC;
}

static void check_x2apic(void)
{
	static const struct row rows[] = {
		{ "x2APIC, 0", ICR_LOGICAL, 0x1, 1 },
		{ "x2APIC, 1 and 2", ICR_LOGICAL, 0x6, 6 },
		{ "x2APIC, another cluster", ICR_LOGICAL, 0x1000f, 0 },
		{ "x2APIC, none of the cluster", ICR_LOGICAL, 0xfff0, 0 },
		{ "x2APIC, all", ICR_LOGICAL, 0xffff, ALL },
		{ "x2APIC, logical broadcast", ICR_LOGICAL, X2APIC_ALL, ALL },
		{ "x2APIC, physical broadcast", 0, X2APIC_ALL, ALL },
		{ "x2APIC, 255 is nobody", 0, 0xff, 0 },
		{ "x2APIC, 256 is nobody", 0, 0x100, 0 },
		{ "x2APIC, 0x01000001 is nobody", 0, 0x01000001, 0 },
	};

	if (!lapic_has_x2apic()) {
		say("no x2APIC on this processor");
		return;
	}
	for (u32 id = 1; id < cpus; id++)
		check(smp_run(id, job_to_x2apic), "processor %u goes to x2APIC mode", id);
	lapic_to_x2apic();
	check_who();
	check_rows(physical, ARRAY_SIZE(physical));
	check_rows(rows, ARRAY_SIZE(rows));
	check_from_another();
	check_nmis();
	check_lowest(0x6, 0xf);
	check(smp_start(1), "processor 1 starts again");
	check(smp_run(1, job_mode), "a job for processor 1");
	check(mode_after_init, "INIT leaves the mode as it is");
	for (u32 id = 1; id < cpus; id++)
		check(smp_run(id, job_to_xapic), "processor %u goes back to xAPIC mode", id);
	lapic_to_xapic();
}

/* --- timers, pins */

static void job_timer(void)
{
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIV_16);
	lapic_write(LAPIC_LVT_TIMER, V_MIDDLE);
	lapic_write(LAPIC_TIMER_INITIAL, 1000);
}

static void check_timers(void)
{
	for (u32 id = 1; id < cpus; id++) {
		taken_clear();
		check(smp_run(id, job_timer), "processor %u sets its timer", id);
		check_taken("timer", 1U << id, V_MIDDLE);
	}
}

static void check_pin(const char *text, u32 low, u32 destination, u32 mask)
{
	mask = existing(mask);
	taken_clear();
	ioapic_route(PIT_PIN, low, destination);
	for (u32 id = 0; id < cpus; id++)
		if (mask >> id & 1)
			check(smp_wait(&taken[id][low & REDIR_NMI ? EXC_NMI : V_MIDDLE], 3),
			      "%s: processor %u", text, id);
	ioapic_route(PIT_PIN, REDIR_MASKED | V_MIDDLE, destination);
	smp_quiet();
	for (u32 id = 0; id < cpus; id++)
		if (!(mask >> id & 1))
			check_equal(taken[id][V_MIDDLE] + taken[id][EXC_NMI], 0, text);
}

static void check_pins(void)
{
	logical_set(DFR_FLAT, (const u32[]){ 1, 2, 4, 8 });
	pit_start(0, 2, PIT_1MS);
	for (u32 id = 0; id < cpus; id++)
		check_pin("pin, physical", V_MIDDLE, id, 1U << id);
	check_pin("pin, logical", REDIR_LOGICAL | V_MIDDLE, 0x6, 6);
	check_pin("pin, broadcast", V_MIDDLE, 0xff, ALL);
	check_pin("pin, NMI", REDIR_NMI, 1, 2);
	taken_clear();
	ioapic_route(PIT_PIN, V_MIDDLE, 200);
	smp_quiet();
	check_equal(taken_by_all(V_MIDDLE), 0, "pin to nobody");
	ioapic_route(PIT_PIN, REDIR_LOGICAL | REDIR_LOWEST | V_MIDDLE, 0x6);
	smp_quiet();
	smp_quiet();
	ioapic_route(PIT_PIN, REDIR_MASKED | V_MIDDLE, 0);
	check(taken_by_all(V_MIDDLE) >= 2 && !(takers(V_MIDDLE) & ~existing(6)),
	      "pin, lowest priority: %lu times, by %x", taken_by_all(V_MIDDLE), takers(V_MIDDLE));
	pit_start(0, 0, 0);
}

static volatile u64 level_shown;

/* The UART holds its line up as long as its transmitter is empty and the interrupt is wanted. */
static void on_level(struct trap_frame *frame)
{
	(void)frame;
	level_shown += lapic_bit(LAPIC_TMR, V_LEVEL);
	if (++taken[lapic_id()][V_LEVEL] == 3)
		out_byte(UART_IER, 0);
	lapic_eoi();
}

/* Its end on any processor lets the next one through. */
static void check_level(void)
{
	trap_handle(V_LEVEL, on_level);
	for (u32 id = 0; id < cpus; id++) {
		taken_clear();
		level_shown = 0;
		ioapic_route(UART_PIN, REDIR_LEVEL | V_LEVEL, id);
		out_byte(UART_IER, IER_THRE);
		smp_wait(&taken[id][V_LEVEL], 3);
		smp_quiet();
		check_equal(taken[id][V_LEVEL], 3, "a level comes again after EOI until it is low");
		check_equal(taken_by_all(V_LEVEL), 3, "and on one processor only");
		check_equal(level_shown, 3, "TMR says level");
		out_byte(UART_IER, 0);
	}
	ioapic_mask_all();
}

static void on_pic(struct trap_frame *frame)
{
	taken[lapic_id()][frame->vector]++;
	pic_eoi((unsigned)frame->vector - PIC_VECTOR_BASE);
}

static void job_extint(void)
{
	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
}

static void job_no_extint(void)
{
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
}

/* The 8259's interrupt is on every LINT0; who has it open takes it. */
static void check_pic(void)
{
	trap_handle(PIC_VECTOR_BASE, on_pic);
	taken_clear();
	check(smp_run(1, job_extint), "processor 1 takes the 8259's");
	pit_start(0, 2, PIT_1MS);
	pic_unmask(IRQ_PIT);
	check(smp_wait(&taken[1][PIC_VECTOR_BASE], 3), "IRQ 0 on processor 1");
	pic_mask_all();
	smp_quiet();
	check_equal(taken_by_all(PIC_VECTOR_BASE), taken[1][PIC_VECTOR_BASE], "on no other one");
	check(smp_run(1, job_no_extint), "processor 1 is done with it");
	pit_start(0, 0, 0);
}

/* --- one clock, one memory */

static volatile u32 lock;
static volatile u64 last_tsc, warps, rounds;
static volatile u64 sum;

static void lock_take(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
}

static void lock_give(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

static void job_clock(void)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		u64 now;

		lock_take();
		now = rdtsc();
		warps += now < last_tsc;
		last_tsc = now;
		rounds++;
		lock_give();
		asm volatile("lock incq %0" : "+m"(sum)::"cc");
		cpu_spin(1000);
	}
}

static void all_at_once(void (*job)(void))
{
	for (u32 id = 1; id < cpus; id++)
		smp_begin(id, job);
	job();
	for (u32 id = 1; id < cpus; id++)
		check(smp_finish(id), "processor %u has done it", id);
}

static void check_clock(void)
{
	all_at_once(job_clock);
	check_equal(rounds, ROUNDS * cpus, "rounds under a lock");
	check_equal(sum, ROUNDS * cpus, "sum of all");
	check_equal(warps, 0, "the TSC never goes back from one processor to the other");
}

static volatile u64 before_jump, after_jump;

static void job_jump(void)
{
	before_jump = rdtsc();
	wrmsr(MSR_IA32_TSC, rdtsc() + TSC_JUMP);
	after_jump = rdtsc();
	wrmsr(MSR_IA32_TSC, rdtsc() - TSC_JUMP);
}

/* A processor that sets its TSC sets no other's. */
static void check_tsc_write(void)
{
	u64 begin = rdtsc();

	if (!policy("a write of one TSC"))
		return;
	check(smp_run(1, job_jump), "processor 1 sets its TSC");
	check(after_jump - before_jump >= TSC_JUMP, "it jumps");
	check(rdtsc() - begin < TSC_JUMP, "the others' do not");
	check(rdtsc() >= before_jump && before_jump >= begin, "both began together");
}

static u64 shared_page;
static volatile u64 seen;

static void job_read(void)
{
	seen = *(volatile u64 *)shared_page;
}

static void job_flush(void)
{
	tlb_flush_page(shared_page);
}

/* A translation that one processor changes is another's after its own INVLPG. */
static void check_translations(void)
{
	u64 *first = (u64 *)(u64)page_alloc(), *second = (u64 *)(u64)page_alloc();

	*first = 1;
	*second = 2;
	shared_page = window_map(0, (u64)first, PTE_PRESENT | PTE_WRITE);
	for (u32 id = 1; id < cpus; id++) {
		window_map(0, (u64)first, PTE_PRESENT | PTE_WRITE);
		check(smp_run(id, job_flush) && smp_run(id, job_read), "processor %u reads", id);
		check_equal(seen, 1, "the first page");
		window_map(0, (u64)second, PTE_PRESENT | PTE_WRITE);
		check(smp_run(id, job_flush) && smp_run(id, job_read), "processor %u reads", id);
		check_equal(seen, 2, "the second page");
	}
	window_unmap(0);
}

static void handlers_set(void)
{
	trap_handle(V_LOW, on_irq);
	trap_handle(V_MIDDLE, on_irq);
	trap_handle(EXC_NMI, on_nmi);
	trap_handle(SPURIOUS_VECTOR, on_spurious);
}

void micro_main(void)
{
	pic_init();
	ioapic_mask_all();
	smp_init();
	handlers_set();
	cpus = smp_count();
	check(cpus >= 2 && cpus <= CPUS_USED, "%u processors", cpus);
	check_start();
	check_who();
	check_init();
	check_start_all();
	check_rows(physical, ARRAY_SIZE(physical));
	check_broadcast();
	check_from_another();
	check_nmis();
	check_flat();
	check_cluster();
	check_timers();
	check_pins();
	check_level();
	check_pic();
	check_clock();
	check_tsc_write();
	check_translations();
	check_x2apic();
}
