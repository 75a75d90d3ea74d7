/*
 * The last exits of each CPU, for panics and for whoever watches. Written on every exit, by the
 * CPU that owns it, with a handful of instructions and no lock.
 */
#pragma once

#include "core/cpu/insn.h"
#include "lib/abi/exit_trace.h"

/* Returns the low half of its TSC. */
static inline u32 exit_trace_add(struct exit_trace *trace, u32 vcpu, u32 reason, u64 detail)
{
	struct exit_record *record = (struct exit_record *)(void *)&trace->words[trace->next];

	trace->next += EXIT_RECORD_WORDS;
	record->vcpu = vcpu;
	record->reason = reason;
	record->detail = detail;
	rdtsc_halves(&record->tsc_low, &record->tsc_high);
	return record->tsc_low;
}

/* Logs the last `count` exits before TSC `now`, the latest last. */
void exit_trace_log(const struct exit_trace *trace, u32 count, u64 now);
