/* Reset ports. Hard, soft and full resets, and INIT, are one and the same for a virtual machine. */
#include "vmm/dev/reset.h"

#define CONTROL_RESET  BIT32(2)
#define CONTROL_STORED 0x0aU /* SYS_RST and FULL_RST, which only choose the kind of reset */

#define FAST_RESET   BIT32(0)
#define FAST_A20     BIT32(1)
#define FAST_STORED  FAST_A20
#define FAST_INITIAL FAST_A20 /* address line 20 is never gated; the bit is only kept */

void reset_init(struct reset *c, const struct dev_env *env)
{
	*c = (struct reset){ .env = *env, .fast = FAST_INITIAL };
}

u8 reset_read(const struct reset *c, u16 port)
{
	switch (port) {
	case RESET_PORT_CONTROL:
		return c->control;
	case RESET_PORT_FAST:
		return c->fast;
	default:
		return 0xff;
	}
}

void reset_write(struct reset *c, u16 port, u8 value)
{
	bool reset = false;

	if (port == RESET_PORT_CONTROL) {
		c->control = value & CONTROL_STORED;
		reset = (value & CONTROL_RESET) != 0;
	} else if (port == RESET_PORT_FAST) {
		c->fast = value & FAST_STORED;
		reset = (value & FAST_RESET) != 0;
	}
	if (reset)
		c->env.power(c->env.owner, DEV_POWER_RESET, 0);
}
