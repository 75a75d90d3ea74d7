/* The guest's memory map: sorted, disjoint, complete, for small and large VMs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vmm/board/e820.h"
#include "vmm/board/memory_map.h"

/* The low megabyte gives RAM up to the EBDA only; the rest of it is no plain RAM. */
#define LOW_LOSS (MIB - MAP_EBDA)

static u64 ram_bytes(const struct e820_map *map)
{
	u64 bytes = 0;

	for (unsigned i = 0; i < map->count; i++)
		bytes += map->entries[i].type == E820_RAM ? map->entries[i].bytes : 0;
	return bytes;
}

static void check_map(u64 memory, struct e820_map *map)
{
	u64 end = 0;

	e820_build(map, memory);
	for (unsigned i = 0; i < map->count; i++) {
		const struct e820_entry *e = &map->entries[i];

		assert_true(e->base >= end && e->bytes > 0);
		end = e->base + e->bytes;
		if (e->type == E820_RAM) /* never in the hole */
			assert_true(end <= MAP_LOW_RAM_END || e->base >= MAP_HIGH_RAM);
		else
			assert_int_equal(e->type, E820_RESERVED);
	}
	assert_int_equal(ram_bytes(map), memory - LOW_LOSS);
}

static void sizes_add_up(void **state)
{
	const u64 sizes[] = { 2 * MIB,		 64 * MIB, 2 * GIB, 3 * GIB - 2 * MIB, 3 * GIB,
			      3 * GIB + 2 * MIB, 4 * GIB,  8 * GIB, 1024 * GIB };
	struct e820_map map;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		check_map(sizes[i], &map);
}

static void entries_of_8_gib(void **state)
{
	const struct e820_entry expected[] = {
		{ 0, 0x9fc00, E820_RAM },
		{ 0x9fc00, 0x400, E820_RESERVED },
		{ 0xe0000, 0x20000, E820_RESERVED },
		{ 0x100000, 0xbff00000, E820_RAM },
		{ 0xe0000000, 0x100000, E820_RESERVED },
		{ 0x100000000, 0x140000000, E820_RAM },
	};
	struct e820_map map;

	(void)state;
	e820_build(&map, 8 * GIB);
	assert_int_equal(map.count, ARRAY_SIZE(expected));
	assert_memory_equal(map.entries, expected, sizeof(expected));
	assert_int_equal(e820_low_ram_end(8 * GIB), 3 * GIB);
	assert_int_equal(e820_high_ram_bytes(8 * GIB), 5 * GIB);
	e820_build(&map, 3 * GIB);
	assert_int_equal(map.count, ARRAY_SIZE(expected) - 1);
	assert_int_equal(e820_high_ram_bytes(3 * GIB), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_add_up),
		cmocka_unit_test(entries_of_8_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
