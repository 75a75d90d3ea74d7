/* The same policy rows for both vendors' bitmaps. */
#include "core/virt/permission.h"

#include "core/mem/heap.h"
#include "core/virt/msr.h"
#include "lib/base/string.h"

#define IO_BYTES (3 * PAGE_SIZE)

void permission_build(struct permission *p, u64 msr_bytes, void (*msr_allow)(u8 *map, u32 msr))
{
	u32 count;
	const struct msr_row *rows = msr_rows(&count);

	p->io = heap_alloc(IO_BYTES);
	p->msr = heap_alloc(msr_bytes);
	memset(p->io, 0xff, IO_BYTES);
	memset(p->msr, 0xff, msr_bytes);
	for (u32 i = 0; i < count; i++) {
		if (rows[i].class == MSR_CLASS_PASS)
			msr_allow(p->msr, rows[i].first);
	}
}
