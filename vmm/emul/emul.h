/*
 * The instruction emulator of a VM: finishes, against the devices and RAM of the board, an
 * instruction that the processor could not. One instance serves one vCPU for one exit.
 *
 * What it leaves to others: the processor has checked the right to use a port before the exit; the
 * core advances RIP; alignment checks (#AC), protection keys and the trap flag are not honoured.
 */
#pragma once

#include "lib/abi/vcpu.h"
#include "lib/base/types.h"
#include "lib/x86/walk.h"
#include "vmm/emul/decode.h"

/* What the board lends: guest-physical memory and ports. Ports get memory.owner as well. */
struct emul_env {
	struct guest_memory memory;
	u32 (*port_in)(void *owner, u16 port, unsigned bytes);
	void (*port_out)(void *owner, u16 port, u32 value, unsigned bytes);
};

struct emul {
	const struct vcpu_state *state;
	u64 *gpr; /* GPR_COUNT of them; changed only by what an instruction completes */
	const struct emul_env *env;
	u32 physical_bits; /* MAXPHYADDR of the guest */
};

enum emul_result {
	EMUL_DONE,	  /* finished: advance RIP by insn_length */
	EMUL_AGAIN,	  /* a repeated string instruction goes on: run again at the same RIP */
	EMUL_EXCEPTION,	  /* inject `exception`; RIP stays */
	EMUL_UNSUPPORTED, /* nothing happened; `reason` and `bytes` say why */
};

struct emul_exception {
	u32 vector; /* enum exception */
	u32 error_code;
	bool has_error;
	u64 cr2; /* with #PF */
};

struct emul_outcome {
	u32 insn_length;  /* with EMUL_DONE; else 0 or the length as far as it is known */
	bool sets_rflags; /* with EMUL_DONE */
	u64 rflags;	  /* the whole register with new status flags */
	struct emul_exception exception;
	const char *reason; /* with EMUL_UNSUPPORTED, never NULL then */
	u8 bytes[INSN_BYTES_MAX];
	u8 byte_count; /* fetched, for a log line */
};

/* Fetches, decodes and executes the instruction at CS:RIP. */
MUST_USE enum emul_result emul_step(struct emul *emul, struct emul_outcome *outcome);
