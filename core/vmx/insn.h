/* VMX instructions. SDM, "VMX Instruction Reference". */
#pragma once

#include "lib/base/types.h"

/* How an instruction ended: CF and ZF, "VMfailInvalid" and "VMfailValid". */
enum vmx_result { VMX_OK, VMX_FAIL_INVALID, VMX_FAIL_VALID };

#define VMX_RESULT(carry, zero) ((carry) ? VMX_FAIL_INVALID : (zero) ? VMX_FAIL_VALID : VMX_OK)

#define DEFINE_VMX_POINTER(name)                                 \
	static inline enum vmx_result name(const hpa_t *region)  \
	{                                                        \
		bool carry, zero;                                \
                                                                 \
		__asm__ volatile(#name " %2"                     \
				 : "=@ccc"(carry), "=@ccz"(zero) \
				 : "m"(*region)                  \
				 : "memory");                    \
		return VMX_RESULT(carry, zero);                  \
	}

DEFINE_VMX_POINTER(vmxon)
DEFINE_VMX_POINTER(vmclear)
DEFINE_VMX_POINTER(vmptrld)

/* Of the current VMCS; a field that the processor does not have reads as anything. */
static inline u64 vmread(u32 field)
{
	u64 value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"((u64)field) : "cc");
	return value;
}

/* False: the processor does not have this field, or it is read-only. */
static inline bool vmwrite(u32 field, u64 value)
{
	bool fail;

	__asm__ volatile("vmwrite %1, %2" : "=@ccbe"(fail) : "r"(value), "r"((u64)field));
	return !fail;
}

struct invalidation {
	u64 context; /* EPT pointer, or VPID */
	u64 address;
};

#define INVALIDATE_SINGLE 1ULL

static inline void invept(u64 type, u64 ept_pointer)
{
	const struct invalidation what = { ept_pointer, 0 };

	__asm__ volatile("invept %0, %1" : : "m"(what), "r"(type) : "memory", "cc");
}

static inline void invvpid(u64 type, u16 vpid)
{
	const struct invalidation what = { vpid, 0 };

	__asm__ volatile("invvpid %0, %1" : : "m"(what), "r"(type) : "memory", "cc");
}
