/*
 * The page that a vCPU's VMM thread shares with the core: the guest's general registers live here,
 * the core describes each exit here, and the VMM answers here before it runs the vCPU again.
 * The core treats everything in it as the guest's own data and reads each value once.
 */
#pragma once

#include "lib/abi/vcpu_offsets.h"
#include "lib/base/types.h"

/* The order of x86 instruction encoding. */
enum gpr {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI,
	GPR_R8,
	GPR_R9,
	GPR_R10,
	GPR_R11,
	GPR_R12,
	GPR_R13,
	GPR_R14,
	GPR_R15,
	GPR_COUNT
};

enum segment_name { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* Access rights as both vendors define them, in VMX layout (SDM, "Guest Register State"). */
#define SEG_TYPE     BITS64(3, 0)
#define SEG_CODE     BIT64(4) /* S: code or data */
#define SEG_DPL	     BITS64(6, 5)
#define SEG_PRESENT  BIT64(7)
#define SEG_LONG     BIT64(13)
#define SEG_BIG	     BIT64(14)
#define SEG_GRANULAR BIT64(15)
#define SEG_UNUSABLE BIT64(16)

struct segment {
	u64 base;
	u32 limit;
	u32 rights; /* SEG_* */
	u16 selector;
	u16 pad[3];
};

struct table_register {
	u64 base;
	u16 limit;
	u16 pad[3];
};

/* The whole architectural state that a VMM sets and reads; general registers live in the page. */
struct vcpu_state {
	u64 rip, rflags;
	u64 cr0, cr2, cr3, cr4, cr8;
	u64 efer;
	u64 dr6, dr7;
	struct segment segment[SEG_COUNT];
	struct table_register gdtr, idtr;
	u64 pdpte[4]; /* set with CR3 under PAE paging, for processors that keep them; else unused
		       */
};

enum vm_exit_reason {
#define EXIT(name, text) VM_EXIT_##name,
#include "lib/abi/exit.def"
#undef EXIT
	VM_EXIT_COUNT
};

/* The text of a reason, never NULL. */
const char *vm_exit_name(u32 reason);

/* Exits of one vCPU since its VM was created; the supervisor reads them while it runs. */
struct vcpu_counters {
	u64 exits[VM_EXIT_COUNT];
	u64 to_vmm;   /* exits that the VMM had to handle */
	u64 injected; /* interrupts and exceptions given to the guest */
	/* TSC ticks, added when the thread changes between the two or loses the processor ... */
	u64 run_tsc; /* running the guest, with the exits that the core handles itself */
	u64 vmm_tsc; /* in the VMM, with its system calls */
	/* ... and these at each entry. */
	u64 core_tsc; /* the core's part of run_tsc */
};

/* Access kinds of a second-stage fault. */
#define MMIO_WRITE BIT32(0)
#define MMIO_FETCH BIT32(1)
#define MMIO_EVENT BIT32(2) /* while an event was delivered: no instruction made this access */

/* What asked for a task switch, as the processor numbers it. */
enum task_source { TASK_CALL, TASK_IRET, TASK_JUMP, TASK_GATE /* in the IDT */ };

struct vm_exit {
	u32 reason;	 /* enum vm_exit_reason */
	u32 insn_length; /* of the exiting instruction; 0: none, or the VMM decodes it */
	union {
		struct {
			u16 port;
			u8 size;   /* bytes: 1, 2, 4 */
			u8 in;	   /* 1: IN or INS */
			u8 string; /* 1: INS or OUTS: the VMM decodes and emulates it */
			u8 pad[3];
			u32 value; /* of OUT */
		} io;
		struct {
			u64 gpa;
			u32 access; /* MMIO_* */
		} mmio;
		struct {
			u32 index;
			u32 write; /* 1: WRMSR */
			u64 value;
		} msr;
		struct {
			u16 selector; /* of the new task's TSS */
			u8 source;    /* enum task_source */
			u8 external;  /* 1: an interrupt or exception, so error codes get EXT */
			u32 has_error;
			u64 error; /* to push for the exception */
		} task;
		struct {
			u64 value;
		} cr8;
		struct {
			u32 offset;
		} apic;
		struct {
			u32 index;
			u32 pad;
			u64 value;
		} xsetbv;
		struct {
			u32 vector;
			u32 has_error;
			u64 error;
			u64 cr2_or_dr6; /* #PF: CR2; #DB: DR6 bits */
		} exception;
		struct {
			u32 vector;
		} eoi;
		struct {
			u64 code, info1, info2;
		} unknown;
	};
};

enum vcpu_reply {
	VCPU_REPLY_NONE,      /* run on at the same instruction */
	VCPU_REPLY_DONE,      /* the instruction of insn_length bytes is finished */
	VCPU_REPLY_EXCEPTION, /* inject vector, with error_code if has_error; #PF: also cr2 */
	VCPU_REPLY_INTR,      /* the 8259's vector for VM_EXIT_INTR_ACK */
	VCPU_REPLY_SWITCHED,  /* the new task's state is set; what asked for the switch is done */
	VCPU_REPLY_SWITCHED_TRAP, /* the same, and the new task starts with a debug trap */
	VCPU_REPLY_COUNT
};

struct vcpu_page {
	u64 gpr[GPR_COUNT]; /* RSP included; valid whenever the vCPU is not running */

	/* Core to VMM, valid after vcpu_run. */
	struct vm_exit exit;
	/* At an MMIO, string-I/O or task-switch exit, for the emulator. */
	struct vcpu_state state;

	/* VMM to core, read once by the next vcpu_run. */
	u32 reply; /* enum vcpu_reply */
	u32 insn_length;
	u32 vector;
	u32 has_error;
	u32 error_code;
	u32 set_rflags; /* 1: also set RFLAGS' status bits from `rflags` (emulated arithmetic) */
	u64 rflags;
	u64 cr2;
};

static_assert(sizeof(struct vcpu_page) <= PAGE_SIZE, "one page a vCPU");
static_assert(offsetof(struct vcpu_page, gpr) == 0, "assembly");
static_assert(GPR_OFFSET_R15 == 8 * GPR_R15 && GPR_OFFSET_RDI == 8 * GPR_RDI, "assembly");
