/*
 * Stands in for core/vmx/insn.h when core files are compiled for host tests: the same functions,
 * played by tests/support/fake_vmx.c instead of the processor.
 */
#pragma once

#include "lib/base/types.h"

enum vmx_result { VMX_OK, VMX_FAIL_INVALID, VMX_FAIL_VALID };

enum vmx_result vmxon(const hpa_t *region);
enum vmx_result vmclear(const hpa_t *region);
enum vmx_result vmptrld(const hpa_t *region);
u64 vmread(u32 field);
bool vmwrite(u32 field, u64 value);

#define INVALIDATE_SINGLE 1ULL
#define INVALIDATE_ALL	  2ULL

void invept(u64 type, u64 ept_pointer);
void invvpid(u64 type, u16 vpid);
