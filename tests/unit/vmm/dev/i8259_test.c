/* The interrupt controller pair: priorities, every command, cascade, spurious interrupts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/i8259.h"

#define NONSPECIFIC_EOI 0x20
#define SPECIFIC_EOI(n) (0x60 | (n))

struct pair {
	struct fake fake;
	struct i8259 chip;
};

static void master_command(struct pair *p, u8 value)
{
	i8259_write(&p->chip, I8259_MASTER_COMMAND, value);
}

static void slave_command(struct pair *p, u8 value)
{
	i8259_write(&p->chip, I8259_SLAVE_COMMAND, value);
}

static void set_masks(struct pair *p, u8 master, u8 slave)
{
	i8259_write(&p->chip, I8259_MASTER_DATA, master);
	i8259_write(&p->chip, I8259_SLAVE_DATA, slave);
}

/* As operating systems do it: vectors 0x20 and 0x28, everything unmasked. */
static void pair_start(struct pair *p, u8 master_icw4, u8 slave_icw4)
{
	struct dev_env env = fake_env(&p->fake);

	i8259_init(&p->chip, &env);
	master_command(p, 0x11);
	i8259_write(&p->chip, I8259_MASTER_DATA, 0x20);
	i8259_write(&p->chip, I8259_MASTER_DATA, 0x04);
	i8259_write(&p->chip, I8259_MASTER_DATA, master_icw4);
	slave_command(p, 0x11);
	i8259_write(&p->chip, I8259_SLAVE_DATA, 0x28);
	i8259_write(&p->chip, I8259_SLAVE_DATA, 0x02);
	i8259_write(&p->chip, I8259_SLAVE_DATA, slave_icw4);
	set_masks(p, 0, 0);
}

static void pulse(struct pair *p, unsigned irq)
{
	i8259_input(&p->chip, irq, false);
	i8259_input(&p->chip, irq, true);
}

static u8 master_requests(struct pair *p)
{
	master_command(p, 0x0a);
	return i8259_read(&p->chip, I8259_MASTER_COMMAND);
}

static u8 master_service(struct pair *p)
{
	master_command(p, 0x0b);
	return i8259_read(&p->chip, I8259_MASTER_COMMAND);
}

static u8 slave_service(struct pair *p)
{
	slave_command(p, 0x0b);
	return i8259_read(&p->chip, I8259_SLAVE_COMMAND);
}

static bool intr(const struct pair *p)
{
	return p->fake.line[I8259_INTR];
}

static void reset_masks_everything_and_the_mask_reads_back(void **state)
{
	struct pair p;
	struct dev_env env = fake_env(&p.fake);

	(void)state;
	i8259_init(&p.chip, &env);
	for (unsigned irq = 0; irq < I8259_IRQS; irq++)
		i8259_input(&p.chip, irq, true);
	assert_false(intr(&p));
	i8259_write(&p.chip, I8259_MASTER_DATA, 0xfb);
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_DATA), 0xfb);
	assert_int_equal(i8259_read(&p.chip, I8259_SLAVE_DATA), 0xff);
	assert_int_equal(i8259_read(&p.chip, 0x22), 0xff);
}

static void edge_is_taken_once(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 4, true);
	assert_true(intr(&p));
	assert_int_equal(master_requests(&p), 0x10);
	assert_int_equal(i8259_ack(&p.chip), 0x24);
	assert_false(intr(&p));
	assert_int_equal(master_requests(&p), 0);
	assert_int_equal(master_service(&p), 0x10);
	master_command(&p, NONSPECIFIC_EOI);
	assert_int_equal(master_service(&p), 0);
	assert_false(intr(&p)); /* still high, but no new edge */
	i8259_input(&p.chip, 4, true);
	assert_false(intr(&p));
	pulse(&p, 4);
	assert_true(intr(&p));
}

static void edge_stays_latched_when_the_line_falls(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 0, true);
	i8259_input(&p.chip, 0, false);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x20);
}

static void higher_priority_interrupts_lower(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 4, true);
	assert_int_equal(i8259_ack(&p.chip), 0x24);
	i8259_input(&p.chip, 6, true);
	assert_false(intr(&p));
	i8259_input(&p.chip, 1, true);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x21);
	assert_int_equal(master_service(&p), 0x12);
	master_command(&p, NONSPECIFIC_EOI); /* ends 1, the highest */
	assert_int_equal(master_service(&p), 0x10);
	assert_false(intr(&p));
	master_command(&p, NONSPECIFIC_EOI);
	assert_int_equal(i8259_ack(&p.chip), 0x26);
}

static void mask_holds_back_and_lets_go(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	set_masks(&p, 0x08, 0);
	i8259_input(&p.chip, 3, true);
	assert_false(intr(&p));
	assert_int_equal(master_requests(&p), 0x08);
	set_masks(&p, 0, 0);
	assert_true(intr(&p));
	set_masks(&p, 0x08, 0);
	assert_false(intr(&p));
}

static void slave_comes_through_the_cascade(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 12, true);
	assert_int_equal(i8259_ack(&p.chip), 0x2c);
	assert_int_equal(master_service(&p), 0x04);
	assert_int_equal(slave_service(&p), 0x10);
	i8259_input(&p.chip, 8, true); /* higher in the slave, but the master is serving it */
	assert_false(intr(&p));
	slave_command(&p, NONSPECIFIC_EOI);
	master_command(&p, NONSPECIFIC_EOI);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x28);
	i8259_input(&p.chip, 2, true); /* not an input */
	i8259_input(&p.chip, 16, true);
	assert_int_equal(master_requests(&p), 0);
}

static void two_slave_requests_are_both_seen(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 9, true);
	i8259_input(&p.chip, 10, true);
	assert_int_equal(i8259_ack(&p.chip), 0x29);
	master_command(&p, SPECIFIC_EOI(2));
	assert_false(intr(&p));
	slave_command(&p, SPECIFIC_EOI(1));
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x2a);
}

static void slave_that_ends_by_itself_loses_nothing(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 3);
	i8259_input(&p.chip, 9, true);
	i8259_input(&p.chip, 10, true);
	assert_int_equal(i8259_ack(&p.chip), 0x29);
	assert_false(intr(&p));
	master_command(&p, NONSPECIFIC_EOI);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x2a);
	master_command(&p, NONSPECIFIC_EOI);
	assert_false(intr(&p));
}

static void special_nested_mode_lets_the_slave_interrupt_itself(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 0x11, 1);
	i8259_input(&p.chip, 12, true);
	assert_int_equal(i8259_ack(&p.chip), 0x2c);
	i8259_input(&p.chip, 13, true); /* lower in the slave */
	assert_false(intr(&p));
	i8259_input(&p.chip, 8, true);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x28);
	i8259_input(&p.chip, 3, true); /* lower than the cascade */
	assert_false(intr(&p));
}

static void withdrawn_request_is_spurious(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 5, true);
	set_masks(&p, 0x20, 0);
	assert_int_equal(i8259_ack(&p.chip), 0x27);
	assert_int_equal(master_service(&p), 0); /* a spurious interrupt needs no EOI */
}

static void withdrawn_slave_request_is_spurious_on_the_slave(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_write(&p.chip, I8259_SLAVE_ELCR, 0x08);
	i8259_input(&p.chip, 11, true);
	i8259_input(&p.chip, 11, false);
	assert_int_equal(i8259_ack(&p.chip), 0x2f);
	assert_int_equal(slave_service(&p), 0);
	assert_int_equal(master_service(&p), 0x04);
}

static void level_asks_again_until_it_falls(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_write(&p.chip, I8259_MASTER_ELCR, 0xff);
	i8259_write(&p.chip, I8259_SLAVE_ELCR, 0xff);
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_ELCR), 0xf8);
	assert_int_equal(i8259_read(&p.chip, I8259_SLAVE_ELCR), 0xde);
	i8259_input(&p.chip, 10, true);
	assert_int_equal(i8259_ack(&p.chip), 0x2a);
	assert_false(intr(&p));
	slave_command(&p, NONSPECIFIC_EOI);
	master_command(&p, NONSPECIFIC_EOI);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x2a);
	i8259_input(&p.chip, 10, false);
	slave_command(&p, NONSPECIFIC_EOI);
	master_command(&p, NONSPECIFIC_EOI);
	assert_false(intr(&p));
	i8259_input(&p.chip, 5, true);
	i8259_input(&p.chip, 5, false);
	assert_false(intr(&p));
}

static void automatic_end_of_interrupt(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 3, 3);
	i8259_input(&p.chip, 4, true);
	assert_int_equal(i8259_ack(&p.chip), 0x24);
	assert_int_equal(master_service(&p), 0);
	i8259_input(&p.chip, 8, true);
	assert_int_equal(i8259_ack(&p.chip), 0x28);
	assert_int_equal(slave_service(&p), 0);
	/* rotation on automatic end: the one served becomes the lowest */
	master_command(&p, 0x80);
	pulse(&p, 4);
	assert_int_equal(i8259_ack(&p.chip), 0x24);
	pulse(&p, 4);
	pulse(&p, 6);
	assert_int_equal(i8259_ack(&p.chip), 0x26);
	assert_int_equal(i8259_ack(&p.chip), 0x24);
	/* without rotation the order stays: 4 is the lowest */
	master_command(&p, 0x00);
	pulse(&p, 5);
	assert_int_equal(i8259_ack(&p.chip), 0x25);
	pulse(&p, 5);
	pulse(&p, 6);
	assert_int_equal(i8259_ack(&p.chip), 0x25);
}

static void rotation_commands(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	master_command(&p, 0xc0 | 4); /* 4 is the lowest, 5 the highest */
	i8259_input(&p.chip, 0, true);
	i8259_input(&p.chip, 5, true);
	assert_int_equal(i8259_ack(&p.chip), 0x25);
	master_command(&p, 0xa0); /* rotate on non-specific EOI: 5 is the lowest */
	assert_int_equal(master_service(&p), 0);
	pulse(&p, 5);
	pulse(&p, 6);
	assert_int_equal(i8259_ack(&p.chip), 0x26);
	master_command(&p, 0xe0 | 6); /* rotate on specific EOI: 6 is the lowest */
	assert_int_equal(master_service(&p), 0);
	pulse(&p, 6);
	assert_int_equal(i8259_ack(&p.chip), 0x20);
	master_command(&p, 0x40); /* no operation */
	assert_int_equal(master_service(&p), 0x01);
	master_command(&p, SPECIFIC_EOI(0));
	assert_int_equal(i8259_ack(&p.chip), 0x25);
	master_command(&p, NONSPECIFIC_EOI);
	assert_int_equal(i8259_ack(&p.chip), 0x26);
}

static void special_mask_mode_opens_the_lower_levels(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	i8259_input(&p.chip, 3, true);
	assert_int_equal(i8259_ack(&p.chip), 0x23);
	set_masks(&p, 0x08, 0);
	i8259_input(&p.chip, 6, true);
	assert_false(intr(&p));
	master_command(&p, 0x68);
	assert_true(intr(&p));
	assert_int_equal(i8259_ack(&p.chip), 0x26);
	master_command(&p, NONSPECIFIC_EOI); /* does not end a masked level */
	assert_int_equal(master_service(&p), 0x08);
	master_command(&p, NONSPECIFIC_EOI);
	assert_int_equal(master_service(&p), 0x08);
	master_command(&p, 0x48);
	master_command(&p, NONSPECIFIC_EOI);
	assert_int_equal(master_service(&p), 0);
}

static void poll_acknowledges(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	master_command(&p, 0x0c);
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_COMMAND) & 0x80, 0);
	i8259_input(&p.chip, 9, true);
	master_command(&p, 0x0c);
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_COMMAND), 0x82);
	slave_command(&p, 0x0c);
	assert_int_equal(i8259_read(&p.chip, I8259_SLAVE_COMMAND), 0x81);
	assert_int_equal(slave_service(&p), 0x02);
	assert_int_equal(master_service(&p), 0x04);
	assert_false(intr(&p));
	slave_command(&p, NONSPECIFIC_EOI);
	master_command(&p, NONSPECIFIC_EOI);
	pulse(&p, 9);
	assert_true(intr(&p));
}

static void initialization_forgets_edges_and_mask(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 3, 1);
	set_masks(&p, 0xff, 0xff);
	i8259_input(&p.chip, 7, true);
	master_command(&p, 0x11);
	assert_int_equal(master_requests(&p), 0);
	i8259_input(&p.chip, 6, true);
	assert_false(intr(&p)); /* not before the sequence is complete */
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x45);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x04);
	assert_false(intr(&p));
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x01);
	assert_true(intr(&p));
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_DATA), 0);
	assert_int_equal(i8259_ack(&p.chip), 0x46); /* the low bits of the base are not ours */
	assert_int_equal(master_service(&p), 0x40); /* automatic EOI is off again */
}

static void single_chip_and_no_icw4_shorten_the_sequence(void **state)
{
	struct pair p;

	(void)state;
	pair_start(&p, 1, 1);
	master_command(&p, 0x12);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x30);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0xfe); /* the mask already */
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_DATA), 0xfe);
	i8259_input(&p.chip, 0, true);
	assert_int_equal(i8259_ack(&p.chip), 0x30);
	master_command(&p, 0x10);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x30);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x04);
	i8259_write(&p.chip, I8259_MASTER_DATA, 0x55);
	assert_int_equal(i8259_read(&p.chip, I8259_MASTER_DATA), 0x55);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_masks_everything_and_the_mask_reads_back),
		cmocka_unit_test(edge_is_taken_once),
		cmocka_unit_test(edge_stays_latched_when_the_line_falls),
		cmocka_unit_test(higher_priority_interrupts_lower),
		cmocka_unit_test(mask_holds_back_and_lets_go),
		cmocka_unit_test(slave_comes_through_the_cascade),
		cmocka_unit_test(two_slave_requests_are_both_seen),
		cmocka_unit_test(slave_that_ends_by_itself_loses_nothing),
		cmocka_unit_test(special_nested_mode_lets_the_slave_interrupt_itself),
		cmocka_unit_test(withdrawn_request_is_spurious),
		cmocka_unit_test(withdrawn_slave_request_is_spurious_on_the_slave),
		cmocka_unit_test(level_asks_again_until_it_falls),
		cmocka_unit_test(automatic_end_of_interrupt),
		cmocka_unit_test(rotation_commands),
		cmocka_unit_test(special_mask_mode_opens_the_lower_levels),
		cmocka_unit_test(poll_acknowledges),
		cmocka_unit_test(initialization_forgets_edges_and_mask),
		cmocka_unit_test(single_chip_and_no_icw4_shorten_the_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
