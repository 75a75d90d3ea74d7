/* Every row of the MSR policy, seen from the guest: it can be read, and fixed values stay. */
#include "tests/micro/msr/policy.h"

#include "core/virt/msr.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"

static void check_fixed(u32 first, u32 last, u64 want, const char *name)
{
	for (u32 index = first; index <= last; index++) {
		u64 value = 0;

		check(msr_read(index, &value) && value == want, "%s: %x reads %lx", name, index,
		      value);
		check(msr_write(index, ~want), "%s: %x takes a write", name, index);
		check(msr_read(index, &value) && value == want, "%s: %x stays", name, index);
	}
}

static void check_readable(u32 index, const char *name)
{
	u64 value = 0;

	check(msr_read(index, &value), "%s can be read", name);
}

void check_policy_rows(void)
{
	if (!policy("the rows of the MSR policy"))
		return;
#define MSR_PASS(msr, why)		       check_readable(msr, #msr);
#define MSR_EMULATE(first, last, handler, why) /* each has its own check */
#define MSR_FIXED(first, last, value, why)     check_fixed(first, last, value, #first);
#define MSR_TO_VMM(first, last, why)	       /* the timer guest uses them */
#include "core/virt/msr.def"
}
