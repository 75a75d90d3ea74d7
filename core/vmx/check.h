/*
 * Says why a VM entry failed: our own copy of the processor's checks names each rule that the
 * current VMCS breaks, with the value. It is several lines of the log, as warnings: because a VMM
 * can ask for states that cannot be entered, callers limit how often.
 */
#pragma once

#include "core/vmx/insn.h"

/* A VM exit that reports a failed entry: EXIT_REASON_ENTRY_FAILED is set in `exit_reason`. */
void vmx_entry_failure_log(const char *vm_name, u32 vcpu_index, u64 exit_reason, u64 qualification);
/* VMLAUNCH or VMRESUME, whose name is `insn`, ended with `result`, which is not VMX_OK. */
void vmx_insn_failure_log(const char *vm_name, u32 vcpu_index, const char *insn,
			  enum vmx_result result);
/* The text of a number in VMCS_INSN_ERROR; never NULL. */
const char *vmx_insn_error_name(u32 error);
