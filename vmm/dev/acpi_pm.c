/*
 * ACPI power management. The machine is always in ACPI mode: SCI_EN reads as one and there is no
 * command port to change it. A timer is armed only while a guest waits for a PM timer overflow.
 */
#include "vmm/dev/acpi_pm.h"

#include "vmm/dev/ticks.h"

/* "PM1 Status Registers" and "PM1 Enable Registers" */
#define PM1_TIMER	   BIT32(0)
#define PM1_BUS_MASTER	   BIT32(4)
#define PM1_GLOBAL	   BIT32(5)
#define PM1_POWER_BUTTON   BIT32(8)
#define PM1_SLEEP_BUTTON   BIT32(9)
#define PM1_RTC		   BIT32(10)
#define PM1_WAKE	   BIT32(15)
#define PM1_EVENTS	   (PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC)
#define PM1_STATUS_CLEARED (PM1_EVENTS | PM1_BUS_MASTER | PM1_WAKE)

/* "PM1 Control Registers" */
#define PM1_SCI_EN     BIT32(0)
#define PM1_BM_RLD     BIT32(1)
#define PM1_SLP_TYP    BITS64(12, 10)
#define PM1_SLP_EN     BIT32(13)
#define PM1_CNT_STORED (PM1_BM_RLD | PM1_SLP_TYP)
#define PM1_SLEEP_BYTE (ACPI_PM1_CNT + 1) /* SLP_TYP and SLP_EN share a byte */

#define GPE0_ENABLE (ACPI_GPE0 + ACPI_GPE0_BYTES / 2)
#define GPE0_END    (ACPI_GPE0 + ACPI_GPE0_BYTES)
/* "SMI_EN": firmware that finds APMC_EN set knows that there is nothing to set up. */
#define SMI_EN_APMC_EN BIT32(5)

static u64 timer_ticks(const struct acpi_pm *c)
{
	return ticks_from_ns(c->env.clock_ns(c->env.owner), ACPI_PM_TMR_HZ);
}

/* "Power Management Timer": the status bit follows each change of the counter's top bit. */
static unsigned timer_top_bit(const struct acpi_pm *c)
{
	return c->wide ? 31 : 23;
}

static u32 timer_value(const struct acpi_pm *c, u64 ticks)
{
	return (u32)(ticks & (BIT64(timer_top_bit(c) + 1) - 1));
}

static void status_sync(struct acpi_pm *c, u64 ticks)
{
	u64 toggles = ticks >> timer_top_bit(c);

	if (toggles > c->seen_toggles)
		c->status |= PM1_TIMER;
	c->seen_toggles = toggles;
}

/* An overflow that is already pending cannot happen again until the guest clears it. */
static u64 timer_deadline(const struct acpi_pm *c)
{
	if (!(c->enable & PM1_TIMER) || (c->status & PM1_TIMER))
		return DEV_NEVER;
	return ticks_to_ns((c->seen_toggles + 1) << timer_top_bit(c), ACPI_PM_TMR_HZ);
}

static void sci_update(struct acpi_pm *c)
{
	bool sci = (c->status & c->enable & PM1_EVENTS) != 0;

	if (sci != c->sci) {
		c->sci = sci;
		c->env.line_set(c->env.owner, ACPI_PM_SCI, sci);
	}
	dev_timer_arm(&c->timer, &c->env, ACPI_PM_TIMER, timer_deadline(c));
}

/* The aligned 32-bit word at an offset. */
static u32 word_read(const struct acpi_pm *c, u16 offset, u64 ticks)
{
	u32 word = 0;

	switch (offset) {
	case ACPI_PM1_STS:
		return (u32)c->enable << 16 | c->status;
	case ACPI_PM1_CNT:
		return c->control | PM1_SCI_EN;
	case ACPI_PM_TMR:
		return timer_value(c, ticks);
	case ACPI_SMI_EN:
		return SMI_EN_APMC_EN;
	default:
		break;
	}
	if (offset >= GPE0_ENABLE && offset < GPE0_END)
		__builtin_memcpy(&word, &c->gpe_enable[offset - GPE0_ENABLE], sizeof(word));
	return word;
}

static void sleep_write(struct acpi_pm *c, u32 control)
{
	if ((control & PM1_SLP_EN) && field_get(PM1_SLP_TYP, control) == ACPI_SLP_TYP_S5)
		c->env.power(c->env.owner, DEV_POWER_OFF, 0);
}

static void bits_replace(u16 *reg, u32 mask, u32 bits)
{
	*reg = (u16)((*reg & ~mask) | (bits & mask));
}

/* One byte of a register; the rest keeps its value. */
static void byte_write(struct acpi_pm *c, u32 offset, u8 value)
{
	unsigned shift = offset % 2 * 8;
	u32 bits = (u32)value << shift;
	u32 mask = 0xffU << shift;

	switch (offset & ~1U) {
	case ACPI_PM1_STS:
		c->status &= (u16) ~(bits & PM1_STATUS_CLEARED);
		return;
	case ACPI_PM1_EN:
		bits_replace(&c->enable, mask & PM1_EVENTS, bits);
		return;
	case ACPI_PM1_CNT:
		bits_replace(&c->control, mask & PM1_CNT_STORED, bits);
		if (offset == PM1_SLEEP_BYTE)
			sleep_write(c, bits);
		return;
	default:
		break;
	}
	if (offset >= GPE0_ENABLE && offset < GPE0_END)
		c->gpe_enable[offset - GPE0_ENABLE] = value;
}

void acpi_pm_init(struct acpi_pm *c, const struct dev_env *env)
{
	*c = (struct acpi_pm){ .env = *env };
	c->seen_toggles = timer_ticks(c) >> timer_top_bit(c);
	dev_timer_init(&c->timer);
}

void acpi_pm_set_wide_timer(struct acpi_pm *c)
{
	c->wide = true;
	c->seen_toggles = timer_ticks(c) >> timer_top_bit(c);
}

u32 acpi_pm_read(struct acpi_pm *c, u16 offset, unsigned size)
{
	u64 ticks = timer_ticks(c);
	u32 value = 0;

	status_sync(c, ticks);
	sci_update(c);
	for (unsigned i = 0; i < size && i < sizeof(value); i++) {
		u16 at = (u16)(offset + i);
		u32 word = word_read(c, at & (u16)~3U, ticks);

		value |= (word >> (at % 4 * 8) & 0xffU) << (8 * i);
	}
	return value;
}

void acpi_pm_write(struct acpi_pm *c, u16 offset, unsigned size, u32 value)
{
	status_sync(c, timer_ticks(c));
	for (unsigned i = 0; i < size && i < sizeof(value); i++)
		byte_write(c, (u32)offset + i, (u8)(value >> (8 * i)));
	sci_update(c);
}

void acpi_pm_press_power(struct acpi_pm *c)
{
	c->status |= PM1_POWER_BUTTON;
	sci_update(c);
}

void acpi_pm_expire(struct acpi_pm *c, unsigned timer)
{
	if (timer != ACPI_PM_TIMER)
		return;
	dev_timer_expired(&c->timer);
	status_sync(c, timer_ticks(c));
	sci_update(c);
}
