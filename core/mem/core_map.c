/* The core's half of every address space hangs below one PML4 entry: core_pdpt (entry.S). */
#include "core/mem/core_map.h"

#include "core/cpu/insn.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/mem/window.h"
#include "core/trace/log.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

extern u64 core_pml4[], core_pd_image[], core_pt_image[];
extern u8 core_image_start[], core_image_end[], core_text_start[], core_text_end[];
extern u8 core_rodata_end[], boot_stack_guard[];

static u64 device_next = LAYOUT_DEVICES;

static enum err table_from_frames(void *owner, hpa_t *table)
{
	(void)owner;
	return frames_alloc(FRAME_CORE, 1, 1, table);
}

/* Tables for core_map_early() come from one run; the owner is its next free page. */
static enum err table_from_run(void *owner, hpa_t *table)
{
	hpa_t *next = owner;

	*table = *next;
	*next = hpa_add(*next, PAGE_SIZE);
	return ERR_OK;
}

static u64 *table_through_window(void *owner, hpa_t table)
{
	(void)owner;
	return window_map(WINDOW_TABLE, table);
}

static hpa_t image_physical(const void *pointer)
{
	return HPA((u64)pointer - LAYOUT_IMAGE);
}

struct page_table core_paging(void)
{
	return (struct page_table){
		.format = &paging_root_format,
		.memory = { NULL, table_from_frames, table_through_window },
		.root = image_physical(core_pml4),
	};
}

u64 core_map_early_bytes(u64 bytes)
{
	/* Level 1 tables of 2 MiB each, level 2 tables of 1 GiB each, rounded up, one to spare. */
	return (bytes / (2 * MIB) + 2 + bytes / GIB + 2) * PAGE_SIZE;
}

void core_map_early(u64 virtual, hpa_t physical, u64 bytes, hpa_t tables)
{
	struct page_table paging = core_paging();

	paging.memory.owner = &tables;
	paging.memory.table_alloc = table_from_run;
	if (paging_map(&paging, virtual, physical, bytes, MAP_READ | MAP_WRITE))
		panic("no room for the frame table's page tables");
}

enum err core_map_try(u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	struct page_table paging = core_paging();
	enum err err = paging_map(&paging, virtual, physical, bytes, flags);

	if (err == ERR_NO_MEMORY)
		core_unmap(virtual, bytes);
	return err;
}

void core_map(u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	enum err err = core_map_try(virtual, physical, bytes, flags);

	if (err)
		panic("cannot map %lu bytes for the core: %s", bytes, err_name(err));
}

void core_unmap(u64 virtual, u64 bytes)
{
	struct page_table paging = core_paging();

	paging_unmap(&paging, virtual, bytes);
	for (u64 at = 0; at < bytes; at += PAGE_SIZE)
		invlpg((void *)(virtual + at));
}

static u64 image_bits(const u8 *page)
{
	if (page < core_text_start ||
	    (page >= boot_stack_guard && page < boot_stack_guard + PAGE_SIZE))
		return 0;
	if (page < core_text_end)
		return PTE_PRESENT | PTE_GLOBAL;
	if (page < core_rodata_end)
		return PTE_PRESENT | PTE_NX | PTE_GLOBAL;
	return PTE_PRESENT | PTE_NX | PTE_WRITE | PTE_GLOBAL;
}

void core_map_image(void)
{
	assert(core_image_end < (u8 *)LAYOUT_IMAGE + 4 * MIB);
	for (u64 i = 0; i < (u64)(core_image_end - (u8 *)LAYOUT_IMAGE) / PAGE_SIZE; i++) {
		u64 bits = image_bits((u8 *)LAYOUT_IMAGE + i * PAGE_SIZE);

		if (bits)
			core_pt_image[i] = i * PAGE_SIZE | bits | PTE_ACCESSED | PTE_DIRTY;
	}
	core_pd_image[0] = image_physical(core_pt_image).raw | PTE_PRESENT | PTE_WRITE;
	core_pd_image[1] =
		(image_physical(core_pt_image).raw + PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	core_pml4[0] = 0;
	write_cr3(image_physical(core_pml4).raw);
}

static void *device_map(hpa_t physical, u64 bytes, u32 flags)
{
	u64 offset = physical.raw % PAGE_SIZE;
	u64 length = align_up(offset + bytes, PAGE_SIZE);
	u64 at = device_next;

	device_next += length + PAGE_SIZE;
	core_map(at, HPA(physical.raw - offset), length, flags);
	return (void *)(at + offset);
}

void *core_map_device(hpa_t physical, u64 bytes)
{
	return device_map(physical, bytes, MAP_READ | MAP_WRITE | MAP_UNCACHED);
}

const void *core_map_table(hpa_t physical, u64 bytes)
{
	return device_map(physical, bytes, MAP_READ);
}

hpa_t core_physical(const void *pointer)
{
	struct page_table paging = core_paging();
	struct paging_leaf leaf;

	if ((u64)pointer >= LAYOUT_IMAGE)
		return image_physical(pointer);
	if (!paging_find(&paging, (u64)pointer, &leaf))
		panic("core pointer %p is not mapped", pointer);
	return leaf.physical;
}
