/* SDM, "I/O-Bitmap Addresses" and "MSR-Bitmap Address": bitmaps of what does not exit. */
#include "core/vmx/permission.h"

#include "core/mem/heap.h"
#include "core/virt/lapic.h"
#include "lib/base/string.h"

#define MSR_RANGE  0x2000U		 /* MSRs a range, a bit each */
#define MSR_WRITES (2 * (MSR_RANGE / 8)) /* behind both ranges' bits of reads */

struct permission vmx_permission;
u8 *vmx_msr_x2apic;

/* In a half of the map: reads, or writes. */
static void half_allow(u8 *half, u32 msr)
{
	static const u32 base[] = { 0x00000000, 0xc0000000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		u32 offset = msr - base[i];

		if (offset < MSR_RANGE)
			half[(i * MSR_RANGE + offset) / 8] &= (u8)~BIT32(offset % 8);
	}
}

static void msr_allow(u8 *map, u32 msr)
{
	half_allow(map, msr);
	half_allow(map + MSR_WRITES, msr);
}

/*
 * Reads that the page answers, and the writes that the processor virtualizes. Any other write that
 * did not exit would reach the local APIC of the machine. SDM, "Virtualizing MSR-Based APIC
 * Accesses".
 */
static void x2apic_allow(u8 *map)
{
	static const u32 writes[] = { MSR_X2APIC_TPR, MSR_X2APIC_EOI, MSR_X2APIC_SELF_IPI };

	for (u32 msr = MSR_IA32_X2APIC_FIRST; msr <= MSR_IA32_X2APIC_LAST; msr++) {
		if (lapic_msr_is_in_page(msr))
			half_allow(map, msr);
	}
	for (u32 i = 0; i < ARRAY_SIZE(writes); i++)
		half_allow(map + MSR_WRITES, writes[i]);
}

void vmx_permission_init(void)
{
	permission_build(&vmx_permission, PAGE_SIZE, msr_allow);
	vmx_msr_x2apic = heap_alloc(PAGE_SIZE);
	memcpy(vmx_msr_x2apic, vmx_permission.msr, PAGE_SIZE);
	x2apic_allow(vmx_msr_x2apic);
}
