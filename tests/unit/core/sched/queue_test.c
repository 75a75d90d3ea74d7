/* Tests of the run queue: shares by weight, sleepers, caps, who is next, who can go elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/sys/process.h"
#include "tests/support/fake_insn.h"

#define CPUS	2
#define VMS	4
#define THREADS 6
#define US	1000ULL /* ticks of the fake TSC */
#define MS	(1000 * US)
#define SECOND	(1000 * MS)
#define SLICE	(2 * MS)
#define PERIOD	(50 * MS)
#define CREDIT	(2 * MS)
#define MARGIN	MS

static struct run_queue queue[CPUS];
static struct process vm[VMS];
static struct thread thread[THREADS];
static u64 now[CPUS], got[THREADS];

static int fresh(void **state)
{
	(void)state;
	fake_insn_reset();
	for (u32 i = 0; i < CPUS; i++) {
		queue[i] = RUN_QUEUE_EMPTY;
		now[i] = 10 * SECOND;
	}
	for (u32 i = 0; i < VMS; i++)
		vm[i] = (struct process){
			.share = { .weight = 256, .allowed = ~0ULL, .lock = SPINLOCK(LOCK_SHARE) }
		};
	for (u32 i = 0; i < THREADS; i++)
		thread[i] = (struct thread){ .process = &vm[i % VMS] };
	memset(got, 0, sizeof(got));
	return 0;
}

/* As sched_block() of a thread that has the processor. */
static void block(u32 cpu, struct thread *t)
{
	queue_settle(&queue[cpu], t, now[cpu]);
	t->state = THREAD_BLOCKED;
	t->process->share.active--;
}

static void start(u32 i)
{
	queue_add(&queue[0], &thread[i]);
}

/* Takes the next for one slice, or as long as its cap says; without one, sleeps until it may. */
static struct thread *step(u32 cpu)
{
	struct thread *t = queue_take(&queue[cpu], NULL, now[cpu]);
	u64 ticks;

	if (!t) {
		now[cpu] = share_period_end(now[cpu]);
		return NULL;
	}
	t->state = THREAD_RUNNING;
	ticks = min_u64(SLICE, share_left(&t->process->share, now[cpu]));
	if (queue[cpu].throttled)
		ticks = min_u64(ticks, share_period_end(now[cpu]) - now[cpu]);
	now[cpu] += ticks;
	got[t - thread] += ticks;
	share_charge(t, ticks, now[cpu]);
	queue_settle(&queue[cpu], t, now[cpu]);
	queue_add(&queue[cpu], t);
	return t;
}

static void run(u64 ticks)
{
	u64 end = now[0] + ticks;

	while (now[0] < end)
		step(0);
}

static void check_share(u64 value, u64 of, u64 percent)
{
	assert_in_range(value * 1000, of * (percent * 10 - 10), of * (percent * 10 + 10));
}

/* --- weights */

static void shares_follow_the_weights(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++) {
		vm[i].share.weight = 256U << i;
		start(i);
	}
	run(7 * SECOND);
	for (u32 i = 0; i < 3; i++)
		assert_in_range(got[i], (SECOND << i) * 99 / 100, (SECOND << i) * 101 / 100);
}

static void extreme_weights_share_too(void **state)
{
	(void)state;
	vm[0].share.weight = 1;
	vm[1].share.weight = 99;
	start(0);
	start(1);
	run(20 * SECOND);
	check_share(got[0], 20 * SECOND, 1);
	check_share(got[1], 20 * SECOND, 99);
}

/* Virtual time starts over, after weeks of a VM with many vCPUs and little weight. */
static void virtual_time_wraps(void **state)
{
	(void)state;
	queue[0].floor = 0 - SECOND;
	vm[3].share.weight = 1; /* for which it runs fastest */
	for (u32 i = 0; i < 3; i++)
		start(i);
	run(SECOND); /* to a third of a second before its end */
	queue_remove(&queue[0], &thread[2]);
	block(0, &thread[2]);
	start(3);
	run(10 * SECOND);
	assert_true(queue[0].floor < 10 * SECOND);
	check_share(got[0], got[0] + got[1], 50);
	memset(got, 0, sizeof(got));
	thread[2].vtime -= BIT64(63) + SECOND; /* so long ago that it seems to be ahead */
	start(2);
	run(3 * SECOND);
	for (u32 i = 0; i < 3; i++)
		check_share(got[i], 3 * SECOND, 33);
	assert_in_range(got[3], 1, 30 * MS);
}

/* Threads 0 and 4 are of one VM, and 1 is alone in another. */
static void threads_of_a_vm_share_its_weight(void **state)
{
	(void)state;
	start(0);
	start(4);
	start(1);
	assert_int_equal(thread_load(&thread[0]), 256 * 16 / 2);
	assert_int_equal(thread_load(&thread[1]), 256 * 16);
	run(SECOND);
	check_share(got[0] + got[4], SECOND, 50);
	check_share(got[0], SECOND, 25);
	check_share(got[1], SECOND, 50);
}

static void a_vm_with_nobody_active_has_its_weight(void **state)
{
	(void)state;
	assert_int_equal(vm[0].share.active, 0);
	assert_int_equal(thread_load(&thread[0]), 256 * 16);
}

static void activity_is_counted_once(void **state)
{
	(void)state;
	start(0);
	assert_int_equal(vm[0].share.active, 1);
	assert_ptr_equal(step(0), &thread[0]); /* comes back from the processor */
	assert_int_equal(vm[0].share.active, 1);
	assert_ptr_equal(queue_take(&queue[0], NULL, now[0]), &thread[0]);
	block(0, &thread[0]);
	start(0);
	assert_int_equal(vm[0].share.active, 1);
}

/* --- sleepers */

/* A second asleep is worth the credit and no more. */
static void a_sleeper_goes_first_and_gets_no_credit(void **state)
{
	(void)state;
	start(0);
	start(1);
	run(SECOND);
	queue_remove(&queue[0], &thread[1]);
	block(0, &thread[1]);
	run(SECOND);
	start(1);
	for (u32 i = 0; i < 3; i++) {
		queue_settle(&queue[0], NULL, now[0]);
		assert_int_equal(thread[1].vtime, queue[0].floor - CREDIT); /* once */
	}
	assert_ptr_equal(step(0), &thread[1]);
	memset(got, 0, sizeof(got));
	run(SECOND / 10);
	assert_in_range(got[1], 50 * MS - CREDIT, 50 * MS + CREDIT);
}

static void a_sleeper_preempts(void **state)
{
	(void)state;
	thread[0].state = THREAD_RUNNING;
	thread[0].vtime = QUEUE_FLOOR_FIRST + SECOND;
	start(1);
	queue_settle(&queue[0], &thread[0], now[0]);
	assert_true(queue_preempts(&queue[0], &thread[0]));
	thread[1].vtime = thread[0].vtime - MARGIN;
	assert_false(queue_preempts(&queue[0], &thread[0])); /* the slice will end soon enough */
	thread[1].vtime--;
	assert_true(queue_preempts(&queue[0], &thread[0]));
	thread[1].throttled = true;
	assert_false(queue_preempts(&queue[0], &thread[0]));
}

/* One that sleeps for less than it had too much pays for that. */
static void a_nap_does_not_pay(void **state)
{
	u64 before;

	(void)state;
	start(0);
	start(1);
	run(SECOND);
	queue_remove(&queue[0], &thread[1]);
	thread[1].vtime = queue[0].floor + SECOND;
	before = thread[1].vtime;
	block(0, &thread[0]); /* somebody, so that the floor is what it was */
	thread[1].state = THREAD_BLOCKED;
	start(1);
	queue_settle(&queue[0], NULL, now[0]);
	assert_int_equal(thread[1].vtime, before);
}

/* Who had the processor alone is neither owed nor owes: the newcomer gets half from now on. */
static void time_alone_is_nobodys_loss(void **state)
{
	(void)state;
	start(0);
	run(1000 * SECOND);
	start(1);
	memset(got, 0, sizeof(got));
	run(SECOND);
	check_share(got[0], SECOND, 50);
	check_share(got[1], SECOND, 50);
}

/* Nor does it pay for that when it sleeps, others come, and it wakes. */
static void time_alone_is_no_debt(void **state)
{
	(void)state;
	thread[0].state = THREAD_RUNNING;
	vm[0].share.active = 1;
	thread[0].vtime = QUEUE_FLOOR_FIRST;
	share_charge(&thread[0], 1000 * SECOND, now[0]);
	block(0, &thread[0]);
	start(1);
	run(SECOND);
	start(0);
	memset(got, 0, sizeof(got));
	run(SECOND);
	check_share(got[0], SECOND, 50);
}

static void virtual_times_far_apart(void **state)
{
	(void)state;
	queue[0].floor = 1ULL << 60; /* more than ten years at 3 GHz */
	thread[0].vtime = queue[0].floor;
	thread[0].state = THREAD_RUNNING;
	queue_add(&queue[0], &thread[0]);
	start(1); /* its virtual time is zero */
	run(SECOND);
	check_share(got[1], SECOND, 50);
	share_charge(&thread[2], 24ULL * 3600 * SECOND, now[0]); /* a day without a stop */
	assert_int_equal(thread[2].vtime, 24ULL * 3600 * SECOND);
}

/* --- caps */

static void a_cap_holds(void **state)
{
	static const u32 percent[] = { 1, 25, 50, 99 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(percent); i++) {
		fresh(NULL);
		vm[0].share.cap_percent = percent[i];
		vm[0].share.weight = 256000; /* is of no help */
		start(0);
		start(1);
		run(SECOND);
		assert_in_range(got[0], percent[i] * 99 * SECOND / 10000,
				percent[i] * 101 * SECOND / 10000);
		assert_in_range(got[1], SECOND - got[0], SECOND - got[0] + SLICE);
	}
}

static void a_cap_holds_with_nobody_else(void **state)
{
	(void)state;
	vm[0].share.cap_percent = 25;
	start(0);
	run(SECOND);
	check_share(got[0], SECOND, 25);
}

/* Two threads of one VM, a processor each. */
static void capped_on_two(u32 percent)
{
	u64 end = now[0] + 2 * SECOND;

	vm[0].share.cap_percent = percent;
	queue_add(&queue[0], &thread[0]);
	queue_add(&queue[1], &thread[4]);
	while (now[0] < end || now[1] < end)
		step(now[1] < now[0]);
	assert_in_range(got[0] + got[4], percent * 99 * SECOND / 5000,
			percent * 101 * SECOND / 5000);
}

static void a_cap_holds_on_two_processors(void **state)
{
	(void)state;
	capped_on_two(150);
	fresh(NULL);
	capped_on_two(50);
}

static void too_much_is_owed(void **state)
{
	struct share *share = &vm[0].share;
	u64 at = 200 * PERIOD;

	(void)state;
	share->cap_percent = 50;
	assert_int_equal(share_left(share, at), PERIOD / 2);
	share_charge(&thread[0], PERIOD + PERIOD / 4, at + PERIOD - 1);
	assert_int_equal(share_left(share, at + PERIOD - 1), 0);
	assert_int_equal(share_left(share, at + PERIOD), 0);
	assert_int_equal(share_left(share, at + 2 * PERIOD), PERIOD / 4);
	assert_int_equal(share_left(share, at + 3 * PERIOD), PERIOD / 2);
}

static void what_was_left_is_lost(void **state)
{
	struct share *share = &vm[0].share;
	u64 at = 200 * PERIOD;

	(void)state;
	share->cap_percent = 50;
	share_charge(&thread[0], PERIOD / 10, at);
	assert_int_equal(share_left(share, at), PERIOD / 2 - PERIOD / 10);
	assert_int_equal(share_left(share, at + 10 * PERIOD), PERIOD / 2);
	share->cap_percent = 0;
	assert_int_equal(share_left(share, at), ~0ULL);
}

/* Another processor was in the next period already when this one's reading of the TSC arrives. */
static void a_late_reading_forgives_nothing(void **state)
{
	struct share *share = &vm[0].share;
	u64 at = 200 * PERIOD;

	(void)state;
	share->cap_percent = 10;
	share_charge(&thread[0], PERIOD, at + PERIOD + 1);
	assert_int_equal(share_left(share, at + PERIOD - 1), 0);
	share_charge(&thread[0], 1, at + PERIOD - 1);
	assert_int_equal(share->used, PERIOD + 1);
	assert_int_equal(share_left(share, at + PERIOD + 2), 0);
}

static void the_throttled_are_skipped_without_credit(void **state)
{
	(void)state;
	vm[0].share.cap_percent = 10;
	start(0);
	start(1);
	share_charge(&thread[0], 10 * PERIOD, now[0]); /* for many periods */
	thread[0].vtime = thread[1].vtime = QUEUE_FLOOR_FIRST;
	run(SECOND);
	assert_int_equal(got[0], 0);
	assert_true(queue[0].throttled);
	assert_int_equal(queue[0].load, thread_load(&thread[1]));
	vm[0].share.used = 0;
	queue_settle(&queue[0], NULL, now[0]);
	assert_false(queue[0].throttled);
	assert_int_equal(thread[0].vtime, queue[0].floor - CREDIT);
	assert_int_equal(queue[0].load, thread_load(&thread[0]) + thread_load(&thread[1]));
}

/* Alone under its cap for long, it has no debt to those who come. */
static void time_alone_under_a_cap(void **state)
{
	(void)state;
	vm[0].share.cap_percent = 50;
	start(0);
	run(1000 * SECOND);
	start(1);
	memset(got, 0, sizeof(got));
	run(SECOND);
	assert_in_range(got[0], SECOND / 2 - 2 * PERIOD, SECOND / 2 + PERIOD);
}

/* --- who is next */

static void nobody(void **state)
{
	(void)state;
	assert_null(queue_take(&queue[0], NULL, now[0]));
	assert_null(queue_give(&queue[0], 1, 0));
	queue_remove(&queue[0], &thread[0]); /* is not there */
	assert_null(queue[0].first);
}

/* Threads 0 and 4 are of one VM. The one who yields comes last, wherever it stands. */
static void order_of_a_yield(void **state)
{
	(void)state;
	start(1);
	start(0);
	start(4);
	queue_settle(&queue[0], NULL, now[0]);
	thread[0].vtime = QUEUE_FLOOR_FIRST;
	thread[1].vtime = QUEUE_FLOOR_FIRST + 1;
	thread[4].vtime = QUEUE_FLOOR_FIRST + SECOND;
	assert_ptr_equal(queue_take(&queue[0], &thread[0], now[0]), &thread[4]);
	assert_ptr_equal(queue_take(&queue[0], &thread[0], now[0]), &thread[1]);
	assert_ptr_equal(queue_take(&queue[0], &thread[0], now[0]), &thread[0]);
	assert_null(queue[0].first);
}

static void among_equals_virtual_time_decides(void **state)
{
	(void)state;
	for (u32 i = 0; i < 3; i++)
		start(i);
	queue_settle(&queue[0], NULL, now[0]);
	thread[0].vtime = thread[1].vtime = QUEUE_FLOOR_FIRST + 2;
	thread[2].vtime = QUEUE_FLOOR_FIRST + 1;
	assert_ptr_equal(queue_take(&queue[0], NULL, now[0]), &thread[2]);
	assert_ptr_equal(queue_take(&queue[0], NULL, now[0]), &thread[0]); /* who came first */
	assert_ptr_equal(queue_take(&queue[0], NULL, now[0]), &thread[1]);
}

static void the_killed_go_first(void **state)
{
	(void)state;
	vm[2].share.cap_percent = 1;
	vm[2].share.used = SECOND;
	vm[2].share.period = now[0] / PERIOD;
	for (u32 i = 0; i < 3; i++)
		start(i);
	thread[2].killed = true;
	thread[2].vtime = ~0ULL / 2;
	assert_ptr_equal(queue_take(&queue[0], &thread[2], now[0]), &thread[2]);
	assert_true(thread[2].throttled);
}

static void the_paused_are_not_queued(void **state)
{
	(void)state;
	vm[0].paused = true;
	start(0);
	assert_int_equal(thread[0].state, THREAD_READY);
	assert_int_equal(vm[0].share.active, 1);
	assert_null(queue[0].first);
	thread[4].killed = true; /* runs to its end */
	start(4);
	assert_ptr_equal(queue[0].first, &thread[4]);
}

/* While it was paused others ran; that is no reason to let it run alone now. */
static void a_pause_gives_no_credit(void **state)
{
	(void)state;
	start(0);
	start(1);
	run(SECOND);
	vm[0].paused = true;
	queue_remove(&queue[0], &thread[0]);
	queue_add(&queue[0], &thread[0]);
	run(100 * SECOND);
	vm[0].paused = false;
	queue_add(&queue[0], &thread[0]);
	memset(got, 0, sizeof(got));
	run(SECOND);
	check_share(got[0], SECOND, 50);
}

/* --- who can go elsewhere */

#define LOAD (256 * 16)

static void gives_only_for_the_better(void **state)
{
	(void)state;
	start(0);
	start(1);
	queue_settle(&queue[0], NULL, now[0]);
	assert_int_equal(queue[0].load, 2 * LOAD);
	assert_null(queue_give(&queue[0], 1, LOAD)); /* would only be the other way round */
	assert_ptr_equal(queue_give(&queue[0], 1, LOAD - 1), &thread[0]);
	assert_int_equal(queue[0].load, LOAD);
	assert_ptr_equal(queue[0].first, &thread[1]);
	assert_null(queue_give(&queue[0], 1, 0));
}

static void a_heavy_thread_stays_a_light_one_goes(void **state)
{
	(void)state;
	vm[0].share.weight = 1024;
	start(0);
	start(1);
	queue_settle(&queue[0], NULL, now[0]);
	assert_ptr_equal(queue_give(&queue[0], 1, 2 * LOAD), &thread[1]);
	assert_null(queue_give(&queue[0], 1, 2 * LOAD));
}

static void gives_to_allowed_processors(void **state)
{
	(void)state;
	vm[0].share.allowed = BIT64(0) | BIT64(63);
	vm[1].share.allowed = BIT64(0);
	start(0);
	start(1);
	queue_settle(&queue[0], NULL, now[0]);
	assert_null(queue_give(&queue[0], 1, 0));
	assert_null(queue_give(&queue[0], 62, 0));
	assert_ptr_equal(queue_give(&queue[0], 63, 0), &thread[0]);
}

static void the_killed_and_throttled_stay(void **state)
{
	(void)state;
	vm[0].share.cap_percent = 1;
	share_charge(&thread[0], SECOND, now[0]);
	for (u32 i = 0; i < 3; i++)
		start(i);
	queue_settle(&queue[0], NULL, now[0]);
	thread[1].killed = true;
	assert_ptr_equal(queue_give(&queue[0], 1, 0), &thread[2]);
	queue[0].load = 9 * LOAD;
	assert_null(queue_give(&queue[0], 1, 0));
}

/* What its virtual time is worth is known only when time was settled with it in the queue. */
static void newcomers_stay_until_they_are_settled(void **state)
{
	(void)state;
	start(0);
	queue[0].load = 9 * LOAD;
	assert_null(queue_give(&queue[0], 1, 0));
	queue_settle(&queue[0], NULL, now[0]);
	queue[0].load = 9 * LOAD;
	assert_ptr_equal(queue_give(&queue[0], 1, 0), &thread[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(shares_follow_the_weights, fresh),
		cmocka_unit_test_setup(extreme_weights_share_too, fresh),
		cmocka_unit_test_setup(virtual_time_wraps, fresh),
		cmocka_unit_test_setup(threads_of_a_vm_share_its_weight, fresh),
		cmocka_unit_test_setup(a_vm_with_nobody_active_has_its_weight, fresh),
		cmocka_unit_test_setup(activity_is_counted_once, fresh),
		cmocka_unit_test_setup(a_sleeper_goes_first_and_gets_no_credit, fresh),
		cmocka_unit_test_setup(a_sleeper_preempts, fresh),
		cmocka_unit_test_setup(a_nap_does_not_pay, fresh),
		cmocka_unit_test_setup(time_alone_is_nobodys_loss, fresh),
		cmocka_unit_test_setup(time_alone_is_no_debt, fresh),
		cmocka_unit_test_setup(virtual_times_far_apart, fresh),
		cmocka_unit_test_setup(a_cap_holds, fresh),
		cmocka_unit_test_setup(a_cap_holds_with_nobody_else, fresh),
		cmocka_unit_test_setup(a_cap_holds_on_two_processors, fresh),
		cmocka_unit_test_setup(too_much_is_owed, fresh),
		cmocka_unit_test_setup(what_was_left_is_lost, fresh),
		cmocka_unit_test_setup(a_late_reading_forgives_nothing, fresh),
		cmocka_unit_test_setup(the_throttled_are_skipped_without_credit, fresh),
		cmocka_unit_test_setup(time_alone_under_a_cap, fresh),
		cmocka_unit_test_setup(nobody, fresh),
		cmocka_unit_test_setup(order_of_a_yield, fresh),
		cmocka_unit_test_setup(among_equals_virtual_time_decides, fresh),
		cmocka_unit_test_setup(the_killed_go_first, fresh),
		cmocka_unit_test_setup(the_paused_are_not_queued, fresh),
		cmocka_unit_test_setup(a_pause_gives_no_credit, fresh),
		cmocka_unit_test_setup(gives_only_for_the_better, fresh),
		cmocka_unit_test_setup(a_heavy_thread_stays_a_light_one_goes, fresh),
		cmocka_unit_test_setup(gives_to_allowed_processors, fresh),
		cmocka_unit_test_setup(the_killed_and_throttled_stay, fresh),
		cmocka_unit_test_setup(newcomers_stay_until_they_are_settled, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
