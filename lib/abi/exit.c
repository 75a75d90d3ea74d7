/* Texts of exit reasons. */
#include "lib/abi/vcpu.h"

const char *vm_exit_name(u32 reason)
{
	static const char *const names[VM_EXIT_COUNT] = {
#define EXIT(name, text) [VM_EXIT_##name] = text,
#include "lib/abi/exit.def"
#undef EXIT
	};

	return reason < VM_EXIT_COUNT ? names[reason] : "invalid";
}
