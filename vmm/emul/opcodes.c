/* The opcode tables. SDM, "Opcode Map". */
#include "vmm/emul/opcodes.h"

#include "vmm/emul/decode.h"

enum opcode_group {
	GROUP_1_BYTE,	  /* 80 */
	GROUP_1,	  /* 81 */
	GROUP_1_IMM8,	  /* 83 */
	GROUP_1A,	  /* 8F */
	GROUP_2_IMM_BYTE, /* C0 */
	GROUP_2_IMM,	  /* C1 */
	GROUP_2_ONE_BYTE, /* D0 */
	GROUP_2_ONE,	  /* D1 */
	GROUP_2_CL_BYTE,  /* D2 */
	GROUP_2_CL,	  /* D3 */
	GROUP_3_BYTE,	  /* F6 */
	GROUP_3,	  /* F7 */
	GROUP_4,	  /* FE */
	GROUP_5,	  /* FF */
	GROUP_8,	  /* 0F BA */
	GROUP_11_BYTE,	  /* C6 */
	GROUP_11,	  /* C7 */
	GROUP_COUNT
};

#define BYTE OPCODE_BYTE
#define LOCK OPCODE_LOCK

/* The six encodings that ADD and its seven siblings share. */
#define ARITHMETIC(first, op, lock)                                                                \
	[(first)] = { op, FORM_RM_REG, BYTE | (lock) }, [(first) + 1] = { op, FORM_RM_REG, lock }, \
	[(first) + 2] = { op, FORM_REG_RM, BYTE }, [(first) + 3] = { op, FORM_REG_RM, 0 },         \
	[(first) + 4] = { op, FORM_ACC_IMM, BYTE }, [(first) + 5] = { op, FORM_ACC_IMM, 0 }

/* An opcode for bytes and the next one for larger operands. */
#define PAIR(first, op, form, flags) \
	[(first)] = { op, form, BYTE | (flags) }, [(first) + 1] = { op, form, flags }

#define GROUP_PAIR(first, group) \
	[(first)] = { group##_BYTE, FORM_GROUP, 0 }, [(first) + 1] = { group, FORM_GROUP, 0 }

#define SIXTEEN(first, op, form, flags) [(first)...(first) + 15] = { op, form, flags }

#define SIMD(opcode) [opcode] = { OP_NONE, FORM_SIMD, 0 }

static const struct opcode one_byte[256] = {
	ARITHMETIC(0x00, OP_ADD, LOCK),
	ARITHMETIC(0x08, OP_OR, LOCK),
	ARITHMETIC(0x10, OP_ADC, LOCK),
	ARITHMETIC(0x18, OP_SBB, LOCK),
	ARITHMETIC(0x20, OP_AND, LOCK),
	ARITHMETIC(0x28, OP_SUB, LOCK),
	ARITHMETIC(0x30, OP_XOR, LOCK),
	ARITHMETIC(0x38, OP_CMP, 0),
	[0x63] = { OP_MOVSX, FORM_REG_RM32, OPCODE_LONG },
	PAIR(0x6c, OP_INS, FORM_NONE, OPCODE_PORT),
	PAIR(0x6e, OP_OUTS, FORM_NONE, OPCODE_PORT),
	GROUP_PAIR(0x80, GROUP_1),
	[0x83] = { GROUP_1_IMM8, FORM_GROUP, 0 },
	PAIR(0x84, OP_TEST, FORM_RM_REG, 0),
	PAIR(0x86, OP_XCHG, FORM_RM_REG, LOCK),
	PAIR(0x88, OP_MOV, FORM_RM_REG, 0),
	PAIR(0x8a, OP_MOV, FORM_REG_RM, 0),
	[0x8f] = { GROUP_1A, FORM_GROUP, 0 },
	PAIR(0xa0, OP_MOV, FORM_ACC_OFFSET, 0),
	PAIR(0xa2, OP_MOV, FORM_OFFSET_ACC, 0),
	PAIR(0xa4, OP_MOVS, FORM_NONE, 0),
	PAIR(0xa6, OP_CMPS, FORM_NONE, 0),
	PAIR(0xa8, OP_TEST, FORM_ACC_IMM, 0),
	PAIR(0xaa, OP_STOS, FORM_NONE, 0),
	PAIR(0xac, OP_LODS, FORM_NONE, 0),
	PAIR(0xae, OP_SCAS, FORM_NONE, 0),
	GROUP_PAIR(0xc0, GROUP_2_IMM),
	GROUP_PAIR(0xc6, GROUP_11),
	GROUP_PAIR(0xd0, GROUP_2_ONE),
	GROUP_PAIR(0xd2, GROUP_2_CL),
	GROUP_PAIR(0xf6, GROUP_3),
	[0xfe] = { GROUP_4, FORM_GROUP, 0 },
	[0xff] = { GROUP_5, FORM_GROUP, 0 },
};

static const struct opcode two_byte[256] = {
	SIMD(0x10),
	SIMD(0x11),
	SIMD(0x12),
	SIMD(0x13), /* MOVUPS, MOVSS, MOVLPS */
	SIMD(0x16),
	SIMD(0x17),
	SIMD(0x28),
	SIMD(0x29), /* MOVHPS, MOVAPS */
	SIMD(0x2b),
	SIMD(0xe7),
	SIMD(0xf0), /* MOVNTPS, MOVNTDQ, LDDQU */
	SIMD(0x6e),
	SIMD(0x6f),
	SIMD(0x7e),
	SIMD(0x7f), /* MOVD, MOVDQA, MOVDQU */
	SIMD(0xd6), /* MOVQ */
	SIXTEEN(0x40, OP_CMOV, FORM_REG_RM, 0),
	SIXTEEN(0x90, OP_SET, FORM_RM, BYTE),
	[0xa3] = { OP_BT, FORM_RM_REG, 0 },
	[0xab] = { OP_BTS, FORM_RM_REG, LOCK },
	PAIR(0xb0, OP_CMPXCHG, FORM_RM_REG, LOCK),
	[0xb3] = { OP_BTR, FORM_RM_REG, LOCK },
	[0xb6] = { OP_MOVZX, FORM_REG_RM8, 0 },
	[0xb7] = { OP_MOVZX, FORM_REG_RM16, 0 },
	[0xba] = { GROUP_8, FORM_GROUP, 0 },
	[0xbb] = { OP_BTC, FORM_RM_REG, LOCK },
	[0xbe] = { OP_MOVSX, FORM_REG_RM8, 0 },
	[0xbf] = { OP_MOVSX, FORM_REG_RM16, 0 },
	PAIR(0xc0, OP_XADD, FORM_RM_REG, LOCK),
	[0xc3] = { OP_MOV, FORM_RM_REG, OPCODE_MEMORY | OPCODE_PLAIN }, /* MOVNTI */
};

static const struct opcode three_byte[256] = {
	SIMD(0x2a), /* MOVNTDQA */
	[0xf0] = { OP_MOVBE, FORM_REG_RM, OPCODE_MEMORY | OPCODE_NO_REP },
	[0xf1] = { OP_MOVBE, FORM_RM_REG, OPCODE_MEMORY | OPCODE_NO_REP },
};

#define GROUP_1_ROWS(form, flags)                                                           \
	{                                                                                   \
		{ OP_ADD, form, (flags) | LOCK }, { OP_OR, form, (flags) | LOCK },          \
			{ OP_ADC, form, (flags) | LOCK }, { OP_SBB, form, (flags) | LOCK }, \
			{ OP_AND, form, (flags) | LOCK }, { OP_SUB, form, (flags) | LOCK }, \
			{ OP_XOR, form, (flags) | LOCK }, { OP_CMP, form, flags },          \
	}

#define GROUP_2_ROWS(form, flags)                                                                  \
	{                                                                                          \
		{ OP_ROL, form, flags }, { OP_ROR, form, flags }, { OP_RCL, form, flags },         \
			{ OP_RCR, form, flags }, { OP_SHL, form, flags }, { OP_SHR, form, flags }, \
			{ OP_SHL, form, flags }, { OP_SAR, form, flags },                          \
	}

#define GROUP_3_ROWS(flags)                                                                       \
	{                                                                                         \
		{ OP_TEST, FORM_RM_IMM, flags }, { OP_TEST, FORM_RM_IMM, flags },                 \
			{ OP_NOT, FORM_RM, (flags) | LOCK }, { OP_NEG, FORM_RM, (flags) | LOCK }, \
	}

#define INC_DEC(flags)                          \
	{ OP_INC, FORM_RM, (flags) | LOCK },    \
	{                                       \
		OP_DEC, FORM_RM, (flags) | LOCK \
	}

static const struct opcode groups[GROUP_COUNT][8] = {
	[GROUP_1_BYTE] = GROUP_1_ROWS(FORM_RM_IMM, BYTE),
	[GROUP_1] = GROUP_1_ROWS(FORM_RM_IMM, 0),
	[GROUP_1_IMM8] = GROUP_1_ROWS(FORM_RM_IMM8, 0),
	[GROUP_1A] = { { OP_POP, FORM_RM, OPCODE_STACK } },
	[GROUP_2_IMM_BYTE] = GROUP_2_ROWS(FORM_RM_IMM8, BYTE),
	[GROUP_2_IMM] = GROUP_2_ROWS(FORM_RM_IMM8, 0),
	[GROUP_2_ONE_BYTE] = GROUP_2_ROWS(FORM_RM_ONE, BYTE),
	[GROUP_2_ONE] = GROUP_2_ROWS(FORM_RM_ONE, 0),
	[GROUP_2_CL_BYTE] = GROUP_2_ROWS(FORM_RM_CL, BYTE),
	[GROUP_2_CL] = GROUP_2_ROWS(FORM_RM_CL, 0),
	[GROUP_3_BYTE] = GROUP_3_ROWS(BYTE),
	[GROUP_3] = GROUP_3_ROWS(0),
	[GROUP_4] = { INC_DEC(BYTE) },
	[GROUP_5] = { INC_DEC(0), [6] = { OP_PUSH, FORM_RM, OPCODE_STACK } },
	[GROUP_8] = { [4] = { OP_BT, FORM_RM_IMM8, 0 },
		      [5] = { OP_BTS, FORM_RM_IMM8, LOCK },
		      [6] = { OP_BTR, FORM_RM_IMM8, LOCK },
		      [7] = { OP_BTC, FORM_RM_IMM8, LOCK } },
	[GROUP_11_BYTE] = { { OP_MOV, FORM_RM_IMM, BYTE } },
	[GROUP_11] = { { OP_MOV, FORM_RM_IMM, 0 } },
};

const struct opcode *opcode_row(enum opcode_map map, u8 byte)
{
	static const struct opcode *const maps[MAP_COUNT] = {
		[MAP_ONE_BYTE] = one_byte,
		[MAP_0F] = two_byte,
		[MAP_0F38] = three_byte,
	};

	return &maps[map][byte];
}

const struct opcode *opcode_group_row(const struct opcode *group, u8 reg)
{
	return &groups[group->op][reg & 7];
}
