/* SDM, "Managing State Using the XSAVE Feature Set"; FXSAVE where there is no XSAVE. */
#include "core/virt/resident.h"

#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/virt/vm.h"
#include "lib/x86/registers.h"

/*
 * CR0.TS keeps ring 3 from the registers, which may hold another VM's state while a VMM runs. Root
 * mode's CR0 is not the guests': they notice nothing, and nothing is switched at exits.
 */
static void fpu_open(void)
{
	write_cr0(read_cr0() & ~CR0_TS);
}

static void fpu_close(void)
{
	write_cr0(read_cr0() | CR0_TS);
}

/* In root mode CR0.TS is set: ring 3 cannot reach the registers that a guest left here. */
static void fpu_open(void)
{
	__asm__ volatile("clts");
}

static void fpu_close(void)
{
	write_cr0(read_cr0() | CR0_TS);
}

static void fpu_save(void *area)
{
	fpu_open();
	if (cpu_features.xsave) {
		write_xcr0(cpu_features.xcr0);
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	}
	fpu_close();
}

static void fpu_load(const void *area, u64 xcr0)
{
	fpu_open();
	if (cpu_features.xsave) {
		write_xcr0(cpu_features.xcr0);
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0U), "d"(~0U) : "memory");
		write_xcr0(xcr0);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
	}
	fpu_close();
}

/* Read back, not remembered: QEMU's processor lets a guest execute XSETBV without an exit. */
u64 resident_xcr0(const struct vcpu *v)
{
	if (!cpu_features.xsave || this_cpu()->resident != v)
		return v->xcr0;
	return read_xcr0();
}

void resident_evict(struct vcpu *v)
{
	struct cpu *cpu = this_cpu();

	if (cpu->resident != v)
		return;
	v->xcr0 = resident_xcr0(v);
	fpu_open();
	fpu_save(v->fpu);
	fpu_close();
	v->dr[0] = read_dr0();
	v->dr[1] = read_dr1();
	v->dr[2] = read_dr2();
	v->dr[3] = read_dr3();
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
	fpu_open();
	fpu_load(v->fpu, v->xcr0);
	fpu_close();
	write_dr0(v->dr[0]);
	write_dr1(v->dr[1]);
	write_dr2(v->dr[2]);
	write_dr3(v->dr[3]);
	if (cpu_features.rdtscp)
		wrmsr(MSR_IA32_TSC_AUX, v->tsc_aux);
	cpu->resident = v;
}
