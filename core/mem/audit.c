/*
 * A page has one owner, so what this comes down to is that each address space leads to its owner's
 * pages alone, but for what is shared by design, and that its tables belong to nobody else.
 */
#include "core/mem/audit.h"

#include "core/mem/core_map.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/trace/log.h"
#include "core/virt/vm.h"
#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "lib/x86/registers.h"

#define LINES_MAX 8 /* logged for each address space */

extern u64 core_pml4[];

struct space {
	const struct rule *rule;
	const struct process *process; /* NULL: the core */
	frame_owner_t owner;	       /* of its pages */
	u32 findings;
};

struct rule {
	const char *space, *expected;
	bool (*allows)(const struct space *s, u64 virtual, const struct paging_leaf *page);
};

/* Whose pages or page tables they are; NULL: no process's. */
static const struct process *process_of(hpa_t frame)
{
	u32 owner = frames_owner(frame);

	return owner < FRAME_OWNER_PROCESS ? NULL : process_find((owner - FRAME_OWNER_PROCESS) / 2);
}

/* Pages that an owner has, from the first of the entry on. */
static u64 owned_bytes(const struct paging_leaf *page, frame_owner_t owner)
{
	return frames_run(page->physical, page->bytes / PAGE_SIZE, owner) * PAGE_SIZE;
}

/* Of a page in root mode that is ring 3's (PTE_USER) or not (0). */
static bool is_w_xor_x(const struct paging_leaf *page, u64 user)
{
	return (page->entry & PTE_USER) == user &&
	       (!(page->entry & PTE_WRITE) || (page->entry & PTE_NX));
}

/* A VMM's page that the core has in its heap: a vCPU's page, or counters. */
static bool is_shared_object(u64 virtual, const struct paging_leaf *page)
{
	const struct process *p = process_of(page->physical);

	for (u32 i = 0; p && p->vm && page->bytes == PAGE_SIZE && i < p->vm->vcpu_count; i++) {
		const struct vcpu *v = p->vm->vcpus[i];

		if (v &&
		    (virtual == (u64)v->page || virtual == align_down((u64)v->counters, PAGE_SIZE)))
			return frames_owner(page->physical) == process_owner(p);
	}
	return false;
}

static bool core_allows(const struct space *s, u64 virtual, const struct paging_leaf *page)
{
	bool device = virtual >= LAYOUT_DEVICES && virtual < LAYOUT_WINDOWS;

	return is_w_xor_x(page, 0) &&
	       (owned_bytes(page, device ? FRAME_ABSENT : s->owner) == page->bytes ||
		is_shared_object(virtual, page));
}

/* Where the supervisor has the channel of a VM's VMM and, read-only, the counters. */
static bool is_vmms_share(u64 virtual, const struct paging_leaf *page)
{
	const struct process *p = process_of(page->physical);
	const struct vm *vm = p ? p->vm : NULL;
	u64 channel, counters;
	struct paging_leaf own;

	if (!vm || page->bytes != PAGE_SIZE)
		return false;
	channel = virtual - SUPERVISOR_CHANNEL_BASE - vm->number * SUPERVISOR_CHANNEL_STEP;
	counters = virtual - SUPERVISOR_COUNTER_BASE - vm->number * SUPERVISOR_COUNTER_STEP;
	if (channel < CHANNEL_PAGES * PAGE_SIZE)
		return paging_find(&p->space, VMM_CHANNEL_BASE + channel, &own) &&
		       own.physical.raw == page->physical.raw;
	return counters < vm->vcpu_count * sizeof(*vm->counters) && !(page->entry & PTE_WRITE) &&
	       core_physical((u8 *)vm->counters + counters).raw == page->physical.raw;
}

/* Which boot modules a VMM sees is the supervisor's to say; none can be changed or run. */
static bool process_allows(const struct space *s, u64 virtual, const struct paging_leaf *page)
{
	if (!is_w_xor_x(page, PTE_USER))
		return false;
	if (owned_bytes(page, FRAME_MODULE) == page->bytes)
		return (page->entry & (PTE_WRITE | PTE_NX)) == PTE_NX;
	return owned_bytes(page, s->owner) == page->bytes ||
	       (!s->process->vm && is_vmms_share(virtual, page));
}

/* A guest has RAM, where its VMM has the same, and the APIC-access page, which holds nothing. */
static bool guest_allows(const struct space *s, u64 gpa, const struct paging_leaf *page)
{
	u64 same = gpa == LAPIC_BASE_ADDRESS ? PAGE_SIZE : 0;
	struct paging_leaf own;

	while (same < page->bytes && vm_is_ram(s->process->vm, GPA(gpa + same)) &&
	       paging_find(&s->process->space, VMM_RAM_BASE + gpa + same, &own) &&
	       own.physical.raw == page->physical.raw + same)
		same += own.bytes - own.physical.raw % own.bytes;
	return same >= page->bytes && owned_bytes(page, s->owner) == page->bytes;
}

static const struct rule core_rule = { "the core", "its own or what it shares, W^X", core_allows };
static const struct rule process_rule = { "", "its own or what it shares, W^X", process_allows };
static const struct rule guest_rule = { "the guest of ", "RAM of this VM", guest_allows };

/* Names the first page that somebody else owns, or the first at all if its rights are wrong. */
static void finding_log(const struct space *s, u64 virtual, const struct paging_leaf *entry,
			bool table)
{
	static const char *const fixed[] = { "nobody", "nobody yet", "the core", "a boot module",
					     "nobody known" };
	u64 offset = table ? 0 : owned_bytes(entry, s->owner) % entry->bytes;
	hpa_t at = hpa_add(entry->physical, offset);
	frame_owner_t owner = frames_owner(at);
	const struct process *p = process_of(at);

	log_error("audit: %s%s: %016lx leads to %lx of %s%s; expected %s (entry %lx, %lu KiB)",
		  s->rule->space, s->process ? s->process->name : "", virtual + offset, at.raw,
		  p && owner == process_table_owner(p) ? "the page tables of " : "",
		  p ? p->name : fixed[min_u64(owner, ARRAY_SIZE(fixed) - 1)],
		  table ? "a table of its own" : s->rule->expected, entry->entry,
		  entry->bytes / KIB);
}

/* The core's half of a process is looked at once, as the core's; its windows lead anywhere. */
static bool is_elsewhere(const struct space *s, u64 virtual, u64 entry)
{
	if (s->rule == &core_rule)
		return virtual == LAYOUT_WINDOWS;
	return s->rule == &process_rule && virtual == LAYOUT_CORE_START &&
	       ((entry ^ core_pml4[PAGING_ENTRIES - 1]) & ~PTE_ACCESSED) == 0;
}

static bool entry_check(void *space, u64 virtual, const struct paging_leaf *entry, bool table)
{
	struct space *s = space;

	if (table && is_elsewhere(s, virtual, entry->entry))
		return false;
	if (table ? frames_owner(entry->physical) == s->owner + (s->process != NULL)
		  : s->rule->allows(s, virtual, entry))
		return true;
	if (s->findings++ < LINES_MAX)
		finding_log(s, virtual, entry, table);
	return false;
}

static u32 space_check(const struct rule *rule, const struct page_table *tables,
		       const struct process *p)
{
	struct space s = { rule, p, p ? process_owner(p) : FRAME_CORE, 0 };

	if (entry_check(&s, 0, &(struct paging_leaf){ tables->root, 0, PAGE_SIZE }, true))
		paging_walk(tables, entry_check, &s);
	return s.findings;
}

u32 audit_run(void)
{
	const struct page_table core = core_paging();
	u32 findings = space_check(&core_rule, &core, NULL);

	for (u32 i = 0; i < PROCESS_MAX; i++) {
		const struct process *p = process_find(i);

		if (p)
			findings += space_check(&process_rule, &p->space, p);
		if (p && p->vm)
			findings += space_check(&guest_rule, &p->vm->stage2, p);
	}
	return findings;
}
