/* Builds the ACPI tables in guest memory (see acpi.h). The layouts are the specification's. */
#include "vmm/board/acpi.h"

#include "lib/base/assert.h"
#include "lib/base/string.h"
#include "vmm/dev/acpi_pm.h"

#define OEM_ID	     "RINGFN"
#define OEM_TABLE_ID "RINGQ35 "
#define CREATOR_ID   "RING"

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} PACKED;

struct acpi_rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum;
	u8 reserved[3];
} PACKED;

#define RSDP_V1_BYTES 20U

#define XSDT_TABLES 3U

struct acpi_xsdt {
	struct acpi_header header;
	u64 tables[XSDT_TABLES];
} PACKED;

/* Generic Address Structure. */
struct acpi_address {
	u8 space;
	u8 bits;
	u8 offset;
	u8 access; /* 1: byte, 2: word, 3: double word */
	u64 address;
} PACKED;

#define GAS_IO 1U

struct acpi_fadt {
	struct acpi_header header;
	u32 facs;
	u32 dsdt;
	u8 reserved0;
	u8 profile;
	u16 sci_interrupt;
	u32 smi_command; /* 0: always in ACPI mode */
	u8 acpi_enable, acpi_disable, s4bios, pstate_control;
	u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	u32 gpe0, gpe1;
	u8 pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	u8 gpe0_bytes, gpe1_bytes, gpe1_base, cstate_control;
	u16 c2_latency, c3_latency;
	u16 flush_size, flush_stride;
	u8 duty_offset, duty_width, day_alarm, month_alarm, century;
	u16 boot_flags;
	u8 reserved1;
	u32 flags;
	struct acpi_address reset;
	u8 reset_value;
	u16 arm_flags;
	u8 minor_version;
	u64 x_facs;
	u64 x_dsdt;
	struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct acpi_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
	struct acpi_address sleep_control, sleep_status;
	u64 hypervisor;
} PACKED;

#define FADT_REVISION	     6U
#define FADT_MINOR	     3U
#define FADT_C2_UNSUPPORTED  101U /* latencies above 100 and 1000 us mean: no C2, no C3 */
#define FADT_C3_UNSUPPORTED  1001U
#define FADT_PROFILE_SERVER  4U
#define FADT_RESET_VALUE     6U /* a full reset, at port CF9 */
#define FADT_BOOT_LEGACY     BIT32(0)
#define FADT_BOOT_NO_VGA     BIT32(2)
#define FADT_BOOT_NO_ASPM    BIT32(4)
#define FADT_WBINVD	     BIT32(0)
#define FADT_PROC_C1	     BIT32(2)
#define FADT_SLEEP_BUTTON    BIT32(5) /* not a fixed button; the power button is one */
#define FADT_RTC_NOT_FIXED   BIT32(6)
#define FADT_RESET_SUPPORTED BIT32(10)
#define FADT_HEADLESS	     BIT32(12)

#define CMOS_CENTURY 0x32

struct acpi_facs {
	char signature[4];
	u32 length;
	u32 hardware_signature;
	u32 waking_vector;
	u32 global_lock;
	u32 flags;
	u64 x_waking_vector;
	u8 version;
	u8 reserved[31];
} PACKED;

#define FACS_VERSION   2U
#define FACS_ALIGNMENT 64U

struct acpi_madt {
	struct acpi_header header;
	u32 lapic_address;
	u32 flags;
} PACKED;

#define MADT_REVISION	  5U
#define MADT_PCAT_COMPAT  BIT32(0) /* there are 8259s */
#define MADT_CPU_ENABLED  BIT32(0)
#define MADT_ACTIVE_HIGH  1U /* bits 1:0 */
#define MADT_EDGE	  (1U << 2)
#define MADT_LEVEL	  (3U << 2)
#define MADT_ALL_CPUS	  0xffU
#define MADT_ALL_X2APICS  0xffffffffU
#define MADT_LAPIC_ID_MAX 254U

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_NMI = 4,
	MADT_X2APIC = 9,
	MADT_X2APIC_NMI = 10,
};

struct madt_lapic {
	u8 type, length;
	u8 processor;
	u8 apic_id;
	u32 flags;
} PACKED;

struct madt_ioapic {
	u8 type, length;
	u8 id;
	u8 reserved;
	u32 address;
	u32 gsi_base;
} PACKED;

struct madt_override {
	u8 type, length;
	u8 bus;
	u8 irq;
	u32 gsi;
	u16 flags;
} PACKED;

struct madt_lapic_nmi {
	u8 type, length;
	u8 processor;
	u16 flags;
	u8 lint;
} PACKED;

struct madt_x2apic {
	u8 type, length;
	u16 reserved;
	u32 apic_id;
	u32 flags;
	u32 processor;
} PACKED;

struct madt_x2apic_nmi {
	u8 type, length;
	u16 flags;
	u32 processor;
	u8 lint;
	u8 reserved[3];
} PACKED;

struct acpi_mcfg {
	struct acpi_header header;
	u64 reserved;
	u64 base;
	u16 segment;
	u8 first_bus, last_bus;
	u32 reserved1;
} PACKED;

static_assert(ACPI_SLP_TYP_S5 == 0, "the \\_S5 object in dsdt.asl");
static_assert(sizeof(struct acpi_header) == 36, "table header");
static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");
static_assert(offsetof(struct acpi_fadt, flags) == 112, "FADT");
static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "FADT");
static_assert(sizeof(struct acpi_fadt) == 276, "FADT");
static_assert(sizeof(struct acpi_facs) == 64, "FACS");
static_assert(sizeof(struct acpi_madt) == 44, "MADT");
static_assert(sizeof(struct madt_x2apic) == 16 && sizeof(struct madt_x2apic_nmi) == 12, "MADT");
static_assert(sizeof(struct acpi_mcfg) == 60, "MCFG");

static const u8 dsdt[] = {
#include "vmm/board/dsdt.inc"
};

static_assert(ACPI_CPUS_MAX * sizeof(struct madt_x2apic) + sizeof(dsdt) + PAGE_SIZE <=
		      MAP_ACPI_TABLES_END - MAP_ACPI_TABLES,
	      "the largest MADT fits into the table area, with a page for the small tables");

/* The table area as it fills up. */
struct builder {
	struct guest_span memory;
	u64 at; /* GPA of the next free byte */
};

static void *builder_take(struct builder *b, u64 bytes, u64 alignment, u64 *gpa)
{
	void *table;

	*gpa = align_up(b->at, alignment);
	b->at = *gpa + bytes;
	assert(b->at <= MAP_ACPI_TABLES_END);
	table = guest_span_at(b->memory, GPA(*gpa), bytes);
	assert(table);
	memset(table, 0, bytes);
	return table;
}

#define TABLE_ALIGNMENT 16U

static struct acpi_header header_make(const char *signature, u32 length, u8 revision)
{
	struct acpi_header h = {
		.length = length,
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
	memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
	return h;
}

/* The byte that makes `bytes` bytes sum to zero. */
static u8 checksum_of(const void *table, size_t bytes)
{
	const u8 *data = table;
	u8 sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum = (u8)(sum + data[i]);
	return (u8)-sum;
}

/* Copies a finished table, but for its checksum, into the guest. */
static u64 table_place(struct builder *b, struct acpi_header *table)
{
	u64 gpa;
	void *to = builder_take(b, table->length, TABLE_ALIGNMENT, &gpa);

	table->checksum = 0;
	table->checksum = checksum_of(table, table->length);
	memcpy(to, table, table->length);
	return gpa;
}

static u64 facs_place(struct builder *b)
{
	const struct acpi_facs facs = {
		.signature = { 'F', 'A', 'C', 'S' },
		.length = sizeof(facs),
		.version = FACS_VERSION,
	};
	u64 gpa;

	memcpy(builder_take(b, sizeof(facs), FACS_ALIGNMENT, &gpa), &facs, sizeof(facs));
	return gpa;
}

static u64 dsdt_place(struct builder *b)
{
	u64 gpa;

	memcpy(builder_take(b, sizeof(dsdt), TABLE_ALIGNMENT, &gpa), dsdt, sizeof(dsdt));
	return gpa;
}

static struct acpi_address port_address(u16 port, unsigned bytes)
{
	return (struct acpi_address){
		.space = GAS_IO,
		.bits = (u8)(8 * bytes),
		.access = bytes == 4 ? 3 : (u8)bytes,
		.address = port,
	};
}

static u64 fadt_place(struct builder *b, u64 facs, u64 dsdt_gpa)
{
	struct acpi_fadt fadt = {
		.header = header_make("FACP", sizeof(fadt), FADT_REVISION),
		.minor_version = FADT_MINOR,
		.facs = (u32)facs,
		.dsdt = (u32)dsdt_gpa,
		.x_dsdt = dsdt_gpa,
		.profile = FADT_PROFILE_SERVER,
		.sci_interrupt = IRQ_SCI,
		.pm1a_event = PORT_PM + ACPI_PM1_STS,
		.pm1_event_bytes = ACPI_PM1_EVT_BYTES,
		.x_pm1a_event = port_address(PORT_PM + ACPI_PM1_STS, ACPI_PM1_EVT_BYTES),
		.pm1a_control = PORT_PM + ACPI_PM1_CNT,
		.pm1_control_bytes = ACPI_PM1_CNT_BYTES,
		.x_pm1a_control = port_address(PORT_PM + ACPI_PM1_CNT, ACPI_PM1_CNT_BYTES),
		.pm_timer = PORT_PM + ACPI_PM_TMR,
		.pm_timer_bytes = ACPI_PM_TMR_BYTES,
		.x_pm_timer = port_address(PORT_PM + ACPI_PM_TMR, ACPI_PM_TMR_BYTES),
		.c2_latency = FADT_C2_UNSUPPORTED,
		.c3_latency = FADT_C3_UNSUPPORTED,
		.century = CMOS_CENTURY,
		.boot_flags = FADT_BOOT_LEGACY | FADT_BOOT_NO_VGA | FADT_BOOT_NO_ASPM,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_RTC_NOT_FIXED |
			 FADT_RESET_SUPPORTED | FADT_HEADLESS,
		.reset = port_address(PORT_RESET, 1),
		.reset_value = FADT_RESET_VALUE,
	};

	return table_place(b, &fadt.header);
}

static u64 mcfg_place(struct builder *b)
{
	struct acpi_mcfg mcfg = {
		.header = header_make("MCFG", sizeof(mcfg), 1),
		.base = MAP_ECAM,
		.first_bus = 0,
		.last_bus = MAP_ECAM_BYTES / MIB - 1,
	};

	return table_place(b, &mcfg.header);
}

static void madt_add(struct builder *b, struct acpi_madt *madt, const void *entry, u8 bytes)
{
	u64 gpa;

	memcpy(builder_take(b, bytes, 1, &gpa), entry, bytes);
	madt->header.length += bytes;
}

static void madt_add_cpu(struct builder *b, struct acpi_madt *madt, u32 cpu)
{
	const struct madt_lapic lapic = { MADT_LAPIC, sizeof(lapic), (u8)cpu, (u8)cpu,
					  MADT_CPU_ENABLED };
	const struct madt_x2apic x2apic = { MADT_X2APIC, sizeof(x2apic),   0,
					    cpu,	 MADT_CPU_ENABLED, cpu };

	if (cpu <= MADT_LAPIC_ID_MAX)
		madt_add(b, madt, &lapic, sizeof(lapic));
	else
		madt_add(b, madt, &x2apic, sizeof(x2apic));
}

/* The 8254 sits on pin 2 as on every PC; the SCI is shared, so it is level-triggered. */
static const struct madt_override overrides[] = {
	{ MADT_OVERRIDE, sizeof(struct madt_override), 0, IRQ_PIT, GSI_PIT, 0 },
	{ MADT_OVERRIDE, sizeof(struct madt_override), 0, IRQ_SCI, IRQ_SCI,
	  MADT_ACTIVE_HIGH | MADT_LEVEL },
};

static u64 madt_place(struct builder *b, u32 cpus)
{
	const struct madt_ioapic ioapic = { MADT_IOAPIC, sizeof(ioapic), 0, 0, MAP_IOAPIC, 0 };
	const struct madt_lapic_nmi nmi = { MADT_LAPIC_NMI, sizeof(nmi), MADT_ALL_CPUS,
					    MADT_ACTIVE_HIGH | MADT_EDGE, 1 };
	const struct madt_x2apic_nmi x2apic_nmi = { MADT_X2APIC_NMI,
						    sizeof(x2apic_nmi),
						    MADT_ACTIVE_HIGH | MADT_EDGE,
						    MADT_ALL_X2APICS,
						    1,
						    { 0 } };
	u64 gpa;
	struct acpi_madt *madt = builder_take(b, sizeof(*madt), TABLE_ALIGNMENT, &gpa);

	madt->header = header_make("APIC", sizeof(*madt), MADT_REVISION);
	madt->lapic_address = MAP_LAPIC;
	madt->flags = MADT_PCAT_COMPAT;
	for (u32 cpu = 0; cpu < cpus; cpu++)
		madt_add_cpu(b, madt, cpu);
	madt_add(b, madt, &ioapic, sizeof(ioapic));
	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++)
		madt_add(b, madt, &overrides[i], sizeof(overrides[i]));
	madt_add(b, madt, &nmi, sizeof(nmi));
	if (cpus > MADT_LAPIC_ID_MAX + 1)
		madt_add(b, madt, &x2apic_nmi, sizeof(x2apic_nmi));
	madt->header.checksum = checksum_of(madt, madt->header.length);
	return gpa;
}

static void rsdp_fill(struct acpi_rsdp *rsdp, u64 xsdt)
{
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, OEM_ID, sizeof(rsdp->oem_id));
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = xsdt;
	rsdp->checksum = checksum_of(rsdp, RSDP_V1_BYTES);
	rsdp->extended_checksum = checksum_of(rsdp, sizeof(*rsdp));
}

enum err acpi_write_tables(struct guest_span low, u32 cpus)
{
	struct builder b = { .memory = low, .at = MAP_ACPI_TABLES };
	struct acpi_xsdt xsdt = { .header = header_make("XSDT", sizeof(xsdt), 1) };
	struct acpi_rsdp *rsdp;
	u64 gpa, facs;

	if (low.size < MAP_ACPI_TABLES_END || cpus == 0 || cpus > ACPI_CPUS_MAX)
		return ERR_INVALID;
	rsdp = builder_take(&b, sizeof(*rsdp), TABLE_ALIGNMENT, &gpa);
	facs = facs_place(&b);
	xsdt.tables[0] = fadt_place(&b, facs, dsdt_place(&b));
	xsdt.tables[1] = madt_place(&b, cpus);
	xsdt.tables[2] = mcfg_place(&b);
	rsdp_fill(rsdp, table_place(&b, &xsdt.header));
	return ERR_OK;
}
