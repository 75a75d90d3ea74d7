/*
 * One page-table builder for root mode and both second stages. A format supplies the bits; memory
 * for tables and the way to reach them are parameters, so a host test can replay every step.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"

#define PAGING_ENTRIES 512
#define PAGING_LEVELS  4

/* What a mapping allows, whatever the format. */
#define MAP_READ     BIT32(0)
#define MAP_WRITE    BIT32(1)
#define MAP_EXECUTE  BIT32(2)
#define MAP_USER     BIT32(3) /* root mode only: ring 3 */
#define MAP_UNCACHED BIT32(4) /* device registers */

struct paging_format {
	u64 table;		     /* bits of an entry that points to a table */
	u64 leaf_large;		     /* bit that makes an entry above level 1 a page */
	u64 (*leaf_bits)(u32 flags); /* MAP_* to entry bits */
	u32 largest;		     /* highest level whose entries may map pages: 1, 2, 3 */
};

struct paging_memory {
	void *owner;
	/* A zeroed page for a table, or ERR_NO_MEMORY. */
	enum err (*table_alloc)(void *owner, hpa_t *table);
	/* Reaches the table at `table` until the next call. */
	u64 *(*table_map)(void *owner, hpa_t table);
};

struct page_table {
	const struct paging_format *format;
	struct paging_memory memory;
	hpa_t root;
};

/*
 * Maps `bytes` at `virtual` to `physical`, with the largest pages that alignment and the format
 * allow. All three are multiples of 4 KiB. Existing mappings in the range are an ERR_EXISTS; what
 * was mapped until then stays.
 */
MUST_USE enum err paging_map(struct page_table *paging, u64 virtual, hpa_t physical, u64 bytes,
			     u32 flags);
/* Clears every page of the range; large pages must lie wholly inside it. Tables stay. */
void paging_unmap(struct page_table *paging, u64 virtual, u64 bytes);

/* What one address maps to. */
struct paging_leaf {
	hpa_t physical; /* of the address itself */
	u64 entry;	/* the raw leaf entry */
	u64 bytes;	/* of the page */
};

MUST_USE bool paging_find(const struct page_table *paging, u64 virtual, struct paging_leaf *out);

/*
 * Calls `visit` for each entry in use: for pages, and for tables, with what they cover as `bytes`,
 * before their contents. False: do not look into this table.
 */
typedef bool (*paging_visit)(void *owner, u64 virtual, const struct paging_leaf *entry, bool table);
void paging_walk(const struct page_table *paging, paging_visit visit, void *owner);

/* The processor's own format for root mode, without and with 1 GiB pages. */
extern const struct paging_format paging_root_format, paging_root_format_1g;
