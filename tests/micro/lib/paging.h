/*
 * Single 4 KiB pages on top of the identity map: a window of 512 slots at 512 GiB whose entries
 * the guests write as they like.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/registers.h"

#define WINDOW_BASE  (512 * GIB)
#define WINDOW_SLOTS 512U

extern volatile u64 window_pt[WINDOW_SLOTS];
/* Of the identity map: 512 GiB, 1 GiB and 2 MiB an entry. */
extern volatile u64 pml4[512], pdpt[512], pd[4 * 512];

/* Maps slot `slot` to the page at `physical` with PTE_* flags; returns its linear address. */
u64 window_map(unsigned slot, u64 physical, u64 flags);
void window_unmap(unsigned slot);
void tlb_flush_page(u64 linear);

/* A zeroed page of the image's own pool; never given back. */
u8 *page_alloc(void);
