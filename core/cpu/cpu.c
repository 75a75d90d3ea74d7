/*
 * Processor set-up: descriptor tables, interrupt stacks, SYSCALL, protections.
 * AMD APM, "System-Call and System-Return"; SDM, "Interrupt and Exception Handling".
 */
#include "core/cpu/cpu.h"

#include "core/cpu/apic.h"
#include "core/cpu/insn.h"
#include "core/mem/heap.h"
#include "core/mem/layout.h"
#include "lib/base/string.h"
#include "lib/x86/registers.h"

#define TRAP_STUB_BYTES	  16U
#define IST_NMI		  1U
#define IST_DF		  2U
#define IST_MC		  3U
#define IST_STACK_BYTES	  (2 * PAGE_SIZE)
#define SYSCALL_FLAG_MASK (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC)

extern const u8 trap_stubs[];
void syscall_entry(void);

struct cpu_features cpu_features;
struct cpu boot_cpu;
struct cpu *cpu_table[CPU_MAX] = { &boot_cpu };
u32 cpu_count = 1;
static struct idt_gate idt[256];

static void idt_init(void)
{
	for (unsigned vector = 0; vector < ARRAY_SIZE(idt); vector++) {
		u64 stub = (u64)trap_stubs + vector * TRAP_STUB_BYTES;

		idt[vector] = (struct idt_gate){
			.offset_low = (u16)stub,
			.selector = SELECTOR_CORE_CODE,
			.flags = IDT_INTERRUPT,
			.offset_middle = (u16)(stub >> 16),
			.offset_high = (u32)(stub >> 32),
		};
	}
	idt[EXC_BP].flags |= IDT_DPL3;
	idt[EXC_NMI].flags |= IST_NMI;
	idt[EXC_DF].flags |= IST_DF;
	idt[EXC_MC].flags |= IST_MC;
}

static void gdt_init(struct cpu *cpu)
{
	u64 tss = (u64)cpu->tss;

	cpu->gdt[SELECTOR_CORE_CODE / 8] = GDT_CODE64;
	cpu->gdt[SELECTOR_CORE_DATA / 8] = GDT_DATA;
	cpu->gdt[SELECTOR_USER_DATA / 8] = GDT_DATA | GDT_DPL3;
	cpu->gdt[SELECTOR_USER_CODE / 8] = GDT_CODE64 | GDT_DPL3;
	cpu->gdt[SELECTOR_TSS / 8] = GDT_TSS_TYPE | (sizeof(struct tss) - 1) |
				     (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
}

static void tables_load(struct cpu *cpu)
{
	const struct table_pointer gdtr = { sizeof(cpu->gdt) - 1, (u64)cpu->gdt };
	const struct table_pointer idtr = { sizeof(idt) - 1, (u64)idt };

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %2\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %3, %%eax\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "lldt %%ax\n\t"
			 "lidt %1\n\t"
			 "ltr %w4"
			 :
			 : "m"(gdtr), "m"(idtr), "i"(SELECTOR_CORE_CODE), "i"(SELECTOR_CORE_DATA),
			   "r"(SELECTOR_TSS)
			 : "rax", "memory");
}

static void tss_init(struct cpu *cpu)
{
	cpu->tss = heap_alloc(sizeof(struct tss));
	cpu->tss->io_map = sizeof(struct tss); /* no ring-3 port access */
	for (unsigned ist = IST_NMI; ist <= IST_MC; ist++) {
		u8 *stack = heap_alloc(IST_STACK_BYTES);

		cpu->tss->ist[ist - 1] = (u64)(stack + IST_STACK_BYTES);
	}
}

static void syscall_init(void)
{
	u64 star = field_set(STAR_SYSCALL_CS, 0, SELECTOR_CORE_CODE);

	wrmsr(MSR_IA32_STAR, field_set(STAR_SYSRET_CS, star, SELECTOR_CORE_DATA | 3));
	wrmsr(MSR_IA32_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_IA32_FMASK, SYSCALL_FLAG_MASK);
	wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_SCE | EFER_NXE);
}

static void protections_init(void)
{
	u64 cr4 = read_cr4() | CR4_PGE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	if (cpu_features.smep)
		cr4 |= CR4_SMEP;
	if (cpu_features.smap)
		cr4 |= CR4_SMAP;
	if (cpu_features.umip)
		cr4 |= CR4_UMIP;
	if (cpu_features.xsave)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	write_cr0(read_cr0() | CR0_TS); /* the FPU belongs to guests: see resident.c */
	if (cpu_features.xsave)
		write_xcr0(cpu_features.xcr0);
}

/* State components that the product switches between vCPUs; others stay off. */
#define XCR0_SWITCHED \
	(XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM | XCR0_PKRU)

static u32 xsave_size(u64 xcr0)
{
	u32 bytes = XSAVE_LEGACY_BYTES;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid_result part;

		if (!(xcr0 & BIT64(i)))
			continue;
		part = cpuid(CPUID_XSAVE, i);
		bytes = (u32)max_u64(bytes, part.eax + part.ebx);
	}
	return bytes;
}

void cpu_detect(void)
{
	struct cpu_features *f = &cpu_features;
	u32 basic_max = cpuid(CPUID_BASIC, 0).eax;
	u32 extended_max = cpuid(CPUID_EXTENDED, 0).eax;
	struct cpuid_result features = cpuid(CPUID_FEATURES, 0);

	f->x2apic = (features.ecx & CPUID_1_ECX_X2APIC) != 0;
	f->tsc_deadline = (features.ecx & CPUID_1_ECX_TSC_DEADLINE) != 0;
	f->xsave = (features.ecx & CPUID_1_ECX_XSAVE) != 0;
	if (basic_max >= CPUID_STRUCTURED) {
		struct cpuid_result structured = cpuid(CPUID_STRUCTURED, 0);

		f->smep = (structured.ebx & CPUID_7_EBX_SMEP) != 0;
		f->smap = (structured.ebx & CPUID_7_EBX_SMAP) != 0;
		f->umip = (structured.ecx & CPUID_7_ECX_UMIP) != 0;
	}
	f->page_1g = (cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_1G) != 0;
	f->rdtscp = (cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_RDTSCP) != 0;
	f->physical_bits =
		extended_max >= CPUID_EXT_ADDRESS ? cpuid(CPUID_EXT_ADDRESS, 0).eax & 0xff : 36;
	f->xcr0 = XCR0_X87 | XCR0_SSE;
	if (f->xsave && basic_max >= CPUID_XSAVE) {
		struct cpuid_result xsave = cpuid(CPUID_XSAVE, 0);

		f->xcr0 = ((u64)xsave.edx << 32 | xsave.eax) & XCR0_SWITCHED;
	}
	f->xsave_bytes = xsave_size(f->xcr0);
}

void cpu_init(struct cpu *cpu)
{
	cpu->self = cpu;
	if (cpu->index == 0)
		idt_init();
	tss_init(cpu);
	gdt_init(cpu);
	tables_load(cpu);
	wrmsr(MSR_IA32_GS_BASE, (u64)cpu);
	wrmsr(MSR_IA32_KERNEL_GS_BASE, 0);
	syscall_init();
	protections_init();
	timer_queue_init(&cpu->timers);
	timer_init(&cpu->slice, NULL);
	timer_init(&cpu->nudge, NULL);
	cpu->queue = RUN_QUEUE_EMPTY;
	cpu->spent = &cpu->info.idle_tsc;
	cpu->booked = rdtsc();
}
