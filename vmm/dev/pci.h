/*
 * PCI bus 0: configuration space by ports (CF8/CFC) and by memory (ECAM), memory BARs and INTx.
 * A device is a struct pci_function whose registers are bytes with a write mask; hooks tell its
 * owner about accesses. Governed by the PCI Local Bus Specification 3.0, "Configuration Space",
 * and the PCI Express Base Specification, "Enhanced Configuration Access Mechanism". I/O BARs and
 * the extended configuration space are absent: modern virtio needs neither.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"
#include "vmm/dev/env.h"

#define PCI_SLOTS	   32U
#define PCI_SLOT_FUNCTIONS 8U
#define PCI_FUNCTIONS	   (PCI_SLOTS * PCI_SLOT_FUNCTIONS)
#define PCI_CONFIG_BYTES   256U
#define PCI_BARS	   6U
#define PCI_WINDOWS	   64U /* BARs on the whole bus */
#define PCI_INTX_LINES	   8U  /* PIRQA..PIRQH */

#define PCI_DEVFN(slot, function) ((u8)((slot) << 3 | (function)))

/* Registers of a type 0 header. */
#define PCI_VENDOR_ID	     0x00
#define PCI_DEVICE_ID	     0x02
#define PCI_COMMAND	     0x04
#define PCI_STATUS	     0x06
#define PCI_REVISION	     0x08
#define PCI_CLASS	     0x09 /* interface, sub-class, base class */
#define PCI_HEADER_TYPE	     0x0e
#define PCI_BAR0	     0x10
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM	     0x2e
#define PCI_CAPABILITIES     0x34
#define PCI_INTERRUPT_LINE   0x3c
#define PCI_INTERRUPT_PIN    0x3d

#define PCI_COMMAND_IO		 BIT32(0)
#define PCI_COMMAND_MEMORY	 BIT32(1)
#define PCI_COMMAND_MASTER	 BIT32(2)
#define PCI_COMMAND_PARITY	 BIT32(6)
#define PCI_COMMAND_SERR	 BIT32(8)
#define PCI_COMMAND_INTX_DISABLE BIT32(10)
#define PCI_STATUS_INTERRUPT	 BIT32(3)
#define PCI_STATUS_CAPABILITIES	 BIT32(4)
#define PCI_STATUS_ERRORS	 0xf900U /* written as one, they clear */
#define PCI_HEADER_MULTIFUNCTION BIT32(7)

/* Low bits of a memory BAR. */
#define PCI_BAR_64BIT	 BIT32(2)
#define PCI_BAR_PREFETCH BIT32(3)

/* One register of a function as a table row. */
struct pci_field {
	u16 offset;
	u8 bytes; /* 1..4 */
	u32 value;
	u32 writable; /* bits that a write sets */
	u32 clears;   /* bits that a write of one clears */
};

/* What a function's owner hears; every hook may be NULL. Hooks may call pci_interrupt(). */
struct pci_ops {
	/* Before configuration bytes [offset, offset + bytes) are read: freshen them. */
	void (*config_read)(void *owner, u16 offset, unsigned bytes);
	/* After a write took effect on configuration bytes [offset, offset + bytes). */
	void (*config_write)(void *owner, u16 offset, unsigned bytes);
	/* An access inside a BAR: offset + bytes never exceeds the BAR. */
	u64 (*bar_read)(void *owner, unsigned bar, u64 offset, unsigned bytes);
	void (*bar_write)(void *owner, unsigned bar, u64 offset, unsigned bytes, u64 value);
	/* A BAR appeared at, moved to or vanished from (mapped false) a guest address. */
	void (*bar_moved)(void *owner, unsigned bar, gpa_t base, bool mapped);
};

struct pci_bus;

struct pci_function {
	/* Set by the owner, through the calls below, before pci_add(). */
	u8 config[PCI_CONFIG_BYTES];
	u8 writable[PCI_CONFIG_BYTES];
	u8 clears[PCI_CONFIG_BYTES];
	u64 bar_bytes[PCI_BARS]; /* a power of two; 0: absent, or the upper half of the BAR below */
	const struct pci_ops *ops;
	void *owner;

	/* Set by pci_add(). */
	struct pci_bus *bus;
	u8 devfn;
	bool intx; /* the interrupt condition, before the disable bit of the command register */
};

/* One BAR of the bus: where it decodes now. */
struct pci_window {
	struct pci_function *function;
	unsigned bar;
	u64 base;
	u64 bytes;
	bool mapped;
};

struct pci_bus {
	struct dev_env env; /* line_set: lines 0..7 are PIRQA..PIRQH */
	struct pci_function *functions[PCI_FUNCTIONS];
	struct pci_window windows[PCI_WINDOWS];
	unsigned window_count;
	u32 address; /* the register at port CF8 */
	u8 lines;    /* one bit per INTx line: its level now */
};

void pci_init(struct pci_bus *bus, const struct dev_env *env);

/* Fills a zeroed function's registers from rows; later rows win. */
void pci_function_fill(struct pci_function *f, const struct pci_field *fields, size_t count);
/* The registers that every endpoint has: identity, command, status, interrupt pin (0: none). */
void pci_function_identify(struct pci_function *f, u16 vendor, u16 device, u32 class_code,
			   u8 revision, u8 interrupt_pin);
/* Declares memory BAR `bar` of `bytes` (a power of two from 16 bytes to 2 GiB), PCI_BAR_* flags. */
void pci_function_bar(struct pci_function *f, unsigned bar, u64 bytes, u32 flags);
/*
 * Plugs a function in; function 0 of a slot first. ERR_EXISTS when the place is taken,
 * ERR_NO_MEMORY when the bus has too many BARs. The function must outlive the bus.
 */
MUST_USE enum err pci_add(struct pci_bus *bus, u8 devfn, struct pci_function *f);
/*
 * Gives every BAR without an address one in [base, end) and turns memory decoding on, as firmware
 * does. ERR_NO_MEMORY when the range is too small.
 */
MUST_USE enum err pci_assign(struct pci_bus *bus, u64 base, u64 end);

/* Port CF8, as a double word; other widths there are not configuration accesses. */
u32 pci_address_read(const struct pci_bus *bus);
void pci_address_write(struct pci_bus *bus, u32 value);
/* Ports CFC..CFF: offset 0..3, offset + bytes at most 4. */
u32 pci_data_read(struct pci_bus *bus, unsigned offset, unsigned bytes);
void pci_data_write(struct pci_bus *bus, unsigned offset, unsigned bytes, u32 value);
/*
 * Configuration space by ECAM offset (bus, slot, function, register), 1 to 8 bytes. Absent
 * functions and registers read as ones.
 */
u64 pci_config_read(struct pci_bus *bus, u32 ecam_offset, unsigned bytes);
void pci_config_write(struct pci_bus *bus, u32 ecam_offset, unsigned bytes, u64 value);
/* An access to the BARs; false when none decodes the whole of it (a read then gives ones). */
bool pci_memory_read(struct pci_bus *bus, gpa_t gpa, unsigned bytes, u64 *value);
bool pci_memory_write(struct pci_bus *bus, gpa_t gpa, unsigned bytes, u64 value);

/* Raises or lowers the function's INTx condition. */
void pci_interrupt(struct pci_function *f, bool level);
/* The PIRQ line of an interrupt pin (1: INTA) in a slot; the _PRT in dsdt.asl says the same. */
static inline unsigned pci_intx_line(unsigned slot, unsigned pin)
{
	return (slot + pin - 1) % PCI_INTX_LINES;
}

/* Registers as the owner sees them, little-endian, 1 to 4 bytes; writes ignore the masks. */
u32 pci_register(const struct pci_function *f, u16 offset, unsigned bytes);
void pci_register_set(struct pci_function *f, u16 offset, unsigned bytes, u32 value);
