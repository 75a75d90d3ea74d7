/*
 * Every chip of vmm/dev under random register accesses, line changes, expiries and jumps of time.
 * The sanitizers watch memory and arithmetic; the checks below what a board relies on.
 */
#include <stdlib.h>

#include "lib/base/cursor.h"
#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/dev/i8042.h"
#include "vmm/dev/i8254.h"
#include "vmm/dev/i8259.h"
#include "vmm/dev/ioapic.h"
#include "vmm/dev/mc146818.h"
#include "vmm/dev/reset.h"
#include "vmm/dev/testdev.h"
#include "vmm/dev/uart16550.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define STEPS_MAX    2000U
#define CLOCK_LIMIT  BIT64(60)
#define ENTRY_LEVEL  0x8000U
#define ENTRY_RIRR   0x4000U
#define REG_B_FROZEN 0x80U

enum chip { PIC, PIT, RTC, UART, IOAPIC, PM, KBC, RESET, TESTDEV, CHIPS };

struct board {
	struct fake fakes[CHIPS];
	struct i8259 pic;
	struct i8254 pit;
	struct mc146818 rtc;
	struct uart16550 uart;
	struct ioapic ioapic;
	struct acpi_pm pm;
	struct i8042 kbc;
	struct reset reset;
	struct testdev testdev;
};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void board_init(struct board *b)
{
	struct dev_env envs[CHIPS];

	for (unsigned i = 0; i < CHIPS; i++)
		envs[i] = fake_env(&b->fakes[i]);
	i8259_init(&b->pic, &envs[PIC]);
	i8254_init(&b->pit, &envs[PIT]);
	mc146818_init(&b->rtc, &envs[RTC]);
	uart16550_init(&b->uart, &envs[UART]);
	ioapic_init(&b->ioapic, &envs[IOAPIC]);
	acpi_pm_init(&b->pm, &envs[PM]);
	i8042_init(&b->kbc, &envs[KBC]);
	reset_init(&b->reset, &envs[RESET]);
	testdev_init(&b->testdev, &envs[TESTDEV]);
}

static void chip_expire(struct board *b, enum chip chip, unsigned timer)
{
	if (chip == PIT)
		i8254_expire(&b->pit, timer);
	else if (chip == RTC)
		mc146818_expire(&b->rtc, timer);
	else if (chip == PM)
		acpi_pm_expire(&b->pm, timer);
}

/* Moves time on and runs what is due; a chip must then wait for the future, and rise at most once.
 */
static void clock_advance(struct board *b, u64 ns)
{
	for (unsigned i = 0; i < CHIPS; i++) {
		struct fake *f = &b->fakes[i];
		unsigned rises = f->rises[0];

		f->now_ns = min_u64(f->now_ns + ns, CLOCK_LIMIT);
		if (f->deadline_ns[0] > f->now_ns)
			continue;
		f->deadline_ns[0] = DEV_NEVER;
		chip_expire(b, (enum chip)i, 0);
		check(f->deadline_ns[0] > f->now_ns);
		check(f->rises[0] <= rises + 1);
	}
}

static void pic_step(struct board *b, u8 op, u8 a, u8 value)
{
	static const u16 ports[8] = { 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x20, 0x22 };
	u8 vector;

	if (op & 4) {
		i8259_input(&b->pic, a % 20, value & 1);
	} else if (op & 8) {
		bool slave_base;

		vector = i8259_ack(&b->pic);
		slave_base = (vector & 0xf8) == b->pic.slave.base;
		check(slave_base || (vector & 0xf8) == b->pic.master.base);
	} else if (op & 16) {
		i8259_write(&b->pic, ports[a % 8], value);
	} else {
		(void)i8259_read(&b->pic, ports[a % 8]);
	}
	check(b->pic.intr == b->fakes[PIC].line[0]);
	check((b->pic.master.level & 0x07) == 0 && (b->pic.slave.level & 0x21) == 0);
	check((b->pic.master.latched & b->pic.master.level) == 0);
}

static void pit_check(const struct board *b)
{
	for (unsigned i = 0; i < I8254_COUNTERS; i++) {
		check(b->pit.counters[i].period <= 65536);
		check(b->pit.counters[i].reload <= 65536);
	}
	check(b->pit.timer.deadline_ns == b->fakes[PIT].deadline_ns[0]);
}

static void pit_step(struct board *b, u8 op, u8 a, u8 value)
{
	if (op & 4)
		i8254_port61_write(&b->pit, value);
	else if (op & 8)
		check((i8254_port61_read(&b->pit) & 0xc0) == 0);
	else if (op & 16)
		i8254_write(&b->pit, a % 5, value);
	else
		(void)i8254_read(&b->pit, a % 5);
	pit_check(b);
}

static u8 rtc_reg_read(struct board *b, u8 reg)
{
	mc146818_write(&b->rtc, MC146818_INDEX, reg);
	return mc146818_read(&b->rtc, MC146818_DATA);
}

/* While it runs, the time is always one that exists. */
static void rtc_check(struct board *b)
{
	u8 index = b->rtc.index;
	u8 control = rtc_reg_read(b, 0x0b);
	bool frozen = (control & REG_B_FROZEN) || (rtc_reg_read(b, 0x0a) & 0x60) == 0x60;
	bool binary = (control & 4) != 0;

	if (!frozen) {
		check(rtc_reg_read(b, 0x00) <= (binary ? 59 : 0x59));
		check(rtc_reg_read(b, 0x02) <= (binary ? 59 : 0x59));
		check((rtc_reg_read(b, 0x04) & 0x7f) <= (binary ? 23 : 0x23));
		check(rtc_reg_read(b, 0x06) - 1U <= 6);
		check(rtc_reg_read(b, 0x07) - 1U <= (binary ? 30 : 0x30));
		check(rtc_reg_read(b, 0x08) - 1U <= (binary ? 11 : 0x11));
	}
	b->rtc.index = index;
	check(b->rtc.timer.deadline_ns == b->fakes[RTC].deadline_ns[0]);
	check(!b->rtc.irq || b->rtc.timer.deadline_ns == DEV_NEVER);
	check(b->rtc.irq == b->fakes[RTC].line[0]);
}

static void rtc_step(struct board *b, u8 op, u8 a, u8 value)
{
	static const u8 regs[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0x32, 0x40 };

	if (op & 4)
		a = regs[a % 16];
	mc146818_write(&b->rtc, MC146818_INDEX, a);
	if (op & 8)
		mc146818_write(&b->rtc, MC146818_DATA, value);
	else
		(void)mc146818_read(&b->rtc, MC146818_DATA);
	if ((op & 0x30) == 0x30)
		mc146818_set_memory(&b->rtc, (u64)value << 26, (u64)a << 30);
	rtc_check(b);
}

static void uart_step(struct board *b, u8 op, u8 a, u8 value)
{
	struct uart16550 *u = &b->uart;

	b->fakes[UART].room = op & 32 ? value : 0;
	if (op & 4) {
		bool room = uart16550_can_receive(u);

		check(uart16550_receive(u, value) == room);
	} else if (op & 8) {
		uart16550_output_ready(u);
	} else if (op & 16) {
		uart16550_write(u, a % 9, value);
	} else {
		(void)uart16550_read(u, a % 9);
	}
	check(u->receive.count <= (u->fifo_control & 1 ? UART16550_FIFO : 1));
	check(u->transmit.count <= (u->fifo_control & 1 ? UART16550_FIFO : 1));
	check(u->irq == b->fakes[UART].line[0]);
	check(!u->irq || (uart16550_read(u, 4) & 0x18) == 0x08);
}

static void ioapic_step(struct board *b, u8 op, u8 a, u8 value)
{
	if (op & 4)
		ioapic_input(&b->ioapic, a % 28, value & 1);
	else if (op & 8)
		ioapic_eoi(&b->ioapic, value);
	else if (op & 16)
		ioapic_write(&b->ioapic, op & 32 ? 0x10 : a % 0x44, (u32)value << (a & 24));
	else
		(void)ioapic_read(&b->ioapic, op & 32 ? 0x10 : a % 0x44);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 entry = b->ioapic.entries[pin];

		check((entry & 0x00fffffffffe1000ULL) == 0);
		check(!(entry & ENTRY_RIRR) || (entry & ENTRY_LEVEL));
	}
	check((b->fakes[IOAPIC].msi_address & ~0xff004ULL) == 0xfee00000 ||
	      b->fakes[IOAPIC].msis == 0);
	check((b->fakes[IOAPIC].msi_data & ~0xc7ffU) == 0);
}

static void pm_step(struct board *b, u8 op, u8 a, u8 value)
{
	static const u8 sizes[4] = { 1, 2, 4, 3 };
	unsigned size = sizes[value & 3];

	if (op & 4)
		acpi_pm_press_power(&b->pm);
	else if (op & 8)
		acpi_pm_write(&b->pm, a, size, value * 0x01010101U);
	else
		check(size == 4 || acpi_pm_read(&b->pm, a, size) >> (8 * size) == 0);
	if (op == 0x3f)
		acpi_pm_set_wide_timer(&b->pm);
	check(acpi_pm_read(&b->pm, ACPI_PM1_CNT, 1) & 1);
	check(b->pm.sci == b->fakes[PM].line[0]);
	check(b->pm.timer.deadline_ns == b->fakes[PM].deadline_ns[0]);
}

static void port_step(struct board *b, enum chip chip, u8 op, u8 a, u8 value)
{
	static const u16 reset_ports[3] = { 0xcf9, 0x92, 0xcf8 };
	static const u16 test_ports[3] = { 0xe9, 0xf4, 0xea };
	u16 kbc_port = a & 1 ? I8042_PORT_DATA : I8042_PORT_COMMAND;
	bool write = (op & 4) != 0;

	if (chip == KBC && write)
		i8042_write(&b->kbc, kbc_port, value);
	else if (chip == KBC)
		check(kbc_port == I8042_PORT_DATA || !(i8042_read(&b->kbc, kbc_port) & 2));
	else if (chip == RESET && write)
		reset_write(&b->reset, reset_ports[a % 3], value);
	else if (chip == RESET)
		check(!(reset_read(&b->reset, reset_ports[a % 2]) & 5));
	else if (write)
		testdev_write(&b->testdev, test_ports[a % 3], value);
	else
		(void)testdev_read(&b->testdev, test_ports[a % 3]);
	check(b->fakes[KBC].power == DEV_POWER_RESET || b->fakes[KBC].powers == 0);
	check(b->kbc.irq == b->fakes[KBC].line[0]);
}

static void chip_step(struct board *b, enum chip chip, u8 op, u8 a, u8 value)
{
	static void (*const steps[])(struct board *, u8, u8, u8) = {
		[PIC] = pic_step,   [PIT] = pit_step,	    [RTC] = rtc_step,
		[UART] = uart_step, [IOAPIC] = ioapic_step, [PM] = pm_step,
	};

	if (chip < ARRAY_SIZE(steps))
		steps[chip](b, op, a, value);
	else
		port_step(b, chip, op, a, value);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct board board;
	struct cursor c = cursor_over(data, size);
	u8 bytes[4];

	board_init(&board);
	for (unsigned i = 0; i < STEPS_MAX && cursor_read(&c, bytes, sizeof(bytes)); i++) {
		unsigned which = bytes[0] % (CHIPS + 2U);

		if (which == CHIPS)
			clock_advance(&board, (u64)bytes[1] << (bytes[2] % 48));
		else if (which > CHIPS)
			chip_expire(&board, (enum chip)(bytes[1] % CHIPS), bytes[2] % 3);
		else
			chip_step(&board, (enum chip)which, bytes[1], bytes[2], bytes[3]);
	}
	return 0;
}
