/* Local APIC access for the micro guests. */
#include "tests/micro/lib/lapic.h"

#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/micro.h"

#define CPUID1_ECX_X2APIC BIT32(21)

static bool x2apic;

bool lapic_has_x2apic(void)
{
	return cpuid(1, 0).ecx & CPUID1_ECX_X2APIC;
}

u32 lapic_read(unsigned reg)
{
	return x2apic ? (u32)rdmsr(MSR_IA32_X2APIC_FIRST + reg / 16) : mmio_read(LAPIC_BASE + reg);
}

void lapic_write(unsigned reg, u32 value)
{
	if (x2apic)
		wrmsr(MSR_IA32_X2APIC_FIRST + reg / 16, value);
	else
		mmio_write(LAPIC_BASE + reg, value);
}

u32 lapic_id(void)
{
	return x2apic ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24;
}

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

void lapic_send(u32 command, u32 destination)
{
	if (x2apic) {
		wrmsr(MSR_IA32_X2APIC_FIRST + LAPIC_ICR_LOW / 16, (u64)destination << 32 | command);
		return;
	}
	lapic_write(LAPIC_ICR_HIGH, destination << 24);
	lapic_write(LAPIC_ICR_LOW, command);
	while (lapic_read(LAPIC_ICR_LOW) & ICR_PENDING)
		cpu_pause();
}

void lapic_send_self(u32 command)
{
	lapic_send(command | ICR_ASSERT, lapic_id());
}

bool lapic_bit(unsigned reg, unsigned vector)
{
	return lapic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}

void lapic_init(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE))
		wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
	lapic_write(LAPIC_SVR, SVR_ENABLE | SPURIOUS_VECTOR);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
}

void lapic_to_x2apic(void)
{
	wrmsr(MSR_IA32_APIC_BASE, rdmsr(MSR_IA32_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	x2apic = true;
}

/* The only way back leads through the disabled state, which resets the registers. */
void lapic_to_xapic(void)
{
	u64 base = rdmsr(MSR_IA32_APIC_BASE) & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC);

	wrmsr(MSR_IA32_APIC_BASE, base);
	wrmsr(MSR_IA32_APIC_BASE, base | APIC_BASE_ENABLE);
	x2apic = false;
	lapic_init();
}
