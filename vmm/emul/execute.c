/* Executes what is not a string instruction: arithmetic, moves, stack. */
#include "vmm/emul/execute.h"

#include "vmm/emul/alu.h"
#include "vmm/emul/linear.h"

#define HIGH_BYTE BITS64(15, 8)

void gpr_write(u64 *gpr, unsigned bytes, u64 value)
{
	u64 mask = bytes == 4 ? UINT64_MAX : bytes_mask(bytes);

	*gpr = (*gpr & ~mask) | (value & bytes_mask(bytes));
}

static u64 gpr_or_zero(const struct emul *emul, u8 reg)
{
	return reg == REG_NONE ? 0 : emul->gpr[reg];
}

static u64 effective_address(const struct emul *emul, const struct insn *insn)
{
	u64 address = insn->memory.displacement + gpr_or_zero(emul, insn->memory.base) +
		      (gpr_or_zero(emul, insn->memory.index) << insn->memory.scale);

	if (insn->memory.rip_relative)
		address += emul->state->rip + insn->length;
	return address & bytes_mask(insn->address_size);
}

static bool op_is_bit_test(u8 op)
{
	return op == OP_BT || op == OP_BTS || op == OP_BTR || op == OP_BTC;
}

/* A bit offset in a register is signed and reaches beyond the operand; one in an immediate not. */
static u64 bit_string_offset(const struct emul *emul, const struct insn *insn)
{
	unsigned bits = insn->operand_size * 8U;
	s64 bit;

	if (!op_is_bit_test(insn->op) || insn->src.kind != OPERAND_REG)
		return 0;
	bit = (s64)(emul->gpr[insn->src.reg] << (64 - bits)) >> (64 - bits);
	return (u64)((bit & ~(s64)(bits - 1)) / 8);
}

static u64 operand_address(const struct emul *emul, const struct insn *insn)
{
	u64 address = effective_address(emul, insn) + bit_string_offset(emul, insn);

	return address & bytes_mask(insn->address_size);
}

static u64 operand_read(const struct emul *emul, const struct insn *insn,
			const struct operand *operand, const struct span *span)
{
	switch ((enum operand_kind)operand->kind) {
	case OPERAND_REG:
		return emul->gpr[operand->reg] & bytes_mask(operand->size);
	case OPERAND_HIGH:
		return field_get(HIGH_BYTE, emul->gpr[operand->reg]);
	case OPERAND_MEM:
		return span_read(emul, span);
	case OPERAND_IMM:
		return insn->immediate & bytes_mask(operand->size);
	case OPERAND_NONE:
		break;
	}
	return 0;
}

static void operand_write(const struct emul *emul, const struct operand *operand,
			  const struct span *span, u64 value)
{
	u64 *gpr;

	if (operand->kind == OPERAND_MEM) {
		span_write(emul, span, value);
		return;
	}
	gpr = &emul->gpr[operand->reg];
	if (operand->kind == OPERAND_HIGH)
		*gpr = field_set(HIGH_BYTE, *gpr, value);
	else
		gpr_write(gpr, operand->size, value);
}

/* Maps the memory operand, if there is one. */
static bool operands_map(const struct emul *emul, const struct insn *insn, bool writes_dst,
			 struct span *span, struct emul_exception *exception)
{
	u32 access = insn->dst.kind == OPERAND_MEM && writes_dst ? PF_WRITE : 0;
	unsigned bytes;

	if (insn->dst.kind == OPERAND_MEM)
		bytes = insn->dst.size;
	else if (insn->src.kind == OPERAND_MEM)
		bytes = insn->src.size;
	else
		return true;
	return span_map(emul, (enum segment_name)insn->segment, operand_address(emul, insn), bytes,
			access, span, exception);
}

static enum emul_result execute_alu(struct emul *emul, const struct insn *insn,
				    struct emul_outcome *outcome)
{
	const struct alu_row *row = alu_row((enum insn_op)insn->op);
	struct span span = { .bytes = { 0 } };
	struct alu alu = {
		.accumulator = emul->gpr[GPR_RAX] & bytes_mask(insn->operand_size),
		.rflags = emul->state->rflags,
		.size = insn->dst.size,
		.src_size = insn->src.size,
		.condition = insn->condition,
	};

	if (!operands_map(emul, insn, (row->flags & ALU_WRITES_DST) != 0, &span,
			  &outcome->exception))
		return EMUL_EXCEPTION;
	if ((row->flags & ALU_READS_DST) != 0)
		alu.dst = operand_read(emul, insn, &insn->dst, &span);
	alu.src = operand_read(emul, insn, &insn->src, &span);
	row->compute(&alu);
	/* Source first: XADD of a register with itself leaves the sum. */
	if ((row->flags & ALU_WRITES_SRC) != 0)
		operand_write(emul, &insn->src, &span, alu.src);
	if ((row->flags & ALU_WRITES_DST) != 0)
		operand_write(emul, &insn->dst, &span, alu.dst);
	if (alu.sets_accumulator)
		gpr_write(&emul->gpr[GPR_RAX], insn->operand_size, alu.accumulator);
	outcome->sets_rflags = alu.rflags != emul->state->rflags;
	outcome->rflags = alu.rflags;
	return EMUL_DONE;
}

static enum emul_result execute_push(struct emul *emul, const struct insn *insn,
				     struct emul_outcome *outcome)
{
	unsigned stack_bytes = emul_stack_bytes(emul);
	u64 top = (emul->gpr[GPR_RSP] - insn->operand_size) & bytes_mask(stack_bytes);
	struct span from = { .bytes = { 0 } }, to;

	if (!operands_map(emul, insn, false, &from, &outcome->exception) ||
	    !span_map(emul, SEG_SS, top, insn->operand_size, PF_WRITE, &to, &outcome->exception))
		return EMUL_EXCEPTION;
	span_write(emul, &to, operand_read(emul, insn, &insn->dst, &from));
	gpr_write(&emul->gpr[GPR_RSP], stack_bytes, top);
	return EMUL_DONE;
}

/* The destination's address is computed with the stack pointer already moved. */
static enum emul_result execute_pop(struct emul *emul, const struct insn *insn,
				    struct emul_outcome *outcome)
{
	unsigned stack_bytes = emul_stack_bytes(emul);
	u64 rsp = emul->gpr[GPR_RSP];
	u64 top = rsp & bytes_mask(stack_bytes);
	struct span from, to = { .bytes = { 0 } };

	if (!span_map(emul, SEG_SS, top, insn->operand_size, 0, &from, &outcome->exception))
		return EMUL_EXCEPTION;
	gpr_write(&emul->gpr[GPR_RSP], stack_bytes, top + insn->operand_size);
	if (!operands_map(emul, insn, true, &to, &outcome->exception)) {
		emul->gpr[GPR_RSP] = rsp;
		return EMUL_EXCEPTION;
	}
	operand_write(emul, &insn->dst, &to, span_read(emul, &from));
	return EMUL_DONE;
}

enum emul_result execute_insn(struct emul *emul, const struct insn *insn,
			      struct emul_outcome *outcome)
{
	outcome->insn_length = insn->length;
	outcome->sets_rflags = false;
	if (op_is_string((enum insn_op)insn->op))
		return execute_string(emul, insn, outcome);
	if (insn->op == OP_PUSH)
		return execute_push(emul, insn, outcome);
	if (insn->op == OP_POP)
		return execute_pop(emul, insn, outcome);
	return execute_alu(emul, insn, outcome);
}
