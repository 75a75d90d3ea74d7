/*
 * The board of the virtual Q35 PC: all chips, their wiring, and the dispatch of port and memory
 * accesses to them. One instance a VM; not thread-safe, so the VMM holds its lock around every
 * call. Calls to the host may come out of any of them but board_next_deadline().
 */
#pragma once

#include "lib/abi/manifest.h"
#include "lib/base/err.h"
#include "lib/base/types.h"
#include "vmm/board/guest_span.h"
#include "vmm/board/q35.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/dev/env.h"
#include "vmm/dev/i8042.h"
#include "vmm/dev/i8254.h"
#include "vmm/dev/i8259.h"
#include "vmm/dev/ioapic.h"
#include "vmm/dev/mc146818.h"
#include "vmm/dev/pci.h"
#include "vmm/dev/reset.h"
#include "vmm/dev/testdev.h"
#include "vmm/dev/uart16550.h"

/* What the board asks of its VMM; every call is needed. */
struct board_host {
	void *owner; /* passed back to every call below */

	u64 (*clock_ns)(void *owner); /* guest time since the VM was created; never goes back */
	void (*msi)(void *owner, u64 address, u32 data); /* to the local APICs */
	void (*intr)(void *owner, bool level);		 /* INTR of the 8259s, at LINT0 */
	bool (*console_put)(void *owner, u8 byte);	 /* false: wait for board_console_ready() */
	void (*power)(void *owner, enum dev_power power, u8 status);
};

struct board_config {
	u64 memory_bytes;
	u64 utc_seconds; /* wall clock now, since 1970 */
	u32 cpus;
	u32 flags; /* MANIFEST_FLAG_* */
};

enum board_chip {
	CHIP_PIC,
	CHIP_PIT,
	CHIP_RTC,
	CHIP_COM1,
	CHIP_I8042,
	CHIP_PM,
	CHIP_IOAPIC,
	CHIP_RESET,
	CHIP_TEST,
	CHIP_PCI,
	CHIP_Q35,
	CHIP_COUNT
};

/* The owner that a chip's environment names: which chip of which board is calling. */
struct board_seat {
	struct board *board;
	enum board_chip chip;
	u64 deadline_ns; /* of its only timer; DEV_NEVER: not armed */
};

struct board {
	struct board_config config;
	struct board_host host;
	struct board_seat seats[CHIP_COUNT];
	u64 deadline_ns; /* the earliest of all seats */
	u16 isa_lines;	 /* 8259 inputs that chips on the board assert */
	u16 pirq_lines;	 /* 8259 inputs that PCI interrupts assert */

	struct i8259 pic;
	struct i8254 pit;
	struct mc146818 rtc;
	struct uart16550 com1;
	struct i8042 i8042;
	struct acpi_pm pm;
	struct ioapic ioapic;
	struct reset reset;
	struct testdev test;
	struct pci_bus pci;
	struct q35 q35;
};

/*
 * More PCI functions: pci_add(&b->pci, ...) for each after board_init(), then one pci_assign() over
 * MAP_PCI_WINDOW .. MAP_PCI_WINDOW + MAP_PCI_WINDOW_BYTES.
 */

/* Power-on reset. The board keeps pointers to itself: it must not be moved afterwards. */
void board_init(struct board *b, const struct board_config *config, const struct board_host *host);
/*
 * Writes what firmware leaves below 1 MiB: ACPI tables (the RSDP at ACPI_RSDP) and the BIOS data
 * area. ERR_INVALID when the span ends below 1 MiB or the tables do not fit.
 */
MUST_USE enum err board_write_tables(struct board *b, struct guest_span low);

/* A port access of 1, 2 or 4 bytes. Ports that nobody claims read as ones and ignore writes. */
u32 board_port_read(struct board *b, u16 port, unsigned size);
void board_port_write(struct board *b, u16 port, unsigned size, u32 value);
/*
 * An access of 1, 2, 4 or 8 bytes to memory that is not RAM. False when nobody claims it: then
 * *value is all ones, or the write is ignored.
 */
bool board_mmio_read(struct board *b, gpa_t gpa, unsigned size, u64 *value);
bool board_mmio_write(struct board *b, gpa_t gpa, unsigned size, u64 value);

/* When board_run_timers() is due, on the host's clock; DEV_NEVER when no timer is armed. */
u64 board_next_deadline(const struct board *b);
void board_run_timers(struct board *b);

/* A local APIC ended a level-triggered interrupt. */
void board_eoi(struct board *b, u8 vector);
/* A processor acknowledges INTR: gives the vector. */
u8 board_intr_ack(struct board *b);

/* A byte for COM1; false when the guest has no room for it now. */
MUST_USE bool board_console_input(struct board *b, u8 byte);
/* The console takes output again. */
void board_console_ready(struct board *b);
void board_power_button(struct board *b);
