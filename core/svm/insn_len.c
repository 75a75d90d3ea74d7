/* APM, "Instruction Prefixes": legacy prefixes in any order, then at most one REX that counts. */
#include "core/svm/insn_len.h"

#define INSN_BYTES_MAX 15U

static bool is_legacy_prefix(u8 byte)
{
	switch (byte) {
	case 0x26: /* segment overrides */
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66: /* operand size */
	case 0x67: /* address size */
	case 0xf0: /* LOCK: the processor would have raised #UD, but it is a prefix */
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

static bool is_rex(u8 byte)
{
	return (byte & 0xf0) == 0x40;
}

u32 insn_length(const u8 *bytes, u32 count, bool long_mode, const struct insn_opcode *opcode)
{
	u32 at = 0;

	if (count > INSN_BYTES_MAX)
		count = INSN_BYTES_MAX;
	while (at < count && (is_legacy_prefix(bytes[at]) || (long_mode && is_rex(bytes[at]))))
		at++;
	for (u32 i = 0; i < opcode->length; i++, at++) {
		if (at >= count || bytes[at] != opcode->byte[i])
			return 0;
	}
	return at;
}
