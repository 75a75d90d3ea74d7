/* The local APIC in xAPIC and x2APIC mode (SDM volume 3, "APIC"). Registers go by xAPIC offset. */
#pragma once

#include "lib/base/types.h"

#define LAPIC_BASE 0xfee00000ULL

#define LAPIC_ID	    0x20U
#define LAPIC_VERSION	    0x30U
#define LAPIC_TPR	    0x80U
#define LAPIC_PPR	    0xa0U
#define LAPIC_EOI	    0xb0U
#define LAPIC_LDR	    0xd0U
#define LAPIC_DFR	    0xe0U
#define LAPIC_SVR	    0xf0U
#define LAPIC_ISR	    0x100U
#define LAPIC_TMR	    0x180U
#define LAPIC_IRR	    0x200U
#define LAPIC_ESR	    0x280U
#define LAPIC_ICR_LOW	    0x300U
#define LAPIC_ICR_HIGH	    0x310U
#define LAPIC_LVT_TIMER	    0x320U
#define LAPIC_LVT_LINT0	    0x350U
#define LAPIC_LVT_LINT1	    0x360U
#define LAPIC_TIMER_INITIAL 0x380U
#define LAPIC_TIMER_CURRENT 0x390U
#define LAPIC_TIMER_DIVIDE  0x3e0U
#define LAPIC_SELF_IPI	    0x3f0U /* x2APIC only */

#define SVR_ENABLE   BIT32(8)
#define LVT_MASKED   BIT32(16)
#define LVT_LEVEL    BIT32(15)
#define LVT_EXTINT   (7U << 8)
#define LVT_NMI	     (4U << 8)
#define LVT_PERIODIC (1U << 17)
#define LVT_DEADLINE (2U << 17)
#define TIMER_DIV_1  0xbU
#define TIMER_DIV_16 0x3U

#define ICR_NMI	    (4U << 8)
#define ICR_INIT    (5U << 8)
#define ICR_LOGICAL BIT32(11)
#define ICR_PENDING BIT32(12)
#define ICR_ASSERT  BIT32(14)
#define ICR_SELF    (1U << 18)
#define ICR_ALL	    (2U << 18)
#define ICR_OTHERS  (3U << 18)

#define SPURIOUS_VECTOR 0xffU

/* Software-enables the local APIC in xAPIC mode, with the LVT masked and TPR 0. */
void lapic_init(void);
bool lapic_has_x2apic(void);
/* Switches this processor to x2APIC mode and back; later calls here follow. */
void lapic_to_x2apic(void);
void lapic_to_xapic(void);

u32 lapic_read(unsigned reg);
void lapic_write(unsigned reg, u32 value);
u32 lapic_id(void);
void lapic_eoi(void);
/* ICR_* and vector to the processor `destination`. */
void lapic_send(u32 command, u32 destination);
void lapic_send_self(u32 command);
/* One bit of ISR, TMR or IRR. */
bool lapic_bit(unsigned reg, unsigned vector);
