/*
 * The two cascaded 8259A interrupt controllers of a PC, with the edge/level registers (ELCR) of
 * the south bridge. Intel, "8259A Programmable Interrupt Controller"; Intel, "I/O Controller Hub 9
 * (ICH9) Family Datasheet", "8259 Interrupt Controller (PIC) Registers".
 */
#pragma once

#include "vmm/dev/env.h"

#define I8259_MASTER_COMMAND 0x20
#define I8259_MASTER_DATA    0x21
#define I8259_SLAVE_COMMAND  0xa0
#define I8259_SLAVE_DATA     0xa1
#define I8259_MASTER_ELCR    0x4d0
#define I8259_SLAVE_ELCR     0x4d1

#define I8259_IRQS 16U
#define I8259_INTR 0 /* output line: INTR of the pair */

struct i8259_half {
	u8 lines;   /* levels of the eight inputs */
	u8 latched; /* edges not yet acknowledged */
	u8 level;   /* ELCR: inputs that are level-triggered */
	u8 mask;    /* IMR */
	u8 service; /* ISR */
	u8 base;    /* vector of input 0 */
	u8 lowest;  /* the input that has the lowest priority */
	u8 slaves;  /* inputs that a slave drives */
	u8 step;    /* the initialization command word that comes next, 0: operational */
	bool single;
	bool wants_icw4;
	bool auto_eoi;
	bool auto_rotate;
	bool special_mask;
	bool special_nested;
	bool poll;
	bool read_service;
};

struct i8259 {
	struct dev_env env;
	struct i8259_half master;
	struct i8259_half slave;
	bool intr;
};

/* Power-on reset; everything masked until a guest initializes the pair. Makes no call to env. */
void i8259_init(struct i8259 *c, const struct dev_env *env);
/* `port` is one of the six above; others read as all ones and ignore writes. */
u8 i8259_read(struct i8259 *c, u16 port);
void i8259_write(struct i8259 *c, u16 port, u8 value);
/* Sets the level of an input, 0 to 15; input 2 is the cascade and cannot be driven. */
void i8259_input(struct i8259 *c, unsigned irq, bool level);
/* The processor's interrupt acknowledge cycle: gives the vector, a spurious one if need be. */
u8 i8259_ack(struct i8259 *c);
