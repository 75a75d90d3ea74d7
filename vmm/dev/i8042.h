/*
 * A keyboard controller without a keyboard or mouse, for the guests that reset the machine or open
 * address line 20 through it. IBM, "Personal System/2 Hardware Interface Technical Reference",
 * "Keyboard and Auxiliary Device Controller".
 */
#pragma once

#include "vmm/dev/env.h"

#define I8042_PORT_DATA	   0x60
#define I8042_PORT_COMMAND 0x64 /* status when read */

#define I8042_IRQ 0 /* output line: output buffer full, while enabled */

struct i8042 {
	struct dev_env env;
	u8 config; /* the command byte */
	u8 output_port;
	u8 reply;
	bool reply_full;
	bool last_was_command;
	u8 wants_data; /* the command whose data byte comes next, 0: none */
	bool irq;
};

/* Power-on reset. Makes no call to env. */
void i8042_init(struct i8042 *c, const struct dev_env *env);
/* `port` is one of the two above; others read as all ones and ignore writes. */
u8 i8042_read(struct i8042 *c, u16 port);
void i8042_write(struct i8042 *c, u16 port, u8 value);
