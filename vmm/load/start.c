/*
 * The state in which boot protocols start the first processor: see start.h. Selectors are those
 * that Linux asks for; PVH and multiboot leave them open.
 * Linux, "The Linux/x86 Boot Protocol"; SDM, "Segment Descriptors", "4-Level Paging".
 */
#include "vmm/load/start.h"

#include "lib/base/string.h"
#include "vmm/load/layout.h"
#include "vmm/load/place.h"

enum { GDT_NULL, GDT_UNUSED, GDT_CODE, GDT_DATA, GDT_TSS, GDT_TSS_HIGH, GDT_COUNT };

#define SELECTOR(index) ((u16)((index)*8))

#define CR0_PE	 BIT64(0)
#define CR0_ET	 BIT64(4)
#define CR0_PG	 BIT64(31)
#define CR4_PAE	 BIT64(5)
#define EFER_LME BIT64(8)
#define EFER_LMA BIT64(10)

#define RFLAGS_FIXED BIT64(1)
#define DR6_RESET    0xffff0ff0ULL
#define DR7_RESET    0x400ULL

#define TYPE_DATA     0x3U /* read, write, accessed */
#define TYPE_CODE     0xbU /* execute, read, accessed */
#define TYPE_TSS_BUSY 0xbU

#define RIGHTS_FLAT   (SEG_CODE | SEG_PRESENT | SEG_GRANULAR)
#define RIGHTS_CODE64 (TYPE_CODE | RIGHTS_FLAT | SEG_LONG)
#define RIGHTS_CODE32 (TYPE_CODE | RIGHTS_FLAT | SEG_BIG)
#define RIGHTS_DATA   (TYPE_DATA | RIGHTS_FLAT | SEG_BIG)
#define RIGHTS_TSS    (TYPE_TSS_BUSY | SEG_PRESENT)

#define LIMIT_FLAT 0xffffffffU
#define LIMIT_TSS  0x67U

/* A descriptor: the rights lie at bit 40 as in VMX, the limit's upper part between them. */
#define DESC_LIMIT_LOW	BITS64(15, 0)
#define DESC_RIGHTS	BITS64(55, 40)
#define DESC_LIMIT_HIGH BITS64(51, 48)

#define PTE_PRESENT  BIT64(0)
#define PTE_WRITABLE BIT64(1)
#define PTE_LARGE    BIT64(7)
#define PTE_COUNT    512U
#define LARGE_PAGE   (2 * MIB)

static struct segment segment_flat(unsigned index, u64 rights)
{
	return (struct segment){ .limit = LIMIT_FLAT,
				 .rights = (u32)rights,
				 .selector = SELECTOR(index) };
}

/* All segments that start here have base 0. */
static u64 segment_to_descriptor(const struct segment *s)
{
	u64 limit = s->rights & SEG_GRANULAR ? s->limit >> PAGE_SHIFT : s->limit;
	u64 descriptor = field_set(DESC_RIGHTS, 0, s->rights);

	descriptor = field_set(DESC_LIMIT_LOW, descriptor, limit);
	return field_set(DESC_LIMIT_HIGH, descriptor, limit >> 16);
}

static void write_gdt(const struct load_request *req, struct vcpu_state *state)
{
	u64 gdt[GDT_COUNT] = {
		[GDT_CODE] = segment_to_descriptor(&state->segment[SEG_CS]),
		[GDT_DATA] = segment_to_descriptor(&state->segment[SEG_DS]),
		[GDT_TSS] = segment_to_descriptor(&state->segment[SEG_TR]),
	};

	place_copy(req, GPA(LOAD_GDT), (struct load_blob){ gdt, sizeof(gdt) }, PAGE_SIZE);
	state->gdtr = (struct table_register){ .base = LOAD_GDT, .limit = sizeof(gdt) - 1 };
}

static void write_page_tables(const struct load_request *req)
{
	u64 *pml4 = (u64 *)(void *)place_at(req, GPA(LOAD_PAGE_TABLES));
	u64 *pdpt = pml4 + PTE_COUNT;
	u64 *directory = pdpt + PTE_COUNT;

	memset(pml4, 0, LOAD_PAGE_TABLE_COUNT * PAGE_SIZE);
	pml4[0] = (LOAD_PAGE_TABLES + PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE;
	for (u64 i = 0; i < LOAD_PAGE_DIRECTORIES; i++)
		pdpt[i] = (LOAD_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE;
	for (u64 i = 0; i < LOAD_PAGE_DIRECTORIES * PTE_COUNT; i++)
		directory[i] = i * LARGE_PAGE | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
}

static void start_flat(const struct load_request *req, struct load_result *out, u64 code)
{
	struct vcpu_state *s = &out->state;

	*s = (struct vcpu_state){ .rflags = RFLAGS_FIXED, .dr6 = DR6_RESET, .dr7 = DR7_RESET };
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->segment[i] = segment_flat(GDT_DATA, RIGHTS_DATA);
	s->segment[SEG_CS] = segment_flat(GDT_CODE, code);
	s->segment[SEG_LDTR] = (struct segment){ .rights = SEG_UNUSABLE };
	s->segment[SEG_TR] = (struct segment){ .limit = LIMIT_TSS,
					       .rights = RIGHTS_TSS,
					       .selector = SELECTOR(GDT_TSS) };
	write_gdt(req, s);
}

void start_long_mode(const struct load_request *req, struct load_result *out, u64 rip)
{
	start_flat(req, out, RIGHTS_CODE64);
	write_page_tables(req);
	out->state.rip = rip;
	out->state.cr0 = CR0_PE | CR0_ET | CR0_PG;
	out->state.cr3 = LOAD_PAGE_TABLES;
	out->state.cr4 = CR4_PAE;
	out->state.efer = EFER_LME | EFER_LMA;
}

void start_protected_mode(const struct load_request *req, struct load_result *out, u32 eip)
{
	start_flat(req, out, RIGHTS_CODE32);
	out->state.rip = eip;
	out->state.cr0 = CR0_PE | CR0_ET;
}
