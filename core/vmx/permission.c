/* SDM, "I/O-Bitmap Addresses" and "MSR-Bitmap Address": bitmaps of what does not exit. */
#include "core/vmx/permission.h"

#include "core/mem/core_map.h"
#include "core/virt/permission.h"

#define MSR_RANGE  0x2000U		 /* MSRs a range, a bit each */
#define MSR_WRITES (2 * (MSR_RANGE / 8)) /* behind both ranges' bits of reads */

static struct permission permission;

static void msr_allow(u8 *map, u32 msr)
{
	static const u32 base[] = { 0x00000000, 0xc0000000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		u32 offset = msr - base[i], byte = (i * MSR_RANGE + offset) / 8;

		if (offset < MSR_RANGE) {
			map[byte] &= (u8)~BIT32(offset % 8);
			map[MSR_WRITES + byte] &= (u8)~BIT32(offset % 8);
		}
	}
}

enum err vmx_permission_init(void)
{
	return permission_build(&permission, PAGE_SIZE, msr_allow);
}

hpa_t vmx_permission_io(void)
{
	return core_physical(permission.io);
}

hpa_t vmx_permission_msr(void)
{
	return core_physical(permission.msr);
}
