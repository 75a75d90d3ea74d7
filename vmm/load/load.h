/*
 * Puts an operating system into guest memory and says in which state its first processor starts.
 * Knows Linux bzImages (64-bit boot protocol), PVH kernels (Xen, "x86/HVM direct boot ABI") and
 * multiboot kernels (Multiboot Specification 0.6.96). Kernel and initrd are untrusted bytes.
 */
#pragma once

#include "lib/abi/vcpu.h"
#include "lib/base/err.h"
#include "vmm/board/e820.h"

struct load_blob {
	const void *data;
	u64 bytes;
};

struct load_request {
	struct load_blob kernel;
	struct load_blob initrd; /* bytes 0: none */
	const char *cmdline;	 /* NULL: empty */

	/* Guest memory: ram + GPA is valid in [0, low_bytes) and [4 GiB, 4 GiB + high_bytes). */
	u8 *ram;
	u64 low_bytes, high_bytes;
	const struct e820_map *e820; /* handed to the guest, which is loaded into its RAM entries */
	gpa_t rsdp;		     /* ACPI's root pointer; 0: none */
};

struct load_result {
	const char *format; /* what the kernel is: "bzImage", "PVH", "multiboot"; NULL: unknown */
	struct vcpu_state state;
	u64 gpr[GPR_COUNT];

	/* On failure: what is wrong, for people; and with ERR_NO_MEMORY how much the VM needs. */
	const char *why;
	u64 needed_bytes;
};

/*
 * Loads the kernel. On failure guest memory is untouched, `why` is set, and the result is one of
 * ERR_BAD_FORMAT (damaged), ERR_UNSUPPORTED (not a kernel for this machine), ERR_NO_MEMORY,
 * ERR_INVALID (the command line or memory of the request).
 */
MUST_USE enum err load_kernel(const struct load_request *req, struct load_result *out);
