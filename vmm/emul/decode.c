/* The decoder: prefixes, opcode, ModRM, displacement, immediate. */
#include "vmm/emul/decode.h"

#include "lib/base/cursor.h"
#include "vmm/emul/opcodes.h"

/* SDM, "Instruction Prefixes" and "REX Prefixes" */
#define REX   BITS64(7, 4) /* the byte is 4x */
#define REX_W BIT64(3)
#define REX_R BIT64(2)
#define REX_X BIT64(1)
#define REX_B BIT64(0)

#define OPCODE_ESCAPE	   0x0f
#define OPCODE_ESCAPE_0F38 0x38
#define OPCODE_EVEX	   0x62 /* BOUND */
#define OPCODE_VEX3	   0xc4 /* LES */
#define OPCODE_VEX2	   0xc5 /* LDS */
#define VEX_MAP		   BITS64(4, 0)
#define EVEX_MAP	   BITS64(2, 0)

#define MODRM_MOD      BITS64(7, 6)
#define MODRM_REG      BITS64(5, 3)
#define MODRM_RM       BITS64(2, 0)
#define MOD_REGISTER   3
#define SIB_SCALE      BITS64(7, 6)
#define SIB_INDEX      BITS64(5, 3)
#define SIB_BASE       BITS64(2, 0)
#define CONDITION_BITS 0x0f

static const char reason_unknown[] = "opcode is not emulated";
static const char reason_simd[] =
	"memory operand of a vector instruction: the guest's SIMD registers are out of reach";

struct decoder {
	struct cursor cursor;
	bool is_short; /* a read failed and returned zero: what was decoded since is meaningless */
	unsigned mode; /* bytes: 2, 4, 8 */
	u8 rex;
	bool has_rex, operand_prefix, address_prefix;
	u8 segment; /* enum segment_name, or REG_NONE without a prefix */
	u8 modrm;
	const char *reason;
	struct insn *insn;
};

static u64 fetch(struct decoder *d, unsigned bytes)
{
	u64 value = 0;

	if (!cursor_read(&d->cursor, &value, bytes))
		d->is_short = true;
	return value;
}

static u64 fetch_signed(struct decoder *d, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return (u64)((s64)(fetch(d, bytes) << shift) >> shift);
}

static bool peek(const struct decoder *d, u8 *byte)
{
	struct cursor c = d->cursor;

	return cursor_read_u8(&c, byte);
}

enum prefix_kind {
	PREFIX_SEGMENT,
	PREFIX_OPERAND_SIZE,
	PREFIX_ADDRESS_SIZE,
	PREFIX_LOCK,
	PREFIX_REP
};

static const struct prefix {
	u8 byte, kind, value;
} prefixes[] = {
	{ 0x26, PREFIX_SEGMENT, SEG_ES },    { 0x2e, PREFIX_SEGMENT, SEG_CS },
	{ 0x36, PREFIX_SEGMENT, SEG_SS },    { 0x3e, PREFIX_SEGMENT, SEG_DS },
	{ 0x64, PREFIX_SEGMENT, SEG_FS },    { 0x65, PREFIX_SEGMENT, SEG_GS },
	{ 0x66, PREFIX_OPERAND_SIZE, true }, { 0x67, PREFIX_ADDRESS_SIZE, true },
	{ 0xf0, PREFIX_LOCK, true },	     { 0xf2, PREFIX_REP, REP_NOT_EQUAL },
	{ 0xf3, PREFIX_REP, REP_EQUAL },
};

static const struct prefix *prefix_find(u8 byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefixes[i].byte == byte)
			return &prefixes[i];
	return NULL;
}

/* In 64-bit mode only FS and GS still are prefixes; the others do nothing at all. */
static void prefix_take(struct decoder *d, const struct prefix *prefix)
{
	switch (prefix->kind) {
	case PREFIX_SEGMENT:
		if (d->mode != 8 || prefix->value == SEG_FS || prefix->value == SEG_GS)
			d->segment = prefix->value;
		break;
	case PREFIX_OPERAND_SIZE:
		d->operand_prefix = true;
		break;
	case PREFIX_ADDRESS_SIZE:
		d->address_prefix = true;
		break;
	case PREFIX_LOCK:
		d->insn->lock = true;
		break;
	case PREFIX_REP:
		d->insn->rep = prefix->value;
		break;
	}
}

/* A REX prefix counts only right before the opcode. */
static void decode_prefixes(struct decoder *d)
{
	u8 byte;

	while (peek(d, &byte)) {
		bool is_rex = d->mode == 8 && (byte & REX) == 0x40;
		const struct prefix *prefix = prefix_find(byte);

		if (!is_rex && prefix == NULL)
			break;
		if (prefix != NULL)
			prefix_take(d, prefix);
		d->has_rex = is_rex;
		d->rex = is_rex ? byte : 0;
		d->cursor.at++;
	}
}

static u8 rex_extended(const struct decoder *d, u64 rex_bit, u64 reg)
{
	return (u8)(reg | ((d->rex & rex_bit) != 0 ? 8 : 0));
}

static void decode_address_size(struct decoder *d)
{
	static const u8 sizes[][2] = { [2] = { 2, 4 }, [4] = { 4, 2 }, [8] = { 8, 4 } };

	d->insn->address_size = sizes[d->mode][d->address_prefix];
}

static void decode_operand_size(struct decoder *d, u8 flags)
{
	bool wide = d->mode == 2 ? d->operand_prefix : !d->operand_prefix;
	u8 size = wide ? 4 : 2;

	if (d->mode == 8 && (d->rex & REX_W) != 0)
		size = 8;
	if (d->mode == 8 && size == 4 && (flags & OPCODE_STACK) != 0)
		size = 8;
	if (size == 8 && (flags & OPCODE_PORT) != 0)
		size = 4;
	d->insn->operand_size = (flags & OPCODE_BYTE) != 0 ? 1 : size;
}

/* SDM, "16-Bit Addressing Forms with the ModR/M Byte" */
static void decode_memory16(struct decoder *d)
{
	static const struct {
		u8 base, index;
	} pairs[8] = {
		{ GPR_RBX, GPR_RSI },  { GPR_RBX, GPR_RDI },  { GPR_RBP, GPR_RSI },
		{ GPR_RBP, GPR_RDI },  { GPR_RSI, REG_NONE }, { GPR_RDI, REG_NONE },
		{ GPR_RBP, REG_NONE }, { GPR_RBX, REG_NONE },
	};
	u64 mod = field_get(MODRM_MOD, d->modrm);
	u64 rm = field_get(MODRM_RM, d->modrm);
	struct insn *insn = d->insn;

	insn->memory.base = pairs[rm].base;
	insn->memory.index = pairs[rm].index;
	if (mod == 0 && insn->memory.base == GPR_RBP && insn->memory.index == REG_NONE) {
		insn->memory.base = REG_NONE;
		mod = 2;
	}
	if (mod != 0)
		insn->memory.displacement = fetch_signed(d, mod == 1 ? 1 : 2);
}

static void decode_sib(struct decoder *d)
{
	u8 sib = (u8)fetch(d, 1);
	u8 index = rex_extended(d, REX_X, field_get(SIB_INDEX, sib));

	d->insn->memory.base = rex_extended(d, REX_B, field_get(SIB_BASE, sib));
	if (index == GPR_RSP)
		return;
	d->insn->memory.index = index;
	d->insn->memory.scale = (u8)field_get(SIB_SCALE, sib);
}

/* SDM, "32-Bit Addressing Forms with the ModR/M Byte" and "RIP-Relative Addressing" */
static void decode_memory32(struct decoder *d)
{
	u64 mod = field_get(MODRM_MOD, d->modrm);
	u64 rm = field_get(MODRM_RM, d->modrm);
	struct insn *insn = d->insn;

	insn->memory.base = rex_extended(d, REX_B, rm);
	if (rm == GPR_RSP)
		decode_sib(d);
	/* R13 is like RBP here: without a displacement the encoding means something else. */
	if (mod == 0 && (insn->memory.base & 7) == GPR_RBP) {
		insn->memory.base = REG_NONE;
		insn->memory.rip_relative = d->mode == 8 && rm != GPR_RSP;
		mod = 2;
	}
	if (mod != 0)
		insn->memory.displacement = fetch_signed(d, mod == 1 ? 1 : 4);
}

static void decode_segment(struct decoder *d)
{
	u8 base = d->insn->memory.base;

	if (d->segment != REG_NONE)
		d->insn->segment = d->segment;
	else
		d->insn->segment = base == GPR_RSP || base == GPR_RBP ? SEG_SS : SEG_DS;
}

static struct operand register_operand(const struct decoder *d, u8 reg, u8 size)
{
	if (size == 1 && !d->has_rex && reg >= GPR_RSP)
		return (struct operand){ OPERAND_HIGH, (u8)(reg - GPR_RSP), 1 };
	return (struct operand){ OPERAND_REG, reg, size };
}

static struct operand modrm_reg(const struct decoder *d, u8 size)
{
	return register_operand(d, rex_extended(d, REX_R, field_get(MODRM_REG, d->modrm)), size);
}

static bool modrm_is_register(const struct decoder *d)
{
	return field_get(MODRM_MOD, d->modrm) == MOD_REGISTER;
}

static struct operand modrm_rm(struct decoder *d, u8 size)
{
	if (modrm_is_register(d)) {
		u8 reg = rex_extended(d, REX_B, field_get(MODRM_RM, d->modrm));

		return register_operand(d, reg, size);
	}
	if (d->insn->address_size == 2)
		decode_memory16(d);
	else
		decode_memory32(d);
	decode_segment(d);
	return (struct operand){ OPERAND_MEM, REG_NONE, size };
}

/* Immediates have at most 32 bits, sign-extended to 64-bit operands. */
static struct operand immediate(struct decoder *d, u8 operand_size, unsigned bytes)
{
	d->insn->immediate = fetch_signed(d, bytes < 4 ? bytes : 4);
	return (struct operand){ OPERAND_IMM, REG_NONE, operand_size };
}

static struct operand constant_one(struct decoder *d)
{
	d->insn->immediate = 1;
	return (struct operand){ OPERAND_IMM, REG_NONE, 1 };
}

static struct operand memory_offset(struct decoder *d, u8 size)
{
	d->insn->memory.displacement = fetch(d, d->insn->address_size);
	decode_segment(d);
	return (struct operand){ OPERAND_MEM, REG_NONE, size };
}

/* Where one operand of a form is. */
enum operand_part {
	PART_NONE,
	PART_REG,
	PART_RM,
	PART_RM8,
	PART_RM16,
	PART_RM32,
	PART_IMM,
	PART_IMM8,
	PART_ONE,
	PART_CL,
	PART_ACC,
	PART_OFFSET,
};

static struct operand decode_part(struct decoder *d, enum operand_part part)
{
	u8 size = d->insn->operand_size;

	switch (part) {
	case PART_NONE:
		break;
	case PART_REG:
		return modrm_reg(d, size);
	case PART_RM:
		return modrm_rm(d, size);
	case PART_RM8:
		return modrm_rm(d, 1);
	case PART_RM16:
		return modrm_rm(d, 2);
	case PART_RM32:
		return modrm_rm(d, size < 4 ? size : 4);
	case PART_IMM:
		return immediate(d, size, size);
	case PART_IMM8:
		return immediate(d, size, 1);
	case PART_ONE:
		return constant_one(d);
	case PART_CL:
		return (struct operand){ OPERAND_REG, GPR_RCX, 1 };
	case PART_ACC:
		return (struct operand){ OPERAND_REG, GPR_RAX, size };
	case PART_OFFSET:
		return memory_offset(d, size);
	}
	return (struct operand){ OPERAND_NONE, REG_NONE, 0 };
}

/* Immediates follow the memory operand in the instruction, and always are the source. */
static const struct form {
	bool has_modrm;
	u8 dst, src; /* enum operand_part */
} forms[] = {
	[FORM_NONE] = { false, PART_NONE, PART_NONE },
	[FORM_RM_REG] = { true, PART_RM, PART_REG },
	[FORM_REG_RM] = { true, PART_REG, PART_RM },
	[FORM_REG_RM8] = { true, PART_REG, PART_RM8 },
	[FORM_REG_RM16] = { true, PART_REG, PART_RM16 },
	[FORM_REG_RM32] = { true, PART_REG, PART_RM32 },
	[FORM_RM_IMM] = { true, PART_RM, PART_IMM },
	[FORM_RM_IMM8] = { true, PART_RM, PART_IMM8 },
	[FORM_RM_ONE] = { true, PART_RM, PART_ONE },
	[FORM_RM_CL] = { true, PART_RM, PART_CL },
	[FORM_RM] = { true, PART_RM, PART_NONE },
	[FORM_ACC_IMM] = { false, PART_ACC, PART_IMM },
	[FORM_ACC_OFFSET] = { false, PART_ACC, PART_OFFSET },
	[FORM_OFFSET_ACC] = { false, PART_OFFSET, PART_ACC },
	[FORM_GROUP] = { true, PART_NONE, PART_NONE },
	[FORM_SIMD] = { true, PART_RM, PART_NONE },
};

/* The opcode's map and its last byte; an opcode of a map without a table is OP_NONE. */
static const struct opcode *decode_opcode(struct decoder *d, u8 *opcode)
{
	*opcode = (u8)fetch(d, 1);
	if (*opcode != OPCODE_ESCAPE)
		return opcode_row(MAP_ONE_BYTE, *opcode);
	*opcode = (u8)fetch(d, 1);
	if (*opcode != OPCODE_ESCAPE_0F38)
		return opcode_row(MAP_0F, *opcode);
	*opcode = (u8)fetch(d, 1);
	return opcode_row(MAP_0F38, *opcode);
}

/* Whether LOCK, REP and the operand-size prefix go with the row; otherwise #UD or unsupported. */
static enum decode_result check_prefixes(struct decoder *d, const struct opcode *row)
{
	const struct insn *insn = d->insn;
	bool rep = insn->rep != REP_NONE;

	if (insn->lock && ((row->flags & OPCODE_LOCK) == 0 || insn->dst.kind != OPERAND_MEM))
		return DECODE_UNDEFINED;
	if ((row->flags & OPCODE_MEMORY) != 0 && modrm_is_register(d))
		return DECODE_UNDEFINED;
	d->reason = reason_unknown;
	if ((row->flags & OPCODE_PLAIN) != 0 && (rep || d->operand_prefix))
		return DECODE_UNSUPPORTED;
	if ((row->flags & OPCODE_NO_REP) != 0 && rep)
		return DECODE_UNSUPPORTED;
	return DECODE_OK;
}

static enum decode_result decode_row(struct decoder *d, const struct opcode *row, u8 opcode)
{
	struct insn *insn = d->insn;

	if (forms[row->form].has_modrm)
		d->modrm = (u8)fetch(d, 1);
	if (row->form == FORM_GROUP)
		row = opcode_group_row(row, (u8)field_get(MODRM_REG, d->modrm));
	d->reason = row->form == FORM_SIMD ? reason_simd : reason_unknown;
	if (row->op == OP_NONE && row->form != FORM_SIMD)
		return DECODE_UNSUPPORTED;
	if ((row->flags & OPCODE_LONG) != 0 && d->mode != 8)
		return DECODE_UNSUPPORTED;
	insn->op = row->op;
	insn->condition = opcode & CONDITION_BITS;
	decode_operand_size(d, row->flags);
	decode_segment(d); /* of a string's source; a memory operand decides again */
	insn->dst = decode_part(d, forms[row->form].dst);
	insn->src = decode_part(d, forms[row->form].src);
	if (row->form == FORM_SIMD) {
		insn->length = (u8)d->cursor.at;
		return DECODE_UNSUPPORTED;
	}
	return check_prefixes(d, row);
}

/*
 * VEX and EVEX always are vector instructions for us, even the few on general registers. For a
 * move that the tables know, decode on for its length.
 */
static enum decode_result decode_vex(struct decoder *d)
{
	u8 lead = (u8)fetch(d, 1);
	u64 payload = fetch(d, lead == OPCODE_VEX2 ? 1 : lead == OPCODE_VEX3 ? 2 : 3);
	u64 map = lead == OPCODE_VEX2	? MAP_0F
		  : lead == OPCODE_VEX3 ? field_get(VEX_MAP, payload)
					: field_get(EVEX_MAP, payload);
	u8 opcode = (u8)fetch(d, 1);
	const struct opcode *row;

	d->reason = reason_simd;
	if (map != MAP_0F && map != MAP_0F38)
		return DECODE_UNSUPPORTED;
	row = opcode_row((enum opcode_map)map, opcode);
	return row->form == FORM_SIMD ? decode_row(d, row, opcode) : DECODE_UNSUPPORTED;
}

/* Outside 64-bit mode the same bytes are LES, LDS and BOUND, which take no register operand. */
static bool vex_follows(struct decoder *d)
{
	struct cursor c = d->cursor;
	u8 lead, next;

	if (!cursor_read_u8(&c, &lead))
		return false;
	if (lead != OPCODE_VEX2 && lead != OPCODE_VEX3 && lead != OPCODE_EVEX)
		return false;
	if (!cursor_read_u8(&c, &next)) {
		d->is_short = true;
		return false;
	}
	return d->mode == 8 || field_get(MODRM_MOD, next) == MOD_REGISTER;
}

static enum decode_result decode(struct decoder *d)
{
	const struct opcode *row;
	u8 opcode;

	decode_prefixes(d);
	decode_address_size(d);
	if (vex_follows(d))
		return decode_vex(d);
	row = decode_opcode(d, &opcode);
	return decode_row(d, row, opcode);
}

enum decode_result decode_insn(const u8 *bytes, size_t count, unsigned mode, struct insn *insn,
			       const char **reason)
{
	struct decoder d = {
		.cursor = cursor_over(bytes, count < INSN_BYTES_MAX ? count : INSN_BYTES_MAX),
		.mode = mode,
		.segment = REG_NONE,
		.insn = insn,
	};
	enum decode_result result;

	*insn = (struct insn){ .memory = { .base = REG_NONE, .index = REG_NONE } };
	result = decode(&d);
	if (d.is_short) {
		insn->length = 0;
		return count < INSN_BYTES_MAX ? DECODE_TRUNCATED : DECODE_TOO_LONG;
	}
	if (result == DECODE_OK)
		insn->length = (u8)d.cursor.at;
	if (result == DECODE_UNSUPPORTED)
		*reason = d.reason;
	return result;
}
