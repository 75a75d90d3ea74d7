/* The back end of host tests; its second stage uses root mode's format. */
#include "tests/support/fake_backend.h"

#include "core/mem/heap.h"
#include "core/virt/vm.h"
#include "lib/base/assert.h"
#include "lib/x86/registers.h"

struct fake_backend fake_backend;
const struct backend *backend;

static void called(enum fake_call call, struct vcpu *v)
{
	if (fake_backend.on_call)
		fake_backend.on_call(call, v);
}

static bool fake_yes(void)
{
	return true;
}

static enum err fake_cpu_on(struct cpu *cpu)
{
	(void)cpu;
	return ERR_OK;
}

static const struct paging_format *fake_stage2_format(void)
{
	return &paging_root_format;
}

static void fake_stage2_flush(struct vm *vm)
{
	(void)vm;
}

static enum err fake_vcpu_init(struct vcpu *v)
{
	if (fake_backend.vcpu_init_error)
		return fake_backend.vcpu_init_error;
	v->virt = heap_try_alloc(PAGE_SIZE);
	if (!v->virt)
		return ERR_NO_MEMORY;
	fake_backend.vcpus++;
	return ERR_OK;
}

static void fake_vcpu_fini(struct vcpu *v)
{
	heap_free(v->virt, PAGE_SIZE);
	fake_backend.vcpus--;
}

static void fake_run(struct vcpu *v)
{
	assert(fake_backend.on_run);
	fake_backend.on_run(v);
}

static bool fake_insn_done(struct vcpu *v, u32 length)
{
	(void)v;
	fake_backend.insn_length = length;
	fake_backend.insn_count++;
	return fake_backend.step_trap;
}

static void fake_state_get(struct vcpu *v, struct vcpu_state *state)
{
	called(FAKE_STATE_GET, v);
	*state = fake_backend.state;
}

static void fake_state_set(struct vcpu *v, const struct vcpu_state *state)
{
	called(FAKE_STATE_SET, v);
	fake_backend.state = *state;
}

static u64 fake_register_get(struct vcpu *v, enum vcpu_register which)
{
	called(FAKE_REGISTER_GET, v);
	switch (which) {
	case VCPU_CR0:
		return fake_backend.state.cr0 | (fake_backend.paging_is_on ? CR0_PE | CR0_PG : 0);
	case VCPU_CR2:
		return fake_backend.cr2;
	case VCPU_CR4:
		return fake_backend.cr4;
	case VCPU_RFLAGS:
		return fake_backend.rflags | (fake_backend.interrupts_enabled ? RFLAGS_IF : 0);
	case VCPU_EFER:
		return fake_backend.efer;
	case VCPU_PAT:
		return fake_backend.pat;
	default:
		return fake_backend.cpl;
	}
}

static void fake_register_set(struct vcpu *v, enum vcpu_register which, u64 value)
{
	(void)v;
	assert(which >= VCPU_CR2);
	if (which == VCPU_RFLAGS)
		fake_backend.rflags = value;
	else if (which == VCPU_EFER)
		fake_backend.efer = value;
	else if (which == VCPU_PAT)
		fake_backend.pat = value;
	else
		fake_backend.cr2 = value;
}

static void fake_leave(struct vcpu *v)
{
	called(FAKE_LEAVE, v);
	fake_backend.leaves++;
}

static void fake_release(struct cpu *cpu)
{
	(void)cpu;
	fake_backend.releases++;
}

static void fake_tsc_offset_set(struct vcpu *v, u64 offset)
{
	(void)v;
	fake_backend.tsc_offset = offset;
}

static void fake_inject(struct vcpu *v, const struct event *event)
{
	called(FAKE_INJECT, v);
	fake_backend.injected = *event;
	fake_backend.inject_count++;
}

static void fake_offer_interrupt(struct vcpu *v, int vector, bool ignore_tpr)
{
	called(FAKE_OFFER, v);
	fake_backend.offered = vector;
	fake_backend.ignore_tpr = ignore_tpr;
	fake_backend.offer_count++;
}

static bool fake_nmi_window(struct vcpu *v)
{
	(void)v;
	return fake_backend.nmi_window;
}

static void fake_nmi_unblock(struct vcpu *v)
{
	(void)v;
	fake_backend.nmi_window = true;
}

static bool fake_intr_window(struct vcpu *v)
{
	(void)v;
	return fake_backend.intr_window;
}

static const struct backend fake_operations = {
	.name = "fake",
	.matches = fake_yes,
	.preflight = fake_yes,
	.cpu_on = fake_cpu_on,
	.stage2_format = fake_stage2_format,
	.stage2_flush = fake_stage2_flush,
	.vcpu_init = fake_vcpu_init,
	.vcpu_fini = fake_vcpu_fini,
	.run = fake_run,
	.release = fake_release,
	.leave = fake_leave,
	.insn_done = fake_insn_done,
	.state_get = fake_state_get,
	.state_set = fake_state_set,
	.register_get = fake_register_get,
	.register_set = fake_register_set,
	.tsc_offset_set = fake_tsc_offset_set,
	.inject = fake_inject,
	.offer_interrupt = fake_offer_interrupt,
	.nmi_window = fake_nmi_window,
	.nmi_unblock = fake_nmi_unblock,
	.intr_window = fake_intr_window,
};

void fake_backend_reset(void)
{
	fake_backend = (struct fake_backend){ .nmi_window = true,
					      .intr_window = true,
					      .interrupts_enabled = true,
					      .offered = OFFER_NONE,
					      .pat = PAT_RESET };
	backend = &fake_operations;
}
