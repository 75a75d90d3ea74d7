/*
 * The arithmetic of instructions: operand values and flags in, operand values and flags out.
 * Governed by SDM, "Instruction Set Reference". Flags that the manual leaves undefined keep their
 * value, except that AF is cleared by logic and by shifts.
 */
#pragma once

#include "lib/base/types.h"
#include "vmm/emul/decode.h"

struct alu {
	u64 dst, src;	 /* zero-extended from their sizes; results may have more bits */
	u64 accumulator; /* RAX, for CMPXCHG */
	u64 rflags;
	u8 size;	       /* of dst, in bytes */
	u8 src_size;	       /* differs from size for extending moves */
	u8 condition;	       /* for SETcc and CMOVcc */
	bool sets_accumulator; /* result: CMPXCHG did not match */
};

#define ALU_READS_DST  0x01
#define ALU_WRITES_DST 0x02
#define ALU_WRITES_SRC 0x04

struct alu_row {
	void (*compute)(struct alu *alu); /* NULL: the operation is not arithmetic */
	u8 flags;			  /* ALU_* */
};

const struct alu_row *alu_row(enum insn_op op);

/* SDM, "EFLAGS Condition Codes" */
bool condition_is_true(u8 condition, u64 rflags);
