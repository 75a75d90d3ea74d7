/*
 * Any bytes in any mode: decoding stays inside them, says the same again, and an instruction ends
 * where its length says: with one byte less it is truncated, with others after it nothing changes.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/emul/decode.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool fact)
{
	if (!fact)
		__builtin_trap();
}

/* Decodes from a copy of exactly `count` bytes, so that the sanitizer sees every byte too far. */
static enum decode_result decode(const u8 *bytes, size_t count, unsigned mode, struct insn *insn)
{
	u8 *copy = malloc(count);
	const char *reason = NULL;
	enum decode_result result;

	require(copy != NULL || count == 0);
	if (count > 0)
		memcpy(copy, bytes, count);
	memset(insn, 0xa5, sizeof(*insn));
	result = decode_insn(copy, count, mode, insn, &reason);
	require((result == DECODE_UNSUPPORTED) == (reason != NULL));
	free(copy);
	return result;
}

static bool size_is_valid(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static void check_operand(const struct operand *operand)
{
	require(operand->kind <= OPERAND_IMM);
	require(operand->kind == OPERAND_NONE || size_is_valid(operand->size));
	if (operand->kind == OPERAND_REG)
		require(operand->reg < GPR_COUNT);
	if (operand->kind == OPERAND_HIGH)
		require(operand->reg <= GPR_RBX && operand->size == 1);
}

static void check_insn(const struct insn *insn, unsigned mode)
{
	require(insn->op > OP_NONE && insn->op < OP_COUNT);
	require(size_is_valid(insn->operand_size) && insn->operand_size <= (mode == 8 ? 8 : 4));
	require(size_is_valid(insn->address_size) && insn->address_size > 1);
	require(insn->address_size <= (mode == 8 ? 8 : 4));
	require(insn->segment <= SEG_GS);
	require(insn->memory.base < GPR_COUNT || insn->memory.base == REG_NONE);
	require(insn->memory.index < GPR_COUNT || insn->memory.index == REG_NONE);
	require(insn->memory.scale <= 3);
	require(!insn->memory.rip_relative || mode == 8);
	require(insn->dst.kind != OPERAND_MEM || insn->src.kind != OPERAND_MEM);
	require(!insn->lock || insn->dst.kind == OPERAND_MEM);
	check_operand(&insn->dst);
	check_operand(&insn->src);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 modes[] = { 2, 4, 8 };
	struct insn insn, again;
	enum decode_result result;
	unsigned mode;
	u8 length;

	if (size == 0)
		return 0;
	mode = modes[data[0] % ARRAY_SIZE(modes)];
	data++, size--;
	result = decode(data, size, mode, &insn);
	require(decode(data, size, mode, &again) == result);
	require(memcmp(&insn, &again, sizeof(insn)) == 0);
	require(insn.length <= INSN_BYTES_MAX && insn.length <= size);
	require(result != DECODE_TRUNCATED || size < INSN_BYTES_MAX);
	require(result != DECODE_TOO_LONG || size >= INSN_BYTES_MAX);
	if (result != DECODE_OK)
		return 0;
	length = insn.length;
	require(length > 0);
	check_insn(&insn, mode);
	require(decode(data, length, mode, &again) == DECODE_OK);
	require(memcmp(&insn, &again, sizeof(insn)) == 0);
	require(decode(data, length - 1U, mode, &again) == DECODE_TRUNCATED);
	return 0;
}
