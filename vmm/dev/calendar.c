/* Gregorian dates: leap years divide by four, but of the centuries only every fourth. */
#include "vmm/dev/calendar.h"

#define DAYS_PER_400_YEARS 146097ULL
#define FIRST_WEEKDAY	   6U /* 1 January of the year 0 was a Saturday */

static bool year_is_leap(u32 year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static u64 year_first_day(u64 year)
{
	return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

static unsigned month_days(u32 year, unsigned month)
{
	static const u8 days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && year_is_leap(year) ? 1U : 0U);
}

struct calendar calendar_from_seconds(u64 seconds)
{
	u64 day = seconds / SECONDS_PER_DAY;
	unsigned clock = (unsigned)(seconds % SECONDS_PER_DAY);
	u32 year = (u32)(day * 400 / DAYS_PER_400_YEARS); /* at most one off */
	unsigned month = 1;
	unsigned left;

	if (day < year_first_day(year))
		year--;
	else if (day >= year_first_day(year + 1ULL))
		year++;
	left = (unsigned)(day - year_first_day(year));
	while (left >= month_days(year, month))
		left -= month_days(year, month++);
	return (struct calendar){
		.year = year,
		.month = (u8)month,
		.day = (u8)(left + 1),
		.hour = (u8)(clock / 3600),
		.minute = (u8)(clock / 60 % 60),
		.second = (u8)(clock % 60),
		.weekday = (u8)((day + FIRST_WEEKDAY) % 7),
	};
}

u64 calendar_to_seconds(const struct calendar *date)
{
	u64 day = year_first_day(date->year) + date->day - 1U;

	for (unsigned month = 1; month < date->month; month++)
		day += month_days(date->year, month);
	return day * SECONDS_PER_DAY + date->hour * 3600U + date->minute * 60U + date->second;
}
