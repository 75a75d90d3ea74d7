/*
 * The state of FPU, SSE and AVX, and XCR0 itself, survive exits of every kind and the other
 * virtual machines that run meanwhile (APM volume 1, "Media and x87 Processor State"). Two VMs
 * with this guest, each with other values, show that none sees the other's registers.
 */
#include "lib/base/string.h"
#include "tests/micro/lib/cpu.h"
#include "tests/micro/lib/lapic.h"
#include "tests/micro/lib/micro.h"
#include "tests/micro/lib/pic.h"
#include "tests/micro/lib/time.h"

const char micro_name[] = "fpu";

#define V_TIMER	     0x41U
#define ROUNDS	     40U
#define AREA_BYTES   4096U
#define AREA_CONTROL 0U
#define AREA_MXCSR   24U
#define AREA_X87     32U
#define AREA_SSE     160U
#define AREA_HEADER  512U
#define AREA_AVX     576U
#define X87_BYTES    10U
#define REGISTERS    16U
#define CONTROL_WORD 0x037fU
#define MXCSR_VALUE  0x1f80U

static u8 wanted[AREA_BYTES] ALIGNED(64), found[AREA_BYTES] ALIGNED(64);
static u64 states; /* XCR0; 0: no XSAVE on this processor */

static u64 next_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 32;
}

static void fill_random(u8 *to, size_t bytes, u64 *seed)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (u8)next_random(seed);
}

static void state_make(void)
{
	u64 seed = rdtsc();
	u16 control = CONTROL_WORD;
	u32 mxcsr = MXCSR_VALUE;

	memset(wanted, 0, sizeof(wanted));
	memcpy(wanted + AREA_CONTROL, &control, sizeof(control));
	memcpy(wanted + AREA_MXCSR, &mxcsr, sizeof(mxcsr));
	wanted[4] = 0xff; /* all x87 registers are in use */
	for (unsigned i = 0; i < 8; i++)
		fill_random(wanted + AREA_X87 + 16 * i, X87_BYTES, &seed);
	fill_random(wanted + AREA_SSE, 16 * REGISTERS, &seed);
	if (!states)
		return;
	memcpy(wanted + AREA_HEADER, &states, sizeof(states));
	if (states & XCR0_AVX)
		fill_random(wanted + AREA_AVX, 16 * REGISTERS, &seed);
}

static void state_load(void)
{
	if (states)
		asm volatile("xrstor64 %0" ::"m"(wanted), "a"((u32)states), "d"(0));
	else
		asm volatile("fxrstor64 %0" ::"m"(wanted));
}

static bool state_is_there(void)
{
	bool same = true;

	memset(found, 0, sizeof(found));
	if (states)
		asm volatile("xsave64 %0" : "+m"(found) : "a"((u32)states), "d"(0));
	else
		asm volatile("fxsave64 %0" : "+m"(found));
	for (unsigned i = 0; i < 8; i++)
		same &= memcmp(found + AREA_X87 + 16 * i, wanted + AREA_X87 + 16 * i, X87_BYTES) ==
			0;
	same &= memcmp(found + AREA_SSE, wanted + AREA_SSE, 16 * REGISTERS) == 0;
	if (states & XCR0_AVX)
		same &= memcmp(found + AREA_AVX, wanted + AREA_AVX, 16 * REGISTERS) == 0;
	return same;
}

static void on_timer(struct trap_frame *frame)
{
	(void)frame;
	lapic_eoi();
}

/* Sleeping gives the processor away, so another virtual machine gets it. */
static void sleep_a_little(void)
{
	lapic_write(LAPIC_LVT_TIMER, V_TIMER);
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIV_1);
	lapic_write(LAPIC_TIMER_INITIAL, 100000);
	irq_enable_and_halt();
	irq_disable();
}

static void exits(void)
{
	cpuid(0, 0);
	rdmsr(MSR_IA32_APIC_BASE);
	in_byte(0x5f4);
	mmio_read(IOREGSEL);
	sleep_a_little();
}

void micro_main(void)
{
	bool good = true, xcr0_good = true;

	lapic_init();
	trap_handle(V_TIMER, on_timer);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (cpuid(1, 0).ecx & BIT32(26)) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		states = cpuid(0xd, 0).eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX);
		check(xcr_write(0, states), "XCR0 takes %lx", states);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		state_make();
		state_load();
		exits();
		delay_us(300);
		good &= state_is_there();
		xcr0_good &= !states || xcr_read(0) == states;
	}
	check(good, "x87, SSE and AVX registers keep their values");
	check(xcr0_good, "XCR0 keeps its value");
}
