/* Tests of instruction lengths: every prefix, REX, the limit of 15 bytes, cut and foreign bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/svm/insn_len.h"

static const struct insn_opcode opcodes[] = {
	{ 1, { 0xf4 } },	     /* HLT */
	{ 2, { 0x0f, 0xa2 } },	     /* CPUID */
	{ 2, { 0x0f, 0x30 } },	     /* WRMSR */
	{ 3, { 0x0f, 0x01, 0xd1 } }, /* XSETBV */
};

/* `prefixes`, then the opcode, then bytes that are not part of it. */
static u32 length_of(const u8 *prefixes, u32 count, bool long_mode, const struct insn_opcode *o)
{
	u8 bytes[32];

	memset(bytes, 0x90, sizeof(bytes));
	memcpy(bytes, prefixes, count);
	memcpy(bytes + count, o->byte, o->length);
	return insn_length(bytes, sizeof(bytes), long_mode, o);
}

/* SDM, "Instruction Prefixes" */
static bool is_prefix(u32 byte, bool long_mode)
{
	static const u8 legacy[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
				     0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(legacy, (int)byte, sizeof(legacy)) != NULL ||
	       (long_mode && byte >= 0x40 && byte <= 0x4f);
}

static void every_single_byte_in_front(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(opcodes); i++) {
		for (u32 mode = 0; mode < 2; mode++) {
			for (u32 byte = 0; byte < 256; byte++) {
				u8 prefix = (u8)byte;

				if (byte == opcodes[i].byte[0])
					continue;
				assert_int_equal(length_of(&prefix, 1, mode, &opcodes[i]),
						 is_prefix(byte, mode) ? opcodes[i].length + 1U
								       : 0U);
			}
		}
	}
}

static void prefixes_in_any_order(void **state)
{
	static const u8 prefixes[] = { 0x66, 0x48, 0x2e, 0xf3, 0x67, 0x4f };

	(void)state;
	assert_int_equal(length_of(prefixes, sizeof(prefixes), true, &opcodes[1]), 8);
	assert_int_equal(length_of(prefixes, sizeof(prefixes), false, &opcodes[1]), 0);
	assert_int_equal(length_of(prefixes, 1, false, &opcodes[1]), 3);
}

static void at_most_15_bytes(void **state)
{
	u8 prefixes[16];

	(void)state;
	memset(prefixes, 0x66, sizeof(prefixes));
	for (u32 i = 0; i < ARRAY_SIZE(opcodes); i++) {
		u32 most = 15 - opcodes[i].length;

		assert_int_equal(length_of(prefixes, most, true, &opcodes[i]), 15);
		assert_int_equal(length_of(prefixes, most + 1, true, &opcodes[i]), 0);
		assert_int_equal(length_of(prefixes, 16, true, &opcodes[i]), 0);
	}
}

static void cut_short(void **state)
{
	static const u8 bytes[] = { 0x66, 0x0f, 0x01, 0xd1 };

	(void)state;
	for (u32 count = 0; count < sizeof(bytes); count++) {
		u8 *exact = test_malloc(count + 1);

		memcpy(exact + 1, bytes, count); /* a read beyond the end is the sanitizer's */
		assert_int_equal(insn_length(exact + 1, count, true, &opcodes[3]), 0);
		test_free(exact);
	}
	assert_int_equal(insn_length(bytes, sizeof(bytes), true, &opcodes[3]), 4);
}

static void another_instruction(void **state)
{
	static const u8 bytes[] = { 0x0f, 0x01, 0xd0, 0x90 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(opcodes); i++)
		assert_int_equal(insn_length(bytes, sizeof(bytes), true, &opcodes[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_single_byte_in_front),
		cmocka_unit_test(prefixes_in_any_order),
		cmocka_unit_test(at_most_15_bytes),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(another_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
