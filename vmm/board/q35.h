/*
 * The two chipset functions of the virtual Q35 PC that guests look for: the memory controller hub
 * at 00:00.0 and the ICH9 LPC bridge at 00:1f.0, which routes PIRQ lines to the 8259s. Governed by
 * the Intel 3 Series Express Chipset Family Datasheet, "DRAM Controller Registers (D0:F0)", and the
 * I/O Controller Hub 9 Datasheet, "LPC Interface Bridge Registers (D31:F0)". Where the board
 * decodes ranges is fixed, so the base registers are read-only.
 */
#pragma once

#include "lib/base/types.h"
#include "vmm/dev/env.h"
#include "vmm/dev/pci.h"

struct q35 {
	struct dev_env env; /* line_set: lines 0..15 are the 8259s' inputs */
	struct pci_function host;
	struct pci_function lpc;
	u8 pirqs;  /* one bit per PIRQ line: its level */
	u16 lines; /* one bit per 8259 input: the level that PIRQs give it */
};

/* Plugs both functions into an empty bus. */
void q35_init(struct q35 *q, struct pci_bus *bus, const struct dev_env *env);
/* Sets the level of PIRQ `line` (0: A .. 7: H). */
void q35_pirq(struct q35 *q, unsigned line, bool level);
