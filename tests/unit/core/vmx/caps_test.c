/*
 * Tests of the capability decoder on what processors really report, and with every single bit of
 * a good processor changed. Numbers and bits are the manual's, not the code's. SDM, "VMX Capability
 * Reporting Facility".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/boot/boot_info.h"
#include "core/vmx/caps.h"
#include "tests/support/fake_insn.h"
#include "tests/support/fake_log.h"

#define LINES_MAX 32

static char lines[LINES_MAX][256];
static u32 line_count;

static void keep_line(const char *text)
{
	assert_true(line_count < LINES_MAX);
	strcpy(lines[line_count++], text);
}

static bool said(const char *what)
{
	for (u32 i = 0; i < line_count; i++) {
		if (strstr(lines[i], what))
			return true;
	}
	return false;
}

/* --- processors */

/* In the order of their numbers; 0: the processor has no such MSR. */
struct model {
	const char *name;
	u64 basic, pin, proc, exit, entry, misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 proc2, ept, true_pin, true_proc, true_exit, true_entry;
};

static const u32 number[] = { 0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487,
			      0x488, 0x489, 0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490 };

static const struct model penryn = {
	"core2_penryn_t9600", 0x00d810000000002b, 0x0000003f00000016, 0xf7f9fffe0401e172,
	0x0003ffff00036dff,   0x00003fff000011ff, 0x00000000000401e0, 0x0000000080000021,
	0x00000000ffffffff,   0x0000000000002000, 0x00000000000467ff, 0x0000004100000000,
	0x0000000000000000,   0x0000003f00000016, 0xf7f9fffe04006172, 0x0003ffff00036dfb,
	0x00003fff000011fb,
};

static const struct model lynnfield = {
	"corei5_lynnfield_750", 0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff,	0x0000ffff000011ff, 0x00000000000401e0, 0x0000000080000021,
	0x00000000ffffffff,	0x0000000000002000, 0x00000000000067ff, 0x0000007f00000000,
	0x00000f0106114141,	0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model arrandale = {
	"corei5_arrandale_m520", 0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff,	 0x0000ffff000011ff, 0x00000000000401e0, 0x0000000080000021,
	0x00000000ffffffff,	 0x0000000000002000, 0x00000000000067ff, 0x000000ff00000000,
	0x00000f0106114141,	 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model ivy_bridge = {
	"corei7_ivy_bridge_3770k", 0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff,	   0x0000ffff000011ff, 0x00000000000401e0, 0x0000000080000021,
	0x00000000ffffffff,	   0x0000000000002000, 0x00000000001727ff, 0x000008ff00000000,
	0x00000f0106114141,	   0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model haswell = {
	"corei7_haswell_4770", 0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff,    0x0000ffff000011ff, 0x00000000200401e0, 0x0000000080000021,
	0x00000000ffffffff,    0x0000000000002000, 0x00000000001727ff, 0x00047fff00000000,
	0x00000f0106334141,    0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model broadwell = {
	"broadwell_ult",    0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff, 0x0000ffff000011ff, 0x00000000200401e0, 0x0000000080000021,
	0x00000000ffffffff, 0x0000000000002000, 0x00000000003727ff, 0x00057fff00000000,
	0x00000f0106334141, 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model skylake = {
	"corei7_skylake_x", 0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff, 0x0000ffff000011ff, 0x00000000600401e0, 0x0000000080000021,
	0x00000000ffffffff, 0x0000000000002000, 0x00000000003727ff, 0x02177fff00000000,
	0x00000f0106334141, 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model cannon_lake = {
	"corei3_cnl",	    0x00d810000000002b, 0x0000007f00000016, 0xf7f9fffe0401e172,
	0x007fffff00036dff, 0x0000ffff000011ff, 0x00000000600401e0, 0x0000000080000021,
	0x00000000ffffffff, 0x0000000000002000, 0x0000000000772fff, 0x02157cff00000000,
	0x00000f0106334141, 0x0000007f00000016, 0xf7f9fffe04006172, 0x007fffff00036dfb,
	0x0000ffff000011fb,
};

static const struct model tiger_lake = {
	"tigerlake",	    0x01d8100000000004, 0x0000007f00000016, 0xfff9fffe0401e172,
	0x107fffff00036dff, 0x0010ffff000011ff, 0x00000000600401e0, 0x0000000080000021,
	0x00000000ffffffff, 0x0000000000002000, 0x0000000000f72fff, 0x02977fff00000000,
	0x00000f0106b34141, 0x0000007f00000016, 0xfff9fffe04006172, 0x107fffff00036dfb,
	0x0010ffff000011fb,
};

/* Reading an MSR that the processor has not fails the test: there it is #GP in ring 0. */
static void be(const struct model *m)
{
	const u64 *value = &m->basic;

	static_assert(sizeof(*m) == sizeof(m->name) + sizeof(u64) * ARRAY_SIZE(number), "each");
	fake_insn_reset();
	fake_insn.msr_strict = true;
	fake_log.on_line = keep_line;
	line_count = 0;
	memset(&vmx_caps, 0xaa, sizeof(vmx_caps)); /* nothing may be left as it was */
	for (u32 i = 0; i < ARRAY_SIZE(number); i++) {
		if (value[i] != 0)
			wrmsr(number[i], value[i]);
	}
}

static bool read_as(const struct model *m)
{
	be(m);
	return vmx_caps_read();
}

/* --- what they give */

static void control_words_of_a_full_processor(void **state)
{
	(void)state;
	assert_true(read_as(&broadwell));
	assert_int_equal(line_count, 0);
	assert_int_equal(vmx_caps.revision, 0x2b);
	assert_int_equal(vmx_caps.pin, 0x7f);
	assert_int_equal(vmx_caps.proc, 0xb6206dfa);
	assert_int_equal(vmx_caps.proc2, 0x4ea);
	assert_int_equal(vmx_caps.exit, 0x3f6fff);
	assert_int_equal(vmx_caps.entry, 0xd1ff);
	assert_int_equal(vmx_caps.timer_shift, 0);
	assert_int_equal(vmx_caps.cr0_fixed0, 0x80000021);
	assert_int_equal(vmx_caps.cr0_fixed1, 0xffffffff);
	assert_int_equal(vmx_caps.cr4_fixed0, 0x2000);
	assert_int_equal(vmx_caps.cr4_fixed1, 0x3727ff);
	assert_int_equal(vmx_caps.ept, 0xf0106334141);
}

static void the_timer_shift_is_the_low_five_bits(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.misc |= 0x15;
	assert_true(read_as(&m));
	assert_int_equal(vmx_caps.timer_shift, 0x15);
}

static void what_is_optional(void **state)
{
	static const struct {
		const struct model *model;
		bool page_1g, ept_dirty, apicv;
		u32 proc2;
	} row[] = {
		{ &arrandale, false, false, false, 0xea },
		{ &ivy_bridge, false, false, false, 0xea },
		{ &haswell, true, true, true, 0x4ea },
		{ &broadwell, true, true, true, 0x4ea },
		{ &skylake, true, true, true, 0x4ea },
		{ &cannon_lake, true, true, false, 0x4ea },
		{ &tiger_lake, true, true, true, 0x4ea },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		assert_true(read_as(row[i].model));
		assert_int_equal(line_count, 0);
		assert_int_equal(vmx_caps.page_1g, row[i].page_1g);
		assert_int_equal(vmx_caps.ept_dirty, row[i].ept_dirty);
		assert_true(vmx_caps.preemption_timer);
		assert_int_equal(vmx_caps.apicv, row[i].apicv);
		/* The same words nearly everywhere: nothing optional slips in by itself. */
		assert_int_equal(vmx_caps.pin, 0x7f);
		assert_int_equal(vmx_caps.proc, 0xb6206dfa);
		assert_int_equal(vmx_caps.proc2, row[i].proc2);
		assert_int_equal(vmx_caps.exit, 0x3f6fff);
		assert_int_equal(vmx_caps.entry, 0xd1ff);
	}
}

static void optional_bits_one_by_one(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.true_pin &= ~(1ULL << (32 + 6));
	assert_true(read_as(&m));
	assert_false(vmx_caps.preemption_timer);
	/* A bit that this core does not use stays clear. */
	assert_int_equal(vmx_caps.pin, 0x3f);
	m = broadwell;
	m.true_pin |= 1ULL << (32 + 7);
	assert_true(read_as(&m));
	assert_int_equal(vmx_caps.pin, 0x7f);
	m = broadwell;
	m.proc2 &= ~(1ULL << (32 + 3));
	assert_true(read_as(&m));
	assert_int_equal(vmx_caps.proc2, 0x4e2); /* no RDTSCP */
	m = broadwell;
	m.ept &= ~(1ULL << 17);
	assert_true(read_as(&m));
	assert_false(vmx_caps.page_1g);
	assert_true(vmx_caps.ept_dirty);
}

static void apic_virtualization_can_be_left_alone(void **state)
{
	(void)state;
	strcpy(boot_info.cmdline, "emulator-exit no-apic-virtualization");
	assert_true(read_as(&broadwell));
	assert_false(vmx_caps.apicv);
	assert_int_equal(vmx_caps.proc2, 0x4ea);
	strcpy(boot_info.cmdline, "no-apic-virtualizations");
	assert_true(read_as(&broadwell));
	assert_true(vmx_caps.apicv);
	boot_info.cmdline[0] = '\0';
}

/* Without one of them none is used. */
static void apic_virtualization_is_all_or_nothing(void **state)
{
	static const u32 part[] = { 0, 4, 8, 9 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(part); i++) {
		struct model m = broadwell;

		assert_true(read_as(&m));
		assert_true(vmx_caps.apicv);
		m.proc2 &= ~(1ULL << (32 + part[i]));
		assert_true(read_as(&m));
		assert_false(vmx_caps.apicv);
		assert_int_equal(line_count, 0);
	}
}

/* --- refusals */

static void every_line_has_a_remedy(void)
{
	for (u32 i = 0; i < line_count; i++) {
		assert_ptr_equal(strstr(lines[i], "this machine lacks "), lines[i]);
		assert_non_null(strstr(lines[i], ": "));
		assert_true(strlen(lines[i]) < 250); /* not cut */
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(lines[i], lines[j]);
	}
}

static void no_second_stage(void **state)
{
	(void)state;
	assert_false(read_as(&penryn));
	every_line_has_a_remedy();
	assert_true(said("lacks the VT-x control \"enable EPT\": Intel processors since 2008 "
			 "(Nehalem) have it"));
	assert_true(said("\"enable VPID\""));
	assert_true(said("\"unrestricted guest\""));
	assert_true(said("\"save IA32_EFER on exit\""));
	assert_true(said("\"load IA32_EFER on exit\""));
	assert_true(said("\"save IA32_PAT on exit\""));
	assert_true(said("\"load IA32_PAT on exit\""));
	assert_true(said("\"load IA32_EFER on entry\""));
	assert_true(said("\"load IA32_PAT on entry\""));
	assert_int_equal(line_count, 9);
	assert_int_equal(vmx_caps.ept, 0);
	assert_false(vmx_caps.page_1g || vmx_caps.ept_dirty || vmx_caps.preemption_timer);
}

static void no_unrestricted_guest(void **state)
{
	(void)state;
	assert_false(read_as(&lynnfield));
	assert_int_equal(line_count, 1);
	assert_string_equal(lines[0], "this machine lacks the VT-x control \"unrestricted guest\": "
				      "Intel processors since 2010 (Westmere) have it");
}

/* Then bits 15 and 16 of the processor-based controls must be set, as on the first processors. */
static void no_true_msrs(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.basic &= ~(1ULL << 55);
	m.true_pin = m.true_proc = m.true_exit = m.true_entry = 0;
	assert_false(read_as(&m));
	every_line_has_a_remedy();
	assert_int_equal(line_count, 2);
	assert_true(said("VT-x with the control \"CR3-load exiting\" switched off"));
	assert_true(said("VT-x with the control \"CR3-store exiting\" switched off"));
	assert_int_equal(vmx_caps.pin, 0x7f);
	assert_int_equal(vmx_caps.proc, 0xb621edfa);
	assert_int_equal(vmx_caps.exit, 0x3f6fff);
	assert_int_equal(vmx_caps.entry, 0xd1ff);
}

static void no_secondary_controls(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.true_proc &= ~(1ULL << 63);
	m.proc2 = m.ept = 0;
	assert_false(read_as(&m));
	assert_int_equal(line_count, 1);
	assert_true(said("\"activate secondary controls\""));
	assert_int_equal(vmx_caps.proc2, 0);
	assert_false(vmx_caps.apicv);
}

/* Without EPT its details are not asked for. */
static void no_ept_but_vpid(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.proc2 &= ~(1ULL << (32 + 1));
	assert_false(read_as(&m));
	assert_int_equal(line_count, 1);
	assert_true(said("\"enable EPT\""));
}

static void ept_with_nothing_in_it(void **state)
{
	(void)state;
	be(&broadwell);
	wrmsr(0x48c, 0);
	assert_false(vmx_caps_read());
	assert_int_equal(line_count, 5);
}

static void structures_in_uncached_memory(void **state)
{
	struct model m = broadwell;

	(void)state;
	m.basic &= ~(15ULL << 50);
	assert_false(read_as(&m));
	assert_int_equal(line_count, 1);
	assert_true(said("write-back"));
}

/* --- every bit in turn */

#define CAN(n) (1ULL << (32 + (n))) /* may be one */

/* Capability MSRs by their place in struct model, and the bits that must be in them. */
static const struct needed {
	size_t place;
	u32 bit; /* of the MSR, 0 to 63 */
	const char *name;
} needed[] = {
#define PLACE(member) offsetof(struct model, member)
	{ PLACE(true_pin), 32 + 0, "\"external-interrupt exiting\"" },
	{ PLACE(true_pin), 32 + 3, "\"NMI exiting\"" },
	{ PLACE(true_pin), 32 + 5, "\"virtual NMIs\"" },
	{ PLACE(true_proc), 32 + 2, "\"interrupt-window exiting\"" },
	{ PLACE(true_proc), 32 + 3, "\"use TSC offsetting\"" },
	{ PLACE(true_proc), 32 + 7, "\"HLT exiting\"" },
	{ PLACE(true_proc), 32 + 10, "\"MWAIT exiting\"" },
	{ PLACE(true_proc), 32 + 11, "\"RDPMC exiting\"" },
	{ PLACE(true_proc), 32 + 21, "\"use TPR shadow\"" },
	{ PLACE(true_proc), 32 + 22, "\"NMI-window exiting\"" },
	{ PLACE(true_proc), 32 + 25, "\"use I/O bitmaps\"" },
	{ PLACE(true_proc), 32 + 28, "\"use MSR bitmaps\"" },
	{ PLACE(true_proc), 32 + 29, "\"MONITOR exiting\"" },
	{ PLACE(true_proc), 32 + 31, "\"activate secondary controls\"" },
	{ PLACE(proc2), 32 + 1, "\"enable EPT\"" },
	{ PLACE(proc2), 32 + 5, "\"enable VPID\"" },
	{ PLACE(proc2), 32 + 6, "\"WBINVD exiting\"" },
	{ PLACE(proc2), 32 + 7, "\"unrestricted guest\"" },
	{ PLACE(true_exit), 32 + 2, "\"save debug controls\"" },
	{ PLACE(true_exit), 32 + 9, "\"host address-space size\"" },
	{ PLACE(true_exit), 32 + 18, "\"save IA32_PAT on exit\"" },
	{ PLACE(true_exit), 32 + 19, "\"load IA32_PAT on exit\"" },
	{ PLACE(true_exit), 32 + 20, "\"save IA32_EFER on exit\"" },
	{ PLACE(true_exit), 32 + 21, "\"load IA32_EFER on exit\"" },
	{ PLACE(true_entry), 32 + 2, "\"load debug controls\"" },
	{ PLACE(true_entry), 32 + 9, "\"IA-32e mode guest\"" },
	{ PLACE(true_entry), 32 + 14, "\"load IA32_PAT on entry\"" },
	{ PLACE(true_entry), 32 + 15, "\"load IA32_EFER on entry\"" },
	{ PLACE(ept), 6, "page walk of four levels" },
	{ PLACE(ept), 14, "write-back memory" },
	{ PLACE(ept), 16, "2 MiB" },
	{ PLACE(ept), 25, "single-context INVEPT" },
	{ PLACE(ept), 41, "single-context INVVPID" },
};

/* Bits that a processor must let us leave clear. */
static const struct needed unwanted[] = {
	{ PLACE(true_proc), 2, "\"interrupt-window exiting\"" },
	{ PLACE(true_proc), 9, "\"INVLPG exiting\" switched off" },
	{ PLACE(true_proc), 12, "\"RDTSC exiting\" switched off" },
	{ PLACE(true_proc), 15, "\"CR3-load exiting\" switched off" },
	{ PLACE(true_proc), 16, "\"CR3-store exiting\" switched off" },
	{ PLACE(true_proc), 19, "\"CR8-load exiting\" switched off" },
	{ PLACE(true_proc), 20, "\"CR8-store exiting\" switched off" },
	{ PLACE(true_proc), 22, "\"NMI-window exiting\"" },
	{ PLACE(true_exit), 15, "\"acknowledge interrupt on exit\" switched off" },
	{ PLACE(true_entry), 9, "\"IA-32e mode guest\"" },
};

static const char *find(const struct needed *list, size_t count, size_t place, u32 bit)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].place == place && list[i].bit == bit)
			return list[i].name;
	}
	return NULL;
}

static u64 *member(struct model *m, size_t place)
{
	return (u64 *)(void *)((u8 *)m + place);
}

/* One line that names it, or none: no other bit matters. */
static void expect(const char *name, bool ok)
{
	assert_int_equal(line_count, name != NULL);
	assert_int_equal(ok, name == NULL);
	if (name)
		assert_true(said(name));
	every_line_has_a_remedy();
}

static void every_bit_missing_in_turn(void **state)
{
	static const size_t place[] = { PLACE(true_pin),  PLACE(true_proc),  PLACE(proc2),
					PLACE(true_exit), PLACE(true_entry), PLACE(ept) };
	u32 refused = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(place); i++) {
		bool ept = place[i] == PLACE(ept);

		for (u32 bit = ept ? 0 : 32; bit < 64; bit++) {
			struct model m = broadwell;
			const char *name = find(needed, ARRAY_SIZE(needed), place[i], bit);

			/* A bit that must be one stays possible, whatever else is said. */
			if (!ept && (*member(&m, place[i]) >> (bit - 32) & 1) != 0)
				continue;
			*member(&m, place[i]) &= ~(1ULL << bit);
			expect(name, read_as(&m));
			refused += name != NULL;
		}
	}
	assert_int_equal(refused, ARRAY_SIZE(needed));
}

static u32 word_of(size_t place)
{
	return place == PLACE(true_pin)	   ? vmx_caps.pin
	       : place == PLACE(true_proc) ? vmx_caps.proc
	       : place == PLACE(proc2)	   ? vmx_caps.proc2
	       : place == PLACE(true_exit) ? vmx_caps.exit
					   : vmx_caps.entry;
}

static void every_bit_that_must_be_one_is_kept(void **state)
{
	static const size_t place[] = { PLACE(true_pin), PLACE(true_proc), PLACE(proc2),
					PLACE(true_exit), PLACE(true_entry) };
	u32 refused = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(place); i++) {
		for (u32 bit = 0; bit < 32; bit++) {
			struct model m = broadwell;
			const char *name = find(unwanted, ARRAY_SIZE(unwanted), place[i], bit);
			u32 before;

			assert_true(read_as(&m));
			before = word_of(place[i]);
			*member(&m, place[i]) |= 1ULL << bit | CAN(bit);
			expect(name, read_as(&m));
			assert_int_equal(word_of(place[i]), before | 1U << bit);
			refused += name != NULL;
		}
	}
	assert_int_equal(refused, ARRAY_SIZE(unwanted));
}

/* --- fixed bits of CR0 and CR4 */

static void fixed_bits(void **state)
{
	(void)state;
	assert_true(read_as(&broadwell));
	assert_int_equal(vmx_cr0(0), 0x80000021);
	assert_int_equal(vmx_cr0(0xffffffff00010000), 0x80010021);
	assert_int_equal(vmx_cr4(0), 0x2000);
	assert_int_equal(vmx_cr4(~0ULL), 0x3727ff);
}

/* --- permission to enter VMX operation */

static u32 features_ecx;

static struct cpuid_result features(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	assert_int_equal(leaf, 1);
	return (struct cpuid_result){ .ecx = features_ecx };
}

static bool feature_control(u64 value)
{
	be(&broadwell);
	features_ecx = 1U << 5;
	fake_insn.on_cpuid = features;
	wrmsr(0x3a, value);
	fake_insn.msr_writes = 0;
	return vmx_feature_control_ok();
}

static void without_vmx_no_msr_is_read(void **state)
{
	static const struct model none;

	(void)state;
	be(&none);
	features_ecx = ~(1U << 5);
	fake_insn.on_cpuid = features;
	assert_false(vmx_feature_control_ok());
	assert_int_equal(line_count, 1);
	every_line_has_a_remedy();
	assert_true(said("lacks VT-x (VMX): enable"));
	assert_int_equal(fake_insn.msr_writes, 0);
}

static void locked_on(void **state)
{
	(void)state;
	for (u64 value = 5; value <= 7; value += 2) {
		assert_true(feature_control(value));
		assert_int_equal(line_count, 0);
		assert_int_equal(fake_insn.msr_writes, 0); /* it would be #GP */
	}
}

static void locked_off(void **state)
{
	(void)state;
	for (u64 value = 1; value <= 3; value += 2) { /* 3: inside SMX alone */
		assert_false(feature_control(value));
		assert_int_equal(line_count, 1);
		every_line_has_a_remedy();
		assert_true(said("firmware locked it off"));
		assert_true(said("Intel Virtualization Technology (VT-x) in the firmware setup, "
				 "then power-cycle"));
		assert_int_equal(fake_insn.msr_writes, 0);
	}
}

static void unlocked_is_set_and_locked(void **state)
{
	static const u64 left[] = { 0, 2, 4, 0x100000 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(left); i++) {
		assert_true(feature_control(left[i]));
		assert_int_equal(line_count, 0);
		assert_int_equal(fake_insn.msr_writes, 1);
		assert_int_equal(rdmsr(0x3a), left[i] | 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_words_of_a_full_processor),
		cmocka_unit_test(the_timer_shift_is_the_low_five_bits),
		cmocka_unit_test(what_is_optional),
		cmocka_unit_test(optional_bits_one_by_one),
		cmocka_unit_test(apic_virtualization_is_all_or_nothing),
		cmocka_unit_test(apic_virtualization_can_be_left_alone),
		cmocka_unit_test(no_second_stage),
		cmocka_unit_test(no_unrestricted_guest),
		cmocka_unit_test(no_true_msrs),
		cmocka_unit_test(no_secondary_controls),
		cmocka_unit_test(no_ept_but_vpid),
		cmocka_unit_test(ept_with_nothing_in_it),
		cmocka_unit_test(structures_in_uncached_memory),
		cmocka_unit_test(every_bit_missing_in_turn),
		cmocka_unit_test(every_bit_that_must_be_one_is_kept),
		cmocka_unit_test(fixed_bits),
		cmocka_unit_test(without_vmx_no_msr_is_read),
		cmocka_unit_test(locked_on),
		cmocka_unit_test(locked_off),
		cmocka_unit_test(unlocked_is_set_and_locked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
