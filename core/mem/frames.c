/* One 16-bit owner per physical page, in a table mapped at LAYOUT_FRAMES. */
#include "core/mem/frames.h"

#include "core/mem/core_map.h"
#include "core/mem/layout.h"
#include "core/mem/window.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

static frame_owner_t *const owners = (frame_owner_t *)LAYOUT_FRAMES;
static u64 frame_limit; /* pages that the table describes */
static u64 total, available;
static u64 low_hint; /* no free page below; searching starts here */

static void mark(const struct memory_range *range, frame_owner_t owner, bool inward)
{
	u64 first = inward ? align_up(range->base, PAGE_SIZE) : align_down(range->base, PAGE_SIZE);
	u64 end = range->base + range->size;

	end = inward ? align_down(end, PAGE_SIZE) : align_up(end, PAGE_SIZE);
	for (u64 at = first; at < end && at / PAGE_SIZE < frame_limit; at += PAGE_SIZE)
		owners[at / PAGE_SIZE] = owner;
}

static bool ranges_touch(u64 base, u64 size, const struct memory_range *range)
{
	return base < range->base + range->size && range->base < base + size;
}

/* A place for the table itself: in RAM, above 1 MiB, clear of everything reserved. */
static bool table_place(const struct memory_range *ram, u32 ram_count,
			const struct frame_reservation *reserved, u32 reserved_count, u64 bytes,
			hpa_t *out)
{
	for (u32 i = 0; i < ram_count; i++) {
		u64 at = align_up(max_u64(ram[i].base, MIB), PAGE_SIZE);

		for (u32 j = 0; j < reserved_count; j++) {
			if (at + bytes > ram[i].base + ram[i].size)
				break;
			if (ranges_touch(at, bytes, &reserved[j].range)) {
				at = align_up(reserved[j].range.base + reserved[j].range.size,
					      PAGE_SIZE);
				j = ~0U; /* start over: an earlier one may touch the new place */
			}
		}
		if (at + bytes <= ram[i].base + ram[i].size) {
			*out = HPA(at);
			return true;
		}
	}
	return false;
}

/*
 * Maps the table before any page can be allocated: its page tables are the first pages of its own
 * physical run, handed to the mapper one by one.
 */
static void table_map(hpa_t table, u64 table_bytes, u64 map_bytes)
{
	window_zero(table, map_bytes + table_bytes);
	core_map_early(LAYOUT_FRAMES, hpa_add(table, map_bytes), table_bytes, table);
}

enum err frames_init(const struct memory_range *ram, u32 ram_count,
		     const struct frame_reservation *reserved, u32 reserved_count)
{
	struct memory_range table = { 0 };
	u64 top = 0;
	u64 table_bytes;
	hpa_t place;

	for (u32 i = 0; i < ram_count; i++)
		top = max_u64(top, ram[i].base + ram[i].size);
	frame_limit = top / PAGE_SIZE;
	table_bytes = align_up(frame_limit * sizeof(frame_owner_t), PAGE_SIZE);
	table.size = table_bytes + core_map_early_bytes(table_bytes);
	if (!table_place(ram, ram_count, reserved, reserved_count, table.size, &place))
		return ERR_NO_MEMORY;
	table.base = place.raw;
	table_map(place, table_bytes, core_map_early_bytes(table_bytes));

	for (u32 i = 0; i < ram_count; i++)
		mark(&ram[i], FRAME_FREE, true);
	mark(&(struct memory_range){ 0, MIB }, FRAME_ABSENT, false);
	mark(&table, FRAME_CORE, false);
	for (u32 i = 0; i < reserved_count; i++)
		mark(&reserved[i].range, reserved[i].owner, false);
	low_hint = MIB / PAGE_SIZE;
	for (u64 i = 0; i < frame_limit; i++) {
		total += owners[i] != FRAME_ABSENT;
		available += owners[i] == FRAME_FREE;
	}
	return ERR_OK;
}

frame_owner_t frames_owner(hpa_t hpa)
{
	u64 frame = hpa.raw / PAGE_SIZE;

	return frame < frame_limit ? owners[frame] : FRAME_ABSENT;
}

u64 frames_run(hpa_t first, u64 count, frame_owner_t owner)
{
	u64 run = 0;

	while (run < count && frames_owner(hpa_add(first, run * PAGE_SIZE)) == owner)
		run++;
	return run;
}

enum err frames_take(frame_owner_t owner, u64 count, u64 align, hpa_t *out)
{
	u64 at;

	assert(count > 0 && owner > FRAME_FREE);
	while (low_hint < frame_limit && owners[low_hint] != FRAME_FREE)
		low_hint++;
	at = align_up(low_hint, align);
	while (at + count <= frame_limit) {
		u64 run = frames_run(HPA(at * PAGE_SIZE), count, FRAME_FREE);

		if (run == count)
			break;
		at = align_up(at + run + 1, align);
	}
	if (at + count > frame_limit)
		return ERR_NO_MEMORY;
	for (u64 i = 0; i < count; i++)
		owners[at + i] = owner;
	if (at == low_hint)
		low_hint += count;
	available -= count;
	*out = HPA(at * PAGE_SIZE);
	return ERR_OK;
}

enum err frames_alloc(frame_owner_t owner, u64 count, u64 align, hpa_t *out)
{
	enum err err = frames_take(owner, count, align, out);

	if (!err)
		window_zero(*out, count * PAGE_SIZE);
	return err;
}

void frames_free(hpa_t first, u64 count, frame_owner_t owner)
{
	u64 at = first.raw / PAGE_SIZE;

	for (u64 i = 0; i < count; i++) {
		assert(owners[at + i] == owner);
		owners[at + i] = FRAME_FREE;
	}
	available += count;
	low_hint = min_u64(low_hint, at);
}

u64 frames_free_all(frame_owner_t owner)
{
	u64 freed = 0;

	for (u64 i = 0; i < frame_limit; i++) {
		if (owners[i] == owner) {
			frames_free(HPA(i * PAGE_SIZE), 1, owner);
			freed++;
		}
	}
	return freed;
}

u64 frames_total(void)
{
	return total;
}

u64 frames_available(void)
{
	return available;
}
