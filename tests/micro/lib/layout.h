/* Numbers shared by assembly and C: descriptor selectors and the control bits of the entry path. */
#pragma once

#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_USER_DATA	0x23
#define SEL_USER_CODE	0x2b
#define SEL_CODE16	0x30
#define SEL_DATA16	0x38
#define SEL_ABSENT_DATA 0x40
#define SEL_ABSENT_CODE 0x48
#define SEL_TSS		0x50

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_HEADER_FLAGS 0x3 /* align modules, tell the memory map */
#define MULTIBOOT_MAGIC	       0x2badb002

#define MSR_NUM_EFER	0xc0000080
#define ENTRY_CR0	0x80010033 /* PG WP NE ET MP PE; caches on */
#define ENTRY_CR4	0xa0	   /* PGE PAE */
#define ENTRY_EFER	0x900	   /* NXE LME */
#define PTE_TABLE	0x7	   /* user, writable, present */
#define PTE_LARGE	0x83	   /* 2 MiB page, writable, present */
#define LARGE_PAGES	2048	   /* 4 GiB of them */
#define STACK_BYTES	16384
#define SMP_STACK_BYTES 8192 /* each other processor: NMI and #DF have the lower half */
