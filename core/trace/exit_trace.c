/* Exit records as lines for people. */
#include "core/trace/exit_trace.h"

#include "core/cpu/apic.h"
#include "core/sys/vm_sys.h"
#include "core/trace/log.h"
#include "lib/base/format.h"

#define DETAIL_BYTES 48

static void detail_format(const struct exit_record *record, char *out, size_t bytes)
{
	const struct vm_exit e = { .unknown.code = record->detail };

	out[0] = '\0';
	if (record->reason == VM_EXIT_IO)
		format(out, bytes, " %s port %x, %u bytes", e.io.in ? "in" : "out", e.io.port,
		       e.io.size);
	else if (record->reason == VM_EXIT_MSR)
		format(out, bytes, " %s %x", e.msr.write ? "write" : "read", e.msr.index);
	else if (record->reason == VM_EXIT_MMIO)
		format(out, bytes, " at %lx", e.mmio.gpa);
	else if (record->reason == VM_EXIT_EXCEPTION)
		format(out, bytes, " vector %u", e.exception.vector);
	else if (record->reason == VM_EXIT_RAM_FAULT || record->reason >= VM_EXIT_SHUTDOWN)
		format(out, bytes, " code %lx", e.unknown.code);
}

void exit_trace_log(const struct exit_trace *trace, u32 count, u64 now)
{
	u32 next = trace->next / EXIT_RECORD_WORDS;

	for (u32 i = count; i > 0; i--) {
		const struct exit_record *record = &trace->record[(next - i) % EXIT_TRACE_RECORDS];
		const struct vm *vm = vm_find(record->vcpu >> 16);
		u64 tsc = (u64)record->tsc_high << 32 | record->tsc_low;
		char detail[DETAIL_BYTES];

		if (tsc == 0)
			continue;
		detail_format(record, detail, sizeof(detail));
		log_error("  %8lu us ago: VM %s vCPU %u: %s%s", (now - tsc) * 1000 / tsc_khz,
			  vm ? vm->name : "(gone)", record->vcpu & 0xffff,
			  vm_exit_name(record->reason), detail);
	}
}
