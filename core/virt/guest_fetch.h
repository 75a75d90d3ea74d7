/* Reads the bytes of an instruction that exited, for processors that do not report its length. */
#pragma once

#include "lib/base/types.h"

#define GUEST_FETCH_BYTES 16

struct vm;

struct guest_fetch {
	u64 cr0, cr3, cr4, efer;
	u64 linear;
};

/*
 * Follows the guest's page tables and copies up to GUEST_FETCH_BYTES bytes at `linear`; returns how
 * many are there. The VM's own address space must be loaded.
 */
u32 guest_fetch(const struct vm *vm, const struct guest_fetch *fetch, u8 *bytes);

/*
 * The same for the eight bytes at `linear` under four levels of tables in long mode, from RAM below
 * 4 GiB. False: not to be had this way, because a page ends among them or is elsewhere.
 */
MUST_USE bool guest_fetch_word(const struct vm *vm, u64 cr3, u64 linear, u64 *word);
