/*
 * PVH kernels: ELF files whose note names a 32-bit entry point.
 * Xen, "x86/HVM direct boot ABI" and its header, "start_info".
 */
#include "lib/base/cursor.h"
#include "lib/base/string.h"
#include "vmm/load/elf.h"
#include "vmm/load/formats.h"
#include "vmm/load/layout.h"
#include "vmm/load/place.h"
#include "vmm/load/start.h"

#define NOTE_OWNER	  "Xen"
#define NOTE_PHYS32_ENTRY 18U

#define START_INFO_MAGIC   0x336ec578U
#define START_INFO_VERSION 1U

struct start_info {
	u32 magic, version, flags, module_count;
	u64 modules, cmdline, rsdp, memory_map;
	u32 memory_map_count, reserved;
};

struct start_module {
	u64 address, bytes, cmdline, reserved;
};

struct start_memory {
	u64 address, bytes;
	u32 type, reserved; /* the type as in E820 */
};

/* The page that the kernel is pointed to. */
struct start_page {
	struct start_info info;
	struct start_module module;
	struct start_memory memory[E820_ENTRIES];
};

static_assert(sizeof(struct start_info) == 56, "start_info");
static_assert(sizeof(struct start_module) == 32, "start_info");
static_assert(sizeof(struct start_memory) == 24, "start_info");
static_assert(sizeof(struct start_page) <= PAGE_SIZE, "one page");

/* Damaged notes count: refusing them says more than taking the kernel for something else. */
bool pvh_is(struct load_blob kernel)
{
	struct cursor note;
	struct image image;
	const char *why;

	return elf_is(kernel) && elf_open(kernel, &image, &why) == ERR_OK &&
	       elf_note(kernel, NOTE_OWNER, NOTE_PHYS32_ENTRY, &note) != ERR_NOT_FOUND;
}

/* The note's content is the entry point's physical address, as wide as the file's addresses. */
static enum err entry_read(const struct load_request *req, struct load_result *out, gpa_t *entry)
{
	struct cursor note;
	u32 entry32;

	if (elf_note(req->kernel, NOTE_OWNER, NOTE_PHYS32_ENTRY, &note) != ERR_OK)
		return load_refuse(out, ERR_BAD_FORMAT, "the kernel's ELF notes are damaged");
	if (cursor_read_u64(&note, &entry->raw))
		return ERR_OK;
	if (!cursor_read_u32(&note, &entry32))
		return load_refuse(out, ERR_BAD_FORMAT, "the kernel's PVH note is too short");
	*entry = GPA(entry32);
	return ERR_OK;
}

static void start_page_write(const struct load_request *req, gpa_t initrd)
{
	struct start_page *p = (struct start_page *)(void *)place_at(req, GPA(LOAD_INFO));

	memset(p, 0, PAGE_SIZE);
	p->info =
		(struct start_info){ .magic = START_INFO_MAGIC,
				     .version = START_INFO_VERSION,
				     .cmdline = LOAD_CMDLINE,
				     .rsdp = req->rsdp.raw,
				     .memory_map = LOAD_INFO + offsetof(struct start_page, memory),
				     .memory_map_count = req->e820->count };
	if (req->initrd.bytes) {
		p->info.module_count = 1;
		p->info.modules = LOAD_INFO + offsetof(struct start_page, module);
		p->module.address = initrd.raw;
		p->module.bytes = req->initrd.bytes;
	}
	for (unsigned i = 0; i < req->e820->count; i++) {
		p->memory[i].address = req->e820->entries[i].base;
		p->memory[i].bytes = req->e820->entries[i].bytes;
		p->memory[i].type = req->e820->entries[i].type;
	}
}

enum err pvh_load(const struct load_request *req, struct load_result *out)
{
	struct image image;
	gpa_t initrd = GPA(0);
	enum err err = elf_open(req->kernel, &image, &out->why);

	if (!err)
		err = entry_read(req, out, &image.entry);
	if (!err)
		err = image_check(&image, req, out);
	if (!err)
		err = image_place_initrd(&image, req, out, IMAGE_INITRD_HIGH, &initrd);
	if (err)
		return err;
	image_copy(&image, req);
	if (req->initrd.bytes)
		place_copy(req, initrd, req->initrd, req->initrd.bytes);
	place_cmdline(req);
	start_page_write(req, initrd);
	start_protected_mode(req, out, (u32)image.entry.raw);
	out->gpr[GPR_RBX] = LOAD_INFO;
	return ERR_OK;
}
