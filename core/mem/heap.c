/* Runs of pages at the lowest addresses that are free, an unmapped page before and behind each. */
#include "core/mem/heap.h"

#include "core/cpu/cpu.h"
#include "core/mem/core_map.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/trace/log.h"

static u64 room = LAYOUT_HEAP; /* an unmapped page; the search for free ones begins here */

static u64 room_find(u64 pages)
{
	struct page_table core = core_paging();
	u64 at = room;

	for (u64 run = 0; run < pages + 2; at += PAGE_SIZE) {
		struct paging_leaf leaf;

		run = paging_find(&core, at, &leaf) ? 0 : run + 1;
	}
	room = at - PAGE_SIZE;
	return room - pages * PAGE_SIZE;
}

static void room_return(u64 at)
{
	room = min_u64(room, at - PAGE_SIZE);
}

static u64 pages_of(u64 bytes)
{
	return align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
}

void *heap_shared_alloc(u64 bytes, frame_owner_t owner)
{
	u64 pages = pages_of(bytes);
	hpa_t frames;
	u64 at;

	if (frames_alloc(owner, pages, 1, &frames))
		return NULL;
	at = room_find(pages);
	if (core_map_try(at, frames, pages * PAGE_SIZE, MAP_READ | MAP_WRITE)) {
		room_return(at);
		frames_free(frames, pages, owner);
		return NULL;
	}
	return (void *)at;
}

void heap_shared_free(void *object, u64 bytes)
{
	core_unmap((u64)object, pages_of(bytes) * PAGE_SIZE);
	tlb_flush_all();
	room_return((u64)object);
}

void *heap_try_alloc(u64 bytes)
{
	return heap_shared_alloc(bytes, FRAME_CORE);
}

void *heap_alloc(u64 bytes)
{
	void *object = heap_try_alloc(bytes);

	if (!object)
		panic("no memory for %lu bytes of the core", bytes);
	return object;
}

void heap_free(void *object, u64 bytes)
{
	hpa_t frames = core_physical(object);

	heap_shared_free(object, bytes);
	frames_free(frames, pages_of(bytes), FRAME_CORE);
}
