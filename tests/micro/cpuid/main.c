/*
 * What CPUID tells a guest: the features of the virtual machine, nothing that it does not have
 * (APM volume 3, "CPUID Specification"; SDM volume 2, "CPUID").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"

const char micro_name[] = "cpuid";

#define LEAF_HYPERVISOR 0x40000000U
#define LEAF_KVM	0x40000100U
#define HV_SIGNATURE	"RingfenceHV\0"
#define KVM_SIGNATURE	"KVMKVMKVM\0\0\0"

enum output { EAX, EBX, ECX, EDX };

struct bit {
	u32 leaf, subleaf;
	enum output output;
	unsigned bit;
	bool policy; /* needs our hypervisor below */
	bool want;
	const char *name;
};

static const struct bit bits[] = {
	{ 1, 0, ECX, 3, true, false, "MONITOR" },
	{ 1, 0, ECX, 5, true, false, "VMX" },
	{ 1, 0, ECX, 6, true, false, "SMX" },
	{ 1, 0, ECX, 21, true, true, "x2APIC" },
	{ 1, 0, ECX, 24, true, true, "TSC-deadline" },
	{ 1, 0, ECX, 31, true, true, "hypervisor present" },
	{ 1, 0, EDX, 0, false, true, "FPU" },
	{ 1, 0, EDX, 3, false, true, "PSE" },
	{ 1, 0, EDX, 4, false, true, "TSC" },
	{ 1, 0, EDX, 5, false, true, "MSR" },
	{ 1, 0, EDX, 6, false, true, "PAE" },
	{ 1, 0, EDX, 8, false, true, "CX8" },
	{ 1, 0, EDX, 9, false, true, "APIC" },
	{ 1, 0, EDX, 11, false, true, "SEP" },
	{ 1, 0, EDX, 12, false, true, "MTRR" },
	{ 1, 0, EDX, 13, false, true, "PGE" },
	{ 1, 0, EDX, 15, false, true, "CMOV" },
	{ 1, 0, EDX, 16, false, true, "PAT" },
	{ 1, 0, EDX, 24, false, true, "FXSR" },
	{ 1, 0, EDX, 25, false, true, "SSE" },
	{ 1, 0, EDX, 26, false, true, "SSE2" },
	{ 7, 0, EBX, 2, true, false, "SGX" },
	{ 0x80000001, 0, ECX, 2, true, false, "SVM" },
	{ 0x80000001, 0, ECX, 12, true, false, "SKINIT" },
	{ 0x80000001, 0, EDX, 11, false, true, "SYSCALL" },
	{ 0x80000001, 0, EDX, 20, false, true, "NX" },
	{ 0x80000001, 0, EDX, 29, false, true, "long mode" },
};

static u32 pick(struct cpuid r, enum output output)
{
	return output == EAX ? r.eax : output == EBX ? r.ebx : output == ECX ? r.ecx : r.edx;
}

static void check_bits(void)
{
	bool ours = policy("which features are hidden and which are added");

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		const struct bit *b = &bits[i];
		u32 value = pick(cpuid(b->leaf, b->subleaf), b->output);

		if (!b->policy || ours)
			check((value >> b->bit & 1) == b->want, "%s is %s", b->name,
			      b->want ? "there" : "hidden");
	}
}

static void check_ranges(void)
{
	u32 basic = cpuid(0, 0).eax, extended = cpuid(0x80000000, 0).eax;

	check(basic >= 0xb && basic < 0x40, "basic leaves end at %x", basic);
	check(extended >= 0x80000008 && extended < 0x80000040, "extended leaves end at %x",
	      extended);
	check((cpuid(0x80000008, 0).eax & 0xff) >= 36, "physical address bits");
	check((cpuid(0x80000008, 0).eax >> 8 & 0xff) >= 48, "linear address bits");
}

static void signature(u32 leaf, char text[12])
{
	struct cpuid r = cpuid(leaf, 0);

	memcpy(text, &r.ebx, 4);
	memcpy(text + 4, &r.ecx, 4);
	memcpy(text + 8, &r.edx, 4);
}

static void check_hypervisor_leaves(void)
{
	char text[12];
	u32 features;

	if (!policy("hypervisor leaves, SVM leaf"))
		return;
	signature(LEAF_HYPERVISOR, text);
	check(memcmp(text, HV_SIGNATURE, 12) == 0, "signature of leaf 0x40000000");
	check(cpuid(LEAF_HYPERVISOR, 0).eax >= LEAF_HYPERVISOR, "end of our leaves");
	signature(LEAF_KVM, text);
	check(memcmp(text, KVM_SIGNATURE, 12) == 0, "signature of leaf 0x40000100");
	check(cpuid(LEAF_KVM, 0).eax >= LEAF_KVM + 1, "end of the KVM leaves");
	features = cpuid(LEAF_KVM + 1, 0).eax;
	check(features & BIT32(3), "KVM clock at the new MSRs");
	check(features & BIT32(24), "KVM clock is stable");
	check_equal(cpuid(0x8000000a, 0).eax | cpuid(0x8000000a, 0).ebx | cpuid(0x8000000a, 0).ecx |
			    cpuid(0x8000000a, 0).edx,
		    0, "SVM leaf");
}

static void check_unknown_leaves(void)
{
	static const u32 leaves[] = { 0x8fffffff, 0xc0000000, 0xffffffff, 0x40000050, 0x4fffffff };

	if (!policy("unknown leaves are zero"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		struct cpuid r = cpuid(leaves[i], 0);

		check(!(r.eax | r.ebx | r.ecx | r.edx), "leaf %x is zero", leaves[i]);
	}
}

static void check_apic_id(void)
{
	u32 id;

	lapic_init();
	id = lapic_id();
	check_equal(cpuid(1, 0).ebx >> 24, id, "APIC id of leaf 1");
	check_equal(cpuid(0xb, 0).edx, id, "x2APIC id of leaf 0xb");
	check_equal(cpuid(0xb, 5).ecx & 0xff, 5, "leaf 0xb echoes the subleaf");
	check_equal(cpuid(0xb, 5).ecx >> 8 & 0xff, 0, "leaf 0xb has an end");
}

/* OSXSAVE mirrors CR4; leaf 0xd tells the size for the current XCR0. */
static void check_xsave(void)
{
	if (!(cpuid(1, 0).ecx & BIT32(26))) {
		say("no XSAVE on this processor");
		return;
	}
	check(!(cpuid(1, 0).ecx & BIT32(27)), "OSXSAVE is clear with CR4.OSXSAVE");
	check(write_cr4(read_cr4() | CR4_OSXSAVE), "CR4.OSXSAVE can be set");
	check(cpuid(1, 0).ecx & BIT32(27), "OSXSAVE is set with CR4.OSXSAVE");
	check((cpuid(0xd, 0).eax & 3) == 3, "x87 and SSE state in XCR0");
	check(xcr_write(0, 3), "XCR0 = x87, SSE");
	check_equal(cpuid(0xd, 0).ebx, 576, "XSAVE size for x87, SSE");
	check(cpuid(0xd, 0).ecx >= 576, "XSAVE size for everything");
	if (cpuid(0xd, 0).eax & BIT32(2)) {
		check(xcr_write(0, 7), "XCR0 = x87, SSE, AVX");
		check_equal(cpuid(0xd, 0).ebx, 832, "XSAVE size with AVX");
	}
	check(write_cr4(read_cr4() & ~CR4_OSXSAVE), "CR4.OSXSAVE can be cleared");
	check(!(cpuid(1, 0).ecx & BIT32(27)), "OSXSAVE is clear again");
}

/* CPUID clears the upper halves of its outputs and touches nothing else. */
static void check_registers(void)
{
	u64 a = ~0ULL << 32, b = ~0ULL, c = ~0ULL << 32, d = ~0ULL;
	u64 si, di, r8, flags;
	register u64 r15 asm("r15") = 0x1515151515151515;

	asm volatile("movq $-2, %%rsi; movq $-3, %%rdi; movq $-4, %%r8; stc; cpuid; pushfq; popq %7"
		     : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "=&S"(si), "=&D"(di), "+r"(r15),
		       "=&r"(flags)
		     :
		     : "r8", "cc", "memory");
	asm volatile("movq %%r8, %0" : "=r"(r8));
	(void)r8;
	check(a >> 32 == 0 && b >> 32 == 0 && c >> 32 == 0 && d >> 32 == 0,
	      "upper halves are zero");
	check(si == ~0ULL - 1 && di == ~0ULL - 2, "RSI and RDI stay");
	check(r15 == 0x1515151515151515, "R15 stays");
	check(flags & RFLAGS_CF, "flags stay");
}

static void check_repeat(void)
{
	struct cpuid first = cpuid(0x80000001, 0);
	bool same = true;

	for (unsigned i = 0; i < 200; i++) {
		struct cpuid r = cpuid(0x80000001, 0);

		same &= r.eax == first.eax && r.ebx == first.ebx && r.ecx == first.ecx &&
			r.edx == first.edx;
	}
	check(same, "CPUID says the same every time");
}

void micro_main(void)
{
	check_ranges();
	check_bits();
	check_hypervisor_leaves();
	check_unknown_leaves();
	check_apic_id();
	check_xsave();
	check_registers();
	check_repeat();
}
