/* Tests of the CPUID policy: each row, what no row names, topology, XSAVE sizes, who we are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/virt/vm.h"
#include "lib/x86/registers.h"
#include "tests/support/fake_backend.h"

enum reg { EAX, EBX, ECX, EDX };

static struct cpuid_table table;
static struct cpuid_request request;
static struct vcpu vcpu;
static struct vcpu_page page;

static u32 reg_of(const struct cpuid_values *v, enum reg reg)
{
	const u32 all[] = { v->eax, v->ebx, v->ecx, v->edx };

	return all[reg];
}

static struct cpuid_values answer(u32 leaf, u32 subleaf)
{
	memset(page.gpr, 0xaa, sizeof(page.gpr));
	page.gpr[GPR_RAX] = BIT64(32) | leaf; /* the upper halves do not count */
	page.gpr[GPR_RCX] = BIT64(32) | subleaf;
	assert_int_equal(cpuid_exit(&vcpu), INSN_DONE);
	return (struct cpuid_values){ (u32)page.gpr[GPR_RAX], (u32)page.gpr[GPR_RBX],
				      (u32)page.gpr[GPR_RCX], (u32)page.gpr[GPR_RDX] };
}

static u32 guest(u32 leaf, u32 subleaf, enum reg reg)
{
	struct cpuid_values v = answer(leaf, subleaf);

	return reg_of(&v, reg);
}

/* --- hosts */

static struct cpuid_values host_ones(u32 leaf, u32 subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid_values){ ~0U, ~0U, ~0U, ~0U };
}

/* Has every leaf and nothing in it. */
static struct cpuid_values host_bare(u32 leaf, u32 subleaf)
{
	struct cpuid_values v = { 0 };

	(void)subleaf;
	if (leaf == CPUID_BASIC)
		v = (struct cpuid_values){ 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 };
	if (leaf == CPUID_EXTENDED)
		v.eax = 0x80000020;
	return v;
}

/* State components as Intel's processors with AVX-512 lay them out. */
static struct cpuid_values host_avx512(u32 leaf, u32 subleaf)
{
	static const struct cpuid_values state[] = {
		[2] = { 256, 576, 0, 0 },   [5] = { 64, 1088, 0, 0 }, [6] = { 512, 1152, 0, 0 },
		[7] = { 1024, 1664, 0, 0 }, [9] = { 8, 2688, 0, 0 },
	};

	if (leaf == CPUID_FEATURES)
		return (struct cpuid_values){ .ecx = CPUID_1_ECX_XSAVE | CPUID_1_ECX_AVX };
	if (leaf == CPUID_XSAVE && subleaf == 1)
		return (struct cpuid_values){ .eax = CPUID_D1_EAX_XSAVEC | CPUID_D1_EAX_XSAVES };
	if (leaf == CPUID_XSAVE && subleaf < ARRAY_SIZE(state))
		return state[subleaf];
	return host_bare(leaf, subleaf);
}

static bool amd; /* its back end says that leaves 80000000h and up tell of cores */

static void build(struct cpuid_values (*host)(u32 leaf, u32 subleaf), u32 cpus, u64 xcr0)
{
	request = (struct cpuid_request){
		.cpus = cpus,
		.extended_topology = amd,
		.tsc_khz = 2000000,
		.xcr0 = xcr0,
		.host = host,
	};
	fake_backend_reset();
	vcpu = (struct vcpu){ .cpuid = &table, .page = &page, .lapic.base = APIC_BASE_ENABLE };
	memset(&table, 0xaa, sizeof(table)); /* the builder must not rely on zeroes */
	cpuid_table_build(&table, &request);
}

/* --- rows */

static const struct row {
	u32 leaf, subleaf;
	enum reg reg;
	u32 bits;
	bool always;
} rows[] = {
#define HOST(leaf, subleaf, reg, bits, how)   { leaf, subleaf, reg, bits, false },
#define ALWAYS(leaf, subleaf, reg, bits, how) { leaf, subleaf, reg, bits, true },
#include "core/virt/cpuid.def"
#undef HOST
#undef ALWAYS
};

static u32 row_bits(u32 leaf, u32 subleaf, enum reg reg, bool always_only)
{
	u32 bits = 0;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].leaf == leaf && rows[i].subleaf == subleaf && rows[i].reg == reg &&
		    (rows[i].always || !always_only))
			bits |= rows[i].bits;
	}
	return bits;
}

static void rows_do_not_overlap(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_not_equal(rows[i].bits, 0);
		for (u32 j = 0; j < i; j++) {
			if (rows[i].leaf == rows[j].leaf && rows[i].subleaf == rows[j].subleaf &&
			    rows[i].reg == rows[j].reg)
				assert_int_equal(rows[i].bits & rows[j].bits, 0);
		}
	}
}

static void every_row_is_seen_on_a_full_host(void **state)
{
	(void)state;
	build(host_ones, 1, 7);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(guest(rows[i].leaf, rows[i].subleaf, rows[i].reg) & rows[i].bits,
				 rows[i].bits);
}

static void only_always_rows_on_a_bare_host(void **state)
{
	(void)state;
	build(host_bare, 1, 3);
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(guest(rows[i].leaf, rows[i].subleaf, rows[i].reg) & rows[i].bits,
				 rows[i].always ? rows[i].bits : 0);
}

/* A processor answers a leaf beyond its last one with the last one's data: it must not count. */
static struct cpuid_values host_short(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	if (leaf == CPUID_BASIC)
		return (struct cpuid_values){ 1, 0, 0, 0 };
	if (leaf == CPUID_EXTENDED)
		return (struct cpuid_values){ CPUID_EXT_FEATURES, 0, 0, 0 };
	return (struct cpuid_values){ ~0U, ~0U, ~0U, ~0U };
}

static void leaves_that_the_host_lacks(void **state)
{
	(void)state;
	build(host_short, 1, 3);
	assert_int_equal(guest(0, 0, EAX), 1);
	assert_int_equal(guest(CPUID_EXTENDED, 0, EAX), CPUID_EXT_FEATURES);
	for (enum reg reg = EAX; reg <= EDX; reg++) {
		assert_int_equal(guest(CPUID_STRUCTURED, 0, reg), 0);
		assert_int_equal(guest(CPUID_CACHE, 0, reg), 0);
		assert_int_equal(guest(CPUID_EXT_POWER, 0, reg), 0);
		assert_int_equal(guest(CPUID_EXT_BRAND, 0, reg), 0);
	}
}

/* --- nothing leaks */

struct allowed {
	u32 leaf, subleaf; /* ANY: all of them */
	u32 bits[4];
};

#define ANY ~0U

/*
 * What a guest may see of a host whose CPUID is all ones, besides the rows: identity and sizes.
 * Leaves that are not here must be zero.
 */
static const struct allowed allowed[] = {
	{ 0, ANY, { 0x1f, ~0U, ~0U, ~0U } },
	{ 1, ANY, { ~0U, 0xffffff00 & ~0xff000000, 0, 0 } },
	{ 2, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 6, ANY, { BIT32(2), 0, 0, 0 } },
	{ 0xb, 0, { 0, 1, 0x100, 0 } },
	{ 0xb, 1, { 0, 1, 0x201, 0 } },
	{ 0xd, 0, { 7, ~0U, ~0U, 0 } },
	{ 0xd, 1, { 0, ~0U, 0, 0 } },
	{ 0xd, 2, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x1f, 0, { 0, 1, 0x100, 0 } },
	{ 0x1f, 1, { 0, 1, 0x201, 0 } },
	{ 0x40000000, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x40000010, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x40000100, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x40000101, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000000, ANY, { 0x8000001e, ~0U, ~0U, ~0U } },
	{ 0x80000001, ANY, { ~0U, 0, 0, 0 } },
	{ 0x80000002, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000003, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000004, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000005, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000006, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ 0x80000008, ANY, { 0xffff, 0, 0, 0 } },
};

static u32 allowed_bits(u32 leaf, u32 subleaf, enum reg reg)
{
	/* Leaves with subleaves answer those one by one; the others ignore ECX. */
	bool levels = leaf == 0xb || leaf == 0x1f, caches = leaf == (amd ? 0x8000001d : 4);
	bool one_by_one = levels || leaf == 4 || leaf == 0x8000001d || leaf == 7 || leaf == 0xd;
	u32 bits = row_bits(leaf, one_by_one ? subleaf : 0, reg, false);

	for (u32 i = 0; i < ARRAY_SIZE(allowed); i++) {
		if (allowed[i].leaf == leaf &&
		    (allowed[i].subleaf == ANY || allowed[i].subleaf == subleaf))
			bits |= allowed[i].bits[reg];
	}
	if (caches && subleaf < 4)
		bits |= reg == EAX ? 0x3fff : ~0U;
	/* The number of the subleaf comes back in ECX. */
	return levels && reg == ECX ? bits | (subleaf & 0xff) : bits;
}

static void check_leaf(u32 leaf, u32 subleaf)
{
	for (enum reg reg = EAX; reg <= EDX; reg++) {
		u32 seen = guest(leaf, subleaf, reg);

		if ((seen & ~allowed_bits(leaf, subleaf, reg)) != 0)
			fail_msg("leaf %x/%x register %d: %x, allowed %x", leaf, subleaf, reg, seen,
				 allowed_bits(leaf, subleaf, reg));
	}
}

static void nothing_leaks_that_no_row_names(void **state)
{
	static const u32 start[] = { 0,		 0x3ffffff0, 0x40000000, 0x400000f0, 0x7ffffff0,
				     0x80000000, 0x8fffffff, 0xc0000000, 0xfffffff0 };

	amd = *state != NULL;
	build(host_ones, 1, 7);
	for (u32 i = 0; i < ARRAY_SIZE(start); i++) {
		for (u32 offset = 0; offset < 0x120; offset++) {
			for (u32 subleaf = 0; subleaf < 70; subleaf++)
				check_leaf(start[i] + offset, subleaf);
			check_leaf(start[i] + offset, 0x80000000);
			check_leaf(start[i] + offset, ~0U);
		}
	}
}

static void what_must_stay_hidden(void **state)
{
	(void)state;
	build(host_ones, 1, 7);
	assert_int_equal(guest(1, 0, ECX) &
				 (CPUID_1_ECX_VMX | CPUID_1_ECX_SMX | CPUID_1_ECX_MONITOR |
				  CPUID_1_ECX_DTES64 | CPUID_1_ECX_PDCM | CPUID_1_ECX_EIST),
			 0);
	assert_int_equal(guest(1, 0, EDX) & (CPUID_1_EDX_DS | CPUID_1_EDX_ACPI | CPUID_1_EDX_TM),
			 0);
	assert_int_equal(guest(CPUID_EXT_FEATURES, 0, ECX) & CPUID_EXT1_ECX_SVM, 0);
	assert_int_equal(guest(CPUID_STRUCTURED, 0, EBX) &
				 (CPUID_7_EBX_SGX | CPUID_7_EBX_INTEL_PT | CPUID_7_EBX_RTM),
			 0);
	assert_int_equal(guest(CPUID_STRUCTURED, 0, ECX) &
				 (CPUID_7_ECX_PKU | CPUID_7_ECX_OSPKE | CPUID_7_ECX_LA57 |
				  CPUID_7_ECX_WAITPKG | CPUID_7_ECX_CET_SS),
			 0);
	assert_int_equal(guest(CPUID_XSAVE, 1, EAX) & CPUID_D1_EAX_XSAVES, 0);
	for (enum reg reg = EAX; reg <= EDX; reg++) {
		assert_int_equal(guest(CPUID_MWAIT, 0, reg), 0);
		assert_int_equal(guest(0xa, 0, reg), 0);  /* performance counters */
		assert_int_equal(guest(0x14, 0, reg), 0); /* processor trace */
		assert_int_equal(guest(CPUID_EXT_SVM, 0, reg), 0);
		assert_int_equal(guest(0x8000001f, 0, reg), 0); /* memory encryption */
	}
}

/* --- topology */

/* A guest that knows the leaves of both vendors must find the same answer in each of them. */

static u32 log2_up(u32 count)
{
	u32 bits = 0;

	while (1U << bits < count)
		bits++;
	return bits;
}

/* Leaves B and 1F of a package of `cpus` cores with one thread each. */
static void check_levels(u32 leaf, u32 cpus)
{
	assert_int_equal(guest(leaf, 0, EAX), 0);
	assert_int_equal(guest(leaf, 0, EBX), 1);
	assert_int_equal(guest(leaf, 0, ECX), 0x100);
	/* The shift must separate packages, and be no larger than needed. */
	assert_int_equal(guest(leaf, 1, EAX), log2_up(cpus));
	assert_int_equal(guest(leaf, 1, EBX), cpus);
	assert_int_equal(guest(leaf, 1, ECX), 0x201);
	/* The end of the list. */
	assert_int_equal(guest(leaf, 2, EAX), 0);
	assert_int_equal(guest(leaf, 2, EBX), 0);
	assert_int_equal(guest(leaf, 2, ECX), 2);
	for (u32 level = 0; level < 4; level++)
		assert_int_equal(guest(leaf, level, EDX), vcpu.lapic.id);
}

static void check_no_levels(u32 leaf)
{
	for (u32 level = 0; level < 4; level++) {
		for (enum reg reg = EAX; reg <= EDX; reg++)
			assert_int_equal(guest(leaf, level, reg), 0);
	}
}

static void check_leaf_1(u32 cpus)
{
	assert_int_equal(guest(1, 0, EBX) >> 16 & 0xff, cpus);
	assert_int_equal(guest(1, 0, EBX) >> 24, vcpu.lapic.id);
	assert_int_equal((guest(1, 0, EDX) & CPUID_1_EDX_HTT) != 0, cpus > 1);
}

/* Type, level and own size of a cache; who shares it here is nobody's business in the guest. */
#define CACHE(type, level) (0xffffc000U | 1U << 9 | (level) << 5 | (type))

static struct cpuid_values host_caches(u32 subleaf)
{
	static const u32 eax[] = { CACHE(1, 1U), CACHE(2, 1U), CACHE(3, 2U), CACHE(3, 3U) };

	return subleaf < ARRAY_SIZE(eax) ? (struct cpuid_values){ eax[subleaf], 7, 63, 4 }
					 : (struct cpuid_values){ 0 };
}

static u32 intel_last_leaf;

static struct cpuid_values host_intel(u32 leaf, u32 subleaf)
{
	if (leaf == CPUID_BASIC)
		return (struct cpuid_values){ intel_last_leaf, 0x756e6547, 0x6c65746e, 0x49656e69 };
	if (leaf == CPUID_CACHE)
		return host_caches(subleaf);
	if (leaf == CPUID_EXTENDED)
		return (struct cpuid_values){ .eax = 0x80000008 };
	if (leaf == CPUID_EXT_ADDRESS)
		return (struct cpuid_values){ .eax = 0x3027 };
	return (struct cpuid_values){ 0 };
}

static u32 amd_ecx; /* of leaf 80000001h */

static struct cpuid_values host_amd(u32 leaf, u32 subleaf)
{
	if (leaf == CPUID_BASIC)
		return (struct cpuid_values){ 0x24, 0x68747541, 0x444d4163, 0x69746e65 };
	if (leaf == CPUID_EXTENDED)
		return (struct cpuid_values){ .eax = 0x80000020 };
	if (leaf == CPUID_EXT_FEATURES)
		return (struct cpuid_values){ .ecx = amd_ecx };
	if (leaf == CPUID_EXT_ADDRESS)
		return (struct cpuid_values){ 0x3030, 0, 0x703f, 0 };
	/* An emulator's has leaf 4, too. */
	if (leaf == CPUID_EXT_CACHE || leaf == CPUID_CACHE)
		return host_caches(subleaf);
	if (leaf == CPUID_EXT_TOPOLOGY)
		return (struct cpuid_values){ 0x12, 0x107, 0x201, 0 };
	return (struct cpuid_values){ 0 };
}

/* Each core has the first and second level for itself, the package has the third. */
static void check_caches(u32 leaf, u32 cpus, u32 cores)
{
	for (u32 i = 0; i < 4; i++) {
		u32 eax = guest(leaf, i, EAX);

		assert_int_equal(eax & 0x3fff, host_caches(i).eax & 0x3fff);
		assert_int_equal(eax >> 14 & 0xfff, i == 3 ? cpus - 1 : 0);
		assert_int_equal(eax >> 26, cores);
		assert_int_equal(guest(leaf, i, EBX), 7);
		assert_int_equal(guest(leaf, i, ECX), 63);
		assert_int_equal(guest(leaf, i, EDX), 4);
	}
	for (u32 i = 4; i < 8; i++) {
		for (enum reg reg = EAX; reg <= EDX; reg++)
			assert_int_equal(guest(leaf, i, reg), 0);
	}
}

static void topology_by_intels_leaves(void **state)
{
	static const u32 last[] = { 0xb, 0xd, 0x16, 0x1e, 0x1f, 0x20 };

	(void)state;
	for (u32 cpus = 1; cpus <= 64; cpus++) {
		amd = false;
		intel_last_leaf = last[cpus % ARRAY_SIZE(last)];
		build(host_intel, cpus, 3);
		vcpu.lapic.id = cpus - 1;
		check_leaf_1(cpus);
		check_caches(CPUID_CACHE, cpus, cpus - 1);
		check_levels(CPUID_TOPOLOGY, cpus);
		if (intel_last_leaf >= CPUID_TOPOLOGY_V2) {
			assert_int_equal(guest(0, 0, EAX), CPUID_TOPOLOGY_V2);
			check_levels(CPUID_TOPOLOGY_V2, cpus);
		} else {
			assert_int_equal(guest(0, 0, EAX), intel_last_leaf < 0xd ? 0xb : 0xd);
			check_no_levels(CPUID_TOPOLOGY_V2);
		}
		/* The other vendor's fields are reserved here. */
		assert_int_equal(guest(CPUID_EXTENDED, 0, EAX), 0x80000008);
		assert_int_equal(guest(CPUID_EXT_FEATURES, 0, ECX), 0);
		assert_int_equal(guest(CPUID_EXT_ADDRESS, 0, ECX), 0);
		check_no_levels(CPUID_EXT_TOPOLOGY);
		check_no_levels(CPUID_EXT_CACHE);
	}
}

static void topology_by_amds_leaves(void **state)
{
	(void)state;
	for (u32 cpus = 1; cpus <= 64; cpus++) {
		bool topoext = cpus % 3 != 0;
		u32 ecx;

		amd = true;
		amd_ecx = topoext ? CPUID_EXT1_ECX_TOPOEXT : 0;
		build(host_amd, cpus, 3);
		vcpu.lapic.id = cpus - 1;
		check_leaf_1(cpus);
		check_levels(CPUID_TOPOLOGY, cpus);
		assert_int_equal(guest(0, 0, EAX), 0xd);
		check_no_levels(CPUID_TOPOLOGY_V2);
		check_no_levels(CPUID_CACHE);
		ecx = cpus > 1 ? amd_ecx | CPUID_EXT1_ECX_CMP_LEGACY : amd_ecx;
		assert_int_equal(guest(CPUID_EXT_FEATURES, 0, ECX), ecx);
		assert_int_equal(guest(CPUID_EXT_ADDRESS, 0, ECX), (cpus - 1) | log2_up(cpus)
											<< 12);
		assert_int_equal(guest(CPUID_EXTENDED, 0, EAX),
				 topoext ? CPUID_EXT_TOPOLOGY : CPUID_EXT_ADDRESS);
		if (!topoext) {
			check_no_levels(CPUID_EXT_CACHE);
			check_no_levels(CPUID_EXT_TOPOLOGY);
			continue;
		}
		check_caches(CPUID_EXT_CACHE, cpus, 0);
		assert_int_equal(guest(CPUID_EXT_TOPOLOGY, 0, EAX), cpus - 1);
		/* One thread in this core, which is the vCPU; one node. */
		assert_int_equal(guest(CPUID_EXT_TOPOLOGY, 0, EBX), cpus - 1);
		assert_int_equal(guest(CPUID_EXT_TOPOLOGY, 0, ECX), 0);
		assert_int_equal(guest(CPUID_EXT_TOPOLOGY, 0, EDX), 0);
	}
}

static void apic_follows_its_base_register(void **state)
{
	(void)state;
	build(host_ones, 1, 3);
	assert_int_not_equal(guest(1, 0, EDX) & CPUID_1_EDX_APIC, 0);
	vcpu.lapic.base = 0;
	assert_int_equal(guest(1, 0, EDX) & CPUID_1_EDX_APIC, 0);
}

/* --- XSAVE */

static void osxsave_follows_cr4(void **state)
{
	(void)state;
	build(host_ones, 1, 7);
	assert_int_equal(guest(1, 0, ECX) & CPUID_1_ECX_OSXSAVE, 0);
	fake_backend.cr4 = CR4_OSXSAVE;
	assert_int_not_equal(guest(1, 0, ECX) & CPUID_1_ECX_OSXSAVE, 0);
}

#define AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

static void xsave_sizes(void **state)
{
	static const struct {
		u64 xcr0;
		u32 standard, compact;
	} row[] = {
		{ XCR0_X87, 576, 576 },
		{ XCR0_X87 | XCR0_SSE, 576, 576 },
		{ XCR0_X87 | XCR0_SSE | XCR0_AVX, 832, 832 },
		{ XCR0_X87 | XCR0_SSE | XCR0_AVX | AVX512, 2688, 2432 },
		{ XCR0_X87 | XCR0_SSE | XCR0_AVX | AVX512 | XCR0_PKRU, 2696, 2440 },
		{ XCR0_X87 | XCR0_PKRU, 2696, 584 },
	};
	const u64 all = XCR0_X87 | XCR0_SSE | XCR0_AVX | AVX512 | XCR0_PKRU;

	(void)state;
	build(host_avx512, 1, all);
	assert_int_equal(guest(0xd, 0, EAX), all);
	assert_int_equal(guest(0xd, 0, EDX), 0);
	for (u32 i = 0; i < ARRAY_SIZE(row); i++) {
		vcpu.xcr0 = row[i].xcr0;
		assert_int_equal(guest(0xd, 0, EBX), row[i].standard);
		assert_int_equal(guest(0xd, 0, ECX), 2696); /* of all that could be enabled */
		assert_int_equal(guest(0xd, 1, EBX), row[i].compact);
	}
	assert_int_equal(guest(0xd, 2, EAX), 256);
	assert_int_equal(guest(0xd, 2, EBX), 576);
	assert_int_equal(guest(0xd, 9, EBX), 2688);
	for (u32 state_index = 3; state_index < 5; state_index++)
		assert_int_equal(guest(0xd, state_index, EAX), 0);
}

/* ECX bit 1 of a state: in the compacted format it starts at a multiple of 64. */
static struct cpuid_values host_aligned(u32 leaf, u32 subleaf)
{
	if (leaf == CPUID_XSAVE && subleaf == 5)
		return (struct cpuid_values){ 8, 1088, 0, 0 };
	if (leaf == CPUID_XSAVE && subleaf == 6)
		return (struct cpuid_values){ 512, 1152, 2, 0 };
	return host_avx512(leaf, subleaf);
}

static void compact_states_may_be_aligned(void **state)
{
	(void)state;
	build(host_aligned, 1, XCR0_X87 | XCR0_OPMASK | XCR0_ZMM_HI256);
	vcpu.xcr0 = XCR0_X87 | XCR0_OPMASK | XCR0_ZMM_HI256;
	assert_int_equal(guest(0xd, 1, EBX), 576 + 64 + 512);
}

static void states_outside_xcr0_are_hidden(void **state)
{
	(void)state;
	build(host_avx512, 1, XCR0_X87 | XCR0_SSE);
	assert_int_equal(guest(0xd, 0, EAX), 3);
	assert_int_equal(guest(0xd, 0, ECX), 576);
	assert_int_equal(guest(0xd, 2, EAX), 0);
	assert_int_equal(guest(0xd, 2, EBX), 0);
}

static void no_xsave_no_leaf(void **state)
{
	(void)state;
	build(host_bare, 1, 3);
	vcpu.xcr0 = 3;
	for (u32 subleaf = 0; subleaf < 3; subleaf++) {
		for (enum reg reg = EAX; reg <= EDX; reg++)
			assert_int_equal(guest(0xd, subleaf, reg), 0);
	}
}

/* More states than there is room for must not write past the table. */
static void too_many_states(void **state)
{
	(void)state;
	build(host_ones, 1, ~0ULL);
	assert_true(table.sub_count <= CPUID_SUBLEAVES);
}

/* --- who we are */

static void signature_at(u32 leaf, char *text)
{
	struct cpuid_values v = answer(leaf, 0);

	memcpy(text, &v.ebx, 4);
	memcpy(text + 4, &v.ecx, 4);
	memcpy(text + 8, &v.edx, 4);
	text[12] = '\0';
}

static void hypervisor_leaves(void **state)
{
	char text[13];

	(void)state;
	build(host_bare, 1, 3);
	assert_int_not_equal(guest(1, 0, ECX) & CPUID_1_ECX_HYPERVISOR, 0);
	signature_at(0x40000000, text);
	assert_string_equal(text, "RingfenceHV");
	assert_int_equal(guest(0x40000000, 0, EAX), 0x40000010);
	signature_at(0x40000100, text);
	assert_string_equal(text, "KVMKVMKVM");
	assert_int_equal(guest(0x40000100, 0, EAX), 0x40000101);
	assert_int_equal(guest(0x40000010, 0, EAX), 2000000);
	assert_int_equal(guest(0x40000010, 0, EBX), 500000);
}

static void identity_is_the_hosts(void **state)
{
	char text[13];

	(void)state;
	build(host_bare, 1, 3);
	assert_int_equal(guest(0, 0, EAX), amd ? 0xd : 0x1f); /* the last leaf that there is */
	assert_int_equal(guest(0x80000000, 0, EAX), 0x80000008);
	signature_at(0, text);
	assert_int_equal(guest(0, 0, EBX), guest(0x80000000, 0, EBX));
	assert_int_equal(guest(6, 0, EAX), BIT32(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_do_not_overlap),
		cmocka_unit_test(every_row_is_seen_on_a_full_host),
		cmocka_unit_test(only_always_rows_on_a_bare_host),
		cmocka_unit_test(leaves_that_the_host_lacks),
		cmocka_unit_test(nothing_leaks_that_no_row_names),
		cmocka_unit_test_prestate(nothing_leaks_that_no_row_names, &amd),
		cmocka_unit_test(what_must_stay_hidden),
		cmocka_unit_test(topology_by_intels_leaves),
		cmocka_unit_test(topology_by_amds_leaves),
		cmocka_unit_test(apic_follows_its_base_register),
		cmocka_unit_test(osxsave_follows_cr4),
		cmocka_unit_test(xsave_sizes),
		cmocka_unit_test(compact_states_may_be_aligned),
		cmocka_unit_test(states_outside_xcr0_are_hidden),
		cmocka_unit_test(no_xsave_no_leaf),
		cmocka_unit_test(too_many_states),
		cmocka_unit_test(hypervisor_leaves),
		cmocka_unit_test(identity_is_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
