/*
 * Events for a guest: which one goes in at the next entry, and who makes them. Priorities follow
 * SDM, "Priority Among Concurrent Events"; nesting follows "Conditions for Generating a Double
 * Fault".
 */
#include "core/virt/events.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/sched/sched.h"
#include "core/virt/engine.h"
#include "lib/x86/registers.h"

#define MSI_DESTINATION BITS64(19, 12)
#define MSI_LOGICAL	BIT64(2)
#define MSI_BASE	0xfee00000ULL
#define MSI_BASE_MASK	0xfff00000ULL
#define MSI_VECTOR	BITS64(7, 0)
#define MSI_MODE	BITS64(10, 8)
#define MSI_LEVEL	BIT64(15)

u64 vcpu_tsc(const struct vcpu *v)
{
	return rdtsc() + v->tsc_offset;
}

static void vcpu_wake(struct vcpu *v)
{
	v->events = true;
	if (v->thread)
		sched_wake_guest(v->thread);
}

static bool is_contributory(u8 vector)
{
	return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

/* Whether `second`, raised while `first` was being delivered, makes a double fault. */
static bool makes_double_fault(u8 first, u8 second)
{
	if (first == EXC_PF)
		return second == EXC_PF || is_contributory(second);
	return is_contributory(first) && is_contributory(second);
}

void vcpu_raise(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	const struct event *first = v->reinject.type != EVENT_NONE ? &v->reinject : &v->pending;

	v->events = true;
	if (first->type == EVENT_EXCEPTION && first->vector == EXC_DF) {
		v->triple_fault = true;
		return;
	}
	if (first->type == EVENT_EXCEPTION && makes_double_fault(first->vector, vector)) {
		vector = EXC_DF;
		has_error = true;
		error = 0;
	}
	/* An interrupted delivery starts over by itself when the new exception's handler returns.
	 */
	v->reinject.type = EVENT_NONE;
	v->pending = (struct event){ EVENT_EXCEPTION, vector, has_error, error };
}

/* Only the CPU where a vCPU lives touches its local APIC; others leave their interrupts here. */
static void interrupt_post(struct vcpu *v, u8 vector, bool level)
{
	__atomic_or_fetch(&v->posted[level][vector / 64], BIT64(vector % 64), __ATOMIC_RELEASE);
	__atomic_store_n(&v->posted_new, true, __ATOMIC_RELEASE);
	vcpu_wake(v);
}

static void posted_take(struct vcpu *v)
{
	__atomic_store_n(&v->posted_new, false, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < 8; i++) {
		u64 bits = __atomic_exchange_n(&v->posted[i / 4][i % 4], 0, __ATOMIC_ACQUIRE);

		for (; bits != 0; bits &= bits - 1)
			lapic_accept(&v->lapic, (u8)(64 * (i % 4) + (u32)__builtin_ctzll(bits)),
				     i >= 4);
	}
}

void vcpu_accept_interrupt(struct vcpu *v, u8 vector, bool level)
{
	if (v->thread && v->thread->home != this_cpu()) {
		interrupt_post(v, vector, level);
		return;
	}
	(void)lapic_accept(&v->lapic, vector, level);
	vcpu_wake(v); /* what is not accepted can be an error, which interrupts too */
}

static void timer_rearm(struct vcpu *v)
{
	u64 now = rdtsc();
	u64 delay = lapic_timer_delay(&v->lapic, now + v->tsc_offset);

	timer_set(&v->timer, delay == LAPIC_NEVER || now + delay < now ? TIMER_NEVER : now + delay);
}

void vcpu_timer_fire(struct timer *timer)
{
	struct vcpu *v = container_of(timer, struct vcpu, timer);

	lapic_timer_expire(&v->lapic, vcpu_tsc(v));
	v->timer_fired = true;
	vcpu_wake(v);
}

void vcpu_timer_resume(struct vcpu *v)
{
	v->timer_fired = false;
	lapic_timer_expire(&v->lapic, vcpu_tsc(v)); /* periods that have passed are one interrupt */
	timer_rearm(v);
}

struct message {
	u32 dest;
	bool logical, level;
	u8 mode, vector;
};

/* Behind an INIT a processor hears the start-up message only, and of those the first. */
static bool waits_for_startup(const struct vcpu *v)
{
	return (v->parked || v->init_pending) && v->startup < 0;
}

static void message_take(struct vcpu *v, const struct message *m)
{
	switch (m->mode) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		vcpu_accept_interrupt(v, m->vector, m->level);
		return;
	case LAPIC_NMI:
		if (!waits_for_startup(v))
			v->nmi_pending = true;
		break;
	case LAPIC_INIT:
		v->nmi_pending = false;
		__atomic_store_n(&v->startup, -1, __ATOMIC_RELEASE);
		__atomic_store_n(&v->init_pending, true, __ATOMIC_RELEASE);
		break;
	case LAPIC_STARTUP:
		if (waits_for_startup(v))
			v->startup = m->vector;
		break;
	default: /* SMI: there is no system management mode */
		return;
	}
	vcpu_wake(v);
}

/* To everyone that it names but `except`. */
static void message_deliver(struct vm *vm, const struct message *m, const struct vcpu *except)
{
	struct vcpu *lowest = NULL;

	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpus[i];

		if (v == except || !lapic_matches(&v->lapic, m->dest, m->logical))
			continue;
		if (m->mode != LAPIC_LOWEST)
			message_take(v, m);
		else if (lapic_accepts(&v->lapic) &&
			 (!lowest || lapic_ppr(&v->lapic) < lapic_ppr(&lowest->lapic)))
			lowest = v;
	}
	if (lowest)
		message_take(lowest, m);
}

static void ipi_send(struct vcpu *from, const struct lapic_ipi *ipi)
{
	const struct message m = {
		.dest = ipi->shorthand == LAPIC_TO_DEST ? ipi->dest : LAPIC_BROADCAST,
		.logical = ipi->logical,
		.mode = ipi->mode,
		.vector = ipi->vector,
	};

	if (ipi->shorthand == LAPIC_TO_SELF)
		message_take(from, &m);
	else
		message_deliver(from->vm, &m, ipi->shorthand == LAPIC_TO_OTHERS ? from : NULL);
}

void vcpu_apply_effect(struct vcpu *v, const struct lapic_effect *effect)
{
	v->events = true; /* any access may have changed what is pending */
	if (effect->what & LAPIC_EFFECT_TIMER)
		timer_rearm(v);
	if (effect->what & LAPIC_EFFECT_EOI)
		v->eoi_pending = effect->eoi_vector;
	if (effect->what & LAPIC_EFFECT_IPI)
		ipi_send(v, &effect->ipi);
}

void vm_deliver_msi(struct vm *vm, u64 address, u32 data)
{
	struct message m = {
		.dest = lapic_dest_from_u8((u8)field_get(MSI_DESTINATION, address)),
		.logical = (address & MSI_LOGICAL) != 0,
		.level = (data & MSI_LEVEL) != 0,
		.mode = (u8)field_get(MSI_MODE, data),
		.vector = (u8)field_get(MSI_VECTOR, data),
	};

	if ((address & MSI_BASE_MASK) == MSI_BASE)
		message_deliver(vm, &m, NULL);
}

void vm_set_intr_line(struct vm *vm, bool level)
{
	vm->intr_line = level;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_wake(vm->vcpus[i]);
}

static bool extint_waits(const struct vcpu *v)
{
	return v->vm->intr_line && lapic_takes_extint(&v->lapic);
}

/*
 * Decides what external interrupt to offer: the 8259's first, as a processor that takes the local
 * APIC's by itself does not come back for it. True: the VMM must acknowledge the 8259 first; never
 * behind an injected event, which must go in with this very entry.
 */
static bool interrupt_decide(struct vcpu *v, bool injected)
{
	int vector = v->extint;
	bool ignore_tpr = vector >= 0;

	if (vector < 0 && extint_waits(v)) {
		if (!injected && backend->intr_window(v))
			return true;
		vector = OFFER_WINDOW;
	} else if (vector < 0) {
		vector = lapic_requested(&v->lapic); /* the processor watches TPR */
	}
	v->offered = vector;
	backend->offer_interrupt(v, vector, ignore_tpr);
	return false;
}

bool events_prepare(struct vcpu *v)
{
	struct event *event = v->reinject.type != EVENT_NONE ? &v->reinject : &v->pending;
	bool injected = event->type != EVENT_NONE;

	if (v->posted_new)
		posted_take(v);
	if (injected) {
		backend->inject(v, event);
		event->type = EVENT_NONE;
	}
	if (v->nmi_pending && !injected && backend->nmi_window(v)) {
		v->nmi_pending = false; /* first: one that comes from now on is another */
		backend->inject(v, &(struct event){ .type = EVENT_NMI, .vector = EXC_NMI });
		injected = true;
	}
	if (v->nmi_pending || v->pending.type != EVENT_NONE)
		v->events = true;
	return interrupt_decide(v, injected);
}

void events_collect(struct vcpu *v)
{
	if (!v->offer_taken)
		return;
	v->offer_taken = false;
	v->events = true;
	v->counters->injected++;
	if (v->extint >= 0 && v->offered == v->extint)
		v->extint = -1;
	else if (v->offered >= 0)
		lapic_take(&v->lapic, (u8)v->offered);
	v->offered = OFFER_NONE;
}

bool events_wake_from_halt(struct vcpu *v)
{
	bool interrupt;

	if (v->posted_new)
		posted_take(v);
	interrupt = v->extint >= 0 || lapic_pending(&v->lapic) >= 0 || extint_waits(v);

	return v->nmi_pending || v->pending.type != EVENT_NONE ||
	       (interrupt && (backend->register_get(v, VCPU_RFLAGS) & RFLAGS_IF));
}
