/* Wall-clock time at boot, from the machine's real-time clock. */
#pragma once

#include "lib/base/types.h"

extern u64 clock_boot_seconds; /* UTC, since 1970 */
extern u64 clock_boot_tsc;     /* the TSC at that moment */

void clock_init(void);
