/* The machine's first serial port (16550, COM1): log, and the consoles of the VMs. */
#pragma once

#include "lib/base/types.h"

void serial_init(void);
/* Interrupts for received bytes; before this, and for the log, the port is polled. */
void serial_irq_enable(void);
/* Received bytes interrupt no more until serial_get() has found none left. */
void serial_irq_mask(void);
/* Waits for room, but not for ever: a dead port loses bytes and never hangs the core. */
void serial_put(u8 byte);
/* Puts as many bytes as the transmitter takes now; returns how many. */
u32 serial_write(const u8 *bytes, u32 count);
/* Takes a received byte. */
bool serial_get(u8 *byte);
/* Waits until the last byte has left. */
void serial_drain(void);
