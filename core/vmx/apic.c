/*
 * APIC virtualization: the processor works on the guest's local APIC page by itself, delivers the
 * interrupts in it, and exits for what has consequences elsewhere. All of it or nothing is used:
 * priorities in the page are kept only by a processor that delivers. SDM, "APIC Virtualization and
 * Virtual Interrupts".
 */
#include "core/mem/core_map.h"
#include "core/sys/process.h"
#include "core/vmx/caps.h"
#include "core/vmx/insn.h"
#include "core/vmx/permission.h"
#include "core/vmx/vmx.h"
#include "lib/base/assert.h"

#define EOI_BITMAPS 4U

static const u32 mode_controls[] = {
	[LAPIC_MODE_XAPIC] = VMX_APICV & ~PROC2_X2APIC,
	[LAPIC_MODE_X2APIC] = VMX_APICV & ~PROC2_APIC_ACCESS,
};

/*
 * The APIC-access page says where accesses are virtualized; nobody sees what it holds while they
 * are. A vCPU outside xAPIC mode would see it, hence one for each VM.
 */
enum err vmx_apic_init(const struct vcpu *v)
{
	struct page_table *stage2 = &v->vm->stage2;
	struct paging_leaf leaf;
	enum err err;

	if (!vmx_caps.apicv)
		return ERR_OK;
	if (!paging_find(stage2, LAPIC_BASE_ADDRESS, &leaf)) {
		err = frames_alloc(process_owner(v->vm->process), 1, 1, &leaf.physical);
		if (!err)
			err = paging_map(stage2, LAPIC_BASE_ADDRESS, leaf.physical, PAGE_SIZE,
					 MAP_READ | MAP_WRITE);
		if (err)
			return err;
	}
	vmwrite(VMCS_APIC_ACCESS, leaf.physical.raw);
	return ERR_OK;
}

static bool any_in_xapic_mode(const struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (lapic_mode(&vm->vcpus[i]->lapic) == LAPIC_MODE_XAPIC)
			return true;
	}
	return false;
}

/* Where no local APIC answers, an access is one to device memory: nothing is there. */
static void access_page_sync(struct vm *vm)
{
	struct paging_leaf leaf;
	bool wanted = any_in_xapic_mode(vm);
	enum err err;

	if (wanted == paging_find(&vm->stage2, LAPIC_BASE_ADDRESS, &leaf))
		return;
	if (!wanted) {
		paging_unmap(&vm->stage2, LAPIC_BASE_ADDRESS, PAGE_SIZE);
		return;
	}
	err = paging_map(&vm->stage2, LAPIC_BASE_ADDRESS, HPA(vmread(VMCS_APIC_ACCESS)), PAGE_SIZE,
			 MAP_READ | MAP_WRITE);
	assert(err == ERR_OK); /* the tables are there since vmx_apic_init() */
}

static void mode_sync(struct vcpu *v, struct vmx_vcpu *x)
{
	u32 mode = lapic_mode(&v->lapic);
	const u8 *bitmap;

	if (mode == x->apic_mode || !vmx_caps.apicv)
		return;
	x->apic_mode = mode;
	bitmap = mode == LAPIC_MODE_X2APIC ? vmx_msr_x2apic : vmx_permission.msr;
	vmwrite(VMCS_MSR_BITMAP, core_physical(bitmap).raw);
	vmwrite(VMCS_PROC2_CONTROLS, vmx_caps.proc2 | mode_controls[mode]);
	spin_lock(&system_lock); /* the VM's other processors may be at it as well */
	access_page_sync(v->vm);
	spin_unlock(&system_lock);
	invept(INVALIDATE_SINGLE, x->ept_pointer); /* translations know the page, or do not */
}

/* The I/O APIC hears of the end of level-triggered interrupts. */
static void eoi_exits_sync(struct lapic *l)
{
	const u32 *tmr = &l->reg[LAPIC_TMR];

	for (u32 i = 0; l->tmr_changed && i < EOI_BITMAPS; i++)
		vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, tmr[8 * i] | (u64)tmr[8 * i + 4] << 32);
	l->tmr_changed = false;
}

static u64 vector_or_0(int vector)
{
	return vector < 0 ? 0 : (u64)vector;
}

bool vmx_apic_sync(struct vcpu *v)
{
	struct vmx_vcpu *x = vmx_vcpu(v);
	u64 requested, serviced;

	mode_sync(v, x);
	if (!vmx_apic_delivers(x))
		return false;
	requested = vector_or_0(lapic_irr_highest(&v->lapic));
	serviced = vector_or_0(lapic_isr_highest(&v->lapic));
	vmwrite(VMCS_GUEST_INTERRUPT_STATUS,
		field_set(STATUS_RVI, field_set(STATUS_SVI, 0, serviced), requested));
	eoi_exits_sync(&v->lapic);
	return true;
}

void vmx_apic_collect(struct vcpu *v)
{
	u64 status = vmread(VMCS_GUEST_INTERRUPT_STATUS);

	lapic_vectors_changed(&v->lapic, (u8)field_get(STATUS_RVI, status),
			      (u8)field_get(STATUS_SVI, status));
}
