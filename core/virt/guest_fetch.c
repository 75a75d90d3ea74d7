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

static bool word_read(void *owner, gpa_t gpa, u64 *value)
{
	const struct vm *vm = owner;

	if (!vm_is_ram(vm, gpa))
		return false;
	*value = *(const volatile u64 *)(VMM_RAM_BASE + gpa.raw);
	return true;
}

/* The case that matters: 64-bit mode with four levels. */
static bool walk_long4(const struct vm *vm, u64 cr3, u64 linear, gpa_t *gpa)
{
	u64 entry = cr3;

	for (u32 shift = 39; shift >= PAGE_SHIFT; shift -= 9) {
		u64 index = (linear >> shift & 0x1ff) * 8;

		if (!word_read((void *)(uintptr_t)vm, GPA((entry & PTE_ADDRESS) + index), &entry) ||
		    !(entry & PTE_PRESENT))
			return false;
		if (shift == PAGE_SHIFT || (shift < 39 && (entry & PTE_PAGE_SIZE))) {
			u64 offset = BIT64(shift) - 1;

			*gpa = GPA((entry & PTE_ADDRESS & ~offset) | (linear & offset));
			return true;
		}
	}
	return false;
}

static bool walk(const struct vm *vm, const struct guest_fetch *f, u64 linear, gpa_t *gpa)
{
	const struct paging paging = { .cr0 = f->cr0,
				       .cr3 = f->cr3,
				       .cr4 = f->cr4,
				       .efer = f->efer,
				       .physical_bits = cpu_features.physical_bits };
	struct walk_path path;

	if ((f->efer & EFER_LMA) && !(f->cr4 & CR4_LA57))
		return walk_long4(vm, f->cr3, linear, gpa);
	if (walk_path(&paging, word_read, (void *)(uintptr_t)vm, GVA(linear), &path) != WALK_OK)
		return false;
	*gpa = path.gpa;
	return true;
}

/* Bytes up to the end of the page that holds `linear`. */
static u32 fetch_page(const struct vm *vm, const struct guest_fetch *f, u64 linear, u8 *bytes,
		      u32 limit)
{
	u32 left = (u32)min_u64(PAGE_SIZE - linear % PAGE_SIZE, limit);
	gpa_t gpa;

	if (!walk(vm, f, linear, &gpa) || !vm_is_ram(vm, gpa))
		return 0;
	if (left == GUEST_FETCH_BYTES) {
		__builtin_memcpy(bytes, (const void *)(VMM_RAM_BASE + gpa.raw), GUEST_FETCH_BYTES);
		return left;
	}
	memcpy(bytes, (const void *)(VMM_RAM_BASE + gpa.raw), left);
	return left;
}

u32 guest_fetch(const struct vm *vm, const struct guest_fetch *f, u8 *bytes)
{
	u32 count;

	ring3_access_begin();
	count = fetch_page(vm, f, f->linear, bytes, GUEST_FETCH_BYTES);
	if (count > 0 && count < GUEST_FETCH_BYTES)
		count += fetch_page(vm, f, f->linear + count, bytes + count,
				    GUEST_FETCH_BYTES - count);
	ring3_access_end();
	return count;
}

/*
 * RAM below 4 GiB; NULL: not there. The VMM's mapping of that part has no holes, and what is no RAM
 * to the guest has not just been walked or executed by it.
 */
static const u8 *low_ram(const struct vm *vm, u64 gpa)
{
	return gpa < vm->low_bytes ? (const u8 *)(VMM_RAM_BASE + gpa) : NULL;
}

/* Follows four levels of tables to the page of `linear`. */
static bool page_find(const struct vm *vm, struct guest_page *page, u64 cr3, u64 linear)
{
	u64 entry = cr3, offset;
	u32 shift = 39;

	for (;; shift -= 9) {
		page->leaf = low_ram(vm, (entry & PTE_ADDRESS) + (linear >> shift & 0x1ff) * 8);
		if (!page->leaf)
			return false;
		entry = guest_word(page->leaf);
		if ((entry & (PTE_PRESENT | PTE_PAGE_SIZE)) != PTE_PRESENT || shift == PAGE_SHIFT)
			break;
	}
	offset = BIT64(shift) - 1;
	page->cr3 = cr3;
	page->entry = entry;
	page->bytes = low_ram(vm, (entry & PTE_ADDRESS & ~offset) | (linear & offset & ~0xfffULL));
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
