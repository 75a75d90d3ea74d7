/*
 * The last exits of each CPU, for panics and for whoever watches. Written on every exit, by the
 * CPU that owns it, with a handful of instructions and no lock.
 */
#pragma once

#include "lib/abi/vcpu.h"
#include "lib/base/types.h"

#define EXIT_TRACE_RECORDS 64

struct exit_record {
	u32 tsc_low, tsc_high;
	u64 detail; /* the first of vm_exit's facts about this reason */
	u32 reason; /* enum vm_exit_reason */
	u32 vcpu;   /* vcpu_trace_id() */
	u64 pad;
};

#define EXIT_RECORD_WORDS (sizeof(struct exit_record) / sizeof(u64))

struct exit_trace {
	union {
		struct exit_record record[EXIT_TRACE_RECORDS];
		u64 words[EXIT_TRACE_RECORDS * EXIT_RECORD_WORDS];
	};
	u8 next; /* where in `words` the oldest record is */
};

static_assert(EXIT_TRACE_RECORDS * EXIT_RECORD_WORDS == 256, "`next` wraps by itself");

/* What stands for a vCPU in records. */
static inline u32 vcpu_trace_id(u32 vm_number, u32 vcpu_index)
{
	return vm_number << 16 | vcpu_index;
}

static inline void exit_trace_add(struct exit_trace *trace, u32 vcpu, u32 reason, u64 detail)
{
	struct exit_record *record = (struct exit_record *)(void *)&trace->words[trace->next];

	trace->next += EXIT_RECORD_WORDS;
	record->vcpu = vcpu;
	record->reason = reason;
	record->detail = detail;
	__asm__ volatile("rdtsc" : "=a"(record->tsc_low), "=d"(record->tsc_high));
}

/* Logs the last `count` exits before TSC `now`, the latest last. */
void exit_trace_log(const struct exit_trace *trace, u32 count, u64 now);
