/*
 * The I/O APIC: 24 pins, version 0x20, which has an EOI register. Intel, "82093AA I/O Advanced
 * Programmable Interrupt Controller (IOAPIC)"; Intel, "I/O Controller Hub 9 (ICH9) Family
 * Datasheet", "Advanced Programmable Interrupt Controller (APIC)".
 */
#pragma once

#include "vmm/dev/env.h"

#define IOAPIC_PINS 24U

/* Offsets of the 32-bit registers */
#define IOAPIC_INDEX 0x00
#define IOAPIC_DATA  0x10
#define IOAPIC_EOI   0x40

struct ioapic {
	struct dev_env env;
	u64 entries[IOAPIC_PINS]; /* the redirection table */
	u32 lines;		  /* inputs that are asserted, whatever their polarity */
	u32 id;
	u8 index;
};

/* Power-on reset: all pins masked. Makes no call to env. */
void ioapic_init(struct ioapic *c, const struct dev_env *env);
/* Other offsets read as all ones and ignore writes. */
u32 ioapic_read(struct ioapic *c, u32 offset);
void ioapic_write(struct ioapic *c, u32 offset, u32 value);
/* Sets a pin; true means asserted. Pins that do not exist are ignored. */
void ioapic_input(struct ioapic *c, unsigned pin, bool asserted);
/* An EOI broadcast from a local APIC: ends level-triggered interrupts of that vector. */
void ioapic_eoi(struct ioapic *c, u8 vector);
