/*
 * Model-specific registers: those that a guest may use work, the emulated ones keep their rules,
 * everything else is refused with #GP(0) (SDM volume 4, "Model-Specific Registers"; APM volume 2,
 * "Model-Specific Registers (MSRs)").
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/msr/policy.h"

const char micro_name[] = "msr";

#define MTRR_CAP_COUNT	  BITS64(7, 0)
#define MTRR_CAP_FIXED	  BIT64(8)
#define MTRR_TYPE_BAD	  2ULL
#define NON_CANONICAL	  0x8000000000000000ULL
#define CANONICAL_HIGH	  0xffff800012345678ULL
#define CANONICAL_LOW	  0x00007fff12345678ULL
#define PAT_AT_RESET	  0x0007040600070406ULL
#define CPUID7_TSC_ADJUST BIT32(1)
#define CPUID81_RDTSCP	  BIT32(27)

static void check_refused(u32 index)
{
	u64 value;

	msr_read(index, &value);
	check(trap_is_fault(EXC_GP, 0), "RDMSR %x is refused", index);
	msr_write(index, 0);
	check(trap_is_fault(EXC_GP, 0), "WRMSR %x is refused", index);
}

static void check_unknown(void)
{
	static const u32 refused[] = {
		0x12345678,    0xffffffff, 0x2000,     0x3a,	   0x480,      0x48f,
		0x491,	       0x1fffffff, 0x40000000, 0x40000021, 0x4b564dff, MSR_AMD_VM_HSAVE_PA,
		MSR_AMD_VM_CR, 0xc0002fff, 0xc0012fff, 0xdeadbeef,
	};

	if (!policy("MSRs without a row are refused"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		check_refused(refused[i]);
}

/* A refused RDMSR leaves RAX and RDX; a good one clears their upper halves. */
static void check_registers(void)
{
	u64 a = ~0ULL, d = ~0ULL;

	asm volatile("rdmsr" : "+a"(a), "+d"(d) : "c"(0xffffffff00000000 | MSR_IA32_EFER));
	check(a >> 32 == 0 && d >> 32 == 0, "RDMSR clears the upper halves");
	if (!policy("a refused RDMSR leaves its registers"))
		return;
	a = 0x1111222233334444;
	d = 0x5555666677778888;
	trap_clear();
	asm volatile(TRAPPING("rdmsr") : "+a"(a), "+d"(d) : "c"(0x12345678) : "memory");
	check_fault(EXC_GP, 0, "RDMSR of an unknown MSR");
	check(a == 0x1111222233334444 && d == 0x5555666677778888,
	      "a refused RDMSR changes nothing");
}

/* Every index either has a value or is refused: none ends the machine. */
static void check_sweep(void)
{
	static const struct {
		u32 first, step, count;
	} ranges[] = { { 0, 1, 128 },
		       { 0x170, 1, 48 },
		       { 0x400, 5, 64 },
		       { 0xc0000080, 1, 8 },
		       { 0xc0000100, 1, 8 },
		       { 0xc0010000, 3, 64 },
		       { 0x40000000, 0x10, 32 },
		       { 0x10000, 0x9e3779b1, 64 } };
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (u32 n = 0; n < ranges[i].count; n++) {
			u64 value;

			if (!msr_read(ranges[i].first + n * ranges[i].step, &value))
				good &= trap_is_fault(EXC_GP, 0);
		}
	}
	check(good, "every RDMSR gives a value or #GP(0)");
}

static void check_efer(void)
{
	u64 efer = rdmsr(MSR_IA32_EFER);

	check_equal(efer & (EFER_LME | EFER_LMA | EFER_NXE), EFER_LME | EFER_LMA | EFER_NXE,
		    "EFER in long mode");
	check(msr_write(MSR_IA32_EFER, efer | EFER_SCE), "EFER.SCE can be set");
	check(rdmsr(MSR_IA32_EFER) & EFER_SCE, "EFER.SCE is set");
	check(msr_write(MSR_IA32_EFER, efer & ~EFER_SCE), "EFER.SCE can be cleared");
	check(!(rdmsr(MSR_IA32_EFER) & EFER_SCE), "EFER.SCE is clear");
	check(msr_write(MSR_IA32_EFER, efer & ~EFER_NXE), "EFER.NXE can be cleared");
	check(!(rdmsr(MSR_IA32_EFER) & EFER_NXE), "EFER.NXE is clear");
	check(msr_write(MSR_IA32_EFER, efer), "EFER can be restored");
	check_equal(rdmsr(MSR_IA32_EFER), efer, "EFER is restored");
	if (!policy("EFER refuses SVME, reserved bits and LME under paging"))
		return;
	check(!(efer & EFER_SVME), "EFER.SVME reads zero");
	check(!msr_write(MSR_IA32_EFER, efer | EFER_SVME), "EFER.SVME is refused");
	check_fault(EXC_GP, 0, "EFER.SVME");
	check(!msr_write(MSR_IA32_EFER, efer | BIT64(20)), "EFER bit 20 is refused");
	check(!msr_write(MSR_IA32_EFER, efer | BIT64(63)), "EFER bit 63 is refused");
	check(!msr_write(MSR_IA32_EFER, efer & ~EFER_LME), "clearing LME under paging is refused");
	check_equal(rdmsr(MSR_IA32_EFER), efer, "refused writes change nothing");
}

static void check_tsc(void)
{
	u64 before = rdtsc(), value = 1ULL << 50;

	if (!policy("a write moves the TSC")) /* QEMU ignores it */
		return;
	wrmsr(MSR_IA32_TSC, value);
	check(rdtsc() - value < 1ULL << 32, "RDTSC follows a write of the TSC");
	check(rdmsr(MSR_IA32_TSC) - value < 1ULL << 32, "RDMSR of the TSC too");
	wrmsr(MSR_IA32_TSC, before);
	check(rdtsc() - before < 1ULL << 32, "the TSC can be set back");
	if (!(cpuid(7, 0).ebx & CPUID7_TSC_ADJUST))
		return;
	wrmsr(MSR_IA32_TSC_ADJUST, rdmsr(MSR_IA32_TSC_ADJUST) + value);
	check(rdtsc() - before - value < 1ULL << 32, "TSC_ADJUST moves the TSC");
	wrmsr(MSR_IA32_TSC_ADJUST, rdmsr(MSR_IA32_TSC_ADJUST) - value);
}

static void check_apic_base(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE);

	check_equal(base & APIC_BASE_ADDRESS, LAPIC_BASE, "APIC base");
	check(base & APIC_BASE_BSP, "this is the boot processor");
	check(base & APIC_BASE_ENABLE, "the local APIC is on");
	if (!policy("APIC_BASE refuses reserved bits"))
		return;
	check(!msr_write(MSR_IA32_APIC_BASE, base | BIT64(0)), "APIC_BASE bit 0 is refused");
	check(!msr_write(MSR_IA32_APIC_BASE, base | BIT64(62)), "APIC_BASE bit 62 is refused");
	check(!msr_write(MSR_IA32_APIC_BASE, (base & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC),
	      "EXTD without EN is refused");
	check_equal(rdmsr(MSR_IA32_APIC_BASE), base, "refused writes change nothing");
}

static void check_x2apic_registers(void)
{
	u64 value;

	check(rdmsr(MSR_IA32_X2APIC_FIRST + LAPIC_ID / 16) == cpuid(0xb, 0).edx, "x2APIC id");
	check((rdmsr(MSR_IA32_X2APIC_FIRST + LAPIC_VERSION / 16) & 0xff) >= 0x10, "x2APIC version");
	check(!msr_read(MSR_IA32_X2APIC_FIRST, &value), "register 0x800 is refused");
	check(!msr_read(MSR_IA32_X2APIC_FIRST + LAPIC_EOI / 16, &value), "EOI cannot be read");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_EOI / 16, 1), "EOI takes only zero");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_ID / 16, 0), "the id cannot be written");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_VERSION / 16, 0),
	      "the version cannot be written");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_LDR / 16, 0), "LDR cannot be written");
	check(!msr_read(MSR_IA32_X2APIC_FIRST + LAPIC_DFR / 16, &value), "DFR does not exist");
	check(!msr_read(MSR_IA32_X2APIC_FIRST + LAPIC_ICR_HIGH / 16, &value),
	      "ICR is one register");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_TPR / 16, 0x100), "TPR has 8 bits");
	check(!msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_SVR / 16, 1ULL << 32),
	      "upper half is reserved");
	check(!msr_read(MSR_IA32_X2APIC_FIRST + 0xff, &value), "register 0x8ff is refused");
	check(msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_TPR / 16, 0x50), "TPR can be written");
	check_equal(read_cr8(), 5, "CR8 shows TPR");
	check(msr_write(MSR_IA32_X2APIC_FIRST + LAPIC_TPR / 16, 0), "TPR can be cleared");
}

static void check_x2apic(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE), value;

	lapic_init();
	if (!lapic_has_x2apic()) {
		say("no x2APIC on this processor");
		return;
	}
	check(!msr_read(MSR_IA32_X2APIC_FIRST + LAPIC_ID / 16, &value),
	      "x2APIC MSRs are off in xAPIC mode");
	lapic_to_x2apic();
	check_x2apic_registers();
	check(!msr_write(MSR_IA32_APIC_BASE, base & ~APIC_BASE_X2APIC),
	      "x2APIC to xAPIC is refused");
	check(msr_write(MSR_IA32_APIC_BASE, base & ~(APIC_BASE_X2APIC | APIC_BASE_ENABLE)),
	      "x2APIC to disabled");
	check(!(cpuid(1, 0).edx & BIT32(9)), "CPUID hides a disabled APIC");
	lapic_to_xapic();
	check(cpuid(1, 0).edx & BIT32(9), "CPUID shows the APIC again");
	check_equal(rdmsr(MSR_IA32_APIC_BASE), base, "back in xAPIC mode");
}

static void check_mtrr_value(u32 index, u64 value)
{
	u64 old = rdmsr(index);

	check(msr_write(index, value), "MTRR %x can be written", index);
	check(rdmsr(index) == value, "MTRR %x keeps its value", index);
	wrmsr(index, old);
}

static void check_mtrr(void)
{
	static const u32 fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x26b, 0x26f };
	u64 cap = rdmsr(MSR_IA32_MTRRCAP), old = rdmsr(MSR_IA32_MTRR_DEF_TYPE), value;
	u32 count = (u32)field_get(MTRR_CAP_COUNT, cap);

	check(count >= 8 && cap & MTRR_CAP_FIXED, "MTRR capabilities %lx", cap);
	for (u32 i = 0; i < count; i++) {
		check_mtrr_value(MSR_IA32_MTRR_PHYSBASE0 + 2 * i, 0xf0000000 + MEMORY_TYPE_WB);
		check_mtrr_value(MSR_IA32_MTRR_PHYSBASE0 + 2 * i + 1,
				 0xff0000000 | MTRR_MASK_VALID);
	}
	if (cap & MTRR_CAP_FIXED)
		for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
			check_mtrr_value(fixed[i], 0x0606060605050000);
	check_mtrr_value(MSR_IA32_MTRR_DEF_TYPE, MTRR_DEF_ENABLE | MEMORY_TYPE_WB);
	if (!policy("MTRRs refuse bad types and numbers"))
		return;
	msr_write(MSR_IA32_MTRRCAP, 0);
	check_equal(rdmsr(MSR_IA32_MTRRCAP), cap, "MTRR capabilities cannot be written");
	check(!msr_write(MSR_IA32_MTRR_DEF_TYPE, MTRR_TYPE_BAD), "default type 2 is refused");
	check(!msr_write(MSR_IA32_MTRR_DEF_TYPE, BIT64(12)), "default type bit 12 is refused");
	check(!msr_write(MSR_IA32_MTRR_PHYSBASE0, MTRR_TYPE_BAD), "variable type 2 is refused");
	check(!msr_write(0x250, 0x0606060606060602), "fixed type 2 is refused");
	check(!msr_read(MSR_IA32_MTRR_PHYSBASE0 + 2 * count, &value),
	      "no more MTRRs than promised");
	check_equal(rdmsr(MSR_IA32_MTRR_DEF_TYPE), old, "refused writes change nothing");
}

static void check_pat(void)
{
	u64 old = rdmsr(MSR_IA32_PAT), other = 0x0001050600070406;

	check(msr_write(MSR_IA32_PAT, other), "PAT can be written");
	check_equal(rdmsr(MSR_IA32_PAT), other, "PAT keeps its value");
	wrmsr(MSR_IA32_PAT, old);
	if (!policy("PAT: reset value, bad types refused"))
		return;
	check_equal(old, PAT_AT_RESET, "PAT at reset");
	check(!msr_write(MSR_IA32_PAT, 0x0007040600070402), "PAT type 2 is refused");
	check(!msr_write(MSR_IA32_PAT, 0x0807040600070406), "PAT type 8 is refused");
	check_equal(rdmsr(MSR_IA32_PAT), old, "refused writes change nothing");
}

static void check_keeps(u32 index, u64 value)
{
	u64 old = rdmsr(index);

	check(msr_write(index, value), "MSR %x can be written", index);
	check(rdmsr(index) == value, "MSR %x keeps its value", index);
	wrmsr(index, old);
}

/* Registers that the guest owns, address registers among them take canonical addresses only. */
static void check_owned(void)
{
	static const u32 addresses[] = {
		MSR_IA32_SYSENTER_ESP,	 MSR_IA32_SYSENTER_EIP, MSR_IA32_LSTAR,
		MSR_IA32_CSTAR,		 MSR_IA32_FS_BASE,	MSR_IA32_GS_BASE,
		MSR_IA32_KERNEL_GS_BASE,
	};
	bool strict = !tcg_lacks("#GP for non-canonical addresses in MSRs");

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		check_keeps(addresses[i], CANONICAL_LOW);
		check_keeps(addresses[i], CANONICAL_HIGH);
		if (!strict)
			continue;
		check(!msr_write(addresses[i], NON_CANONICAL), "MSR %x refuses a bad address",
		      addresses[i]);
		check(trap_is_fault(EXC_GP, 0), "MSR %x: #GP(0)", addresses[i]);
	}
	check_keeps(MSR_IA32_SYSENTER_CS, 0x1234);
	check_keeps(MSR_IA32_STAR, 0x1234567812345678);
	check_keeps(MSR_IA32_FMASK, 0x3f7fd5);
}

static void check_segment_bases(void)
{
	static u64 here[2] = { 0x1111, 0x2222 };
	u64 value, old;

	wrmsr(MSR_IA32_FS_BASE, (u64)&here[0]);
	asm volatile("movq %%fs:8, %0" : "=r"(value));
	check_equal(value, 0x2222, "FS base is used");
	wrmsr(MSR_IA32_GS_BASE, (u64)&here[0]);
	wrmsr(MSR_IA32_KERNEL_GS_BASE, (u64)&here[1]);
	asm volatile("swapgs; movq %%gs:0, %0" : "=r"(value));
	check_equal(value, 0x2222, "SWAPGS swaps");
	check_equal(rdmsr(MSR_IA32_KERNEL_GS_BASE), (u64)&here[0], "KERNEL_GS_BASE after SWAPGS");
	check_equal(rdmsr(MSR_IA32_GS_BASE), (u64)&here[1], "GS_BASE after SWAPGS");
	old = rdmsr(MSR_IA32_FS_BASE);
	cpuid(0, 0); /* an exit */
	check_equal(rdmsr(MSR_IA32_FS_BASE), old, "FS base survives an exit");
	check_equal(rdmsr(MSR_IA32_KERNEL_GS_BASE), (u64)&here[0],
		    "KERNEL_GS_BASE survives an exit");
}

static void check_small(void)
{
	u64 value;
	u32 aux;

	check(msr_read(MSR_IA32_MISC_ENABLE, &value), "MISC_ENABLE can be read");
	check(msr_write(MSR_IA32_BIOS_SIGN_ID, 0), "the microcode revision takes zero");
	check(msr_read(MSR_IA32_BIOS_SIGN_ID, &value), "the microcode revision can be read");
	if (!(cpuid(0x80000001, 0).edx & CPUID81_RDTSCP))
		return;
	check_keeps(MSR_IA32_TSC_AUX, 0x12345678);
	wrmsr(MSR_IA32_TSC_AUX, 0x4711);
	asm volatile("rdtscp" : "=c"(aux)::"eax", "edx");
	check_equal(aux, 0x4711, "RDTSCP shows TSC_AUX");
	/* #GP on Intel's processors; AMD's may drop what does not fit. */
	if (tcg_lacks("the width of TSC_AUX"))
		return;
	check(!msr_write(MSR_IA32_TSC_AUX, 1ULL << 32) || rdmsr(MSR_IA32_TSC_AUX) == 0,
	      "TSC_AUX has 32 bits");
}

/* Ring 3 may not touch MSRs. */
static void check_user(void)
{
	extern const u8 user_rdmsr[], user_page[];
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);
	u64 at = code + (u64)(user_rdmsr - user_page);

	trap_clear();
	user_call(at, 0, RFLAGS_ONE, MSR_IA32_EFER);
	check(trap.vector == EXC_GP && trap.error == 0 && trap.rip == at + 2, "RDMSR in ring 3");
}
asm(".pushsection .user, \"ax\"\n"
    "user_rdmsr: movl %edi, %ecx\n"
    "rdmsr\n"
    "ud2\n"
    ".popsection");

void micro_main(void)
{
	check_unknown();
	check_policy_rows();
	check_registers();
	check_efer();
	check_tsc();
	check_apic_base();
	check_x2apic();
	check_mtrr();
	check_pat();
	check_owned();
	check_segment_bases();
	check_small();
	check_user();
	check_sweep();
}
