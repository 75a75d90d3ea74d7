/*
 * Which processors a VM may run on. The host that made the manifest knew nothing about the machine:
 * a pin can name processors that are not there.
 */
#include "supervisor/pin.h"

#include "lib/base/format.h"

static u64 set_of_first(u32 cpus)
{
	return cpus < 64 ? BIT64(cpus) - 1 : UINT64_MAX;
}

static bool set_has(u64 set, u32 number)
{
	return number < 64 && (set & BIT64(number)) != 0;
}

struct pin_text pin_describe(u64 set)
{
	struct pin_text out = { 0 };
	size_t at = 0;

	for (u32 first = 0; first < 64; first++) {
		u32 last = first;

		if (!set_has(set, first))
			continue;
		while (set_has(set, last + 1))
			last++;
		at += format(out.text + at, sizeof(out.text) - at, at == 0 ? "%u" : ",%u", first);
		if (last > first)
			at += format(out.text + at, sizeof(out.text) - at, "-%u", last);
		first = last;
	}
	return out;
}

enum err pin_resolve(const struct manifest_vm *vm, u32 cpus, u64 *allowed, char *line, size_t bytes)
{
	const u64 machine = set_of_first(cpus);
	const u64 missing = vm->cpus_allowed & ~machine;
	const char *plural = (missing & (missing - 1)) != 0 ? "s" : "";

	line[0] = '\0';
	*allowed = vm->cpus_allowed;
	if (vm->cpus_allowed == MANIFEST_ANY_CPU || missing == 0)
		return ERR_OK;
	*allowed &= machine;
	if (*allowed == 0) {
		format(line, bytes,
		       "error: VM %s: pin names processor%s %s, this machine has %u (%s)", vm->name,
		       plural, pin_describe(missing).text, cpus, pin_describe(machine).text);
		return ERR_UNSUPPORTED;
	}
	format(line, bytes,
	       "warning: VM %s: pin to processor%s %s ignored, this machine has %u (%s)", vm->name,
	       plural, pin_describe(missing).text, cpus, pin_describe(machine).text);
	return ERR_OK;
}
