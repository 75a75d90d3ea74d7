/* Memory, modules and devices of the host tests' machine. */
#define _GNU_SOURCE
#include "tests/support/fake_machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/boot/boot_info.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/frames.h"
#include "core/mem/heap.h"
#include "core/mem/layout.h"
#include "core/mem/window.h"
#include "core/sys/process.h"
#include "core/sys/vm_sys.h"
#include "core/trace/log.h"
#include "lib/base/assert.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_insn.h"

#define MODULE_PAGES 2

u64 core_pml4[512];
u64 fake_zero_max;

static u8 *memory;
static int memory_file;
static u64 memory_end;
static struct page_table core_table;
static u64 core_frames; /* FRAME_CORE pages that are not page tables, before any process */

void *fake_physical(hpa_t at, u64 bytes)
{
	assert(at.raw <= memory_end && bytes <= memory_end - at.raw);
	return memory + at.raw;
}

void *window_map(enum window_slot slot, hpa_t hpa)
{
	(void)slot;
	return fake_physical(hpa, PAGE_SIZE - hpa.raw % PAGE_SIZE);
}

void window_zero(hpa_t hpa, u64 bytes)
{
	assert(hpa.raw % PAGE_SIZE == 0 && bytes % PAGE_SIZE == 0);
	memset(fake_physical(hpa, bytes), 0, bytes);
	fake_zero_max = bytes > fake_zero_max ? bytes : fake_zero_max;
}

void window_read(hpa_t from, void *to, u64 bytes)
{
	memcpy(to, fake_physical(from, bytes), bytes);
}

void window_write(hpa_t to, const void *from, u64 bytes)
{
	memcpy(fake_physical(to, bytes), from, bytes);
}

static enum err table_alloc(void *owner, hpa_t *table)
{
	(void)owner;
	return frames_alloc(FRAME_CORE, 1, 1, table);
}

static enum err table_alloc_early(void *owner, hpa_t *table)
{
	hpa_t *next = owner;

	*table = *next;
	*next = hpa_add(*next, PAGE_SIZE);
	return ERR_OK;
}

static u64 *table_map(void *owner, hpa_t table)
{
	(void)owner;
	return window_map(WINDOW_TABLE, table);
}

static void host_map(u64 virtual, hpa_t physical, u64 bytes, int protection)
{
	void *at = mmap((void *)virtual, bytes, protection, MAP_SHARED | MAP_FIXED, memory_file,
			(off_t)physical.raw);

	assert(at == (void *)virtual);
}

struct page_table core_paging(void)
{
	return core_table;
}

u64 core_map_early_bytes(u64 bytes)
{
	return (bytes / (2 * MIB) + 8) * PAGE_SIZE;
}

void core_map_early(u64 virtual, hpa_t physical, u64 bytes, hpa_t tables)
{
	core_table.memory.owner = &tables;
	core_table.memory.table_alloc = table_alloc_early;
	assert(table_alloc_early(&tables, &core_table.root) == ERR_OK);
	assert(paging_map(&core_table, virtual, physical, bytes, MAP_READ | MAP_WRITE) == ERR_OK);
	core_table.memory.owner = NULL;
	core_table.memory.table_alloc = table_alloc;
	host_map(virtual, physical, bytes, PROT_READ | PROT_WRITE);
}

enum err core_map_try(u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	enum err err = paging_map(&core_table, virtual, physical, bytes, flags);

	if (err)
		paging_unmap(&core_table, virtual, bytes);
	else
		host_map(virtual, physical, bytes,
			 PROT_READ | (flags & MAP_WRITE ? PROT_WRITE : 0));
	return err;
}

void core_map(u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	if (core_map_try(virtual, physical, bytes, flags))
		panic("core_map");
}

void core_unmap(u64 virtual, u64 bytes)
{
	struct paging_leaf leaf;

	assert(paging_find(&core_table, virtual, &leaf));
	paging_unmap(&core_table, virtual, bytes);
	assert(mmap((void *)virtual, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		    0) == (void *)virtual);
}

hpa_t core_physical(const void *pointer)
{
	struct paging_leaf leaf;

	if (pointer == core_pml4)
		return HPA(PAGE_SIZE); /* stands for the core's own tables; nothing else is there */
	if (!paging_find(&core_table, (u64)pointer, &leaf))
		panic("core pointer %p is not mapped", pointer);
	return leaf.physical;
}

static u64 tables_count(hpa_t table, u32 level)
{
	const u64 *entries = fake_physical(table, PAGE_SIZE);
	u64 count = 1;

	for (u32 i = 0; level > 1 && i < PAGING_ENTRIES; i++) {
		if (entries[i] != 0 && !(entries[i] & core_table.format->leaf_large))
			count += tables_count(
				HPA(align_down(entries[i] & BITS64(51, 12), PAGE_SIZE)), level - 1);
	}
	return count;
}

static u64 owned_count(frame_owner_t owner)
{
	u64 count = 0;

	for (u64 at = 0; at < memory_end; at += PAGE_SIZE)
		count += frames_owner(HPA(at)) == owner;
	return count;
}

void fake_machine_check(void)
{
	u64 present = 0, unowned = 0;

	for (u64 at = 0; at < memory_end; at += PAGE_SIZE) {
		present += frames_owner(HPA(at)) != FRAME_ABSENT;
		unowned += frames_owner(HPA(at)) == FRAME_FREE;
	}
	assert(present == frames_total());
	assert(unowned == frames_available());
}

/* One page of code, one of data: the smallest program that the loader takes. */
static void program_write(hpa_t at)
{
	static const u8 magic[16] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	struct {
		u8 magic[16];
		u16 type, machine;
		u32 version;
		u64 entry, phoff, shoff;
		u32 flags;
		u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
		struct {
			u32 type, flags;
			u64 offset, vaddr, paddr, filesz, memsz, align;
		} segment[2];
	} file = {
		.type = 2,
		.machine = 62,
		.version = 1,
		.entry = FAKE_RING3_CODE,
		.phoff = 64,
		.ehsize = 64,
		.phentsize = 56,
		.phnum = 2,
		.segment = { { 1, 5, PAGE_SIZE, FAKE_RING3_CODE, 0, 64, PAGE_SIZE, PAGE_SIZE },
			     { 1, 6, 0, FAKE_RING3_DATA, 0, 0, PAGE_SIZE, PAGE_SIZE } },
	};

	memcpy(file.magic, magic, sizeof(magic));
	window_write(at, &file, sizeof(file));
}

static void module_add(const char *name, hpa_t at)
{
	struct boot_module *m = &boot_info.module[boot_info.module_count++];

	strcpy(m->name, name);
	m->start = at;
	m->bytes = MODULE_PAGES * PAGE_SIZE;
	program_write(at);
}

void fake_machine_start(u64 memory_bytes)
{
	static const char *const names[] = { "supervisor", "vmm", "manifest" };
	const struct memory_range ram = { MIB, memory_bytes };
	struct frame_reservation modules = { { MIB, ARRAY_SIZE(names) * MODULE_PAGES * PAGE_SIZE },
					     FRAME_MODULE };

	memory_end = MIB + memory_bytes;
	memory_file = memfd_create("physical memory", 0);
	assert(memory_file >= 0 && ftruncate(memory_file, (off_t)memory_end) == 0);
	memory = mmap(NULL, memory_end, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file, 0);
	assert(memory != MAP_FAILED);
	fake_insn_reset();
	fake_backend_reset();
	core_table.format = &paging_root_format;
	core_table.memory.table_map = table_map;
	cpu_features = (struct cpu_features){ .physical_bits = 40, .xcr0 = 3, .xsave_bytes = 512 };
	boot_info.module_count = 0;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		module_add(names[i], HPA(MIB + i * MODULE_PAGES * PAGE_SIZE));
	assert(frames_init(&ram, 1, &modules, 1) == ERR_OK);
	boot_cpu.tss = heap_alloc(sizeof(*boot_cpu.tss));
	core_frames = owned_count(FRAME_CORE) - tables_count(core_table.root, PAGING_LEVELS);
	fake_machine_check();
}

enum err fake_machine_supervisor(void)
{
	struct process *p;
	enum err err = process_create("supervisor", boot_module_find("supervisor"), &p);

	if (err)
		return err;
	process_load(p);
	process_main(p)->state = THREAD_RUNNING;
	boot_cpu.current = process_main(p);
	return ERR_OK;
}

void fake_machine_clear(void)
{
	struct process *supervisor = process_supervisor();

	boot_cpu.current = NULL;
	boot_cpu.spent = &boot_cpu.info.idle_tsc;
	for (u32 i = 0; i < VM_MAX; i++) {
		for (u32 t = 0; vm_find(i) && t < PROCESS_THREADS; t++) {
			if (vm_find(i)->process->threads[t]) /* it may have had the processor */
				sched_kill(vm_find(i)->process->threads[t]);
		}
		if (vm_find(i) && vm_destroy(vm_find(i)))
			abort();
	}
	if (supervisor)
		process_destroy(supervisor);
	timer_set(&boot_cpu.slice, TIMER_NEVER);
	timer_set(&boot_cpu.nudge, TIMER_NEVER);
	assert(boot_cpu.timers.first == NULL);
	assert(boot_cpu.current == NULL);
	assert(boot_cpu.resident == NULL);
	boot_cpu.resched = false;
	assert(fake_backend.vcpus == 0);
	fake_machine_check();
	assert(owned_count(FRAME_CORE) - tables_count(core_table.root, PAGING_LEVELS) ==
	       core_frames);
	assert(owned_count(FRAME_CORE) + owned_count(FRAME_MODULE) + frames_available() ==
	       frames_total());
}

void fake_locks_drop(void)
{
	system_lock.held = 0;
	log_lock.held = 0;
	for (u32 i = 0; i < cpu_count; i++) {
		cpu_table[i]->queue.lock.held = 0;
		memset(cpu_table[i]->locks_held, 0, sizeof(cpu_table[i]->locks_held));
	}
}
