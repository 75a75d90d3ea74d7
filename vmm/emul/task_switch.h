/*
 * Hardware task switching, for processors that leave it to root mode: CALL, JMP and IRET to another
 * task, and task gates in the IDT. SDM, "Task Switching".
 */
#pragma once

#include "vmm/emul/emul.h"

enum task_result {
	TASK_REFUSED,  /* *exception in the old task, whose state is as it was */
	TASK_SWITCHED, /* run the new task */
	TASK_TRAPPED,  /* its TSS asks for a debug trap first; DR6 says so */
	TASK_FAULTED,  /* *exception in the new task, before its first instruction */
};

/*
 * Does what VM_EXIT_TASK_SWITCH describes. emul->state is the old task's and stays; *next becomes
 * the new task's unless the switch is refused, and then emul->gpr and guest memory follow.
 * What the processor checks before it exits is checked again where memory could have changed, but
 * for privilege.
 */
MUST_USE enum task_result task_switch(const struct emul *emul, const struct vm_exit *exit,
				      struct vcpu_state *next, struct emul_exception *exception);
