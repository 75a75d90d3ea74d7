/* A vendor back end without a processor: tests set what it says and see what it was told. */
#pragma once

#include "core/virt/backend.h"

/* Calls during which a test may want to do something, as another processor. */
enum fake_call {
	FAKE_STATE_GET,
	FAKE_STATE_SET,
	FAKE_REGISTER_GET,
	FAKE_LEAVE,
	FAKE_OFFER,
	FAKE_INJECT
};

struct fake_backend {
	/* What it answers. */
	bool nmi_window, intr_window, interrupts_enabled, paging_is_on;
	bool step_trap; /* insn_done() says that a single-step trap is due */
	u64 cr4, efer, pat;
	u32 cpl;
	enum err vcpu_init_error;
	void (*on_run)(struct vcpu *vcpu); /* the guest */
	void (*on_call)(enum fake_call call, struct vcpu *vcpu);

	/* What it was told. */
	struct event injected; /* type EVENT_NONE: nothing */
	u32 inject_count;
	int offered;
	bool ignore_tpr;
	u32 offer_count;
	u32 insn_length; /* of the last insn_done() */
	u32 insn_count;
	u64 cr2, rflags, tsc_offset;
	u32 releases, leaves;
	u32 vcpus; /* initialised and not finished */
	struct vcpu_state state;
};

extern struct fake_backend fake_backend;

/* Makes it the machine's back end, as after power-up. */
void fake_backend_reset(void);
