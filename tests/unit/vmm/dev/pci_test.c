/* PCI bus 0: configuration cycles of every width, masks, BARs that move, shared INTx lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/dev/pci.h"

#define SLOT	    3U
#define OFFSET(reg) ((u32)(SLOT << 15 | (reg)))
#define ENABLE	    0x80000000U

#define BAR_BYTES   0x2000ULL
#define BAR64_BYTES 0x100000ULL

struct fixture {
	struct pci_bus bus;
	struct pci_function f;
	struct dev_env env;
	int edges[PCI_INTX_LINES]; /* level changes seen */
	u8 levels;
	u16 hook_offset;
	unsigned hook_bytes, hook_reads, hook_writes;
	unsigned bar, bar_bytes, moves;
	u64 bar_offset, bar_value, moved_to;
	bool moved_in;
};

static void on_line(void *owner, unsigned line, bool level)
{
	struct fixture *x = owner;

	assert_true(line < PCI_INTX_LINES);
	assert_int_not_equal((x->levels >> line) & 1, level);
	x->edges[line]++;
	x->levels = (u8)(x->levels ^ (1 << line));
}

static void on_config_read(void *owner, u16 offset, unsigned bytes)
{
	struct fixture *x = owner;

	x->hook_offset = offset;
	x->hook_bytes = bytes;
	x->hook_reads++;
}

static void on_config_write(void *owner, u16 offset, unsigned bytes)
{
	struct fixture *x = owner;

	x->hook_offset = offset;
	x->hook_bytes = bytes;
	x->hook_writes++;
}

static u64 on_bar_read(void *owner, unsigned bar, u64 offset, unsigned bytes)
{
	struct fixture *x = owner;

	x->bar = bar;
	x->bar_offset = offset;
	x->bar_bytes = bytes;
	return 0x1122334455667788;
}

static void on_bar_write(void *owner, unsigned bar, u64 offset, unsigned bytes, u64 value)
{
	struct fixture *x = owner;

	on_bar_read(owner, bar, offset, bytes);
	x->bar_value = value;
}

static void on_bar_moved(void *owner, unsigned bar, gpa_t base, bool mapped)
{
	struct fixture *x = owner;

	x->moves++;
	x->bar = bar;
	x->moved_to = base.raw;
	x->moved_in = mapped;
}

static const struct pci_ops hooks = {
	.config_read = on_config_read,
	.config_write = on_config_write,
	.bar_read = on_bar_read,
	.bar_write = on_bar_write,
	.bar_moved = on_bar_moved,
};

static int setup(void **state)
{
	static struct fixture x;

	memset(&x, 0, sizeof(x));
	x.env = (struct dev_env){ .owner = &x, .line_set = on_line };
	pci_init(&x.bus, &x.env);
	x.f.ops = &hooks;
	x.f.owner = &x;
	pci_function_identify(&x.f, 0x1af4, 0x1042, 0x010000, 1, 1);
	pci_function_bar(&x.f, 0, BAR_BYTES, 0);
	pci_function_bar(&x.f, 4, BAR64_BYTES, PCI_BAR_64BIT | PCI_BAR_PREFETCH);
	assert_int_equal(pci_add(&x.bus, PCI_DEVFN(SLOT, 0), &x.f), ERR_OK);
	*state = &x;
	return 0;
}

static u32 cycle_read(struct pci_bus *bus, u32 offset, unsigned lane, unsigned bytes)
{
	pci_address_write(bus, ENABLE | (offset >> 15) << 11 | (offset & 0xfc));
	return pci_data_read(bus, lane, bytes);
}

static void identity_by_every_width(void **state)
{
	struct fixture *x = *state;

	assert_int_equal(cycle_read(&x->bus, OFFSET(0), 0, 4), 0x10421af4);
	assert_int_equal(cycle_read(&x->bus, OFFSET(0), 2, 2), 0x1042);
	assert_int_equal(cycle_read(&x->bus, OFFSET(0), 1, 1), 0x1a);
	assert_int_equal(cycle_read(&x->bus, OFFSET(0), 1, 2), 0x421a);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(0), 4), 0x10421af4);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(0), 8), 0x0000000010421af4);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(PCI_CLASS + 2), 1), 0x01);
	assert_int_equal(x->hook_offset, PCI_CLASS + 2);
	assert_int_equal(x->hook_bytes, 1);
}

static void address_register_keeps_its_bits(void **state)
{
	struct fixture *x = *state;

	pci_address_write(&x->bus, 0xffffffff);
	assert_int_equal(pci_address_read(&x->bus), 0x80fffffc);
	pci_address_write(&x->bus, ENABLE);
	assert_int_equal(pci_address_read(&x->bus), ENABLE);
}

static void absent_reads_ones(void **state)
{
	struct fixture *x = *state;

	pci_address_write(&x->bus, SLOT << 11); /* not enabled */
	assert_int_equal(pci_data_read(&x->bus, 0, 4), 0xffffffff);
	assert_int_equal(pci_data_read(&x->bus, 0, 1), 0xff);
	pci_address_write(&x->bus, ENABLE | 1 << 16 | SLOT << 11); /* bus 1 */
	assert_int_equal(pci_data_read(&x->bus, 0, 2), 0xffff);
	assert_int_equal(cycle_read(&x->bus, OFFSET(0), 2, 4), 0xffffffff);	/* crosses CFF */
	assert_int_equal(pci_config_read(&x->bus, OFFSET(1 << 12), 2), 0xffff); /* function 1 */
	assert_int_equal(pci_config_read(&x->bus, OFFSET(0x100), 4), 0xffffffff);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(0xfe), 4), 0xffffffff);
	assert_int_equal(x->hook_reads, 0);
	pci_config_write(&x->bus, OFFSET(0xfe), 4, ~0ULL);
	pci_address_write(&x->bus, SLOT << 11 | PCI_COMMAND);
	pci_data_write(&x->bus, 0, 2, 0xffff);
	assert_int_equal(x->hook_writes, 0);
	assert_int_equal(pci_register(&x->f, PCI_COMMAND, 2), 0);
}

static void masks_hold(void **state)
{
	struct fixture *x = *state;

	pci_config_write(&x->bus, OFFSET(0), 4, 0);
	assert_int_equal(pci_register(&x->f, 0, 4), 0x10421af4);
	pci_config_write(&x->bus, OFFSET(PCI_COMMAND), 2, 0xffff);
	assert_int_equal(pci_register(&x->f, PCI_COMMAND, 2), 0x0546);
	assert_int_equal(x->hook_writes, 2);
	pci_register_set(&x->f, PCI_STATUS, 2, 0xf900 | PCI_STATUS_CAPABILITIES);
	pci_config_write(&x->bus, OFFSET(PCI_STATUS), 2, 0x0800 | PCI_STATUS_CAPABILITIES);
	assert_int_equal(pci_register(&x->f, PCI_STATUS, 2), 0xf100 | PCI_STATUS_CAPABILITIES);
	pci_config_write(&x->bus, OFFSET(PCI_INTERRUPT_LINE), 2, 0x0711);
	assert_int_equal(pci_register(&x->f, PCI_INTERRUPT_LINE, 2), 0x0111);
}

static void bar_sizes(void **state)
{
	struct fixture *x = *state;

	for (u32 bar = 0; bar < PCI_BARS; bar++)
		pci_config_write(&x->bus, OFFSET(PCI_BAR0 + 4 * bar), 4, ~0ULL);
	assert_int_equal(pci_register(&x->f, PCI_BAR0, 4), 0xffffe000);
	assert_int_equal(pci_register(&x->f, PCI_BAR0 + 4, 4), 0);
	assert_int_equal(pci_register(&x->f, PCI_BAR0 + 16, 4), 0xfff0000c);
	assert_int_equal(pci_register(&x->f, PCI_BAR0 + 20, 4), 0xffffffff);
	assert_int_equal(x->moves, 0);
}

static void bar_decodes_when_enabled(void **state)
{
	struct fixture *x = *state;
	u64 value;

	pci_config_write(&x->bus, OFFSET(PCI_BAR0), 4, 0xc0002000);
	assert_false(pci_memory_read(&x->bus, GPA(0xc0002000), 4, &value));
	assert_int_equal(value, 0xffffffff);
	pci_config_write(&x->bus, OFFSET(PCI_BAR0 + 16), 8, 0x1240000000);
	pci_config_write(&x->bus, OFFSET(PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
	assert_int_equal(x->moves, 2);
	assert_int_equal(x->moved_to, 0x1240000000);

	assert_true(pci_memory_read(&x->bus, GPA(0xc0002010), 2, &value));
	assert_int_equal(value, 0x7788);
	assert_int_equal(x->bar, 0);
	assert_int_equal(x->bar_offset, 0x10);
	assert_true(pci_memory_write(&x->bus, GPA(0x1240000008), 4, 0x5555555599999999));
	assert_int_equal(x->bar, 4);
	assert_int_equal(x->bar_value, 0x99999999);
	assert_true(pci_memory_read(&x->bus, GPA(0xc0003ffc), 4, &value));
	assert_false(pci_memory_read(&x->bus, GPA(0xc0003ffe), 4, &value));
	assert_false(pci_memory_write(&x->bus, GPA(0xc0001ffe), 4, 0));
	assert_false(pci_memory_write(&x->bus, GPA(0xc0004000), 4, 0));

	pci_config_write(&x->bus, OFFSET(PCI_COMMAND), 2, 0);
	assert_int_equal(x->moves, 4);
	assert_false(x->moved_in);
	assert_false(pci_memory_read(&x->bus, GPA(0xc0002010), 2, &value));
}

static void assign_places_every_bar(void **state)
{
	struct fixture *x = *state;
	u64 value;

	assert_int_equal(pci_assign(&x->bus, 0xc0001000, 0xc0100000), ERR_NO_MEMORY);
	setup(state);
	assert_int_equal(pci_assign(&x->bus, 0xc0001000, 0xc0200000), ERR_OK);
	assert_int_equal(pci_register(&x->f, PCI_BAR0, 4), 0xc0002000);
	assert_int_equal(pci_register(&x->f, PCI_BAR0 + 16, 4), 0xc010000c);
	assert_int_equal(x->moves, 2);
	assert_true(pci_memory_read(&x->bus, GPA(0xc01ffff8), 8, &value));
	assert_int_equal(x->bar, 4);
}

static void intx_is_shared_and_masked(void **state)
{
	struct fixture *x = *state;
	static struct pci_function other;
	unsigned line = pci_intx_line(SLOT, 1);

	memset(&other, 0, sizeof(other));
	pci_function_identify(&other, 0x1af4, 0x1041, 0x020000, 1, 1);
	assert_int_equal(pci_add(&x->bus, PCI_DEVFN(SLOT + 8, 0), &other), ERR_OK);
	assert_int_equal(line, 3);
	pci_interrupt(&x->f, true);
	pci_interrupt(&other, true);
	pci_interrupt(&x->f, true);
	assert_int_equal(x->levels, 1 << line);
	assert_int_equal(x->edges[line], 1);
	assert_true(pci_register(&x->f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	pci_interrupt(&other, false);
	assert_int_equal(x->levels, 1 << line);

	pci_config_write(&x->bus, OFFSET(PCI_COMMAND), 2, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(x->levels, 0);
	assert_true(pci_register(&x->f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	pci_config_write(&x->bus, OFFSET(PCI_COMMAND), 2, 0);
	assert_int_equal(x->levels, 1 << line);
	pci_interrupt(&x->f, false);
	assert_int_equal(x->levels, 0);
	assert_int_equal(x->edges[line], 4);
	assert_false(pci_register(&x->f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void places_are_taken_once(void **state)
{
	struct fixture *x = *state;
	static struct pci_function second, third;

	memset(&second, 0, sizeof(second));
	memset(&third, 0, sizeof(third));
	assert_int_equal(pci_add(&x->bus, PCI_DEVFN(SLOT, 0), &second), ERR_EXISTS);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(PCI_HEADER_TYPE), 1), 0);
	assert_int_equal(pci_add(&x->bus, PCI_DEVFN(SLOT, 7), &second), ERR_OK);
	assert_int_equal(pci_config_read(&x->bus, OFFSET(PCI_HEADER_TYPE), 1), 0x80);
	for (unsigned i = x->bus.window_count; i < PCI_WINDOWS; i++)
		x->bus.window_count++;
	pci_function_bar(&third, 0, 0x1000, 0);
	assert_int_equal(pci_add(&x->bus, PCI_DEVFN(9, 0), &third), ERR_NO_MEMORY);
	assert_null(x->bus.functions[PCI_DEVFN(9, 0)]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(identity_by_every_width, setup),
		cmocka_unit_test_setup(address_register_keeps_its_bits, setup),
		cmocka_unit_test_setup(absent_reads_ones, setup),
		cmocka_unit_test_setup(masks_hold, setup),
		cmocka_unit_test_setup(bar_sizes, setup),
		cmocka_unit_test_setup(bar_decodes_when_enabled, setup),
		cmocka_unit_test_setup(assign_places_every_bar, setup),
		cmocka_unit_test_setup(intx_is_shared_and_masked, setup),
		cmocka_unit_test_setup(places_are_taken_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
