/* Tests of reading a guest's code: its tables are followed, and one page is remembered safely. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "core/virt/guest_fetch.h"
#include "core/virt/vm.h"
#include "lib/abi/layout.h"
#include "lib/x86/registers.h"

#define RAM_BYTES (4 * MIB)
#define CR3	  0x1000U
#define TABLE(i)  (CR3 + (i)*PAGE_SIZE) /* one a level */
#define CODE	  0x10000U
#define OTHER	  0x20000U
#define LINEAR	  0xffffffff81234000ULL
#define USED	  (PTE_PRESENT | PTE_WRITE)

static struct vm vm;
static struct guest_page page;
static u8 *ram;
static u32 walks;

static u64 *entry(u32 level) /* from 0, the highest */
{
	u64 index = LINEAR >> (39 - 9 * level) & 0x1ff;

	return (u64 *)(void *)(ram + TABLE(level)) + index;
}

static int fresh(void **state)
{
	(void)state;
	memset(ram, 0, RAM_BYTES);
	for (u32 i = 0; i < PAGE_SIZE; i++) {
		ram[CODE + i] = (u8)i;
		ram[OTHER + i] = 0xee;
	}
	for (u32 level = 0; level < 3; level++)
		*entry(level) = TABLE(level + 1) | USED;
	*entry(3) = CODE | USED;
	vm = (struct vm){ .low_bytes = RAM_BYTES };
	page = (struct guest_page){ 0 };
	walks = 0;
	return 0;
}

static int map(void **state)
{
	(void)state;
	ram = mmap((void *)VMM_RAM_BASE, RAM_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return ram == (u8 *)VMM_RAM_BASE ? 0 : -1;
}

/* As a back end does it: from the page that is known, or after a walk. */
static bool fetch_under(u64 cr3, u64 linear, u64 *word)
{
	if (guest_page_read(&page, cr3, linear, word))
		return true;
	walks++;
	return guest_page_find(&vm, &page, cr3, linear) &&
	       guest_page_read(&page, cr3, linear, word);
}

static bool fetch(u64 linear, u64 *word)
{
	return fetch_under(CR3, linear, word);
}

static void a_word_is_read_twice_alike(void **state)
{
	u64 word;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		assert_true(fetch(LINEAR + 3, &word));
		assert_int_equal(word, 0x0a09080706050403);
	}
	assert_true(fetch(LINEAR + PAGE_SIZE - 8, &word));
	assert_int_equal(word, 0xfffefdfcfbfaf9f8);
	assert_int_equal(walks, 1);
}

static void the_end_of_a_page_is_left_to_others(void **state)
{
	u64 word;

	(void)state;
	assert_true(fetch(LINEAR, &word));
	for (u32 i = 7; i > 0; i--)
		assert_false(fetch(LINEAR + PAGE_SIZE - i, &word));
}

static void another_page_is_another_walk(void **state)
{
	u64 word;

	(void)state;
	assert_true(fetch(LINEAR, &word));
	assert_false(fetch(LINEAR + PAGE_SIZE, &word));
	entry(3)[1] = OTHER | USED;
	assert_true(fetch(LINEAR + PAGE_SIZE, &word));
	assert_int_equal(word, 0xeeeeeeeeeeeeeeee);
	assert_true(fetch(LINEAR, &word));
	assert_int_equal(word, 0x0706050403020100);
}

static void a_changed_entry_is_seen(void **state)
{
	u64 word;

	(void)state;
	assert_true(fetch(LINEAR, &word));
	*entry(3) = OTHER | USED;
	assert_true(fetch(LINEAR, &word));
	assert_int_equal(word, 0xeeeeeeeeeeeeeeee);
	*entry(3) = 0;
	assert_false(fetch(LINEAR, &word));
	assert_false(fetch(LINEAR, &word));
	*entry(3) = CODE | USED;
	assert_true(fetch(LINEAR, &word));
	assert_int_equal(word, 0x0706050403020100);
}

static void other_tables_are_another_walk(void **state)
{
	u64 word;

	(void)state;
	assert_true(fetch(LINEAR, &word));
	assert_false(fetch_under(OTHER + PAGE_SIZE, LINEAR, &word));
	memcpy(ram + OTHER + PAGE_SIZE, ram + CR3, PAGE_SIZE);
	assert_true(fetch_under(OTHER + PAGE_SIZE, LINEAR, &word));
}

static void large_pages(void **state)
{
	u64 word;

	(void)state;
	*entry(2) = USED | PTE_PAGE_SIZE;
	ram[LINEAR % (2 * MIB)] = 0x55;
	for (u32 i = 0; i < 2; i++) {
		assert_true(fetch(LINEAR, &word));
		assert_int_equal(word, 0x55);
	}
	*entry(2) = (2 * MIB) | USED | PTE_PAGE_SIZE;
	assert_true(fetch(LINEAR, &word));
	assert_int_equal(word, 0);
}

static void nothing_outside_the_ram(void **state)
{
	u64 word;

	(void)state;
	for (u32 level = 0; level < 4; level++) {
		fresh(NULL);
		*entry(level) = RAM_BYTES | USED;
		assert_false(fetch(LINEAR, &word));
		*entry(level) = (PTE_ADDRESS & ~0xffffULL) | USED;
		assert_false(fetch(LINEAR, &word));
	}
	fresh(NULL);
	assert_false(fetch_under(RAM_BYTES, LINEAR, &word));
}

static void what_is_not_present_is_not_there(void **state)
{
	u64 word;

	(void)state;
	for (u32 level = 0; level < 4; level++) {
		fresh(NULL);
		*entry(level) &= ~PTE_PRESENT;
		assert_false(fetch(LINEAR, &word));
	}
}

/* Zeroes are no page, whatever a guest's CR3 and RIP are. */
static void nothing_is_known_at_first(void **state)
{
	u64 word;

	(void)state;
	assert_false(fetch_under(0, 0, &word));
	assert_false(fetch_under(0, ~0ULL - 7, &word));
}

static void the_long_way_reads_the_same(void **state)
{
	const struct paging paging = { .cr0 = CR0_PE | CR0_PG,
				       .cr3 = CR3,
				       .cr4 = CR4_PAE,
				       .efer = EFER_LMA,
				       .physical_bits = 40 };
	u8 bytes[GUEST_FETCH_BYTES] ALIGNED(8);

	(void)state;
	assert_int_equal(guest_fetch(&vm, &paging, LINEAR + 1, bytes), GUEST_FETCH_BYTES);
	for (u32 i = 0; i < GUEST_FETCH_BYTES; i++)
		assert_int_equal(bytes[i], i + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_word_is_read_twice_alike, fresh),
		cmocka_unit_test_setup(the_end_of_a_page_is_left_to_others, fresh),
		cmocka_unit_test_setup(another_page_is_another_walk, fresh),
		cmocka_unit_test_setup(a_changed_entry_is_seen, fresh),
		cmocka_unit_test_setup(other_tables_are_another_walk, fresh),
		cmocka_unit_test_setup(large_pages, fresh),
		cmocka_unit_test_setup(nothing_outside_the_ram, fresh),
		cmocka_unit_test_setup(what_is_not_present_is_not_there, fresh),
		cmocka_unit_test_setup(nothing_is_known_at_first, fresh),
		cmocka_unit_test_setup(the_long_way_reads_the_same, fresh),
	};

	return cmocka_run_group_tests(tests, map, NULL);
}
