/* System V ABI, "Object Files"; little-endian x86-64 executables only. */
#include "core/sys/elf.h"

#include "core/mem/window.h"
#include "core/sys/process.h"
#include "core/trace/log.h"

#define ELF_MAGIC    0x00010102464c457fULL /* 64-bit, little-endian, version 1 */
#define ELF_EXEC     2
#define ELF_X86_64   62
#define ELF_LOAD     1
#define ELF_FLAG_X   1U
#define ELF_FLAG_W   2U
#define SEGMENTS_MAX 16
#define IMAGE_START  0x400000ULL
#define IMAGE_END    0x40000000ULL

struct elf_header {
	u64 magic, pad;
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum;
};

struct elf_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

static bool segment_is_sane(const struct elf_segment *s, u64 file_bytes)
{
	return (s->flags & (ELF_FLAG_W | ELF_FLAG_X)) != (ELF_FLAG_W | ELF_FLAG_X) &&
	       s->filesz <= s->memsz && s->offset <= file_bytes &&
	       s->filesz <= file_bytes - s->offset && s->vaddr >= IMAGE_START &&
	       s->vaddr < IMAGE_END && s->memsz <= IMAGE_END - s->vaddr;
}

static void copy_in(hpa_t from, hpa_t to, u64 bytes)
{
	while (bytes > 0) {
		u64 step = min_u64(bytes, PAGE_SIZE - to.raw % PAGE_SIZE);

		step = min_u64(step, PAGE_SIZE - from.raw % PAGE_SIZE);
		__builtin_memcpy(window_map(WINDOW_DATA2, to), window_map(WINDOW_DATA, from), step);
		from = hpa_add(from, step);
		to = hpa_add(to, step);
		bytes -= step;
	}
}

static enum err segment_load(struct process *p, const struct boot_module *module,
			     const struct elf_segment *s)
{
	u64 start = align_down(s->vaddr, PAGE_SIZE);
	u64 bytes = align_up(s->vaddr + s->memsz, PAGE_SIZE) - start;
	u32 flags = MAP_READ | (s->flags & ELF_FLAG_W ? MAP_WRITE : 0) |
		    (s->flags & ELF_FLAG_X ? MAP_EXECUTE : 0);
	hpa_t frames;
	enum err err = frames_alloc(process_owner(p), bytes / PAGE_SIZE, 1, &frames);

	if (err)
		return err;
	copy_in(hpa_add(module->start, s->offset), hpa_add(frames, s->vaddr - start), s->filesz);
	return process_map(p, start, frames, bytes, flags);
}

enum err elf_load(struct process *p, const struct boot_module *module, u64 *entry)
{
	struct elf_header header;

	if (module->bytes < sizeof(header))
		goto bad;
	window_read(module->start, &header, sizeof(header));
	if (header.magic != ELF_MAGIC || header.type != ELF_EXEC || header.machine != ELF_X86_64 ||
	    header.phentsize != sizeof(struct elf_segment) || header.phnum > SEGMENTS_MAX ||
	    header.phoff > module->bytes ||
	    header.phnum * sizeof(struct elf_segment) > module->bytes - header.phoff ||
	    header.entry < IMAGE_START || header.entry >= IMAGE_END)
		goto bad;
	for (u32 i = 0; i < header.phnum; i++) {
		struct elf_segment segment;
		enum err err;

		window_read(hpa_add(module->start, header.phoff + i * sizeof(segment)), &segment,
			    sizeof(segment));
		if (segment.type != ELF_LOAD || segment.memsz == 0)
			continue;
		if (!segment_is_sane(&segment, module->bytes))
			goto bad;
		err = segment_load(p, module, &segment);
		if (err)
			return err;
	}
	*entry = header.entry;
	return ERR_OK;
bad:
	log_error("module '%s' is not a program for ring 3 of root mode", module->name);
	return ERR_BAD_FORMAT;
}
