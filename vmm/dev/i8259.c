/*
 * The cascaded 8259A pair. One deviation, on purpose: an edge stays latched when its input falls
 * before the acknowledge cycle, because a virtual processor may answer later than any real one
 * and would lose timer interrupts.
 */
#include "vmm/dev/i8259.h"

#define CASCADE	 2U /* the master's input that the slave drives */
#define SPURIOUS 7U /* the input reported when the request has gone */
#define NONE	 8U

/* "Initialization Command Words (ICWs)" */
#define ICW1_NEEDS_ICW4	    BIT32(0)
#define ICW1_SINGLE	    BIT32(1)
#define ICW1_SELECT	    BIT32(4)
#define ICW2_BASE	    0xf8U
#define ICW4_AUTO_EOI	    BIT32(1)
#define ICW4_SPECIAL_NESTED BIT32(4)

/* "Operation Command Words (OCWs)" */
#define OCW_SELECT_OCW3	     BIT32(3)
#define OCW2_COMMAND	     BITS64(7, 5)
#define OCW2_INPUT	     BITS64(2, 0)
#define OCW3_READ_SERVICE    BIT32(0)
#define OCW3_READ	     BIT32(1)
#define OCW3_POLL	     BIT32(2)
#define OCW3_SPECIAL_MASK    BIT32(5)
#define OCW3_SPECIAL_MASK_EN BIT32(6)
#define POLL_REQUEST	     BIT32(7)

/* The timer, keyboard, cascade, clock and numeric-error inputs are always edge-triggered. */
#define MASTER_ELCR_BITS 0xf8U
#define SLAVE_ELCR_BITS	 0xdeU

static u8 half_requests(const struct i8259_half *h)
{
	return (u8)((h->latched & ~h->level) | (h->lines & h->level));
}

/* How far behind the highest priority an input is: 0 to 7. */
static unsigned half_rank(const struct i8259_half *h, unsigned irq)
{
	return (irq - h->lowest - 1U) % 8U;
}

/* The input of highest priority among `inputs`, NONE if there is none. */
static unsigned half_first(const struct i8259_half *h, unsigned inputs)
{
	unsigned shift = (h->lowest + 1U) % 8U;
	unsigned rotated = (inputs >> shift | inputs << (8U - shift)) & 0xffU;

	return rotated == 0 ? NONE : ((unsigned)__builtin_ctz(rotated) + shift) % 8U;
}

static unsigned half_in_service(const struct i8259_half *h)
{
	return half_first(h, h->special_mask ? h->service & ~(unsigned)h->mask : h->service);
}

/* "Fully Nested Mode": the input that the chip asks to have served now, NONE if there is none. */
static unsigned half_pending(const struct i8259_half *h)
{
	unsigned asked = half_first(h, half_requests(h) & ~(unsigned)h->mask);
	unsigned serving = half_in_service(h);

	if (h->step != 0 || asked == NONE)
		return NONE;
	if (serving == NONE || half_rank(h, asked) < half_rank(h, serving))
		return asked;
	if (h->special_nested && asked == serving && (h->slaves & BIT32(asked)))
		return asked;
	return NONE;
}

static void half_line(struct i8259_half *h, unsigned irq, bool level)
{
	u8 bit = (u8)BIT32(irq);

	if (!level) {
		h->lines &= (u8)~bit;
		return;
	}
	if (!(h->lines & bit) && !(h->level & bit))
		h->latched |= bit;
	h->lines |= bit;
}

static unsigned half_accept(struct i8259_half *h)
{
	unsigned irq = half_pending(h);

	if (irq == NONE)
		return NONE;
	h->latched &= (u8)~BIT32(irq);
	if (!h->auto_eoi)
		h->service |= (u8)BIT32(irq);
	else if (h->auto_rotate)
		h->lowest = (u8)irq;
	return irq;
}

/* The slave lets go of the cascade while it accepts, so its next request is a new edge. */
static unsigned pair_accept(struct i8259 *c, struct i8259_half *h)
{
	if (h == &c->slave)
		half_line(&c->master, CASCADE, false);
	return half_accept(h);
}

static void pair_update(struct i8259 *c)
{
	bool intr;

	half_line(&c->master, CASCADE, half_pending(&c->slave) != NONE);
	intr = half_pending(&c->master) != NONE;
	if (intr == c->intr)
		return;
	c->intr = intr;
	c->env.line_set(c->env.owner, I8259_INTR, intr);
}

/* "Initialization Command Words 1 and 2": what ICW1 resets. */
static void half_icw1(struct i8259_half *h, u8 value)
{
	*h = (struct i8259_half){
		.lines = h->lines,
		.level = h->level,
		.base = h->base,
		.slaves = h->slaves,
		.lowest = 7,
		.step = 2,
		.single = (value & ICW1_SINGLE) != 0,
		.wants_icw4 = (value & ICW1_NEEDS_ICW4) != 0,
	};
}

static void half_icw(struct i8259_half *h, u8 value)
{
	switch (h->step) {
	case 2:
		h->base = (u8)(value & ICW2_BASE);
		h->step = h->single ? 4 : 3;
		break;
	case 3: /* the cascade is wired: what ICW3 says changes nothing */
		h->step = 4;
		break;
	default:
		h->auto_eoi = (value & ICW4_AUTO_EOI) != 0;
		h->special_nested = (value & ICW4_SPECIAL_NESTED) != 0;
		h->step = 0;
		return;
	}
	if (h->step == 4 && !h->wants_icw4)
		h->step = 0;
}

/* What the three command bits of OCW2 mean, by their number. */
static const struct {
	bool end;      /* end of interrupt */
	bool specific; /* for the input given, not for the one in service */
	bool rotate;   /* the input becomes the lowest */
	bool set_auto; /* sets rotation on automatic end of interrupt to `rotate` */
} ocw2_rows[8] = {
	[0] = { .set_auto = true },
	[1] = { .end = true },
	[3] = { .end = true, .specific = true },
	[4] = { .set_auto = true, .rotate = true },
	[5] = { .end = true, .rotate = true },
	[6] = { .specific = true, .rotate = true },
	[7] = { .end = true, .specific = true, .rotate = true },
};

static void half_ocw2(struct i8259_half *h, u8 value)
{
	u64 command = field_get(OCW2_COMMAND, value);
	unsigned irq = (unsigned)field_get(OCW2_INPUT, value);

	if (ocw2_rows[command].set_auto) {
		h->auto_rotate = ocw2_rows[command].rotate;
		return;
	}
	if (!ocw2_rows[command].specific)
		irq = half_in_service(h);
	if (irq == NONE)
		return;
	if (ocw2_rows[command].end)
		h->service &= (u8)~BIT32(irq);
	if (ocw2_rows[command].rotate)
		h->lowest = (u8)irq;
}

static void half_ocw3(struct i8259_half *h, u8 value)
{
	if (value & OCW3_SPECIAL_MASK_EN)
		h->special_mask = (value & OCW3_SPECIAL_MASK) != 0;
	if (value & OCW3_POLL)
		h->poll = true;
	else if (value & OCW3_READ)
		h->read_service = (value & OCW3_READ_SERVICE) != 0;
}

static void half_write_command(struct i8259_half *h, u8 value)
{
	if (value & ICW1_SELECT)
		half_icw1(h, value);
	else if (value & OCW_SELECT_OCW3)
		half_ocw3(h, value);
	else
		half_ocw2(h, value);
}

static void half_write_data(struct i8259_half *h, u8 value)
{
	if (h->step != 0)
		half_icw(h, value);
	else
		h->mask = value;
}

static void half_write_level(struct i8259_half *h, u8 value)
{
	h->level = value;
	h->latched &= (u8)~value;
}

/* "Poll Command": the next read acts as an acknowledge cycle. */
static u8 pair_poll(struct i8259 *c, struct i8259_half *h)
{
	unsigned irq;

	h->poll = false;
	irq = pair_accept(c, h);
	pair_update(c);
	return irq == NONE ? SPURIOUS : (u8)(POLL_REQUEST | irq);
}

static u8 pair_read_command(struct i8259 *c, struct i8259_half *h)
{
	if (h->poll)
		return pair_poll(c, h);
	return h->read_service ? h->service : half_requests(h);
}

static u8 pair_read_data(struct i8259 *c, struct i8259_half *h)
{
	return h->poll ? pair_poll(c, h) : h->mask;
}

void i8259_init(struct i8259 *c, const struct dev_env *env)
{
	*c = (struct i8259){
		.env = *env,
		.master = { .mask = 0xff, .lowest = 7, .slaves = BIT32(CASCADE) },
		.slave = { .mask = 0xff, .lowest = 7 },
	};
}

u8 i8259_read(struct i8259 *c, u16 port)
{
	switch (port) {
	case I8259_MASTER_COMMAND:
		return pair_read_command(c, &c->master);
	case I8259_MASTER_DATA:
		return pair_read_data(c, &c->master);
	case I8259_SLAVE_COMMAND:
		return pair_read_command(c, &c->slave);
	case I8259_SLAVE_DATA:
		return pair_read_data(c, &c->slave);
	case I8259_MASTER_ELCR:
		return c->master.level;
	case I8259_SLAVE_ELCR:
		return c->slave.level;
	default:
		return 0xff;
	}
}

void i8259_write(struct i8259 *c, u16 port, u8 value)
{
	switch (port) {
	case I8259_MASTER_COMMAND:
		half_write_command(&c->master, value);
		break;
	case I8259_MASTER_DATA:
		half_write_data(&c->master, value);
		break;
	case I8259_SLAVE_COMMAND:
		half_write_command(&c->slave, value);
		break;
	case I8259_SLAVE_DATA:
		half_write_data(&c->slave, value);
		break;
	case I8259_MASTER_ELCR:
		half_write_level(&c->master, value & MASTER_ELCR_BITS);
		break;
	case I8259_SLAVE_ELCR:
		half_write_level(&c->slave, value & SLAVE_ELCR_BITS);
		break;
	default:
		return;
	}
	pair_update(c);
}

void i8259_input(struct i8259 *c, unsigned irq, bool level)
{
	if (irq >= I8259_IRQS || irq == CASCADE)
		return;
	half_line(irq < 8 ? &c->master : &c->slave, irq % 8U, level);
	pair_update(c);
}

u8 i8259_ack(struct i8259 *c)
{
	struct i8259_half *h = &c->master;
	unsigned irq = pair_accept(c, h);

	if (irq == CASCADE && !h->single) {
		h = &c->slave;
		irq = pair_accept(c, h);
	}
	pair_update(c);
	return (u8)(h->base + (irq == NONE ? SPURIOUS : irq));
}
