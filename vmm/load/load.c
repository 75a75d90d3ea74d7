/* Finds out what a kernel is and loads it: see load.h. */
#include "vmm/load/load.h"

#include "lib/base/string.h"
#include "vmm/load/elf.h"
#include "vmm/load/formats.h"
#include "vmm/load/layout.h"
#include "vmm/load/place.h"

struct format {
	const char *name;
	bool (*is)(struct load_blob kernel);
	enum err (*load)(const struct load_request *req, struct load_result *out);
};

/* A Linux image is also a boot sector and may carry other magic numbers in its code: first. */
static const struct format formats[] = {
	{ "bzImage", bzimage_is, bzimage_load },
	{ "PVH", pvh_is, pvh_load },
	{ "multiboot", multiboot_is, multiboot_load },
};

static enum err refuse_unknown(struct load_blob kernel, struct load_result *out)
{
	struct image image;

	if (kernel.bytes == 0)
		return load_refuse(out, ERR_BAD_FORMAT, "the kernel file is empty");
	if (elf_is(kernel) && elf_open(kernel, &image, &out->why) != ERR_OK)
		return ERR_BAD_FORMAT;
	if (elf_is(kernel))
		return load_refuse(
			out, ERR_UNSUPPORTED,
			"the kernel is an ELF file without a PVH note or multiboot header; "
			"for Linux give the bzImage (vmlinuz)");
	return load_refuse(out, ERR_UNSUPPORTED,
			   "the kernel is neither a bzImage, a PVH nor a multiboot kernel");
}

enum err load_kernel(const struct load_request *req, struct load_result *out)
{
	*out = (struct load_result){ 0 };
	if (place_low_end(req) <= MAP_HIGH_MEMORY)
		return load_refuse(out, ERR_INVALID, "the VM has no memory at 1 MiB");
	if (req->cmdline && strlen(req->cmdline) >= LOAD_CMDLINE_BYTES)
		return load_refuse(out, ERR_INVALID, "the command line is longer than 64 KiB");
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].is(req->kernel)) {
			out->format = formats[i].name;
			return formats[i].load(req, out);
		}
	return refuse_unknown(req->kernel, out);
}
