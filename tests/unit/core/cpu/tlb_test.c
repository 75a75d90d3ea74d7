/* Tests of locks and TLB flushes between processors: who waits does what others ask meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/cpu/lock.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_cpus.h"
#include "tests/support/fake_devices.h"
#include "tests/support/fake_insn.h"

#define CPUS 3

static struct spinlock lock = SPINLOCK(LOCK_SYSTEM);
static u32 waits, flushed[CPUS];

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	fake_cpus_start(CPUS);
	fake_devices = (struct fake_devices){ 0 };
	fake_insn.cr4 = CR4_PGE | CR4_SMEP;
	/* Requests of tests before; a processor that starts has no old translations either. */
	for (u32 i = 0; i < CPUS; i++) {
		fake_cpu_be(i);
		cpu_poll();
	}
	fake_cpu_be(0);
	fake_insn.pge_drops = 0;
	waits = 0;
	for (u32 i = 0; i < CPUS; i++)
		flushed[i] = 0;
	lock.held = 0;
	return 0;
}

static u64 drops(void)
{
	u64 count = fake_insn.pge_drops;

	fake_insn.pge_drops = 0;
	assert_int_equal(fake_insn.cr4, CR4_PGE | CR4_SMEP);
	return count;
}

/* The others take the interrupt one after the other, each after some time. */
static void others_poll(void)
{
	u32 me = this_cpu()->index;
	u32 other = ++waits / 4 - 1;

	assert_true(waits < 100);
	flushed[me] += (u32)drops();
	if (waits % 4 != 0 || other == me)
		return;
	fake_cpu_be(other);
	cpu_poll();
	flushed[other] += (u32)drops();
	fake_cpu_be(me);
}

static void every_processor_flushes(void **state)
{
	(void)state;
	fake_insn.on_relax = others_poll;
	for (u32 round = 1; round <= 3; round++) {
		waits = 0;
		tlb_flush_all();
		flushed[0] += (u32)drops();
		for (u32 i = 0; i < CPUS; i++)
			assert_int_equal(flushed[i], round);
		assert_int_equal(fake_devices.kicks, round * (CPUS - 1));
		assert_int_equal(fake_devices.kicks_to[fake_apic_id(0)], 0);
	}
}

static void from_another_processor(void **state)
{
	(void)state;
	fake_cpu_be(2);
	fake_insn.on_relax = others_poll;
	tlb_flush_all();
	assert_int_equal(flushed[0], 1);
	assert_int_equal(flushed[1], 1);
	assert_int_equal(fake_devices.kicks, CPUS - 1);
	assert_int_equal(fake_devices.kicks_to[fake_apic_id(2)], 0);
}

static void alone_it_waits_for_nobody(void **state)
{
	(void)state;
	fake_cpus_start(1);
	tlb_flush_all();
	assert_true(drops() > 0);
	assert_int_equal(fake_devices.kicks, 0);
}

static void asked_twice_flushes_once(void **state)
{
	(void)state;
	fake_insn.on_relax = others_poll;
	tlb_flush_all();
	drops();
	cpu_poll();
	assert_int_equal(drops(), 0);
}

/* --- locks */

static void a_free_lock(void **state)
{
	(void)state;
	spin_lock(&lock);
	assert_int_equal(lock.held, 1);
	spin_unlock(&lock);
	assert_int_equal(lock.held, 0);
}

/* Its holder may be waiting for an answer to that. */
static void release_after_a_request(void)
{
	if (++waits == 1) {
		cpu_table[0]->flushes--; /* as if somebody had asked */
		return;
	}
	spin_unlock(&lock);
}

static void who_waits_for_a_lock_polls(void **state)
{
	(void)state;
	lock.held = 1;
	fake_insn.on_relax = release_after_a_request;
	spin_lock(&lock);
	assert_int_equal(drops(), 1);
	assert_int_equal(waits, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_processor_flushes, fresh),
		cmocka_unit_test_setup(from_another_processor, fresh),
		cmocka_unit_test_setup(alone_it_waits_for_nobody, fresh),
		cmocka_unit_test_setup(asked_twice_flushes_once, fresh),
		cmocka_unit_test_setup(a_free_lock, fresh),
		cmocka_unit_test_setup(who_waits_for_a_lock_polls, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
