/*
 * The 16550A serial port. National Semiconductor, "PC16550D Universal Asynchronous
 * Receiver/Transmitter with FIFOs".
 */
#pragma once

#include "vmm/dev/env.h"

#define UART16550_PORTS 8U
#define UART16550_FIFO	16U
#define UART16550_IRQ	0 /* output line: interrupt request, through the gate that OUT2 opens */

struct uart16550_fifo {
	u8 bytes[UART16550_FIFO];
	u8 first;
	u8 count;
};

struct uart16550 {
	struct dev_env env;
	struct uart16550_fifo receive;
	struct uart16550_fifo transmit;
	u8 divisor[2]; /* stored only: a transmission takes no time */
	u8 interrupt_enable;
	u8 fifo_control;
	u8 line_control;
	u8 modem_control;
	u8 line_errors;	 /* error bits of the line status, until read */
	u8 modem_deltas; /* change bits of the modem status, until read */
	u8 scratch;
	bool transmit_event; /* the transmitter became empty and nobody has been told yet */
	bool irq;
};

/* Power-on reset. Makes no call to env. */
void uart16550_init(struct uart16550 *c, const struct dev_env *env);
u8 uart16550_read(struct uart16550 *c, u16 offset);
void uart16550_write(struct uart16550 *c, u16 offset, u8 value);
/* A byte from outside; false when there is no room for it, or the guest has looped the port. */
MUST_USE bool uart16550_receive(struct uart16550 *c, u8 byte);
/* Whether uart16550_receive() would take a byte now. */
bool uart16550_can_receive(const struct uart16550 *c);
/* Says that env.output may take bytes again after it had refused one. */
void uart16550_output_ready(struct uart16550 *c);
