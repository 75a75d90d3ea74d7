/*
 * Walks page tables that lie where nothing is. The VM may see the page fault that tables full of
 * ones would give (reserved bits), or end with a reason; it must not hang.
 */
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/trap.h"

const char micro_name[] = "unbacked-tables";

void micro_main(void)
{
	say("using page tables that are nowhere");
	if (!policy("the VM ends"))
		return;
	pml4[2] = GIB | PTE_PRESENT | PTE_WRITE;
	TRY("cmpl $0, (%0)", "r"(2 * WINDOW_BASE));
	check(trap.count == 1 && trap.vector == EXC_PF, "only a page fault may come back");
}
