/*
 * Takes an exception while the stack is where nothing is: the delivery itself cannot be emulated,
 * so the VM ends with a reason instead of looping or losing the exception.
 */
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/trap.h"

const char micro_name[] = "unbacked-stack";

void micro_main(void)
{
	say("taking an exception without a stack");
	if (!policy("the VM ends"))
		return;
	tss.ist[2] = GIB;
	idt[EXC_UD].ist = 3;
	TRY("ud2");
	check(false, "still running after an exception without a stack");
}
