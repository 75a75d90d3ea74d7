/* The order of locks, as debug builds see it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cpu/lock.h"
#include "tests/support/fake_cpus.h"

static struct spinlock outer, queue[2], share, inner;

static int fresh(void **state)
{
	(void)state;
	fake_cpus_start(2);
	outer = SPINLOCK(LOCK_SYSTEM);
	queue[0] = queue[1] = SPINLOCK(LOCK_QUEUE);
	share = SPINLOCK(LOCK_SHARE);
	inner = SPINLOCK(LOCK_LOG);
	return 0;
}

/* Whether an assertion ends a process that does this. */
static bool refused(void (*step)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		close(STDERR_FILENO);
		step();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void in_order(void **state)
{
	(void)state;
	for (u32 again = 0; again < 2; again++) {
		spin_lock(&outer);
		spin_lock(&queue[0]);
		assert_true(spin_try(&queue[1]));
		spin_lock(&share);
		spin_lock(&inner);
		spin_unlock(&inner);
		spin_unlock(&share);
		spin_unlock(&queue[0]);
		spin_unlock(&queue[1]);
		spin_unlock(&outer);
	}
}

static void other_processors_do_not_count(void **state)
{
	(void)state;
	spin_lock(&inner);
	fake_cpu_be(1);
	spin_lock(&outer);
	assert_false(spin_try(&inner));
	spin_unlock(&outer);
}

static void outer_in_inner(void)
{
	spin_lock(&inner);
	spin_lock(&outer);
}

static void same_twice(void)
{
	spin_lock(&outer);
	spin_lock(&outer);
}

static void second_queue(void)
{
	spin_lock(&queue[0]);
	spin_lock(&queue[1]);
}

/* The first is given back: the second is still held. */
static void outer_in_second_queue(void)
{
	spin_lock(&queue[0]);
	if (spin_try(&queue[1]))
		spin_unlock(&queue[0]);
	spin_lock(&outer);
}

static void tried_in_inner(void)
{
	spin_lock(&inner);
	(void)spin_try(&queue[0]);
}

static void without_rank(void)
{
	struct spinlock lock = { 0 };

	spin_lock(&lock);
}

static void not_held(void)
{
	spin_unlock(&outer);
}

static void held_by_another(void)
{
	spin_lock(&outer);
	fake_cpu_be(1);
	spin_unlock(&outer);
}

static void out_of_order(void **state)
{
	(void)state;
	assert_true(refused(outer_in_inner));
	assert_true(refused(same_twice));
	assert_true(refused(second_queue));
	assert_true(refused(outer_in_second_queue));
	assert_true(refused(tried_in_inner));
	assert_true(refused(without_rank));
	assert_true(refused(not_held));
	assert_true(refused(held_by_another));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_order, fresh),
		cmocka_unit_test_setup(other_processors_do_not_count, fresh),
		cmocka_unit_test_setup(out_of_order, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
