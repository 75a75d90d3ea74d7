/* Clock access and TSC calibration for the micro guests. */
#include "tests/micro/lib/time.h"

#include "tests/micro/lib/cpu.h"

#define P61_GATE2	  0x01
#define P61_SPEAKER	  0x02
#define CALIBRATION_TICKS 5966U /* 5 ms */
#define PIT_LONGEST	  0xffff
#define PIT_EARLY	  0xc000
#define SETTLE_SPINS	  10000U
#define SAMPLES		  8U
#define POLL_SPINS	  1000U

void pit_start(unsigned channel, unsigned mode, u16 count)
{
	u16 port = (u16)(PIT_DATA0 + channel);

	out_byte(PIT_MODE, PIT_SELECT(channel, mode));
	out_byte(port, (u8)count);
	out_byte(port, (u8)(count >> 8));
}

u16 pit_read(unsigned channel)
{
	u16 port = (u16)(PIT_DATA0 + channel);
	u8 low;

	out_byte(PIT_MODE, PIT_LATCH(channel));
	low = in_byte(port);
	return (u16)(in_byte(port) << 8 | low);
}

u8 cmos_read(u8 index)
{
	out_byte(CMOS_INDEX, index);
	return in_byte(CMOS_DATA);
}

void cmos_write(u8 index, u8 value)
{
	out_byte(CMOS_INDEX, index);
	out_byte(CMOS_DATA, value);
}

u32 pm_timer(void)
{
	return in_dword(PM_TIMER) & 0xffffff;
}

struct clock_sample clock_sample(u64 (*read)(void))
{
	struct clock_sample best = { 0, 0 };
	u64 shortest = ~0ULL;

	for (unsigned i = 0; i < SAMPLES; i++) {
		u64 before = rdtsc(), value = read(), took = rdtsc() - before;

		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct clock_sample){ before + took / 2, value };
	}
	return best;
}

static u64 read_channel_2(void)
{
	return pit_read(2);
}

/* Channel 2 counts down from its start; a measurement that may have gone round is done again. */
static u64 calibrate(void)
{
	struct clock_sample first, last;
	u64 ticks;

	out_byte(PORT_61, (u8)((in_byte(PORT_61) & ~P61_SPEAKER) | P61_GATE2));
	do {
		pit_start(2, 0, PIT_LONGEST);
		cpu_spin(SETTLE_SPINS);
		first = clock_sample(read_channel_2);
		do {
			cpu_spin(POLL_SPINS);
			last = clock_sample(read_channel_2);
			ticks = (first.value - last.value) & 0xffff;
		} while (ticks < CALIBRATION_TICKS);
	} while (first.value < PIT_EARLY || ticks > 2 * CALIBRATION_TICKS);
	return (last.tsc - first.tsc) * PIT_HZ / (ticks * 1000);
}

u64 tsc_per_ms(void)
{
	static u64 measured;

	if (!measured)
		measured = calibrate();
	return measured;
}

u64 us_to_tsc(u64 us)
{
	return us * tsc_per_ms() / 1000;
}

u64 tsc_to_us(u64 tsc)
{
	return tsc * 1000 / tsc_per_ms();
}

void delay_us(u64 us)
{
	u64 end = rdtsc() + us_to_tsc(us);

	while (rdtsc() < end)
		cpu_spin(POLL_SPINS);
}

bool wait_for_count(const volatile u64 *counter, u64 target, u64 timeout_us)
{
	u64 end = rdtsc() + us_to_tsc(timeout_us);

	while (*counter < target && rdtsc() < end)
		cpu_spin(POLL_SPINS);
	return *counter >= target;
}
