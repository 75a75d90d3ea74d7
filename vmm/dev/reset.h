/*
 * The two ports by which a guest resets the machine: 0xcf9 and 0x92. Intel, "I/O Controller Hub 9
 * (ICH9) Family Datasheet", "RST_CNT - Reset Control Register" and "PORT92 - Fast A20 and Init
 * Register".
 */
#pragma once

#include "vmm/dev/env.h"

#define RESET_PORT_CONTROL 0xcf9
#define RESET_PORT_FAST	   0x92

struct reset {
	struct dev_env env;
	u8 control;
	u8 fast;
};

/* Power-on reset. Makes no call to env. */
void reset_init(struct reset *c, const struct dev_env *env);
/* `port` is one of the two above; others read as all ones and ignore writes. */
u8 reset_read(const struct reset *c, u16 port);
void reset_write(struct reset *c, u16 port, u8 value);
