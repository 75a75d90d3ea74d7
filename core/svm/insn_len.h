/* Instruction lengths for processors that do not report the next RIP. */
#pragma once

#include "lib/base/types.h"

#define INSN_OPCODE_MAX 3

struct insn_opcode {
	u8 length;
	u8 byte[INSN_OPCODE_MAX];
};

/*
 * Length of the instruction at `bytes` (`count` of them are readable, at most 15 count), which must
 * be `opcode` behind any prefixes; 0 when it is not, or when it does not fit.
 */
u32 insn_length(const u8 *bytes, u32 count, bool long_mode, const struct insn_opcode *opcode);
