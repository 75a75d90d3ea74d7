/*
 * What processors with APIC virtualization do without an exit: self-IPIs, ends of interrupt, the
 * task priority and reads of registers, in both modes (SDM volume 3, "APIC Virtualization and
 * Virtual Interrupts"). The guest cannot see an exit: the test that starts it counts them.
 */
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "apicv";

#define V_SELF	    0x51U
#define V_TIMER	    0x41U
#define ROUNDS	    1000U
#define TIMER_COUNT 50000U
#define WAIT_US	    5000U

static volatile u64 came, expired;

static void on_self(struct trap_frame *frame)
{
	(void)frame;
	came++;
	lapic_eoi();
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	expired++;
	lapic_eoi();
}

static void on_spurious(struct trap_frame *frame)
{
	(void)frame;
}

static void self_ipi(bool x2apic)
{
	if (x2apic)
		wrmsr(MSR_IA32_X2APIC_FIRST + LAPIC_SELF_IPI / 16, V_SELF);
	else
		lapic_send(ICR_SELF | ICR_ASSERT | V_SELF, 0);
}

static void check_mode(const char *mode, bool x2apic)
{
	bool waited = true, kept = true;

	came = 0;
	for (u64 i = 0; i < ROUNDS; i++) {
		lapic_write(LAPIC_TPR, V_SELF);
		irq_enable();
		self_ipi(x2apic);
		waited &= came == i && lapic_bit(LAPIC_IRR, V_SELF);
		lapic_write(LAPIC_TPR, 0);
		irq_disable();
		kept &= came == i + 1 && !lapic_bit(LAPIC_IRR, V_SELF) &&
			!lapic_bit(LAPIC_ISR, V_SELF);
	}
	check(waited, "%s: TPR holds each self-IPI back", mode);
	check(kept, "%s: each comes at once when it may, and once", mode);
	check_equal(came, ROUNDS, mode);
}

/* IF keeps interrupts out, also when the machine itself is interrupted meanwhile. */
static void check_interrupt_flag(void)
{
	if (told("virtual-interrupts") &&
	    bochs_lacks("IF, for a virtual interrupt beside one of the host"))
		return;
	delay_us(1); /* measures the TSC first */
	came = expired = 0;
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIV_1);
	lapic_write(LAPIC_LVT_TIMER, V_TIMER);
	irq_enable();
	lapic_write(LAPIC_TIMER_INITIAL, TIMER_COUNT);
	irq_disable(); /* after the last exit, and the processor knows it */
	self_ipi(true);
	delay_us(WAIT_US);
	check(came == 0 && expired == 0, "interrupts came with IF clear");
	irq_enable();
	delay_us(1);
	irq_disable();
	check(came == 1 && expired == 1, "not each came once, when IF was set");
}

void micro_main(void)
{
	lapic_init();
	trap_handle(V_SELF, on_self);
	trap_handle(V_TIMER, on_timer);
	trap_handle(SPURIOUS_VECTOR, on_spurious);
	check_mode("xAPIC", false);
	if (!lapic_has_x2apic()) {
		say("no x2APIC on this processor");
		return;
	}
	lapic_to_x2apic();
	check_mode("x2APIC", true);
	check_interrupt_flag();
	lapic_to_xapic();
	check_mode("xAPIC again", false);
}
