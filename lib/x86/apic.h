/*
 * Registers of the local APIC, for the driver of the machine's and for the model of a guest's. SDM
 * and APM, "Advanced Programmable Interrupt Controller (APIC)".
 */
#pragma once

#include "lib/base/types.h"

/* Offsets in the page; in x2APIC mode an MSR's number is 800h + offset / 16. */
enum apic_register {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SVR = 0xf0,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_DIVIDE_BY_1 0xbU

#define SVR_ENABLE BIT32(8)

#define DFR_FLAT    0xfU /* in its highest four bits; the others are ones */
#define DFR_CLUSTER 0x0U
#define DFR_ONES    BITS64(27, 0)

#define ESR_SEND_VECTOR	   BIT32(5)
#define ESR_RECEIVE_VECTOR BIT32(6)
#define ESR_REGISTER	   BIT32(7)

#define LVT_MODE       BITS64(10, 8)
#define LVT_STATUS     BIT32(12)
#define LVT_REMOTE_IRR BIT32(14)
#define LVT_MASKED     BIT32(16)
#define LVT_PERIODIC   BIT32(17)
#define LVT_DEADLINE   BIT32(18)
#define ICR_MODE       BITS64(10, 8)
#define ICR_LOGICAL    BIT32(11)
#define ICR_PENDING    BIT32(12) /* xAPIC mode only */
#define ICR_ASSERT     BIT32(14)
#define ICR_LEVEL      BIT32(15)
#define ICR_SHORTHAND  BITS64(19, 18)
#define ICR_XAPIC_DEST BITS64(31, 24) /* in the upper half */

/* Delivery modes of ICR, LVT and interrupt messages; 3 is reserved. */
enum lapic_mode {
	LAPIC_FIXED,
	LAPIC_LOWEST,
	LAPIC_SMI,
	LAPIC_NMI = 4,
	LAPIC_INIT,
	LAPIC_STARTUP,
	LAPIC_EXTINT,
};

enum lapic_shorthand { LAPIC_TO_DEST, LAPIC_TO_SELF, LAPIC_TO_ALL, LAPIC_TO_OTHERS };
