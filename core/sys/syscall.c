/* System calls: checks first, then an action that cannot half-fail. */
#include "core/sys/syscall.h"

#include "core/boot/acpi.h"
#include "core/boot/boot_info.h"
#include "core/boot/clock.h"
#include "core/boot/machine.h"
#include "core/boot/screen.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/serial.h"
#include "core/mem/audit.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/sys/vm_sys.h"
#include "core/trace/log.h"
#include "core/virt/engine.h"
#include "core/virt/state_check.h"
#include "lib/abi/layout.h"
#include "lib/base/format.h"

enum caller { ANY, VMM, SUPERVISOR };

typedef u64 (*syscall_handler)(struct thread *t, u64 a, u64 b, u64 c);

static u64 sys_exit(struct thread *t, u64 status, u64 b, u64 c)
{
	(void)b, (void)c;
	if (status != 0)
		log_warning("%s: ended with status %lu", t->process->name, status);
	process_stop(t->process, PROCESS_EXITED);
	return 0;
}

static u64 sys_wait(struct thread *t, u64 deadline, u64 b, u64 c)
{
	(void)b, (void)c;
	t->waits = true; /* the result comes when it runs again */
	if (deadline <= rdtsc()) {
		sched_end_turn();
		return t->frame.rax;
	}
	sched_set_deadline(t, deadline);
	if (!sched_must_leave(t))
		sched_block(t);
	return t->frame.rax;
}

static u64 sys_notify(struct thread *t, u64 number, u64 b, u64 c)
{
	struct vm *vm = t->process->vm;

	(void)b, (void)c;
	if (vm) {
		sched_notify(process_main(process_supervisor()), NOTIFY_VM(vm->number));
		return ERR_OK;
	}
	vm = vm_find(number);
	if (!vm)
		return ERR_NOT_FOUND;
	sched_notify(process_main(vm->process), NOTIFY_SUPERVISOR);
	return ERR_OK;
}

static u64 sys_log(struct thread *t, u64 text, u64 bytes, u64 c)
{
	struct vm *vm = t->process->vm;
	char line[LOG_TEXT_MAX + 1];

	(void)c;
	if (bytes > LOG_TEXT_MAX || !user_read(t->process, text, line, bytes))
		return ERR_FAULT;
	for (u64 i = 0; i < bytes; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	line[bytes] = '\0';
	if (!vm) {
		log_notice("%s", line);
		return ERR_OK;
	}
	if (!log_limit_take(&vm->log, vm->name))
		return ERR_AGAIN;
	log_notice("%s: %s", vm->name, line);
	return ERR_OK;
}

static u64 sys_vcpu_run(struct thread *t, u64 deadline, u64 b, u64 c)
{
	(void)b, (void)c;
	if (!engine_take_reply(t->vcpu)) {
		process_kill(t->process, "its answer to an exit breaks the contract");
		return ERR_INVALID;
	}
	sched_set_deadline(t, deadline);
	t->in_guest = true;
	return t->frame.rax;
}

/* A vCPU of the caller's VM that is not running: its own, or one that was never started, which the
 * system's lock keeps so. */
static struct vcpu *vcpu_named(struct thread *t, u64 index)
{
	struct vm *vm = t->process->vm;
	struct vcpu *v = index < vm->vcpu_count ? vm->vcpus[index] : NULL;

	return v && (v == t->vcpu || !v->thread) ? v : NULL;
}

static u64 sys_vcpu_get_state(struct thread *t, u64 index, u64 out, u64 c)
{
	struct vcpu *v = vcpu_named(t, index);
	struct vcpu_state state = { 0 }; /* its padding goes to ring 3 as well */

	(void)c;
	if (!v)
		return ERR_NOT_FOUND;
	backend->state_get(v, &state);
	if (v != t->vcpu)
		vcpu_detach(v);
	return user_write(t->process, out, &state, sizeof(state)) ? ERR_OK : ERR_FAULT;
}

static u64 sys_vcpu_set_state(struct thread *t, u64 index, u64 in, u64 c)
{
	struct vcpu *v = vcpu_named(t, index);
	struct vcpu_state state;

	(void)c;
	if (!v)
		return ERR_NOT_FOUND;
	if (!user_read(t->process, in, &state, sizeof(state)))
		return ERR_FAULT;
	if (!state_is_runnable(&state))
		return ERR_INVALID;
	backend->state_set(v, &state);
	if (v != t->vcpu)
		vcpu_detach(v);
	return ERR_OK;
}

static u64 sys_apic_read(struct thread *t, u64 offset, u64 b, u64 c)
{
	(void)b, (void)c;
	t->vcpu->events = true; /* where nothing is, it is an error, which can interrupt */
	return lapic_mmio_read(&t->vcpu->lapic, offset & 0xfff, vcpu_tsc(t->vcpu));
}

static u64 sys_apic_write(struct thread *t, u64 offset, u64 value, u64 c)
{
	struct lapic_effect effect = { 0 };

	(void)c;
	lapic_mmio_write(&t->vcpu->lapic, offset & 0xfff, (u32)value, vcpu_tsc(t->vcpu), &effect);
	vcpu_apply_effect(t->vcpu, &effect);
	return ERR_OK;
}

static u64 sys_msi(struct thread *t, u64 address, u64 data, u64 c)
{
	(void)c;
	vm_deliver_msi(t->process->vm, address, (u32)data);
	return ERR_OK;
}

static u64 sys_intr_line(struct thread *t, u64 level, u64 b, u64 c)
{
	(void)b, (void)c;
	vm_set_intr_line(t->process->vm, level != 0);
	return ERR_OK;
}

static u64 sys_thread_start(struct thread *t, u64 index, u64 entry, u64 c)
{
	struct vm *vm = t->process->vm;

	(void)c;
	/* A return to an address that is not canonical would fault in the core. */
	if (index >= vm->vcpu_count || vm->vcpus[index]->thread || entry >= LAYOUT_USER_END)
		return ERR_INVALID;
	return process_thread_start(t->process, (u32)index, vm->vcpus[index], entry);
}

static u64 sys_module_info(struct thread *t, u64 index, u64 out, u64 c)
{
	struct module_info info = { 0 };
	const struct boot_module *m;

	(void)c;
	if (index >= boot_info.module_count)
		return ERR_NOT_FOUND;
	m = &boot_info.module[index];
	static_assert(sizeof(info.name) == sizeof(m->name), "names are the same size");
	__builtin_memcpy(info.name, m->name, sizeof(info.name));
	info.bytes = m->bytes;
	if (m == boot_module_find("manifest"))
		info.address = SUPERVISOR_MODULE_BASE;
	return user_write(t->process, out, &info, sizeof(info)) ? ERR_OK : ERR_FAULT;
}

static u64 sys_vm_create(struct thread *t, u64 in, u64 out, u64 c)
{
	struct vm_request request;
	u32 number;
	enum err err;

	(void)c;
	if (!user_read(t->process, in, &request, sizeof(request)))
		return ERR_FAULT;
	err = vm_create(&request, &number);
	if (err)
		return err;
	if (!user_write(t->process, out, &number, sizeof(number)))
		return vm_destroy(vm_find(number)) ? ERR_AGAIN : ERR_FAULT;
	return ERR_OK;
}

static u64 sys_vm_ram_add(struct thread *t, u64 number, u64 b, u64 c)
{
	struct vm *vm = vm_find(number);

	(void)t, (void)b, (void)c;
	return vm ? vm_ram_add(vm) : ERR_NOT_FOUND;
}

/* The core's option "audit": what the tests run under. */
static void audit_if_asked(void)
{
	if (boot_option("audit") && audit_run() > 0)
		panic("an address space leads where it must not, see above");
}

static u64 sys_audit(struct thread *t, u64 a, u64 b, u64 c)
{
	(void)t, (void)a, (void)b, (void)c;
	return audit_run();
}

static u64 sys_vm_start(struct thread *t, u64 number, u64 b, u64 c)
{
	struct vm *vm = vm_find(number);

	(void)t, (void)b, (void)c;
	if (!vm)
		return ERR_NOT_FOUND;
	if (process_main(vm->process)->state != THREAD_NEW)
		return ERR_EXISTS;
	sched_start(process_main(vm->process));
	audit_if_asked();
	return ERR_OK;
}

static u64 sys_vm_status(struct thread *t, u64 number, u64 b, u64 c)
{
	const struct vm *vm = vm_find(number);

	(void)t, (void)b, (void)c;
	return vm ? vm->process->status : PROCESS_NONE;
}

static u64 sys_vm_destroy(struct thread *t, u64 number, u64 b, u64 c)
{
	struct vm *vm = vm_find(number);

	(void)t, (void)b, (void)c;
	if (!vm)
		return ERR_NOT_FOUND;
	audit_if_asked();
	return vm_destroy(vm);
}

static u64 sys_console_get(struct thread *t, u64 a, u64 b, u64 c)
{
	u8 byte;
	bool there;

	(void)t, (void)a, (void)b, (void)c;
	spin_lock(&log_lock);
	there = serial_get(&byte);
	spin_unlock(&log_lock);
	return there ? byte : ~0ULL;
}

static u64 sys_console_put(struct thread *t, u64 packed, u64 count, u64 screen)
{
	u8 bytes[sizeof(packed)];
	u32 taken;

	(void)t;
	__builtin_memcpy(bytes, &packed, sizeof(bytes));
	spin_lock(&log_lock);
	taken = serial_write(bytes, (u32)min_u64(count, sizeof(bytes)));
	for (u32 i = 0; screen && i < taken; i++)
		screen_put(bytes[i]);
	spin_unlock(&log_lock);
	return taken;
}

static u64 sys_machine_info(struct thread *t, u64 out, u64 b, u64 c)
{
	struct machine_info info = {
		.tsc_khz = tsc_khz,
		.wall_clock_s = clock_boot_seconds,
		.tsc_start = clock_boot_tsc,
		.memory_total = frames_total() * PAGE_SIZE,
		.memory_free = frames_available() * PAGE_SIZE,
		.cpus = cpu_count,
		.quiet = boot_option("quiet"),
	};

	(void)b, (void)c;
	format(info.root_mode, sizeof(info.root_mode), "%s", backend->name);
	return user_write(t->process, out, &info, sizeof(info)) ? ERR_OK : ERR_FAULT;
}

static u64 sys_machine_off(struct thread *t, u64 end, u64 b, u64 c)
{
	(void)t, (void)b, (void)c;
	spin_lock(&system_lock);
	audit_if_asked();
	spin_unlock(&system_lock);
	if (boot_option("audit"))
		log_info("audit: no address space leads where it must not");
	machine_off(end == 0 ? MACHINE_DONE : end == 1 ? MACHINE_VM_FAILED : MACHINE_REFUSED);
}

static u64 sys_vm_pause(struct thread *t, u64 number, u64 paused, u64 c)
{
	struct vm *vm = vm_find(number);

	(void)t, (void)c;
	if (vm)
		sched_pause(vm->process, paused != 0);
	return vm ? ERR_OK : ERR_NOT_FOUND;
}

static u64 sys_log_read(struct thread *t, u64 at, u64 b, u64 c)
{
	struct log_part part = { 0 };

	(void)b, (void)c;
	if (!user_read(t->process, at, &part.from, sizeof(part.from)))
		return ERR_FAULT;
	spin_lock(&log_lock);
	part.bytes = log_read(&part.from, part.text, sizeof(part.text));
	spin_unlock(&log_lock);
	return user_write(t->process, at, &part, sizeof(part)) ? ERR_OK : ERR_FAULT;
}

static u64 sys_cpu_info(struct thread *t, u64 index, u64 out, u64 c)
{
	struct cpu_info info;

	(void)c;
	if (index >= cpu_count)
		return ERR_NOT_FOUND;
	info = cpu_table[index]->info;
	info.apic_id = cpu_table[index]->apic_id;
	if (!cpu_table[index]->current) /* it books that when it wakes */
		info.idle_tsc += rdtsc() - cpu_table[index]->booked;
	return user_write(t->process, out, &info, sizeof(info)) ? ERR_OK : ERR_FAULT;
}

/* Those that make, end or look at what processors share; other calls touch their own thread only.
 */
#define is_locked(number)                                                      \
	((number) == SYSCALL_exit || (number) == SYSCALL_thread_start ||       \
	 (number) == SYSCALL_vm_pause || (number) == SYSCALL_vcpu_get_state || \
	 (number) == SYSCALL_vcpu_set_state || (number) == SYSCALL_audit ||    \
	 ((number) >= SYSCALL_vm_create && (number) <= SYSCALL_vm_destroy))

static const struct {
	syscall_handler handler;
	enum caller caller;
	bool locked; /* under system_lock */
} calls[SYSCALL_COUNT] = {
#define SYSCALL(number, name, who) [number] = { sys_##name, who, is_locked(SYSCALL_##name) },
#include "lib/abi/syscall.def"
#undef SYSCALL
};

static bool caller_is(const struct process *p, enum caller caller)
{
	return caller == ANY || (caller == VMM) == (p->vm != NULL);
}

void syscall_dispatch(struct thread *t)
{
	struct frame *f = &t->frame;
	u64 number = f->rax;

	if (number >= SYSCALL_COUNT || !caller_is(t->process, calls[number].caller)) {
		f->rax = ERR_DENIED;
		return;
	}
	if (calls[number].locked)
		spin_lock(&system_lock);
	f->rax = calls[number].handler(t, f->rdi, f->rsi, f->rdx);
	if (calls[number].locked)
		spin_unlock(&system_lock);
}
