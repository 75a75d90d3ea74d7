/* The window's page table is part of the core's image, so it works from the first line of C. */
#include "core/mem/window.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/layout.h"
#include "lib/base/string.h"
#include "lib/x86/registers.h"

#define LARGE_BYTES	 (2 * MIB)
#define LARGE_FIRST	 1 /* directory entry 0 is the table of small slots */
#define WINDOW_PTE	 (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NX)
#define WINDOW_PTE_LARGE (WINDOW_PTE | PTE_PAGE_SIZE)

extern u64 core_pt_window[512];
extern u64 core_pd_window[512];

static_assert(CPU_MAX * WINDOW_SLOTS <= 512, "one page table holds all slots");

void *window_map(enum window_slot slot, hpa_t hpa)
{
	u32 index = this_cpu()->index * WINDOW_SLOTS + (u32)slot;
	u8 *page = (u8 *)(LAYOUT_WINDOWS + index * PAGE_SIZE);
	u64 entry = align_down(hpa.raw, PAGE_SIZE) | WINDOW_PTE;

	if (core_pt_window[index] != entry) {
		core_pt_window[index] = entry;
		invlpg(page);
	}
	return page + hpa.raw % PAGE_SIZE;
}

static u8 *window_set_large(u64 entry)
{
	u32 index = LARGE_FIRST + this_cpu()->index;
	u8 *page = (u8 *)(LAYOUT_WINDOWS + index * LARGE_BYTES);

	core_pd_window[index] = entry;
	invlpg(page);
	return page;
}

static void zero_qwords(u8 *at, u64 bytes)
{
	u64 count = bytes / 8;

	__asm__ volatile("rep stosq" : "+D"(at), "+c"(count) : "a"(0ULL) : "memory");
}

void window_zero(hpa_t hpa, u64 bytes)
{
	while (bytes > 0) {
		u64 step = min_u64(bytes, LARGE_BYTES - hpa.raw % LARGE_BYTES);
		u8 *page = window_set_large(align_down(hpa.raw, LARGE_BYTES) | WINDOW_PTE_LARGE);

		zero_qwords(page + hpa.raw % LARGE_BYTES, step);
		hpa = hpa_add(hpa, step);
		bytes -= step;
	}
	window_set_large(0); /* whose it becomes is nobody else's business */
}

void window_read(hpa_t from, void *to, u64 bytes)
{
	u8 *out = to;

	while (bytes > 0) {
		u64 step = min_u64(bytes, PAGE_SIZE - from.raw % PAGE_SIZE);

		memcpy(out, window_map(WINDOW_DATA, from), step);
		out += step;
		from = hpa_add(from, step);
		bytes -= step;
	}
}

void window_write(hpa_t to, const void *from, u64 bytes)
{
	const u8 *in = from;

	while (bytes > 0) {
		u64 step = min_u64(bytes, PAGE_SIZE - to.raw % PAGE_SIZE);

		memcpy(window_map(WINDOW_DATA, to), in, step);
		in += step;
		to = hpa_add(to, step);
		bytes -= step;
	}
}
