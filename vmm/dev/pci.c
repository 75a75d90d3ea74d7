/* PCI bus 0: configuration cycles, memory BARs and INTx lines (see pci.h). */
#include "vmm/dev/pci.h"

#include "lib/base/assert.h"
#include "lib/base/string.h"

/* PCI Local Bus Specification 3.0, "Configuration Mechanism": the address register. */
#define ADDRESS_ENABLE	 BITS64(31, 31)
#define ADDRESS_TARGET	 BITS64(23, 8) /* bus, device, function */
#define ADDRESS_REGISTER BITS64(7, 2)
#define ADDRESS_STORED	 (ADDRESS_ENABLE | ADDRESS_TARGET | ADDRESS_REGISTER)

/* PCI Express, "Enhanced Configuration Access Mechanism": the address bits. */
#define ECAM_TARGET   BITS64(27, 12)
#define ECAM_DEVFN    BITS64(19, 12)
#define ECAM_REGISTER BITS64(11, 0)

#define DEVFN_SLOT BITS64(7, 3)

#define BAR_ADDRESS ((u32)~0xfU)
#define BAR_MIN	    16ULL
#define BAR_MAX	    (2 * GIB)

static u64 ones(unsigned bytes)
{
	return bytes >= 8 ? ~0ULL : BIT64(8 * bytes) - 1;
}

u32 pci_register(const struct pci_function *f, u16 offset, unsigned bytes)
{
	u32 value = 0;

	assert(bytes <= 4 && offset + bytes <= PCI_CONFIG_BYTES);
	memcpy(&value, f->config + offset, bytes);
	return value;
}

void pci_register_set(struct pci_function *f, u16 offset, unsigned bytes, u32 value)
{
	assert(bytes <= 4 && offset + bytes <= PCI_CONFIG_BYTES);
	memcpy(f->config + offset, &value, bytes);
}

static u16 bar_offset(unsigned bar)
{
	return (u16)(PCI_BAR0 + 4 * bar);
}

static bool bar_is_64bit(const struct pci_function *f, unsigned bar)
{
	return pci_register(f, bar_offset(bar), 4) & PCI_BAR_64BIT;
}

static u64 bar_base(const struct pci_function *f, unsigned bar)
{
	u64 base = pci_register(f, bar_offset(bar), 4) & BAR_ADDRESS;

	if (bar_is_64bit(f, bar))
		base |= (u64)pci_register(f, bar_offset(bar + 1), 4) << 32;
	return base;
}

void pci_init(struct pci_bus *bus, const struct dev_env *env)
{
	memset(bus, 0, sizeof(*bus));
	bus->env = *env;
}

void pci_function_fill(struct pci_function *f, const struct pci_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct pci_field *row = &fields[i];

		assert(row->bytes <= 4 && row->offset + row->bytes <= PCI_CONFIG_BYTES);
		memcpy(f->config + row->offset, &row->value, row->bytes);
		memcpy(f->writable + row->offset, &row->writable, row->bytes);
		memcpy(f->clears + row->offset, &row->clears, row->bytes);
	}
}

void pci_function_identify(struct pci_function *f, u16 vendor, u16 device, u32 class_code,
			   u8 revision, u8 interrupt_pin)
{
	const u32 command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			    PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;
	const struct pci_field fields[] = {
		{ PCI_VENDOR_ID, 2, vendor, 0, 0 },
		{ PCI_DEVICE_ID, 2, device, 0, 0 },
		{ PCI_COMMAND, 2, 0, command, 0 },
		{ PCI_STATUS, 2, 0, 0, PCI_STATUS_ERRORS },
		{ PCI_REVISION, 1, revision, 0, 0 },
		{ PCI_CLASS, 3, class_code, 0, 0 },
		{ PCI_INTERRUPT_LINE, 1, 0, interrupt_pin ? 0xff : 0, 0 },
		{ PCI_INTERRUPT_PIN, 1, interrupt_pin, 0, 0 },
	};

	pci_function_fill(f, fields, ARRAY_SIZE(fields));
}

void pci_function_bar(struct pci_function *f, unsigned bar, u64 bytes, u32 flags)
{
	bool wide = flags & PCI_BAR_64BIT;
	const struct pci_field low = { bar_offset(bar), 4, flags, (u32) ~(bytes - 1), 0 };
	const struct pci_field high = { bar_offset(bar + 1), 4, 0, ~0U, 0 };

	assert(bar + wide < PCI_BARS && (flags & BAR_ADDRESS) == 0);
	assert(bytes >= BAR_MIN && bytes <= BAR_MAX && (bytes & (bytes - 1)) == 0);
	f->bar_bytes[bar] = bytes;
	pci_function_fill(f, &low, 1);
	if (wide)
		pci_function_fill(f, &high, 1);
}

static unsigned bar_count(const struct pci_function *f)
{
	unsigned count = 0;

	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		count += f->bar_bytes[bar] != 0;
	return count;
}

enum err pci_add(struct pci_bus *bus, u8 devfn, struct pci_function *f)
{
	struct pci_function *first = bus->functions[devfn & ~(PCI_SLOT_FUNCTIONS - 1)];

	if (bus->functions[devfn])
		return ERR_EXISTS;
	if (bus->window_count + bar_count(f) > PCI_WINDOWS)
		return ERR_NO_MEMORY;
	f->bus = bus;
	f->devfn = devfn;
	bus->functions[devfn] = f;
	if (first)
		first->config[PCI_HEADER_TYPE] |= PCI_HEADER_MULTIFUNCTION;
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		if (f->bar_bytes[bar] != 0)
			bus->windows[bus->window_count++] = (struct pci_window){
				.function = f, .bar = bar, .bytes = f->bar_bytes[bar]
			};
	}
	return ERR_OK;
}

/* Recomputes where one BAR decodes and tells the owner when that changed. */
static void window_update(struct pci_window *w)
{
	struct pci_function *f = w->function;
	u64 base = bar_base(f, w->bar);
	bool mapped = pci_register(f, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;

	if (mapped == w->mapped && (!mapped || base == w->base))
		return;
	w->base = base;
	w->mapped = mapped;
	if (f->ops && f->ops->bar_moved)
		f->ops->bar_moved(f->owner, w->bar, GPA(base), mapped);
}

static void windows_update(struct pci_bus *bus, const struct pci_function *f)
{
	for (unsigned i = 0; i < bus->window_count; i++) {
		if (bus->windows[i].function == f)
			window_update(&bus->windows[i]);
	}
}

enum err pci_assign(struct pci_bus *bus, u64 base, u64 end)
{
	for (unsigned i = 0; i < bus->window_count; i++) {
		struct pci_window *w = &bus->windows[i];
		u32 command = pci_register(w->function, PCI_COMMAND, 2);
		u64 at = align_up(base, max_u64(w->bytes, PAGE_SIZE));
		u32 flags = pci_register(w->function, bar_offset(w->bar), 4) & ~BAR_ADDRESS;

		if (bar_base(w->function, w->bar) != 0)
			continue;
		if (at > end || w->bytes > end - at)
			return ERR_NO_MEMORY;
		pci_register_set(w->function, bar_offset(w->bar), 4, (u32)at | flags);
		if (flags & PCI_BAR_64BIT)
			pci_register_set(w->function, bar_offset(w->bar + 1), 4, (u32)(at >> 32));
		pci_register_set(w->function, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
		base = at + w->bytes;
	}
	for (unsigned i = 0; i < bus->window_count; i++)
		window_update(&bus->windows[i]);
	return ERR_OK;
}

static bool function_asserts(const struct pci_function *f, unsigned line)
{
	unsigned pin = f->config[PCI_INTERRUPT_PIN];

	return f->intx && pin != 0 && pci_intx_line(f->devfn >> 3, pin) == line &&
	       (pci_register(f, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE) == 0;
}

/* A line is the wired OR of all functions on it; only changes of its level go out. */
static void line_update(struct pci_bus *bus, unsigned line)
{
	bool level = false;

	for (unsigned i = 0; i < PCI_FUNCTIONS && !level; i++)
		level = bus->functions[i] && function_asserts(bus->functions[i], line);
	if (level == ((bus->lines & BIT32(line)) != 0))
		return;
	bus->lines = (u8)(bus->lines ^ BIT32(line));
	bus->env.line_set(bus->env.owner, line, level);
}

static void function_line_update(struct pci_function *f)
{
	unsigned pin = f->config[PCI_INTERRUPT_PIN];

	if (pin != 0)
		line_update(f->bus, pci_intx_line(f->devfn >> 3, pin));
}

void pci_interrupt(struct pci_function *f, bool level)
{
	u32 status = pci_register(f, PCI_STATUS, 2) & ~PCI_STATUS_INTERRUPT;

	if (f->intx == level)
		return;
	f->intx = level;
	pci_register_set(f, PCI_STATUS, 2, level ? status | PCI_STATUS_INTERRUPT : status);
	function_line_update(f);
}

/* The function and register that an ECAM offset names; NULL when there is none. */
static struct pci_function *function_find(struct pci_bus *bus, u32 ecam_offset, unsigned bytes)
{
	u64 target = field_get(ECAM_TARGET, ecam_offset);
	u64 reg = field_get(ECAM_REGISTER, ecam_offset);

	if (target >= PCI_FUNCTIONS || bytes > 8 || reg + bytes > PCI_CONFIG_BYTES)
		return NULL;
	return bus->functions[target];
}

u64 pci_config_read(struct pci_bus *bus, u32 ecam_offset, unsigned bytes)
{
	struct pci_function *f = function_find(bus, ecam_offset, bytes);
	u16 reg = (u16)field_get(ECAM_REGISTER, ecam_offset);
	u64 value = 0;

	if (!f)
		return ones(bytes);
	if (f->ops && f->ops->config_read)
		f->ops->config_read(f->owner, reg, bytes);
	memcpy(&value, f->config + reg, bytes);
	return value;
}

static u8 byte_written(const struct pci_function *f, unsigned at, u8 value)
{
	u8 kept = (u8)(f->config[at] & ~f->writable[at]);

	return (u8)((kept | (value & f->writable[at])) & ~(value & f->clears[at]));
}

void pci_config_write(struct pci_bus *bus, u32 ecam_offset, unsigned bytes, u64 value)
{
	struct pci_function *f = function_find(bus, ecam_offset, bytes);
	u16 reg = (u16)field_get(ECAM_REGISTER, ecam_offset);

	if (!f)
		return;
	for (unsigned i = 0; i < bytes; i++)
		f->config[reg + i] = byte_written(f, reg + i, (u8)(value >> (8 * i)));
	if (reg < PCI_CAPABILITIES) { /* command or a BAR may have changed */
		windows_update(bus, f);
		function_line_update(f);
	}
	if (f->ops && f->ops->config_write)
		f->ops->config_write(f->owner, reg, bytes);
}

u32 pci_address_read(const struct pci_bus *bus)
{
	return bus->address;
}

void pci_address_write(struct pci_bus *bus, u32 value)
{
	bus->address = (u32)(value & ADDRESS_STORED);
}

/* The ECAM offset that the address register selects. */
static u32 address_selected(const struct pci_bus *bus, unsigned offset)
{
	u64 target = field_get(ADDRESS_TARGET, bus->address);

	return (u32)(field_set(ECAM_TARGET, 0, target) | (bus->address & ADDRESS_REGISTER) |
		     (offset & 3));
}

static bool data_is_open(const struct pci_bus *bus, unsigned offset, unsigned bytes)
{
	return (bus->address & ADDRESS_ENABLE) && offset + bytes <= 4;
}

u32 pci_data_read(struct pci_bus *bus, unsigned offset, unsigned bytes)
{
	if (!data_is_open(bus, offset, bytes))
		return (u32)ones(bytes);
	return (u32)pci_config_read(bus, address_selected(bus, offset), bytes);
}

void pci_data_write(struct pci_bus *bus, unsigned offset, unsigned bytes, u32 value)
{
	if (data_is_open(bus, offset, bytes))
		pci_config_write(bus, address_selected(bus, offset), bytes, value);
}

static struct pci_window *window_find(struct pci_bus *bus, gpa_t gpa, unsigned bytes)
{
	for (unsigned i = 0; i < bus->window_count; i++) {
		struct pci_window *w = &bus->windows[i];
		u64 offset = gpa.raw - w->base;

		if (w->mapped && offset < w->bytes && bytes <= w->bytes - offset)
			return w;
	}
	return NULL;
}

bool pci_memory_read(struct pci_bus *bus, gpa_t gpa, unsigned bytes, u64 *value)
{
	struct pci_window *w = window_find(bus, gpa, bytes);
	const struct pci_ops *ops = w ? w->function->ops : NULL;

	*value = ones(bytes);
	if (!w)
		return false;
	if (ops && ops->bar_read)
		*value &= ops->bar_read(w->function->owner, w->bar, gpa.raw - w->base, bytes);
	return true;
}

bool pci_memory_write(struct pci_bus *bus, gpa_t gpa, unsigned bytes, u64 value)
{
	struct pci_window *w = window_find(bus, gpa, bytes);
	const struct pci_ops *ops = w ? w->function->ops : NULL;

	if (!w)
		return false;
	if (ops && ops->bar_write)
		ops->bar_write(w->function->owner, w->bar, gpa.raw - w->base, bytes,
			       value & ones(bytes));
	return true;
}
