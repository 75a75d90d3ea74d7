/* ELF executables for x86: see elf.h. Both sizes are read into one form before any check. */
#include "vmm/load/elf.h"

#include "lib/base/string.h"

#define ELF_MAGIC   0x464c457fU
#define ELF_32	    1U
#define ELF_64	    2U
#define ELF_LITTLE  1U
#define ELF_VERSION 1U

#define ET_EXEC	  2U
#define ET_DYN	  3U
#define EM_386	  3U
#define EM_X86_64 62U

#define PT_LOAD	 1U
#define PT_NOTE	 4U
#define PH_COUNT 64U /* more than kernels have */

struct elf_ident {
	u32 magic;
	u8 size, order, version;
	u8 pad[9];
};

struct elf_header32 {
	struct elf_ident ident;
	u16 type, machine;
	u32 version;
	u32 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_header64 {
	struct elf_ident ident;
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_program32 {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf_program64 {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note_header {
	u32 name_bytes, content_bytes, type;
};

static_assert(sizeof(struct elf_ident) == 16, "ELF identification");
static_assert(sizeof(struct elf_header32) == 52, "ELF header");
static_assert(sizeof(struct elf_header64) == 64, "ELF header");
static_assert(sizeof(struct elf_program32) == 32, "ELF program header");
static_assert(sizeof(struct elf_program64) == 56, "ELF program header");

static struct cursor blob_cursor(struct load_blob blob)
{
	return cursor_over(blob.data, blob.bytes);
}

bool elf_is(struct load_blob file)
{
	struct cursor c = blob_cursor(file);
	u32 magic = 0;

	return cursor_read_u32(&c, &magic) && magic == ELF_MAGIC;
}

static bool header_read32(struct cursor *c, struct elf_header64 *out)
{
	struct elf_header32 h;

	if (!cursor_read(c, &h, sizeof(h)))
		return false;
	*out = (struct elf_header64){ .ident = h.ident,
				      .type = h.type,
				      .machine = h.machine,
				      .entry = h.entry,
				      .phoff = h.phoff,
				      .phentsize = h.phentsize,
				      .phnum = h.phnum };
	return true;
}

static bool header_read(struct load_blob file, struct elf_header64 *out)
{
	struct cursor c = blob_cursor(file);
	struct elf_ident ident;

	if (!cursor_read(&c, &ident, sizeof(ident)) || !cursor_seek(&c, 0))
		return false;
	if (ident.size == ELF_32)
		return header_read32(&c, out);
	return cursor_read(&c, out, sizeof(*out));
}

static const char *header_check(const struct elf_header64 *h)
{
	const struct elf_ident *id = &h->ident;
	u16 size = id->size == ELF_32 ? sizeof(struct elf_program32) : sizeof(struct elf_program64);

	if ((id->size != ELF_32 && id->size != ELF_64) || id->order != ELF_LITTLE ||
	    id->version != ELF_VERSION)
		return "the kernel's ELF identification is not that of a little-endian file";
	if (h->machine != EM_X86_64 && h->machine != EM_386)
		return "the kernel is an ELF file for another processor";
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return "the kernel is an ELF file, but not an executable";
	if (h->phentsize != size || h->phnum == 0 || h->phnum > PH_COUNT)
		return "the kernel's ELF program headers have a wrong size or number";
	return NULL;
}

/* Reads program header `i`, which must lie in the file, and its bytes too. */
static bool program_read(struct load_blob file, const struct elf_header64 *h, u32 i,
			 struct elf_program64 *out)
{
	struct cursor c = blob_cursor(file);
	struct elf_program32 p;

	if (!cursor_seek(&c, h->phoff) || !cursor_skip(&c, (u64)i * h->phentsize))
		return false;
	if (h->ident.size == ELF_64) {
		if (!cursor_read(&c, out, sizeof(*out)))
			return false;
	} else {
		if (!cursor_read(&c, &p, sizeof(p)))
			return false;
		*out = (struct elf_program64){ p.type,	p.flags,  p.offset, p.vaddr,
					       p.paddr, p.filesz, p.memsz,  p.align };
	}
	if (out->type != PT_LOAD && out->type != PT_NOTE)
		return true;
	return cursor_seek(&c, out->offset) && cursor_skip(&c, out->filesz);
}

static struct load_blob program_bytes(struct load_blob file, const struct elf_program64 *p)
{
	return (struct load_blob){ (const u8 *)file.data + p->offset, p->filesz };
}

/* The entry point is where a segment is linked to run; the kernel starts where it was loaded. */
static gpa_t entry_to_physical(const struct image *image, u64 entry)
{
	for (unsigned i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segment[i];

		if (entry >= s->address && entry - s->address < s->bytes)
			return gpa_add(s->gpa, entry - s->address);
	}
	return GPA(entry);
}

static const char *image_fill(struct load_blob file, const struct elf_header64 *h,
			      struct image *image)
{
	struct elf_program64 p;

	image->count = 0;
	for (u32 i = 0; i < h->phnum; i++) {
		if (!program_read(file, h, i, &p))
			return "the kernel is truncated: an ELF header or segment ends behind the file";
		if (p.type != PT_LOAD || p.memsz == 0)
			continue;
		if (p.filesz > p.memsz)
			return "a segment of the kernel is longer in the file than in memory";
		if (image->count == IMAGE_SEGMENTS)
			return "the kernel has too many ELF segments";
		image->segment[image->count++] =
			(struct image_segment){ .file = program_bytes(file, &p),
						.gpa = GPA(p.paddr),
						.address = p.vaddr,
						.bytes = p.memsz };
	}
	image->entry = entry_to_physical(image, h->entry);
	return image->count ? NULL : "the kernel is an ELF file with nothing to load";
}

enum err elf_open(struct load_blob file, struct image *image, const char **why)
{
	struct elf_header64 h;

	*why = "the kernel is truncated: its ELF header ends behind the file";
	if (!header_read(file, &h))
		return ERR_BAD_FORMAT;
	*why = header_check(&h);
	if (!*why)
		*why = image_fill(file, &h, image);
	return *why ? ERR_BAD_FORMAT : ERR_OK;
}

/* Takes `bytes` off the cursor as a cursor of their own, and the padding behind them. */
static bool note_part(struct cursor *c, u32 bytes, u64 align, struct cursor *part)
{
	*part = cursor_over(c->data + c->at, bytes);
	if (!cursor_skip(c, bytes))
		return false;
	if (!cursor_seek(c, align_up(c->at, align))) /* the last may lack its padding */
		c->at = c->size;
	return true;
}

static enum err note_find(struct cursor c, u64 align, const char *name, u32 type,
			  struct cursor *content)
{
	struct elf_note_header h;
	struct cursor owner;
	size_t name_bytes = strlen(name) + 1;

	while (cursor_left(&c)) {
		if (!cursor_read(&c, &h, sizeof(h)) ||
		    !note_part(&c, h.name_bytes, align, &owner) ||
		    !note_part(&c, h.content_bytes, align, content))
			return ERR_BAD_FORMAT;
		if (h.type == type && owner.size == name_bytes &&
		    memcmp(owner.data, name, name_bytes) == 0)
			return ERR_OK;
	}
	return ERR_NOT_FOUND;
}

enum err elf_note(struct load_blob file, const char *name, u32 type, struct cursor *content)
{
	struct elf_header64 h;
	struct elf_program64 p;

	if (!header_read(file, &h))
		return ERR_BAD_FORMAT;
	for (u32 i = 0; i < h.phnum; i++) {
		enum err err = ERR_NOT_FOUND;

		if (!program_read(file, &h, i, &p))
			return ERR_BAD_FORMAT;
		if (p.type == PT_NOTE)
			err = note_find(blob_cursor(program_bytes(file, &p)), p.align == 8 ? 8 : 4,
					name, type, content);
		if (err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_NOT_FOUND;
}
