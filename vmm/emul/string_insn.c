/* The string instructions, alone and repeated. SDM, "REP/REPE/REPZ/REPNE/REPNZ". */
#include "vmm/emul/alu.h"
#include "vmm/emul/execute.h"
#include "vmm/emul/linear.h"

/* One repetition whose memory is mapped. */
struct string_step {
	struct emul *emul;
	unsigned bytes;
	struct span from, to; /* [seg:rSI], [ES:rDI] */
	u64 rflags;
};

static u64 accumulator(const struct string_step *step)
{
	return step->emul->gpr[GPR_RAX] & bytes_mask(step->bytes);
}

static u16 port(const struct string_step *step)
{
	return (u16)step->emul->gpr[GPR_RDX];
}

static void compare(struct string_step *step, u64 left, u64 right)
{
	struct alu alu = {
		.dst = left,
		.src = right,
		.rflags = step->rflags,
		.size = (u8)step->bytes,
	};

	alu_row(OP_CMP)->compute(&alu);
	step->rflags = alu.rflags;
}

static void step_movs(struct string_step *step)
{
	span_write(step->emul, &step->to, span_read(step->emul, &step->from));
}

static void step_cmps(struct string_step *step)
{
	u64 left = span_read(step->emul, &step->from);

	compare(step, left, span_read(step->emul, &step->to));
}

static void step_stos(struct string_step *step)
{
	span_write(step->emul, &step->to, accumulator(step));
}

static void step_lods(struct string_step *step)
{
	gpr_write(&step->emul->gpr[GPR_RAX], step->bytes, span_read(step->emul, &step->from));
}

static void step_scas(struct string_step *step)
{
	compare(step, accumulator(step), span_read(step->emul, &step->to));
}

static void step_ins(struct string_step *step)
{
	const struct emul_env *env = step->emul->env;

	span_write(step->emul, &step->to, env->port_in(env->memory.owner, port(step), step->bytes));
}

static void step_outs(struct string_step *step)
{
	const struct emul_env *env = step->emul->env;
	u32 value = (u32)span_read(step->emul, &step->from);

	env->port_out(env->memory.owner, port(step), value, step->bytes);
}

#define USES_FROM 0x01
#define USES_TO	  0x02
#define WRITES_TO 0x04
#define COMPARES  0x08 /* sets flags, and REP looks at ZF */

static const struct string_row {
	void (*run)(struct string_step *step);
	unsigned flags;
} rows[OP_COUNT] = {
	[OP_MOVS] = { step_movs, USES_FROM | USES_TO | WRITES_TO },
	[OP_CMPS] = { step_cmps, USES_FROM | USES_TO | COMPARES },
	[OP_STOS] = { step_stos, USES_TO | WRITES_TO },
	[OP_LODS] = { step_lods, USES_FROM },
	[OP_SCAS] = { step_scas, USES_TO | COMPARES },
	[OP_INS] = { step_ins, USES_TO | WRITES_TO },
	[OP_OUTS] = { step_outs, USES_FROM },
};

static bool step_map(struct string_step *step, const struct insn *insn, unsigned flags,
		     struct emul_exception *exception)
{
	struct emul *emul = step->emul;
	u64 mask = bytes_mask(insn->address_size);
	u32 access = (flags & WRITES_TO) != 0 ? PF_WRITE : 0;

	if ((flags & USES_FROM) != 0 &&
	    !span_map(emul, (enum segment_name)insn->segment, emul->gpr[GPR_RSI] & mask,
		      step->bytes, 0, &step->from, exception))
		return false;
	return (flags & USES_TO) == 0 || span_map(emul, SEG_ES, emul->gpr[GPR_RDI] & mask,
						  step->bytes, access, &step->to, exception);
}

static void pointers_advance(struct emul *emul, const struct insn *insn, unsigned flags)
{
	u64 step = insn->operand_size;

	if ((emul->state->rflags & RFLAGS_DF) != 0)
		step = -step;
	if ((flags & USES_FROM) != 0)
		gpr_write(&emul->gpr[GPR_RSI], insn->address_size, emul->gpr[GPR_RSI] + step);
	if ((flags & USES_TO) != 0)
		gpr_write(&emul->gpr[GPR_RDI], insn->address_size, emul->gpr[GPR_RDI] + step);
}

static bool repeat_ends(const struct insn *insn, unsigned flags, u64 rflags)
{
	bool equal = (rflags & RFLAGS_ZF) != 0;

	return (flags & COMPARES) != 0 && equal != (insn->rep == REP_EQUAL);
}

static enum emul_result finish(struct emul_outcome *outcome, const struct string_step *step)
{
	outcome->sets_rflags = step->rflags != step->emul->state->rflags;
	outcome->rflags = step->rflags;
	return EMUL_DONE;
}

bool op_is_string(enum insn_op op)
{
	return rows[op].run != NULL;
}

/*
 * An exception or a pause leaves the flags as they were before the instruction and the registers
 * after the last repetition: executing it again goes on from there.
 */
enum emul_result execute_string(struct emul *emul, const struct insn *insn,
				struct emul_outcome *outcome)
{
	const struct string_row *row = &rows[insn->op];
	u64 mask = bytes_mask(insn->address_size);
	u64 *count = &emul->gpr[GPR_RCX];
	struct string_step step = {
		.emul = emul,
		.bytes = insn->operand_size,
		.rflags = emul->state->rflags,
	};

	for (unsigned i = 0; insn->rep == REP_NONE || (*count & mask) != 0; i++) {
		if (i == EMUL_BATCH)
			return EMUL_AGAIN;
		if (!step_map(&step, insn, row->flags, &outcome->exception))
			return EMUL_EXCEPTION;
		row->run(&step);
		pointers_advance(emul, insn, row->flags);
		if (insn->rep == REP_NONE)
			break;
		gpr_write(count, insn->address_size, *count - 1);
		if (repeat_ends(insn, row->flags, step.rflags))
			break;
	}
	return finish(outcome, &step);
}
