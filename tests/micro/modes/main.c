/*
 * Older modes of the processor: what exits there is handled as in 64-bit mode, with that mode's
 * addresses, stacks and page tables (APM volume 2, "Real Address Mode", "Legacy Paging").
 */
#include "tests/micro/modes/modes.h"

#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/layout.h"
#include "tests/micro/lib/legacy.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/paging.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "modes";

#define PSE_PAGE      (4 * MIB)
#define IVT_ENTRIES   256U
#define GDT_BASE_BITS ((u64)REAL_BASE << 16)
#define REAL_FAULTS   4U /* #DE, UD2, VMRUN, VMMCALL */

static void check_paged(const char *mode, u64 cr0_bits)
{
	const struct paged_results *r = &paged_results;

	check(r->cpuid_ebx == cpuid(0, 0).ebx, "%s: CPUID", mode);
	check(!(r->efer & (EFER_LME | EFER_LMA)), "%s: EFER %x", mode, r->efer);
	check((r->cr0 & (CR0_PE | CR0_PG)) == cr0_bits, "%s: CR0 %x", mode, r->cr0);
	check(r->port == 0x5c, "%s: port", mode);
	check(r->mmio == 0x32 && r->mmio_small == 0x32, "%s: MMIO %x %x", mode, r->mmio,
	      r->mmio_small);
	check(rdmsr(MSR_IA32_EFER) & EFER_LMA, "%s: back in long mode", mode);
}

static void check_unpaged(void)
{
	memset(&paged_results, 0, sizeof(paged_results));
	check_equal(legacy_run(run_unpaged), 1, "protected mode without paging");
	check_paged("no paging", CR0_PE);
}

static void check_pse(void)
{
	for (u32 i = 0; i < 1024; i++)
		pse_directory[i] = (u32)(i * PSE_PAGE | PTE_PAGE_SIZE | PTE_WRITE | PTE_PRESENT);
	pse_directory[WINDOW_4K / PSE_PAGE] = (u32)(u64)pse_table | (u32)(PTE_WRITE | PTE_PRESENT);
	pse_table[0] = (u32)(IOAPIC_BASE | PTE_WRITE | PTE_PRESENT);
	memset(&paged_results, 0, sizeof(paged_results));
	check_equal(legacy_run(run_pse), 2, "32-bit paging");
	check_paged("32-bit paging", CR0_PE | CR0_PG);
	check_equal(paged_results.mmio_alias, 0x32, "4 KiB page of 32-bit paging");
	check(pse_table[0] & PTE_ACCESSED, "accessed bit of 32-bit paging");
}

static void check_pae(void)
{
	for (u32 i = 0; i < 4; i++)
		pae_pdpt[i] = ((u64)pd + i * PAGE_SIZE) | PTE_PRESENT;
	memset(&paged_results, 0, sizeof(paged_results));
	check_equal(legacy_run(run_pae), 2, "PAE paging");
	check_paged("PAE paging", CR0_PE | CR0_PG);
}

static void real_prepare(void)
{
	u16(*ivt)[2] = (u16(*)[2])REAL_IVT;

	memcpy((void *)REAL_BASE, real_begin, (size_t)(real_end - real_begin));
	gdt[SEL_CODE16 / 8] |= GDT_BASE_BITS;
	gdt[SEL_DATA16 / 8] |= GDT_BASE_BITS;
	for (unsigned i = 0; i < IVT_ENTRIES; i++) {
		u64 handler = i == PIT_VECTOR ? (u64)real_irq_at
			      : i == 0x21     ? (u64)real_int_at
					      : (u64)real_fault_at;

		ivt[i][0] = (u16)handler;
		ivt[i][1] = REAL_SEGMENT;
	}
	lapic_write(LAPIC_LVT_LINT0, LVT_EXTINT);
	pit_start(0, 2, 1193);
	pic_unmask(IRQ_PIT);
}

static void check_real(void)
{
	struct real_results r;
	u32 edi;

	real_prepare();
	out_byte(UART_SCRATCH, 0);
	check_equal(legacy_run(run_real), 3, "real mode");
	pic_mask_all();
	memcpy(&r, (void *)(REAL_BASE + (u64)real_results_at), sizeof(r));
	edi = 0x12340000 + (u32)(u64)real_results_at + 32;
	check_equal(r.cpuid_ebx, cpuid(0, 0).ebx, "CPUID in real mode");
	check(!(r.efer & (EFER_LME | EFER_LMA)), "EFER in real mode");
	check(!(r.msw & CR0_PE), "SMSW in real mode");
	check_equal(r.ints, 2, "INT through the IVT");
	check_equal(r.faults, REAL_FAULTS, "exceptions through the IVT");
	check(r.irqs >= 2, "interrupts wake HLT in real mode");
	check_equal(r.port, 0x77, "port in real mode");
	check_equal(r.string, 0x7777, "REP INSB in real mode");
	check_equal(r.edi, edi, "EDI after REP INSB with 16-bit addresses");
	check(r.mmio == 0x26 && r.mmio_word == 0x26, "MMIO in real mode: %x %x", r.mmio,
	      r.mmio_word);
	check_equal(r.passes, 5, "in and out of protected mode");
}

void micro_main(void)
{
	pic_init();
	lapic_init();
	check_unpaged();
	check_pse();
	check_pae();
	check_real();
	check_unpaged();
}
