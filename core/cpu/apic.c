/*
 * SDM, "Advanced Programmable Interrupt Controller (APIC)". The timer runs in TSC-deadline mode
 * where there is one, else one-shot.
 */
#include "core/cpu/apic.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/trace/log.h"
#include "lib/x86/apic.h"
#include "lib/x86/registers.h"

#define X2APIC_MSR(reg) (MSR_IA32_X2APIC_FIRST + (u32)(reg) / 16)
#define XAPIC_BYTES	PAGE_SIZE

/* 8254 and port 61h: Intel 8254 data sheet, "Mode 0"; ICH9 data sheet, "NMI_SC". */
#define PIT_HZ		1193182ULL
#define PIT_CHANNEL2	0x42
#define PIT_COMMAND	0x43
#define PIT_CH2_MODE0	0xb0 /* channel 2, low then high byte, mode 0 */
#define PORT_61		0x61
#define PORT_61_GATE2	0x01
#define PORT_61_SPEAKER 0x02
#define PORT_61_OUT2	0x20
#define CALIBRATE_TICKS 11932ULL /* 10 ms */
#define CALIBRATE_RUNS	25
#define CALIBRATE_AGREE 5000 /* two runs that differ by less than one part in this */

u64 tsc_khz;
static volatile u32 *xapic; /* NULL in x2APIC mode */
static u64 apic_khz;	    /* rate of the one-shot timer */

static u32 apic_read(enum apic_register reg)
{
	return xapic ? xapic[reg / 4] : (u32)rdmsr(X2APIC_MSR(reg));
}

static void apic_write(enum apic_register reg, u32 value)
{
	if (xapic)
		xapic[reg / 4] = value;
	else
		wrmsr(X2APIC_MSR(reg), value);
}

void apic_init(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE;

	if (cpu_features.x2apic)
		base |= APIC_BASE_X2APIC;
	else if (!xapic)
		xapic = core_map_device(HPA(base & APIC_BASE_ADDRESS), XAPIC_BYTES);
	wrmsr(MSR_IA32_APIC_BASE, base);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, APIC_NMI);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	this_cpu()->apic_id = apic_id();
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return xapic ? id >> 24 : id;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send(u32 apic_id, enum apic_message message, u8 vector)
{
	u32 low = (u32)message | ICR_ASSERT | vector;

	if (!xapic) {
		/* This write does not wait for what the other one is to see. SDM, "MSR Access in
		 * x2APIC Mode". */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(X2APIC_MSR(APIC_ICR), (u64)apic_id << 32 | low);
		return;
	}
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, (u32)field_set(ICR_XAPIC_DEST, 0, apic_id));
	apic_write(APIC_ICR, low);
}

void apic_timer_arm(u64 deadline)
{
	u64 now, ticks;

	if (cpu_features.tsc_deadline) {
		wrmsr(MSR_IA32_TSC_DEADLINE, max_u64(deadline, 1)); /* zero would disarm it */
		return;
	}
	now = rdtsc();
	ticks = 1;
	if (deadline > now) {
		/* Far deadlines come early and are armed again; so no product overflows. */
		u64 distance = min_u64(deadline - now, tsc_khz * 1000);

		ticks = min_u64(distance * apic_khz / tsc_khz + 1, 0xffffffff);
	}
	apic_write(APIC_TIMER_INITIAL, (u32)ticks);
}

/* Runs the 8254's channel 2 for CALIBRATE_TICKS and reads both clocks around it. */
static void measure(u64 *tsc_ticks, u64 *apic_ticks)
{
	u8 port61 = (u8)(in8(PORT_61) & ~(PORT_61_SPEAKER | PORT_61_GATE2));
	u64 tsc_start, tsc_end;

	out8(PORT_61, port61);
	out8(PIT_COMMAND, PIT_CH2_MODE0);
	out8(PIT_CHANNEL2, (u8)CALIBRATE_TICKS);
	out8(PIT_CHANNEL2, (u8)(CALIBRATE_TICKS >> 8));
	apic_write(APIC_TIMER_INITIAL, 0xffffffff);
	out8(PORT_61, port61 | PORT_61_GATE2);
	tsc_start = rdtsc();
	while (!(in8(PORT_61) & PORT_61_OUT2))
		;
	tsc_end = rdtsc();
	*apic_ticks = 0xffffffff - apic_read(APIC_TIMER_CURRENT);
	*tsc_ticks = tsc_end - tsc_start;
	apic_write(APIC_TIMER_INITIAL, 0);
}

void apic_timer_start(void)
{
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (cpu_features.tsc_deadline ? LVT_DEADLINE : 0));
}

void apic_timer_calibrate(void)
{
	u64 tsc_best = ~0ULL, apic_best = ~0ULL;

	/* Disturbances only lengthen a run: the shortest counts, once a second one confirms it. */
	for (u32 i = 0; i < CALIBRATE_RUNS; i++) {
		u64 tsc_ticks, apic_ticks;
		bool agree;

		measure(&tsc_ticks, &apic_ticks);
		agree = max_u64(tsc_ticks, tsc_best) - min_u64(tsc_ticks, tsc_best) <
			tsc_ticks / CALIBRATE_AGREE;
		tsc_best = min_u64(tsc_best, tsc_ticks);
		apic_best = min_u64(apic_best, apic_ticks);
		if (agree)
			break;
	}
	tsc_khz = tsc_best * PIT_HZ / CALIBRATE_TICKS / 1000;
	apic_khz = apic_best * PIT_HZ / CALIBRATE_TICKS / 1000;
	if (tsc_khz == 0 || apic_khz == 0)
		panic("the 8254 timer does not run: cannot measure the processor's clock");
	apic_timer_start();
	log_info("clock: TSC %lu.%03lu MHz, APIC timer %lu.%03lu MHz%s", tsc_khz / 1000,
		 tsc_khz % 1000, apic_khz / 1000, apic_khz % 1000,
		 cpu_features.tsc_deadline ? ", TSC deadline" : "");
}
