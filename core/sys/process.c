/* Address spaces and lives of ring-3 processes. */
#include "core/sys/process.h"

#include "core/boot/machine.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/mem/core_map.h"
#include "core/mem/heap.h"
#include "core/mem/layout.h"
#include "core/mem/window.h"
#include "core/sys/elf.h"
#include "core/trace/log.h"
#include "core/virt/vm.h"
#include "lib/abi/layout.h"
#include "lib/base/format.h"
#include "lib/x86/registers.h"

extern u64 core_pml4[512];

struct spinlock system_lock = SPINLOCK(LOCK_SYSTEM);

static struct process *processes[PROCESS_MAX];

static enum err table_alloc(void *owner, hpa_t *table)
{
	return frames_alloc(process_table_owner(owner), 1, 1, table);
}

static u64 *table_map(void *owner, hpa_t table)
{
	(void)owner;
	return window_map(WINDOW_TABLE, table);
}

struct paging_memory process_table_memory(struct process *p)
{
	return (struct paging_memory){ p, table_alloc, table_map };
}

static enum err space_init(struct process *p)
{
	enum err err;

	p->space.format = cpu_features.page_1g ? &paging_root_format_1g : &paging_root_format;
	p->space.memory = process_table_memory(p);
	err = table_alloc(p, &p->space.root);
	if (!err)
		table_map(p, p->space.root)[511] = core_pml4[511];
	return err;
}

enum err process_map(struct process *p, u64 virtual, hpa_t physical, u64 bytes, u32 flags)
{
	return paging_map(&p->space, virtual, physical, bytes, flags | MAP_USER);
}

static enum err stack_map(struct process *p, u32 thread)
{
	u64 bottom = RING3_STACK_TOP - thread * RING3_STACK_STEP - RING3_STACK_BYTES;
	hpa_t frames;
	enum err err = frames_alloc(process_owner(p), RING3_STACK_BYTES / PAGE_SIZE, 1, &frames);

	if (err)
		return err;
	return process_map(p, bottom, frames, RING3_STACK_BYTES, MAP_READ | MAP_WRITE);
}

static enum err thread_create(struct process *p, u32 index, struct vcpu *vcpu, u64 entry)
{
	struct thread *thread = heap_try_alloc(sizeof(*thread));
	u64 top = RING3_STACK_TOP - index * RING3_STACK_STEP;
	enum err err;

	if (!thread)
		return ERR_NO_MEMORY;
	err = stack_map(p, index);
	if (err) {
		heap_free(thread, sizeof(*thread));
		return err;
	}
	/* As after a call: the ABI wants RSP + 8 to be a multiple of 16. */
	thread_init(thread, p, vcpu, entry, top - 8, index);
	p->threads[index] = thread;
	if (vcpu)
		vcpu->thread = thread;
	return ERR_OK;
}

enum err process_create(const char *name, const struct boot_module *module, struct process **out)
{
	struct process *p;
	u64 entry;
	u32 number = 0;
	enum err err;

	while (number < PROCESS_MAX && processes[number])
		number++;
	if (number == PROCESS_MAX)
		return ERR_NO_MEMORY;
	p = heap_try_alloc(sizeof(*p));
	if (!p)
		return ERR_NO_MEMORY;
	p->number = number;
	p->status = PROCESS_RUNNING;
	p->share = SHARE_SUPERVISOR; /* vm_create() knows better for a VMM */
	format(p->name, sizeof(p->name), "%s", name);
	processes[number] = p;
	err = space_init(p);
	if (!err)
		err = elf_load(p, module, &entry);
	if (!err)
		err = thread_create(p, 0, NULL, entry);
	if (err) {
		process_destroy(p);
		return err;
	}
	*out = p;
	return ERR_OK;
}

enum err process_thread_start(struct process *p, u32 index, struct vcpu *vcpu, u64 entry)
{
	enum err err;

	/* Of a process that was stopped meanwhile nobody would end it. */
	if (index >= PROCESS_THREADS || p->threads[index] || p->status != PROCESS_RUNNING)
		return ERR_EXISTS;
	err = thread_create(p, index, vcpu, entry);
	if (!err)
		sched_start(p->threads[index]);
	return err;
}

void process_stop(struct process *p, enum process_status status)
{
	if (p->status != PROCESS_RUNNING)
		return;
	p->status = status;
	sched_pause(p, false); /* they run to their end */
	for (u32 i = 0; i < PROCESS_THREADS; i++) {
		if (p->threads[i])
			sched_kill(p->threads[i]);
	}
	if (p->number == 0) {
		log_error("the supervisor ended: nothing is left to run");
		machine_off(MACHINE_PANICKED);
	}
	sched_notify(process_main(process_supervisor()), NOTIFY_VM(p->vm->number));
}

void process_destroy(struct process *p)
{
	for (u32 i = 0; i < PROCESS_THREADS; i++) {
		if (!p->threads[i])
			continue;
		sched_kill(p->threads[i]);
		heap_free(p->threads[i], sizeof(struct thread));
	}
	process_leave(p);
	frames_free_all(process_owner(p));
	frames_free_all(process_table_owner(p));
	processes[p->number] = NULL;
	heap_free(p, sizeof(*p));
}

void process_load(struct process *p)
{
	if (read_cr3() != p->space.root.raw)
		write_cr3(p->space.root.raw);
}

void process_leave(const struct process *p)
{
	if (read_cr3() == p->space.root.raw)
		write_cr3(core_physical(core_pml4).raw);
}

bool process_is_over(const struct process *p)
{
	for (u32 i = 0; i < PROCESS_THREADS; i++) {
		if (p->threads[i] &&
		    __atomic_load_n(&p->threads[i]->state, __ATOMIC_ACQUIRE) != THREAD_DEAD)
			return false;
	}
	return true;
}

struct process *process_supervisor(void)
{
	return processes[0];
}

struct process *process_find(u32 number)
{
	return number < PROCESS_MAX ? processes[number] : NULL;
}

static void stop_locked(struct process *p)
{
	spin_lock(&system_lock);
	process_stop(p, PROCESS_KILLED);
	spin_unlock(&system_lock);
}

void process_fault(struct thread *thread)
{
	const struct frame *f = &thread->frame;

	log_error("%s: killed by exception %lu (error %lx, cr2 %016lx) at rip %016lx rsp %016lx",
		  thread->process->name, f->vector, f->error, read_cr2(), f->rip, f->rsp);
	log_error("  rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx", f->rax, f->rbx,
		  f->rcx, f->rdx, f->rsi, f->rdi, f->rbp);
	stop_locked(thread->process);
}

void process_kill(struct process *p, const char *why)
{
	log_error("%s: killed: %s", p->name, why);
	stop_locked(p);
}

/* The page that holds `address`, if ring 3 may use it that way. */
static bool user_page(struct process *p, u64 address, bool write, hpa_t *out)
{
	struct paging_leaf leaf;

	if (address >= LAYOUT_USER_END || !paging_find(&p->space, address, &leaf) ||
	    !(leaf.entry & PTE_USER) || (write && !(leaf.entry & PTE_WRITE)))
		return false;
	*out = leaf.physical;
	return true;
}

bool user_read(struct process *p, u64 from, void *to, u64 bytes)
{
	u8 *out = to;

	while (bytes > 0) {
		u64 step = min_u64(bytes, PAGE_SIZE - from % PAGE_SIZE);
		hpa_t at;

		if (!user_page(p, from, false, &at))
			return false;
		window_read(at, out, step);
		out += step;
		from += step;
		bytes -= step;
	}
	return true;
}

bool user_write(struct process *p, u64 to, const void *from, u64 bytes)
{
	const u8 *in = from;

	while (bytes > 0) {
		u64 step = min_u64(bytes, PAGE_SIZE - to % PAGE_SIZE);
		hpa_t at;

		if (!user_page(p, to, true, &at))
			return false;
		window_write(at, in, step);
		in += step;
		to += step;
		bytes -= step;
	}
	return true;
}
