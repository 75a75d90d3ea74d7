/* The last exits of a processor: written by the core on every exit, read by the supervisor. */
#pragma once

#include "lib/abi/vcpu.h"
#include "lib/base/types.h"

#define EXIT_TRACE_RECORDS 64

struct exit_record {
	u32 tsc_low, tsc_high; /* both zero: nothing was recorded here yet */
	u64 detail;	       /* the first of vm_exit's facts about this reason */
	u32 reason;	       /* enum vm_exit_reason */
	u32 pad;  /* or a compiler puts reason and vCPU together before it stores them */
	u32 vcpu; /* vcpu_trace_id() */
	u32 pad2;
};

#define EXIT_RECORD_WORDS (sizeof(struct exit_record) / sizeof(u64))

struct exit_trace {
	union {
		struct exit_record record[EXIT_TRACE_RECORDS];
		u64 words[EXIT_TRACE_RECORDS * EXIT_RECORD_WORDS];
	};
	u8 next; /* where in `words` the oldest record is */
	u8 pad[7];
};

static_assert(EXIT_TRACE_RECORDS * EXIT_RECORD_WORDS == 256, "`next` wraps by itself");

/* What stands for a vCPU in records. */
static inline u32 vcpu_trace_id(u32 vm_number, u32 vcpu_index)
{
	return vm_number << 16 | vcpu_index;
}

static inline u32 exit_record_vm(const struct exit_record *record)
{
	return record->vcpu >> 16;
}

static inline u32 exit_record_vcpu(const struct exit_record *record)
{
	return record->vcpu & 0xffff;
}

static inline u64 exit_record_tsc(const struct exit_record *record)
{
	return (u64)record->tsc_high << 32 | record->tsc_low;
}

/* The record `back` before the next one: 1 is the latest, EXIT_TRACE_RECORDS the oldest. */
static inline const struct exit_record *exit_trace_at(const struct exit_trace *trace, u32 back)
{
	return &trace->record[(trace->next / EXIT_RECORD_WORDS - back) % EXIT_TRACE_RECORDS];
}

/* Reason and detail as text for people. */
void exit_record_describe(const struct exit_record *record, char *out, size_t bytes);
