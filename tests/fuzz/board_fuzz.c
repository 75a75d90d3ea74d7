/*
 * Random port and memory accesses, console input, interrupts and time on the whole board. Bytes of
 * the input choose what happens; the sanitizers and assertions judge. After every step the timers
 * must come to rest: a chip that rearms for the past for ever would hang its VMM.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/assert.h"
#include "lib/base/cursor.h"
#include "vmm/board/board.h"
#include "vmm/board/memory_map.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define TIMER_PASSES 1000U
#define TIME_MAX     (BIT64(62)) /* a century: guest time starts at zero */

struct machine {
	struct board board;
	struct pci_function f;
	u64 now;
	bool console_open;
};

static u64 clock_ns(void *owner)
{
	return ((struct machine *)owner)->now;
}

static void msi(void *owner, u64 address, u32 data)
{
	(void)owner;
	(void)data;
	assert(address >> 20 == MAP_LAPIC >> 20);
}

static void intr(void *owner, bool level)
{
	(void)owner;
	(void)level;
}

static bool console_put(void *owner, u8 byte)
{
	(void)byte;
	return ((struct machine *)owner)->console_open;
}

static void power(void *owner, enum dev_power kind, u8 status)
{
	(void)owner;
	(void)kind;
	(void)status;
}

static u64 bar_read(void *owner, unsigned bar, u64 offset, unsigned bytes)
{
	struct machine *m = owner;

	assert(bar < PCI_BARS && offset + bytes <= m->f.bar_bytes[bar]);
	return ~offset;
}

static void bar_write(void *owner, unsigned bar, u64 offset, unsigned bytes, u64 value)
{
	struct machine *m = owner;

	pci_interrupt(&m->f, value & 1);
	(void)bar_read(owner, bar, offset, bytes);
}

static const struct pci_ops ops = { .bar_read = bar_read, .bar_write = bar_write };

/* One step of the input: what to do, where, and with what. */
struct step {
	u8 action;
	u8 place;
	u16 offset;
	u32 value;
} PACKED;

static const u16 ports[] = {
	PORT_PIC_MASTER, PORT_PIT,	PORT_I8042_DATA, PORT_SYSTEM_B,	      PORT_I8042_STATUS,
	PORT_RTC,	 PORT_SYSTEM_A, PORT_PIC_SLAVE,	 PORT_DEBUG,	      PORT_TEST_EXIT,
	PORT_COM1,	 PORT_ELCR,	PORT_PM,	 PORT_PM + ACPI_GPE0, PORT_PCI_ADDRESS,
	PORT_PCI_DATA,
};

static const u64 places[] = {
	MAP_IOAPIC, MAP_ECAM, MAP_ECAM + (31U << 15), MAP_ECAM + (3U << 15), MAP_PCI_WINDOW,
	0,	    ~0ULL,
};

#define ANY_PORT 0xf0

static u16 step_port(const struct step *s)
{
	if (s->place >= ANY_PORT)
		return s->offset;
	return (u16)(ports[s->place % ARRAY_SIZE(ports)] + s->offset % 8);
}

static gpa_t step_gpa(const struct step *s)
{
	return GPA(places[s->place % ARRAY_SIZE(places)] + s->offset);
}

static unsigned step_size(const struct step *s)
{
	return 1U << (s->action >> 6);
}

static void port_in(struct machine *m, const struct step *s)
{
	(void)board_port_read(&m->board, step_port(s), step_size(s));
}

static void port_out(struct machine *m, const struct step *s)
{
	board_port_write(&m->board, step_port(s), step_size(s), s->value);
}

static void memory_read(struct machine *m, const struct step *s)
{
	u64 value;

	(void)board_mmio_read(&m->board, step_gpa(s), step_size(s), &value);
}

static void memory_write(struct machine *m, const struct step *s)
{
	(void)board_mmio_write(&m->board, step_gpa(s), step_size(s), s->value * 0x100000001ULL);
}

static void time_pass(struct machine *m, const struct step *s)
{
	m->now = min_u64(m->now + ((u64)s->value << s->place % 16), TIME_MAX);
}

static void input_arrive(struct machine *m, const struct step *s)
{
	(void)board_console_input(&m->board, (u8)s->value);
	board_eoi(&m->board, (u8)s->offset);
}

static void interrupt_take(struct machine *m, const struct step *s)
{
	(void)board_intr_ack(&m->board);
	if (s->value & 1)
		board_power_button(&m->board);
}

static void console_turn(struct machine *m, const struct step *s)
{
	m->console_open = s->value & 1;
	board_console_ready(&m->board);
}

static void (*const actions[])(struct machine *m, const struct step *s) = {
	port_in,   port_out,	 memory_read,	 memory_write,
	time_pass, input_arrive, interrupt_take, console_turn,
};

static void timers_settle(struct machine *m)
{
	for (unsigned passes = 0; board_next_deadline(&m->board) <= m->now; passes++) {
		assert(passes < TIMER_PASSES);
		board_run_timers(&m->board);
	}
}

static void machine_init(struct machine *m)
{
	const struct board_config config = {
		.memory_bytes = 64 * MIB,
		.cpus = 1,
		.flags = MANIFEST_FLAG_DEBUG_PORT | MANIFEST_FLAG_TEST_EXIT,
	};
	const struct board_host host = { m, clock_ns, msi, intr, console_put, power };
	enum err err;

	memset(m, 0, sizeof(*m));
	m->console_open = true;
	m->f.ops = &ops;
	m->f.owner = m;
	pci_function_identify(&m->f, 1, 1, 0, 0, 1);
	pci_function_bar(&m->f, 0, 0x1000, 0);
	pci_function_bar(&m->f, 2, 0x4000, PCI_BAR_64BIT);
	board_init(&m->board, &config, &host);
	err = pci_add(&m->board.pci, PCI_DEVFN(3, 0), &m->f);
	assert(err == ERR_OK);
	err = pci_assign(&m->board.pci, MAP_PCI_WINDOW, MAP_PCI_WINDOW_LAST + 1ULL);
	assert(err == ERR_OK);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct machine *m = malloc(sizeof(*m));
	struct cursor c = cursor_over(data, size);
	struct step s;

	assert(m);
	machine_init(m);
	while (cursor_read(&c, &s, sizeof(s))) {
		actions[(s.action & 0x3f) % ARRAY_SIZE(actions)](m, &s);
		timers_settle(m);
	}
	free(m);
	return 0;
}
