/* SDM, "VM-Entry: Checks on VMX Controls and Host-State Area". */
#include "core/vmx/check.h"

#include "core/trace/log.h"
#include "core/vmx/vmcs.h"

void vmx_entry_failure_log(const char *vm_name, u32 vcpu_index, u64 exit_reason, u64 qualification)
{
	log_warning("VM %s vCPU %u: VM entry failed: reason %lx qualification %lx", vm_name,
		    vcpu_index, exit_reason, qualification);
}

void vmx_insn_failure_log(const char *vm_name, u32 vcpu_index, const char *insn,
			  enum vmx_result result)
{
	log_warning("VM %s vCPU %u: %s failed (%u): VM-instruction error %lu", vm_name, vcpu_index,
		    insn, (u32)result, vmread(VMCS_INSN_ERROR));
}
