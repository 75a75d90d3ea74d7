/* What modes.S does and finds; all of it below 4 GiB. */
#pragma once

#define REAL_BASE     0x60000 /* real-mode code, data and stack: one segment */
#define REAL_SEGMENT  0x6000
#define REAL_IVT      0x61000
#define REAL_STACK    0xf000
#define WINDOW_4K     0x10000000 /* mapped to the I/O APIC with a 4 KiB page */
#define IOAPIC_SELECT 0xfec00000
#define UART_SCRATCH  0x3ff
#define PIT_VECTOR    0x20

#ifndef __ASSEMBLER__
#include "lib/base/types.h"

extern const u8 run_unpaged[], run_pse[], run_pae[], run_real[];

extern u8 real_begin[], real_end[];
/* Offsets into the real-mode segment, as symbols. */
extern u8 real_results_at[], real_int_at[], real_fault_at[], real_irq_at[];

struct paged_results {
	u32 cpuid_ebx, efer, cr0, port, mmio, mmio_small, mmio_alias;
};
extern struct paged_results paged_results;
extern u32 pse_directory[1024], pse_table[1024];
extern u64 pae_pdpt[4];

struct real_results {
	u32 cpuid_ebx, efer, edi, mmio, mmio_word;
	u16 msw, ints, faults, irqs, port, string, passes;
} __attribute__((packed));
#endif
