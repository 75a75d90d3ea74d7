/*
 * Multiboot kernels: ELF files or, with address fields in their header, files of any kind. One
 * module, the initrd.
 * Multiboot Specification, version 0.6.96.
 */
#include "lib/base/cursor.h"
#include "lib/base/string.h"
#include "vmm/load/elf.h"
#include "vmm/load/formats.h"
#include "vmm/load/layout.h"
#include "vmm/load/place.h"
#include "vmm/load/start.h"

#define HEADER_MAGIC  0x1badb002U
#define HEADER_SEARCH 8192U /* the header lies wholly in these first bytes */
#define HEADER_ALIGN  4U
#define LOADER_MAGIC  0x2badb002U

#define HEADER_WANTS_VIDEO     BIT32(2)
#define HEADER_REQUIRED	       BITS64(15, 0) /* a loader that does not know one must refuse */
#define HEADER_REQUIRED_KNOWN  BITS64(1, 0)  /* page-aligned modules, memory information */
#define HEADER_ADDRESSES_VALID BIT32(16)

#define INFO_MEMORY  BIT32(0)
#define INFO_CMDLINE BIT32(2)
#define INFO_MODULES BIT32(3)
#define INFO_MAP     BIT32(6)
#define INFO_NAME    BIT32(9)

#define LOADER_NAME "Ringfence"

struct multiboot_header {
	u32 magic, flags, checksum;
};

struct multiboot_addresses {
	u32 header, load, load_end, bss_end, entry;
};

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB from 0, and from 1 MiB */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 symbols[4];
	u32 mmap_length, mmap_addr;
	u32 drives_length, drives_addr;
	u32 config_table;
	u32 boot_loader_name;
	u32 apm_table;
	u32 vbe[4];
};

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct multiboot_map_entry {
	u32 size; /* of what follows */
	struct e820_entry entry;
};

/* The page that the kernel is pointed to. */
struct info_page {
	struct multiboot_info info;
	struct multiboot_module module;
	struct multiboot_map_entry map[E820_ENTRIES];
	char name[sizeof(LOADER_NAME)];
	char no_text[1]; /* the module's command line */
};

static_assert(sizeof(struct multiboot_info) == 88, "multiboot information");
static_assert(sizeof(struct multiboot_module) == 16, "multiboot module");
static_assert(sizeof(struct multiboot_map_entry) == 24, "multiboot memory map");
static_assert(sizeof(struct info_page) <= PAGE_SIZE, "one page");

#define INFO_ADDRESS(member) ((u32)(LOAD_INFO + offsetof(struct info_page, member)))

/* Finds the header and leaves the cursor behind it. */
static bool header_find(struct load_blob kernel, struct cursor *c, struct multiboot_header *h)
{
	u64 searched = min_u64(kernel.bytes, HEADER_SEARCH);

	for (u64 at = 0; at + sizeof(*h) <= searched; at += HEADER_ALIGN) {
		*c = cursor_over(kernel.data, kernel.bytes);
		if (!cursor_seek(c, at) || !cursor_read(c, h, sizeof(*h)))
			return false;
		if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
			return true;
	}
	return false;
}

bool multiboot_is(struct load_blob kernel)
{
	struct cursor c;
	struct multiboot_header h;

	return header_find(kernel, &c, &h);
}

/* Turns the address fields behind the header, which lies at `header_at`, into one segment. */
static const char *addresses_read(struct load_blob kernel, struct cursor *c, u64 header_at,
				  struct image *image)
{
	struct multiboot_addresses a;
	u64 start, bytes, end;

	if (!cursor_read(c, &a, sizeof(a)))
		return "the kernel is truncated: its multiboot header is cut off";
	if (a.header < a.load || a.header - a.load > header_at)
		return "the kernel's multiboot load address lies before the start of the file";
	start = header_at - (a.header - a.load);
	bytes = a.load_end ? (u64)a.load_end - a.load : kernel.bytes - start;
	if ((a.load_end && a.load_end < a.load) || bytes > kernel.bytes - start)
		return "the kernel is truncated: its multiboot load end lies behind the file";
	end = max_u64(a.load + bytes, a.bss_end);
	image->segment[0] = (struct image_segment){
		.file = { (const u8 *)kernel.data + start, bytes },
		.gpa = GPA(a.load),
		.address = a.load,
		.bytes = end - a.load,
	};
	image->count = 1;
	image->entry = GPA(a.entry);
	return NULL;
}

static enum err image_read(const struct load_request *req, struct load_result *out,
			   struct image *image)
{
	struct cursor c;
	struct multiboot_header h;

	if (!header_find(req->kernel, &c, &h))
		return load_refuse(out, ERR_BAD_FORMAT, "the kernel has no multiboot header");
	if (h.flags & HEADER_WANTS_VIDEO)
		return load_refuse(
			out, ERR_UNSUPPORTED,
			"the multiboot kernel asks for a video mode; there is no display");
	if (h.flags & HEADER_REQUIRED & ~HEADER_REQUIRED_KNOWN)
		return load_refuse(
			out, ERR_UNSUPPORTED,
			"the multiboot kernel asks for a feature that is not known here");
	if (h.flags & HEADER_ADDRESSES_VALID)
		out->why = addresses_read(req->kernel, &c, c.at - sizeof(h), image);
	else if (elf_is(req->kernel))
		return elf_open(req->kernel, image, &out->why);
	else
		out->why = "the multiboot kernel is no ELF file and gives no load addresses";
	return out->why ? ERR_BAD_FORMAT : ERR_OK;
}

static void info_write_map(const struct e820_map *e820, struct info_page *p)
{
	for (unsigned i = 0; i < e820->count; i++)
		p->map[i] = (struct multiboot_map_entry){ .size = sizeof(p->map[i].entry),
							  .entry = e820->entries[i] };
	p->info.mmap_addr = INFO_ADDRESS(map);
	p->info.mmap_length = e820->count * (u32)sizeof(p->map[0]);
}

static void info_write(const struct load_request *req, gpa_t initrd)
{
	struct info_page *p = (struct info_page *)(void *)place_at(req, GPA(LOAD_INFO));
	const char name[] = LOADER_NAME;

	memset(p, 0, PAGE_SIZE);
	p->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_NAME;
	p->info.mem_lower = (u32)(MAP_EBDA / KIB);
	p->info.mem_upper = (u32)((place_low_end(req) - MAP_HIGH_MEMORY) / KIB);
	p->info.cmdline = (u32)LOAD_CMDLINE;
	p->info.boot_loader_name = INFO_ADDRESS(name);
	p->info.mods_addr = INFO_ADDRESS(module);
	memcpy(p->name, name, sizeof(name));
	info_write_map(req->e820, p);
	if (req->initrd.bytes) {
		p->info.mods_count = 1;
		p->module.start = (u32)initrd.raw;
		p->module.end = (u32)(initrd.raw + req->initrd.bytes);
		p->module.string = INFO_ADDRESS(no_text);
	}
}

enum err multiboot_load(const struct load_request *req, struct load_result *out)
{
	struct image image = { .count = 0 };
	gpa_t initrd = GPA(0);
	enum err err = image_read(req, out, &image);

	if (!err)
		err = image_check(&image, req, out);
	if (!err)
		err = image_place_initrd(&image, req, out, IMAGE_INITRD_LOW, &initrd);
	if (err)
		return err;
	image_copy(&image, req);
	if (req->initrd.bytes)
		place_copy(req, initrd, req->initrd, req->initrd.bytes);
	place_cmdline(req);
	info_write(req, initrd);
	start_protected_mode(req, out, (u32)image.entry.raw);
	out->gpr[GPR_RAX] = LOADER_MAGIC;
	out->gpr[GPR_RBX] = LOAD_INFO;
	return ERR_OK;
}
