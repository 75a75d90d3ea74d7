/* Host interrupts: vectors to handlers, and the I/O APIC pins that the core uses. */
#pragma once

#include "lib/base/types.h"

void irq_init(void);
/* Handles one interrupt that this CPU has taken, end of interrupt included. */
void irq_dispatch(u32 vector);
