/*
 * The I/O APIC: pins become message-signalled interrupts. An edge is sent when it comes, or lost
 * if its pin is masked; a level is sent once, and again after an EOI while it is still asserted.
 */
#include "vmm/dev/ioapic.h"

/* Indirect registers */
#define REG_ID	    0x00
#define REG_VERSION 0x01
#define REG_ARBITER 0x02
#define REG_TABLE   0x10 /* two registers for each pin */

#define ID_WRITABLE   0x0f000000U
#define VERSION_VALUE ((IOAPIC_PINS - 1) << 16 | 0x20U)

/* "I/O Redirection Table Registers" */
#define ENTRY_VECTOR	    BITS64(7, 0)
#define ENTRY_DELIVERY	    BITS64(10, 8)
#define ENTRY_LOGICAL	    BIT64(11)
#define ENTRY_REMOTE_IRR    BIT64(14)
#define ENTRY_LEVEL	    BIT64(15)
#define ENTRY_MASKED	    BIT64(16)
#define ENTRY_DESTINATION   BITS64(63, 56)
#define ENTRY_LOW_WRITABLE  0x1afffULL /* not: delivery status, remote IRR */
#define ENTRY_HIGH_WRITABLE ENTRY_DESTINATION

/* SDM, "Message Address Register Format" and "Message Data Register Format" */
#define MSI_ADDRESS	0xfee00000ULL
#define MSI_DESTINATION BITS64(19, 12)
#define MSI_LOGICAL	BIT64(2)
#define MSI_LEVEL	BIT64(15)
#define MSI_ASSERT	BIT64(14)

#define DELIVERIES 8U

/* "Delivery Mode": ExtINT and the reserved modes are never sent. */
static const struct {
	bool sent;
	bool level; /* may be level-triggered; the others are edges however programmed */
} delivery_rows[DELIVERIES] = {
	[0] = { .sent = true, .level = true }, /* fixed */
	[1] = { .sent = true, .level = true }, /* lowest priority */
	[2] = { .sent = true },		       /* SMI */
	[4] = { .sent = true },		       /* NMI */
	[5] = { .sent = true },		       /* INIT */
};

static bool entry_is_level(u64 entry)
{
	return (entry & ENTRY_LEVEL) && delivery_rows[field_get(ENTRY_DELIVERY, entry)].level;
}

static void entry_send(struct ioapic *c, u64 entry)
{
	u64 address = field_set(MSI_DESTINATION, MSI_ADDRESS, field_get(ENTRY_DESTINATION, entry));
	u64 data = entry & (ENTRY_VECTOR | ENTRY_DELIVERY); /* the same places in both */

	if (!delivery_rows[field_get(ENTRY_DELIVERY, entry)].sent)
		return;
	if (entry & ENTRY_LOGICAL)
		address |= MSI_LOGICAL;
	if (entry_is_level(entry))
		data |= MSI_LEVEL | MSI_ASSERT;
	c->env.msi(c->env.owner, address, (u32)data);
}

/* Sends a level that is asserted and not under way yet. */
static void pin_service(struct ioapic *c, unsigned pin)
{
	u64 *entry = &c->entries[pin];

	if (!(c->lines & BIT32(pin)) || !entry_is_level(*entry) ||
	    (*entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		return;
	*entry |= ENTRY_REMOTE_IRR;
	entry_send(c, *entry);
}

/* An entry that leaves level triggering has no EOI to wait for. */
static void table_write(struct ioapic *c, unsigned reg, u32 value)
{
	unsigned pin = (reg - REG_TABLE) / 2;
	bool high = (reg & 1) != 0;
	u64 writable = high ? ENTRY_HIGH_WRITABLE : ENTRY_LOW_WRITABLE;
	u64 *entry;

	if (pin >= IOAPIC_PINS)
		return;
	entry = &c->entries[pin];
	*entry = (*entry & ~writable) | (((u64)value << (high ? 32 : 0)) & writable);
	if (!entry_is_level(*entry))
		*entry &= ~ENTRY_REMOTE_IRR;
	pin_service(c, pin);
}

static u32 table_read(const struct ioapic *c, unsigned reg)
{
	unsigned pin = (reg - REG_TABLE) / 2;

	if (pin >= IOAPIC_PINS)
		return 0;
	return (u32)(c->entries[pin] >> (reg & 1 ? 32 : 0));
}

static u32 data_read(const struct ioapic *c)
{
	switch (c->index) {
	case REG_ID:
	case REG_ARBITER:
		return c->id;
	case REG_VERSION:
		return VERSION_VALUE;
	default:
		return c->index >= REG_TABLE ? table_read(c, c->index) : 0;
	}
}

static void data_write(struct ioapic *c, u32 value)
{
	if (c->index == REG_ID)
		c->id = value & ID_WRITABLE;
	else if (c->index >= REG_TABLE)
		table_write(c, c->index, value);
}

void ioapic_init(struct ioapic *c, const struct dev_env *env)
{
	*c = (struct ioapic){ .env = *env };
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		c->entries[pin] = ENTRY_MASKED;
}

u32 ioapic_read(struct ioapic *c, u32 offset)
{
	switch (offset) {
	case IOAPIC_INDEX:
		return c->index;
	case IOAPIC_DATA:
		return data_read(c);
	case IOAPIC_EOI: /* write-only */
		return 0;
	default:
		return UINT32_MAX;
	}
}

void ioapic_write(struct ioapic *c, u32 offset, u32 value)
{
	if (offset == IOAPIC_INDEX)
		c->index = (u8)value;
	else if (offset == IOAPIC_DATA)
		data_write(c, value);
	else if (offset == IOAPIC_EOI)
		ioapic_eoi(c, (u8)value);
}

void ioapic_input(struct ioapic *c, unsigned pin, bool asserted)
{
	bool rises;

	if (pin >= IOAPIC_PINS)
		return;
	rises = asserted && !(c->lines & BIT32(pin));
	c->lines = asserted ? c->lines | BIT32(pin) : c->lines & ~BIT32(pin);
	if (entry_is_level(c->entries[pin]))
		pin_service(c, pin);
	else if (rises && !(c->entries[pin] & ENTRY_MASKED))
		entry_send(c, c->entries[pin]);
}

void ioapic_eoi(struct ioapic *c, u8 vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 *entry = &c->entries[pin];

		if (field_get(ENTRY_VECTOR, *entry) != vector || !(*entry & ENTRY_REMOTE_IRR))
			continue;
		*entry &= ~ENTRY_REMOTE_IRR;
		pin_service(c, pin);
	}
}
