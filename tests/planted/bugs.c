/*
 * Bugs of the core, planted by words on its command line to see that they are reported well; linked
 * into the debug build only. Each runs from a timer's interrupt, so that its backtrace shows what
 * it interrupted.
 */
#include "core/boot/planted.h"

#include "core/boot/boot_info.h"
#include "core/cpu/apic.h"
#include "core/cpu/insn.h"
#include "core/cpu/timer.h"
#include "core/mem/core_map.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/trace/log.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

#define DELAY_US 200000
#define LATE_US	 1000000

extern u8 core_text_start[];

static void plant_panic(struct timer *timer)
{
	panic("planted by the option panic-test (timer %p)", (void *)timer);
}

static void plant_assert(struct timer *timer)
{
	assert(timer == NULL);
}

static void plant_fault(struct timer *timer)
{
	(void)timer;
	*(volatile u8 *)core_text_start = 0;
}

static u64 recurse(u64 depth)
{
	volatile u64 used[16];

	used[0] = depth;
	return depth == 0 ? 0 : recurse(depth + 1) + used[0];
}

static void plant_overflow(struct timer *timer)
{
	recurse((u64)timer);
}

/* For the audit to find: the core's code in the supervisor's half. */
static void plant_leak(struct timer *timer)
{
	(void)timer;
	if (process_map(process_supervisor(), (u64)core_text_start % LAYOUT_USER_END,
			core_physical(core_text_start), PAGE_SIZE, MAP_READ))
		panic("no memory to plant a leak");
}

void planted_bug_arm(void)
{
	static const struct {
		const char *option;
		void (*fire)(struct timer *timer);
	} bugs[] = {
		{ "panic-test", plant_panic }, { "assert-test", plant_assert },
		{ "fault-test", plant_fault }, { "overflow-test", plant_overflow },
		{ "leak-test", plant_leak },
	};
	static struct timer timer;

	for (u32 i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!boot_option(bugs[i].option))
			continue;
		timer_init(&timer, bugs[i].fire);
		timer_set(&timer, rdtsc() + tsc_from_us(DELAY_US));
		return;
	}
}

static void wait_late(void)
{
	u64 end = rdtsc() + tsc_from_us(LATE_US);

	while (rdtsc() < end)
		cpu_relax();
}

void planted_bad_start(void)
{
	if (boot_option("late-processor-test"))
		wait_late();
	if (boot_option("tsc-behind-test"))
		wrmsr(MSR_IA32_TSC, rdtsc() - tsc_from_us(LATE_US));
	if (boot_option("tsc-ahead-test"))
		wrmsr(MSR_IA32_TSC, rdtsc() + tsc_from_us(LATE_US));
}
