/*
 * Virtual memory of root mode, written once. The upper half's last PML4 entry is the core's and is
 * the same in every address space; the lower half belongs to one ring-3 process.
 *
 *   0xffffff8000000000  heap: core objects, each run of pages followed by an unmapped guard page
 *   0xffffffc000000000  frame table: one owner per physical page
 *   0xffffffe000000000  device registers and firmware tables, mapped on demand
 *   0xffffffff40000000  windows: a few page slots per CPU through which other memory is reached
 *   0xffffffff80000000  the core's image (loaded at 1 MiB)
 *
 *   0x0000000000400000  ring 3: program image (lib/ring3/ring3.ld)
 *   0x0000100000000000  ring 3: see lib/abi/layout.h
 */
#pragma once

#define LAYOUT_HEAP    0xffffff8000000000
#define LAYOUT_FRAMES  0xffffffc000000000
#define LAYOUT_DEVICES 0xffffffe000000000
#define LAYOUT_WINDOWS 0xffffffff40000000
#define LAYOUT_IMAGE   0xffffffff80000000

#define LAYOUT_CORE_START LAYOUT_HEAP /* start of the last PML4 entry */
#define LAYOUT_USER_END	  0x0000800000000000

#define BOOT_STACK_BYTES 16384
