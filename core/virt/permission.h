/* Bitmaps of what exits, a set bit an exit: all ports, and the MSRs that the policy does not pass.
 */
#pragma once

#include "lib/base/types.h"

struct permission {
	u8 *io;	 /* three pages, the first two a bit a port */
	u8 *msr; /* in the vendor's format */
};

/* `msr_allow` clears the bits of one MSR, of reads and writes, where the format has them. */
void permission_build(struct permission *p, u64 msr_bytes, void (*msr_allow)(u8 *map, u32 msr));
