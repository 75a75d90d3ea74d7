/* The whole board: which port reaches which chip, and where each chip's interrupt goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/board/acpi.h"
#include "vmm/board/board.h"
#include "vmm/board/memory_map.h"

#define MS	    1000000ULL
#define VECTOR_BASE 0x20U /* of the 8259s */
#define LAPIC_MSI   0xfee00000ULL
#define COM1_MCR    (PORT_COM1 + 4)
#define COM1_IER    (PORT_COM1 + 1)

struct host {
	u64 now;
	u64 msi_address;
	u32 msi_data;
	unsigned msis;
	bool intr;
	unsigned intr_edges;
	char console[64];
	unsigned console_used;
	bool console_full;
	unsigned powers;
	enum dev_power power;
	u8 status;
};

static struct host host;
static struct board board;

static u64 clock_ns(void *owner)
{
	return ((struct host *)owner)->now;
}

static void msi(void *owner, u64 address, u32 data)
{
	struct host *h = owner;

	h->msi_address = address;
	h->msi_data = data;
	h->msis++;
}

static void intr(void *owner, bool level)
{
	struct host *h = owner;

	h->intr = level;
	h->intr_edges++;
}

static bool console_put(void *owner, u8 byte)
{
	struct host *h = owner;

	if (h->console_full || h->console_used == sizeof(h->console))
		return false;
	h->console[h->console_used++] = (char)byte;
	return true;
}

static void power(void *owner, enum dev_power kind, u8 status)
{
	struct host *h = owner;

	h->power = kind;
	h->status = status;
	h->powers++;
}

static void board_make(u32 flags)
{
	const struct board_config config = {
		.memory_bytes = 4 * GIB, .utc_seconds = 951782399, .cpus = 2, .flags = flags
	};
	const struct board_host calls = {
		.owner = &host,
		.clock_ns = clock_ns,
		.msi = msi,
		.intr = intr,
		.console_put = console_put,
		.power = power,
	};

	memset(&host, 0, sizeof(host));
	board_init(&board, &config, &calls);
}

static int setup(void **state)
{
	(void)state;
	board_make(MANIFEST_FLAG_DEBUG_PORT | MANIFEST_FLAG_TEST_EXIT);
	return 0;
}

static void out8(u16 port, u8 value)
{
	board_port_write(&board, port, 1, value);
}

static u8 in8(u16 port)
{
	return (u8)board_port_read(&board, port, 1);
}

static void pic_setup(u8 master_mask, u8 slave_mask)
{
	const u8 vectors[] = { VECTOR_BASE, VECTOR_BASE + 8 }, cascade[] = { 4, 2 };
	const u8 masks[] = { master_mask, slave_mask };
	const u16 ports[] = { PORT_PIC_MASTER, PORT_PIC_SLAVE };

	for (unsigned i = 0; i < 2; i++) {
		out8(ports[i], 0x11);
		out8(ports[i] + 1, vectors[i]);
		out8(ports[i] + 1, cascade[i]);
		out8(ports[i] + 1, 0x01);
		out8(ports[i] + 1, masks[i]);
	}
}

static void ioapic_route(unsigned pin, u32 low)
{
	assert_true(board_mmio_write(&board, GPA(MAP_IOAPIC + IOAPIC_INDEX), 4, 0x10 + 2 * pin));
	assert_true(board_mmio_write(&board, GPA(MAP_IOAPIC + IOAPIC_DATA), 4, low));
}

static void pit_every_ms(void)
{
	out8(PORT_PIT + 3, 0x34); /* counter 0, both bytes, mode 2 */
	out8(PORT_PIT, 1193 & 0xff);
	out8(PORT_PIT, 1193 >> 8);
}

/* Runs the board's timers up to `until`, as a VMM does. */
static unsigned run_until(u64 until)
{
	unsigned runs = 0;

	for (; board_next_deadline(&board) <= until && runs < 100000; runs++) {
		if (board_next_deadline(&board) > host.now)
			host.now = board_next_deadline(&board);
		board_run_timers(&board);
	}
	host.now = until;
	return runs;
}

static void pit_reaches_8259(void **state)
{
	(void)state;
	assert_int_equal(board_next_deadline(&board), DEV_NEVER);
	pit_every_ms();
	pic_setup(0xfe, 0xff); /* afterwards, as ICW1 forgets the edge of setting the mode */
	assert_false(host.intr);
	assert_true(board_next_deadline(&board) <= 2 * MS);
	run_until(2 * MS);
	assert_true(host.intr);
	assert_int_equal(board_intr_ack(&board), VECTOR_BASE + IRQ_PIT);
	assert_false(host.intr);
	assert_int_equal(host.msis, 0); /* the I/O APIC's pin is masked */
}

static void pit_reaches_ioapic_pin_2(void **state)
{
	(void)state;
	ioapic_route(GSI_PIT, 0x31); /* edge, physical, APIC 0 */
	pit_every_ms();
	run_until(100 * MS);
	assert_in_range(host.msis, 98, 101);
	assert_int_equal(host.msi_address, LAPIC_MSI);
	assert_int_equal(host.msi_data & 0xff, 0x31);
	assert_false(host.intr); /* the 8259s are masked */
}

static void one_shot_timer_leaves_no_deadline(void **state)
{
	(void)state;
	out8(PORT_PIT + 3, 0x30); /* counter 0, both bytes, mode 0 */
	out8(PORT_PIT, 0xff);
	out8(PORT_PIT, 0x00);
	assert_true(board_next_deadline(&board) < MS);
	assert_int_equal(run_until(MS), 1);
	assert_int_equal(board_next_deadline(&board), DEV_NEVER);
	assert_int_equal(board.isa_lines, BIT32(IRQ_PIT));
}

static void com1_prints_and_interrupts(void **state)
{
	(void)state;
	pic_setup(0xef, 0xff);
	ioapic_route(IRQ_COM1, 0x34);
	out8(PORT_COM1, 'h');
	out8(PORT_COM1, 'i');
	assert_int_equal(host.console_used, 2);
	assert_memory_equal(host.console, "hi", 2);

	assert_true(board_console_input(&board, 'x'));
	assert_false(host.intr);
	out8(COM1_MCR, 0x0b);
	out8(COM1_IER, 0x01);
	assert_true(host.intr);
	assert_int_equal(host.msis, 1);
	assert_int_equal(board_intr_ack(&board), VECTOR_BASE + IRQ_COM1);
	assert_int_equal(in8(PORT_COM1), 'x');
	assert_int_equal(board.isa_lines, 0);
}

static void com1_waits_for_a_full_console(void **state)
{
	(void)state;
	host.console_full = true;
	out8(PORT_COM1, 'a');
	assert_int_equal(host.console_used, 0);
	host.console_full = false;
	board_console_ready(&board);
	assert_int_equal(host.console_used, 1);
	assert_int_equal(host.console[0], 'a');
}

static void power_button_raises_the_sci(void **state)
{
	(void)state;
	pic_setup(0xfb, 0xfd);
	ioapic_route(IRQ_SCI, 0x8039); /* level */
	board_port_write(&board, PORT_PM + ACPI_PM1_EN, 2, 1 << 8);
	board_power_button(&board);
	assert_true(host.intr);
	assert_int_equal(board_intr_ack(&board), VECTOR_BASE + IRQ_SCI);
	assert_int_equal(host.msis, 1);
	board_eoi(&board, 0x39); /* still asserted: delivered again */
	assert_int_equal(host.msis, 2);
	board_port_write(&board, PORT_PM + ACPI_PM1_STS, 2, 1 << 8);
	board_eoi(&board, 0x39);
	assert_int_equal(host.msis, 2);
	assert_int_equal(board.isa_lines, 0);
}

static void guest_turns_itself_off(void **state)
{
	(void)state;
	assert_int_equal(board_port_read(&board, PORT_PM + ACPI_PM1_CNT, 2) & 1, 1);
	board_port_write(&board, PORT_PM + ACPI_PM1_CNT, 2, 1 << 13 | 5 << 10);
	assert_int_equal(host.powers, 0);
	board_port_write(&board, PORT_PM + ACPI_PM1_CNT, 2, 1 << 13 | ACPI_SLP_TYP_S5 << 10);
	assert_int_equal(host.powers, 1);
	assert_int_equal(host.power, DEV_POWER_OFF);
}

static void reset_register_shares_the_address_ports(void **state)
{
	(void)state;
	board_port_write(&board, PORT_PCI_ADDRESS, 4, 0x80000600); /* 6 would be a reset */
	assert_int_equal(host.powers, 0);
	assert_int_equal(board_port_read(&board, PORT_PCI_ADDRESS, 4), 0x80000600);
	assert_int_equal(in8(PORT_PCI_ADDRESS), 0xff);
	out8(PORT_RESET, 0x02);
	assert_int_equal(host.powers, 0);
	assert_int_equal(board_port_read(&board, PORT_PCI_ADDRESS, 2) & 0xff, 0xff);
	out8(PORT_PCI_ADDRESS, 0x06);
	assert_int_equal(host.powers, 0);
	board_port_write(&board, PORT_PCI_ADDRESS, 2, 0x0600);
	assert_int_equal(host.powers, 1);
	assert_int_equal(host.power, DEV_POWER_RESET);
	assert_int_equal(board_port_read(&board, PORT_PCI_ADDRESS, 4), 0x80000600);
}

static void chipset_by_ports_and_ecam(void **state)
{
	const u64 lpc = MAP_ECAM + (31U << 15);
	u64 value;

	(void)state;
	board_port_write(&board, PORT_PCI_ADDRESS, 4, 0x80000000);
	assert_int_equal(board_port_read(&board, PORT_PCI_DATA, 4), 0x29c08086);
	assert_int_equal(board_port_read(&board, PORT_PCI_DATA + 2, 2), 0x29c0);
	assert_int_equal(board_port_read(&board, PORT_PCI_DATA + 1, 1), 0x80);
	assert_true(board_mmio_read(&board, GPA(MAP_ECAM + 0x60), 4, &value));
	assert_int_equal(value & ~0x3ffffffULL, MAP_ECAM);
	assert_int_equal(value & 1, 1);
	assert_true(board_mmio_read(&board, GPA(lpc), 4, &value));
	assert_int_equal(value, 0x29188086);
	assert_true(board_mmio_read(&board, GPA(lpc + 0x0a), 2, &value));
	assert_int_equal(value, 0x0601);
	assert_true(board_mmio_read(&board, GPA(lpc + 0x40), 4, &value));
	assert_int_equal(value, PORT_PM | 1);
	assert_true(board_mmio_write(&board, GPA(lpc + 0x40), 4, 0x1001));
	assert_true(board_mmio_read(&board, GPA(lpc + 0x40), 4, &value));
	assert_int_equal(value, PORT_PM | 1);
	assert_true(board_mmio_read(&board, GPA(MAP_ECAM + MAP_ECAM_BYTES - 4), 4, &value));
	assert_int_equal(value, 0xffffffff);
}

static void split_accesses(void **state)
{
	(void)state;
	pic_setup(0xa5, 0x5a);
	assert_int_equal(board_port_read(&board, PORT_PIC_MASTER + 1, 2), 0xffa5);
	board_port_write(&board, PORT_PIC_MASTER + 1, 2, 0xffc3);
	assert_int_equal(in8(PORT_PIC_MASTER + 1), 0xc3);
	/* CFE as a double word: two bytes of configuration data, two of nothing. */
	board_port_write(&board, PORT_PCI_ADDRESS, 4, 0x80000000);
	assert_int_equal(board_port_read(&board, PORT_PCI_DATA + 2, 4), 0xffff29c0);
	/* CF9 as a double word reaches the reset register and one byte of data. */
	assert_int_equal(board_port_read(&board, PORT_RESET, 4) >> 24, 0x86);
}

static void unclaimed_is_all_ones(void **state)
{
	u64 value = 0;

	(void)state;
	for (u32 port = 0; port < 0x10000; port += 0x10) {
		if (port < 0x100 || (port & ~0xffU) == 0x300 || (port & ~0xffU) == 0x400 ||
		    (port & ~0xffU) == 0x600 || (port & ~0xffU) == 0xc00)
			continue;
		assert_int_equal(board_port_read(&board, (u16)port, 4), 0xffffffff);
		board_port_write(&board, (u16)port, 4, 0xffffffff);
	}
	assert_int_equal(in8(PORT_POST), 0xff);
	out8(PORT_POST, 0x55);
	assert_int_equal(board_port_read(&board, PORT_COM1 + 8, 1), 0xff);
	assert_int_equal(board_port_read(&board, 0, 3), 0xffffffff);
	assert_int_equal(board_port_read(&board, 0xffff, 2), 0xffff);
	assert_false(board_mmio_read(&board, GPA(0xfed00000), 2, &value));
	assert_int_equal(value, 0xffff);
	assert_false(board_mmio_read(&board, GPA(~0ULL), 8, &value));
	assert_int_equal(value, ~0ULL);
	assert_false(board_mmio_read(&board, GPA(MAP_IOAPIC), 3, &value));
	assert_false(board_mmio_write(&board, GPA(MAP_ECAM + MAP_ECAM_BYTES - 2), 4, 0));
	assert_false(board_mmio_write(&board, GPA(MAP_IOAPIC - 2), 4, 0));
	assert_int_equal(host.powers, 0);
}

static void ioapic_answers(void **state)
{
	u64 value;

	(void)state;
	assert_true(board_mmio_write(&board, GPA(MAP_IOAPIC), 4, 1));
	assert_true(board_mmio_read(&board, GPA(MAP_IOAPIC + IOAPIC_DATA), 4, &value));
	assert_int_equal(value, 0x00170020);
	assert_true(board_mmio_read(&board, GPA(MAP_IOAPIC + IOAPIC_DATA), 1, &value));
	assert_int_equal(value, 0x20);
	assert_true(board_mmio_read(&board, GPA(MAP_IOAPIC + IOAPIC_DATA), 8, &value));
	assert_int_equal(value, 0x00170020);
}

static void pci_interrupt_reaches_ioapic_and_pirq(void **state)
{
	static struct pci_function f;
	const u64 pirq_d = MAP_ECAM + (31U << 15) + 0x63;

	(void)state;
	memset(&f, 0, sizeof(f));
	pci_function_identify(&f, 0x1af4, 0x1042, 0x010000, 1, 1);
	assert_int_equal(pci_add(&board.pci, PCI_DEVFN(3, 0), &f), ERR_OK);
	pic_setup(0xfb, 0xf7); /* the cascade and IRQ 11 */
	ioapic_route(GSI_PIRQ + 3, 0xa042);
	pci_interrupt(&f, true);
	assert_int_equal(host.msis, 1);
	assert_int_equal(host.msi_data & 0xff, 0x42);
	assert_false(host.intr); /* PIRQD is not routed yet */

	assert_true(board_mmio_write(&board, GPA(pirq_d), 1, 13)); /* not allowed */
	assert_int_equal(board.pirq_lines, 0);
	assert_true(board_mmio_write(&board, GPA(pirq_d), 1, 11));
	assert_true(host.intr);
	assert_int_equal(board_intr_ack(&board), VECTOR_BASE + 11);
	assert_true(board_mmio_write(&board, GPA(pirq_d), 1, 0x80 | 11));
	assert_int_equal(board.pirq_lines, 0);
	assert_true(board_mmio_write(&board, GPA(pirq_d), 1, 11));
	pci_interrupt(&f, false);
	assert_int_equal(board.pirq_lines, 0);
	board_eoi(&board, 0x42);
	assert_int_equal(host.msis, 1);
}

static void shared_8259_input_is_an_or(void **state)
{
	static struct pci_function f;

	(void)state;
	memset(&f, 0, sizeof(f));
	pci_function_identify(&f, 0x1af4, 0x1042, 0x010000, 1, 1);
	assert_int_equal(pci_add(&board.pci, PCI_DEVFN(3, 0), &f), ERR_OK);
	assert_true(board_mmio_write(&board, GPA(MAP_ECAM + (31U << 15) + 0x63), 1, IRQ_SCI));
	board_port_write(&board, PORT_PM + ACPI_PM1_EN, 2, 1 << 8);
	board_power_button(&board);
	pci_interrupt(&f, true);
	assert_true(board.pic.slave.lines & 2);
	pci_interrupt(&f, false);
	assert_true(board.pic.slave.lines & 2);
	board_port_write(&board, PORT_PM + ACPI_PM1_STS, 2, 1 << 8);
	assert_false(board.pic.slave.lines & 2);
}

static void rtc_tells_the_time_and_memory(void **state)
{
	(void)state;
	out8(PORT_RTC, 0x09);
	assert_int_equal(in8(PORT_RTC + 1), 0x00); /* 28 February 2000, 23:59:59 */
	out8(PORT_RTC, 0x08);
	assert_int_equal(in8(PORT_RTC + 1), 0x02);
	out8(PORT_RTC, 0x07);
	assert_int_equal(in8(PORT_RTC + 1), 0x28);
	out8(PORT_RTC, 0x5b); /* above 4 GiB, in 64 KiB: 1 GiB */
	assert_int_equal(in8(PORT_RTC + 1), 0x00);
	out8(PORT_RTC, 0x5c);
	assert_int_equal(in8(PORT_RTC + 1), 0x40);
}

static void test_ports_follow_the_flags(void **state)
{
	(void)state;
	out8(PORT_DEBUG, '!');
	assert_int_equal(host.console_used, 1);
	assert_int_equal(in8(PORT_DEBUG), 0xe9);
	out8(PORT_TEST_FAULT, 1);
	out8(PORT_TEST_EXIT, 7);
	assert_int_equal(host.power, DEV_POWER_TEST);
	assert_int_equal(host.status, 7);

	board_make(0);
	out8(PORT_DEBUG, '!');
	out8(PORT_TEST_EXIT, 7);
	out8(PORT_TEST_FAULT, 1);
	assert_int_equal(host.console_used, 0);
	assert_int_equal(host.powers, 0);
	assert_int_equal(in8(PORT_DEBUG), 0xff);
	assert_int_equal(in8(PORT_TEST_EXIT), 0xff);
}

static void port61_gates_the_speaker(void **state)
{
	u8 before, after;

	(void)state;
	out8(PORT_SYSTEM_B, 0x01);
	out8(PORT_PIT + 3, 0xb0); /* counter 2, mode 0 */
	out8(PORT_PIT + 2, 0x00);
	out8(PORT_PIT + 2, 0x10);
	before = in8(PORT_SYSTEM_B);
	host.now = 10 * MS;
	after = in8(PORT_SYSTEM_B);
	assert_int_equal(before & 0x20, 0);
	assert_int_equal(after & 0x20, 0x20);
}

static void tables_and_bios_data(void **state)
{
	static u8 memory[MIB];
	const struct guest_span span = { memory, sizeof(memory) };
	const struct guest_span small = { memory, 64 * KIB };

	(void)state;
	assert_int_equal(board_write_tables(&board, small), ERR_INVALID);
	assert_int_equal(memory[0x40e], 0);
	assert_int_equal(board_write_tables(&board, span), ERR_OK);
	assert_memory_equal(memory + ACPI_RSDP.raw, "RSD PTR ", 8);
	assert_int_equal((memory[0x40e] | memory[0x40f] << 8) << 4, MAP_EBDA);
	assert_int_equal(memory[0x413] | memory[0x414] << 8, 639);
	assert_int_equal(memory[MAP_EBDA], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(pit_reaches_8259, setup),
		cmocka_unit_test_setup(pit_reaches_ioapic_pin_2, setup),
		cmocka_unit_test_setup(one_shot_timer_leaves_no_deadline, setup),
		cmocka_unit_test_setup(com1_prints_and_interrupts, setup),
		cmocka_unit_test_setup(com1_waits_for_a_full_console, setup),
		cmocka_unit_test_setup(power_button_raises_the_sci, setup),
		cmocka_unit_test_setup(guest_turns_itself_off, setup),
		cmocka_unit_test_setup(reset_register_shares_the_address_ports, setup),
		cmocka_unit_test_setup(chipset_by_ports_and_ecam, setup),
		cmocka_unit_test_setup(split_accesses, setup),
		cmocka_unit_test_setup(unclaimed_is_all_ones, setup),
		cmocka_unit_test_setup(ioapic_answers, setup),
		cmocka_unit_test_setup(pci_interrupt_reaches_ioapic_and_pirq, setup),
		cmocka_unit_test_setup(shared_8259_input_is_an_or, setup),
		cmocka_unit_test_setup(rtc_tells_the_time_and_memory, setup),
		cmocka_unit_test_setup(test_ports_follow_the_flags, setup),
		cmocka_unit_test_setup(port61_gates_the_speaker, setup),
		cmocka_unit_test_setup(tables_and_bios_data, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
