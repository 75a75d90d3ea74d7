/* SDM, "Managing State Using the XSAVE Feature Set"; FXSAVE where there is no XSAVE. */
#include "core/virt/resident.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/virt/vm.h"
#include "lib/base/string.h"

/* In root mode CR0.TS is set: ring 3 cannot reach the registers that a guest left here. */
static void fpu_save(void *area)
{
	clear_ts();
	if (cpu_features.xsave) {
		write_xcr0(cpu_features.xcr0);
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
	write_cr0(read_cr0() | CR0_TS);
}

static void fpu_load(const void *area, u64 xcr0)
{
	clear_ts();
	if (cpu_features.xsave) {
		write_xcr0(cpu_features.xcr0);
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
		write_xcr0(xcr0);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
	}
	write_cr0(read_cr0() | CR0_TS);
}

/* Read back, not remembered: QEMU's processor lets a guest execute XSETBV without an exit. */
u64 resident_xcr0(const struct vcpu *v)
{
	if (!cpu_features.xsave || this_cpu()->resident != v)
		return v->xcr0;
	return read_xcr0();
}

u64 resident_dr6(const struct vcpu *v)
{
	return this_cpu()->resident == v ? read_dr6() : v->dr6;
}

void resident_dr6_set(struct vcpu *v, u64 value)
{
	v->dr6 = value;
	if (this_cpu()->resident == v)
		write_dr6(value);
}

void resident_breakpoints_clear(struct vcpu *v)
{
	memset(v->dr, 0, sizeof(v->dr));
	if (this_cpu()->resident != v)
		return;
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
}

void resident_evict(struct vcpu *v)
{
	struct cpu *cpu = this_cpu();

	if (cpu->resident != v)
		return;
	v->xcr0 = resident_xcr0(v);
	fpu_save(v->fpu);
	v->dr[0] = read_dr0();
	v->dr[1] = read_dr1();
	v->dr[2] = read_dr2();
	v->dr[3] = read_dr3();
	v->dr6 = read_dr6();
	if (cpu_features.rdtscp)
		v->tsc_aux = rdmsr(MSR_IA32_TSC_AUX);
	cpu->resident = NULL;
}

void resident_load(struct vcpu *v)
{
	struct cpu *cpu = this_cpu();

	if (cpu->resident == v)
		return;
	if (cpu->resident)
		resident_evict(cpu->resident);
	fpu_load(v->fpu, v->xcr0);
	write_dr0(v->dr[0]);
	write_dr1(v->dr[1]);
	write_dr2(v->dr[2]);
	write_dr3(v->dr[3]);
	write_dr6(v->dr6);
	if (cpu_features.rdtscp)
		wrmsr(MSR_IA32_TSC_AUX, v->tsc_aux);
	cpu->resident = v;
}
