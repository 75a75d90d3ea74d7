/* What the boot loader told us, copied out of its memory and checked. */
#pragma once

#include "core/mem/frames.h"
#include "lib/base/types.h"

#define BOOT_RAM_MAX	64
#define BOOT_MODULE_MAX 200
#define BOOT_NAME_BYTES 32
#define BOOT_CMDLINE	256

struct boot_module {
	char name[BOOT_NAME_BYTES];
	hpa_t start;
	u64 bytes;
};

struct boot_framebuffer {
	hpa_t address; /* raw 0: none */
	u32 pitch, width, height;
	u8 bits_per_pixel;
	bool text; /* VGA text, two bytes a cell */
};

struct boot_info {
	char cmdline[BOOT_CMDLINE];
	struct memory_range ram[BOOT_RAM_MAX];
	u32 ram_count;
	struct boot_module module[BOOT_MODULE_MAX];
	u32 module_count;
	struct boot_framebuffer framebuffer;
	hpa_t rsdp;		 /* of the boot loader's copy; raw 0: none */
	struct memory_range raw; /* the boot loader's own structure */
};

extern struct boot_info boot_info;

/* Reads the multiboot2 information at `info`; panics when it is not that. */
void boot_info_read(u32 magic, hpa_t info);
const struct boot_module *boot_module_find(const char *name);
/* Whether a word stands on the core's command line. */
bool boot_option(const char *word);
