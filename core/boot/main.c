/* The order in which the machine comes up. */
#include "core/boot/acpi.h"
#include "core/boot/boot_info.h"
#include "core/boot/clock.h"
#include "core/boot/machine.h"
#include "core/boot/planted.h"
#include "core/boot/screen.h"
#include "core/boot/smp.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/insn.h"
#include "core/cpu/irq.h"
#include "core/cpu/serial.h"
#include "core/mem/core_map.h"
#include "core/mem/frames.h"
#include "core/mem/layout.h"
#include "core/sys/process.h"
#include "core/trace/log.h"
#include "core/virt/backend.h"
#include "lib/abi/layout.h"
#include "lib/x86/registers.h"

#define MEMORY_MIN (64 * MIB)

_Noreturn void core_main(u32 magic, u64 info);

extern u8 core_image_start[], core_image_end[];

static void memory_init(void)
{
	static struct frame_reservation reserved[BOOT_MODULE_MAX + 2];
	u64 image = (u64)core_image_start - LAYOUT_IMAGE;
	u32 count = 0;

	reserved[count++] =
		(struct frame_reservation){ { image, (u64)(core_image_end - core_image_start) },
					    FRAME_CORE };
	reserved[count++] = (struct frame_reservation){ boot_info.raw, FRAME_CORE };
	for (u32 i = 0; i < boot_info.module_count; i++)
		reserved[count++] = (struct frame_reservation){
			{ boot_info.module[i].start.raw, boot_info.module[i].bytes }, FRAME_MODULE
		};
	if (frames_init(boot_info.ram, boot_info.ram_count, reserved, count))
		panic("the boot loader's memory map has no room for the core's tables");
}

static bool module_is_there(const char *name)
{
	if (boot_module_find(name))
		return true;
	log_error("the boot image has no module '%s': build it with ringfence-image", name);
	return false;
}

/* Everything that must be true before anything starts; every fault is named. */
static bool preflight(void)
{
	bool ok = backend_select();

	ok &= module_is_there("supervisor");
	ok &= module_is_there("vmm");
	ok &= module_is_there("manifest");
	if (frames_available() * PAGE_SIZE < MEMORY_MIN) {
		log_error("too little memory: %lu MiB free, at least %lu MiB are needed",
			  frames_available() * PAGE_SIZE / MIB, MEMORY_MIN / MIB);
		ok = false;
	}
	return ok;
}

static void supervisor_start(void)
{
	const struct boot_module *manifest = boot_module_find("manifest");
	struct process *supervisor;
	enum err err = process_create("supervisor", boot_module_find("supervisor"), &supervisor);

	if (!err)
		err = process_map(supervisor, SUPERVISOR_MODULE_BASE, manifest->start,
				  align_up(manifest->bytes, PAGE_SIZE), MAP_READ);
	if (err) {
		log_error("cannot start the supervisor: %s", err_name(err));
		machine_off(MACHINE_REFUSED);
	}
	sched_start(process_main(supervisor));
}

void core_main(u32 magic, u64 info)
{
	wrmsr(MSR_IA32_GS_BASE, (u64)&boot_cpu); /* this_cpu() works from here on */
	boot_cpu.self = &boot_cpu;
	serial_init();
	boot_info_read(magic, HPA(info));
	cpu_detect();
	core_map_image();
	memory_init();
	screen_init(&boot_info);
	if (boot_option("quiet"))
		log_set_level(LOG_NOTICE);
	log_info("Ringfence: %lu MiB of memory, %u boot modules", frames_total() * PAGE_SIZE / MIB,
		 boot_info.module_count);
	cpu_init(&boot_cpu);
	acpi_init();
	if (!preflight()) {
		log_error("this machine cannot run virtual machines: see the lines above; stopped");
		machine_off(MACHINE_REFUSED);
	}
	apic_init();
	apic_timer_calibrate();
	clock_init();
	irq_init();
	if (backend->cpu_on(&boot_cpu)) {
		log_error("cannot enter root mode: out of memory");
		machine_off(MACHINE_REFUSED);
	}
	smp_start();
	planted_bug_arm();
	log_info("%s root mode on, %lu us after reset; starting the supervisor", backend->name,
		 rdtsc() * 1000 / tsc_khz);
	supervisor_start();
	sched_run();
}
