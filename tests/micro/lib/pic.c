/* Interrupt controller programming for the micro guests. */
#include "tests/micro/lib/pic.h"

#include "tests/micro/lib/cpu.h"

#define ICW1_INIT_ICW4 0x11
#define ICW3_MASTER    0x04 /* slave on IRQ 2 */
#define ICW3_SLAVE     0x02
#define ICW4_8086      0x01
#define CASCADE_IRQ    2U

void pic_init(void)
{
	out_byte(PIC_MASTER, ICW1_INIT_ICW4);
	out_byte(PIC_SLAVE, ICW1_INIT_ICW4);
	out_byte(PIC_MASTER_DATA, PIC_VECTOR_BASE);
	out_byte(PIC_SLAVE_DATA, PIC_VECTOR_BASE + 8);
	out_byte(PIC_MASTER_DATA, ICW3_MASTER);
	out_byte(PIC_SLAVE_DATA, ICW3_SLAVE);
	out_byte(PIC_MASTER_DATA, ICW4_8086);
	out_byte(PIC_SLAVE_DATA, ICW4_8086);
	pic_mask_all();
}

void pic_mask_all(void)
{
	out_byte(PIC_MASTER_DATA, 0xff);
	out_byte(PIC_SLAVE_DATA, 0xff);
}

static void unmask(u16 port, unsigned bit)
{
	out_byte(port, (u8)(in_byte(port) & ~(1U << bit)));
}

void pic_unmask(unsigned irq)
{
	if (irq >= 8) {
		unmask(PIC_SLAVE_DATA, irq - 8);
		irq = CASCADE_IRQ;
	}
	unmask(PIC_MASTER_DATA, irq);
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8)
		out_byte(PIC_SLAVE, PIC_EOI);
	out_byte(PIC_MASTER, PIC_EOI);
}

u16 pic_read(u8 what)
{
	out_byte(PIC_MASTER, what);
	out_byte(PIC_SLAVE, what);
	return (u16)(in_byte(PIC_SLAVE) << 8 | in_byte(PIC_MASTER));
}

u32 ioapic_read(unsigned reg)
{
	mmio_write(IOREGSEL, reg);
	return mmio_read(IOWIN);
}

void ioapic_write(unsigned reg, u32 value)
{
	mmio_write(IOREGSEL, reg);
	mmio_write(IOWIN, value);
}

void ioapic_route(unsigned pin, u32 low, u32 destination)
{
	ioapic_write(IOAPIC_REDIR + 2 * pin, REDIR_MASKED);
	ioapic_write(IOAPIC_REDIR + 2 * pin + 1, destination << 24);
	ioapic_write(IOAPIC_REDIR + 2 * pin, low);
}

void ioapic_mask_all(void)
{
	unsigned pins = (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff) + 1;

	for (unsigned pin = 0; pin < pins; pin++)
		ioapic_write(IOAPIC_REDIR + 2 * pin, REDIR_MASKED);
}
