/* Exit records as lines for people. */
#include "core/trace/exit_trace.h"

#include "core/cpu/apic.h"
#include "core/sys/vm_sys.h"
#include "core/trace/log.h"

#define EXIT_TEXT_BYTES 64

void exit_trace_log(const struct exit_trace *trace, u32 count, u64 now)
{
	for (u32 back = count; back > 0; back--) {
		const struct exit_record *record = exit_trace_at(trace, back);
		const struct vm *vm = vm_find(exit_record_vm(record));
		u64 tsc = exit_record_tsc(record);
		char text[EXIT_TEXT_BYTES];

		if (tsc == 0)
			continue;
		exit_record_describe(record, text, sizeof(text));
		log_error("  %8lu us ago: VM %s vCPU %u: %s", (now - tsc) * 1000 / tsc_khz,
			  vm ? vm->name : "(gone)", exit_record_vcpu(record), text);
	}
}
