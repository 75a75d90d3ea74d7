/* Tests of reading the host's ACPI tables, sound and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/boot/acpi.c"

#define BASE  0x20000UL
#define BYTES 0x4000UL

static u8 memory[BYTES];
static u64 used;

static u8 *at_physical(hpa_t at, u64 bytes)
{
	assert_true(at.raw >= BASE && bytes <= BYTES && at.raw - BASE <= BYTES - bytes);
	return memory + (at.raw - BASE);
}

void window_read(hpa_t from, void *to, u64 bytes)
{
	memcpy(to, at_physical(from, bytes), bytes);
}

const void *core_map_table(hpa_t physical, u64 bytes)
{
	return at_physical(physical, bytes);
}

static int fresh(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	memset(&acpi_info, 0, sizeof(acpi_info));
	memset(&boot_info, 0, sizeof(boot_info));
	cpu_features.physical_bits = 40;
	used = 0x100;
	return 0;
}

static void seal(hpa_t at)
{
	struct table_header *h = (void *)at_physical(at, sizeof(*h));
	u8 *bytes = (u8 *)h;
	u8 sum = 0;

	h->checksum = 0;
	for (u32 i = 0; i < h->length; i++)
		sum = (u8)(sum + bytes[i]);
	h->checksum = (u8)-sum;
}

static hpa_t table(const char *signature, const void *body, u32 bytes)
{
	hpa_t at = HPA(BASE + used);
	struct table_header *h = (void *)at_physical(at, sizeof(*h) + bytes);

	memcpy(h->signature, signature, 4);
	h->length = (u32)sizeof(*h) + bytes;
	memcpy(h + 1, body, bytes);
	seal(at);
	used += align_up(h->length, 16);
	return at;
}

static void rsdp(u8 revision, u64 rsdt, u64 xsdt)
{
	struct rsdp r = { .revision = revision, .rsdt = (u32)rsdt, .xsdt = xsdt };

	memcpy(memory + 8, &r, revision >= 2 ? sizeof(r) : 20);
	boot_info.rsdp = HPA(BASE + 8);
}

static void read_xsdt(const u64 *entries, u32 count)
{
	rsdp(2, 0, table("XSDT", entries, count * 8).raw);
	acpi_init();
}

/* Local APIC address and flags, then an I/O APIC and two overrides. */
static const u8 madt[] = { 0, 0,  0xe0, 0xfe, 1, 0, 0,	  0,		      /* */
			   0, 8,  0,	0,    1, 0, 0,	  0,		      /* a local APIC */
			   1, 12, 2,	0,    0, 0, 0xc0, 0xfe, 0,   0, 0, 0, /* */
			   2, 10, 0,	0,    2, 0, 0,	  0,	0,   0,	      /* */
			   2, 10, 0,	4,    9, 0, 0,	  0,	0xf, 0 };

/* As firmware writes it: Name (_S5_, Package () { 5, 0, 0, 0 }) */
static const u8 s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0, 0 };

static hpa_t fadt(u32 dsdt)
{
	u8 body[80] = { 0 };
	const u32 pm1a = 0x604, pm1b = 0x608;

	memcpy(body + FADT_DSDT - 36, &dsdt, 4);
	memcpy(body + FADT_PM1A_CNT - 36, &pm1a, 4);
	memcpy(body + FADT_PM1B_CNT - 36, &pm1b, 4);
	return table("FACP", body, sizeof(body));
}

static void check_whole(void)
{
	assert_int_equal(acpi_info.ioapic_count, 1);
	assert_int_equal(acpi_info.ioapic[0].address.raw, 0xfec00000);
	assert_int_equal(acpi_info.isa_gsi[0], 2);
	assert_int_equal(acpi_info.isa_gsi[1], 1);
	assert_int_equal(acpi_info.isa_gsi[4], 9);
	assert_int_equal(acpi_info.isa_flags[4], 0xf);
	assert_int_equal(acpi_info.pm1a_control, 0x604);
	assert_int_equal(acpi_info.pm1b_control, 0x608);
	assert_true(acpi_info.can_power_off);
	assert_int_equal(acpi_info.s5_type_a, 5);
	assert_int_equal(acpi_info.s5_type_b, 0);
}

static void sound_tables_by_xsdt(void **state)
{
	u64 entries[3];

	(void)state;
	entries[0] = table("HPET", "x", 1).raw;
	entries[1] = table("APIC", madt, sizeof(madt)).raw;
	entries[2] = fadt((u32)table("DSDT", s5, sizeof(s5)).raw).raw;
	read_xsdt(entries, 3);
	check_whole();
}

static void sound_tables_by_rsdt(void **state)
{
	u32 entries[2];

	(void)state;
	entries[0] = (u32)table("APIC", madt, sizeof(madt)).raw;
	entries[1] = (u32)fadt((u32)table("DSDT", s5, sizeof(s5)).raw).raw;
	/* What lies behind a first-edition RSDP is not its XSDT. */
	rsdp(2, 0, 0xdeadbeef);
	rsdp(0, table("RSDT", entries, sizeof(entries)).raw, 0);
	acpi_init();
	check_whole();
}

static void nothing_from_the_boot_loader(void **state)
{
	(void)state;
	acpi_init();
	assert_int_equal(acpi_info.ioapic_count, 1); /* where most PCs have it */
	assert_int_equal(acpi_info.ioapic[0].address.raw, 0xfec00000);
	assert_false(acpi_info.can_power_off);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(acpi_info.isa_gsi[i], i);
}

static void s5_in_an_ssdt(void **state)
{
	u64 entry;

	(void)state;
	entry = table("SSDT", s5, sizeof(s5)).raw;
	read_xsdt(&entry, 1);
	assert_true(acpi_info.can_power_off);
	assert_int_equal(acpi_info.s5_type_a, 5);
}

static void a_wrong_checksum_hides_the_table(void **state)
{
	u64 entry;

	(void)state;
	entry = table("APIC", madt, sizeof(madt)).raw;
	at_physical(HPA(entry), 64)[40] ^= 1;
	read_xsdt(&entry, 1);
	assert_int_equal(acpi_info.ioapic_count, 0);
}

static void a_wrong_length_hides_the_table(void **state)
{
	static const u32 length[] = { 0, 1, 35, TABLE_BYTES_MAX + 1, 0xffffffff };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(length); i++) {
		u64 entry;

		fresh(NULL);
		entry = table("APIC", madt, sizeof(madt)).raw;
		memcpy(at_physical(HPA(entry), 8) + 4, &length[i], 4);
		read_xsdt(&entry, 1);
		assert_int_equal(acpi_info.ioapic_count, 0);
	}
}

/* Pointers that lead nowhere, beyond what the processor can address, or across the end of it. */
static void wild_pointers(void **state)
{
	static const u64 wild[] = { 0,	       BIT64(40), BIT64(40) - 1, BIT64(52),
				    BIT64(63), ~0ULL,	  ~0ULL - 4096 };

	(void)state;
	read_xsdt(wild, ARRAY_SIZE(wild));
	for (u32 i = 0; i < ARRAY_SIZE(wild); i++) {
		rsdp(2, 0, wild[i]);
		acpi_init();
	}
	rsdp(0, 0, 0);
	acpi_init();
	fresh(NULL);
	read_xsdt(&(u64){ fadt(0).raw }, 1);
	assert_false(acpi_info.can_power_off);
	assert_int_equal(acpi_info.pm1a_control, 0x604);
}

static void cut_madt_entries(void **state)
{
	(void)state;
	for (u32 bytes = 0; bytes <= sizeof(madt); bytes++) {
		u64 entry;

		fresh(NULL);
		entry = table("APIC", madt, bytes).raw;
		read_xsdt(&entry, 1);
		assert_int_equal(acpi_info.ioapic_count, bytes >= 28);
		assert_int_equal(acpi_info.isa_gsi[4], bytes == sizeof(madt) ? 9 : 4);
	}
}

static void madt_entries_with_odd_lengths(void **state)
{
	for (u32 length = 0; length < 12; length++) {
		u8 body[sizeof(madt)];
		u64 entry;

		(void)state;
		fresh(NULL);
		memcpy(body, madt, sizeof(madt));
		body[17] = (u8)length; /* the I/O APIC's */
		entry = table("APIC", body, sizeof(body)).raw;
		read_xsdt(&entry, 1);
		assert_int_equal(acpi_info.ioapic_count, 0);
	}
}

static void no_more_ioapics_than_fit(void **state)
{
	u8 body[8 + 12 * (ACPI_IOAPIC_MAX + 2)] = { 0 };
	u64 entry;

	(void)state;
	for (u32 i = 0; i < ACPI_IOAPIC_MAX + 2; i++)
		memcpy(body + 8 + 12 * i, madt + 16, 12);
	entry = table("APIC", body, sizeof(body)).raw;
	read_xsdt(&entry, 1);
	assert_int_equal(acpi_info.ioapic_count, ACPI_IOAPIC_MAX);
}

static void an_override_beyond_isa(void **state)
{
	u8 body[8 + 10] = { 0, 0, 0, 0, 0, 0, 0, 0, 2, 10, 0, 16, 9 };
	u64 entry;

	(void)state;
	entry = table("APIC", body, sizeof(body)).raw;
	read_xsdt(&entry, 1);
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(acpi_info.isa_gsi[i], i);
}

static void short_fadt(void **state)
{
	u8 body[80] = { 0 };

	(void)state;
	for (u32 bytes = 0; bytes < 36; bytes++) {
		u64 entry;

		fresh(NULL);
		entry = table("FACP", body, bytes).raw;
		read_xsdt(&entry, 1);
		assert_int_equal(acpi_info.pm1a_control, 0);
		assert_false(acpi_info.can_power_off);
	}
}

/* The name cut anywhere, and byte sequences that only look like it. */
static void damaged_s5(void **state)
{
	static const u8 no_package[] = { '_', 'S', '5', '_', 0x11, 0x06, 0x04, 5, 5, 0, 0, 0 };
	static const u8 one_element[] = { '_', 'S', '5', '_', 0x12, 0x06, 0x01, 1, 1, 0, 0, 0 };
	static const u8 not_a_number[] = { '_', 'S', '5', '_', 0x12, 0x06, 0x02, 0x5c, 1, 0, 0 };
	static const u8 long_package[] = { '_', 'S', '5', '_', 0x12, 0xc0, 0, 0, 0, 2, 1, 0, 0 };
	u64 entry;

	(void)state;
	for (u32 bytes = 0; bytes < 11; bytes++) {
		fresh(NULL);
		entry = table("SSDT", s5, bytes).raw;
		read_xsdt(&entry, 1);
		assert_false(acpi_info.can_power_off);
	}
	fresh(NULL);
	read_xsdt(&(u64){ table("SSDT", no_package, sizeof(no_package)).raw }, 1);
	assert_false(acpi_info.can_power_off);
	read_xsdt(&(u64){ table("SSDT", one_element, sizeof(one_element)).raw }, 1);
	assert_false(acpi_info.can_power_off);
	read_xsdt(&(u64){ table("SSDT", not_a_number, sizeof(not_a_number)).raw }, 1);
	assert_false(acpi_info.can_power_off);
	read_xsdt(&(u64){ table("SSDT", long_package, sizeof(long_package)).raw }, 1);
	assert_true(acpi_info.can_power_off);
	assert_int_equal(acpi_info.s5_type_a, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sound_tables_by_xsdt, fresh),
		cmocka_unit_test_setup(sound_tables_by_rsdt, fresh),
		cmocka_unit_test_setup(nothing_from_the_boot_loader, fresh),
		cmocka_unit_test_setup(s5_in_an_ssdt, fresh),
		cmocka_unit_test_setup(a_wrong_checksum_hides_the_table, fresh),
		cmocka_unit_test_setup(a_wrong_length_hides_the_table, fresh),
		cmocka_unit_test_setup(wild_pointers, fresh),
		cmocka_unit_test_setup(cut_madt_entries, fresh),
		cmocka_unit_test_setup(madt_entries_with_odd_lengths, fresh),
		cmocka_unit_test_setup(no_more_ioapics_than_fit, fresh),
		cmocka_unit_test_setup(an_override_beyond_isa, fresh),
		cmocka_unit_test_setup(short_fadt, fresh),
		cmocka_unit_test_setup(damaged_s5, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
