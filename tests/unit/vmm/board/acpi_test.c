/* The ACPI tables: reachable from the RSDP, sums zero, contents as the board is wired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/board/acpi.h"
#include "vmm/dev/pci.h"

#define HEADER_BYTES 36U
#define LENGTH_AT    4U

static u8 memory[MIB];
static const struct guest_span span = { memory, sizeof(memory) };

static u64 read_le(u64 gpa, unsigned bytes)
{
	u64 value = 0;

	assert_true(gpa + bytes <= sizeof(memory));
	memcpy(&value, memory + gpa, bytes);
	return value;
}

static u8 sum_of(u64 gpa, u64 bytes)
{
	u8 sum = 0;

	for (u64 i = 0; i < bytes; i++)
		sum = (u8)(sum + read_le(gpa + i, 1));
	return sum;
}

/* Checks signature, place and checksum, and gives the table's length. */
static u32 table_check(u64 gpa, const char *signature)
{
	u32 length = (u32)read_le(gpa + LENGTH_AT, 4);

	assert_true(gpa >= MAP_ACPI_TABLES && gpa + length <= MAP_ACPI_TABLES_END);
	assert_memory_equal(memory + gpa, signature, 4);
	assert_true(length >= HEADER_BYTES);
	assert_int_equal(sum_of(gpa, length), 0);
	return length;
}

static u64 table_find(const char *signature)
{
	u64 xsdt = read_le(ACPI_RSDP.raw + 24, 8);
	u32 length = table_check(xsdt, "XSDT");

	for (u32 at = HEADER_BYTES; at < length; at += 8) {
		u64 table = read_le(xsdt + at, 8);

		if (memcmp(memory + table, signature, 4) == 0)
			return table;
	}
	fail_msg("no %s", signature);
	return 0;
}

static void build(u32 cpus)
{
	memset(memory, 0xa5, sizeof(memory));
	assert_int_equal(acpi_write_tables(span, cpus), ERR_OK);
}

static void rsdp_is_found_by_scanning(void **state)
{
	u64 found = 0;

	(void)state;
	build(1);
	for (u64 gpa = 0xe0000; gpa < 0x100000 && !found; gpa += 16) {
		if (memcmp(memory + gpa, "RSD PTR ", 8) == 0)
			found = gpa;
	}
	assert_int_equal(found, ACPI_RSDP.raw);
	assert_int_equal(sum_of(found, 20), 0);
	assert_int_equal(sum_of(found, 36), 0);
	assert_int_equal(read_le(found + 15, 1), 2);
	assert_int_equal(read_le(found + 20, 4), 36);
	for (u64 gpa = 0; gpa < MAP_ACPI_TABLES; gpa++)
		assert_int_equal(memory[gpa], 0xa5);
}

static void fadt_names_the_hardware(void **state)
{
	u64 fadt, facs, dsdt;
	u32 flags;

	(void)state;
	build(2);
	fadt = table_find("FACP");
	assert_int_equal(table_check(fadt, "FACP"), 276);
	facs = read_le(fadt + 36, 4);
	assert_int_equal(facs % 64, 0);
	assert_memory_equal(memory + facs, "FACS", 4);
	assert_int_equal(read_le(facs + LENGTH_AT, 4), 64);
	dsdt = read_le(fadt + 40, 4);
	assert_int_equal(read_le(fadt + 140, 8), dsdt);
	table_check(dsdt, "DSDT");

	assert_int_equal(read_le(fadt + 46, 2), 9);
	assert_int_equal(read_le(fadt + 48, 4), 0);
	assert_int_equal(read_le(fadt + 56, 4), 0x600);
	assert_int_equal(read_le(fadt + 64, 4), 0x604);
	assert_int_equal(read_le(fadt + 76, 4), 0x608);
	assert_int_equal(read_le(fadt + 148 + 4, 8), 0x600);
	assert_int_equal(read_le(fadt + 109, 2), 0x15); /* legacy, no 8042, no VGA, no ASPM */
	flags = (u32)read_le(fadt + 112, 4);
	assert_int_equal(flags & (1 << 4), 0); /* the power button is a fixed one */
	assert_true(flags & (1 << 5));	       /* the sleep button is not */
	assert_true(flags & (1 << 10));
	assert_int_equal(read_le(fadt + 116, 1), 1);
	assert_int_equal(read_le(fadt + 120, 8), 0xcf9);
	assert_int_equal(read_le(fadt + 128, 1), 6);
}

struct madt_counts {
	unsigned lapics, x2apics, ioapics, overrides, nmis, x2apic_nmis;
};

static void madt_entry(u64 at, struct madt_counts *n)
{
	switch (read_le(at, 1)) {
	case 0:
		assert_int_equal(read_le(at + 3, 1), n->lapics++);
		assert_int_equal(read_le(at + 4, 4), 1);
		break;
	case 1:
		assert_int_equal(read_le(at + 4, 4), 0xfec00000);
		assert_int_equal(read_le(at + 8, 4), 0);
		n->ioapics++;
		break;
	case 2:
		if (n->overrides++ == 0)
			assert_int_equal(read_le(at + 2, 8), 0x0000000000020000);
		else
			assert_int_equal(read_le(at + 2, 8), 0x000d000000090900);
		break;
	case 4:
		assert_int_equal(read_le(at + 2, 1), 0xff);
		assert_int_equal(read_le(at + 5, 1), 1);
		n->nmis++;
		break;
	case 9:
		assert_int_equal(read_le(at + 4, 4), 255 + n->x2apics++);
		assert_int_equal(read_le(at + 8, 4), 1);
		break;
	case 10:
		assert_int_equal(read_le(at + 4, 4), 0xffffffff);
		n->x2apic_nmis++;
		break;
	default:
		fail_msg("unknown MADT entry");
	}
}

static struct madt_counts madt_walk(u32 cpus)
{
	struct madt_counts n = { 0 };
	u64 madt, at;
	u32 length;

	build(cpus);
	madt = table_find("APIC");
	length = table_check(madt, "APIC");
	assert_int_equal(read_le(madt + 36, 4), 0xfee00000);
	assert_int_equal(read_le(madt + 40, 4), 1);
	for (at = madt + 44; at < madt + length; at += read_le(at + 1, 1)) {
		assert_true(read_le(at + 1, 1) >= 6);
		madt_entry(at, &n);
	}
	assert_int_equal(at, madt + length);
	assert_int_equal(n.ioapics, 1);
	assert_int_equal(n.overrides, 2);
	assert_int_equal(n.nmis, 1);
	assert_int_equal(n.lapics + n.x2apics, cpus);
	return n;
}

static void madt_lists_every_processor(void **state)
{
	(void)state;
	assert_int_equal(madt_walk(1).x2apics, 0);
	assert_int_equal(madt_walk(64).lapics, 64);
	assert_int_equal(madt_walk(255).x2apic_nmis, 0);
	assert_int_equal(madt_walk(256).x2apics, 1);
	assert_int_equal(madt_walk(256).x2apic_nmis, 1);
	assert_int_equal(madt_walk(ACPI_CPUS_MAX).lapics, 255);
}

static void mcfg_covers_bus_0(void **state)
{
	u64 mcfg;

	(void)state;
	build(1);
	mcfg = table_find("MCFG");
	assert_int_equal(table_check(mcfg, "MCFG"), 60);
	assert_int_equal(read_le(mcfg + 44, 8), MAP_ECAM);
	assert_int_equal(read_le(mcfg + 52, 4), 0); /* segment 0, buses 0 to 0 */
}

/* One AML integer: ZeroOp, OneOp, or a byte, word or double word with its prefix. */
static u64 aml_integer(u64 *at)
{
	const u64 op = read_le((*at)++, 1);
	const unsigned bytes = op <= 1 ? 0 : 1U << (op - 0x0a);
	u64 value;

	assert_in_range(bytes, 0, 4);
	value = bytes ? read_le(*at, bytes) : op;
	*at += bytes;
	return value;
}

static void prt_follows_the_wiring(void **state)
{
	u64 dsdt, at, end;

	(void)state;
	build(1);
	dsdt = read_le(table_find("FACP") + 140, 8);
	end = dsdt + table_check(dsdt, "DSDT");
	for (at = dsdt; at < end && memcmp(memory + at, "_PRT", 4) != 0;)
		at++;
	assert_int_equal(read_le(at + 4, 1), 0x12); /* PackageOp */
	at += 6 + (read_le(at + 5, 1) >> 6);	    /* its length says how long it is itself */
	assert_int_equal(read_le(at++, 1), 4 * PCI_SLOTS);
	for (unsigned i = 0; i < 4 * PCI_SLOTS; i++) {
		const unsigned slot = i / 4, pin = i % 4;

		assert_int_equal(read_le(at, 1), 0x12);
		assert_int_equal(read_le(at + 2, 1), 4);
		at += 3;
		assert_int_equal(aml_integer(&at), slot << 16 | 0xffff);
		assert_int_equal(aml_integer(&at), pin);
		assert_int_equal(aml_integer(&at), 0);
		assert_int_equal(aml_integer(&at), GSI_PIRQ + pci_intx_line(slot, pin + 1));
	}
	assert_true(at <= end);
}

static void refusals_write_nothing(void **state)
{
	static u8 untouched[MIB];
	const struct guest_span small = { memory, sizeof(memory) - 1 };

	(void)state;
	memset(memory, 0xa5, sizeof(memory));
	memset(untouched, 0xa5, sizeof(untouched));
	assert_int_equal(acpi_write_tables(small, 1), ERR_INVALID);
	assert_int_equal(acpi_write_tables(span, 0), ERR_INVALID);
	assert_int_equal(acpi_write_tables(span, ACPI_CPUS_MAX + 1), ERR_INVALID);
	assert_memory_equal(memory, untouched, sizeof(memory));
}

/* The reference disassembler reads the table and finds nothing to complain about. */
static void disassemble(const char *folder, const char *signature, u64 gpa)
{
	char path[256], command[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", folder, signature);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(memory + gpa, read_le(gpa + LENGTH_AT, 4), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command),
		 "cd %s && iasl -vs -d %s.dat > log 2>&1 && test -s %s.dsl && "
		 "! grep -iE 'error|warning|invalid|incorrect|unknown' log %s.dsl",
		 folder, signature, signature, signature);
	assert_int_equal(system(command), 0);
}

static void tables_disassemble(void **state)
{
	char folder[] = "/tmp/acpi_test.XXXXXX";
	const char *const names[] = { "FACP", "APIC", "MCFG" };
	char command[64];

	(void)state;
	if (system("command -v iasl > /dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	build(300);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		disassemble(folder, names[i], table_find(names[i]));
	disassemble(folder, "DSDT", read_le(table_find("FACP") + 140, 8));
	disassemble(folder, "XSDT", read_le(ACPI_RSDP.raw + 24, 8));
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsdp_is_found_by_scanning),
		cmocka_unit_test(fadt_names_the_hardware),
		cmocka_unit_test(madt_lists_every_processor),
		cmocka_unit_test(mcfg_covers_bus_0),
		cmocka_unit_test(prt_follows_the_wiring),
		cmocka_unit_test(refusals_write_nothing),
		cmocka_unit_test(tables_disassemble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
