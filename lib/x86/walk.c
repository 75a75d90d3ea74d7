/* The full page walk: permissions, accessed and dirty bits, error codes. */
#include "lib/x86/walk.h"

/*
 * Another processor may change an entry between our read and the compare-exchange; the walk then
 * starts over. A guest that does so without end only harms itself, but must not hold us here.
 */
#define WALK_RETRIES 16U

/* A table where nothing is reads as all ones, as on the bus. */
static bool table_read(void *owner, gpa_t gpa, u64 *value)
{
	const struct guest_memory *memory = owner;

	if (!memory->read(memory->owner, gpa, value, sizeof(*value)))
		*value = UINT64_MAX;
	return true;
}

/* The entries of a PAE page-directory-pointer table hold no rights and no accessed bit. */
static unsigned first_step_with_rights(const struct paging *p)
{
	return paging_mode(p) == PAGING_PAE ? 1 : 0;
}

static bool nx_is_enabled(const struct paging *p)
{
	return (p->cr4 & CR4_PAE) != 0 && (p->efer & EFER_NXE) != 0;
}

/* SMEP and SMAP: what keeps a supervisor away from a user page. */
static bool supervisor_is_barred(const struct paging *p, u32 access)
{
	if ((access & PF_FETCH) != 0)
		return (p->cr4 & CR4_SMEP) != 0;
	if ((p->cr4 & CR4_SMAP) == 0)
		return false;
	return (access & WALK_IMPLICIT) != 0 || (p->rflags & RFLAGS_AC) == 0;
}

/* SDM, "Determination of Access Rights" */
static bool access_is_allowed(const struct paging *p, const struct walk_path *path, u32 access)
{
	u64 every = PTE_USER | PTE_WRITE; /* a right that every entry grants */
	u64 some = 0;			  /* a restriction that some entry makes */
	bool user = (access & PF_USER) != 0;

	for (unsigned i = first_step_with_rights(p); i < path->steps; i++) {
		every &= path->step[i].entry;
		some |= path->step[i].entry & PTE_NX;
	}
	if (user && (every & PTE_USER) == 0)
		return false;
	if (!user && (every & PTE_USER) != 0 && supervisor_is_barred(p, access))
		return false;
	if ((access & PF_WRITE) != 0 && (every & PTE_WRITE) == 0)
		return !user && (p->cr0 & CR0_WP) == 0;
	return (access & PF_FETCH) == 0 || some == 0 || !nx_is_enabled(p);
}

static u32 fault_code(const struct paging *p, enum walk_result result, u32 access)
{
	u32 code = access & (PF_WRITE | PF_USER);

	if (result != WALK_NOT_PRESENT)
		code |= PF_PRESENT;
	if (result == WALK_RESERVED)
		code |= PF_RESERVED;
	if ((access & PF_FETCH) != 0 && (nx_is_enabled(p) || (p->cr4 & CR4_SMEP) != 0))
		code |= PF_FETCH;
	return code;
}

/* Sets the bits that the access leaves in the tables; false when an entry changed meanwhile. */
static bool path_mark(const struct paging *p, const struct guest_memory *memory,
		      const struct walk_path *path, u32 access)
{
	unsigned bytes = paging_shape(paging_mode(p)).entry_bytes;

	for (unsigned i = first_step_with_rights(p); i < path->steps; i++) {
		u64 found = path->step[i].entry;
		u64 marked = found | PTE_ACCESSED;

		if (i == path->steps - 1 && (access & PF_WRITE) != 0)
			marked |= PTE_DIRTY;
		if (marked == found)
			continue;
		if (memory->swap(memory->owner, path->step[i].at, &found, marked, bytes) &&
		    found != path->step[i].entry)
			return false;
	}
	return true;
}

enum walk_result walk_translate(const struct paging *paging, const struct guest_memory *memory,
				gva_t gva, u32 access, struct walk_page *page)
{
	struct guest_memory tables = *memory; /* the reader's owner; not const like the caller's */
	struct walk_path path;
	enum walk_result result;

	for (unsigned try = 0; try < WALK_RETRIES; try++) {
		result = walk_path(paging, table_read, &tables, gva, &path);
		if (result == WALK_NON_CANONICAL)
			return result;
		if (result == WALK_OK && path.steps > 0 &&
		    !access_is_allowed(paging, &path, access))
			result = WALK_DENIED;
		if (result != WALK_OK) {
			page->error_code = fault_code(paging, result, access);
			return result;
		}
		if (path_mark(paging, memory, &path, access))
			break;
	}
	page->gpa = path.gpa;
	page->bytes = PAGE_SIZE - (path.gpa.raw & (PAGE_SIZE - 1));
	return WALK_OK;
}
