/* Making and unmaking of virtual processors. */
#include "core/cpu/cpu.h"
#include "core/mem/frames.h"
#include "core/mem/heap.h"
#include "core/sys/process.h"
#include "core/trace/exit_trace.h"
#include "core/virt/engine.h"
#include "core/virt/events.h"
#include "core/virt/resident.h"
#include "lib/x86/registers.h"

/* The legacy area of XSAVE and FXSAVE; processors without XSAVE load it as it is. */
#define FPU_FCW		0
#define FPU_FCW_INIT	0x37f
#define FPU_MXCSR	24
#define FPU_MXCSR_RESET 0x1f80U

#define RESET_RIP	   0xfff0
#define RESET_CS	   0xf000
#define RESET_CS_BASE	   0xffff0000
#define TYPE_LDT	   2
#define TYPE_DATA	   3 /* read, write, accessed */
#define TYPE_READABLE_CODE 11
#define TYPE_BUSY_TSS	   11

enum err vcpu_create(struct vm *vm, u32 index)
{
	struct vcpu *v = heap_try_alloc(sizeof(*v));
	enum err err;

	if (!v)
		return ERR_NO_MEMORY;
	v->vm = vm;
	v->index = index;
	v->trace_id = vcpu_trace_id(vm->number, index);
	v->counters = &vm->counters[index];
	v->cpuid = vm->cpuid;
	v->startup = -1;
	v->eoi_pending = -1;
	v->offered = OFFER_NONE;
	v->xcr0 = XCR0_X87;
	v->dr6 = DR6_RESET;
	v->page = heap_shared_alloc(sizeof(*v->page), process_owner(vm->process));
	v->fpu = heap_try_alloc(cpu_features.xsave_bytes);
	if (!v->page || !v->fpu) {
		err = ERR_NO_MEMORY;
		goto free_parts;
	}
	*(u16 *)((u8 *)v->fpu + FPU_FCW) = FPU_FCW_INIT;
	*(u32 *)((u8 *)v->fpu + FPU_MXCSR) = FPU_MXCSR_RESET;
	msr_state_init(&v->msr);
	lapic_init(&v->lapic, index, index == 0);
	timer_init(&v->timer, vcpu_timer_fire);
	err = backend->vcpu_init(v);
	if (err)
		goto free_parts;
	vcpu_reset(v);
	if (index == 0)
		lapic_set_virtual_wire(&v->lapic);
	vcpu_detach(v); /* its thread may start on another CPU */
	vm->vcpus[index] = v;
	return ERR_OK;

free_parts:
	if (v->page)
		heap_shared_free(v->page, sizeof(*v->page));
	if (v->fpu)
		heap_free(v->fpu, cpu_features.xsave_bytes);
	heap_free(v, sizeof(*v));
	return err;
}

/* SDM, "Processor State After Reset". `cr0` says how the caches are; INIT leaves them alone. */
static void state_reset(struct vcpu_state *s, u64 cr0)
{
	const struct segment data = { .limit = 0xffff,
				      .rights = SEG_PRESENT | SEG_CODE | TYPE_DATA };

	*s = (struct vcpu_state){ .rip = RESET_RIP,
				  .rflags = RFLAGS_ONE,
				  .cr0 = (cr0 & (CR0_CD | CR0_NW)) | CR0_ET,
				  .dr6 = DR6_RESET,
				  .dr7 = DR7_RESET,
				  .gdtr.limit = 0xffff,
				  .idtr.limit = 0xffff };
	for (u32 i = 0; i < SEG_COUNT; i++)
		s->segment[i] = data;
	s->segment[SEG_CS].rights = SEG_PRESENT | SEG_CODE | TYPE_READABLE_CODE;
	s->segment[SEG_CS].selector = RESET_CS;
	s->segment[SEG_CS].base = RESET_CS_BASE;
	s->segment[SEG_LDTR].rights = SEG_PRESENT | TYPE_LDT;
	s->segment[SEG_TR].rights = SEG_PRESENT | TYPE_BUSY_TSS;
}

void vcpu_reset(struct vcpu *v)
{
	struct vcpu_state state;
	u64 *gpr = v->page->gpr;

	/* First: a start-up message may follow at once. */
	v->parked = !(v->lapic.base & APIC_BASE_BSP);
	state_reset(&state, v->init_pending ? backend->register_get(v, VCPU_CR0) : ~0ULL);
	v->init_pending = false;
	v->reinject.type = EVENT_NONE;
	v->pending.type = EVENT_NONE;
	v->triple_fault = false;
	v->halted = false;
	v->extint = -1;
	v->events = true;
	lapic_reset(&v->lapic);
	timer_set(&v->timer, TIMER_NEVER);
	resident_breakpoints_clear(v);
	backend->state_set(v, &state);
	backend->nmi_unblock(v);
	for (u32 i = 0; i < GPR_COUNT; i++)
		gpr[i] = 0;
	gpr[GPR_RDX] = v->cpuid->basic[CPUID_FEATURES].eax; /* family, model, stepping */
}

bool vcpu_start(struct vcpu *v)
{
	int page = __atomic_load_n(&v->startup, __ATOMIC_ACQUIRE); /* until the next INIT */
	struct vcpu_state state;

	if (page < 0)
		return false;
	v->parked = false; /* from now on it hears what comes behind that message */
	backend->state_get(v, &state);
	state.segment[SEG_CS].selector = (u16)(page << 8);
	state.segment[SEG_CS].base = (u64)page << 12;
	state.rip = 0;
	backend->state_set(v, &state);
	return true;
}

void vcpu_detach(struct vcpu *v)
{
	resident_evict(v);
	backend->leave(v);
}

void vcpu_destroy(struct vcpu *v)
{
	vcpu_detach(v);
	timer_set(&v->timer, TIMER_NEVER);
	backend->vcpu_fini(v);
	heap_shared_free(v->page, sizeof(*v->page));
	heap_free(v->fpu, cpu_features.xsave_bytes);
	v->vm->vcpus[v->index] = NULL;
	heap_free(v, sizeof(*v));
}
