/* Exit records as text for people. */
#include "lib/abi/exit_trace.h"

#include "lib/base/format.h"

void exit_record_describe(const struct exit_record *record, char *out, size_t bytes)
{
	const struct vm_exit e = { .unknown.code = record->detail };
	const char *name = vm_exit_name(record->reason);

	if (record->reason == VM_EXIT_IO)
		format(out, bytes, "%s %s port %x, %u bytes", name, e.io.in ? "in" : "out",
		       e.io.port, e.io.size);
	else if (record->reason == VM_EXIT_MSR)
		format(out, bytes, "%s %s %x", name, e.msr.write ? "write" : "read", e.msr.index);
	else if (record->reason == VM_EXIT_MMIO)
		format(out, bytes, "%s at %lx", name, e.mmio.gpa);
	else if (record->reason == VM_EXIT_EXCEPTION)
		format(out, bytes, "%s vector %u", name, e.exception.vector);
	else if (record->reason == VM_EXIT_RAM_FAULT || record->reason >= VM_EXIT_SHUTDOWN)
		format(out, bytes, "%s code %lx", name, e.unknown.code);
	else
		format(out, bytes, "%s", name);
}
