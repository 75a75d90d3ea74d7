/* The opcode tables: what each opcode does and where its operands are. */
#pragma once

#include "lib/base/types.h"

/* Operand forms, in the letters of the manual: r/m, register, immediate, accumulator, offset. */
enum opcode_form {
	FORM_NONE, /* no ModRM, operands implied by the operation */
	FORM_RM_REG,
	FORM_REG_RM,
	FORM_REG_RM8, /* source of 8, 16 or 32 bits whatever the operand size */
	FORM_REG_RM16,
	FORM_REG_RM32,
	FORM_RM_IMM,  /* immediate of the operand size, at most 32 bits */
	FORM_RM_IMM8, /* sign-extended */
	FORM_RM_ONE,  /* the constant 1 */
	FORM_RM_CL,
	FORM_RM,
	FORM_ACC_IMM,
	FORM_ACC_OFFSET,
	FORM_OFFSET_ACC,
	FORM_GROUP, /* ModRM.reg selects a row of the group in `op` */
	FORM_SIMD,  /* ModRM, and an operand in a vector register */
};

#define OPCODE_BYTE   0x01 /* 8-bit operands */
#define OPCODE_LOCK   0x02 /* LOCK is valid with a memory destination */
#define OPCODE_MEMORY 0x04 /* r/m must be memory */
#define OPCODE_PLAIN  0x08 /* 66, F2 and F3 make it another instruction */
#define OPCODE_NO_REP 0x10 /* F2 and F3 make it another instruction */
#define OPCODE_STACK  0x20 /* 64-bit operands by default in 64-bit mode */
#define OPCODE_LONG   0x40 /* another instruction outside 64-bit mode */
#define OPCODE_PORT   0x80 /* at most 32-bit operands */

struct opcode {
	u8 op; /* enum insn_op, or enum opcode_group with FORM_GROUP */
	u8 form;
	u8 flags;
};

enum opcode_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_COUNT };

/* The row of an opcode; a row with OP_NONE and FORM_NONE is not emulated. */
const struct opcode *opcode_row(enum opcode_map map, u8 byte);
/* The row of a group's member, selected by the reg field of ModRM. */
const struct opcode *opcode_group_row(const struct opcode *group, u8 reg);
