/* Integers only: root mode has no floating point. */
#include "supervisor/units.h"

#include "lib/base/format.h"
#include "lib/base/mul_div.h"

struct units units_memory(u64 bytes)
{
	static const char letters[] = { 'K', 'M', 'G' };
	struct units out;
	u64 count = bytes / KIB;
	u32 unit = 0;

	while (unit + 1 < ARRAY_SIZE(letters) && count > 0 && count % KIB == 0) {
		count /= KIB;
		unit++;
	}
	format(out.text, sizeof(out.text), "%lu%c", count, letters[unit]);
	return out;
}

struct units units_time(u64 tsc, u64 tsc_khz)
{
	u64 hundredths = tsc / (tsc_khz * 10);
	u64 seconds = hundredths / 100;
	struct units out;

	format(out.text, sizeof(out.text), "%lu:%02lu:%02lu.%02lu", seconds / 3600,
	       seconds / 60 % 60, seconds % 60, hundredths % 100);
	return out;
}

struct units units_share(u64 part, u64 whole)
{
	u64 permille = whole ? mul_div(part, 1000, whole) : 0;
	struct units out;

	if (whole == 0)
		format(out.text, sizeof(out.text), "-");
	else
		format(out.text, sizeof(out.text), "%lu.%lu %%", permille / 10, permille % 10);
	return out;
}

u64 units_rate(u64 count, u64 tsc, u64 tsc_khz)
{
	return tsc ? mul_div(count, tsc_khz * 1000, tsc) : 0;
}
