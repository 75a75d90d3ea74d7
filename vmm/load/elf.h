/*
 * ELF executables for x86 in both sizes, and the notes they carry.
 * System V ABI, "Object Files" and "Program Loading"; AMD64 supplement.
 */
#pragma once

#include "lib/base/cursor.h"
#include "vmm/load/image.h"

/* Whether the file starts as ELF files do. */
bool elf_is(struct load_blob file);
/*
 * Reads headers and segments; `image->entry` is the entry point where its segment is loaded. On
 * failure `*why` says what is wrong.
 */
MUST_USE enum err elf_open(struct load_blob file, struct image *image, const char **why);
/*
 * Finds the note `type` of owner `name` in a file that elf_open() accepted, and sets a cursor on
 * its content. ERR_NOT_FOUND, or ERR_BAD_FORMAT when notes run out of their segment.
 */
MUST_USE enum err elf_note(struct load_blob file, const char *name, u32 type,
			   struct cursor *content);
