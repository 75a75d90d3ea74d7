/* Dates of the Gregorian calendar, counted from 1 January of the year 0. */
#pragma once

#include "lib/base/types.h"

#define SECONDS_PER_DAY 86400ULL
/* 1 January 1970 */
#define CALENDAR_UNIX_DAY 719528ULL

struct calendar {
	u32 year;
	u8 month; /* 1 to 12 */
	u8 day;	  /* 1 to 31 */
	u8 hour;
	u8 minute;
	u8 second;
	u8 weekday; /* 0 is Sunday */
};

/* `seconds` since the year 0, at most some thousand years. */
struct calendar calendar_from_seconds(u64 seconds);
/* A day beyond the end of its month counts on into the next; weekday is not looked at. */
u64 calendar_to_seconds(const struct calendar *date);
