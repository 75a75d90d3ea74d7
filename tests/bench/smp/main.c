/*
 * What happens between processors and between VMs, as readings of the TSC, which all of them share.
 * The command line says which part this guest has; tests/bench/run puts the readings together.
 * Prints lines STAMP NAME NUMBER...
 */
#include "tests/bench/guest/handlers.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/smp.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "bench-smp";

#define V_BENCH	 0x51U
#define SAMPLES	 32U
#define GAPS_MAX 256U
#define GAP_MIN	 200U /* ticks without an instruction of this guest that are worth a note */

/* Longer than the scheduler's credit: who slept so long goes before one who did not. */
#define SLEEP_US  3000U
#define RUNNER_US 600000U /* until the other guest has said its readings */
#define START_US  5000U
#define COUNT_US  20000U

static void spin_until(u64 tsc)
{
	while (stamp() < tsc)
		;
}

/* --- an interrupt from one processor to another that sleeps */

static volatile u32 asleep;

static void sleep_for_ever(void)
{
	wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	asleep = 1;
	for (;;)
		irq_enable_and_halt();
}

static void ipi(void)
{
	u64 from[SAMPLES], to[SAMPLES];

	if (!smp_start(1))
		micro_fail("processor 1 does not start");
	vector_set(V_BENCH, handler_x2apic);
	smp_begin(1, sleep_for_ever);
	while (!asleep)
		;
	lapic_to_x2apic();
	for (unsigned i = 0; i < SAMPLES; i++) {
		spin_until(stamp() + us_to_tsc(SLEEP_US));
		handler_stamp = 0;
		from[i] = stamp();
		lapic_send(ICR_ASSERT | V_BENCH, 1);
		while (!handler_stamp)
			;
		to[i] = handler_stamp;
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		say("STAMP ipi %lu %lu", from[i], to[i]);
}

/* --- two VMs on one processor: one wakes up now and then, the other always runs */

static void sleeper(void)
{
	u64 due[SAMPLES], woken[SAMPLES], slept[SAMPLES];

	vector_set(V_BENCH, handler_x2apic);
	lapic_to_x2apic();
	lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | V_BENCH);
	for (unsigned i = 0; i < SAMPLES; i++) {
		due[i] = stamp() + us_to_tsc(SLEEP_US);
		wrmsr(MSR_IA32_TSC_DEADLINE, due[i]);
		slept[i] = stamp();
		irq_enable_and_halt();
		irq_disable();
		woken[i] = handler_stamp;
	}
	for (unsigned i = 0; i < SAMPLES; i++)
		say("STAMP sleeper %lu %lu %lu", due[i], woken[i], slept[i]);
}

static void runner(void)
{
	static u64 from[GAPS_MAX], to[GAPS_MAX];
	u64 last = stamp(), end = last + us_to_tsc(RUNNER_US), now;
	unsigned count = 0;

	for (; (now = stamp()) < end; last = now) {
		if (now - last < GAP_MIN || count == GAPS_MAX)
			continue;
		from[count] = last;
		to[count++] = now;
	}
	for (unsigned i = 0; i < count; i++)
		say("STAMP runner %lu %lu", from[i], to[i]);
}

/* --- all processors have exits */

static volatile u64 go, counts[SMP_MAX];
static u64 ticks;

static void exits_count(u32 id)
{
	u64 count = 0, end = go + ticks;

	spin_until(go);
	for (; stamp() < end; count++)
		cpuid(1, 0);
	counts[id] = count;
}

static void exits_job(void)
{
	exits_count(lapic_id());
}

static void exits(void)
{
	u32 cpus = smp_count();

	ticks = us_to_tsc(COUNT_US);
	for (u32 id = 1; id < cpus; id++) {
		if (!smp_start(id))
			micro_fail("processor %u does not start", id);
	}
	go = stamp() + us_to_tsc(START_US);
	for (u32 id = 1; id < cpus; id++)
		smp_begin(id, exits_job);
	exits_count(0);
	for (u32 id = 0; id < cpus; id++) {
		while (!counts[id])
			;
		say("STAMP exits %u %lu %lu", id, counts[id], ticks);
	}
}

void micro_main(void)
{
	pic_init();
	ioapic_mask_all();
	smp_init();
	if (told("ipi"))
		ipi();
	if (told("sleeper"))
		sleeper();
	if (told("runner"))
		runner();
	if (told("exits"))
		exits();
}
