/* SDM, "VMX Capability Reporting Facility" and "Enabling and Entering VMX Operation". */
#include "core/vmx/caps.h"

#include "core/boot/boot_info.h"
#include "core/cpu/insn.h"
#include "core/virt/backend.h"

/* A TRUE capability MSR stands this far behind the one whose bits it makes optional. */
#define TRUE_MSRS (MSR_VMX_TRUE_PIN - MSR_VMX_PIN)

enum which { WORD_BASIC, WORD_PIN, WORD_PROC, WORD_PROC2, WORD_EXIT, WORD_ENTRY, WORD_EPT, WORDS };

enum need {
	REQUIRED, /* set, and nothing runs without it */
	OPTIONAL, /* set where it exists */
	SWITCHED, /* clear at first, set and cleared as guests run */
	CLEAR,	  /* clear, and nothing runs where it cannot be */
};

struct word {
	bool exists;
	u64 must, may; /* be one */
	u64 wanted;
};

struct row {
	enum which word;
	enum need need;
	u64 bits;
	const char *name, *remedy;
};

#define CONTROL(name)	"the VT-x control \"" name "\""
#define WITHOUT(name)	"VT-x with the control \"" name "\" switched off"
#define SINCE(year_cpu) "Intel processors since " year_cpu " have it"
#define ALL                                                                        \
	"every Intel processor with VT-x has it; where an emulator or hypervisor " \
	"runs this machine, choose another CPU model there"
#define CORE2	 SINCE("2006 (Core 2)")
#define NEHALEM	 SINCE("2008 (Nehalem)")
#define WESTMERE SINCE("2010 (Westmere)")

/* A word's rows are looked at only where the word exists; the row that says so stands above. */
static const struct row rows[] = {
	{ WORD_BASIC, REQUIRED, VMX_BASIC_WB, "VMX structures in write-back memory", ALL },

	{ WORD_PIN, REQUIRED, PIN_INTERRUPT_EXITING, CONTROL("external-interrupt exiting"), ALL },
	{ WORD_PIN, REQUIRED, PIN_NMI_EXITING, CONTROL("NMI exiting"), ALL },
	{ WORD_PIN, REQUIRED, PIN_VIRTUAL_NMIS, CONTROL("virtual NMIs"), NEHALEM },
	{ WORD_PIN, OPTIONAL, PIN_PREEMPTION_TIMER, NULL, NULL },

	{ WORD_PROC, REQUIRED, PROC_TSC_OFFSETTING, CONTROL("use TSC offsetting"), ALL },
	{ WORD_PROC, REQUIRED, PROC_HLT_EXITING, CONTROL("HLT exiting"), ALL },
	{ WORD_PROC, REQUIRED, PROC_MWAIT_EXITING, CONTROL("MWAIT exiting"), ALL },
	{ WORD_PROC, REQUIRED, PROC_MONITOR_EXITING, CONTROL("MONITOR exiting"), ALL },
	{ WORD_PROC, REQUIRED, PROC_RDPMC_EXITING, CONTROL("RDPMC exiting"), ALL },
	{ WORD_PROC, REQUIRED, PROC_TPR_SHADOW, CONTROL("use TPR shadow"), CORE2 },
	{ WORD_PROC, REQUIRED, PROC_IO_BITMAPS, CONTROL("use I/O bitmaps"), ALL },
	{ WORD_PROC, REQUIRED, PROC_MSR_BITMAPS, CONTROL("use MSR bitmaps"), CORE2 },
	{ WORD_PROC, SWITCHED, PROC_INTERRUPT_WINDOW, CONTROL("interrupt-window exiting"), ALL },
	{ WORD_PROC, SWITCHED, PROC_NMI_WINDOW, CONTROL("NMI-window exiting"), NEHALEM },
	/* Guests do these often, and nothing has to know. */
	{ WORD_PROC, CLEAR, PROC_INVLPG_EXITING, WITHOUT("INVLPG exiting"), NEHALEM },
	{ WORD_PROC, CLEAR, PROC_RDTSC_EXITING, WITHOUT("RDTSC exiting"), ALL },
	{ WORD_PROC, CLEAR, PROC_CR3_LOAD_EXITING, WITHOUT("CR3-load exiting"), NEHALEM },
	{ WORD_PROC, CLEAR, PROC_CR3_STORE_EXITING, WITHOUT("CR3-store exiting"), NEHALEM },
	{ WORD_PROC, CLEAR, PROC_CR8_LOAD_EXITING, WITHOUT("CR8-load exiting"), CORE2 },
	{ WORD_PROC, CLEAR, PROC_CR8_STORE_EXITING, WITHOUT("CR8-store exiting"), CORE2 },
	{ WORD_PROC, REQUIRED, PROC_SECONDARY, CONTROL("activate secondary controls"), CORE2 },

	{ WORD_PROC2, REQUIRED, PROC2_EPT, CONTROL("enable EPT"), NEHALEM },
	{ WORD_PROC2, REQUIRED, PROC2_VPID, CONTROL("enable VPID"), NEHALEM },
	{ WORD_PROC2, REQUIRED, PROC2_UNRESTRICTED, CONTROL("unrestricted guest"), WESTMERE },
	{ WORD_PROC2, REQUIRED, PROC2_WBINVD_EXITING, CONTROL("WBINVD exiting"), CORE2 },
	{ WORD_PROC2, OPTIONAL, PROC2_RDTSCP, NULL, NULL },
	{ WORD_PROC2, OPTIONAL, PROC2_PAUSE_LOOP, NULL, NULL },

	{ WORD_EXIT, REQUIRED, EXIT_SAVE_DEBUG, CONTROL("save debug controls"), ALL },
	{ WORD_EXIT, REQUIRED, EXIT_HOST_LONG_MODE, CONTROL("host address-space size"), ALL },
	{ WORD_EXIT, REQUIRED, EXIT_SAVE_PAT, CONTROL("save IA32_PAT on exit"), NEHALEM },
	{ WORD_EXIT, REQUIRED, EXIT_LOAD_PAT, CONTROL("load IA32_PAT on exit"), NEHALEM },
	{ WORD_EXIT, REQUIRED, EXIT_SAVE_EFER, CONTROL("save IA32_EFER on exit"), NEHALEM },
	{ WORD_EXIT, REQUIRED, EXIT_LOAD_EFER, CONTROL("load IA32_EFER on exit"), NEHALEM },
	/* The interrupt stays pending for the host's own dispatch. */
	{ WORD_EXIT, CLEAR, EXIT_ACK_INTERRUPT, WITHOUT("acknowledge interrupt on exit"), ALL },

	{ WORD_ENTRY, REQUIRED, ENTRY_LOAD_DEBUG, CONTROL("load debug controls"), ALL },
	{ WORD_ENTRY, SWITCHED, ENTRY_LONG_MODE, CONTROL("IA-32e mode guest"), ALL },
	{ WORD_ENTRY, REQUIRED, ENTRY_LOAD_PAT, CONTROL("load IA32_PAT on entry"), NEHALEM },
	{ WORD_ENTRY, REQUIRED, ENTRY_LOAD_EFER, CONTROL("load IA32_EFER on entry"), NEHALEM },

	{ WORD_EPT, REQUIRED, VMX_EPT_WALK4, "EPT with a page walk of four levels", NEHALEM },
	{ WORD_EPT, REQUIRED, VMX_EPT_WB, "EPT tables in write-back memory", NEHALEM },
	{ WORD_EPT, REQUIRED, VMX_EPT_2M, "EPT pages of 2 MiB", NEHALEM },
	{ WORD_EPT, REQUIRED, VMX_EPT_INVEPT_SINGLE, "single-context INVEPT", NEHALEM },
	{ WORD_EPT, REQUIRED, VMX_EPT_INVVPID_SINGLE, "single-context INVVPID", NEHALEM },
};

struct vmx_caps vmx_caps;

static struct word control_read(u32 msr)
{
	u64 value = rdmsr(msr);

	return (struct word){ .exists = true, .must = (u32)value, .may = value >> 32 };
}

static void words_read(struct word *words)
{
	u64 basic = rdmsr(MSR_VMX_BASIC);
	u32 more = basic & VMX_BASIC_TRUE ? TRUE_MSRS : 0;

	words[WORD_BASIC] = (struct word){ .exists = true, .may = basic };
	words[WORD_PIN] = control_read(MSR_VMX_PIN + more);
	words[WORD_PROC] = control_read(MSR_VMX_PROC + more);
	words[WORD_EXIT] = control_read(MSR_VMX_EXIT + more);
	words[WORD_ENTRY] = control_read(MSR_VMX_ENTRY + more);
	if (words[WORD_PROC].may & PROC_SECONDARY)
		words[WORD_PROC2] = control_read(MSR_VMX_PROC2);
	if (words[WORD_PROC2].may & PROC2_EPT)
		words[WORD_EPT] = (struct word){ .exists = true, .may = rdmsr(MSR_VMX_EPT_VPID) };
}

static bool row_is_met(const struct row *r, const struct word *word)
{
	bool one = (word->may & r->bits) == r->bits;
	bool zero = (word->must & r->bits) == 0;

	if (!word->exists || r->need == OPTIONAL)
		return true;
	return (one || r->need == CLEAR) && (zero || r->need == REQUIRED);
}

static bool row_apply(const struct row *r, struct word *word)
{
	if (r->need == REQUIRED || r->need == OPTIONAL)
		word->wanted |= r->bits;
	return require(row_is_met(r, word), r->name, r->remedy);
}

static u32 control(const struct word *word)
{
	return (u32)vmx_legal(word->wanted, word->must, word->may);
}

bool vmx_caps_read(void)
{
	struct word words[WORDS] = { 0 };
	struct vmx_caps *c = &vmx_caps;
	bool ok = true;

	words_read(words);
	/* Every row is checked, so that all that is missing is named at once. */
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		ok &= row_apply(&rows[i], &words[rows[i].word]);
	c->revision = (u32)field_get(VMX_BASIC_REVISION, words[WORD_BASIC].may);
	c->pin = control(&words[WORD_PIN]);
	c->proc = control(&words[WORD_PROC]);
	c->proc2 = control(&words[WORD_PROC2]);
	c->exit = control(&words[WORD_EXIT]);
	c->entry = control(&words[WORD_ENTRY]);
	c->timer_shift = (u32)field_get(VMX_MISC_TIMER_SHIFT, rdmsr(MSR_VMX_MISC));
	c->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	c->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	c->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	c->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
	c->ept = words[WORD_EPT].may;
	c->page_1g = c->ept & VMX_EPT_1G;
	c->ept_dirty = c->ept & VMX_EPT_DIRTY;
	c->preemption_timer = c->pin & PIN_PREEMPTION_TIMER;
	c->apicv = (words[WORD_PROC2].may & VMX_APICV) == VMX_APICV &&
		   !boot_option("no-apic-virtualization");
	return ok;
}

bool vmx_feature_control_ok(void)
{
	bool vmx = (cpuid(CPUID_FEATURES, 0).ecx & CPUID_1_ECX_VMX) != 0;
	u64 control;

	/* Without VMX there may be no such MSR. */
	if (!require(vmx, "VT-x (VMX)",
		     "enable Intel Virtualization Technology (VT-x) in the firmware setup, or in "
		     "an emulator choose a CPU model with it, such as Bochs' broadwell_ult"))
		return false;
	control = rdmsr(MSR_IA32_FEATURE_CONTROL);
	if (!(control & FEATURE_CONTROL_LOCK)) {
		control |= FEATURE_CONTROL_VMX | FEATURE_CONTROL_LOCK;
		wrmsr(MSR_IA32_FEATURE_CONTROL, control);
	}
	return require((control & FEATURE_CONTROL_VMX) != 0,
		       "VT-x: the firmware locked it off in IA32_FEATURE_CONTROL",
		       "enable Intel Virtualization Technology (VT-x) in the firmware setup, then "
		       "power-cycle");
}
