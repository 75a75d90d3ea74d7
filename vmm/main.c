/* A VMM's threads, one a vCPU: exits, and everything the VM's devices have to do in time. */
#include "vmm/vmm.h"

#include "lib/abi/layout.h"
#include "lib/base/format.h"
#include "lib/base/mul_div.h"
#include "lib/ring3/ring3.h"
#include "lib/x86/registers.h"
#include "vmm/board/e820.h"
#include "vmm/board/memory_map.h"

static struct vmm vmm;

void vmm_end(struct vmm *v, enum vm_end end, u32 status, const char *text, ...)
{
	va_list args;

	va_start(args, text);
	format_va(v->channel->reason, sizeof(v->channel->reason), text, args);
	va_end(args);
	v->channel->status = status;
	__atomic_store_n(&v->channel->end, (u32)end, __ATOMIC_RELEASE);
	ring3_exit(0);
}

u64 vmm_clock_ns(const struct vmm *v)
{
	return mul_div(ring3_tsc() - v->tsc_base, 1000000, v->tsc_khz);
}

u64 vmm_tsc_at(const struct vmm *v, u64 clock_ns)
{
	u64 ticks = mul_div(clock_ns, v->tsc_khz, 1000000);

	if (clock_ns == DEV_NEVER || ticks >= WAIT_FOREVER - v->tsc_base)
		return WAIT_FOREVER;
	return v->tsc_base + ticks + 1;
}

u8 *vmm_ram(const struct vmm *v, gpa_t gpa, u64 bytes)
{
	u64 above = gpa.raw - MAP_HIGH_RAM;
	bool in_low = gpa.raw <= v->low_ram_end && bytes <= v->low_ram_end - gpa.raw;
	bool in_high = above <= v->high_ram_bytes && bytes <= v->high_ram_bytes - above;

	if (in_low && gpa.raw < VM_VGA_HOLE_END && gpa.raw + bytes > VM_VGA_HOLE)
		return NULL; /* mapped here, but not to the guest */
	return in_low || in_high ? (u8 *)(VMM_RAM_BASE + gpa.raw) : NULL;
}

static void console_input(struct vmm *v)
{
	struct ring *ring = &v->channel->to_guest;
	u8 byte;

	while (ring_used(ring) > 0 && uart16550_can_receive(&v->board.com1) &&
	       ring_get(ring, &byte)) {
		if (!board_console_input(&v->board, byte))
			break;
	}
}

/* The host TSC when the board wants to be called; converted when it changes, not at every exit. */
static u64 deadline_tsc(struct vmm *v)
{
	u64 deadline_ns = board_next_deadline(&v->board);

	if (deadline_ns != v->deadline_ns) {
		v->deadline_ns = deadline_ns;
		v->deadline_tsc = vmm_tsc_at(v, deadline_ns);
	}
	return v->deadline_tsc;
}

/* Everything that is due before the vCPU runs on. */
static void devices_run(struct vmm *v)
{
	while (deadline_tsc(v) <= ring3_tsc())
		board_run_timers(&v->board);
	console_input(v);
	if (v->button != v->channel->button) {
		v->button = v->channel->button;
		board_power_button(&v->board);
	}
	if (v->console_full && ring_used(&v->channel->from_guest) < RING_BYTES / 2) {
		v->console_full = false;
		board_console_ready(&v->board);
	}
	if (v->output_new) {
		v->output_new = false;
		syscall1(SYSCALL_notify, 0);
	}
}

/* CPUID in ring 3 is the processor's own; a guest is told the same width. */
static u32 physical_bits(void)
{
	u32 eax = CPUID_EXT_ADDRESS, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return (u32)field_get(CPUID_EXT8_EAX_PHYSICAL, eax);
}

/* Others that are ready go first. A notification that this takes was for devices_run(). */
static void others_first(void)
{
	syscall1(SYSCALL_wait, 0);
}

/*
 * One lock for the whole VMM. A thread that does not get it ends its turn: the holder may be
 * waiting for this very processor. Who had it last lets those go first that have tried in vain: one
 * whose guest does nothing but touch devices has it nearly always when its turn ends.
 */
static void vmm_lock(struct vmm *v, u64 index)
{
	if (__atomic_load_n(&v->waiters, __ATOMIC_RELAXED) > 0 &&
	    __atomic_load_n(&v->holder, __ATOMIC_RELAXED) == index)
		others_first();
	if (__atomic_exchange_n(&v->lock, 1, __ATOMIC_ACQUIRE) != 0) {
		__atomic_fetch_add(&v->waiters, 1, __ATOMIC_RELAXED);
		do {
			others_first();
		} while (__atomic_exchange_n(&v->lock, 1, __ATOMIC_ACQUIRE) != 0);
		__atomic_fetch_sub(&v->waiters, 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&v->holder, index, __ATOMIC_RELAXED);
}

static void vmm_unlock(struct vmm *v)
{
	__atomic_store_n(&v->lock, 0, __ATOMIC_RELEASE);
}

/*
 * When this thread has to come back for the board. One thread is enough, whoever asked for the
 * nearest time: a chip that is set for an earlier one is set by the thread that carries that.
 */
static u64 deadline_carry(struct vmm *v, u64 index)
{
	u64 deadline = deadline_tsc(v);

	if (deadline >= v->carried_tsc)
		return WAIT_FOREVER;
	v->carrier = index;
	v->carried_tsc = deadline;
	return deadline;
}

static void deadline_lay_down(struct vmm *v, u64 index)
{
	if (v->carrier == index)
		v->carried_tsc = WAIT_FOREVER;
}

/* The life of a vCPU's thread, which holds the lock when it comes here. */
static NORETURN void vcpu_loop(struct vmm *v, u64 index)
{
	struct vmm_vcpu vcpu = { v, index,
				 (struct vcpu_page *)(VMM_VCPU_BASE + index * PAGE_SIZE) };

	for (;;) {
		u64 deadline;

		devices_run(v);
		deadline = deadline_carry(v, index);
		vmm_unlock(v);
		syscall1(SYSCALL_vcpu_run, deadline);
		vmm_lock(v, index);
		deadline_lay_down(v, index);
		exit_handle(&vcpu);
	}
}

/* Where the thread of another vCPU begins; the core gives its index. */
static NORETURN void vcpu_main(u64 index)
{
	vmm_lock(&vmm, index);
	vcpu_loop(&vmm, index);
}

/* They wait for their start-up message. */
static void vcpus_start(struct vmm *v)
{
	for (u64 i = 1; i < v->channel->config.vm.cpus; i++) {
		if (syscall2(SYSCALL_thread_start, i, (u64)vcpu_main))
			vmm_end(v, VM_END_CRASH, 0, "no memory for the thread of processor %lu", i);
	}
}

int main(void)
{
	vmm.channel = (struct vm_channel *)VMM_CHANNEL_BASE;
	vmm.tsc_khz = vmm.channel->config.tsc_khz;
	vmm.tsc_base = ring3_tsc();
	vmm.low_ram_end = e820_low_ram_end(vmm.channel->config.vm.memory_bytes);
	vmm.high_ram_bytes = e820_high_ram_bytes(vmm.channel->config.vm.memory_bytes);
	vmm.physical_bits = physical_bits();
	vmm.deadline_ns = DEV_NEVER;
	vmm.deadline_tsc = WAIT_FOREVER;
	vmm.carried_tsc = WAIT_FOREVER;
	vmm_lock(&vmm, 0);
	vmm_boot(&vmm);
	vcpus_start(&vmm);
	vcpu_loop(&vmm, 0);
}
