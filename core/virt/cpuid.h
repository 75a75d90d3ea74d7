/* What CPUID tells a guest: built once per VM from the policy rows, then only looked up. */
#pragma once

#include "core/virt/verdict.h"
#include "lib/base/types.h"

#define CPUID_BASIC_LEAVES    0x20
#define CPUID_EXTENDED_LEAVES 0x1f
#define CPUID_SUBLEAVES	      28

struct vcpu;

struct cpuid_values {
	u32 eax, ebx, ecx, edx;
};

struct cpuid_table {
	struct cpuid_values basic[CPUID_BASIC_LEAVES]; /* subleaf 0 */
	struct cpuid_values extended[CPUID_EXTENDED_LEAVES];
	struct {
		u32 leaf, subleaf;
		struct cpuid_values values;
	} sub[CPUID_SUBLEAVES]; /* subleaves above 0 */
	u32 sub_count;
	struct cpuid_values hypervisor[2], timing, kvm[2];
};

struct cpuid_request {
	u32 cpus;
	bool extended_topology; /* cores are told in leaves 80000000h and up, not in leaf 4 */
	u64 tsc_khz;
	u64 xcr0; /* states that may be enabled */
	/* Reads the processor's own CPUID. */
	struct cpuid_values (*host)(u32 leaf, u32 subleaf);
};

void cpuid_table_build(struct cpuid_table *table, const struct cpuid_request *request);

/* Handles the exit; what the policy does not name is zero. */
enum verdict cpuid_exit(struct vcpu *vcpu);

/* The bits of CR4 that belong to what the table offers: a guest may set these and no others. */
u64 cpuid_cr4_bits(const struct cpuid_table *table);
