/* Tests of arming the local APIC's timer in both of its modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cpu/apic.c"
#include "tests/support/fake_insn.h"

static u8 registers[XAPIC_BYTES] ALIGNED(4096);

void *core_map_device(hpa_t physical, u64 bytes)
{
	(void)physical, (void)bytes;
	return registers;
}

static u32 initial_count(void)
{
	return *(u32 *)(void *)(registers + APIC_TIMER_INITIAL);
}

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_insn.tsc_step = 0;
	cpu_features = (struct cpu_features){ 0 };
	xapic = (volatile u32 *)(void *)registers;
	tsc_khz = 2000000;
	apic_khz = 500000;
	return 0;
}

static void deadline_mode_writes_the_deadline(void **state)
{
	(void)state;
	cpu_features.tsc_deadline = true;
	apic_timer_arm(123456);
	assert_int_equal(rdmsr(MSR_IA32_TSC_DEADLINE), 123456);
}

/* Zero in the MSR disarms the timer, and then no deadline of anybody would come any more. */
static void deadline_zero_does_not_disarm(void **state)
{
	(void)state;
	cpu_features.tsc_deadline = true;
	apic_timer_arm(0);
	assert_int_not_equal(rdmsr(MSR_IA32_TSC_DEADLINE), 0);
	assert_true(rdmsr(MSR_IA32_TSC_DEADLINE) <= fake_insn.tsc);
}

static void one_shot_counts_in_its_own_clock(void **state)
{
	(void)state;
	apic_timer_arm(fake_insn.tsc + 4000);
	assert_int_equal(initial_count(), 1001); /* never early by rounding */
	apic_timer_arm(fake_insn.tsc);
	assert_int_equal(initial_count(), 1);
	apic_timer_arm(0);
	assert_int_equal(initial_count(), 1);
	apic_timer_arm(UINT64_MAX - 1); /* at most one second, then again */
	assert_int_equal(initial_count(), 500000001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(deadline_mode_writes_the_deadline, fresh),
		cmocka_unit_test_setup(deadline_zero_does_not_disarm, fresh),
		cmocka_unit_test_setup(one_shot_counts_in_its_own_clock, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
