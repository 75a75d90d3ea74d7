/*
 * The seam between the engine and a vendor: decoded facts cross it, never raw fields. Each vendor
 * fills one table; nothing else in the tree tests for a vendor.
 */
#pragma once

#include "core/mem/paging.h"
#include "core/trace/log.h"
#include "lib/abi/vcpu.h"
#include "lib/base/err.h"
#include "lib/x86/event.h"

struct cpu;
struct vcpu;
struct vm;

/* External interrupts are offered, not injected: their number is free. */
#define EVENT_NONE EVENT_INTERRUPT

/* An exception or NMI for the guest. */
struct event {
	u8 type; /* enum event_type */
	u8 vector;
	bool has_error;
	u32 error;
};

static inline u64 event_encode(const struct event *event)
{
	return EVENT_VALID | (event->has_error ? EVENT_ERROR_VALID : 0) |
	       field_set(EVENT_TYPE, event->vector, event->type);
}

/* What to inject again: INT n, INT1, INT3 and INTO run again, an interrupt was not taken. */
static inline struct event event_decode(u64 info, u64 error)
{
	u8 type = (u8)field_get(EVENT_TYPE, info);

	return (struct event){
		.type = type == EVENT_NMI || type == EVENT_EXCEPTION ? type : EVENT_NONE,
		.vector = (u8)field_get(EVENT_VECTOR, info),
		.has_error = (info & EVENT_ERROR_VALID) != 0,
		.error = (u32)error,
	};
}

/* Registers that handlers read one by one. From CR2 on they can be written. */
enum vcpu_register { VCPU_CR0, VCPU_CR4, VCPU_CPL, VCPU_CR2, VCPU_RFLAGS, VCPU_EFER, VCPU_PAT };

#define OFFER_NONE   (-1)
#define OFFER_WINDOW (-2)

struct backend {
	const char *name;
	/* Whether this vendor's CPUID tells of cores in leaves 80000000h and up, not in leaf 4. */
	bool extended_topology;

	/* Whether this processor is this vendor's. */
	bool (*matches)(void);
	/* Logs one line with its remedy for each thing missing; true when nothing is. */
	bool (*preflight)(void);
	/* Root mode on this CPU; the first call also makes the permission maps. */
	enum err (*cpu_on)(struct cpu *cpu);

	/* The second stage's table format; its root is in vm->stage2. */
	const struct paging_format *(*stage2_format)(void);
	/* All of a VM's cached translations are stale on this CPU. */
	void (*stage2_flush)(struct vm *vm);

	enum err (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_fini)(struct vcpu *vcpu);

	/* Enters the guest; comes back with vcpu->exit filled, and vcpu->reinject or offer_taken,
	 * with vcpu->events, where there is something in them. Interrupts are off before and after;
	 * one that ended the run has been taken, or is pending. */
	void (*run)(struct vcpu *vcpu);
	/* Ring 3 runs next, or another vCPU: registers that they use or change are root mode's. */
	void (*release)(struct cpu *cpu);
	/* Another CPU may run the vCPU next: nothing of it stays on this one. */
	void (*leave)(struct vcpu *vcpu);
	/* The instruction that exited is finished: past it, out of its interrupt shadow. True: a
	 * single-step trap is due, and DR6 says so. */
	bool (*insn_done)(struct vcpu *vcpu, u32 length);

	/* Sets every field, PDPTEs only if the processor keeps them; leaves the padding. */
	void (*state_get)(struct vcpu *vcpu, struct vcpu_state *state);
	void (*state_set)(struct vcpu *vcpu, const struct vcpu_state *state);
	/* The few single registers that handlers need. */
	u64 (*register_get)(struct vcpu *vcpu, enum vcpu_register which);
	void (*register_set)(struct vcpu *vcpu, enum vcpu_register which, u64 value);
	void (*tsc_offset_set)(struct vcpu *vcpu, u64 offset);

	/* Gives an exception or NMI to the guest at the next entry. */
	void (*inject)(struct vcpu *vcpu, const struct event *event);
	/*
	 * Offers an external interrupt: the guest takes it when IF, shadow and TPR allow, without
	 * an exit where hardware can. Whether it was taken shows after the next run in
	 * vcpu->offer_taken. OFFER_WINDOW: no vector, but an exit as soon as one could be taken.
	 * Anything may have changed in vcpu->lapic, the mode too. A processor that takes interrupts
	 * from its page by itself leaves nothing on offer: vcpu->offered becomes OFFER_NONE.
	 */
	void (*offer_interrupt)(struct vcpu *vcpu, int vector, bool ignore_tpr);
	/* Whether the guest could take an NMI now; if not, an exit will come when it can. */
	bool (*nmi_window)(struct vcpu *vcpu);
	/* The guest is in no NMI handler any more, because it was reset. */
	void (*nmi_unblock)(struct vcpu *vcpu);
	/* Whether the guest could take an external interrupt right now. */
	bool (*intr_window)(struct vcpu *vcpu);
};

static_assert(sizeof(struct backend) / sizeof(void *) <= 2 + 22, "the seam stays narrow");

/* The back end of this machine, chosen once at boot. */
extern const struct backend *backend;

/* Chooses it and runs its preflight; false: nothing here can run a VM, and the log says why. */
bool backend_select(void);

/* For preflight(): logs what is missing and what to do about it. */
static inline bool require(bool present, const char *missing, const char *remedy)
{
	if (!present)
		log_error("this machine lacks %s: %s", missing, remedy);
	return present;
}
