/* APM, "IOIO Intercept" and "MSR Intercept": bitmaps of what does not exit. */
#include "core/svm/svm.h"

#define MSRPM_BYTES (2 * PAGE_SIZE)
#define MSRPM_RANGE 0x2000U /* MSRs a range, two bits each: reads, writes */
#define MSRPM_BOTH  3U

struct permission svm_permission;

static void msrpm_allow(u8 *map, u32 msr)
{
	static const u32 base[] = { 0x00000000, 0xc0000000, 0xc0010000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		u32 offset = msr - base[i];

		if (offset < MSRPM_RANGE)
			map[(i * MSRPM_RANGE + offset) / 4] &= (u8) ~(MSRPM_BOTH << offset % 4 * 2);
	}
}

void svm_permission_init(void)
{
	permission_build(&svm_permission, MSRPM_BYTES, msrpm_allow);
}
