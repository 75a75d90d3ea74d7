/* APM, "Instruction Prefixes": legacy prefixes in any order, then at most one REX that counts. */
#include "core/svm/insn_len.h"

#define INSN_BYTES_MAX 15U
#define MODRM_RM       0x07
#define REX_B	       0x01

/* LOCK among them: the processor would have raised #UD, but it is a prefix. */
static bool is_legacy_prefix(u8 byte)
{
	bool segment = (byte & 0xe7) == 0x26 || byte == 0x64 || byte == 0x65; /* 26, 2E, 36, 3E */
	bool size = byte == 0x66 || byte == 0x67;

	return segment || size || byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

static bool is_rex(u8 byte)
{
	return (byte & 0xf0) == 0x40;
}

/* Skips the prefixes; *rex is the REX that counts, 0 without one. */
static u32 prefixes_skip(const u8 *bytes, u32 count, bool long_mode, u8 *rex)
{
	u32 at = 0;

	*rex = 0;
	while (at < count && (is_legacy_prefix(bytes[at]) || (long_mode && is_rex(bytes[at])))) {
		*rex = is_rex(bytes[at]) ? bytes[at] : 0;
		at++;
	}
	return at;
}

u32 insn_length(const u8 *bytes, u32 count, bool long_mode, const struct insn_opcode *opcode)
{
	u32 limit = count < INSN_BYTES_MAX ? count : INSN_BYTES_MAX;
	u8 rex;
	u32 at = prefixes_skip(bytes, limit, long_mode, &rex);

	for (u32 i = 0; i < opcode->length; i++, at++) {
		if (at >= limit || bytes[at] != opcode->byte[i])
			return 0;
	}
	return at;
}

/* APM, "MOV CRn": 0F 22 /r; CR8 is number 8 by REX.R, or by LOCK with number 0. */
u32 insn_cr8_write(const u8 *bytes, u32 count, bool long_mode, u32 *source)
{
	const struct insn_opcode mov_to_cr = { 2, { 0x0f, 0x22 } };
	u32 length = insn_length(bytes, count, long_mode, &mov_to_cr);
	u8 rex;

	if (length == 0 || length >= count || length >= INSN_BYTES_MAX)
		return 0;
	prefixes_skip(bytes, length, long_mode, &rex);
	*source = (bytes[length] & MODRM_RM) | (rex & REX_B ? 8 : 0);
	return length + 1;
}
