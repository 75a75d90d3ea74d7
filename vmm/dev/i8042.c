/*
 * The keyboard controller: its own commands work at once and without delay, so the input buffer is
 * never full and no guest waits for it. A byte for a device gets no reply, as nothing is attached.
 */
#include "vmm/dev/i8042.h"

/* "Status Register" */
#define STATUS_REPLY_FULL BIT32(0)
#define STATUS_TESTED	  BIT32(2)
#define STATUS_COMMAND	  BIT32(3)
#define STATUS_UNLOCKED	  BIT32(4)

/* "Controller Command Byte" */
#define CONFIG_INTERRUPT    BIT32(0)
#define CONFIG_TESTED	    BIT32(2)
#define CONFIG_KEYBOARD_OFF BIT32(4)
#define CONFIG_MOUSE_OFF    BIT32(5)
#define CONFIG_TRANSLATE    BIT32(6)
#define CONFIG_WRITABLE	    0x77U
#define CONFIG_INITIAL	    (CONFIG_KEYBOARD_OFF | CONFIG_MOUSE_OFF | CONFIG_TRANSLATE)

/* "Output Port" */
#define OUTPUT_NO_RESET BIT32(0) /* active low */
#define OUTPUT_A20	BIT32(1)
#define OUTPUT_INITIAL	(OUTPUT_NO_RESET | OUTPUT_A20)

#define COMMAND_WRITE_CONFIG 0x60
#define COMMAND_SELF_TEST    0xaa
#define COMMAND_WRITE_OUTPUT 0xd1
#define COMMAND_ECHO	     0xd2
#define COMMAND_PULSE	     0xf0 /* and up: pulses the output lines whose bits are clear */

#define TEST_PASSED	 0x55
#define INTERFACE_PASSED 0x00
#define INTERFACE_STUCK	 0x01 /* "clock line stuck low": no mouse */
#define INPUT_UNLOCKED	 0x80

enum action { IGNORE, REPLY, REPLY_CONFIG, REPLY_OUTPUT, CONFIG_SET, CONFIG_CLEAR, TAKE_DATA };

/* "Commands": what is not here does nothing. */
static const struct {
	u8 action;
	u8 value;
} command_rows[COMMAND_PULSE] = {
	[0x20] = { REPLY_CONFIG, 0 },
	[COMMAND_WRITE_CONFIG] = { TAKE_DATA, 0 },
	[0xa7] = { CONFIG_SET, CONFIG_MOUSE_OFF },
	[0xa8] = { CONFIG_CLEAR, CONFIG_MOUSE_OFF },
	[0xa9] = { REPLY, INTERFACE_STUCK },
	[COMMAND_SELF_TEST] = { REPLY, TEST_PASSED },
	[0xab] = { REPLY, INTERFACE_PASSED },
	[0xad] = { CONFIG_SET, CONFIG_KEYBOARD_OFF },
	[0xae] = { CONFIG_CLEAR, CONFIG_KEYBOARD_OFF },
	[0xc0] = { REPLY, INPUT_UNLOCKED },
	[0xd0] = { REPLY_OUTPUT, 0 },
	[COMMAND_WRITE_OUTPUT] = { TAKE_DATA, 0 },
	[COMMAND_ECHO] = { TAKE_DATA, 0 },
	[0xd3] = { TAKE_DATA, 0 }, /* to the mouse's side, and to the mouse: nobody there */
	[0xd4] = { TAKE_DATA, 0 },
};

static void irq_update(struct i8042 *c)
{
	bool irq = c->reply_full && (c->config & CONFIG_INTERRUPT);

	if (irq == c->irq)
		return;
	c->irq = irq;
	c->env.line_set(c->env.owner, I8042_IRQ, irq);
}

static void reply_put(struct i8042 *c, u8 reply)
{
	c->reply = reply;
	c->reply_full = true;
}

static void output_write(struct i8042 *c, u8 value)
{
	c->output_port = value | OUTPUT_NO_RESET;
	if (!(value & OUTPUT_NO_RESET))
		c->env.power(c->env.owner, DEV_POWER_RESET, 0);
}

static void command_run(struct i8042 *c, u8 command)
{
	u8 value = command_rows[command].value;

	switch (command_rows[command].action) {
	case REPLY:
		reply_put(c, value);
		break;
	case REPLY_CONFIG:
		reply_put(c, c->config);
		break;
	case REPLY_OUTPUT:
		reply_put(c, c->output_port);
		break;
	case CONFIG_SET:
		c->config |= value;
		break;
	case CONFIG_CLEAR:
		c->config &= (u8)~value;
		break;
	case TAKE_DATA:
		c->wants_data = command;
		break;
	default:
		break;
	}
	if (command == COMMAND_SELF_TEST)
		c->config |= CONFIG_TESTED;
}

static void command_write(struct i8042 *c, u8 command)
{
	c->last_was_command = true;
	c->wants_data = 0;
	if (command < COMMAND_PULSE)
		command_run(c, command);
	else if (!(command & OUTPUT_NO_RESET))
		c->env.power(c->env.owner, DEV_POWER_RESET, 0);
}

static void data_write(struct i8042 *c, u8 value)
{
	u8 command = c->wants_data;

	c->last_was_command = false;
	c->wants_data = 0;
	if (command == COMMAND_WRITE_CONFIG)
		c->config = value & CONFIG_WRITABLE;
	else if (command == COMMAND_WRITE_OUTPUT)
		output_write(c, value);
	else if (command == COMMAND_ECHO)
		reply_put(c, value);
}

static u8 status_read(const struct i8042 *c)
{
	return (u8)((c->reply_full ? STATUS_REPLY_FULL : 0) |
		    (c->config & CONFIG_TESTED ? STATUS_TESTED : 0) |
		    (c->last_was_command ? STATUS_COMMAND : 0) | STATUS_UNLOCKED);
}

void i8042_init(struct i8042 *c, const struct dev_env *env)
{
	*c = (struct i8042){
		.env = *env,
		.config = CONFIG_INITIAL,
		.output_port = OUTPUT_INITIAL,
	};
}

u8 i8042_read(struct i8042 *c, u16 port)
{
	if (port == I8042_PORT_COMMAND)
		return status_read(c);
	if (port != I8042_PORT_DATA)
		return 0xff;
	c->reply_full = false;
	irq_update(c);
	return c->reply;
}

void i8042_write(struct i8042 *c, u16 port, u8 value)
{
	if (port == I8042_PORT_COMMAND)
		command_write(c, value);
	else if (port == I8042_PORT_DATA)
		data_write(c, value);
	irq_update(c);
}
