/*
 * The 16550A. A transmission takes no time unless the outside refuses bytes: they then wait in the
 * transmitter, which is not empty meanwhile, so the guest's driver waits by itself.
 */
#include "vmm/dev/uart16550.h"

enum reg {
	REG_DATA, /* divisor, low byte, while DLAB is set */
	REG_INTERRUPT_ENABLE,
	REG_INTERRUPT_ID, /* FIFO control when written */
	REG_LINE_CONTROL,
	REG_MODEM_CONTROL,
	REG_LINE_STATUS,
	REG_MODEM_STATUS,
	REG_SCRATCH,
};

/* "Interrupt Enable Register" */
#define IER_RECEIVE  BIT32(0)
#define IER_TRANSMIT BIT32(1)
#define IER_LINE     BIT32(2)
#define IER_MODEM    BIT32(3)
#define IER_WRITABLE 0x0fU

/* "Interrupt Identification Register": the codes, by priority */
#define IIR_LINE     0x06U
#define IIR_RECEIVE  0x04U
#define IIR_TIMEOUT  0x0cU
#define IIR_TRANSMIT 0x02U
#define IIR_MODEM    0x00U
#define IIR_NONE     0x01U
#define IIR_FIFOS    0xc0U

/* "FIFO Control Register" */
#define FCR_ENABLE	   BIT32(0)
#define FCR_CLEAR_RECEIVE  BIT32(1)
#define FCR_CLEAR_TRANSMIT BIT32(2)
#define FCR_TRIGGER	   BITS64(7, 6)
#define FCR_KEPT	   (FCR_ENABLE | FCR_TRIGGER)

#define LCR_DIVISOR BIT32(7)

/* "Modem Control Register" and "Modem Status Register" */
#define MCR_DTR	     BIT32(0)
#define MCR_RTS	     BIT32(1)
#define MCR_OUT1     BIT32(2)
#define MCR_OUT2     BIT32(3)
#define MCR_LOOP     BIT32(4)
#define MCR_WRITABLE 0x1fU
#define MSR_CTS	     BIT32(4)
#define MSR_DSR	     BIT32(5)
#define MSR_RI	     BIT32(6)
#define MSR_DCD	     BIT32(7)
#define MSR_LINES    0xf0U
#define MSR_DELTA    4 /* a line's change bit is this far below it */

/* "Line Status Register" */
#define LSR_READY	 BIT32(0)
#define LSR_OVERRUN	 BIT32(1)
#define LSR_HOLDER_EMPTY BIT32(5)
#define LSR_EMPTY	 BIT32(6)

#define RESET_DIVISOR 12U /* 9600 baud, as PC firmware leaves it */

static bool fifo_put(struct uart16550_fifo *f, unsigned capacity, u8 byte)
{
	if (f->count >= capacity)
		return false;
	f->bytes[(f->first + f->count) % UART16550_FIFO] = byte;
	f->count++;
	return true;
}

static u8 fifo_first(const struct uart16550_fifo *f)
{
	return f->bytes[f->first % UART16550_FIFO];
}

static void fifo_drop(struct uart16550_fifo *f)
{
	if (f->count == 0)
		return;
	f->first = (u8)((f->first + 1U) % UART16550_FIFO);
	f->count--;
}

static void fifo_clear(struct uart16550_fifo *f)
{
	f->count = 0;
}

static bool uart_has_fifos(const struct uart16550 *c)
{
	return (c->fifo_control & FCR_ENABLE) != 0;
}

static bool uart_is_looped(const struct uart16550 *c)
{
	return (c->modem_control & MCR_LOOP) != 0;
}

static bool uart_has_divisor(const struct uart16550 *c)
{
	return (c->line_control & LCR_DIVISOR) != 0;
}

static unsigned uart_capacity(const struct uart16550 *c)
{
	return uart_has_fifos(c) ? UART16550_FIFO : 1;
}

static unsigned receive_trigger(const struct uart16550 *c)
{
	static const u8 levels[4] = { 1, 4, 8, 14 };

	return uart_has_fifos(c) ? levels[field_get(FCR_TRIGGER, c->fifo_control)] : 1;
}

/* The other end is always there; in a loop the outputs are the inputs. */
static u8 modem_lines(const struct uart16550 *c)
{
	u8 mcr = c->modem_control;

	if (!uart_is_looped(c))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u8)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
		    (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* The reason of highest priority to interrupt. Bytes below the trigger time out at once. */
static u8 interrupt_id(const struct uart16550 *c)
{
	u8 enabled = c->interrupt_enable;

	if ((enabled & IER_LINE) && c->line_errors != 0)
		return IIR_LINE;
	if ((enabled & IER_RECEIVE) && c->receive.count != 0)
		return c->receive.count >= receive_trigger(c) ? IIR_RECEIVE : IIR_TIMEOUT;
	if ((enabled & IER_TRANSMIT) && c->transmit_event)
		return IIR_TRANSMIT;
	if ((enabled & IER_MODEM) && c->modem_deltas != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

/* In a loop the pin OUT2 is inactive whatever the register says. */
static void irq_update(struct uart16550 *c)
{
	bool gate = (c->modem_control & MCR_OUT2) && !uart_is_looped(c);
	bool irq = gate && interrupt_id(c) != IIR_NONE;

	if (irq == c->irq)
		return;
	c->irq = irq;
	c->env.line_set(c->env.owner, UART16550_IRQ, irq);
}

/* Moves one waiting byte on its way; false when it must wait. */
static bool transmit_byte(struct uart16550 *c, u8 byte)
{
	if (!uart_is_looped(c))
		return c->env.output(c->env.owner, byte);
	if (!fifo_put(&c->receive, uart_capacity(c), byte))
		c->line_errors |= LSR_OVERRUN;
	return true;
}

static void transmit_flush(struct uart16550 *c)
{
	if (c->transmit.count == 0)
		return;
	while (c->transmit.count != 0 && transmit_byte(c, fifo_first(&c->transmit)))
		fifo_drop(&c->transmit);
	if (c->transmit.count == 0)
		c->transmit_event = true;
}

/* A driver that writes into a full transmitter loses the byte, as on the chip. */
static void data_write(struct uart16550 *c, u8 value)
{
	c->transmit_event = false;
	irq_update(c); /* so that the next event is a new edge */
	(void)fifo_put(&c->transmit, uart_capacity(c), value);
	transmit_flush(c);
}

static u8 data_read(struct uart16550 *c)
{
	u8 byte = fifo_first(&c->receive);

	fifo_drop(&c->receive);
	return byte;
}

/* Enabling the transmitter's interrupt raises it if there is nothing to transmit. */
static void interrupt_enable_write(struct uart16550 *c, u8 value)
{
	u8 rising = (u8)(value & ~c->interrupt_enable);

	c->interrupt_enable = (u8)(value & IER_WRITABLE);
	if ((rising & IER_TRANSMIT) && c->transmit.count == 0)
		c->transmit_event = true;
}

static u8 interrupt_id_read(struct uart16550 *c)
{
	u8 id = interrupt_id(c);

	if (id == IIR_TRANSMIT)
		c->transmit_event = false;
	return (u8)(id | (uart_has_fifos(c) ? IIR_FIFOS : 0));
}

static void transmit_clear(struct uart16550 *c)
{
	if (c->transmit.count != 0)
		c->transmit_event = true;
	fifo_clear(&c->transmit);
}

/* Turning the FIFOs on or off empties them; the other bits count only while they are on. */
static void fifo_control_write(struct uart16550 *c, u8 value)
{
	bool toggled = ((value ^ c->fifo_control) & FCR_ENABLE) != 0;

	if (toggled || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RECEIVE)))
		fifo_clear(&c->receive);
	if (toggled || ((value & FCR_ENABLE) && (value & FCR_CLEAR_TRANSMIT)))
		transmit_clear(c);
	c->fifo_control = (u8)(value & FCR_ENABLE ? value & FCR_KEPT : 0);
}

/* Going into or out of a loop changes the modem lines; a ring counts when it ends. */
static void modem_control_write(struct uart16550 *c, u8 value)
{
	u8 before = modem_lines(c);
	u8 changed;

	c->modem_control = (u8)(value & MCR_WRITABLE);
	changed = before ^ modem_lines(c);
	if (!(before & MSR_RI))
		changed &= (u8)~MSR_RI;
	c->modem_deltas |= (u8)(changed >> MSR_DELTA);
	transmit_flush(c);
}

static u8 line_status_read(struct uart16550 *c)
{
	u8 status = c->line_errors;

	c->line_errors = 0;
	if (c->receive.count != 0)
		status |= LSR_READY;
	if (c->transmit.count == 0)
		status |= LSR_HOLDER_EMPTY | LSR_EMPTY;
	return status;
}

static u8 modem_status_read(struct uart16550 *c)
{
	u8 status = (u8)((modem_lines(c) & MSR_LINES) | c->modem_deltas);

	c->modem_deltas = 0;
	return status;
}

static u8 reg_read(struct uart16550 *c, u16 offset)
{
	switch (offset) {
	case REG_DATA:
		return uart_has_divisor(c) ? c->divisor[0] : data_read(c);
	case REG_INTERRUPT_ENABLE:
		return uart_has_divisor(c) ? c->divisor[1] : c->interrupt_enable;
	case REG_INTERRUPT_ID:
		return interrupt_id_read(c);
	case REG_LINE_CONTROL:
		return c->line_control;
	case REG_MODEM_CONTROL:
		return c->modem_control;
	case REG_LINE_STATUS:
		return line_status_read(c);
	case REG_MODEM_STATUS:
		return modem_status_read(c);
	case REG_SCRATCH:
		return c->scratch;
	default:
		return 0xff;
	}
}

static void reg_write(struct uart16550 *c, u16 offset, u8 value)
{
	switch (offset) {
	case REG_DATA:
		if (uart_has_divisor(c))
			c->divisor[0] = value;
		else
			data_write(c, value);
		break;
	case REG_INTERRUPT_ENABLE:
		if (uart_has_divisor(c))
			c->divisor[1] = value;
		else
			interrupt_enable_write(c, value);
		break;
	case REG_INTERRUPT_ID:
		fifo_control_write(c, value);
		break;
	case REG_LINE_CONTROL:
		c->line_control = value;
		break;
	case REG_MODEM_CONTROL:
		modem_control_write(c, value);
		break;
	case REG_SCRATCH:
		c->scratch = value;
		break;
	default: /* the status registers are only for tests of the factory */
		break;
	}
}

void uart16550_init(struct uart16550 *c, const struct dev_env *env)
{
	*c = (struct uart16550){ .env = *env, .divisor = { RESET_DIVISOR } };
}

u8 uart16550_read(struct uart16550 *c, u16 offset)
{
	u8 value = reg_read(c, offset);

	irq_update(c);
	return value;
}

void uart16550_write(struct uart16550 *c, u16 offset, u8 value)
{
	reg_write(c, offset, value);
	irq_update(c);
}

bool uart16550_can_receive(const struct uart16550 *c)
{
	return !uart_is_looped(c) && c->receive.count < uart_capacity(c);
}

bool uart16550_receive(struct uart16550 *c, u8 byte)
{
	if (uart_is_looped(c) || !fifo_put(&c->receive, uart_capacity(c), byte))
		return false;
	irq_update(c);
	return true;
}

void uart16550_output_ready(struct uart16550 *c)
{
	transmit_flush(c);
	irq_update(c);
}
