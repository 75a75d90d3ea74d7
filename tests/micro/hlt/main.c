/*
 * HLT: what wakes it, what does not, and where execution goes on (APM volume 3, "HLT").
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "hlt";

#define V_TIMER	  0x41U
#define V_PIT	  0x91U
#define PIT_PIN	  2U
#define PIT_54MS  0xffffU /* enough to be in HLT before, whoever else has the processor */
#define PIT_10MS  11932U
#define REDIR_NMI (4U << 8)
#define WAKE_UPS  20U

static volatile u64 timer_count, pit_count, nmi_count, last_rip;

static void on_timer(struct trap_frame *frame)
{
	timer_count++;
	last_rip = frame->rip;
	lapic_eoi();
}

static void on_pit(struct trap_frame *frame)
{
	pit_count++;
	last_rip = frame->rip;
	lapic_eoi();
}

static void on_nmi(struct trap_frame *frame)
{
	nmi_count++;
	last_rip = frame->rip;
}

/* STI, HLT; checks that the interrupt came right behind the HLT. */
static bool halt_until_interrupt(void)
{
	u64 behind;

	last_rip = 0;
	asm volatile("leaq 1f(%%rip), %0; sti; hlt; 1: cli" : "=r"(behind)::"memory");
	return last_rip == behind;
}

static u32 timer_ticks_per_ms;

static u64 read_lapic(void)
{
	return lapic_read(LAPIC_TIMER_CURRENT);
}

static void timer_calibrate(void)
{
	struct clock_sample first, last;

	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIV_16);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | V_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, ~0U);
	first = clock_sample(read_lapic);
	delay_us(2000);
	last = clock_sample(read_lapic);
	timer_ticks_per_ms =
		(u32)((first.value - last.value) * tsc_per_ms() / (last.tsc - first.tsc));
	lapic_write(LAPIC_TIMER_INITIAL, 0);
}

static void timer_start(u32 us)
{
	lapic_write(LAPIC_LVT_TIMER, V_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, timer_ticks_per_ms * us / 1000);
}

static void check_timer(void)
{
	timer_count = 0;
	for (u64 i = 1; i <= WAKE_UPS; i++) {
		u64 start = rdtsc(), slept;

		timer_start(1000);
		check(halt_until_interrupt(), "woken behind HLT");
		slept = tsc_to_us(rdtsc() - start);
		check(timer_count == i, "woken by the timer, %lu times of %lu", timer_count, i);
		check(slept >= 950, "not before its time: %lu us", slept);
	}
}

/* An interrupt that is pending already does not get lost between STI and HLT. */
static void check_pending(void)
{
	timer_count = 0;
	lapic_send_self(V_TIMER);
	check(halt_until_interrupt(), "pending interrupt comes behind HLT");
	check_equal(timer_count, 1, "pending interrupt");
	for (u64 i = 2; i < 50; i++) {
		lapic_send_self(V_TIMER);
		check(halt_until_interrupt() && timer_count == i, "IPI %lu", i);
	}
}

/* Interrupts that the priority holds off do not end HLT. */
static void check_priority(void)
{
	timer_count = 0;
	pit_count = 0;
	write_cr8(8);
	ioapic_route(PIT_PIN, V_PIT, lapic_id());
	timer_start(500);
	pit_start(0, 0, PIT_10MS);
	check(halt_until_interrupt(), "woken by the PIT");
	check(pit_count == 1 && timer_count == 0, "the timer did not wake: %lu, %lu", pit_count,
	      timer_count);
	check(lapic_bit(LAPIC_IRR, V_TIMER), "it is still pending");
	irq_enable();
	write_cr8(0);
	irq_disable();
	check_equal(timer_count, 1, "and comes when CR8 lets it");
	ioapic_mask_all();
}

/* With IF clear only an NMI wakes, here from the I/O APIC; a pending interrupt stays pending. */
static void check_nmi(void)
{
	u64 behind;

	trap_handle(EXC_NMI, on_nmi);
	nmi_count = 0;
	timer_count = 0;
	timer_start(500);
	pit_start(0, 0, PIT_54MS);
	ioapic_route(PIT_PIN, REDIR_NMI, lapic_id());
	asm volatile("leaq 1f(%%rip), %0; cli; hlt; 1:" : "=r"(behind)::"memory");
	check_equal(nmi_count, 1, "NMI wakes with interrupts off");
	check_equal(last_rip, behind, "woken behind HLT");
	check_equal(timer_count, 0, "the pending interrupt did not come");
	ioapic_mask_all();
	irq_open_window();
	check_equal(timer_count, 1, "it comes with STI");
}

/* A handler that returns to HLT's own successor many times: a periodic tick. */
static void check_periodic(void)
{
	u64 start = rdtsc(), us;

	timer_count = 0;
	lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | V_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, timer_ticks_per_ms);
	for (unsigned i = 0; i < WAKE_UPS; i++)
		check(halt_until_interrupt(), "woken behind HLT");
	us = tsc_to_us(rdtsc() - start);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
	/* One that came while another VM had the processor may come right behind the handler. */
	check(timer_count >= WAKE_UPS, "%lu ticks for %u wake-ups", timer_count, WAKE_UPS);
	check(us >= timer_count * 950, "%lu ticks of 1 ms take %lu us", timer_count, us);
}

void micro_main(void)
{
	pic_init();
	lapic_init();
	ioapic_mask_all();
	trap_handle(V_TIMER, on_timer);
	trap_handle(V_PIT, on_pit);
	timer_calibrate();
	check_timer();
	check_pending();
	check_priority();
	check_nmi();
	check_periodic();
}
