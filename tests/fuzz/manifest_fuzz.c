/*
 * The boot manifest blob with hostile content. The first byte chooses: the rest is the blob as it
 * stands, or a list of patches (offset, byte) to a good blob whose checksum is then made right.
 * Whatever opens must keep every promise that lib/abi/manifest.h makes.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/abi/manifest.h"

struct blob {
	struct manifest_header header;
	struct manifest_vm vms[2];
	struct manifest_file files[2];
};

struct patch {
	u8 offset[2];
	u8 value;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define REQUIRE(fact)            \
	do {                     \
		if (!(fact))     \
			abort(); \
	} while (0)

static void check_vm(const struct manifest *m, const struct manifest_vm *vm)
{
	const u32 files = m->header->file_count;
	const size_t length = strnlen(vm->name, sizeof(vm->name));

	REQUIRE(length > 0 && length < sizeof(vm->name));
	REQUIRE(strspn(vm->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length);
	REQUIRE(strnlen(vm->cmdline, sizeof(vm->cmdline)) < sizeof(vm->cmdline));
	REQUIRE(vm->memory_bytes >= 2 * MIB && vm->memory_bytes <= 1024 * GIB);
	REQUIRE((vm->memory_bytes & (2 * MIB - 1)) == 0);
	REQUIRE(vm->cpus >= 1 && vm->cpus <= 64);
	REQUIRE(vm->restart <= MANIFEST_RESTART_ALWAYS);
	REQUIRE(vm->kernel < files && m->files[vm->kernel].bytes > 0);
	REQUIRE(vm->initrd == MANIFEST_NO_FILE || m->files[vm->initrd].bytes > 0);
	REQUIRE((vm->flags & ~7U) == 0 && vm->reserved == 0);
	REQUIRE(vm->weight >= 1 && vm->weight <= 10000);
	REQUIRE(vm->cap_percent <= 6400 && vm->cpus_allowed != 0);
	for (const struct manifest_vm *other = m->vms; other < vm; other++)
		REQUIRE(strcmp(other->name, vm->name) != 0);
}

static void open_and_check(const void *data, size_t size)
{
	struct manifest m;
	const char *why = NULL;
	void *copy = malloc(size + 1); /* malloc(0) may be NULL */

	REQUIRE(copy != NULL);
	memcpy(copy, data, size);
	if (manifest_open(copy, size, &m, &why) == ERR_OK) {
		REQUIRE(why == NULL);
		REQUIRE((const u8 *)(m.files + m.header->file_count) == (u8 *)copy + size);
		for (u32 i = 0; i < m.header->vm_count; i++)
			check_vm(&m, &m.vms[i]);
	} else {
		REQUIRE(why != NULL);
	}
	free(copy);
}

static void open_patched(const u8 *data, size_t size)
{
	struct blob b = {
		.header = { MANIFEST_MAGIC, MANIFEST_VERSION, sizeof(b), 0, 2, 2, 0 },
		.vms = { { .name = "a",
			   .memory_bytes = 2 * MIB,
			   .cpus = 1,
			   .weight = 1,
			   .cpus_allowed = 1 },
			 { .name = "b",
			   .memory_bytes = GIB,
			   .cpus = 64,
			   .initrd = 1,
			   .weight = 10000,
			   .cap_percent = 6400,
			   .cpus_allowed = MANIFEST_ANY_CPU } },
		.files = { { .bytes = 1 }, { .bytes = 2 } },
	};
	struct patch patch;

	for (; size >= sizeof(patch); data += sizeof(patch), size -= sizeof(patch)) {
		memcpy(&patch, data, sizeof(patch));
		((u8 *)&b)[(patch.offset[1] * 256U + patch.offset[0]) % sizeof(b)] = patch.value;
	}
	b.header.crc32 = manifest_crc32(&b, sizeof(b));
	open_and_check(&b, sizeof(b));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		open_patched(data + 1, size - 1);
	else
		open_and_check(data + 1, size - 1);
	return 0;
}
