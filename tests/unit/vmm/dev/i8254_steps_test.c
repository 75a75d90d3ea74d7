/*
 * The computed counters of the 8254 against a naive one that steps tick by tick as the data sheet
 * tells it, under random counts and gate changes: output and count must agree at every look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/i8254.h"
#include "vmm/dev/ticks.h"

#define ROUNDS 300U
#define LOOKS  300U

struct naive {
	unsigned mode;
	unsigned reload; /* count register */
	unsigned period; /* the one being counted, 0: none */
	unsigned count;	 /* counting element */
	bool gate;
	bool out;
	bool load;  /* at the next tick */
	bool armed; /* the end of the count changes OUT */
	bool high;  /* half of a square wave */
};

static void naive_count(struct naive *n, unsigned count)
{
	n->reload = count;
	if (n->mode == 0)
		n->out = false;
	if (n->mode == 0 || n->mode == 4 || (n->period == 0 && (n->mode == 2 || n->mode == 3)))
		n->load = true;
}

static void naive_gate(struct naive *n, bool gate)
{
	bool rises = gate && !n->gate;

	n->gate = gate;
	if (!gate && (n->mode == 2 || n->mode == 3))
		n->out = true;
	if (rises && n->reload != 0 && n->mode != 0 && n->mode != 4)
		n->load = true;
}

static void naive_begin(struct naive *n, bool high)
{
	n->period = n->reload;
	n->count = n->mode == 3 ? n->period & ~1U : n->period;
	n->high = high;
}

static void naive_square(struct naive *n)
{
	unsigned last = n->high && n->period % 2 != 0 ? 0 : 2;

	if (n->count != last) {
		n->count -= 2;
		return;
	}
	naive_begin(n, !n->high);
	n->out = n->high;
}

static void naive_rate(struct naive *n)
{
	if (n->out) {
		n->count--;
		n->out = n->count != 1;
		return;
	}
	naive_begin(n, true);
	n->out = true;
}

static void naive_single(struct naive *n)
{
	bool ends;

	n->count = (n->count - 1) & 0xffff;
	ends = n->count == 0 && n->armed;
	n->armed = n->armed && !ends;
	if (n->mode >= 4)
		n->out = !ends;
	else if (ends)
		n->out = true;
}

static void naive_tick(struct naive *n)
{
	if (n->load) {
		n->load = false;
		n->armed = true;
		naive_begin(n, true);
		n->out = n->mode >= 2;
		return;
	}
	if (n->period == 0 || (!n->gate && n->mode != 1 && n->mode != 5))
		return;
	if (n->mode == 3)
		naive_square(n);
	else if (n->mode == 2)
		naive_rate(n);
	else
		naive_single(n);
}

static unsigned random_next(u32 *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 16;
}

static void expect_agreement(struct i8254 *chip, const struct naive *n)
{
	bool reloads = n->mode == 2 || n->mode == 3;
	unsigned low = i8254_read(chip, 2);
	unsigned count = low | (unsigned)i8254_read(chip, 2) << 8;

	assert_int_equal((i8254_port61_read(chip) & 0x20) != 0, n->out);
	if (n->period != 0 && (n->gate || !reloads)) /* a stopped rate starts over anyway */
		assert_int_equal(count, n->count);
}

static void round_run(unsigned mode, u32 seed)
{
	struct fake fake;
	struct dev_env env = fake_env(&fake);
	struct i8254 chip;
	struct naive n = { .mode = mode, .gate = true, .out = mode != 0 };
	u64 tick = 100000;

	i8254_init(&chip, &env);
	fake.now_ns = ticks_to_ns(tick, I8254_HZ);
	i8254_port61_write(&chip, 1);
	i8254_write(&chip, I8254_CONTROL, (u8)(0xb0 | mode << 1));
	for (unsigned i = 0; i < LOOKS; i++) {
		unsigned choice = random_next(&seed) % 32;
		unsigned count = 2 + random_next(&seed) % 12;

		if (choice < 3) {
			i8254_write(&chip, 2, (u8)count);
			i8254_write(&chip, 2, 0);
			naive_count(&n, count);
		} else if (choice < 5) {
			i8254_port61_write(&chip, choice & 1);
			naive_gate(&n, choice & 1);
		}
		for (unsigned steps = 1 + choice % 3; steps != 0; steps--, tick++)
			naive_tick(&n);
		fake.now_ns = ticks_to_ns(tick, I8254_HZ);
		expect_agreement(&chip, &n);
	}
}

static void every_mode_agrees(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 6; mode++) {
		for (u32 round = 0; round < ROUNDS; round++)
			round_run(mode, round * 7919U + mode);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_mode_agrees) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
