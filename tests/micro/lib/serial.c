/* 16550 transmitter (data sheet PC16550D). */
#include "tests/micro/lib/serial.h"

#include "tests/micro/lib/cpu.h"

#define COM1	 0x3f8
#define UART_THR (COM1 + 0)
#define UART_DLL (COM1 + 0)
#define UART_IER (COM1 + 1)
#define UART_DLM (COM1 + 1)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)

#define LCR_8N1	   0x03
#define LCR_DLAB   0x80
#define FCR_ENABLE 0x07 /* FIFOs on and emptied */
#define MCR_READY  0x0b /* DTR, RTS, and OUT2, which lets the interrupt out */
#define LSR_THRE   0x20
#define LSR_TEMT   0x40

void serial_init(void)
{
	out_byte(UART_IER, 0);
	out_byte(UART_LCR, LCR_DLAB);
	out_byte(UART_DLL, 1);
	out_byte(UART_DLM, 0);
	out_byte(UART_LCR, LCR_8N1);
	out_byte(UART_FCR, FCR_ENABLE);
	out_byte(UART_MCR, MCR_READY);
}

static void wait_for(u8 status)
{
	while (!(in_byte(UART_LSR) & status))
		cpu_pause();
}

void serial_write(const char *text)
{
	for (; *text; text++) {
		wait_for(LSR_THRE);
		out_byte(UART_THR, (u8)*text);
	}
}

void serial_flush(void)
{
	wait_for(LSR_TEMT);
}
