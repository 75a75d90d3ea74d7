/* 82093AA I/O APIC data sheet, "Register Description"; 8259A data sheet for switching it off. */
#include "core/cpu/irq.h"

#include "core/boot/acpi.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/serial.h"
#include "core/mem/core_map.h"
#include "core/sched/sched.h"
#include "core/trace/log.h"

#define IRQ_SERIAL	     4
#define IOAPIC_BYTES	     32
#define IOAPIC_INDEX	     0
#define IOAPIC_DATA	     4 /* in u32 units: byte offset 0x10 */
#define IOAPIC_VERSION	     1
#define IOAPIC_REDIRECT	     0x10
#define IOAPIC_VERSION_MAX   BITS64(23, 16)
#define REDIRECT_MASKED	     BIT32(16)
#define REDIRECT_LOW	     BIT32(13)
#define REDIRECT_LEVEL	     BIT32(15)
#define REDIRECT_DESTINATION 24
#define FLAG_POLARITY	     0x3U
#define FLAG_POLARITY_LOW    0x3U
#define FLAG_TRIGGER	     0xcU
#define FLAG_TRIGGER_LEVEL   0xcU
#define PIC_MASTER_DATA	     0x21
#define PIC_SLAVE_DATA	     0xa1

#define SCI_UNKNOWN_MAX 1000 /* since the last press: a source that holds the line up */

/* Where power-management interrupts arrive, and how many had no cause that the core knows. */
static volatile u32 *sci_ioapic;
static u32 sci_pin, sci_unknown;

static void ioapic_write(volatile u32 *ioapic, u32 reg, u32 value)
{
	ioapic[IOAPIC_INDEX] = reg;
	ioapic[IOAPIC_DATA] = value;
}

static u32 ioapic_read(volatile u32 *ioapic, u32 reg)
{
	ioapic[IOAPIC_INDEX] = reg;
	return ioapic[IOAPIC_DATA];
}

static void pin_route(volatile u32 *ioapic, u32 pin, u16 flags, u32 vector)
{
	u32 low = vector;

	if ((flags & FLAG_POLARITY) == FLAG_POLARITY_LOW)
		low |= REDIRECT_LOW;
	if ((flags & FLAG_TRIGGER) == FLAG_TRIGGER_LEVEL)
		low |= REDIRECT_LEVEL;
	ioapic_write(ioapic, IOAPIC_REDIRECT + 2 * pin + 1, apic_id() << REDIRECT_DESTINATION);
	ioapic_write(ioapic, IOAPIC_REDIRECT + 2 * pin, low);
}

/* Routes a pin when it is where this ISA interrupt arrives. */
static bool isa_route(volatile u32 *ioapic, u32 pin, u32 gsi, u32 irq, u32 vector)
{
	if (irq >= ARRAY_SIZE(acpi_info.isa_gsi) || acpi_info.isa_gsi[irq] != gsi)
		return false;
	pin_route(ioapic, pin, acpi_info.isa_flags[irq], vector);
	return true;
}

/* Masks every pin but the serial port's and the power button's. */
static void ioapic_init(const struct acpi_ioapic *info)
{
	volatile u32 *ioapic = core_map_device(info->address, IOAPIC_BYTES);
	u32 last = (u32)field_get(IOAPIC_VERSION_MAX, ioapic_read(ioapic, IOAPIC_VERSION));

	for (u32 pin = 0; pin <= last; pin++) {
		ioapic_write(ioapic, IOAPIC_REDIRECT + 2 * pin, REDIRECT_MASKED);
		isa_route(ioapic, pin, info->gsi_base + pin, IRQ_SERIAL, VECTOR_SERIAL);
		if (isa_route(ioapic, pin, info->gsi_base + pin, acpi_info.sci_irq, VECTOR_SCI)) {
			sci_ioapic = ioapic;
			sci_pin = pin;
		}
	}
}

void irq_init(void)
{
	out8(PIC_MASTER_DATA, 0xff);
	out8(PIC_SLAVE_DATA, 0xff);
	for (u32 i = 0; i < acpi_info.ioapic_count; i++)
		ioapic_init(&acpi_info.ioapic[i]);
	serial_irq_enable();
	acpi_button_enable();
}

/*
 * Level-triggered: the cause goes before the end of interrupt. One that the core does not know,
 * such as an embedded controller's, would come back for ever; then the button is given up instead.
 */
static void sci_take(void)
{
	if (acpi_button_take()) {
		sci_unknown = 0;
		sched_power_button();
	} else if (++sci_unknown == SCI_UNKNOWN_MAX) {
		ioapic_write(sci_ioapic, IOAPIC_REDIRECT + 2 * sci_pin, REDIRECT_MASKED);
		log_warning("the power button is ignored: something else holds its interrupt");
	}
	apic_eoi();
}

void irq_dispatch(u32 vector)
{
	switch (vector) {
	case VECTOR_TIMER:
		apic_eoi();
		timer_interrupt();
		break;
	case VECTOR_SERIAL:
		serial_irq_mask(); /* where level-triggered, it would come back until ring 3 reads
				    */
		apic_eoi();
		sched_console_input();
		break;
	case VECTOR_SCI:
		sci_take();
		break;
	case VECTOR_KICK:
		apic_eoi();
		cpu_poll();
		sched_kicked();
		break;
	case VECTOR_SPURIOUS: /* needs no end of interrupt */
		break;
	default: /* nobody asked for it */
		apic_eoi();
		break;
	}
}
