/* The host bridge and the LPC bridge as register rows, and PIRQ routing (see q35.h). */
#include "vmm/board/q35.h"

#include "lib/base/assert.h"
#include "lib/base/string.h"
#include "vmm/board/memory_map.h"

#define INTEL	       0x8086
#define INTEL_MCH      0x29c0
#define INTEL_ICH9_LPC 0x2918
#define CLASS_HOST     0x060000
#define CLASS_ISA      0x060100
#define REVISION       0x02

#define HOST_DEVFN PCI_DEVFN(0, 0)
#define LPC_DEVFN  PCI_DEVFN(31, 0)

#define HOST_PCIEXBAR	 0x60
#define PCIEXBAR_ENABLE	 BIT32(0)
#define PCIEXBAR_64_MIB	 BIT32(2) /* the smallest length there is; bus 0 alone decodes */
#define LPC_PMBASE	 0x40
#define PMBASE_IO	 BIT32(0)
#define LPC_ACPI_CONTROL 0x44
#define ACPI_ENABLE	 BIT32(7) /* the SCI is IRQ 9: select bits zero */
#define LPC_PIRQA	 0x60
#define LPC_PIRQE	 0x68
#define PIRQ_OFF	 BIT32(7)
#define PIRQ_IRQ	 BITS64(3, 0)
#define PIRQ_REGISTERS	 4U /* in each of the two groups */
#define PIRQ_RESET	 0x80808080
#define PIRQ_WRITABLE	 0x8f8f8f8f
/* IRQs 0, 1, 2, 8 and 13 belong to chips on the board. */
#define PIRQ_ALLOWED ((u16) ~(BIT32(0) | BIT32(1) | BIT32(2) | BIT32(8) | BIT32(13)))

#define BRIDGE_COMMAND (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) /* always on */

static const struct pci_field host_fields[] = {
	{ PCI_COMMAND, 2, BRIDGE_COMMAND, 0, 0 },
	{ HOST_PCIEXBAR, 4, MAP_ECAM | PCIEXBAR_64_MIB | PCIEXBAR_ENABLE, 0, 0 },
};

static const struct pci_field lpc_fields[] = {
	{ PCI_COMMAND, 2, BRIDGE_COMMAND | PCI_COMMAND_IO, 0, 0 },
	{ LPC_PMBASE, 4, PORT_PM | PMBASE_IO, 0, 0 },
	{ LPC_ACPI_CONTROL, 1, ACPI_ENABLE, 0, 0 },
	{ LPC_PIRQA, 4, PIRQ_RESET, PIRQ_WRITABLE, 0 },
	{ LPC_PIRQE, 4, PIRQ_RESET, PIRQ_WRITABLE, 0 },
};

static u16 pirq_register(unsigned line)
{
	return (u16)(line < PIRQ_REGISTERS ? LPC_PIRQA + line : LPC_PIRQE + line - PIRQ_REGISTERS);
}

/* The 8259 inputs that the asserted PIRQ lines drive now. */
static u16 lines_wanted(const struct q35 *q)
{
	u32 wanted = 0;

	for (unsigned line = 0; line < PCI_INTX_LINES; line++) {
		u32 route = pci_register(&q->lpc, pirq_register(line), 1);

		if ((q->pirqs & BIT32(line)) && (route & PIRQ_OFF) == 0)
			wanted |= BIT32(field_get(PIRQ_IRQ, route));
	}
	return (u16)(wanted & PIRQ_ALLOWED);
}

static void lines_update(struct q35 *q)
{
	u32 wanted = lines_wanted(q);
	u32 changed = wanted ^ q->lines;

	q->lines = (u16)wanted;
	for (; changed; changed &= changed - 1) {
		unsigned irq = (unsigned)__builtin_ctz(changed);

		q->env.line_set(q->env.owner, irq, wanted & BIT32(irq));
	}
}

static void lpc_config_write(void *owner, u16 offset, unsigned bytes)
{
	if (offset + bytes > LPC_PIRQA && offset < LPC_PIRQE + PIRQ_REGISTERS)
		lines_update(owner);
}

static const struct pci_ops lpc_ops = { .config_write = lpc_config_write };

static void function_plug(struct pci_bus *bus, u8 devfn, struct pci_function *f)
{
	enum err err = pci_add(bus, devfn, f);

	assert(err == ERR_OK);
}

void q35_init(struct q35 *q, struct pci_bus *bus, const struct dev_env *env)
{
	memset(q, 0, sizeof(*q));
	q->env = *env;
	pci_function_identify(&q->host, INTEL, INTEL_MCH, CLASS_HOST, REVISION, 0);
	pci_function_fill(&q->host, host_fields, ARRAY_SIZE(host_fields));
	function_plug(bus, HOST_DEVFN, &q->host);
	pci_function_identify(&q->lpc, INTEL, INTEL_ICH9_LPC, CLASS_ISA, REVISION, 0);
	pci_function_fill(&q->lpc, lpc_fields, ARRAY_SIZE(lpc_fields));
	q->lpc.ops = &lpc_ops;
	q->lpc.owner = q;
	function_plug(bus, LPC_DEVFN, &q->lpc);
}

void q35_pirq(struct q35 *q, unsigned line, bool level)
{
	assert(line < PCI_INTX_LINES);
	q->pirqs = (u8)(level ? q->pirqs | BIT32(line) : q->pirqs & ~BIT32(line));
	lines_update(q);
}
