/* The debug console and the exit port. */
#include "vmm/dev/testdev.h"

void testdev_init(struct testdev *c, const struct dev_env *env)
{
	*c = (struct testdev){ .env = *env };
}

u8 testdev_read(const struct testdev *c, u16 port)
{
	(void)c;
	return port == TESTDEV_PORT_CONSOLE ? TESTDEV_PORT_CONSOLE : 0xff;
}

void testdev_write(struct testdev *c, u16 port, u8 value)
{
	if (port == TESTDEV_PORT_CONSOLE)
		(void)c->env.output(c->env.owner, value);
	else if (port == TESTDEV_PORT_EXIT)
		c->env.power(c->env.owner, DEV_POWER_TEST, value);
}
