/* A little machine for emulator tests: RAM, one device page that logs, ports that log. */
#pragma once

#include <string.h>

#include "lib/x86/registers.h"
#include "vmm/emul/emul.h"

#define RAM_BYTES   (64 * KIB)
#define DEVICE_BASE 0xfee00000ULL
#define LOG_ROWS    1024U

enum log_kind { LOG_READ, LOG_WRITE, LOG_IN, LOG_OUT };

struct log_row {
	enum log_kind kind;
	u64 at; /* offset in the device page, or port */
	u64 value;
	unsigned bytes;
};

struct machine {
	u8 ram[RAM_BYTES];
	u8 device[PAGE_SIZE];
	struct log_row log[LOG_ROWS];
	unsigned rows;
	u32 port_value; /* what IN gives, counting up */
	u64 gpr[GPR_COUNT];
	struct vcpu_state state;
	struct emul emul;
	struct emul_env env;
	struct emul_outcome out;
};

static inline void machine_log(struct machine *m, enum log_kind kind, u64 at, u64 value,
			       unsigned bytes)
{
	m->log[m->rows++ % LOG_ROWS] = (struct log_row){ kind, at, value, bytes };
}

static inline bool machine_is_device(gpa_t gpa)
{
	return gpa.raw >= DEVICE_BASE && gpa.raw < DEVICE_BASE + PAGE_SIZE;
}

static inline bool machine_read(void *owner, gpa_t gpa, void *data, unsigned bytes)
{
	struct machine *m = owner;
	u64 value = 0;

	if (gpa.raw <= RAM_BYTES - bytes) {
		memcpy(data, m->ram + gpa.raw, bytes);
		return true;
	}
	if (!machine_is_device(gpa))
		return false;
	memcpy(data, m->device + (gpa.raw - DEVICE_BASE), bytes);
	memcpy(&value, data, bytes);
	machine_log(m, LOG_READ, gpa.raw - DEVICE_BASE, value, bytes);
	return true;
}

static inline bool machine_write(void *owner, gpa_t gpa, const void *data, unsigned bytes)
{
	struct machine *m = owner;
	u64 value = 0;

	if (gpa.raw <= RAM_BYTES - bytes) {
		memcpy(m->ram + gpa.raw, data, bytes);
		return true;
	}
	if (!machine_is_device(gpa))
		return false;
	memcpy(&value, data, bytes);
	memcpy(m->device + (gpa.raw - DEVICE_BASE), data, bytes);
	machine_log(m, LOG_WRITE, gpa.raw - DEVICE_BASE, value, bytes);
	return true;
}

static inline bool machine_swap(void *owner, gpa_t gpa, u64 *expected, u64 desired, unsigned bytes)
{
	struct machine *m = owner;
	u64 found = 0;

	if (gpa.raw > RAM_BYTES - bytes)
		return false;
	memcpy(&found, m->ram + gpa.raw, bytes);
	if (found == *expected)
		memcpy(m->ram + gpa.raw, &desired, bytes);
	*expected = found;
	return true;
}

static inline u32 machine_in(void *owner, u16 port, unsigned bytes)
{
	struct machine *m = owner;

	machine_log(m, LOG_IN, port, m->port_value, bytes);
	return m->port_value++;
}

static inline void machine_out(void *owner, u16 port, u32 value, unsigned bytes)
{
	machine_log(owner, LOG_OUT, port, value, bytes);
}

static inline void machine_init(struct machine *m)
{
	memset(m, 0, sizeof(*m));
	m->env = (struct emul_env){ { m, machine_read, machine_write, machine_swap },
				    machine_in,
				    machine_out };
	m->emul = (struct emul){ &m->state, m->gpr, &m->env, 40 };
	m->state.rflags = RFLAGS_ONE;
	m->state.cr0 = CR0_PE;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		m->state.segment[i] =
			(struct segment){ .limit = UINT32_MAX,
					  .rights = 0x3 | SEG_CODE | SEG_PRESENT | SEG_BIG };
	m->state.segment[SEG_CS].rights = 0xb | SEG_CODE | SEG_PRESENT | SEG_BIG;
}
