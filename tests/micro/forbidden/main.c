/*
 * What a guest may not do: instructions of virtualization itself, and control register values
 * that no processor takes. Each gives the exception that a processor without the feature gives,
 * at the instruction, and the machine goes on (APM volume 3, "System Instruction Reference";
 * APM volume 2, "System-Control Registers").
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"

const char micro_name[] = "forbidden";

#define CR4_RESERVED_HIGH BIT64(63)
#define CR4_RESERVED_31	  BIT64(31)
#define CR3_RESERVED	  BIT64(55)
#define CPUID1_ECX_VMX	  BIT32(5)
#define CPUID1_ECX_PCID	  BIT32(17)

/* Each must be #UD in a machine that says it has none of this. RAX points to a page. */
#define UNDEFINED(code, text) check_undefined(TRY(code, "a"(page), "c"(0ULL), "d"(0ULL)), text)

static void check_undefined(u64 count, const char *text)
{
	check(count == 1 && trap.vector == EXC_UD && trap.offset == 0 && trap.error == 0,
	      "%s: %lu x vector %lu at +%lu", text, count, trap.vector, trap.offset);
}

static void check_virtualization(u64 page)
{
	UNDEFINED("vmrun", "VMRUN");
	UNDEFINED("vmload", "VMLOAD");
	UNDEFINED("vmsave", "VMSAVE");
	UNDEFINED("stgi", "STGI");
	UNDEFINED("clgi", "CLGI");
	UNDEFINED("invlpga", "INVLPGA");
	UNDEFINED("skinit", "SKINIT");
	UNDEFINED("vmmcall", "VMMCALL");
	UNDEFINED("vmcall", "VMCALL");
	UNDEFINED("vmlaunch", "VMLAUNCH");
	UNDEFINED("vmresume", "VMRESUME");
	UNDEFINED("vmxoff", "VMXOFF");
	UNDEFINED("vmxon (%%rax)", "VMXON");
	UNDEFINED("vmclear (%%rax)", "VMCLEAR");
	UNDEFINED("vmptrld (%%rax)", "VMPTRLD");
	UNDEFINED("vmptrst (%%rax)", "VMPTRST");
	UNDEFINED("vmread %%rcx, %%rdx", "VMREAD");
	UNDEFINED("vmwrite %%rcx, %%rdx", "VMWRITE");
	UNDEFINED(".byte 0x0f, 0x01, 0xd4", "VMFUNC");
	UNDEFINED("invept (%%rax), %%rcx", "INVEPT");
	UNDEFINED("invvpid (%%rax), %%rcx", "INVVPID");
	UNDEFINED("getsec", "GETSEC");
	UNDEFINED("rsm", "RSM");
	UNDEFINED(".byte 0xf3, 0x0f, 0x01, 0xd9", "VMGEXIT");
}

/* With a prefix the same, and RIP at the prefix. */
static void check_prefixed(u64 page)
{
	UNDEFINED(".byte 0x66, 0x0f, 0x01, 0xd8", "66 VMRUN");
	UNDEFINED(".byte 0x48, 0x0f, 0x01, 0xd9", "REX VMMCALL");
	UNDEFINED(".byte 0x48, 0x0f, 0x01, 0xc1", "REX VMCALL");
}

static void check_hidden(u64 page)
{
	if (policy("MONITOR is hidden")) {
		UNDEFINED("monitor", "MONITOR");
		UNDEFINED("mwait", "MWAIT");
		UNDEFINED(".byte 0x0f, 0x01, 0xfa", "MONITORX");
		UNDEFINED(".byte 0x0f, 0x01, 0xfb", "MWAITX");
	}
	TRY("rdpmc", "c"(0x12345) /* no such counter */);
	check(trap.count == 1 && (trap.vector == EXC_GP || trap.vector == EXC_UD) &&
		      trap.offset == 0,
	      "RDPMC");
}

static void check_user(void)
{
	extern const u8 user_vmmcall[], user_vmrun[], user_wbinvd[], user_page[];
	u64 code = window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER);

	trap_clear();
	user_call(code + (u64)(user_vmmcall - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_UD, "VMMCALL in ring 3: vector %lu", trap.vector);
	trap_clear();
	user_call(code + (u64)(user_vmrun - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_UD || trap.vector == EXC_GP, "VMRUN in ring 3: vector %lu",
	      trap.vector);
	trap_clear();
	user_call(code + (u64)(user_wbinvd - user_page), 0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_GP && trap.error == 0, "WBINVD in ring 3: vector %lu",
	      trap.vector);
}
asm(".pushsection .user, \"ax\"\n"
    "user_vmmcall: vmmcall\n"
    "user_vmrun: xorl %eax, %eax\n"
    "vmrun\n"
    "user_wbinvd: wbinvd\n"
    "user_xsetbv: movl %edi, %ecx\n"
    "movl $3, %eax\n"
    "xorl %edx, %edx\n"
    "xsetbv\n"
    ".popsection");

static void check_xcr(void)
{
	u64 have;

	xcr_write(0, 3);
	check_fault(EXC_UD, 0, "XSETBV without CR4.OSXSAVE");
	if (!(cpuid(1, 0).ecx & BIT32(26))) {
		say("no XSAVE on this processor");
		return;
	}
	write_cr4(read_cr4() | CR4_OSXSAVE);
	have = cpuid(0xd, 0).eax | (u64)cpuid(0xd, 0).edx << 32;
	check(xcr_write(0, have), "XCR0 takes what leaf 0xd has");
	check_equal(xcr_read(0), have, "XCR0 keeps it");
	check(xcr_write(0, 3), "XCR0 takes x87 and SSE");
	static const u64 bad[] = { 0, 2, 4, 5, BIT64(62), BIT64(63), 1 | BIT64(40) };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		xcr_write(0, bad[i]);
		check(trap_is_fault(EXC_GP, 0), "XCR0 refuses %lx", bad[i]);
	}
	xcr_write(1, 3);
	check_fault(EXC_GP, 0, "XCR1");
	xcr_write(0x12345678, 3);
	check_fault(EXC_GP, 0, "XCR 0x12345678");
	check_equal(xcr_read(0), 3, "refused writes change nothing");
	extern const u8 user_xsetbv[], user_page[];
	user_call(window_map(0, (u64)user_page, PTE_PRESENT | PTE_USER) +
			  (u64)(user_xsetbv - user_page),
		  0, RFLAGS_ONE, 0);
	check(trap.vector == EXC_GP && trap.error == 0, "XSETBV in ring 3");
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

/* QEMU 7.2 takes bad values, or never comes back from the instruction. */
static void check_control_registers(void)
{
	u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();

	if (tcg_lacks("checks of control register values"))
		return;
	if (!is_amd() || !bochs_lacks("CR0.PG without PE, on AMD-V")) {
		write_cr0(cr0 & ~CR0_PE);
		check_fault(EXC_GP, 0, "CR0.PG without PE");
	}
	write_cr0(cr0 & ~CR0_PG);
	check_fault(EXC_GP, 0, "CR0.PG cleared in 64-bit mode");
	write_cr0(cr0 | CR0_NW);
	check_fault(EXC_GP, 0, "CR0.NW without CD");
	write_cr0(cr0 | BIT64(32));
	check_fault(EXC_GP, 0, "CR0 upper half");
	write_cr4(cr4 & ~CR4_PAE);
	check_fault(EXC_GP, 0, "CR4 without PAE in long mode");
	write_cr4(cr4 | CR4_RESERVED_31);
	check_fault(EXC_GP, 0, "CR4 bit 31");
	write_cr4(cr4 | CR4_RESERVED_HIGH);
	check_fault(EXC_GP, 0, "CR4 bit 63");
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_VMX)) {
		write_cr4(cr4 | CR4_VMXE);
		check_fault(EXC_GP, 0, "CR4.VMXE");
	}
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_PCID)) {
		write_cr4(cr4 | CR4_PCIDE);
		check_fault(EXC_GP, 0, "CR4.PCIDE");
	}
	write_cr3(cr3 | CR3_RESERVED);
	check_fault(EXC_GP, 0, "CR3 bit 55");
	write_cr8(16);
	check_fault(EXC_GP, 0, "CR8 of 16");
	write_cr8(BIT64(32));
	check_fault(EXC_GP, 0, "CR8 upper half");
	check(read_cr0() == cr0 && read_cr3() == cr3 && read_cr4() == cr4 && read_cr8() == 0,
	      "refused writes change nothing");
}

/* Allowed ones, and forbidden ones beside them. */
static void check_neighbours(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	check(write_cr0(cr0 | CR0_CD), "CR0.CD can be set");
	check_equal(read_cr0(), cr0 | CR0_CD, "CR0.CD reads back");
	check(write_cr0(cr0), "CR0.CD can be cleared");
	check(write_cr4(cr4 | CR4_TSD | CR4_DE | CR4_PCE), "CR4 takes TSD, DE, PCE");
	check_equal(read_cr4(), cr4 | CR4_TSD | CR4_DE | CR4_PCE, "CR4 reads back");
	check(write_cr4(cr4 ^ CR4_MCE), "CR4 takes MCE");
	check_equal(read_cr4(), cr4 ^ CR4_MCE, "CR4.MCE reads back");
	check(write_cr4(cr4), "CR4 can be restored");
	check_equal(read_cr4(), cr4, "CR4 afterwards");
	write_dr7(BIT64(32) | BIT64(10));
	check_fault(EXC_GP, 0, "DR7 upper half");
	TRY("wbinvd");
	check_no_fault("WBINVD");
	TRY("invd");
	check_no_fault("INVD");
	write_cr4(cr4 | CR4_DE);
	TRY("movq %%dr4, %0", "a"(0ULL));
	check_fault(EXC_UD, 0, "DR4 with CR4.DE");
	write_cr4(cr4);
}

void micro_main(void)
{
	u64 page = (u64)page_alloc();

	check_virtualization(page);
	check_prefixed(page);
	check_hidden(page);
	check_user();
	check_xcr();
	check_control_registers();
	check_neighbours();
}
