/* The core's own upper half: image with W^X, object heap, device registers. */
#pragma once

#include "core/mem/paging.h"

/* Page-table bytes that core_map_early() needs for a table of `bytes`. */
u64 core_map_early_bytes(u64 bytes);
/* Maps before pages can be allocated; `tables` are core_map_early_bytes() zeroed bytes. */
void core_map_early(u64 virtual, hpa_t physical, u64 bytes, hpa_t tables);
/* Maps one run in the core's half; on ERR_NO_MEMORY nothing of it stays mapped. */
MUST_USE enum err core_map_try(u64 virtual, hpa_t physical, u64 bytes, u32 flags);
/* The same for boot: panics when memory for tables is gone. */
void core_map(u64 virtual, hpa_t physical, u64 bytes, u32 flags);
void core_unmap(u64 virtual, u64 bytes);
/* Replaces the boot loader's image mapping by W^X pages, guards and all; ends the identity map. */
void core_map_image(void);
/* The tables of the core's half; its root has nothing else. */
struct page_table core_paging(void);
/* Device registers or firmware tables, any alignment; stays mapped. */
void *core_map_device(hpa_t physical, u64 bytes);
/* The same, read-only and cached, for tables in ordinary memory. */
const void *core_map_table(hpa_t physical, u64 bytes);
/* Physical address of something in the core's image or heap. */
hpa_t core_physical(const void *pointer);
