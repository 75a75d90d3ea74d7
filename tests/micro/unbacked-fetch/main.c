/*
 * Runs code where nothing is. No processor can be emulated there: the VM ends with a reason, and
 * nothing else does. (On real hardware the ones that nobody drives would decode as #UD.)
 */
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/trap.h"

const char micro_name[] = "unbacked-fetch";

void micro_main(void)
{
	say("jumping to where nothing is");
	if (!policy("the VM ends"))
		return;
	trap_clear();
	try_jump(GIB);
	check(false, "still running after a jump to nowhere: vector %lu", trap.vector);
}
