/*
 * Executes one decoded instruction. Either everything that it does happens, or an exception is
 * reported and nothing has; a repeated string instruction does so for each repetition.
 */
#pragma once

#include "vmm/emul/emul.h"

/* At most this many repetitions in one call, so that interrupts of the guest do not wait long. */
#define EMUL_BATCH 256U

/* `insn` comes from decode_insn() for the vCPU's mode. Fills `outcome` except for bytes. */
MUST_USE enum emul_result execute_insn(struct emul *emul, const struct insn *insn,
				       struct emul_outcome *outcome);

/* The string instructions: MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS. */
bool op_is_string(enum insn_op op);
MUST_USE enum emul_result execute_string(struct emul *emul, const struct insn *insn,
					 struct emul_outcome *outcome);

/* Writes the low `bytes` of a register; 4-byte results clear the upper half. */
void gpr_write(u64 *gpr, unsigned bytes, u64 value);
