/* ACPI Specification, "System Description Tables". */
#include "core/boot/acpi.h"

#include "core/boot/boot_info.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/window.h"
#include "core/trace/log.h"
#include "lib/base/cursor.h"
#include "lib/base/string.h"

#define TABLE_BYTES_MAX	 (1 * MIB)
#define ROOT_ENTRIES_MAX 128
#define FADT_DSDT	 40
#define FADT_SCI_INT	 46
#define FADT_SMI_CMD	 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_EVT	 56
#define FADT_PM1_EVT_LEN 88
#define FADT_PM1A_CNT	 64
#define FADT_PM1B_CNT	 68
#define MADT_ENTRIES	 44
#define PM1_SCI_EN	 BIT32(0)
#define PM1_BUTTON	 BIT32(8)   /* in status and enable */
#define IOAPIC_USUAL	 0xfec00000 /* MultiProcessor Specification, "Default Configurations" */
#define AML_PACKAGE	 0x12
#define AML_BYTE_PREFIX	 0x0a

enum madt_type { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_OVERRIDE = 2, MADT_X2APIC = 9 };

#define MADT_LAPIC_ENABLED BIT32(0)

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
} PACKED;

struct table_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[24];
	u8 tail[2];
} PACKED;

static_assert(sizeof(struct table_header) == 36, "ACPI");
static_assert(offsetof(struct rsdp, length) == 20, "ACPI 1.0 ends here");

struct acpi_info acpi_info = { .sci_irq = 0xffff }; /* until a FADT says which */

static bool address_is_sane(hpa_t at)
{
	return at.raw != 0 && at.raw < BIT64(cpu_features.physical_bits) - TABLE_BYTES_MAX;
}

/* Maps a table whole; NULL when its address, length or checksum is wrong. */
static const struct table_header *table_map(hpa_t at)
{
	const struct table_header *table;
	struct table_header header;
	u8 sum = 0;

	if (!address_is_sane(at))
		return NULL;
	window_read(at, &header, sizeof(header));
	if (header.length < sizeof(header) || header.length > TABLE_BYTES_MAX)
		return NULL;
	table = core_map_table(at, header.length);
	for (u32 i = 0; i < header.length; i++)
		sum = (u8)(sum + ((const u8 *)table)[i]);
	return sum == 0 ? table : NULL;
}

static struct cursor table_cursor(const struct table_header *table)
{
	return cursor_over(table, table->length);
}

static void cpu_add(u32 apic_id, u32 flags)
{
	if ((flags & MADT_LAPIC_ENABLED) && acpi_info.cpu_count < ACPI_CPU_MAX)
		acpi_info.cpu_apic_id[acpi_info.cpu_count++] = apic_id;
}

static void madt_entry_read(u8 type, struct cursor body)
{
	if (type == MADT_IOAPIC && acpi_info.ioapic_count < ACPI_IOAPIC_MAX) {
		struct acpi_ioapic *ioapic = &acpi_info.ioapic[acpi_info.ioapic_count];
		u16 id;
		u32 address;

		if (cursor_read_u16(&body, &id) && cursor_read_u32(&body, &address) &&
		    cursor_read_u32(&body, &ioapic->gsi_base)) {
			ioapic->address = HPA(address);
			acpi_info.ioapic_count++;
		}
	} else if (type == MADT_LAPIC) {
		u8 uid, id;
		u32 flags;

		if (cursor_read_u8(&body, &uid) && cursor_read_u8(&body, &id) &&
		    cursor_read_u32(&body, &flags))
			cpu_add(id, flags);
	} else if (type == MADT_X2APIC) {
		u16 reserved;
		u32 id, flags;

		if (cursor_read_u16(&body, &reserved) && cursor_read_u32(&body, &id) &&
		    cursor_read_u32(&body, &flags))
			cpu_add(id, flags);
	} else if (type == MADT_OVERRIDE) {
		u8 bus, irq;
		u32 gsi;
		u16 flags;

		if (cursor_read_u8(&body, &bus) && cursor_read_u8(&body, &irq) &&
		    cursor_read_u32(&body, &gsi) && cursor_read_u16(&body, &flags) && irq < 16) {
			acpi_info.isa_gsi[irq] = gsi;
			acpi_info.isa_flags[irq] = flags;
		}
	}
}

static void madt_read(const struct table_header *table)
{
	struct cursor c = table_cursor(table);
	u8 head[2]; /* type, length */

	if (!cursor_seek(&c, MADT_ENTRIES))
		return;
	while (cursor_read(&c, head, sizeof(head))) {
		struct cursor body = cursor_over(c.data + c.at, 0);

		if (head[1] < sizeof(head) || !cursor_skip(&c, head[1] - sizeof(head)))
			return;
		body.size = head[1] - sizeof(head);
		madt_entry_read(head[0], body);
	}
}

/* A small integer of AML: ZeroOp, OneOp or a byte with its prefix. */
static bool aml_integer(struct cursor *c, u8 *value)
{
	if (!cursor_read_u8(c, value))
		return false;
	return *value <= 1 || (*value == AML_BYTE_PREFIX && cursor_read_u8(c, value));
}

/*
 * The sleep types of \_S5 without an AML interpreter: the name, a package with two integers.
 * Every firmware writes it as this literal.
 */
static bool s5_read(const struct table_header *table)
{
	struct cursor c = table_cursor(table);

	for (size_t at = sizeof(*table); at + 8 < c.size; at++) {
		u8 package, length, count;

		if (memcmp(c.data + at, "_S5_", 4) != 0)
			continue;
		if (cursor_seek(&c, at + 4) && cursor_read_u8(&c, &package) &&
		    package == AML_PACKAGE && cursor_read_u8(&c, &length) &&
		    cursor_skip(&c, length >> 6) && cursor_read_u8(&c, &count) && count >= 2 &&
		    aml_integer(&c, &acpi_info.s5_type_a) && aml_integer(&c, &acpi_info.s5_type_b))
			return true;
	}
	return false;
}

static u32 fadt_u32(const struct table_header *table, u64 offset)
{
	struct cursor c = table_cursor(table);
	u32 value = 0;

	if (!cursor_seek(&c, offset) || !cursor_read_u32(&c, &value))
		return 0;
	return value;
}

static void fadt_read(const struct table_header *table)
{
	const struct table_header *dsdt = table_map(HPA(fadt_u32(table, FADT_DSDT)));

	acpi_info.sci_irq = (u16)fadt_u32(table, FADT_SCI_INT);
	acpi_info.smi_command = (u16)fadt_u32(table, FADT_SMI_CMD);
	acpi_info.acpi_enable = (u8)fadt_u32(table, FADT_ACPI_ENABLE);
	acpi_info.pm1a_event = (u16)fadt_u32(table, FADT_PM1A_EVT);
	acpi_info.pm1_event_bytes = (u8)fadt_u32(table, FADT_PM1_EVT_LEN);
	acpi_info.pm1a_control = (u16)fadt_u32(table, FADT_PM1A_CNT);
	acpi_info.pm1b_control = (u16)fadt_u32(table, FADT_PM1B_CNT);
	if (dsdt && s5_read(dsdt))
		acpi_info.can_power_off = true;
}

static void table_read(hpa_t at)
{
	const struct table_header *table = table_map(at);

	if (!table)
		return;
	if (memcmp(table->signature, "APIC", 4) == 0)
		madt_read(table);
	else if (memcmp(table->signature, "FACP", 4) == 0)
		fadt_read(table);
	else if (memcmp(table->signature, "SSDT", 4) == 0 && s5_read(table))
		acpi_info.can_power_off = true;
}

static void root_read(hpa_t at, u32 entry_bytes)
{
	const struct table_header *root = table_map(at);
	struct cursor c;
	u64 entry = 0;

	if (!root)
		return;
	c = table_cursor(root);
	if (!cursor_skip(&c, sizeof(*root)))
		return;
	for (u32 i = 0; i < ROOT_ENTRIES_MAX && cursor_read(&c, &entry, entry_bytes); i++)
		table_read(HPA(entry));
}

void acpi_init(void)
{
	struct rsdp rsdp = { .revision = 0 };

	for (u32 i = 0; i < ARRAY_SIZE(acpi_info.isa_gsi); i++)
		acpi_info.isa_gsi[i] = i;
	if (boot_info.rsdp.raw == 0) {
		log_warning("no ACPI tables from the boot loader: one I/O APIC where most PCs have "
			    "it is assumed; no power-off");
		acpi_info.ioapic[acpi_info.ioapic_count++].address = HPA(IOAPIC_USUAL);
		return;
	}
	window_read(boot_info.rsdp, &rsdp, offsetof(struct rsdp, length));
	if (rsdp.revision >= 2)
		window_read(boot_info.rsdp, &rsdp, sizeof(rsdp));
	if (rsdp.xsdt != 0)
		root_read(HPA(rsdp.xsdt), 8);
	else
		root_read(HPA(rsdp.rsdt), 4);
}

/* ACPI Specification, "PM1 Event Grouping": the status block, then the enable block. */
static bool has_button(void)
{
	return acpi_info.pm1a_event != 0 && acpi_info.pm1_event_bytes >= 4 &&
	       acpi_info.sci_irq < ARRAY_SIZE(acpi_info.isa_gsi);
}

void acpi_button_enable(void)
{
	if (!has_button())
		return;
	if (acpi_info.smi_command != 0 && !(in16(acpi_info.pm1a_control) & PM1_SCI_EN))
		out8(acpi_info.smi_command, acpi_info.acpi_enable);
	out16(acpi_info.pm1a_event, 0xffff); /* forget what happened before */
	out16((u16)(acpi_info.pm1a_event + acpi_info.pm1_event_bytes / 2), PM1_BUTTON);
}

bool acpi_button_take(void)
{
	u16 status = has_button() ? in16(acpi_info.pm1a_event) : 0;

	if (status != 0)
		out16(acpi_info.pm1a_event, status); /* a bit is cleared by writing it */
	return (status & PM1_BUTTON) != 0;
}
