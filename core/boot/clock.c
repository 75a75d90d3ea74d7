/* MC146818A data sheet, "Time, Calendar, and Alarm Locations". */
#include "core/boot/clock.h"

#include "core/cpu/insn.h"

#define RTC_INDEX      0x70
#define RTC_DATA       0x71
#define RTC_SECONDS    0x00
#define RTC_MINUTES    0x02
#define RTC_HOURS      0x04
#define RTC_DAY	       0x07
#define RTC_MONTH      0x08
#define RTC_YEAR       0x09
#define RTC_STATUS_A   0x0a
#define RTC_STATUS_B   0x0b
#define STATUS_A_UIP   0x80
#define STATUS_B_24H   0x02
#define STATUS_B_BIN   0x04
#define HOUR_PM	       0x80
#define UIP_SPIN_LIMIT 100000U

u64 clock_boot_seconds;
u64 clock_boot_tsc;

static u8 rtc_read(u8 index)
{
	out8(RTC_INDEX, index);
	return in8(RTC_DATA);
}

static u64 from_bcd(u8 value, u8 status_b)
{
	return status_b & STATUS_B_BIN ? value : (u64)(value >> 4) * 10 + (value & 15);
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar, years beginning in March. */
static u64 days_from_date(u64 year, u64 month, u64 day)
{
	u64 y = month > 2 ? year : year - 1;
	u64 m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

void clock_init(void)
{
	u8 status_b = rtc_read(RTC_STATUS_B);
	u64 hour, days;
	u8 raw_hour;

	for (u32 i = 0; i < UIP_SPIN_LIMIT && (rtc_read(RTC_STATUS_A) & STATUS_A_UIP); i++)
		cpu_relax();
	clock_boot_tsc = rdtsc();
	raw_hour = rtc_read(RTC_HOURS);
	hour = from_bcd(raw_hour & (u8)~HOUR_PM, status_b);
	if (!(status_b & STATUS_B_24H))
		hour = hour % 12 + (raw_hour & HOUR_PM ? 12 : 0);
	days = days_from_date(2000 + from_bcd(rtc_read(RTC_YEAR), status_b),
			      from_bcd(rtc_read(RTC_MONTH), status_b),
			      from_bcd(rtc_read(RTC_DAY), status_b));
	clock_boot_seconds =
		((days * 24 + hour) * 60 + from_bcd(rtc_read(RTC_MINUTES), status_b)) * 60 +
		from_bcd(rtc_read(RTC_SECONDS), status_b);
}
