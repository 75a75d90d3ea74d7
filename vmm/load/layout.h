/*
 * What a loader puts below 1 MiB, written once. The pages from LOAD_FIRST to LOAD_END belong to
 * it: kernels and initrds are refused there. Below lie the interrupt vectors and the BIOS data
 * area, above free memory for the guest's start-up code, then the EBDA and the ACPI tables.
 */
#pragma once

#include "lib/base/types.h"
#include "vmm/board/memory_map.h"

#define LOAD_FIRST	   0x8000ULL
#define LOAD_GDT	   0x8000ULL
#define LOAD_PAGE_TABLES   0x9000ULL  /* PML4, PDPT, four page directories */
#define LOAD_BOOT_PARAMS   0x10000ULL /* Linux: struct boot_params */
#define LOAD_INFO	   0x11000ULL /* PVH: struct hvm_start_info; multiboot: information */
#define LOAD_CMDLINE	   0x20000ULL
#define LOAD_CMDLINE_BYTES 0x10000ULL /* NUL included */
#define LOAD_END	   0x30000ULL

#define LOAD_PAGE_DIRECTORIES 4U /* 1 GiB each, mapped one to one */
#define LOAD_PAGE_TABLE_COUNT (2U + LOAD_PAGE_DIRECTORIES)

static_assert(LOAD_PAGE_TABLES + LOAD_PAGE_TABLE_COUNT * PAGE_SIZE <= LOAD_BOOT_PARAMS, "layout");
static_assert(LOAD_CMDLINE + LOAD_CMDLINE_BYTES <= LOAD_END, "layout");
static_assert(LOAD_END <= MAP_EBDA, "loader structures lie in conventional memory");
