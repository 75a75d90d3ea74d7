/* PC16550D data sheet, "Registers". */
#include "core/cpu/serial.h"

#include "core/cpu/insn.h"

#define COM1		 0x3f8
#define UART_DATA	 (COM1 + 0)
#define UART_DIVISOR_LOW (COM1 + 0) /* with LCR_DLAB */
#define UART_IER	 (COM1 + 1)
#define UART_DIVISOR_TOP (COM1 + 1) /* with LCR_DLAB */
#define UART_FCR	 (COM1 + 2)
#define UART_LCR	 (COM1 + 3)
#define UART_MCR	 (COM1 + 4)
#define UART_LSR	 (COM1 + 5)
#define UART_SCRATCH	 (COM1 + 7)

#define IER_RECEIVED   0x01
#define FCR_ENABLE     0x07 /* FIFOs on and empty */
#define LCR_8N1	       0x03
#define LCR_DLAB       0x80
#define MCR_ON	       0x0b /* DTR, RTS, OUT2 (interrupt gate) */
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY  0x20
#define LSR_IDLE       0x40
#define DIVISOR_115200 1
#define FIFO_BYTES     16
#define SPIN_LIMIT     1000000U

static bool present;
static bool irq_masked; /* since the last interrupt, until all that came in has been read */

void serial_init(void)
{
	out8(UART_SCRATCH, 0x5a);
	present = in8(UART_SCRATCH) == 0x5a;
	if (!present)
		return;
	out8(UART_IER, 0);
	out8(UART_LCR, LCR_DLAB);
	out8(UART_DIVISOR_LOW, DIVISOR_115200);
	out8(UART_DIVISOR_TOP, 0);
	out8(UART_LCR, LCR_8N1);
	out8(UART_FCR, FCR_ENABLE);
	out8(UART_MCR, MCR_ON);
}

void serial_irq_enable(void)
{
	if (present)
		out8(UART_IER, IER_RECEIVED);
}

void serial_irq_mask(void)
{
	if (!present)
		return;
	irq_masked = true;
	out8(UART_IER, 0);
}

static void irq_unmask(void)
{
	irq_masked = false;
	serial_irq_enable(); /* a byte that came meanwhile interrupts at once */
}

static bool wait_for(u8 status)
{
	for (u32 i = 0; i < SPIN_LIMIT; i++) {
		if (in8(UART_LSR) & status)
			return true;
		cpu_relax();
	}
	present = false;
	return false;
}

void serial_put(u8 byte)
{
	if (present && wait_for(LSR_THR_EMPTY))
		out8(UART_DATA, byte);
}

u32 serial_write(const u8 *bytes, u32 count)
{
	if (!present)
		return count;
	if (!(in8(UART_LSR) & LSR_THR_EMPTY))
		return 0;
	if (count > FIFO_BYTES)
		count = FIFO_BYTES;
	for (u32 i = 0; i < count; i++)
		out8(UART_DATA, bytes[i]);
	return count;
}

bool serial_get(u8 *byte)
{
	if (!present)
		return false;
	if (!(in8(UART_LSR) & LSR_DATA_READY)) {
		if (irq_masked)
			irq_unmask();
		return false;
	}
	*byte = in8(UART_DATA);
	return true;
}

void serial_drain(void)
{
	if (present)
		wait_for(LSR_IDLE);
}
