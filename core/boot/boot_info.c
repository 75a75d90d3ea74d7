/* Multiboot2 Specification, "Boot information format". */
#include "core/boot/boot_info.h"

#include "core/mem/window.h"
#include "core/trace/log.h"
#include "lib/base/string.h"

#define MULTIBOOT2_BOOT_MAGIC 0x36d76289U
#define TAG_ALIGN	      8
#define RSDP_BYTES	      20 /* of ACPI 1.0 */
#define RSDP_BYTES_NEW	      36
#define INFO_BYTES_MAX	      (256 * KIB)
#define MEMORY_AVAILABLE      1
#define FRAMEBUFFER_RGB	      1
#define FRAMEBUFFER_TEXT      2

enum tag_type {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

struct tag {
	u32 type;
	u32 size;
};

struct tag_module {
	struct tag tag;
	u32 start, end;
};

struct memory_map_entry {
	u64 base, size;
	u32 type, reserved;
};

struct tag_memory_map {
	struct tag tag;
	u32 entry_size, version;
};

struct tag_framebuffer {
	struct tag tag;
	u64 address;
	u32 pitch, width, height;
	u8 bits_per_pixel, type;
	u16 reserved;
};

struct boot_info boot_info;

static void string_read(hpa_t at, u64 bytes, char *out, u64 out_bytes)
{
	u64 length = min_u64(bytes, out_bytes - 1);

	window_read(at, out, length);
	out[length] = '\0';
}

static void module_read(hpa_t at, const struct tag *tag)
{
	struct boot_module *m = &boot_info.module[boot_info.module_count];
	struct tag_module raw;

	if (boot_info.module_count == BOOT_MODULE_MAX || tag->size < sizeof(raw))
		return;
	window_read(at, &raw, sizeof(raw));
	/* Our header asks for whole pages; without them, memory of others would be mapped too. */
	if (raw.start % PAGE_SIZE != 0 || raw.end < raw.start)
		return;
	m->start = HPA(raw.start);
	m->bytes = raw.end - raw.start;
	string_read(hpa_add(at, sizeof(raw)), tag->size - sizeof(raw), m->name, sizeof(m->name));
	boot_info.module_count++;
}

/* One more range of RAM; firmware often cuts what belongs together. False: no room for it. */
static bool ram_add(const struct memory_map_entry *entry)
{
	struct memory_range *last =
		boot_info.ram_count > 0 ? &boot_info.ram[boot_info.ram_count - 1] : NULL;

	if (last && last->base + last->size == entry->base) {
		last->size += entry->size;
		return true;
	}
	if (boot_info.ram_count == BOOT_RAM_MAX)
		return false;
	boot_info.ram[boot_info.ram_count++] = (struct memory_range){ entry->base, entry->size };
	return true;
}

static void memory_map_read(hpa_t at, const struct tag *tag)
{
	struct tag_memory_map map;
	u64 unused = 0;

	if (tag->size < sizeof(map))
		return;
	window_read(at, &map, sizeof(map));
	if (map.entry_size < sizeof(struct memory_map_entry))
		return;
	for (u64 offset = sizeof(map); offset + map.entry_size <= tag->size;
	     offset += map.entry_size) {
		struct memory_map_entry entry;

		window_read(hpa_add(at, offset), &entry, sizeof(entry));
		if (entry.type != MEMORY_AVAILABLE || entry.base + entry.size < entry.base)
			continue;
		if (!ram_add(&entry))
			unused += entry.size;
	}
	if (unused > 0)
		log_warning("%lu MiB of memory are not used: the memory map has too many pieces",
			    unused / MIB);
}

static void framebuffer_read(hpa_t at, const struct tag *tag)
{
	struct tag_framebuffer raw;

	if (tag->size < sizeof(raw))
		return;
	window_read(at, &raw, sizeof(raw));
	if (raw.type != FRAMEBUFFER_RGB && raw.type != FRAMEBUFFER_TEXT)
		return;
	boot_info.framebuffer = (struct boot_framebuffer){
		.address = HPA(raw.address),
		.pitch = raw.pitch,
		.width = raw.width,
		.height = raw.height,
		.bits_per_pixel = raw.bits_per_pixel,
		.text = raw.type == FRAMEBUFFER_TEXT,
	};
}

static void tag_read(hpa_t at, const struct tag *tag)
{
	hpa_t body = hpa_add(at, sizeof(*tag));

	switch (tag->type) {
	case TAG_CMDLINE:
		string_read(body, tag->size - sizeof(*tag), boot_info.cmdline,
			    sizeof(boot_info.cmdline));
		break;
	case TAG_MODULE:
		module_read(at, tag);
		break;
	case TAG_MEMORY_MAP:
		memory_map_read(at, tag);
		break;
	case TAG_FRAMEBUFFER:
		framebuffer_read(at, tag);
		break;
	case TAG_ACPI_OLD:
		if (boot_info.rsdp.raw == 0 && tag->size >= sizeof(*tag) + RSDP_BYTES)
			boot_info.rsdp = body;
		break;
	case TAG_ACPI_NEW:
		if (tag->size >= sizeof(*tag) + RSDP_BYTES_NEW)
			boot_info.rsdp = body;
		break;
	default:
		break;
	}
}

void boot_info_read(u32 magic, hpa_t info)
{
	u32 total;

	if (magic != MULTIBOOT2_BOOT_MAGIC)
		panic("not started by a multiboot2 boot loader (magic %x); use GRUB's multiboot2 command",
		      magic);
	window_read(info, &total, sizeof(total));
	if (total > INFO_BYTES_MAX)
		panic("boot information of %u bytes is not plausible", total);
	boot_info.raw = (struct memory_range){ info.raw, total };
	for (u64 offset = 2 * sizeof(u32); offset + sizeof(struct tag) <= total;) {
		struct tag tag;

		window_read(hpa_add(info, offset), &tag, sizeof(tag));
		if (tag.type == TAG_END || tag.size < sizeof(tag) || tag.size > total - offset)
			break;
		tag_read(hpa_add(info, offset), &tag);
		offset += align_up(tag.size, TAG_ALIGN);
	}
}

const struct boot_module *boot_module_find(const char *name)
{
	for (u32 i = 0; i < boot_info.module_count; i++) {
		if (strcmp(boot_info.module[i].name, name) == 0)
			return &boot_info.module[i];
	}
	return NULL;
}

bool boot_option(const char *word)
{
	size_t length = strlen(word);

	for (const char *at = boot_info.cmdline; *at; at++) {
		bool starts = at == boot_info.cmdline || at[-1] == ' ';

		if (starts && strncmp(at, word, length) == 0 &&
		    (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}
