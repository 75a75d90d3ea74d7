/* What the handler of an exit wants; none of them touches RIP, the interrupt shadow or single-step.
 */
#pragma once

enum verdict {
	RESUME,	   /* enter again as things are */
	INSN_DONE, /* the instruction is finished */
	TO_VMM,	   /* the VMM must handle it */
};
