/* The serial port: what drivers probe, FIFOs, interrupt priorities, waiting output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/dev/fake_env.h"
#include "vmm/dev/uart16550.h"

#define DATA 0
#define IER  1
#define IIR  2
#define FCR  2
#define LCR  3
#define MCR  4
#define LSR  5
#define MSR  6
#define SCR  7

#define MCR_READY 0x0b /* DTR, RTS and OUT2 */

struct port {
	struct fake fake;
	struct uart16550 chip;
};

static void port_start(struct port *p)
{
	struct dev_env env = fake_env(&p->fake);

	uart16550_init(&p->chip, &env);
}

static u8 in(struct port *p, u16 offset)
{
	return uart16550_read(&p->chip, offset);
}

static void out(struct port *p, u16 offset, u8 value)
{
	uart16550_write(&p->chip, offset, value);
}

static bool irq(const struct port *p)
{
	return p->fake.line[UART16550_IRQ];
}

static void registers_after_reset(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	assert_int_equal(in(&p, IER), 0);
	assert_int_equal(in(&p, IIR), 0x01);
	assert_int_equal(in(&p, LCR), 0);
	assert_int_equal(in(&p, MCR), 0);
	assert_int_equal(in(&p, LSR), 0x60);
	assert_int_equal(in(&p, MSR), 0xb0);
	assert_int_equal(in(&p, 8), 0xff);
	out(&p, 8, 1);
	assert_false(irq(&p));
}

/* The steps by which drivers tell a 16550A from its older and newer relatives. */
static void driver_finds_a_16550a(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, SCR, 0xa5);
	assert_int_equal(in(&p, SCR), 0xa5);
	out(&p, IER, 0xff);
	assert_int_equal(in(&p, IER), 0x0f);
	out(&p, IER, 0);
	out(&p, MCR, 0x10 | 0x0a);
	assert_int_equal(in(&p, MSR) & 0xf0, 0x90);
	out(&p, MCR, 0xff);
	assert_int_equal(in(&p, MCR), 0x1f);
	out(&p, MCR, 0);
	out(&p, FCR, 0x01);
	assert_int_equal(in(&p, IIR), 0xc1);
	out(&p, LCR, 0xbf);
	assert_int_not_equal(in(&p, 2), 0); /* no enhanced features register */
	out(&p, LCR, 0x80);
	out(&p, FCR, 0x21);
	assert_int_equal(in(&p, IIR), 0xc1); /* no 64-byte FIFO */
	out(&p, LCR, 0);
	out(&p, FCR, 0x00);
	assert_int_equal(in(&p, IIR), 0x01);
}

static void divisor_hides_behind_its_bit(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, LCR, 0x83);
	out(&p, DATA, 0x34);
	out(&p, IER, 0x12);
	assert_int_equal(in(&p, DATA), 0x34);
	assert_int_equal(in(&p, IER), 0x12);
	out(&p, LCR, 0x03);
	assert_int_equal(in(&p, LCR), 0x03);
	assert_int_equal(in(&p, IER), 0);
	assert_int_equal(p.fake.outputs, 0);
}

static void transmitter_interrupt_as_drivers_test_it(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, MCR, MCR_READY);
	for (unsigned i = 0; i < 2; i++) { /* raised each time that it is enabled */
		out(&p, IER, 0x02);
		assert_true(irq(&p));
		assert_int_equal(in(&p, LSR), 0x60);
		assert_int_equal(in(&p, IIR), 0x02);
		assert_false(irq(&p));
		assert_int_equal(in(&p, IIR), 0x01);
		out(&p, IER, 0x02);
		assert_false(irq(&p));
		out(&p, IER, 0);
	}
	out(&p, IER, 0x02);
	p.fake.rises[0] = 0;
	out(&p, DATA, 'a'); /* not acknowledged: still a new edge */
	assert_int_equal(p.fake.rises[0], 1);
	assert_int_equal(p.fake.output[0], 'a');
	assert_true(irq(&p));
}

static void out2_gates_the_interrupt(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, IER, 0x02);
	assert_false(irq(&p));
	out(&p, MCR, 0x08);
	assert_true(irq(&p));
	out(&p, MCR, 0x18);
	assert_false(irq(&p));
	out(&p, MCR, 0x08);
	assert_true(irq(&p));
}

static void received_bytes_come_in_order(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, FCR, 0x81); /* trigger at eight */
	out(&p, MCR, MCR_READY);
	out(&p, IER, 0x01);
	for (u8 i = 0; i < 16; i++) {
		assert_true(uart16550_can_receive(&p.chip));
		assert_true(uart16550_receive(&p.chip, (u8)(100 + i)));
		assert_true(irq(&p));
		assert_int_equal(in(&p, IIR), i < 7 ? 0xcc : 0xc4);
	}
	assert_false(uart16550_can_receive(&p.chip));
	assert_false(uart16550_receive(&p.chip, 99));
	for (u8 i = 0; i < 16; i++) {
		assert_int_equal(in(&p, LSR) & 0x01, 0x01);
		assert_int_equal(in(&p, DATA), 100 + i);
	}
	assert_int_equal(in(&p, LSR), 0x60); /* nothing left, and nothing overrun */
	assert_false(irq(&p));
}

static void without_fifos_there_is_room_for_one(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, MCR, MCR_READY);
	out(&p, IER, 0x01);
	assert_true(uart16550_receive(&p.chip, 1));
	assert_false(uart16550_receive(&p.chip, 2));
	assert_int_equal(in(&p, IIR), 0x04);
	assert_int_equal(in(&p, DATA), 1);
	assert_true(uart16550_receive(&p.chip, 2));
}

static void fifo_control_clears(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, FCR, 0x01);
	assert_true(uart16550_receive(&p.chip, 1));
	out(&p, FCR, 0x02); /* turning them off empties them */
	assert_int_equal(in(&p, LSR), 0x60);
	out(&p, FCR, 0x01);
	assert_true(uart16550_receive(&p.chip, 1));
	out(&p, FCR, 0x03);
	assert_int_equal(in(&p, LSR), 0x60);
	p.fake.room = 0;
	out(&p, DATA, 'x');
	assert_int_equal(in(&p, LSR), 0x00);
	out(&p, FCR, 0x05);
	assert_int_equal(in(&p, LSR), 0x60);
	p.fake.room = 10;
	uart16550_output_ready(&p.chip);
	assert_int_equal(p.fake.outputs, 0);
}

static void refused_output_waits(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, FCR, 0x01);
	out(&p, MCR, MCR_READY);
	out(&p, IER, 0x02);
	(void)in(&p, IIR);
	p.fake.room = 2;
	for (u8 i = 0; i < 18; i++)
		out(&p, DATA, i);
	(void)in(&p, IIR);
	assert_int_equal(in(&p, LSR), 0x00);
	assert_false(irq(&p));
	out(&p, DATA, 99); /* a driver that does not look loses the byte */
	assert_int_equal(p.fake.outputs, 2);
	p.fake.room = 10;
	uart16550_output_ready(&p.chip);
	assert_false(irq(&p));
	assert_int_equal(in(&p, LSR), 0x00);
	p.fake.room = 10;
	uart16550_output_ready(&p.chip);
	assert_true(irq(&p));
	assert_int_equal(in(&p, LSR), 0x60);
	assert_int_equal(p.fake.outputs, 18);
	for (u8 i = 0; i < 18; i++)
		assert_int_equal(p.fake.output[i], i);
	(void)in(&p, IIR);
	uart16550_output_ready(&p.chip);
	assert_false(irq(&p)); /* nothing happened */
}

static void loop_returns_bytes_and_overruns(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, MCR, 0x10);
	assert_false(uart16550_can_receive(&p.chip));
	assert_false(uart16550_receive(&p.chip, 1));
	out(&p, DATA, 0xae);
	out(&p, DATA, 0xaf);
	assert_int_equal(p.fake.outputs, 0);
	out(&p, IER, 0x05);
	assert_int_equal(in(&p, IIR), 0x06); /* line status comes first */
	assert_int_equal(in(&p, LSR), 0x63);
	assert_int_equal(in(&p, LSR), 0x61);
	assert_int_equal(in(&p, IIR), 0x04);
	assert_int_equal(in(&p, DATA), 0xae);
}

static void modem_lines_change_in_a_loop(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, MCR, 0x10 | 0x0f);
	assert_int_equal(in(&p, MSR), 0xf0); /* ring began: no event yet */
	out(&p, IER, 0x08);
	assert_int_equal(in(&p, IIR), 0x01);
	out(&p, MCR, 0x10);
	assert_int_equal(in(&p, IIR), 0x00);
	assert_int_equal(in(&p, MSR), 0x0f);
	assert_int_equal(in(&p, IIR), 0x01);
	out(&p, MCR, 0);
	assert_int_equal(in(&p, MSR), 0xbb);
}

static void interrupts_have_priorities(void **state)
{
	struct port p;

	(void)state;
	port_start(&p);
	out(&p, MCR, 0x10);
	out(&p, DATA, 1);
	out(&p, DATA, 2);
	out(&p, IER, 0x0f);
	assert_int_equal(in(&p, IIR), 0x06);
	(void)in(&p, LSR);
	assert_int_equal(in(&p, IIR), 0x04);
	assert_int_equal(in(&p, IIR), 0x04); /* reading clears only the transmitter's */
	(void)in(&p, DATA);
	assert_int_equal(in(&p, IIR), 0x02);
	assert_int_equal(in(&p, IIR), 0x00);
	(void)in(&p, MSR);
	assert_int_equal(in(&p, IIR), 0x01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_after_reset),
		cmocka_unit_test(driver_finds_a_16550a),
		cmocka_unit_test(divisor_hides_behind_its_bit),
		cmocka_unit_test(transmitter_interrupt_as_drivers_test_it),
		cmocka_unit_test(out2_gates_the_interrupt),
		cmocka_unit_test(received_bytes_come_in_order),
		cmocka_unit_test(without_fifos_there_is_room_for_one),
		cmocka_unit_test(fifo_control_clears),
		cmocka_unit_test(refused_output_waits),
		cmocka_unit_test(loop_returns_bytes_and_overruns),
		cmocka_unit_test(modem_lines_change_in_a_loop),
		cmocka_unit_test(interrupts_have_priorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
