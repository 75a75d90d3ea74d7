/* Instruction lengths for processors that do not report the next RIP. */
#pragma once

#include "lib/base/types.h"

#define INSN_OPCODE_MAX 3

struct insn_opcode {
	u8 length;
	u8 byte[INSN_OPCODE_MAX];
};

/* Whether the bytes of `word`, as in memory, begin with `opcode`, without any prefix. */
static inline bool insn_starts(u64 word, const struct insn_opcode *opcode)
{
	u32 want;

	static_assert(sizeof(*opcode) == sizeof(want), "length, then the bytes");
	__builtin_memcpy(&want, opcode, sizeof(want));
	return (word ^ want >> 8) << (64 - 8 * opcode->length) == 0;
}

/*
 * MOV to CR8: the number of the register that it reads, in *source, and its length; 0 when the
 * bytes show something else.
 */
u32 insn_cr8_write(const u8 *bytes, u32 count, bool long_mode, u32 *source);

/*
 * Length of the instruction at `bytes` (`count` of them are readable, at most 15 count), which must
 * be `opcode` behind any prefixes; 0 when it is not, or when it does not fit.
 */
u32 insn_length(const u8 *bytes, u32 count, bool long_mode, const struct insn_opcode *opcode);
