/* APM, "IOIO Intercept" and "MSR Intercept": bitmaps of what does not exit. */
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/svm/svm.h"
#include "lib/base/string.h"

#define IOPM_BYTES  (3 * PAGE_SIZE)
#define MSRPM_BYTES (2 * PAGE_SIZE)
#define MSRPM_RANGE 0x2000U /* MSRs a range, two bits each */
#define MSRPM_READ  1U
#define MSRPM_WRITE 2U

static u8 *iopm, *msrpm;

/* Byte and shift of an MSR's two bits; false: outside the map, always intercepted. */
static bool msrpm_place(u32 msr, u32 *byte, u32 *shift)
{
	static const u32 base[] = { 0x00000000, 0xc0000000, 0xc0010000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		u32 offset = msr - base[i];

		if (offset < MSRPM_RANGE) {
			*byte = i * MSRPM_RANGE / 4 + offset / 4;
			*shift = offset % 4 * 2;
			return true;
		}
	}
	return false;
}

static void msrpm_allow(u32 msr, u32 access)
{
	u32 byte, shift;

	if (msrpm_place(msr, &byte, &shift))
		msrpm[byte] &= (u8) ~(access << shift);
}

enum err permission_init(void)
{
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	iopm = heap_try_alloc(IOPM_BYTES);
	msrpm = heap_try_alloc(MSRPM_BYTES);
	if (!iopm || !msrpm)
		return ERR_NO_MEMORY;
	memset(iopm, 0xff, IOPM_BYTES);
	memset(msrpm, 0xff, MSRPM_BYTES);
	for (u32 i = 0; i < count; i++) {
		if (rows[i].class == MSR_CLASS_PASS)
			msrpm_allow(rows[i].first, MSRPM_READ | MSRPM_WRITE);
	}
	return ERR_OK;
}

hpa_t permission_io(void)
{
	return core_physical(iopm);
}

hpa_t permission_msr(void)
{
	return core_physical(msrpm);
}
