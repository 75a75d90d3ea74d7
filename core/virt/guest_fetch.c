/*
 * Guest RAM is read through its VMM's mapping, which is loaded while the VM runs. The processor has
 * just walked these tables itself, so only presence is checked.
 */
#include "core/virt/guest_fetch.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/virt/vm.h"
#include "lib/abi/layout.h"
#include "lib/base/string.h"
#include "lib/x86/registers.h"
#include "lib/x86/walk.h"

/* NULL: not RAM of the guest. */
static const u8 *ram_at(const struct vm *vm, u64 gpa)
{
	return vm_is_ram(vm, GPA(gpa)) ? (const u8 *)(VMM_RAM_BASE + gpa) : NULL;
}

static bool word_read(void *owner, gpa_t gpa, u64 *value)
{
	const u8 *at = ram_at(owner, gpa.raw);

	if (at)
		*value = guest_word(at);
	return at != NULL;
}

/* Bytes up to the end of the page that holds `linear`. */
static u32 fetch_page(const struct vm *vm, const struct paging *paging, u64 linear, u8 *bytes,
		      u32 limit)
{
	u32 left = (u32)min_u64(PAGE_SIZE - linear % PAGE_SIZE, limit);
	struct walk_path path;
	const u8 *at;

	if (walk_path(paging, word_read, (void *)(uintptr_t)vm, GVA(linear), &path) != WALK_OK)
		return 0;
	at = ram_at(vm, path.gpa.raw);
	if (!at)
		return 0;
	memcpy(bytes, at, left);
	return left;
}

u32 guest_fetch(const struct vm *vm, const struct paging *paging, u64 linear, u8 *bytes)
{
	u32 count;

	ring3_access_begin();
	count = fetch_page(vm, paging, linear, bytes, GUEST_FETCH_BYTES);
	if (count > 0 && count < GUEST_FETCH_BYTES)
		count += fetch_page(vm, paging, linear + count, bytes + count,
				    GUEST_FETCH_BYTES - count);
	ring3_access_end();
	return count;
}

/* Follows four levels of tables to the page of `linear`. */
static bool page_find(const struct vm *vm, struct guest_page *page, u64 cr3, u64 linear)
{
	u64 entry = cr3, offset;
	u32 shift = 39;

	for (;; shift -= 9) {
		page->leaf = ram_at(vm, (entry & PTE_ADDRESS) + (linear >> shift & 0x1ff) * 8);
		if (!page->leaf)
			return false;
		entry = guest_word(page->leaf);
		if ((entry & (PTE_PRESENT | PTE_PAGE_SIZE)) != PTE_PRESENT || shift == PAGE_SHIFT)
			break;
	}
	offset = BIT64(shift) - 1;
	page->cr3 = cr3;
	page->entry = entry;
	page->bytes = ram_at(vm, (entry & PTE_ADDRESS & ~offset) | (linear & offset & ~0xfffULL));
	return (entry & PTE_PRESENT) && page->bytes;
}

bool guest_page_find(const struct vm *vm, struct guest_page *page, u64 cr3, u64 linear)
{
	bool found;

	ring3_access_begin();
	found = page_find(vm, page, cr3, linear);
	ring3_access_end();
	page->last = found ? linear | (PAGE_SIZE - 1) : 0;
	return found;
}
