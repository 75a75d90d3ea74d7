/*
 * Linux bzImages through the 64-bit entry point: no real-mode code runs, and the kernel goes to
 * the address it prefers, where it would move anyway.
 * Linux, "The Linux/x86 Boot Protocol".
 */
#include "lib/base/cursor.h"
#include "lib/base/string.h"
#include "vmm/load/formats.h"
#include "vmm/load/layout.h"
#include "vmm/load/place.h"
#include "vmm/load/start.h"

#define SETUP_HEADER	   0x1f1U      /* in the file as in boot_params */
#define SETUP_HEADER_END   0x290U      /* at most */
#define SETUP_JUMP_LENGTH  0x201U      /* its value counts from 0x202 */
#define SETUP_MAGIC	   0x53726448U /* "HdrS" */
#define SETUP_MAGIC_AT	   0x202U
#define SETUP_BOOT_FLAG	   0xaa55U
#define SETUP_VERSION_MIN  0x020cU /* 2.12: xloadflags */
#define SETUP_SECTOR	   512U
#define SETUP_SECTORS_OLD  4U  /* what zero means */
#define SETUP_PARAGRAPH	   16U /* the unit of syssize */
#define SETUP_LOADER_OTHER 0xffU
#define SETUP_VGA_NORMAL   0xffffU
#define SETUP_ENTRY_64	   0x200U

#define LOADFLAGS_LOADED_HIGH  BIT32(0)
#define XLOADFLAGS_KERNEL_64   BIT32(0)
#define BOOT_PARAMS_E820_COUNT 128U

struct setup_header {
	u8 setup_sects;
	u16 root_flags;
	u32 syssize;
	u16 ram_size, vid_mode, root_dev, boot_flag;
	u8 jump, jump_length;
	u32 magic;
	u16 version;
	u32 realmode_swtch;
	u16 start_sys_seg, kernel_version;
	u8 type_of_loader, loadflags;
	u16 setup_move_size;
	u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
	u16 heap_end_ptr;
	u8 ext_loader_ver, ext_loader_type;
	u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
	u8 relocatable_kernel, min_alignment;
	u16 xloadflags;
	u32 cmdline_size, hardware_subarch;
	u64 hardware_subarch_data;
	u32 payload_offset, payload_length;
	u64 setup_data, pref_address;
	u32 init_size, handover_offset;
} PACKED;

struct boot_params {
	u8 screen_info[0x70]; /* all zero: no display */
	u64 acpi_rsdp_addr;
	u8 pad0[0x170];
	u8 e820_entries;
	u8 pad1[8];
	struct setup_header header;
	u8 header_rest[0x28]; /* fields of later versions */
	u8 pad2[0x40];
	struct e820_entry e820_table[BOOT_PARAMS_E820_COUNT];
	u8 pad3[0x330];
} PACKED;

#define SETUP_HEADER_BYTES sizeof(struct setup_header)

static_assert(offsetof(struct setup_header, boot_flag) + SETUP_HEADER == 0x1fe, "boot protocol");
static_assert(offsetof(struct setup_header, magic) + SETUP_HEADER == 0x202, "boot protocol");
static_assert(offsetof(struct setup_header, loadflags) + SETUP_HEADER == 0x211, "boot protocol");
static_assert(offsetof(struct setup_header, cmd_line_ptr) + SETUP_HEADER == 0x228, "boot protocol");
static_assert(offsetof(struct setup_header, xloadflags) + SETUP_HEADER == 0x236, "boot protocol");
static_assert(offsetof(struct setup_header, pref_address) + SETUP_HEADER == 0x258, "boot protocol");
static_assert(SETUP_HEADER_BYTES + SETUP_HEADER == 0x268, "boot protocol");
static_assert(offsetof(struct boot_params, acpi_rsdp_addr) == 0x70, "boot protocol");
static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "boot protocol");
static_assert(offsetof(struct boot_params, header) == SETUP_HEADER, "boot protocol");
static_assert(offsetof(struct boot_params, pad2) == SETUP_HEADER_END, "boot protocol");
static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "boot protocol");
static_assert(sizeof(struct boot_params) == PAGE_SIZE, "boot protocol");
static_assert(E820_ENTRIES <= BOOT_PARAMS_E820_COUNT, "the whole map fits");

/* Where everything goes, decided before anything is written. */
struct bzimage {
	struct setup_header header;
	struct load_blob raw_header; /* with fields that are newer than struct setup_header */
	struct load_blob code;	     /* the protected-mode kernel */
	u64 bytes; /* memory it needs from pref_address until it looks at the map */
	gpa_t initrd;
};

bool bzimage_is(struct load_blob kernel)
{
	struct cursor c = cursor_over(kernel.data, kernel.bytes);
	u32 magic = 0;

	return cursor_seek(&c, SETUP_MAGIC_AT) && cursor_read_u32(&c, &magic) &&
	       magic == SETUP_MAGIC;
}

static enum err header_read(const struct load_request *req, struct load_result *out,
			    struct bzimage *b)
{
	struct cursor c = cursor_over(req->kernel.data, req->kernel.bytes);
	const u8 *raw = req->kernel.data;
	u64 end;

	if (!cursor_seek(&c, SETUP_HEADER) || !cursor_read(&c, &b->header, sizeof(b->header)))
		return load_refuse(out, ERR_BAD_FORMAT,
				   "the bzImage is truncated: its setup header is cut off");
	if (b->header.boot_flag != SETUP_BOOT_FLAG)
		return load_refuse(out, ERR_BAD_FORMAT, "the bzImage lacks the boot flag 0xaa55");
	if (b->header.version < SETUP_VERSION_MIN)
		return load_refuse(out, ERR_UNSUPPORTED,
				   "the bzImage's boot protocol is older than 2.12 (Linux 3.8)");
	end = min_u64(SETUP_MAGIC_AT + (u64)b->header.jump_length, SETUP_HEADER_END);
	if (end < SETUP_HEADER + SETUP_HEADER_BYTES || end > req->kernel.bytes)
		return load_refuse(out, ERR_BAD_FORMAT,
				   "the bzImage's setup header is shorter than its version says");
	b->raw_header = (struct load_blob){ raw + SETUP_HEADER, end - SETUP_HEADER };
	return ERR_OK;
}

static enum err header_check(const struct load_request *req, struct load_result *out,
			     const struct bzimage *b)
{
	const struct setup_header *h = &b->header;

	if (!(h->loadflags & LOADFLAGS_LOADED_HIGH))
		return load_refuse(out, ERR_UNSUPPORTED, "the kernel is a zImage, not a bzImage");
	if (!(h->xloadflags & XLOADFLAGS_KERNEL_64))
		return load_refuse(out, ERR_UNSUPPORTED,
				   "the bzImage has no 64-bit entry point: it is a 32-bit kernel");
	if (place_cmdline_length(req) > h->cmdline_size)
		return load_refuse(out, ERR_INVALID,
				   "the command line is longer than this kernel accepts");
	if (h->kernel_alignment == 0 || (h->kernel_alignment & (h->kernel_alignment - 1)) ||
	    h->pref_address % h->kernel_alignment)
		return load_refuse(out, ERR_BAD_FORMAT,
				   "the bzImage's preferred address does not fit its alignment");
	return ERR_OK;
}

static enum err code_find(const struct load_request *req, struct load_result *out,
			  struct bzimage *b)
{
	struct cursor c = cursor_over(req->kernel.data, req->kernel.bytes);
	u64 sectors = b->header.setup_sects ? b->header.setup_sects : SETUP_SECTORS_OLD;
	u64 bytes = (u64)b->header.syssize * SETUP_PARAGRAPH;

	if (bytes <= SETUP_ENTRY_64)
		return load_refuse(out, ERR_BAD_FORMAT, "the bzImage holds no kernel");
	if (!cursor_skip(&c, (sectors + 1) * SETUP_SECTOR) || bytes > cursor_left(&c))
		return load_refuse(
			out, ERR_BAD_FORMAT,
			"the bzImage is truncated: the file ends before the kernel does");
	b->code = (struct load_blob){ c.data + c.at, bytes };
	b->bytes = max_u64(bytes, b->header.init_size);
	return ERR_OK;
}

static enum err kernel_place(const struct load_request *req, struct load_result *out,
			     const struct bzimage *b)
{
	u64 address = b->header.pref_address;

	if (address < MAP_HIGH_MEMORY || address >= MAP_LOW_RAM_END ||
	    b->bytes > MAP_LOW_RAM_END - address)
		return load_refuse(out, ERR_UNSUPPORTED,
				   "the bzImage prefers an address where this machine has no RAM");
	if (!place_is_free(req, GPA(address), b->bytes))
		return load_refuse_memory(out, address + b->bytes,
					  "the kernel needs more memory to unpack itself");
	return ERR_OK;
}

static enum err initrd_place(const struct load_request *req, struct load_result *out,
			     struct bzimage *b)
{
	u64 floor = b->header.pref_address + b->bytes;
	u64 ceiling = (u64)b->header.initrd_addr_max + 1;
	u64 bytes = req->initrd.bytes;

	if (bytes == 0 || place_highest(req, floor, ceiling, bytes, &b->initrd))
		return ERR_OK;
	if (bytes > MAP_LOW_RAM_END || align_up(floor, PAGE_SIZE) + bytes > ceiling)
		return load_refuse(out, ERR_UNSUPPORTED,
				   "the initrd is larger than this kernel can address");
	return load_refuse_memory(out, align_up(align_up(floor, PAGE_SIZE) + bytes, PAGE_SIZE),
				  "the initrd does not fit in memory beside the kernel");
}

static void boot_params_write(const struct load_request *req, const struct bzimage *b)
{
	struct boot_params *p = (struct boot_params *)(void *)place_at(req, GPA(LOAD_BOOT_PARAMS));
	struct setup_header h = b->header;

	h.type_of_loader = SETUP_LOADER_OTHER;
	h.vid_mode = SETUP_VGA_NORMAL;
	h.code32_start = (u32)h.pref_address;
	h.cmd_line_ptr = (u32)LOAD_CMDLINE;
	h.ramdisk_image = (u32)b->initrd.raw;
	h.ramdisk_size = (u32)req->initrd.bytes;
	h.setup_data = 0;
	memset(p, 0, sizeof(*p));
	memcpy(&p->header, b->raw_header.data, b->raw_header.bytes);
	p->header = h;
	p->acpi_rsdp_addr = req->rsdp.raw;
	p->e820_entries = (u8)req->e820->count;
	memcpy(p->e820_table, req->e820->entries, req->e820->count * sizeof(struct e820_entry));
}

static void bzimage_write(const struct load_request *req, struct load_result *out,
			  const struct bzimage *b)
{
	place_copy(req, GPA(b->header.pref_address), b->code, b->code.bytes);
	if (req->initrd.bytes)
		place_copy(req, b->initrd, req->initrd, req->initrd.bytes);
	place_cmdline(req);
	boot_params_write(req, b);
	start_long_mode(req, out, b->header.pref_address + SETUP_ENTRY_64);
	out->gpr[GPR_RSI] = LOAD_BOOT_PARAMS;
}

enum err bzimage_load(const struct load_request *req, struct load_result *out)
{
	struct bzimage b = { 0 };
	enum err err = header_read(req, out, &b);

	if (!err)
		err = header_check(req, out, &b);
	if (!err)
		err = code_find(req, out, &b);
	if (!err)
		err = kernel_place(req, out, &b);
	if (!err)
		err = initrd_place(req, out, &b);
	if (!err)
		bzimage_write(req, out, &b);
	return err;
}
