/*
 * The paravirtual clock that stock kernels know: the guest names a place in its memory and finds
 * there how to make time of its TSC. Linux, Documentation/virt/kvm/x86/msr.rst.
 */
#include "lib/base/mul_div.h"
#include "lib/base/string.h"
#include "lib/ring3/ring3.h"
#include "vmm/vmm.h"

#define MSR_WALL_CLOCK	0x4b564d00U
#define MSR_SYSTEM_TIME 0x4b564d01U
#define SYSTEM_TIME_ON	BIT64(0)
#define FLAG_TSC_STABLE 0x01
#define NS_PER_MS	1000000ULL
#define SHIFT_MAX	31

struct wall_clock {
	u32 version, seconds, nanoseconds;
};

struct system_time {
	u32 version, pad0;
	u64 tsc_timestamp;
	u64 system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags, pad[2];
};

static_assert(sizeof(struct system_time) == 32, "Linux, struct pvclock_vcpu_time_info");

/* Nanoseconds are ((ticks << shift) * mul) >> 32; the largest mul of 32 bits is the most exact. */
static void scale_find(u64 tsc_khz, u32 *mul, s8 *shift)
{
	u64 scaled;

	*shift = -SHIFT_MAX;
	do {
		scaled = mul_div(NS_PER_MS, BIT64(32 - *shift), tsc_khz);
	} while (scaled >> 32 != 0 && (*shift)++ < SHIFT_MAX);
	*mul = (u32)scaled;
}

static bool system_time_write(struct vmm *v, u64 value)
{
	struct system_time time = { .version = 2, .flags = FLAG_TSC_STABLE };
	u8 *ram = vmm_ram(v, GPA(value & ~SYSTEM_TIME_ON), sizeof(time));

	if (!(value & SYSTEM_TIME_ON))
		return true;
	if (!ram)
		return false;
	/* The guest's TSC is the host's until the guest writes it, which moves its clock too. */
	time.tsc_timestamp = v->tsc_base;
	scale_find(v->tsc_khz, &time.tsc_to_system_mul, &time.tsc_shift);
	memcpy(ram, &time, sizeof(time));
	return true;
}

static bool wall_clock_write(struct vmm *v, u64 value)
{
	const struct channel_config *c = &v->channel->config;
	u64 start_ms = (v->tsc_base - c->tsc_start) / c->tsc_khz;
	struct wall_clock wall = {
		.version = 2,
		.seconds = (u32)(c->wall_clock_s + start_ms / 1000),
		.nanoseconds = (u32)(start_ms % 1000 * NS_PER_MS),
	};
	u8 *ram = vmm_ram(v, GPA(value), sizeof(wall));

	if (!ram)
		return false;
	memcpy(ram, &wall, sizeof(wall));
	return true;
}

bool pvclock_msr_write(struct vmm *v, u32 index, u64 value)
{
	if (index == MSR_SYSTEM_TIME)
		return system_time_write(v, value);
	return index == MSR_WALL_CLOCK && wall_clock_write(v, value);
}
