/*
 * Two ports for test guests and firmware, as emulators have them: a debug console (Bochs' port
 * 0xe9) and a port that ends the VM with a status (in the manner of QEMU's isa-debug-exit).
 */
#pragma once

#include "vmm/dev/env.h"

#define TESTDEV_PORT_CONSOLE 0xe9 /* reads as its own number: that is how it is detected */
#define TESTDEV_PORT_EXIT    0xf4

struct testdev {
	struct dev_env env;
};

/* Makes no call to env. */
void testdev_init(struct testdev *c, const struct dev_env *env);
/* `port` is one of the two above; others read as all ones and ignore writes. */
u8 testdev_read(const struct testdev *c, u16 port);
/* A byte that env.output refuses is lost: the console has no way to make a guest wait. */
void testdev_write(struct testdev *c, u16 port, u8 value);
