/* Reads the bytes of an instruction that exited, for processors that do not report its length. */
#pragma once

#include "core/cpu/cpu.h"
#include "lib/x86/walk.h"

#define GUEST_FETCH_BYTES 16

struct vm;

/*
 * Follows the guest's page tables and copies up to GUEST_FETCH_BYTES bytes at `linear`; returns how
 * many are there. The VM's own address space must be loaded.
 */
u32 guest_fetch(const struct vm *vm, const struct paging *paging, u64 linear, u8 *bytes);

/*
 * The page of code that was read last and how it was found, for the exits that are many: reading it
 * again looks at the last entry of the walk, and at no table above it. Zeroes: no page.
 */
struct guest_page {
	u64 last, cr3;	 /* linear address of its last byte */
	const u8 *leaf;	 /* its entry in the guest's tables */
	u64 entry;	 /* as it was */
	const u8 *bytes; /* its own, where the VMM sees them */
};

/*
 * Finds the page of `linear` under four levels of tables in long mode. False: it is not in RAM.
 * The VM's own address space must be loaded.
 */
MUST_USE bool guest_page_find(const struct vm *vm, struct guest_page *page, u64 cr3, u64 linear);

/* Once, as the guest may write there meanwhile; an instruction may be at any address. */
static inline u64 guest_word(const u8 *at)
{
	struct unaligned {
		u64 word;
	} PACKED;

	return ((const volatile struct unaligned *)(const void *)at)->word;
}

/* Reads the eight bytes at `linear`. False: they are not all in the page, or it may have moved. */
static inline bool guest_page_read(const struct guest_page *page, u64 cr3, u64 linear, u64 *word)
{
	u64 last = linear | (PAGE_SIZE - 1);
	bool same;

	if (page->last != last || page->cr3 != cr3 || last - linear < sizeof(*word) - 1)
		return false;
	ring3_access_begin();
	same = guest_word(page->leaf) == page->entry;
	*word = guest_word(page->bytes + linear % PAGE_SIZE);
	ring3_access_end();
	return same;
}
