/* Tests of physical memory: what is handed out, to whom, and that nothing is lost or seen twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/frames.h"
#include "tests/support/fake_machine.h"

#define MEMORY (16 * MIB)
#define OWNER  (FRAME_OWNER_PROCESS + 8)
#define OTHER  (FRAME_OWNER_PROCESS + 10)

static u64 before;

static int fresh(void **state)
{
	(void)state;
	before = frames_available();
	return 0;
}

static int clear(void **state)
{
	(void)state;
	(void)frames_free_all(OWNER);
	(void)frames_free_all(OTHER);
	fake_machine_check();
	return frames_available() == before ? 0 : -1;
}

static void the_books_balance_from_the_start(void **state)
{
	(void)state;
	assert_int_equal(frames_total(), MEMORY / PAGE_SIZE);
	assert_true(before > frames_total() * 9 / 10);
	assert_int_equal(frames_owner(HPA(0)), FRAME_ABSENT);
	assert_int_equal(frames_owner(HPA(MIB - 1)), FRAME_ABSENT);
	assert_int_equal(frames_owner(HPA(MIB)), FRAME_MODULE);
	assert_int_equal(frames_owner(HPA(MIB + MEMORY)), FRAME_ABSENT);
	assert_int_equal(frames_owner(HPA(~0ULL)), FRAME_ABSENT);
}

static void pages_come_zeroed(void **state)
{
	hpa_t page;
	u8 *bytes;

	(void)state;
	assert_int_equal(frames_alloc(OWNER, 4, 1, &page), ERR_OK);
	memset(fake_physical(page, 4 * PAGE_SIZE), 0xee, 4 * PAGE_SIZE);
	frames_free(page, 4, OWNER);
	assert_int_equal(frames_alloc(OTHER, 4, 1, &page), ERR_OK);
	bytes = fake_physical(page, 4 * PAGE_SIZE);
	for (u64 i = 0; i < 4 * PAGE_SIZE; i++)
		assert_int_equal(bytes[i], 0);
}

static void runs_are_aligned_and_owned(void **state)
{
	static const u64 align[] = { 1, 2, 8, 512, 1024 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(align); i++) {
		hpa_t run;

		assert_int_equal(frames_alloc(OWNER, 3, align[i], &run), ERR_OK);
		assert_int_equal(run.raw % (align[i] * PAGE_SIZE), 0);
		for (u64 page = 0; page < 3; page++)
			assert_int_equal(frames_owner(hpa_add(run, page * PAGE_SIZE)), OWNER);
	}
	assert_int_equal(frames_available(), before - 15);
}

static void too_much_changes_nothing(void **state)
{
	hpa_t run = HPA(1);

	(void)state;
	assert_int_equal(frames_alloc(OWNER, before + 1, 1, &run), ERR_NO_MEMORY);
	assert_int_equal(frames_alloc(OWNER, 1, BIT64(20), &run), ERR_NO_MEMORY);
	assert_int_equal(frames_alloc(OWNER, BIT64(40), 1, &run), ERR_NO_MEMORY);
	assert_int_equal(run.raw, 1);
	assert_int_equal(frames_available(), before);
}

static void every_page_once(void **state)
{
	hpa_t page, last = HPA(0);

	(void)state;
	for (u64 i = 0; i < before; i++) {
		assert_int_equal(frames_alloc(OWNER, 1, 1, &page), ERR_OK);
		assert_true(page.raw > last.raw); /* from below, none twice */
		last = page;
	}
	assert_int_equal(frames_available(), 0);
	assert_int_equal(frames_alloc(OWNER, 1, 1, &page), ERR_NO_MEMORY);
	assert_int_equal(frames_free_all(OWNER), before);
}

static void a_hole_is_found_again(void **state)
{
	hpa_t run[3], hole;

	(void)state;
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(frames_alloc(OWNER, 8, 1, &run[i]), ERR_OK);
	frames_free(run[1], 8, OWNER);
	assert_int_equal(frames_alloc(OTHER, 9, 1, &hole), ERR_OK); /* does not fit */
	assert_true(hole.raw > run[2].raw);
	assert_int_equal(frames_alloc(OTHER, 8, 1, &hole), ERR_OK);
	assert_int_equal(hole.raw, run[1].raw);
}

static void freeing_all_spares_the_others(void **state)
{
	hpa_t mine[4], theirs[4];

	(void)state;
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(frames_alloc(OWNER, 2, 1, &mine[i]), ERR_OK);
		assert_int_equal(frames_alloc(OTHER, 2, 1, &theirs[i]), ERR_OK);
	}
	assert_int_equal(frames_free_all(OWNER), 8);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(frames_owner(mine[i]), FRAME_FREE);
		assert_int_equal(frames_owner(theirs[i]), OTHER);
	}
	assert_int_equal(frames_free_all(OWNER), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_books_balance_from_the_start, fresh, clear),
		cmocka_unit_test_setup_teardown(pages_come_zeroed, fresh, clear),
		cmocka_unit_test_setup_teardown(runs_are_aligned_and_owned, fresh, clear),
		cmocka_unit_test_setup_teardown(too_much_changes_nothing, fresh, clear),
		cmocka_unit_test_setup_teardown(every_page_once, fresh, clear),
		cmocka_unit_test_setup_teardown(a_hole_is_found_again, fresh, clear),
		cmocka_unit_test_setup_teardown(freeing_all_spares_the_others, fresh, clear),
	};

	fake_machine_start(MEMORY);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
