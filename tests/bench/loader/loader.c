/*
 * Starts the core from QEMU's own loader instead of GRUB: a multiboot 1 program that loads its
 * first module, the core's ELF file, and hands it the others with multiboot 2 information. QEMU
 * puts the files into memory at once, so that a measured boot does not depend on how fast a disk
 * answers.
 */
#include <stdint.h>

#define INFORMATION_BYTES 4096
#define BIOS_FIRST	  0xe0000
#define BIOS_LAST	  0xfffff
#define RSDP_BYTES	  20

enum { TAG_END, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6, TAG_ACPI_OLD = 14 };

#define ELF_LOAD 1

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, program_headers, section_headers;
	uint32_t flags;
	uint16_t header_bytes, program_header_bytes, program_header_count;
};

struct elf_program_header {
	uint32_t type, flags;
	uint64_t offset, address, physical, file_bytes, memory_bytes, align;
};

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods;
	uint32_t syms[4], mmap_length, mmap;
};

struct multiboot_module {
	uint32_t start, end, string, reserved;
};

struct multiboot_memory {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __attribute__((packed));

uint32_t entry;
uint8_t information[INFORMATION_BYTES] __attribute__((aligned(8)));
static uint8_t *at;

static void bytes_put(const void *from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		*at++ = ((const uint8_t *)from)[i];
}

static void word_put(uint32_t word)
{
	bytes_put(&word, sizeof(word));
}

static uint8_t *tag_begin(uint32_t type)
{
	uint8_t *tag = at;

	word_put(type);
	word_put(0);
	return tag;
}

static void tag_end(uint8_t *tag)
{
	((uint32_t *)tag)[1] = (uint32_t)(at - tag);
	at = (uint8_t *)(((uint32_t)at + 7) & ~7U);
}

/* What follows the file's name in a command line. */
static void words_put(const char *line)
{
	while (*line && *line != ' ')
		line++;
	while (*line == ' ')
		line++;
	for (; *line; line++)
		bytes_put(line, 1);
	bytes_put("", 1);
}

static void modules_put(const struct multiboot_module *m, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint8_t *tag = tag_begin(TAG_MODULE);

		word_put(m[i].start);
		word_put(m[i].end);
		words_put((const char *)m[i].string);
		tag_end(tag);
	}
}

static void memory_put(uint32_t first, uint32_t length)
{
	uint8_t *tag = tag_begin(TAG_MEMORY_MAP);

	word_put(24);
	word_put(0);
	for (uint32_t p = first; p < first + length;) {
		const struct multiboot_memory *m = (const void *)p;

		bytes_put(&m->base, 20);
		word_put(0);
		p += m->size + sizeof(m->size);
	}
	tag_end(tag);
}

/* ACPI Specification, "Finding the RSDP on IA-PC Systems". */
static void acpi_put(void)
{
	for (uint32_t p = BIOS_FIRST; p < BIOS_LAST; p += 16) {
		const uint32_t *signature = (const uint32_t *)p;
		uint8_t *tag;

		if (signature[0] != 0x20445352 || signature[1] != 0x20525450) /* "RSD PTR " */
			continue;
		tag = tag_begin(TAG_ACPI_OLD);
		bytes_put(signature, RSDP_BYTES);
		tag_end(tag);
		return;
	}
}

static void core_load(const uint8_t *file)
{
	const struct elf_header *header = (const void *)file;
	const struct elf_program_header *p = (const void *)(file + header->program_headers);

	entry = (uint32_t)header->entry;
	for (uint32_t i = 0; i < header->program_header_count; i++, p++) {
		uint8_t *to = (uint8_t *)(uint32_t)p->physical;

		if (p->type != ELF_LOAD)
			continue;
		for (uint32_t j = 0; j < p->memory_bytes; j++)
			to[j] = j < p->file_bytes ? file[(uint32_t)p->offset + j] : 0;
	}
}

void load(const struct multiboot_info *info);
void load(const struct multiboot_info *info)
{
	const struct multiboot_module *m = (const void *)info->mods;
	uint8_t *tag;

	core_load((const uint8_t *)m->start);
	at = information + 8;
	tag = tag_begin(TAG_CMDLINE);
	words_put((const char *)m->string);
	tag_end(tag);
	modules_put(m + 1, info->mods_count - 1);
	memory_put(info->mmap, info->mmap_length);
	acpi_put();
	tag_end(tag_begin(TAG_END));
	*(uint32_t *)information = (uint32_t)(at - information);
}
