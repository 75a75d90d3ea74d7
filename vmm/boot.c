/* From the configuration to a VM whose first instruction is the kernel's. */
#include "lib/abi/layout.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "vmm/board/acpi.h"
#include "vmm/board/e820.h"
#include "vmm/load/load.h"
#include "vmm/vmm.h"

static u64 host_clock(void *owner)
{
	return vmm_clock_ns(owner);
}

static void host_msi(void *owner, u64 address, u32 data)
{
	(void)owner;
	syscall2(SYSCALL_msi, address, data);
}

static void host_intr(void *owner, bool level)
{
	(void)owner;
	syscall1(SYSCALL_intr_line, level);
}

static bool host_console_put(void *owner, u8 byte)
{
	struct vmm *v = owner;

	v->output_new = true;
	if (ring_put(&v->channel->from_guest, byte))
		return true;
	v->console_full = true;
	return false;
}

static void host_power(void *owner, enum dev_power power, u8 status)
{
	switch (power) {
	case DEV_POWER_OFF:
		vmm_end(owner, VM_END_POWER_OFF, 0, "power-off");
	case DEV_POWER_RESET:
		vmm_end(owner, VM_END_RESET, 0, "reset");
	case DEV_POWER_TEST:
		vmm_end(owner, VM_END_TEST, status, "test exit");
	}
}

static void board_start(struct vmm *v)
{
	const struct channel_config *c = &v->channel->config;
	const struct board_host host = {
		.owner = v,
		.clock_ns = host_clock,
		.msi = host_msi,
		.intr = host_intr,
		.console_put = host_console_put,
		.power = host_power,
	};
	const struct board_config config = {
		.memory_bytes = c->vm.memory_bytes,
		.utc_seconds = c->wall_clock_s + (v->tsc_base - c->tsc_start) / (c->tsc_khz * 1000),
		.cpus = c->vm.cpus,
		.flags = c->vm.flags,
	};
	struct guest_span low = { (u8 *)VMM_RAM_BASE, e820_low_ram_end(c->vm.memory_bytes) };

	board_init(&v->board, &config, &host);
	if (board_write_tables(&v->board, low))
		vmm_end(v, VM_END_CRASH, 0, "no room for ACPI tables in guest memory");
}

static void kernel_load(struct vmm *v)
{
	const struct channel_config *c = &v->channel->config;
	struct e820_map e820;
	struct load_request request = {
		.kernel = { (const void *)VMM_KERNEL_BASE, c->kernel_bytes },
		.initrd = { (const void *)VMM_INITRD_BASE, c->initrd_bytes },
		.cmdline = c->vm.cmdline,
		.ram = (u8 *)VMM_RAM_BASE,
		.low_bytes = e820_low_ram_end(c->vm.memory_bytes),
		.high_bytes = e820_high_ram_bytes(c->vm.memory_bytes),
		.e820 = &e820,
		.rsdp = ACPI_RSDP,
	};
	struct vcpu_page *page = (struct vcpu_page *)VMM_VCPU_BASE;
	struct load_result result;

	e820_build(&e820, c->vm.memory_bytes);
	if (load_kernel(&request, &result))
		vmm_end(v, VM_END_CRASH, 0, "kernel not loaded: %s (%s, needs %lu MiB)", result.why,
			result.format ? result.format : "unknown format",
			result.needed_bytes / MIB);
	memcpy(page->gpr, result.gpr, sizeof(page->gpr));
	if (syscall2(SYSCALL_vcpu_set_state, 0, (u64)&result.state))
		vmm_end(v, VM_END_CRASH, 0, "the core refuses the kernel's initial state");
}

void vmm_boot(struct vmm *v)
{
	board_start(v);
	kernel_load(v);
}
