/* Sizes, times and shares as text for people. */
#pragma once

#include "lib/base/types.h"

#define UNITS_BYTES 24U /* room for any of them */

struct units {
	char text[UNITS_BYTES];
};

/* "512M", or the largest unit of 1024 that loses nothing. */
struct units units_memory(u64 bytes);
/* "1:02:03.45": hours, minutes, seconds. */
struct units units_time(u64 tsc, u64 tsc_khz);
/* "12.3 %", of nothing "-". */
struct units units_share(u64 part, u64 whole);
/* How many a second, over a time that may be zero. */
u64 units_rate(u64 count, u64 tsc, u64 tsc_khz);
