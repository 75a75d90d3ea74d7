/* The pair of 8259A interrupt controllers (data sheet 8259A) and the I/O APIC (82093AA). */
#pragma once

#include "lib/base/types.h"

#define PIC_MASTER	0x20
#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE	0xa0
#define PIC_SLAVE_DATA	0xa1

#define PIC_EOI	     0x20
#define PIC_READ_IRR 0x0a
#define PIC_READ_ISR 0x0b

#define PIC_VECTOR_BASE 0x20U /* IRQ 0..15 come as vectors 0x20..0x2f */

#define IRQ_PIT 0U
#define IRQ_RTC 8U

/* Programs both with edge triggering and everything masked. */
void pic_init(void);
void pic_unmask(unsigned irq);
void pic_mask_all(void);
/* Non-specific EOI to the chips that `irq` went through. */
void pic_eoi(unsigned irq);
u16 pic_read(u8 what);

#define IOAPIC_BASE    0xfec00000ULL
#define IOREGSEL       (IOAPIC_BASE + 0)
#define IOWIN	       (IOAPIC_BASE + 0x10)
#define IOAPIC_ID      0x00U
#define IOAPIC_VERSION 0x01U
#define IOAPIC_REDIR   0x10U /* two registers a pin, low half first */

#define REDIR_REMOTE_IRR BIT32(14)
#define REDIR_LEVEL	 BIT32(15)
#define REDIR_LOW	 BIT32(13)
#define REDIR_MASKED	 BIT32(16)

u32 ioapic_read(unsigned reg);
void ioapic_write(unsigned reg, u32 value);
/* Redirection entry of `pin` to the processor `destination`. */
void ioapic_route(unsigned pin, u32 low, u32 destination);
void ioapic_mask_all(void);
