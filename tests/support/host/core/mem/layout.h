/*
 * Stands in for core/mem/layout.h when core files are compiled for host tests: the core's half of
 * the address space moved to where a host process may map memory.
 */
#pragma once

#define LAYOUT_HEAP    0x0000300000000000
#define LAYOUT_FRAMES  0x0000304000000000
#define LAYOUT_DEVICES 0x0000306000000000
#define LAYOUT_WINDOWS 0x0000307f40000000
#define LAYOUT_IMAGE   0x0000307f80000000

#define LAYOUT_CORE_START LAYOUT_HEAP
#define LAYOUT_USER_END	  0x0000800000000000

#define BOOT_STACK_BYTES 16384
