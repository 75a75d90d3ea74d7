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
	v->extint = -1;
	v->eoi_pending = -1;
	v->offered = OFFER_NONE;
	v->events = true;
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
	if (index == 0)
		lapic_set_virtual_wire(&v->lapic);
	timer_init(&v->timer, vcpu_timer_fire);
	err = backend->vcpu_init(v);
	if (err)
		goto free_parts;
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

void vcpu_destroy(struct vcpu *v)
{
	resident_evict(v);
	timer_set(&v->timer, TIMER_NEVER);
	backend->vcpu_fini(v);
	heap_shared_free(v->page, sizeof(*v->page));
	heap_free(v->fpu, cpu_features.xsave_bytes);
	v->vm->vcpus[v->index] = NULL;
	heap_free(v, sizeof(*v));
}
