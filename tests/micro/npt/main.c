/*
 * All of RAM under second-stage translation, and the guest's own page tables on top of it: every
 * byte is there, nothing is there twice, and faults of the first stage reach the guest itself
 * (APM volume 2, "Nested Paging", "Page Protection").
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"

const char micro_name[] = "npt";

#define STRIDE	    (2 * MIB)
#define LOW_RAM	    0x20000ULL
#define LOW_RAM_END 0x80000ULL
#define VGA_HOLE    0xa0000ULL
#define OPTION_ROMS 0xc8000ULL
#define SALT	    0x9e3779b97f4a7c15ULL
#define CPUID7_SMEP BIT32(7)
#define CPUID7_SMAP BIT32(20)
#define CODE_ANSWER 0x600dc0de

static const u8 code[] = { 0xb8, 0xde, 0xc0, 0x0d, 0x60, 0xc3 }; /* mov $CODE_ANSWER, %eax; ret */

static u64 ram_begin(void)
{
	return align_up((u64)image_end, PAGE_SIZE);
}

static u64 call_at(u64 address)
{
	u64 result;

	asm volatile("call *%1" : "=a"(result) : "r"(address) : "memory", "rcx", "rdx");
	return result;
}

/* Calls `visit` for the first and last 8 bytes of each stride of RAM behind the image. */
static bool for_each_place(bool (*visit)(volatile u64 *place))
{
	bool good = true;

	for (u64 at = ram_begin(); at < ram_end(); at = align_down(at, STRIDE) + STRIDE) {
		u64 end = min_u64(align_down(at, STRIDE) + STRIDE, ram_end());

		good &= visit((volatile u64 *)at);
		good &= visit((volatile u64 *)(end - sizeof(u64)));
	}
	return good;
}

static bool place_is_zero(volatile u64 *place)
{
	return *place == 0;
}

static bool place_fill(volatile u64 *place)
{
	*place = (u64)place * SALT;
	return true;
}

static bool place_is_filled(volatile u64 *place)
{
	return *place == (u64)place * SALT;
}

static bool place_runs(volatile u64 *place)
{
	u64 saved = *place;
	bool good;

	memcpy((void *)(u64)place, code, sizeof(code));
	good = call_at((u64)place) == CODE_ANSWER;
	*place = saved;
	return good;
}

static void check_ram(void)
{
	check(ram_end() >= 16 * MIB && ram_end() % PAGE_SIZE == 0, "RAM ends at %lx", ram_end());
	if (policy("RAM is zero at start"))
		check(for_each_place(place_is_zero), "RAM is zero at start");
	for_each_place(place_fill);
	check(for_each_place(place_is_filled), "RAM keeps what is written");
	check(for_each_place(place_runs), "code runs in all of RAM");
	check(for_each_place(place_is_filled), "RAM still has it");
	for (volatile u64 *at = (volatile u64 *)LOW_RAM; at < (volatile u64 *)LOW_RAM_END;
	     at += PAGE_SIZE / sizeof(u64)) {
		place_fill(at);
		check(place_is_filled(at), "conventional memory at %lx", (u64)at);
	}
}

/* Below 1 MiB everything is RAM but the place where a VGA card would be. */
static void check_below_1m(void)
{
	volatile u64 *rom = (volatile u64 *)OPTION_ROMS, *vga = (volatile u64 *)VGA_HOLE;

	if (!policy("option ROM area and VGA hole"))
		return;
	place_fill(rom);
	check(place_is_filled(rom), "the option ROM area is RAM");
	place_fill(vga);
	check_equal(*vga, ~0ULL, "the VGA hole is empty");
}

static void check_write_protect(void)
{
	u8 *page = page_alloc();
	u64 window = window_map(0, (u64)page, PTE_PRESENT);

	TRY("movb $1, (%0)", "r"(window));
	check_fault(EXC_PF, PF_PRESENT | PF_WRITE, "write to a read-only page");
	write_cr0(read_cr0() & ~CR0_WP);
	TRY("movb $2, (%0)", "r"(window));
	check_no_fault("write to a read-only page without CR0.WP");
	check_equal(page[0], 2, "and it is written");
	write_cr0(read_cr0() | CR0_WP);
	TRY("movb $3, (%0)", "r"(window));
	check_fault(EXC_PF, PF_PRESENT | PF_WRITE, "CR0.WP is back");
}

static void check_no_execute(void)
{
	u8 *page = page_alloc();
	u64 window = window_map(0, (u64)page, PTE_PRESENT), efer = rdmsr(MSR_IA32_EFER);

	memcpy(page, code, sizeof(code));
	check_equal(call_at(window), CODE_ANSWER, "code in a page of the window");
	window_map(0, (u64)page, PTE_PRESENT | PTE_NX);
	trap_clear();
	try_jump(window);
	check(trap.vector == EXC_PF && trap.error == (PF_PRESENT | PF_FETCH), "no-execute page");
	wrmsr(MSR_IA32_EFER, efer & ~EFER_NXE);
	TRY("cmpb $0, (%0)", "r"(window));
	check(trap.vector == EXC_PF && trap.error & BIT64(3), "NX is reserved without EFER.NXE");
	wrmsr(MSR_IA32_EFER, efer);
	TRY("cmpb $0, (%0)", "r"(window));
	check_no_fault("NX is good again");
}

static void check_smep(void)
{
	u8 *page = page_alloc();
	u64 window = window_map(0, (u64)page, PTE_PRESENT | PTE_USER);

	if (!(cpuid(7, 0).ebx & CPUID7_SMEP)) {
		say("no SMEP on this processor");
		return;
	}
	memcpy(page, code, sizeof(code));
	check_equal(call_at(window), CODE_ANSWER, "ring 0 runs a user page without SMEP");
	check(write_cr4(read_cr4() | CR4_SMEP), "CR4.SMEP can be set");
	trap_clear();
	try_jump(window);
	check(trap.vector == EXC_PF && trap.error == (PF_PRESENT | PF_FETCH), "SMEP");
	write_cr4(read_cr4() & ~CR4_SMEP);
	check_equal(call_at(window), CODE_ANSWER, "SMEP off again");
}

static void check_smap(void)
{
	u64 window = window_map(0, (u64)page_alloc(), PTE_PRESENT | PTE_WRITE | PTE_USER);

	if (!(cpuid(7, 0).ebx & CPUID7_SMAP)) {
		say("no SMAP on this processor");
		return;
	}
	check(write_cr4(read_cr4() | CR4_SMAP), "CR4.SMAP can be set");
	TRY("cmpb $0, (%0)", "r"(window));
	check_fault(EXC_PF, PF_PRESENT, "SMAP, read");
	TRY("movb $0, (%0)", "r"(window));
	check_fault(EXC_PF, PF_PRESENT | PF_WRITE, "SMAP, write");
	trap_clear();
	asm volatile("stac;" TRAPPING("cmpb $0, (%0)") "clac" ::"r"(window) : "memory", "cc");
	check_no_fault("SMAP with AC set");
	asm volatile("stac");
	cpuid(0, 0);
	check(read_flags() & RFLAGS_AC, "AC survives an exit");
	asm volatile("clac");
	write_cr4(read_cr4() & ~CR4_SMAP);
}

static void check_accessed_dirty(void)
{
	u64 window = window_map(0, (u64)page_alloc(), PTE_PRESENT | PTE_WRITE);

	check_equal(window_pt[0] & (PTE_ACCESSED | PTE_DIRTY), 0, "not accessed");
	asm volatile("cmpb $0, (%0)" ::"r"(window) : "memory", "cc");
	check_equal(window_pt[0] & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED, "accessed");
	asm volatile("movb $1, (%0)" ::"r"(window) : "memory");
	check_equal(window_pt[0] & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY, "dirty");
}

static u64 read_at(u64 linear)
{
	u64 value;

	asm volatile("movq (%1), %0" : "=r"(value) : "r"(linear) : "memory");
	return value;
}

/* What the guest flushes is gone, over exits too, and with a second address space. */
static void check_tlb(void)
{
	static u64 other_pml4[512] ALIGNED(4096), other_pdpt[512] ALIGNED(4096);
	static u64 other_pd[512] ALIGNED(4096), other_pt[512] ALIGNED(4096);
	u64 *first = (u64 *)page_alloc(), *second = (u64 *)page_alloc();
	u64 window = window_map(0, (u64)first, PTE_PRESENT | PTE_WRITE), cr3 = read_cr3();
	bool good = true;

	*first = 1;
	*second = 2;
	other_pml4[0] = pml4[0];
	other_pml4[1] = (u64)other_pdpt | PTE_PRESENT | PTE_WRITE;
	other_pdpt[0] = (u64)other_pd | PTE_PRESENT | PTE_WRITE;
	other_pd[0] = (u64)other_pt | PTE_PRESENT | PTE_WRITE;
	other_pt[0] = (u64)second | PTE_PRESENT | PTE_WRITE;
	for (unsigned i = 0; i < 20; i++) {
		good &= read_at(window) == 1;
		write_cr3((u64)other_pml4);
		good &= read_at(window) == 2;
		cpuid(0, 0);
		good &= read_at(window) == 2;
		write_cr3(cr3);
		good &= read_at(window) == 1;
	}
	check(good, "two address spaces keep apart");
	window_map(0, (u64)second, PTE_PRESENT | PTE_WRITE);
	check_equal(read_at(window), 2, "INVLPG after a new mapping");
	window_pt[0] = (u64)first | PTE_PRESENT | PTE_WRITE | PTE_GLOBAL;
	write_cr3(cr3);
	check_equal(read_at(window), 1, "CR3 write after a new mapping");
	window_pt[0] = (u64)second | PTE_PRESENT | PTE_WRITE;
	write_cr4(read_cr4() ^ CR4_PGE);
	check_equal(read_at(window), 2, "CR4.PGE flushes global pages");
	write_cr4(read_cr4() ^ CR4_PGE);
}

static void check_huge_page(void)
{
	u64 *word = (u64 *)page_alloc();

	if (!(cpuid(0x80000001, 0).edx & BIT32(26))) {
		say("no 1 GiB pages on this processor");
		return;
	}
	pdpt[8] = PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT;
	*word = SALT;
	check_equal(read_at(8 * GIB + (u64)word), SALT, "1 GiB page");
	pdpt[8] = 0;
	tlb_flush_page(8 * GIB + (u64)word);
}

void micro_main(void)
{
	check_ram();
	check_below_1m();
	check_write_protect();
	check_no_execute();
	check_smep();
	check_smap();
	check_accessed_dirty();
	check_tlb();
	check_huge_page();
}
