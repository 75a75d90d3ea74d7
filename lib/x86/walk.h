/*
 * Guest-virtual to guest-physical translation by a guest's own page tables, in every paging mode.
 * Governed by SDM, "Paging" and "Page-Fault Exceptions".
 *
 * Two uses: walk_translate() does what the processor does for one access (permissions, accessed
 * and dirty bits, error code); walk_path() only follows present entries and is inlined together
 * with its reader, for a core that has to fetch a few instruction bytes.
 * Protection keys are not checked: PKRU stays in the processor.
 */
#pragma once

#include "lib/base/types.h"
#include "lib/x86/registers.h"

/* The registers that a translation depends on. */
struct paging {
	u64 cr0, cr3, cr4, efer;
	u64 rflags;	   /* AC suspends SMAP */
	u32 physical_bits; /* MAXPHYADDR, 32 to 52 */
};

enum walk_result {
	WALK_OK,
	WALK_NON_CANONICAL, /* #GP, or #SS for the stack: the caller knows the segment */
	WALK_NO_TABLE,	    /* the reader could not read a table (walk_path only) */
	/* The rest are page faults. */
	WALK_NOT_PRESENT,
	WALK_RESERVED,
	WALK_DENIED,
};

/* Guest-physical memory, RAM and devices alike, as the owner routes it. */
struct guest_memory {
	void *owner;
	/* False: nothing there, and the access reads as all ones. 1 to 8 bytes, within a page. */
	bool (*read)(void *owner, gpa_t gpa, void *data, unsigned bytes);
	/* False: nothing there, and the data is lost. 1 to 8 bytes, within a page. */
	bool (*write)(void *owner, gpa_t gpa, const void *data, unsigned bytes);
	/*
	 * Atomic compare-exchange of an aligned 4 or 8-byte table entry: stores `desired` if memory
	 * holds *expected, and *expected receives what it held. False: this is not writable RAM.
	 */
	bool (*swap)(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes);
};

/* An access is described by the bits PF_WRITE, PF_USER and PF_FETCH, and this one. */
#define WALK_IMPLICIT BIT32(31) /* supervisor access to a system structure, at any CPL */

struct walk_page {
	gpa_t gpa;	/* of the first byte, valid with WALK_OK */
	u64 bytes;	/* from there to the end of the smallest page, at most 4096 */
	u32 error_code; /* PF_*, valid with a page fault */
};

/*
 * Translates one access as the processor would, and sets accessed and dirty bits if it is allowed.
 * Outside long mode the address is truncated to 32 bits.
 */
MUST_USE enum walk_result walk_translate(const struct paging *paging,
					 const struct guest_memory *memory, gva_t gva, u32 access,
					 struct walk_page *page);

enum paging_mode { PAGING_OFF, PAGING_32, PAGING_PAE, PAGING_LONG4, PAGING_LONG5 };

#define WALK_LEVELS 5U

struct walk_step {
	gpa_t at; /* where the entry lies */
	u64 entry;
};

/* The entries that a walk met, from the root on; the last one is where it ended. */
struct walk_path {
	struct walk_step step[WALK_LEVELS];
	unsigned steps; /* 0 with paging off */
	gpa_t gpa;	/* with WALK_OK */
};

/* Reads the aligned u64 at `gpa`; false ends the walk. */
typedef bool (*walk_reader)(void *owner, gpa_t gpa, u64 *value);

static inline enum paging_mode paging_mode(const struct paging *p)
{
	if ((p->cr0 & CR0_PG) == 0)
		return PAGING_OFF;
	if ((p->efer & EFER_LMA) != 0)
		return (p->cr4 & CR4_LA57) != 0 ? PAGING_LONG5 : PAGING_LONG4;
	return (p->cr4 & CR4_PAE) != 0 ? PAGING_PAE : PAGING_32;
}

/* The shape of the tables of a mode. */
struct paging_shape {
	u8 levels, index_bits, entry_bytes;
	u8 virtual_bits; /* an address is canonical if the bits from this one minus one are alike */
};

static inline struct paging_shape paging_shape(enum paging_mode mode)
{
	static const struct paging_shape shapes[] = {
		[PAGING_OFF] = { 0, 0, 0, 32 },	  [PAGING_32] = { 2, 10, 4, 32 },
		[PAGING_PAE] = { 3, 9, 8, 32 },	  [PAGING_LONG4] = { 4, 9, 8, 48 },
		[PAGING_LONG5] = { 5, 9, 8, 57 },
	};

	return shapes[mode];
}

static inline bool address_is_canonical(u64 address, unsigned virtual_bits)
{
	return (u64)((s64)(address << (64 - virtual_bits)) >> (64 - virtual_bits)) == address;
}

static inline u64 paging_root(const struct paging *p, enum paging_mode mode)
{
	if (mode == PAGING_32)
		return p->cr3 & CR3_ROOT_32;
	return p->cr3 & (mode == PAGING_PAE ? CR3_ROOT_PAE : CR3_ROOT);
}

/* Whether an entry above the last level maps a page itself. */
static inline bool entry_is_large(const struct paging *p, enum paging_mode mode, unsigned level,
				  u64 entry)
{
	if ((entry & PTE_PAGE_SIZE) == 0)
		return false;
	if (mode == PAGING_32)
		return (p->cr4 & CR4_PSE) != 0;
	return level == 2 || (level == 3 && mode != PAGING_PAE);
}

/* Bits from the end of the physical address to bit 51. */
static inline u64 physical_reserved(const struct paging *p)
{
	return p->physical_bits < 52 ? BITS64(51, p->physical_bits) : 0;
}

/* Reserved bits of a page-directory entry that maps 4 MBytes; PSE-36 takes up to eight of them. */
static inline u64 pde4m_reserved(const struct paging *p)
{
	u64 high = p->physical_bits > 32 ? p->physical_bits - 32 : 0;

	if (high >= 8)
		return PDE4M_RESERVED;
	return PDE4M_RESERVED | (PDE4M_BASE_HI & (PDE4M_BASE_HI << high));
}

/* Bits that must be zero in a present entry. */
static inline u64 entry_reserved(const struct paging *p, enum paging_mode mode, unsigned level,
				 bool leaf)
{
	u64 reserved;

	if (mode == PAGING_32)
		return leaf && level == 2 ? pde4m_reserved(p) : 0;
	reserved = physical_reserved(p);
	if (mode == PAGING_PAE)
		reserved |= BITS64(62, 52);
	if ((p->efer & EFER_NXE) == 0)
		reserved |= PTE_NX;
	/* QEMU's processor sets the accessed bit, which the manuals call reserved here. */
	if (mode == PAGING_PAE && level == 3)
		return reserved | PTE_NX | BITS64(8, 6) | PTE_WRITE | PTE_USER;
	if (leaf && level > 1)
		reserved |= BITS64(12 + 9 * (level - 1) - 1, 13);
	return level > 3 ? reserved | PTE_PAGE_SIZE : reserved;
}

/* The guest-physical address that a leaf entry gives to `gva`. */
static inline gpa_t leaf_address(enum paging_mode mode, u64 entry, unsigned shift, u64 gva)
{
	u64 base = entry & PTE_ADDRESS;

	if (mode == PAGING_32 && shift > PAGE_SHIFT)
		base = (entry & PDE4M_BASE) | field_get(PDE4M_BASE_HI, entry) << 32;
	return GPA((base & ~(BIT64(shift) - 1)) | (gva & (BIT64(shift) - 1)));
}

static inline __attribute__((always_inline)) bool entry_read(walk_reader read, void *owner,
							     gpa_t at, unsigned bytes, u64 *entry)
{
	u64 word;

	if (!read(owner, GPA(align_down(at.raw, sizeof(word))), &word))
		return false;
	*entry = bytes == sizeof(u64) ? word : (u32)(word >> ((at.raw & 4) * 8));
	return true;
}

/* Follows present entries from the root to a page; checks nothing but reserved bits. */
static inline __attribute__((always_inline)) MUST_USE enum walk_result
walk_path(const struct paging *p, walk_reader read, void *owner, gva_t gva, struct walk_path *path)
{
	const enum paging_mode mode = paging_mode(p);
	const struct paging_shape shape = paging_shape(mode);
	u64 table = paging_root(p, mode);

	path->steps = 0;
	if (shape.virtual_bits == 32)
		gva.raw &= UINT32_MAX;
	else if (!address_is_canonical(gva.raw, shape.virtual_bits))
		return WALK_NON_CANONICAL;
	path->gpa = GPA(gva.raw);
	for (unsigned level = shape.levels; level > 0; level--) {
		const unsigned shift = PAGE_SHIFT + shape.index_bits * (level - 1);
		const u64 index = (gva.raw >> shift) & (BIT64(shape.index_bits) - 1);
		struct walk_step *step = &path->step[path->steps];
		bool leaf;

		step->at = GPA(table + index * shape.entry_bytes);
		if (!entry_read(read, owner, step->at, shape.entry_bytes, &step->entry))
			return WALK_NO_TABLE;
		path->steps++;
		if ((step->entry & PTE_PRESENT) == 0)
			return WALK_NOT_PRESENT;
		leaf = level == 1 || entry_is_large(p, mode, level, step->entry);
		if ((step->entry & entry_reserved(p, mode, level, leaf)) != 0)
			return WALK_RESERVED;
		if (leaf) {
			path->gpa = leaf_address(mode, step->entry, shift, gva.raw);
			return WALK_OK;
		}
		table = step->entry & PTE_ADDRESS;
	}
	return WALK_OK; /* paging is off */
}
