/*
 * The boot manifest blob: which VMs to run. Written by tools/ringfence-image from YAML, validated
 * again by the supervisor before use. Little-endian, pointer-free, no host-physical address.
 *
 * Layout: struct manifest_header, vm_count times struct manifest_vm, file_count times
 * struct manifest_file. Files are boot modules named "file:N" (N decimal, from 0).
 */
#pragma once

#include "lib/base/err.h"
#include "lib/base/types.h"

#define MANIFEST_MAGIC	  0x464e414d474e4952ULL /* "RINGMANF" */
#define MANIFEST_VERSION  2U
#define MANIFEST_NO_FILE  0xffffffffU
#define MANIFEST_VM_MAX	  64U
#define MANIFEST_FILE_MAX 192U

#define MANIFEST_MEMORY_MIN  (2 * MIB)
#define MANIFEST_MEMORY_MAX  (1024 * GIB)
#define MANIFEST_MEMORY_UNIT (2 * MIB) /* memory_bytes is a multiple of this */
#define MANIFEST_CPUS_MAX    64U

/* How VMs share the processors. */
#define MANIFEST_WEIGHT_MAX	10000U
#define MANIFEST_WEIGHT_DEFAULT 256U
#define MANIFEST_CAP_MAX	6400U /* percent: 64 processors */
#define MANIFEST_PIN_MAX	64U   /* processors have numbers below */
#define MANIFEST_ANY_CPU	UINT64_MAX

enum manifest_restart {
	MANIFEST_RESTART_NEVER,
	MANIFEST_RESTART_ON_FAILURE,
	MANIFEST_RESTART_ALWAYS,
	MANIFEST_RESTART_COUNT
};

#define MANIFEST_FLAG_DEBUG_PORT BIT32(0) /* port 0xE9: bytes to the VM's console */
#define MANIFEST_FLAG_TEST_EXIT	 BIT32(1) /* port 0xF4: a byte ends the VM with that status */
#define MANIFEST_FLAG_FAULT_VMM	 BIT32(2) /* a guest write to port 0xF5 breaks the VMM (tests) */
#define MANIFEST_FLAGS_ALL	 (BIT32(3) - 1)

struct manifest_header {
	u64 magic;
	u32 version;
	u32 length;	/* of the whole blob, header included, in bytes */
	u32 crc32;	/* CRC-32 (IEEE 802.3) of the blob with this field zero */
	u32 vm_count;	/* 1 to MANIFEST_VM_MAX */
	u32 file_count; /* 1 to MANIFEST_FILE_MAX */
	u32 reserved;	/* zero */
};

struct manifest_vm {
	char name[32];	    /* not empty, [a-z0-9-], NUL-terminated and NUL-padded, unique */
	char cmdline[2048]; /* NUL-terminated and NUL-padded */
	u64 memory_bytes;
	u32 cpus;
	u32 restart;	  /* enum manifest_restart */
	u32 kernel;	  /* index of a file */
	u32 initrd;	  /* index of a file, or MANIFEST_NO_FILE */
	u32 flags;	  /* MANIFEST_FLAG_* */
	u32 weight;	  /* 1 to MANIFEST_WEIGHT_MAX: the VM's share, relative to the others' */
	u32 cap_percent;  /* of one processor, at most MANIFEST_CAP_MAX; 0: no cap */
	u32 reserved;	  /* zero */
	u64 cpus_allowed; /* a bit for each processor that it may run on, MANIFEST_ANY_CPU: all */
};

struct manifest_file {
	u64 bytes;    /* not zero */
	u32 crc32;    /* of the file's content, as above */
	u32 reserved; /* zero */
};

static_assert(sizeof(struct manifest_header) == 32, "blob layout");
static_assert(sizeof(struct manifest_vm) == 2128, "blob layout");
static_assert(sizeof(struct manifest_file) == 16, "blob layout");

/* The rules that both the writer and the reader of a blob apply. */
static inline bool manifest_name_allows(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static inline bool manifest_memory_allows(u64 bytes)
{
	return bytes >= MANIFEST_MEMORY_MIN && bytes <= MANIFEST_MEMORY_MAX &&
	       bytes % MANIFEST_MEMORY_UNIT == 0;
}

/* Checked views into a validated blob; the pointers lie inside the blob. */
struct manifest {
	const struct manifest_header *header;
	const struct manifest_vm *vms;
	const struct manifest_file *files;
};

/* The CRC-32 that belongs into the header of a blob of `size` bytes, a header at least. */
u32 manifest_crc32(const void *blob, size_t size);

/*
 * Validates a whole blob of `size` bytes at `blob` (8-byte aligned) and fills `out`. On failure
 * returns ERR_BAD_FORMAT and `*why` names the first thing wrong; `out` is untouched.
 */
MUST_USE enum err manifest_open(const void *blob, size_t size, struct manifest *out,
				const char **why);
