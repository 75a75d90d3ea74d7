/* Several processors of host tests: a test is one of them at a time. */
#pragma once

#include "core/cpu/cpu.h"

#define FAKE_CPUS_MAX 4

/* Processors as after their start, the test on the first, which is boot_cpu. */
void fake_cpus_start(u32 count);
/* The test goes on as this processor: this_cpu(), and its CR3. */
void fake_cpu_be(u32 index);
/* Not the index, so that one cannot pass for the other. */
u32 fake_apic_id(u32 index);
