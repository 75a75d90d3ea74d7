/* Runs of pages at rising addresses; an address is used again only for a run of the same size. */
#include "core/mem/heap.h"

#include "core/cpu/cpu.h"
#include "core/mem/core_map.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/trace/log.h"

#define UNUSED_MAX 256

static u64 heap_next = LAYOUT_HEAP;
/* Address ranges given back; when the table is full a range is simply not used again. */
static struct {
	u64 at;
	u64 pages; /* 0: this entry is empty */
} unused[UNUSED_MAX];

static u64 range_take(u64 pages)
{
	u64 at = heap_next;

	for (u32 i = 0; i < UNUSED_MAX; i++) {
		if (unused[i].pages == pages) {
			unused[i].pages = 0;
			return unused[i].at;
		}
	}
	heap_next += (pages + 1) * PAGE_SIZE;
	return at;
}

static void range_return(u64 at, u64 pages)
{
	for (u32 i = 0; i < UNUSED_MAX; i++) {
		if (unused[i].pages == 0) {
			unused[i].at = at;
			unused[i].pages = pages;
			return;
		}
	}
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
	at = range_take(pages);
	if (core_map_try(at, frames, pages * PAGE_SIZE, MAP_READ | MAP_WRITE)) {
		range_return(at, pages);
		frames_free(frames, pages, owner);
		return NULL;
	}
	return (void *)at;
}

void heap_shared_free(void *object, u64 bytes)
{
	core_unmap((u64)object, pages_of(bytes) * PAGE_SIZE);
	tlb_flush_all();
	range_return((u64)object, pages_of(bytes));
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
