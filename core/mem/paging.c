/* Four-level tables of 512 entries: SDM, "4-Level Paging"; the second stages share the shape. */
#include "core/mem/paging.h"

#include "lib/base/assert.h"
#include "lib/x86/registers.h"

#define LEVEL_SHIFT(level) (PAGE_SHIFT + 9 * ((level)-1))

static u64 level_bytes(u32 level)
{
	assert(level >= 1 && level <= PAGING_LEVELS);
	return BIT64(LEVEL_SHIFT(level));
}

static u32 level_index(u64 virtual, u32 level)
{
	return (u32)(virtual >> LEVEL_SHIFT(level)) % PAGING_ENTRIES;
}

static bool entry_is_leaf(const struct paging_format *format, u64 entry, u32 level)
{
	return level == 1 || (entry & format->leaf_large) != 0;
}

static u64 *table_entry(const struct page_table *p, hpa_t table, u64 virtual, u32 level)
{
	return &p->memory.table_map(p->memory.owner, table)[level_index(virtual, level)];
}

/* The highest level whose page fits here. */
static u32 leaf_level(const struct paging_format *format, u64 virtual, u64 physical, u64 bytes)
{
	u32 level = format->largest;

	while (level > 1 &&
	       ((virtual | physical) % level_bytes(level) != 0 || bytes < level_bytes(level)))
		level--;
	return level;
}

/* Walks down to the table of `level`, making tables that are missing. */
static enum err table_reach(struct page_table *p, u64 virtual, u32 level, hpa_t *table)
{
	*table = p->root;
	for (u32 at = PAGING_LEVELS; at > level; at--) {
		u64 entry = *table_entry(p, *table, virtual, at);

		if (entry == 0) {
			hpa_t fresh;
			enum err err = p->memory.table_alloc(p->memory.owner, &fresh);

			if (err)
				return err;
			entry = fresh.raw | p->format->table;
			*table_entry(p, *table, virtual, at) = entry;
		} else if (entry_is_leaf(p->format, entry, at)) {
			return ERR_EXISTS;
		}
		*table = HPA(entry & PTE_ADDRESS);
	}
	return ERR_OK;
}

/* The free entry of `level`, or of a lower one where a table is left from smaller pages. */
static enum err entry_reach(struct page_table *p, u64 virtual, u32 *level, u64 **entry)
{
	hpa_t table;
	enum err err = table_reach(p, virtual, *level, &table);

	if (err)
		return err;
	*entry = table_entry(p, table, virtual, *level);
	while (**entry != 0 && !entry_is_leaf(p->format, **entry, *level))
		*entry = table_entry(p, HPA(**entry & PTE_ADDRESS), virtual, --*level);
	return **entry != 0 ? ERR_EXISTS : ERR_OK;
}

enum err paging_map(struct page_table *p, u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	u64 bits = p->format->leaf_bits(flags);

	while (bytes > 0) {
		u32 level = leaf_level(p->format, virtual, physical.raw, bytes);
		u64 *entry;
		enum err err = entry_reach(p, virtual, &level, &entry);

		if (err)
			return err;
		*entry = physical.raw | bits | (level > 1 ? p->format->leaf_large : 0);
		virtual += level_bytes(level);
		physical = hpa_add(physical, level_bytes(level));
		bytes -= level_bytes(level);
	}
	return ERR_OK;
}

/* The deepest entry for `virtual` and its level; NULL where a table is missing. */
static u64 *entry_find(const struct page_table *p, u64 virtual, u32 *level)
{
	hpa_t table = p->root;

	for (*level = PAGING_LEVELS;; (*level)--) {
		u64 *entry = table_entry(p, table, virtual, *level);

		if (*entry == 0)
			return NULL;
		if (entry_is_leaf(p->format, *entry, *level))
			return entry;
		table = HPA(*entry & PTE_ADDRESS);
	}
}

void paging_unmap(struct page_table *p, u64 virtual, u64 bytes)
{
	while (bytes > 0) {
		u32 level;
		u64 *entry = entry_find(p, virtual, &level);
		u64 step = level_bytes(level) - virtual % level_bytes(level);

		if (entry)
			*entry = 0;
		step = min_u64(step, bytes);
		virtual += step;
		bytes -= step;
	}
}

bool paging_find(const struct page_table *p, u64 virtual, struct paging_leaf *out)
{
	u32 level;
	const u64 *entry = entry_find(p, virtual, &level);
	u64 offset;

	if (!entry)
		return false;
	offset = virtual % level_bytes(level);
	out->entry = *entry;
	out->bytes = level_bytes(level);
	out->physical = HPA((*entry & PTE_ADDRESS & ~(level_bytes(level) - 1)) + offset);
	return true;
}

/* Root mode's addresses above the middle have bits 63 to 48 set; guests have no such memory. */
static u64 canonical(u64 virtual)
{
	return (virtual ^ BIT64(47)) - BIT64(47);
}

static void table_walk(const struct page_table *p, hpa_t table, u32 level, u64 virtual,
		       paging_visit visit, void *owner)
{
	for (u32 i = 0; i < PAGING_ENTRIES; i++, virtual += level_bytes(level)) {
		/* Reached anew each time: the visitor may have reached other tables. */
		u64 entry = *table_entry(p, table, virtual, level);
		bool is_table = !entry_is_leaf(p->format, entry, level);
		u64 align = is_table ? PAGE_SIZE : level_bytes(level);
		struct paging_leaf found = { HPA(align_down(entry & PTE_ADDRESS, align)), entry,
					     level_bytes(level) };

		if (entry != 0 && visit(owner, canonical(virtual), &found, is_table) && is_table)
			table_walk(p, found.physical, level - 1, virtual, visit, owner);
	}
}

void paging_walk(const struct page_table *p, paging_visit visit, void *owner)
{
	table_walk(p, p->root, PAGING_LEVELS, 0, visit, owner);
}

static u64 root_leaf_bits(u32 flags)
{
	u64 bits = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;

	if (flags & MAP_WRITE)
		bits |= PTE_WRITE;
	if (!(flags & MAP_EXECUTE))
		bits |= PTE_NX;
	if (flags & MAP_USER)
		bits |= PTE_USER;
	if (flags & MAP_UNCACHED)
		bits |= PTE_PCD | PTE_PWT;
	return bits;
}

#define ROOT_FORMAT(level)                                                                \
	{                                                                                 \
		.table = PTE_PRESENT | PTE_WRITE | PTE_USER, .leaf_large = PTE_PAGE_SIZE, \
		.leaf_bits = root_leaf_bits, .largest = (level),                          \
	}

const struct paging_format paging_root_format = ROOT_FORMAT(2);
const struct paging_format paging_root_format_1g = ROOT_FORMAT(3);
