/* Tests of the page-table builder: page sizes, unmapping, failures, and a model to compare with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem/paging.h"
#include "lib/x86/registers.h"

#define TABLES_MAX 512

static u64 table[TABLES_MAX][PAGING_ENTRIES] ALIGNED(4096);
static u32 tables, tables_limit;
static struct page_table paging;

/* Table n lies at physical (n + 1) * 4 KiB. */
static enum err table_alloc(void *owner, hpa_t *out)
{
	assert_ptr_equal(owner, table);
	if (tables == tables_limit)
		return ERR_NO_MEMORY;
	memset(table[tables], 0, sizeof(table[tables]));
	*out = HPA(++tables * PAGE_SIZE);
	return ERR_OK;
}

static u64 *table_map(void *owner, hpa_t at)
{
	assert_ptr_equal(owner, table);
	assert_int_equal(at.raw % PAGE_SIZE, 0);
	assert_in_range(at.raw / PAGE_SIZE, 1, tables);
	return table[at.raw / PAGE_SIZE - 1];
}

static int fresh(void **state)
{
	(void)state;
	tables = 0;
	tables_limit = TABLES_MAX;
	paging = (struct page_table){ .format = &paging_root_format_1g,
				      .memory = { table, table_alloc, table_map } };
	return table_alloc(table, &paging.root) == ERR_OK ? 0 : -1;
}

static u64 page_bytes(u64 virtual)
{
	struct paging_leaf leaf;

	return paging_find(&paging, virtual, &leaf) ? leaf.bytes : 0;
}

static void largest_page_that_alignment_allows(void **state)
{
	(void)state;
	assert_int_equal(paging_map(&paging, GIB - 2 * MIB - 4096, HPA(3 * GIB - 2 * MIB - 4096),
				    GIB + 4 * MIB + 8192, MAP_READ),
			 ERR_OK);
	assert_int_equal(page_bytes(GIB - 2 * MIB - 4096), 4096);
	assert_int_equal(page_bytes(GIB - 2 * MIB), 2 * MIB);
	assert_int_equal(page_bytes(GIB), GIB);
	assert_int_equal(page_bytes(2 * GIB - 1), GIB);
	assert_int_equal(page_bytes(2 * GIB), 2 * MIB);
	assert_int_equal(page_bytes(2 * GIB + 2 * MIB), 4096);
	assert_int_equal(page_bytes(2 * GIB + 2 * MIB + 4096), 0);
	assert_int_equal(page_bytes(GIB - 2 * MIB - 4097), 0);
}

static void physical_alignment_counts_too(void **state)
{
	(void)state;
	assert_int_equal(paging_map(&paging, GIB, HPA(GIB + 2 * MIB), GIB, MAP_READ), ERR_OK);
	assert_int_equal(page_bytes(GIB), 2 * MIB);
	assert_int_equal(paging_map(&paging, 4 * GIB, HPA(GIB + 4096), 2 * MIB, MAP_READ), ERR_OK);
	assert_int_equal(page_bytes(4 * GIB), 4096);
}

static void the_format_limits_the_page_size(void **state)
{
	(void)state;
	paging.format = &paging_root_format;
	assert_int_equal(paging_map(&paging, GIB, HPA(GIB), GIB, MAP_READ), ERR_OK);
	assert_int_equal(page_bytes(GIB), 2 * MIB);
}

static void permissions_become_bits(void **state)
{
	static const struct {
		u32 flags;
		u64 bits;
	} row[] = {
		{ MAP_READ, PTE_NX },
		{ MAP_READ | MAP_WRITE, PTE_NX | PTE_WRITE },
		{ MAP_READ | MAP_EXECUTE, 0 },
		{ MAP_READ | MAP_USER, PTE_NX | PTE_USER },
		{ MAP_READ | MAP_WRITE | MAP_UNCACHED, PTE_NX | PTE_WRITE | PTE_PCD | PTE_PWT },
	};
	const u64 always = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;
	struct paging_leaf leaf;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		u64 at = (i + 1) * 2 * MIB;

		assert_int_equal(paging_map(&paging, at, HPA(4096), 4096, row[i].flags), ERR_OK);
		assert_true(paging_find(&paging, at, &leaf));
		assert_int_equal(leaf.entry, 4096 | always | row[i].bits);
		assert_int_equal(paging_map(&paging, at + GIB, HPA(2 * MIB), 2 * MIB, row[i].flags),
				 ERR_OK);
		assert_true(paging_find(&paging, at + GIB, &leaf));
		assert_int_equal(leaf.entry, 2 * MIB | PTE_PAGE_SIZE | always | row[i].bits);
	}
}

static void finds_the_byte_inside_the_page(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	assert_int_equal(paging_map(&paging, 4 * MIB, HPA(8 * MIB), 2 * MIB, MAP_READ), ERR_OK);
	assert_true(paging_find(&paging, 4 * MIB + 12345, &leaf));
	assert_int_equal(leaf.physical.raw, 8 * MIB + 12345);
	assert_false(paging_find(&paging, 4 * MIB - 1, &leaf));
	assert_false(paging_find(&paging, 6 * MIB, &leaf));
}

static void the_upper_end_of_the_address_space(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	assert_int_equal(paging_map(&paging, ~0ULL - 4095, HPA(4096), 4096, MAP_READ), ERR_OK);
	assert_true(paging_find(&paging, ~0ULL, &leaf));
	assert_int_equal(leaf.physical.raw, 8191);
	paging_unmap(&paging, ~0ULL - 4095, 4096);
	assert_false(paging_find(&paging, ~0ULL, &leaf));
}

static void refuses_what_is_mapped(void **state)
{
	struct paging_leaf leaf;

	(void)state;
	assert_int_equal(paging_map(&paging, 2 * MIB, HPA(0), 2 * MIB, MAP_READ), ERR_OK);
	/* Inside a large page; over a small one; over one in the middle. */
	assert_int_equal(paging_map(&paging, 2 * MIB + 4096, HPA(4 * MIB), 4096, MAP_READ),
			 ERR_EXISTS);
	assert_int_equal(paging_map(&paging, 8 * MIB, HPA(0), 4096, MAP_READ), ERR_OK);
	assert_int_equal(paging_map(&paging, 8 * MIB, HPA(16 * MIB), 2 * MIB, MAP_READ),
			 ERR_EXISTS);
	assert_int_equal(paging_map(&paging, GIB, HPA(GIB), GIB, MAP_READ), ERR_OK);
	assert_int_equal(paging_map(&paging, 0, HPA(0), 2 * GIB, MAP_READ), ERR_EXISTS);
	assert_true(paging_find(&paging, 2 * MIB, &leaf));
	assert_int_equal(leaf.physical.raw, 0);
}

/* A table that small pages left behind is no mapping: large ranges go in as small pages. */
static void maps_over_an_empty_table(void **state)
{
	(void)state;
	assert_int_equal(paging_map(&paging, 4096, HPA(4096), 4096, MAP_READ), ERR_OK);
	paging_unmap(&paging, 4096, 4096);
	assert_int_equal(paging_map(&paging, 0, HPA(0), GIB, MAP_READ), ERR_OK);
	assert_int_equal(page_bytes(0), 4096);
	assert_int_equal(page_bytes(2 * MIB), 2 * MIB);
	assert_int_equal(page_bytes(GIB - 1), 2 * MIB);
}

static void no_memory_keeps_what_was_mapped(void **state)
{
	(void)state;
	/* Root, then three levels for the first page; the page behind 2 MiB needs one more. */
	tables_limit = 4;
	assert_int_equal(paging_map(&paging, 2 * MIB - 4096, HPA(4096), 8192, MAP_READ),
			 ERR_NO_MEMORY);
	assert_int_equal(page_bytes(2 * MIB - 4096), 4096);
	assert_int_equal(page_bytes(2 * MIB), 0);
	/* Undone and tried again with memory, it is as if nothing had been. */
	paging_unmap(&paging, 2 * MIB - 4096, 8192);
	assert_int_equal(page_bytes(2 * MIB - 4096), 0);
	tables_limit = 5;
	assert_int_equal(paging_map(&paging, 2 * MIB - 4096, HPA(4096), 8192, MAP_READ), ERR_OK);
	assert_int_equal(page_bytes(2 * MIB), 4096);
	assert_int_equal(tables, 5);
}

static void no_memory_at_any_depth(void **state)
{
	(void)state;
	for (u32 limit = 1; limit < 4; limit++) {
		fresh(NULL);
		tables_limit = limit;
		assert_int_equal(paging_map(&paging, GIB, HPA(0), 4096, MAP_READ), ERR_NO_MEMORY);
		assert_int_equal(page_bytes(GIB), 0);
		paging_unmap(&paging, 0, 4 * GIB);
		tables_limit = 4;
		assert_int_equal(paging_map(&paging, GIB, HPA(0), 4096, MAP_READ), ERR_OK);
		assert_int_equal(tables, 4); /* those made in vain are used */
	}
}

static void unmapping_holes_is_harmless(void **state)
{
	(void)state;
	paging_unmap(&paging, 0, 1024 * GIB);
	assert_int_equal(paging_map(&paging, 4096, HPA(4096), 4096, MAP_READ), ERR_OK);
	assert_int_equal(paging_map(&paging, 12288, HPA(4096), 4096, MAP_READ), ERR_OK);
	paging_unmap(&paging, 0, 8192);
	assert_int_equal(page_bytes(4096), 0);
	assert_int_equal(page_bytes(12288), 4096);
}

/* --- against a model: one entry for each page of 16 MiB around a 1 GiB boundary */

#define MODEL_PAGES 4096U
#define MODEL_BASE  (GIB - 8 * MIB)

static u64 model[MODEL_PAGES]; /* physical + 1; 0: not mapped */
static u64 seed = 12345;

static u32 random_below(u32 limit)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u32)(seed >> 33) % limit;
}

static void model_check(void)
{
	for (u32 i = 0; i < MODEL_PAGES; i++) {
		struct paging_leaf leaf;
		bool mapped = paging_find(&paging, MODEL_BASE + i * PAGE_SIZE, &leaf);

		assert_int_equal(mapped, model[i] != 0);
		if (mapped)
			assert_int_equal(leaf.physical.raw, model[i] - 1);
	}
}

static bool model_is_free(u32 first, u32 count)
{
	for (u32 i = first; i < first + count; i++) {
		if (model[i] != 0)
			return false;
	}
	return true;
}

static void model_map(u32 first, u32 count, u64 physical)
{
	enum err err = paging_map(&paging, MODEL_BASE + first * PAGE_SIZE, HPA(physical),
				  count * PAGE_SIZE, MAP_READ);
	bool cut = false;

	assert_int_equal(err, model_is_free(first, count) ? ERR_OK : ERR_EXISTS);
	/* On a clash the pages before it stay mapped, in steps of whole pages. */
	for (u32 i = first; i < first + count; i++, physical += PAGE_SIZE) {
		struct paging_leaf leaf;
		bool mapped = paging_find(&paging, MODEL_BASE + i * PAGE_SIZE, &leaf);

		if (model[i] == 0 && mapped) {
			assert_false(cut);
			model[i] = physical + 1;
		} else {
			cut = true;
		}
	}
}

static bool model_can_unmap(u32 first, u32 count)
{
	struct paging_leaf head, tail;
	u64 start = MODEL_BASE + first * PAGE_SIZE;
	u64 end = start + count * PAGE_SIZE;

	/* Large pages must lie wholly inside. */
	return (!paging_find(&paging, start, &head) || start % head.bytes == 0) &&
	       (!paging_find(&paging, end - 1, &tail) || end % tail.bytes == 0);
}

static void follows_the_model(void **state)
{
	(void)state;
	memset(model, 0, sizeof(model));
	for (u32 round = 0; round < 600; round++) {
		u32 unit = random_below(3) == 0 ? 512 : 1;
		u32 first = random_below(MODEL_PAGES) / unit * unit;
		u32 count = (1 + random_below(unit == 1 ? 40 : 1500)) / unit * unit + unit;

		if (first + count > MODEL_PAGES)
			continue;
		if (random_below(2) == 0) {
			model_map(first, count, (1000 + random_below(1000)) * 4096ULL * unit);
		} else if (model_can_unmap(first, count)) {
			paging_unmap(&paging, MODEL_BASE + first * PAGE_SIZE, count * PAGE_SIZE);
			memset(&model[first], 0, count * sizeof(model[0]));
		}
		model_check();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(largest_page_that_alignment_allows, fresh),
		cmocka_unit_test_setup(physical_alignment_counts_too, fresh),
		cmocka_unit_test_setup(the_format_limits_the_page_size, fresh),
		cmocka_unit_test_setup(permissions_become_bits, fresh),
		cmocka_unit_test_setup(finds_the_byte_inside_the_page, fresh),
		cmocka_unit_test_setup(the_upper_end_of_the_address_space, fresh),
		cmocka_unit_test_setup(refuses_what_is_mapped, fresh),
		cmocka_unit_test_setup(maps_over_an_empty_table, fresh),
		cmocka_unit_test_setup(no_memory_keeps_what_was_mapped, fresh),
		cmocka_unit_test_setup(no_memory_at_any_depth, fresh),
		cmocka_unit_test_setup(unmapping_holes_is_harmless, fresh),
		cmocka_unit_test_setup(follows_the_model, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
