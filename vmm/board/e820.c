/* The guest's memory map from its memory size (see e820.h); addresses are memory_map.h's. */
#include "vmm/board/e820.h"

#include "lib/abi/vm_memory.h"

#include "lib/base/assert.h"
#include "vmm/board/memory_map.h"

static_assert(MAP_VGA_HOLE == VM_VGA_HOLE && MAP_LOW_RAM_END == VM_LOW_RAM_MAX &&
		      MAP_HIGH_RAM == VM_HIGH_RAM,
	      "the core and the board agree where RAM is");

u64 e820_low_ram_end(u64 memory_bytes)
{
	return min_u64(memory_bytes, MAP_LOW_RAM_END);
}

u64 e820_high_ram_bytes(u64 memory_bytes)
{
	return memory_bytes - e820_low_ram_end(memory_bytes);
}

static void map_add(struct e820_map *map, u64 base, u64 end, u32 type)
{
	if (base >= end)
		return;
	assert(map->count < E820_ENTRIES);
	map->entries[map->count++] =
		(struct e820_entry){ .base = base, .bytes = end - base, .type = type };
}

void e820_build(struct e820_map *map, u64 memory_bytes)
{
	u64 low_end = e820_low_ram_end(memory_bytes);
	u64 high_end = MAP_HIGH_RAM + e820_high_ram_bytes(memory_bytes);

	assert(memory_bytes > MAP_HIGH_MEMORY);
	map->count = 0;
	map_add(map, 0, MAP_EBDA, E820_RAM);
	map_add(map, MAP_EBDA, MAP_VGA_HOLE, E820_RESERVED);
	map_add(map, MAP_ACPI_TABLES, MAP_ACPI_TABLES_END, E820_RESERVED);
	map_add(map, MAP_HIGH_MEMORY, low_end, E820_RAM);
	/* Guests use ECAM only when the firmware's map or an ACPI device reserves it. */
	map_add(map, MAP_ECAM, MAP_ECAM + MAP_ECAM_BYTES, E820_RESERVED);
	map_add(map, MAP_HIGH_RAM, high_end, E820_RAM);
}
