/* The window of single pages (APM volume 2, "Long-Mode Page Translation"). */
#include "tests/micro/lib/paging.h"

#include "tests/micro/lib/micro.h"

#define POOL_PAGES 32U

static u8 pool[POOL_PAGES][PAGE_SIZE] ALIGNED(4096);
static unsigned pool_used;

void tlb_flush_page(u64 linear)
{
	asm volatile("invlpg (%0)" ::"r"(linear) : "memory");
}

u64 window_map(unsigned slot, u64 physical, u64 flags)
{
	u64 linear = WINDOW_BASE + slot * PAGE_SIZE;

	window_pt[slot] = (physical & PTE_ADDRESS) | flags;
	tlb_flush_page(linear);
	return linear;
}

void window_unmap(unsigned slot)
{
	window_map(slot, 0, 0);
}

u8 *page_alloc(void)
{
	if (pool_used == POOL_PAGES)
		micro_fail("page pool is empty");
	return pool[pool_used++];
}
