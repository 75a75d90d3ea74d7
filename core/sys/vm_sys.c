/* What a VM is made of: a VMM process, second-stage tables, vCPUs, shared pages, memory. */
#include "core/sys/vm_sys.h"

#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/mem/window.h"
#include "core/sys/process.h"
#include "core/trace/log.h"
#include "core/virt/engine.h"
#include "lib/abi/channel.h"
#include "lib/abi/layout.h"
#include "lib/base/format.h"
#include "lib/base/string.h"

#define BLOCK_MAX (32 * MIB)
#define ZERO_MAX \
	(2 * MIB) /* in a call: others wait for its lock, this CPU's interrupts for its end */

static struct vm *vms[VM_MAX];

struct vm *vm_find(u64 number)
{
	return number < VM_MAX ? vms[number] : NULL;
}

static u64 counters_bytes(const struct vm *vm)
{
	return align_up(vm->vcpu_count * sizeof(struct vcpu_counters), PAGE_SIZE);
}

static struct cpuid_values host_cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_result r = cpuid(leaf, subleaf);

	return (struct cpuid_values){ r.eax, r.ebx, r.ecx, r.edx };
}

static enum err stage2_init(struct vm *vm)
{
	vm->stage2.format = backend->stage2_format();
	vm->stage2.memory = process_table_memory(vm->process);
	return vm->stage2.memory.table_alloc(vm->process, &vm->stage2.root);
}

static enum err vcpus_init(struct vm *vm)
{
	frame_owner_t owner = process_owner(vm->process);

	vm->cpuid = heap_try_alloc(sizeof(*vm->cpuid));
	vm->counters = heap_shared_alloc(counters_bytes(vm), owner);
	if (!vm->cpuid || !vm->counters)
		return ERR_NO_MEMORY;
	cpuid_table_build(vm->cpuid,
			  &(struct cpuid_request){ .cpus = vm->vcpu_count,
						   .extended_topology = backend->extended_topology,
						   .tsc_khz = tsc_khz,
						   .xcr0 = cpu_features.xcr0,
						   .host = host_cpuid });
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		enum err err = vcpu_create(vm, i);

		if (err)
			return err;
		err = process_map(vm->process, VMM_VCPU_BASE + i * PAGE_SIZE,
				  core_physical(vm->vcpus[i]->page), PAGE_SIZE,
				  MAP_READ | MAP_WRITE);
		if (err)
			return err;
	}
	vm->vcpus[0]->thread = process_main(vm->process);
	process_main(vm->process)->vcpu = vm->vcpus[0];
	return ERR_OK;
}

/* The channel belongs to the VMM and is seen by the supervisor, with the counters. */
static enum err shared_init(struct vm *vm)
{
	struct process *supervisor = process_supervisor();
	u64 channel_bytes = CHANNEL_PAGES * PAGE_SIZE;
	hpa_t channel;
	enum err err = frames_alloc(process_owner(vm->process), CHANNEL_PAGES, 1, &channel);

	if (!err)
		err = process_map(vm->process, VMM_CHANNEL_BASE, channel, channel_bytes,
				  MAP_READ | MAP_WRITE);
	if (!err)
		err = process_map(supervisor,
				  SUPERVISOR_CHANNEL_BASE + vm->number * SUPERVISOR_CHANNEL_STEP,
				  channel, channel_bytes, MAP_READ | MAP_WRITE);
	if (!err)
		err = process_map(supervisor,
				  SUPERVISOR_COUNTER_BASE + vm->number * SUPERVISOR_COUNTER_STEP,
				  core_physical(vm->counters), counters_bytes(vm), MAP_READ);
	return err;
}

static enum err module_map(struct vm *vm, u32 index, u64 at)
{
	const struct boot_module *m;

	if (index == MANIFEST_NO_FILE)
		return ERR_OK;
	if (index >= boot_info.module_count)
		return ERR_NOT_FOUND;
	m = &boot_info.module[index];
	return process_map(vm->process, at, m->start, align_up(m->bytes, PAGE_SIZE), MAP_READ);
}

/* A bit for each processor that runs threads. */
static u64 processors(void)
{
	return BITS64(cpu_count - 1, 0);
}

static bool request_is_sane(const struct vm_request *r)
{
	return r->memory_bytes >= MANIFEST_MEMORY_MIN && r->memory_bytes <= MANIFEST_MEMORY_MAX &&
	       r->memory_bytes % MANIFEST_MEMORY_UNIT == 0 && r->cpus >= 1 &&
	       r->cpus <= VM_VCPU_MAX && r->reserved == 0 && r->weight != 0 &&
	       r->weight <= MANIFEST_WEIGHT_MAX && r->cap_percent <= MANIFEST_CAP_MAX &&
	       (r->cpus_allowed & processors()) != 0 && r->name[sizeof(r->name) - 1] == '\0';
}

static enum err vm_build(struct vm *vm, const struct vm_request *r)
{
	enum err err = stage2_init(vm);

	if (!err)
		err = vcpus_init(vm);
	if (!err)
		err = shared_init(vm);
	if (!err)
		err = module_map(vm, r->kernel_module, VMM_KERNEL_BASE);
	if (!err)
		err = module_map(vm, r->initrd_module, VMM_INITRD_BASE);
	return err;
}

enum err vm_create(const struct vm_request *r, u32 *number)
{
	const struct boot_module *vmm = boot_module_find("vmm");
	char name[40];
	struct vm *vm;
	enum err err;

	*number = 0;
	while (*number < VM_MAX && vms[*number])
		(*number)++;
	if (!request_is_sane(r))
		return ERR_INVALID;
	if (*number == VM_MAX)
		return ERR_NO_MEMORY;
	if (!vmm)
		return ERR_NOT_FOUND;
	vm = heap_try_alloc(sizeof(*vm));
	if (!vm)
		return ERR_NO_MEMORY;
	format(name, sizeof(name), "VMM of %s", r->name);
	err = process_create(name, vmm, &vm->process);
	if (err) {
		heap_free(vm, sizeof(*vm));
		return err;
	}
	vm->number = *number;
	format(vm->name, sizeof(vm->name), "%s", r->name);
	vm->memory_bytes = r->memory_bytes;
	vm->vcpu_count = r->cpus;
	vm->process->vm = vm;
	vm->process->share = (struct share){ .weight = r->weight,
					     .cap_percent = r->cap_percent,
					     .allowed = r->cpus_allowed,
					     .lock = SPINLOCK(LOCK_SHARE) };
	vms[*number] = vm;
	err = vm_build(vm, r);
	return err && vm_destroy(vm) ? ERR_AGAIN : err;
}

/* Memory in the largest blocks that are free: whole 1 GiB pages, then runs of 2 MiB pages. */
static enum err block_take(struct vm *vm, u64 gpa, u64 wanted)
{
	frame_owner_t owner = process_owner(vm->process);
	const u64 sizes[] = { GIB, min_u64(wanted, BLOCK_MAX), 2 * MIB, PAGE_SIZE };

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 align = i == 0 ? GIB : min_u64(sizes[i], 2 * MIB);

		if (sizes[i] > wanted || gpa % align != 0 || (i == 0 && !cpu_features.page_1g))
			continue;
		if (frames_take(owner, sizes[i] / PAGE_SIZE, align / PAGE_SIZE, &vm->block) ==
		    ERR_OK) {
			vm->block_bytes = vm->block_dirty = sizes[i];
			return ERR_OK;
		}
	}
	return ERR_NO_MEMORY;
}

static void block_zero(struct vm *vm)
{
	u64 bytes = min_u64(vm->block_dirty, ZERO_MAX);

	window_zero(hpa_add(vm->block, vm->block_bytes - vm->block_dirty), bytes);
	vm->block_dirty -= bytes;
}

/* The part of a block in [from, to), as the guest sees it. */
static enum err stage2_map_part(struct vm *vm, u64 gpa, hpa_t block, u64 bytes, u64 from, u64 to)
{
	u64 start = max_u64(gpa, from);
	u64 end = min_u64(gpa + bytes, to);

	if (start >= end)
		return ERR_OK;
	return paging_map(&vm->stage2, start, hpa_add(block, start - gpa), end - start,
			  MAP_READ | MAP_WRITE | MAP_EXECUTE);
}

/* Guests see every byte of a block but the VGA hole. */
static enum err stage2_map(struct vm *vm, u64 gpa, hpa_t block, u64 bytes)
{
	enum err err = stage2_map_part(vm, gpa, block, bytes, 0, VM_VGA_HOLE);

	if (!err)
		err = stage2_map_part(vm, gpa, block, bytes, VM_VGA_HOLE_END, UINT64_MAX);
	return err;
}

enum err vm_ram_add(struct vm *vm)
{
	u64 low = min_u64(vm->memory_bytes, VM_LOW_RAM_MAX);
	bool in_low = vm->low_bytes < low;
	u64 gpa = in_low ? vm->low_bytes : VM_HIGH_RAM + vm->high_bytes;
	u64 missing = vm->memory_bytes - vm->low_bytes - vm->high_bytes;
	hpa_t block = vm->block;
	u64 bytes = vm->block_bytes;
	enum err err;

	if (missing == 0)
		return ERR_OK;
	if (bytes == 0) {
		err = block_take(vm, gpa, in_low ? low - vm->low_bytes : missing);
		return err ? err : ERR_AGAIN;
	}
	if (vm->block_dirty > 0) {
		block_zero(vm);
		return ERR_AGAIN;
	}
	vm->block_bytes = 0;
	err = process_map(vm->process, VMM_RAM_BASE + gpa, block, bytes, MAP_READ | MAP_WRITE);
	if (!err)
		err = stage2_map(vm, gpa, block, bytes);
	if (err) {
		/* Nobody can have used it yet: no TLB knows these pages. */
		paging_unmap(&vm->process->space, VMM_RAM_BASE + gpa, bytes);
		paging_unmap(&vm->stage2, gpa, bytes);
		frames_free(block, bytes / PAGE_SIZE, process_owner(vm->process));
		return err;
	}
	if (in_low)
		vm->low_bytes += bytes;
	else
		vm->high_bytes += bytes;
	return bytes == missing ? ERR_OK : ERR_AGAIN;
}

enum err vm_destroy(struct vm *vm)
{
	struct process *supervisor = process_supervisor();

	process_stop(vm->process, PROCESS_EXITED);
	if (!process_is_over(vm->process))
		return ERR_AGAIN; /* other processors have still to let go of it */
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i])
			vcpu_destroy(vm->vcpus[i]);
	}
	paging_unmap(&supervisor->space,
		     SUPERVISOR_CHANNEL_BASE + vm->number * SUPERVISOR_CHANNEL_STEP,
		     CHANNEL_PAGES * PAGE_SIZE);
	paging_unmap(&supervisor->space,
		     SUPERVISOR_COUNTER_BASE + vm->number * SUPERVISOR_COUNTER_STEP,
		     counters_bytes(vm));
	if (vm->counters)
		heap_shared_free(vm->counters, counters_bytes(vm));
	if (vm->cpuid)
		heap_free(vm->cpuid, sizeof(*vm->cpuid));
	process_destroy(vm->process); /* all its frames with it */
	write_cr3(read_cr3());
	vms[vm->number] = NULL;
	heap_free(vm, sizeof(*vm));
	return ERR_OK;
}
