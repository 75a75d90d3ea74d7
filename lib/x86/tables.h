/* Descriptor tables and the task-state segment in 64-bit mode. SDM, "Protected-Mode Memory
 * Management" and "Interrupt and Exception Handling". */
#pragma once

#include "lib/base/types.h"

/* What LGDT and LIDT read, and SGDT and SIDT write. */
struct table_pointer {
	u16 limit;
	u64 base;
} PACKED;

#define GDT_CODE64   0x00af9b000000ffffULL
#define GDT_DATA     0x00cf93000000ffffULL
#define GDT_DPL3     0x0000600000000000ULL
#define GDT_TSS_TYPE 0x0000890000000000ULL

struct idt_gate {
	u16 offset_low;
	u16 selector;
	u16 flags; /* IST in bits 2:0 */
	u16 offset_middle;
	u32 offset_high;
	u32 reserved;
};

static_assert(sizeof(struct idt_gate) == 16, "SDM");

#define IDT_INTERRUPT 0x8e00U
#define IDT_DPL3      0x6000U

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 io_map;
} PACKED;

static_assert(sizeof(struct tss) == 104, "SDM");
