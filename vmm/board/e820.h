/*
 * The memory map that loaders hand to a guest, as the E820 interface defines its entries (ACPI
 * Specification, "System Address Map Interfaces").
 */
#pragma once

#include "lib/base/types.h"

#define E820_RAM      1U
#define E820_RESERVED 2U

#define E820_ENTRIES 8U

struct e820_entry {
	u64 base;
	u64 bytes;
	u32 type;
} PACKED;

static_assert(sizeof(struct e820_entry) == 20, "entry layout of boot protocols");

struct e820_map {
	struct e820_entry entries[E820_ENTRIES];
	unsigned count;
};

/* The map of a VM with `memory_bytes` of RAM (2 MiB or more, whole pages), sorted by address. */
void e820_build(struct e820_map *map, u64 memory_bytes);

/* The end of RAM below 4 GiB, and the bytes of RAM from 4 GiB on. */
u64 e820_low_ram_end(u64 memory_bytes);
u64 e820_high_ram_bytes(u64 memory_bytes);
