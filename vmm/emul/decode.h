/*
 * Decodes one x86 instruction in 16, 32 or 64-bit mode: the ones that kernels and firmware use on
 * device memory, and string port I/O. Governed by SDM, "Instruction Format" and "Opcode Map".
 * Pure: bytes in, struct insn out.
 */
#pragma once

#include "lib/abi/vcpu.h"
#include "lib/base/types.h"

#define INSN_BYTES_MAX 15U

enum insn_op {
	OP_NONE, /* not in the tables */
	OP_ADD,
	OP_OR,
	OP_ADC,
	OP_SBB,
	OP_AND,
	OP_SUB,
	OP_XOR,
	OP_CMP,
	OP_TEST,
	OP_NOT,
	OP_NEG,
	OP_INC,
	OP_DEC,
	OP_ROL,
	OP_ROR,
	OP_RCL,
	OP_RCR,
	OP_SHL,
	OP_SHR,
	OP_SAR,
	OP_MOV,
	OP_MOVZX,
	OP_MOVSX,
	OP_MOVBE,
	OP_CMOV,
	OP_SET,
	OP_XCHG,
	OP_XADD,
	OP_CMPXCHG,
	OP_BT,
	OP_BTS,
	OP_BTR,
	OP_BTC,
	OP_PUSH,
	OP_POP,
	OP_MOVS,
	OP_CMPS,
	OP_STOS,
	OP_LODS,
	OP_SCAS,
	OP_INS,
	OP_OUTS,
	OP_COUNT
};

enum operand_kind {
	OPERAND_NONE,
	OPERAND_REG,  /* enum gpr */
	OPERAND_HIGH, /* bits 15:8 of RAX, RCX, RDX or RBX */
	OPERAND_MEM,
	OPERAND_IMM
};

struct operand {
	u8 kind; /* enum operand_kind */
	u8 reg;	 /* enum gpr */
	u8 size; /* bytes: 1, 2, 4, 8 */
};

enum insn_rep { REP_NONE, REP_EQUAL, REP_NOT_EQUAL }; /* F3 and F2 */

#define REG_NONE 0xff /* a memory operand without this part */

struct insn {
	u8 length;
	u8 op;		 /* enum insn_op */
	u8 operand_size; /* bytes */
	u8 address_size; /* bytes: 2, 4, 8 */
	u8 segment;	 /* enum segment_name of the memory operand, or of a string's source */
	u8 rep;		 /* enum insn_rep */
	u8 condition;	 /* the low opcode bits of SETcc and CMOVcc */
	bool lock;
	struct operand dst, src;
	struct {
		u8 base, index; /* enum gpr or REG_NONE */
		u8 scale;	/* shift: 0 to 3 */
		bool rip_relative;
		u64 displacement; /* sign-extended */
	} memory;
	u64 immediate; /* sign-extended */
};

enum decode_result {
	DECODE_OK,
	DECODE_TRUNCATED,   /* more bytes are needed, up to INSN_BYTES_MAX */
	DECODE_TOO_LONG,    /* over 15 bytes: #GP */
	DECODE_UNDEFINED,   /* #UD */
	DECODE_UNSUPPORTED, /* valid or unknown, but not emulated; *reason says why */
};

/*
 * Decodes the instruction at `bytes`, of which `count` are valid, in a code segment of `mode`
 * bytes: 2, 4 or 8. insn->length is valid with DECODE_OK, and with DECODE_UNSUPPORTED where it is
 * not zero. `*reason` is set with DECODE_UNSUPPORTED only and is never NULL then.
 */
MUST_USE enum decode_result decode_insn(const u8 *bytes, size_t count, unsigned mode,
					struct insn *insn, const char **reason);
