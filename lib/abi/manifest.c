/*
 * Validates the boot manifest blob (lib/abi/manifest.h). The blob is untrusted until every check
 * has passed: a caller gets all of it or nothing.
 */
#include "lib/abi/manifest.h"

#include "lib/base/crc32.h"
#include "lib/base/string.h"

/* A check returns what is wrong, or NULL. */
static const char *fault_of_header(const struct manifest_header *h, size_t size)
{
	if (h->magic != MANIFEST_MAGIC)
		return "wrong magic";
	if (h->version != MANIFEST_VERSION)
		return "version unknown to this build";
	if (h->length != size)
		return "length differs from the bytes present";
	if (h->crc32 != manifest_crc32(h, size))
		return "checksum mismatch";
	if (h->reserved != 0)
		return "reserved header field not zero";
	if (h->vm_count == 0 || h->vm_count > MANIFEST_VM_MAX)
		return "number of VMs out of range";
	if (h->file_count == 0 || h->file_count > MANIFEST_FILE_MAX)
		return "number of files out of range";
	if (size != sizeof(*h) + h->vm_count * sizeof(struct manifest_vm) +
			    h->file_count * sizeof(struct manifest_file))
		return "length does not match the numbers of VMs and files";
	return NULL;
}

/* Whether a fixed field ends its text with NUL and holds nothing but NUL from there. */
static bool text_is_padded(const char *field, size_t bytes)
{
	size_t length = 0;

	while (length < bytes && field[length] != '\0')
		length++;
	if (length == bytes)
		return false;
	while (length < bytes && field[length] == '\0')
		length++;
	return length == bytes;
}

static const char *fault_of_name(const struct manifest_vm *vms, u32 index)
{
	const char *name = vms[index].name;

	if (!text_is_padded(name, sizeof(vms->name)))
		return "VM name not terminated and padded";
	if (name[0] == '\0')
		return "VM name empty";
	for (u32 i = 0; name[i] != '\0'; i++) {
		if (!manifest_name_allows(name[i]))
			return "VM name has a character outside a-z 0-9 -";
	}
	for (u32 i = 0; i < index; i++) {
		if (strcmp(name, vms[i].name) == 0)
			return "two VMs have one name";
	}
	return NULL;
}

static const char *fault_of_vm(const struct manifest_vm *vm, u32 file_count)
{
	if (!text_is_padded(vm->cmdline, sizeof(vm->cmdline)))
		return "command line not terminated and padded";
	if (!manifest_memory_allows(vm->memory_bytes))
		return "memory size out of range or no multiple of its unit";
	if (vm->cpus == 0 || vm->cpus > MANIFEST_CPUS_MAX)
		return "number of vCPUs out of range";
	if (vm->restart >= MANIFEST_RESTART_COUNT)
		return "unknown restart policy";
	if ((vm->flags & ~MANIFEST_FLAGS_ALL) != 0)
		return "unknown VM flag";
	if (vm->kernel >= file_count)
		return "kernel names no file";
	if (vm->initrd >= file_count && vm->initrd != MANIFEST_NO_FILE)
		return "initrd names no file";
	if (vm->weight == 0 || vm->weight > MANIFEST_WEIGHT_MAX)
		return "weight out of range";
	if (vm->cap_percent > MANIFEST_CAP_MAX)
		return "cap out of range";
	if (vm->cpus_allowed == 0)
		return "pinned to no processor";
	if (vm->reserved != 0)
		return "reserved VM field not zero";
	return NULL;
}

static const char *fault_of_file(const struct manifest_file *file)
{
	if (file->bytes == 0)
		return "file empty";
	if (file->reserved != 0)
		return "reserved file field not zero";
	return NULL;
}

static const char *fault_of_records(const struct manifest *m)
{
	const char *fault = NULL;

	for (u32 i = 0; i < m->header->vm_count && fault == NULL; i++) {
		fault = fault_of_name(m->vms, i);
		if (fault == NULL)
			fault = fault_of_vm(&m->vms[i], m->header->file_count);
	}
	for (u32 i = 0; i < m->header->file_count && fault == NULL; i++)
		fault = fault_of_file(&m->files[i]);
	return fault;
}

u32 manifest_crc32(const void *blob, size_t size)
{
	static const u32 zero;
	const u8 *bytes = blob;
	const size_t field = offsetof(struct manifest_header, crc32);
	const size_t rest = field + sizeof(zero);
	u32 crc = crc32_update(0, bytes, field);

	crc = crc32_update(crc, &zero, sizeof(zero));
	return crc32_update(crc, bytes + rest, size - rest);
}

enum err manifest_open(const void *blob, size_t size, struct manifest *out, const char **why)
{
	struct manifest m = { .header = blob };

	if (size < sizeof(*m.header)) {
		*why = "shorter than its header";
		return ERR_BAD_FORMAT;
	}
	*why = fault_of_header(m.header, size);
	if (*why != NULL)
		return ERR_BAD_FORMAT;

	m.vms = (const struct manifest_vm *)(m.header + 1);
	m.files = (const struct manifest_file *)(m.vms + m.header->vm_count);
	*why = fault_of_records(&m);
	if (*why != NULL)
		return ERR_BAD_FORMAT;
	*out = m;
	return ERR_OK;
}
