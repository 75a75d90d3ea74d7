/*
 * The clocks of the machine against each other, and the timers that raise interrupts: local APIC
 * (one-shot, periodic, TSC-deadline), PIT, RTC, ACPI PM timer, the paravirtual clock. A timer
 * must never be early; how late it may be is generous, for other virtual machines run too.
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "timer";

#define V_TIMER	    0x41U
#define LATE_US	    2000000U /* what other virtual machines may cost */
#define EXACT	    2U	     /* percent, for clocks read twice */
#define COUNTER_US  5000U
#define LEAF_TIMING 0x40000010U
#define LEAF_KVM    0x40000100U

#define RTC_SECONDS   0x00
#define RTC_A	      0x0a
#define RTC_B	      0x0b
#define RTC_C	      0x0c
#define RTC_D	      0x0d
#define RTC_A_1024HZ  0x26
#define RTC_A_UIP     0x80
#define RTC_B_PIE     0x40
#define RTC_B_24H     0x02
#define RTC_C_PF      0x40
#define RTC_D_VALID   0x80
#define PIT_READ_BACK 0xe2 /* status of channel 0 */
#define P61_REFRESH   0x10

static volatile u64 timer_count, irq_count[16];
static volatile u64 last_tsc;

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	last_tsc = rdtsc();
	timer_count++;
	lapic_eoi();
}

static void on_pic(struct trap_frame *frame)
{
	unsigned irq = (unsigned)frame->vector - PIC_VECTOR_BASE;

	last_tsc = rdtsc();
	irq_count[irq]++;
	if (irq == IRQ_RTC)
		cmos_read(RTC_C);
	pic_eoi(irq);
}

static bool is_near(u64 got, u64 want, u64 percent)
{
	u64 off = got > want ? got - want : want - got;

	return off * 100 <= want * percent;
}

/* `us` measured by another clock while the TSC counted `tsc`. */
static void check_clock(const char *name, u64 us, u64 tsc)
{
	check(is_near(us, tsc_to_us(tsc), EXACT), "%s: %lu us, TSC %lu us", name, us,
	      tsc_to_us(tsc));
}

/* A counter of `bits` bits that runs with `hz` ticks a second, up or down. */
static void check_counter(const char *name, u64 (*read)(void), unsigned bits, u64 hz, bool down)
{
	struct clock_sample first, last;
	u64 ticks;

	do {
		first = clock_sample(read);
		delay_us(COUNTER_US);
		last = clock_sample(read);
	} while (tsc_to_us(last.tsc - first.tsc) > 4 * COUNTER_US);
	ticks = (down ? first.value - last.value : last.value - first.value) & (BIT64(bits) - 1);
	check_clock(name, ticks * 1000000 / hz, last.tsc - first.tsc);
}

static void check_tsc(void)
{
	u64 last = rdtsc();
	bool forward = true;

	for (unsigned i = 0; i < 200; i++) {
		u64 now;

		cpuid(0, 0);
		now = rdtsc();
		forward &= now > last;
		last = now;
	}
	check(forward, "the TSC goes forward over exits");
	check(tsc_per_ms() > 1000, "TSC at %lu kHz by the PIT", tsc_per_ms());
	if (policy("leaf 0x40000010 tells the TSC frequency"))
		check(is_near(cpuid(LEAF_TIMING, 0).eax, tsc_per_ms(), EXACT),
		      "leaf 0x40000010: %u kHz, PIT %lu kHz", cpuid(LEAF_TIMING, 0).eax,
		      tsc_per_ms());
}

static u64 read_pm(void)
{
	return pm_timer();
}

static void check_pm_timer(void)
{
	u32 last = pm_timer();
	bool forward = true;

	for (unsigned i = 0; i < 200; i++) {
		u32 now = pm_timer();

		forward &= ((now - last) & 0xffffff) < 0x800000;
		last = now;
	}
	check(forward, "the PM timer never goes back");
	check_counter("PM timer", read_pm, 24, PM_HZ, false);
}

static u64 read_channel_0(void)
{
	return pit_read(0);
}

static void check_pit(void)
{
	u8 status;

	pit_start(0, 2, 0);
	delay_us(20); /* the count is loaded with the next tick */
	check_counter("PIT channel 0", read_channel_0, 16, PIT_HZ, true);
	out_byte(PIT_MODE, PIT_READ_BACK);
	status = in_byte(PIT_DATA0);
	check((status & 0x3f) == 0x34, "PIT status %x: mode 2, low and high byte", status);
	pit_start(0, 0, 0xffff);
	out_byte(PIT_MODE, PIT_READ_BACK);
	check(!(in_byte(PIT_DATA0) & 0x80), "mode 0: output is low while it counts");
}

static void check_port_61(void)
{
	u8 first = in_byte(PORT_61) & P61_REFRESH;
	bool changed = false;

	for (unsigned i = 0; i < 100 && !changed; i++) {
		delay_us(7 + i % 16); /* not in step with the bit */
		changed = (in_byte(PORT_61) & P61_REFRESH) != first;
	}
	check(changed, "the refresh bit of port 0x61 toggles");
}

/* Interrupts of the PIT through the 8259: a rate, and a single one. */
static void check_pit_irq(void)
{
	u64 start = rdtsc();

	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
	irq_count[IRQ_PIT] = 0;
	pit_start(0, 2, 1193); /* 1 ms */
	pic_unmask(IRQ_PIT);
	irq_enable();
	check(wait_for_count(&irq_count[IRQ_PIT], 10, LATE_US), "PIT mode 2 ticks");
	check(tsc_to_us(rdtsc() - start) >= 8900, "ten ticks of 1 ms in %lu us",
	      tsc_to_us(rdtsc() - start));
	irq_disable();
	pit_start(0, 0, 0xffff);
	irq_open_window(); /* an edge of mode 2 may still be there */
	irq_count[IRQ_PIT] = 0;
	start = rdtsc();
	pit_start(0, 0, 2386); /* 2 ms, which may be over when this vCPU runs on */
	irq_enable();
	check(wait_for_count(&irq_count[IRQ_PIT], 1, LATE_US), "PIT mode 0 fires");
	check(tsc_to_us(last_tsc - start) >= 1950, "PIT mode 0 after %lu us",
	      tsc_to_us(last_tsc - start));
	delay_us(5000);
	check_equal(irq_count[IRQ_PIT], 1, "PIT mode 0 fires once");
	irq_disable();
	pic_mask_all();
}

static bool is_bcd_below(u8 value, u8 limit)
{
	return (value & 0xf) <= 9 && value < limit;
}

static void check_rtc(void)
{
	u8 a = cmos_read(RTC_A), b = cmos_read(RTC_B);
	u64 start;

	check(is_bcd_below(cmos_read(RTC_SECONDS), 0x60), "seconds %x", cmos_read(RTC_SECONDS));
	check(cmos_read(RTC_D) & RTC_D_VALID, "the battery is good");
	irq_count[IRQ_RTC] = 0;
	start = rdtsc();
	cmos_write(RTC_A, RTC_A_1024HZ);
	cmos_write(RTC_B, (u8)(RTC_B_PIE | RTC_B_24H));
	cmos_read(RTC_C);
	pic_unmask(IRQ_RTC);
	irq_enable();
	check(wait_for_count(&irq_count[IRQ_RTC], 9, LATE_US), "RTC periodic interrupt");
	check(tsc_to_us(rdtsc() - start) >= 6800, "9 ticks, 977 us apart, in %lu us",
	      tsc_to_us(rdtsc() - start));
	irq_disable();
	pic_mask_all();
	/* The flag shows without the interrupt, and reading clears it. */
	cmos_read(RTC_C);
	delay_us(1500);
	check(cmos_read(RTC_C) & RTC_C_PF, "periodic flag");
	cmos_write(RTC_A, (u8)(a & ~RTC_A_UIP));
	cmos_write(RTC_B, b);
}

static u64 read_lapic(void)
{
	return lapic_read(LAPIC_TIMER_CURRENT);
}

/* Ticks a millisecond. */
static u64 lapic_rate(u32 divide)
{
	struct clock_sample first, last;

	lapic_write(LAPIC_TIMER_DIVIDE, divide);
	lapic_write(LAPIC_TIMER_INITIAL, ~0U);
	first = clock_sample(read_lapic);
	delay_us(COUNTER_US);
	last = clock_sample(read_lapic);
	return (first.value - last.value) * tsc_per_ms() / (last.tsc - first.tsc);
}

static u64 lapic_per_ms;

static void check_lapic_rate(void)
{
	u64 by_1, by_16;

	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	by_1 = lapic_rate(TIMER_DIV_1);
	by_16 = lapic_rate(TIMER_DIV_16);
	check(by_1 > 1000, "the local APIC timer counts, masked too");
	check(is_near(by_16 * 16, by_1, EXACT), "divide by 16: %lu, by 1: %lu", by_16, by_1);
	lapic_per_ms = by_16;
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	check_equal(lapic_read(LAPIC_TIMER_CURRENT), 0, "initial count 0 stops it");
	check_equal(timer_count, 0, "no interrupt so far");
}

static void check_one_shot(void)
{
	u64 start;

	timer_count = 0;
	irq_enable();
	lapic_write(LAPIC_LVT_TIMER, V_TIMER);
	start = rdtsc();
	lapic_write(LAPIC_TIMER_INITIAL, (u32)lapic_per_ms);
	check(wait_for_count(&timer_count, 1, LATE_US), "one-shot fires");
	check(tsc_to_us(last_tsc - start) >= 970, "one-shot of 1 ms after %lu us",
	      tsc_to_us(last_tsc - start));
	delay_us(3000);
	check_equal(timer_count, 1, "one-shot fires once");
	check_equal(lapic_read(LAPIC_TIMER_CURRENT), 0, "one-shot ends at 0");
	lapic_write(LAPIC_TIMER_INITIAL, (u32)lapic_per_ms);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	delay_us(3000);
	check_equal(timer_count, 1, "stopped in time");
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, (u32)lapic_per_ms);
	delay_us(3000);
	check_equal(timer_count, 1, "masked");
	check_equal(lapic_read(LAPIC_TIMER_CURRENT), 0, "masked, it counts all the same");
	irq_disable();
}

static void check_periodic(void)
{
	u64 start, us;

	timer_count = 0;
	irq_enable();
	lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | V_TIMER);
	start = rdtsc();
	lapic_write(LAPIC_TIMER_INITIAL, (u32)lapic_per_ms);
	check(wait_for_count(&timer_count, 10, LATE_US), "periodic goes on");
	us = tsc_to_us(last_tsc - start);
	check(us >= 9700, "ten ticks of 1 ms in %lu us", us);
	check(lapic_read(LAPIC_TIMER_CURRENT) <= lapic_per_ms,
	      "current count below the initial one");
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	timer_count = 0;
	delay_us(3000);
	check_equal(timer_count, 0, "periodic stops");
	irq_disable();
}

static void check_deadline(void)
{
	u64 deadline;

	if (!(cpuid(1, 0).ecx & BIT32(24))) {
		say("no TSC-deadline timer on this processor");
		return;
	}
	timer_count = 0;
	irq_enable();
	lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | V_TIMER);
	deadline = rdtsc() + us_to_tsc(1000);
	wrmsr(MSR_IA32_TSC_DEADLINE, deadline);
	check_equal(rdmsr(MSR_IA32_TSC_DEADLINE), deadline, "armed deadline reads back");
	check(wait_for_count(&timer_count, 1, LATE_US), "deadline fires");
	check(last_tsc >= deadline, "deadline is not early: %ld", (long)(last_tsc - deadline));
	check_equal(rdmsr(MSR_IA32_TSC_DEADLINE), 0, "deadline reads 0 afterwards");
	check_equal(lapic_read(LAPIC_TIMER_CURRENT), 0, "no current count in deadline mode");
	wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() - 1);
	check(wait_for_count(&timer_count, 2, LATE_US), "a deadline in the past fires at once");
	wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + us_to_tsc(2000));
	wrmsr(MSR_IA32_TSC_DEADLINE, 0);
	delay_us(4000);
	check_equal(timer_count, 2, "0 disarms");
	wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + us_to_tsc(2000));
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	lapic_write(LAPIC_LVT_TIMER, LVT_DEADLINE | V_TIMER);
	delay_us(4000);
	check_equal(timer_count, 2, "a change of mode disarms");
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + 1000);
	check_equal(rdmsr(MSR_IA32_TSC_DEADLINE), 0, "ignored in another mode");
	irq_disable();
}

/* Linux, Documentation/virt/kvm/x86/msr.rst: MSR_KVM_SYSTEM_TIME_NEW and its structure. */
struct pv_clock {
	u32 version, pad0;
	u64 tsc, system_ns;
	u32 tsc_to_ns_mul;
	s8 tsc_shift;
	u8 flags, pad[2];
} PACKED;
#define MSR_PV_WALL  0x4b564d00U
#define MSR_PV_CLOCK 0x4b564d01U
#define PV_ENABLE    1ULL

static u64 pv_now(volatile struct pv_clock *clock, u64 tsc)
{
	u64 delta = tsc - clock->tsc;

	delta = clock->tsc_shift < 0 ? delta >> -clock->tsc_shift : delta << clock->tsc_shift;
	return clock->system_ns + (u64)((unsigned __int128)delta * clock->tsc_to_ns_mul >> 32);
}

static void check_pv_clock(void)
{
	static volatile struct pv_clock clock ALIGNED(64);
	static volatile struct {
		u32 version, seconds, nanoseconds;
	} wall ALIGNED(16);
	u64 tsc, ns, end;

	if (!policy("KVM clock"))
		return;
	if (!(cpuid(LEAF_KVM + 1, 0).eax & BIT32(3))) {
		say("no KVM clock");
		return;
	}
	wrmsr(MSR_PV_CLOCK, (u64)&clock | PV_ENABLE);
	cpuid(0, 0);
	check(clock.version != 0 && (clock.version & 1) == 0, "version %x", clock.version);
	tsc = rdtsc();
	ns = pv_now(&clock, tsc);
	delay_us(COUNTER_US);
	end = rdtsc();
	check_clock("KVM clock", (pv_now(&clock, end) - ns) / 1000, end - tsc);
	wrmsr(MSR_PV_WALL, (u64)&wall);
	check((wall.version & 1) == 0 && wall.seconds > 1000000000, "wall clock %u", wall.seconds);
	wrmsr(MSR_PV_CLOCK, 0);
}

void micro_main(void)
{
	pic_init();
	lapic_init();
	ioapic_mask_all();
	trap_handle(V_TIMER, on_timer);
	trap_handle(PIC_VECTOR_BASE + IRQ_PIT, on_pic);
	trap_handle(PIC_VECTOR_BASE + IRQ_RTC, on_pic);
	check_tsc();
	check_pm_timer();
	check_pit();
	check_port_61();
	check_pit_irq();
	check_rtc();
	check_lapic_rate();
	check_one_shot();
	check_periodic();
	check_deadline();
	check_pv_clock();
}
