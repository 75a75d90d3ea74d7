/* The board's wiring: which chip's line goes where, timers, power, tables (see board.h). */
#include "vmm/board/board.h"

#include "lib/base/assert.h"
#include "lib/base/string.h"
#include "vmm/board/acpi.h"
#include "vmm/board/e820.h"
#include "vmm/board/memory_map.h"

/* The 8259s see an ISA interrupt at its IRQ, the I/O APIC at its GSI. */
struct isa_wire {
	u8 irq;
	u8 gsi;
};

static const struct isa_wire isa_wires[CHIP_COUNT] = {
	[CHIP_PIT] = { IRQ_PIT, GSI_PIT },    [CHIP_I8042] = { IRQ_KEYBOARD, IRQ_KEYBOARD },
	[CHIP_COM1] = { IRQ_COM1, IRQ_COM1 }, [CHIP_RTC] = { IRQ_RTC, IRQ_RTC },
	[CHIP_PM] = { IRQ_SCI, IRQ_SCI },
};

static u16 bit_set(u16 bits, unsigned n, bool level)
{
	return (u16)(level ? bits | BIT32(n) : bits & ~BIT32(n));
}

static void pic_drive(struct board *b, unsigned irq)
{
	i8259_input(&b->pic, irq, (b->isa_lines | b->pirq_lines) & BIT32(irq));
}

static void isa_line(void *owner, unsigned line, bool level)
{
	struct board_seat *seat = owner;
	struct board *b = seat->board;
	const struct isa_wire *wire = &isa_wires[seat->chip];

	assert(line == 0);
	b->isa_lines = bit_set(b->isa_lines, wire->irq, level);
	pic_drive(b, wire->irq);
	ioapic_input(&b->ioapic, wire->gsi, level);
}

static void intr_line(void *owner, unsigned line, bool level)
{
	struct board *b = ((struct board_seat *)owner)->board;

	assert(line == I8259_INTR);
	b->host.intr(b->host.owner, level);
}

static void pirq_line(void *owner, unsigned line, bool level)
{
	struct board *b = ((struct board_seat *)owner)->board;

	ioapic_input(&b->ioapic, GSI_PIRQ + line, level);
	q35_pirq(&b->q35, line, level);
}

static void pirq_irq_line(void *owner, unsigned irq, bool level)
{
	struct board *b = ((struct board_seat *)owner)->board;

	b->pirq_lines = bit_set(b->pirq_lines, irq, level);
	pic_drive(b, irq);
}

static u64 seat_clock(void *owner)
{
	struct board *b = ((struct board_seat *)owner)->board;

	return b->host.clock_ns(b->host.owner);
}

/* Timers are set far less often than the next one is asked for. */
static void deadline_update(struct board *b)
{
	b->deadline_ns = DEV_NEVER;
	for (enum board_chip chip = 0; chip < CHIP_COUNT; chip++)
		b->deadline_ns = min_u64(b->deadline_ns, b->seats[chip].deadline_ns);
}

static void seat_timer_set(void *owner, unsigned timer, u64 deadline_ns)
{
	struct board_seat *seat = owner;

	assert(timer == 0);
	seat->deadline_ns = deadline_ns;
	deadline_update(seat->board);
}

static void seat_msi(void *owner, u64 address, u32 data)
{
	struct board *b = ((struct board_seat *)owner)->board;

	b->host.msi(b->host.owner, address, data);
}

static bool seat_output(void *owner, u8 byte)
{
	struct board *b = ((struct board_seat *)owner)->board;

	return b->host.console_put(b->host.owner, byte);
}

static void seat_power(void *owner, enum dev_power power, u8 status)
{
	struct board *b = ((struct board_seat *)owner)->board;

	b->host.power(b->host.owner, power, status);
}

static void pit_expire(struct board *b)
{
	i8254_expire(&b->pit, I8254_TIMER);
}

static void rtc_expire(struct board *b)
{
	mc146818_expire(&b->rtc, MC146818_TIMER);
}

static void pm_expire(struct board *b)
{
	acpi_pm_expire(&b->pm, ACPI_PM_TIMER);
}

static void (*const expire[CHIP_COUNT])(struct board *b) = {
	[CHIP_PIT] = pit_expire,
	[CHIP_RTC] = rtc_expire,
	[CHIP_PM] = pm_expire,
};

static void no_line(void *owner, unsigned line, bool level)
{
	(void)owner;
	(void)line;
	(void)level;
}

static void (*const line_set[CHIP_COUNT])(void *owner, unsigned line, bool level) = {
	[CHIP_PIC] = intr_line, [CHIP_PIT] = isa_line,	    [CHIP_RTC] = isa_line,
	[CHIP_COM1] = isa_line, [CHIP_I8042] = isa_line,    [CHIP_PM] = isa_line,
	[CHIP_PCI] = pirq_line, [CHIP_Q35] = pirq_irq_line, [CHIP_IOAPIC] = no_line,
	[CHIP_RESET] = no_line, [CHIP_TEST] = no_line,
};

static struct dev_env env_of(struct board *b, enum board_chip chip)
{
	b->seats[chip] = (struct board_seat){ .board = b, .chip = chip, .deadline_ns = DEV_NEVER };
	return (struct dev_env){
		.owner = &b->seats[chip],
		.clock_ns = seat_clock,
		.timer_set = seat_timer_set,
		.line_set = line_set[chip],
		.msi = seat_msi,
		.output = seat_output,
		.power = seat_power,
	};
}

static void chips_init(struct board *b)
{
	struct dev_env env[CHIP_COUNT];

	for (enum board_chip chip = 0; chip < CHIP_COUNT; chip++)
		env[chip] = env_of(b, chip);
	deadline_update(b);
	i8259_init(&b->pic, &env[CHIP_PIC]);
	i8254_init(&b->pit, &env[CHIP_PIT]);
	mc146818_init(&b->rtc, &env[CHIP_RTC]);
	uart16550_init(&b->com1, &env[CHIP_COM1]);
	i8042_init(&b->i8042, &env[CHIP_I8042]);
	acpi_pm_init(&b->pm, &env[CHIP_PM]);
	ioapic_init(&b->ioapic, &env[CHIP_IOAPIC]);
	reset_init(&b->reset, &env[CHIP_RESET]);
	testdev_init(&b->test, &env[CHIP_TEST]);
	pci_init(&b->pci, &env[CHIP_PCI]);
	q35_init(&b->q35, &b->pci, &env[CHIP_Q35]);
}

void board_init(struct board *b, const struct board_config *config, const struct board_host *host)
{
	memset(b, 0, sizeof(*b));
	b->config = *config;
	b->host = *host;
	chips_init(b);
	mc146818_set_time(&b->rtc, config->utc_seconds);
	mc146818_set_memory(&b->rtc, e820_low_ram_end(config->memory_bytes),
			    e820_high_ram_bytes(config->memory_bytes));
}

/* What legacy code reads of the BIOS data area: where the EBDA is and where low memory ends. */
#define BDA_EBDA_SEGMENT (MAP_BDA + 0x0e)
#define BDA_MEMORY_KIB	 (MAP_BDA + 0x13)
#define EBDA_KIB	 ((MAP_VGA_HOLE - MAP_EBDA) / KIB)

enum err board_write_tables(struct board *b, struct guest_span low)
{
	const u16 ebda_segment = MAP_EBDA >> 4;
	const u16 memory_kib = MAP_EBDA / KIB;
	enum err err = acpi_write_tables(low, b->config.cpus);

	if (err)
		return err;
	memcpy(low.base + BDA_EBDA_SEGMENT, &ebda_segment, sizeof(ebda_segment));
	memcpy(low.base + BDA_MEMORY_KIB, &memory_kib, sizeof(memory_kib));
	low.base[MAP_EBDA] = EBDA_KIB;
	return ERR_OK;
}

u64 board_next_deadline(const struct board *b)
{
	return b->deadline_ns;
}

/* One pass: a chip that is late rearms for a time already past and gets the next call. */
void board_run_timers(struct board *b)
{
	u64 now = b->host.clock_ns(b->host.owner);

	for (enum board_chip chip = 0; chip < CHIP_COUNT; chip++) {
		struct board_seat *seat = &b->seats[chip];

		if (seat->deadline_ns > now)
			continue;
		seat->deadline_ns = DEV_NEVER;
		if (expire[chip])
			expire[chip](b);
	}
	deadline_update(b);
}

void board_eoi(struct board *b, u8 vector)
{
	ioapic_eoi(&b->ioapic, vector);
}

u8 board_intr_ack(struct board *b)
{
	return i8259_ack(&b->pic);
}

bool board_console_input(struct board *b, u8 byte)
{
	return uart16550_receive(&b->com1, byte);
}

void board_console_ready(struct board *b)
{
	uart16550_output_ready(&b->com1);
}

void board_power_button(struct board *b)
{
	acpi_pm_press_power(&b->pm);
}
