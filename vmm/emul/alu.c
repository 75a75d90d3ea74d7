/* Results and status flags in plain C. */
#include "vmm/emul/alu.h"

#include "lib/x86/registers.h"

#define SHIFT_COUNT    0x1fU
#define SHIFT_COUNT_64 0x3fU

static unsigned alu_bits(const struct alu *a)
{
	return a->size * 8U;
}

static u64 alu_mask(const struct alu *a)
{
	return BITS64(alu_bits(a) - 1, 0);
}

static bool top_bit(const struct alu *a, u64 value)
{
	return ((value >> (alu_bits(a) - 1)) & 1) != 0;
}

static void flag_put(struct alu *a, u64 flag, bool value)
{
	a->rflags = value ? a->rflags | flag : a->rflags & ~flag;
}

/* SF, ZF and PF, which depend on the result alone. */
static void flags_of_result(struct alu *a, u64 result)
{
	result &= alu_mask(a);
	flag_put(a, RFLAGS_ZF, result == 0);
	flag_put(a, RFLAGS_SF, top_bit(a, result));
	flag_put(a, RFLAGS_PF, __builtin_parity((u8)result) == 0);
}

static u64 add_with(struct alu *a, u64 x, u64 y, bool carry)
{
	u64 sum = x + y + carry;

	flags_of_result(a, sum);
	flag_put(a, RFLAGS_CF, top_bit(a, (x & y) | ((x | y) & ~sum)));
	flag_put(a, RFLAGS_OF, top_bit(a, ~(x ^ y) & (x ^ sum)));
	flag_put(a, RFLAGS_AF, ((x ^ y ^ sum) & 0x10) != 0);
	return sum;
}

static u64 subtract_with(struct alu *a, u64 x, u64 y, bool borrow)
{
	u64 difference = x - y - borrow;

	flags_of_result(a, difference);
	flag_put(a, RFLAGS_CF, top_bit(a, (~x & y) | (~(x ^ y) & difference)));
	flag_put(a, RFLAGS_OF, top_bit(a, (x ^ y) & (x ^ difference)));
	flag_put(a, RFLAGS_AF, ((x ^ y ^ difference) & 0x10) != 0);
	return difference;
}

static u64 flags_of_logic(struct alu *a, u64 result)
{
	flags_of_result(a, result);
	a->rflags &= ~(RFLAGS_CF | RFLAGS_OF | RFLAGS_AF);
	return result;
}

static bool carry_in(const struct alu *a)
{
	return (a->rflags & RFLAGS_CF) != 0;
}

static void alu_add(struct alu *a)
{
	a->dst = add_with(a, a->dst, a->src, false);
}

static void alu_adc(struct alu *a)
{
	a->dst = add_with(a, a->dst, a->src, carry_in(a));
}

static void alu_sub(struct alu *a)
{
	a->dst = subtract_with(a, a->dst, a->src, false);
}

static void alu_sbb(struct alu *a)
{
	a->dst = subtract_with(a, a->dst, a->src, carry_in(a));
}

static void alu_cmp(struct alu *a)
{
	(void)subtract_with(a, a->dst, a->src, false);
}

static void alu_or(struct alu *a)
{
	a->dst = flags_of_logic(a, a->dst | a->src);
}

static void alu_and(struct alu *a)
{
	a->dst = flags_of_logic(a, a->dst & a->src);
}

static void alu_xor(struct alu *a)
{
	a->dst = flags_of_logic(a, a->dst ^ a->src);
}

static void alu_test(struct alu *a)
{
	(void)flags_of_logic(a, a->dst & a->src);
}

static void alu_not(struct alu *a)
{
	a->dst = ~a->dst;
}

static void alu_neg(struct alu *a)
{
	a->dst = subtract_with(a, 0, a->dst, false);
}

/* INC and DEC leave the carry alone. */
static void alu_inc(struct alu *a)
{
	bool carry = carry_in(a);

	a->dst = add_with(a, a->dst, 1, false);
	flag_put(a, RFLAGS_CF, carry);
}

static void alu_dec(struct alu *a)
{
	bool carry = carry_in(a);

	a->dst = subtract_with(a, a->dst, 1, false);
	flag_put(a, RFLAGS_CF, carry);
}

static unsigned shift_count(const struct alu *a)
{
	return (unsigned)a->src & (a->size == 8 ? SHIFT_COUNT_64 : SHIFT_COUNT);
}

static s64 sign_extended(u64 value, unsigned bits)
{
	return (s64)(value << (64 - bits)) >> (64 - bits);
}

static void alu_shl(struct alu *a)
{
	unsigned count = shift_count(a), bits = alu_bits(a);
	bool carry = count > 0 && count <= bits && ((a->dst >> (bits - count)) & 1) != 0;

	if (count == 0)
		return;
	a->dst = flags_of_logic(a, a->dst << count);
	flag_put(a, RFLAGS_CF, carry);
	flag_put(a, RFLAGS_OF, top_bit(a, a->dst) != carry);
}

static void alu_shr(struct alu *a)
{
	unsigned count = shift_count(a);
	u64 before = a->dst;

	if (count == 0)
		return;
	a->dst = flags_of_logic(a, before >> count);
	flag_put(a, RFLAGS_CF, ((before >> (count - 1)) & 1) != 0);
	flag_put(a, RFLAGS_OF, top_bit(a, before));
}

static void alu_sar(struct alu *a)
{
	unsigned count = shift_count(a);
	s64 before = sign_extended(a->dst, alu_bits(a));

	if (count == 0)
		return;
	a->dst = flags_of_logic(a, (u64)(before >> count));
	flag_put(a, RFLAGS_CF, ((before >> (count - 1)) & 1) != 0);
}

static u64 rotated_left(const struct alu *a, unsigned count)
{
	unsigned bits = alu_bits(a);

	count %= bits;
	return count == 0 ? a->dst : (a->dst << count) | (a->dst >> (bits - count));
}

static void alu_rol(struct alu *a)
{
	unsigned count = shift_count(a);

	if (count == 0)
		return;
	a->dst = rotated_left(a, count);
	flag_put(a, RFLAGS_CF, (a->dst & 1) != 0);
	flag_put(a, RFLAGS_OF, top_bit(a, a->dst) != carry_in(a));
}

static void alu_ror(struct alu *a)
{
	unsigned count = shift_count(a), bits = alu_bits(a);

	if (count == 0)
		return;
	a->dst = rotated_left(a, bits - count % bits);
	flag_put(a, RFLAGS_CF, top_bit(a, a->dst));
	flag_put(a, RFLAGS_OF, top_bit(a, a->dst ^ (a->dst << 1)));
}

/* A rotation through the carry has one bit more than the operand. */
static void alu_rcl(struct alu *a)
{
	unsigned count = shift_count(a) % (alu_bits(a) + 1);

	if (count == 0)
		return;
	for (; count > 0; count--) {
		bool carry = top_bit(a, a->dst);

		a->dst = a->dst << 1 | carry_in(a);
		flag_put(a, RFLAGS_CF, carry);
	}
	flag_put(a, RFLAGS_OF, top_bit(a, a->dst) != carry_in(a));
}

static void alu_rcr(struct alu *a)
{
	unsigned count = shift_count(a) % (alu_bits(a) + 1);

	if (count == 0)
		return;
	for (; count > 0; count--) {
		bool carry = (a->dst & 1) != 0;

		a->dst = (a->dst & alu_mask(a)) >> 1 | (u64)carry_in(a) << (alu_bits(a) - 1);
		flag_put(a, RFLAGS_CF, carry);
	}
	flag_put(a, RFLAGS_OF, top_bit(a, a->dst ^ (a->dst << 1)));
}

static void alu_mov(struct alu *a)
{
	a->dst = a->src;
}

static void alu_movsx(struct alu *a)
{
	a->dst = (u64)sign_extended(a->src, a->src_size * 8U);
}

static void alu_movbe(struct alu *a)
{
	a->dst = __builtin_bswap64(a->src) >> (64 - alu_bits(a));
}

static void alu_cmov(struct alu *a)
{
	if (condition_is_true(a->condition, a->rflags))
		a->dst = a->src;
}

static void alu_set(struct alu *a)
{
	a->dst = condition_is_true(a->condition, a->rflags);
}

static void alu_xchg(struct alu *a)
{
	u64 dst = a->dst;

	a->dst = a->src;
	a->src = dst;
}

static void alu_xadd(struct alu *a)
{
	u64 dst = a->dst;

	a->dst = add_with(a, dst, a->src, false);
	a->src = dst;
}

/* The destination is written in either case: a locked read always has its locked write. */
static void alu_cmpxchg(struct alu *a)
{
	if ((subtract_with(a, a->accumulator, a->dst, false) & alu_mask(a)) == 0) {
		a->dst = a->src;
	} else {
		a->accumulator = a->dst;
		a->sets_accumulator = true;
	}
}

/* Loads CF with the selected bit and returns that bit's mask. */
static u64 bit_tested(struct alu *a)
{
	u64 bit = BIT64(a->src & (alu_bits(a) - 1));

	flag_put(a, RFLAGS_CF, (a->dst & bit) != 0);
	return bit;
}

static void alu_bt(struct alu *a)
{
	(void)bit_tested(a);
}

static void alu_bts(struct alu *a)
{
	a->dst |= bit_tested(a);
}

static void alu_btr(struct alu *a)
{
	a->dst &= ~bit_tested(a);
}

static void alu_btc(struct alu *a)
{
	a->dst ^= bit_tested(a);
}

#define READ   ALU_READS_DST
#define WRITE  ALU_WRITES_DST
#define UPDATE (ALU_READS_DST | ALU_WRITES_DST)

const struct alu_row *alu_row(enum insn_op op)
{
	static const struct alu_row rows[OP_COUNT] = {
		[OP_ADD] = { alu_add, UPDATE },
		[OP_OR] = { alu_or, UPDATE },
		[OP_ADC] = { alu_adc, UPDATE },
		[OP_SBB] = { alu_sbb, UPDATE },
		[OP_AND] = { alu_and, UPDATE },
		[OP_SUB] = { alu_sub, UPDATE },
		[OP_XOR] = { alu_xor, UPDATE },
		[OP_CMP] = { alu_cmp, READ },
		[OP_TEST] = { alu_test, READ },
		[OP_NOT] = { alu_not, UPDATE },
		[OP_NEG] = { alu_neg, UPDATE },
		[OP_INC] = { alu_inc, UPDATE },
		[OP_DEC] = { alu_dec, UPDATE },
		[OP_ROL] = { alu_rol, UPDATE },
		[OP_ROR] = { alu_ror, UPDATE },
		[OP_RCL] = { alu_rcl, UPDATE },
		[OP_RCR] = { alu_rcr, UPDATE },
		[OP_SHL] = { alu_shl, UPDATE },
		[OP_SHR] = { alu_shr, UPDATE },
		[OP_SAR] = { alu_sar, UPDATE },
		[OP_MOV] = { alu_mov, WRITE },
		[OP_MOVZX] = { alu_mov, WRITE },
		[OP_MOVSX] = { alu_movsx, WRITE },
		[OP_MOVBE] = { alu_movbe, WRITE },
		[OP_CMOV] = { alu_cmov, UPDATE },
		[OP_SET] = { alu_set, WRITE },
		[OP_XCHG] = { alu_xchg, UPDATE | ALU_WRITES_SRC },
		[OP_XADD] = { alu_xadd, UPDATE | ALU_WRITES_SRC },
		[OP_CMPXCHG] = { alu_cmpxchg, UPDATE },
		[OP_BT] = { alu_bt, READ },
		[OP_BTS] = { alu_bts, UPDATE },
		[OP_BTR] = { alu_btr, UPDATE },
		[OP_BTC] = { alu_btc, UPDATE },
	};

	return &rows[op];
}

bool condition_is_true(u8 condition, u64 rflags)
{
	bool carry = (rflags & RFLAGS_CF) != 0, zero = (rflags & RFLAGS_ZF) != 0;
	bool sign = (rflags & RFLAGS_SF) != 0, overflow = (rflags & RFLAGS_OF) != 0;
	const bool facts[8] = {
		overflow,
		carry,
		zero,
		carry || zero,
		sign,
		(rflags & RFLAGS_PF) != 0,
		sign != overflow,
		zero || sign != overflow,
	};

	return facts[(condition >> 1) & 7] != (bool)(condition & 1);
}
