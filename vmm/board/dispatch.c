/* Port and memory accesses: which chip of the board answers them (see board.h). */
#include "vmm/board/board.h"
#include "vmm/board/memory_map.h"

/* Ports [first, last] and the widest access that their chip takes whole. */
struct port_row {
	u16 first, last;
	u8 width;
	u32 (*read)(struct board *b, u16 port, unsigned size);
	void (*write)(struct board *b, u16 port, unsigned size, u32 value);
};

static u32 ones(unsigned size)
{
	return size >= 4 ? ~0U : BIT32(8 * size) - 1;
}

static u32 pic_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return i8259_read(&b->pic, port);
}

static void pic_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	i8259_write(&b->pic, port, (u8)value);
}

static u32 pit_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return i8254_read(&b->pit, (u16)(port - PORT_PIT));
}

static void pit_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	i8254_write(&b->pit, (u16)(port - PORT_PIT), (u8)value);
}

static u32 system_b_read(struct board *b, u16 port, unsigned size)
{
	(void)port;
	(void)size;
	return i8254_port61_read(&b->pit);
}

static void system_b_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)port;
	(void)size;
	i8254_port61_write(&b->pit, (u8)value);
}

static u32 keyboard_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return i8042_read(&b->i8042, port);
}

static void keyboard_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	i8042_write(&b->i8042, port, (u8)value);
}

static u32 rtc_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return mc146818_read(&b->rtc, (u16)(port - PORT_RTC));
}

static void rtc_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	mc146818_write(&b->rtc, (u16)(port - PORT_RTC), (u8)value);
}

static u32 reset_port_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return reset_read(&b->reset, port);
}

static void reset_port_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	reset_write(&b->reset, port, (u8)value);
}

static u32 com1_read(struct board *b, u16 port, unsigned size)
{
	(void)size;
	return uart16550_read(&b->com1, (u16)(port - PORT_COM1));
}

static void com1_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	uart16550_write(&b->com1, (u16)(port - PORT_COM1), (u8)value);
}

static u32 pm_read(struct board *b, u16 port, unsigned size)
{
	return acpi_pm_read(&b->pm, (u16)(port - PORT_PM), size);
}

static void pm_write(struct board *b, u16 port, unsigned size, u32 value)
{
	acpi_pm_write(&b->pm, (u16)(port - PORT_PM), size, value);
}

static u32 pci_data_port_read(struct board *b, u16 port, unsigned size)
{
	return pci_data_read(&b->pci, port - PORT_PCI_DATA, size);
}

static void pci_data_port_write(struct board *b, u16 port, unsigned size, u32 value)
{
	pci_data_write(&b->pci, port - PORT_PCI_DATA, size, value);
}

/*
 * The four ports of the PCI address register are that register for double words only; the second
 * of them is a byte port of its own for everything narrower.
 */
static u32 pci_address_port_read(struct board *b, u16 port, unsigned size)
{
	u32 value = ones(size);
	unsigned lane = (unsigned)PORT_RESET - port;

	if (size == 4)
		return pci_address_read(&b->pci);
	if (lane < size)
		value &= ~(0xffU << 8 * lane) | (u32)reset_read(&b->reset, PORT_RESET) << 8 * lane;
	return value;
}

static void pci_address_port_write(struct board *b, u16 port, unsigned size, u32 value)
{
	unsigned lane = (unsigned)PORT_RESET - port;

	if (size == 4)
		pci_address_write(&b->pci, value);
	else if (lane < size)
		reset_write(&b->reset, PORT_RESET, (u8)(value >> 8 * lane));
}

/* The manifest says which of the test ports a VM has. */
static u32 debug_read(struct board *b, u16 port, unsigned size)
{
	return b->config.flags & MANIFEST_FLAG_DEBUG_PORT ? testdev_read(&b->test, port)
							  : ones(size);
}

static void debug_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	if (b->config.flags & MANIFEST_FLAG_DEBUG_PORT)
		testdev_write(&b->test, port, (u8)value);
}

static u32 exit_read(struct board *b, u16 port, unsigned size)
{
	return b->config.flags & MANIFEST_FLAG_TEST_EXIT ? testdev_read(&b->test, port)
							 : ones(size);
}

static void exit_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)size;
	if (b->config.flags & MANIFEST_FLAG_TEST_EXIT)
		testdev_write(&b->test, port, (u8)value);
}

static u32 fault_read(struct board *b, u16 port, unsigned size)
{
	(void)b;
	(void)port;
	return ones(size);
}

/* Breaks this process on purpose, to test what happens to a VMM that crashes or hangs. */
static void fault_write(struct board *b, u16 port, unsigned size, u32 value)
{
	(void)port;
	(void)size;
	if (!(b->config.flags & MANIFEST_FLAG_FAULT_VMM))
		return;
	if (value == TEST_FAULT_HANG) {
		for (;;)
			__asm__ volatile("");
	}
	__builtin_trap();
}

/* Sorted by port. Port 0x80 and what else is missing: all ones, and writes vanish. */
static const struct port_row rows[] = {
	{ PORT_PIC_MASTER, PORT_PIC_MASTER + 1, 1, pic_read, pic_write },
	{ PORT_PIT, PORT_PIT + 3, 1, pit_read, pit_write },
	{ PORT_I8042_DATA, PORT_I8042_DATA, 1, keyboard_read, keyboard_write },
	{ PORT_SYSTEM_B, PORT_SYSTEM_B, 1, system_b_read, system_b_write },
	{ PORT_I8042_STATUS, PORT_I8042_STATUS, 1, keyboard_read, keyboard_write },
	{ PORT_RTC, PORT_RTC + 1, 1, rtc_read, rtc_write },
	{ PORT_SYSTEM_A, PORT_SYSTEM_A, 1, reset_port_read, reset_port_write },
	{ PORT_PIC_SLAVE, PORT_PIC_SLAVE + 1, 1, pic_read, pic_write },
	{ PORT_DEBUG, PORT_DEBUG, 1, debug_read, debug_write },
	{ PORT_TEST_EXIT, PORT_TEST_EXIT, 1, exit_read, exit_write },
	{ PORT_TEST_FAULT, PORT_TEST_FAULT, 1, fault_read, fault_write },
	{ PORT_COM1, PORT_COM1 + UART16550_PORTS - 1, 1, com1_read, com1_write },
	{ PORT_ELCR, PORT_ELCR + 1, 1, pic_read, pic_write },
	{ PORT_PM, PORT_PM + PORT_PM_BYTES - 1, 4, pm_read, pm_write },
	{ PORT_PCI_ADDRESS, PORT_PCI_ADDRESS + 3, 4, pci_address_port_read,
	  pci_address_port_write },
	{ PORT_PCI_DATA, PORT_PCI_DATA + 3, 4, pci_data_port_read, pci_data_port_write },
};

static_assert(PORT_PIC_MASTER == I8259_MASTER_COMMAND && PORT_PIC_SLAVE == I8259_SLAVE_COMMAND,
	      "the map and the chip agree");
static_assert(PORT_ELCR == I8259_MASTER_ELCR && PORT_I8042_DATA == I8042_PORT_DATA &&
		      PORT_I8042_STATUS == I8042_PORT_COMMAND,
	      "the map and the chips agree");
static_assert(PORT_RESET == RESET_PORT_CONTROL && PORT_SYSTEM_A == RESET_PORT_FAST &&
		      PORT_DEBUG == TESTDEV_PORT_CONSOLE && PORT_TEST_EXIT == TESTDEV_PORT_EXIT,
	      "the map and the chips agree");
static_assert(PORT_PM_BYTES == ACPI_PM_BYTES, "the map and the chip agree");

static const struct port_row *row_find(u16 port)
{
	size_t low = 0, high = ARRAY_SIZE(rows);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (port > rows[middle].last)
			low = middle + 1;
		else if (port < rows[middle].first)
			high = middle;
		else
			return &rows[middle];
	}
	return NULL;
}

static bool row_takes(const struct port_row *row, u16 port, unsigned size)
{
	return row && size <= row->width && port + size - 1U <= row->last;
}

static bool size_is_valid(unsigned size)
{
	return size == 1 || size == 2 || size == 4;
}

/* An access that no chip takes whole is one byte access to each port, as on the ISA bus. */
u32 board_port_read(struct board *b, u16 port, unsigned size)
{
	const struct port_row *row = row_find(port);
	u32 value = 0;

	if (!size_is_valid(size))
		return ~0U;
	if (row_takes(row, port, size))
		return row->read(b, port, size);
	if (size == 1)
		return ones(size);
	for (unsigned i = 0; i < size; i++)
		value |= board_port_read(b, (u16)(port + i), 1) << 8 * i;
	return value;
}

void board_port_write(struct board *b, u16 port, unsigned size, u32 value)
{
	const struct port_row *row = row_find(port);

	if (!size_is_valid(size))
		return;
	if (row_takes(row, port, size)) {
		row->write(b, port, size, value & ones(size));
		return;
	}
	for (unsigned i = 0; i < size && size > 1; i++)
		board_port_write(b, (u16)(port + i), 1, value >> 8 * i & 0xff);
}

/* Whether [gpa, gpa + size) lies in a range; the offset into it is gpa - base. */
static bool range_holds(u64 base, u64 bytes, gpa_t gpa, unsigned size)
{
	u64 offset = gpa.raw - base;

	return offset < bytes && size <= bytes - offset;
}

static bool mmio_size_is_valid(unsigned size)
{
	return size_is_valid(size) || size == 8;
}

bool board_mmio_read(struct board *b, gpa_t gpa, unsigned size, u64 *value)
{
	*value = size < 8 ? ones(size) : ~0ULL;
	if (!mmio_size_is_valid(size))
		return false;
	if (range_holds(MAP_IOAPIC, MAP_IOAPIC_BYTES, gpa, size))
		*value &= ioapic_read(&b->ioapic, (u32)(gpa.raw - MAP_IOAPIC));
	else if (range_holds(MAP_ECAM, MAP_ECAM_BYTES, gpa, size))
		*value = pci_config_read(&b->pci, (u32)(gpa.raw - MAP_ECAM), size);
	else
		return pci_memory_read(&b->pci, gpa, size, value);
	return true;
}

bool board_mmio_write(struct board *b, gpa_t gpa, unsigned size, u64 value)
{
	if (!mmio_size_is_valid(size))
		return false;
	if (size < 8)
		value &= ones(size);
	if (range_holds(MAP_IOAPIC, MAP_IOAPIC_BYTES, gpa, size))
		ioapic_write(&b->ioapic, (u32)(gpa.raw - MAP_IOAPIC), (u32)value);
	else if (range_holds(MAP_ECAM, MAP_ECAM_BYTES, gpa, size))
		pci_config_write(&b->pci, (u32)(gpa.raw - MAP_ECAM), size, value);
	else
		return pci_memory_write(&b->pci, gpa, size, value);
	return true;
}
