/* SDM, "CPUID--CPU Identification"; APM, "Obtaining Processor Information Via CPUID". */
#include "core/virt/cpuid.h"

#include "core/virt/resident.h"
#include "core/virt/vm.h"
#include "lib/base/string.h"
#include "lib/x86/registers.h"

#define LEAF_HYPERVISOR_KVM   0x40000100U
#define LEAF_TIMING	      0x40000010U
#define CACHES		      4U
#define KVM_FEATURE_NOP_DELAY BIT32(1)
#define KVM_FEATURE_CLOCK     BIT32(3)
#define KVM_FEATURE_STABLE    BIT32(24)
#define XCR0_STATES	      63U
/* The others ignore ECX. */
#define LEAVES_WITH_SUBLEAVES                                                   \
	(BIT32(CPUID_CACHE) | BIT32(CPUID_STRUCTURED) | BIT32(CPUID_TOPOLOGY) | \
	 BIT32(CPUID_XSAVE) | BIT32(CPUID_TOPOLOGY_V2))

enum reg { EAX, EBX, ECX, EDX };

static u32 *reg_of(struct cpuid_values *v, enum reg reg)
{
	u32 *const regs[] = { &v->eax, &v->ebx, &v->ecx, &v->edx };

	return regs[reg];
}

/* Where a subleaf above 0 is; the number of them all: nowhere. */
static u32 sub_index(const struct cpuid_table *t, u32 leaf, u32 subleaf)
{
	u32 i = 0;

	while (i < t->sub_count && (t->sub[i].leaf != leaf || t->sub[i].subleaf != subleaf))
		i++;
	return i;
}

static struct cpuid_values *slot(struct cpuid_table *t, u32 leaf, u32 subleaf)
{
	u32 i;

	if (subleaf == 0)
		return leaf >= CPUID_EXTENDED ? &t->extended[leaf - CPUID_EXTENDED]
					      : &t->basic[leaf];
	/* The builder adds a fixed number of subleaves; the last one is a spare for overflow. */
	i = (u32)min_u64(sub_index(t, leaf, subleaf), CPUID_SUBLEAVES - 1);
	t->sub_count = (u32)max_u64(t->sub_count, i + 1);
	t->sub[i].leaf = leaf;
	t->sub[i].subleaf = subleaf;
	return &t->sub[i].values;
}

static bool host_has_leaf(const struct cpuid_request *r, u32 leaf)
{
	return r->host(leaf & CPUID_EXTENDED, 0).eax >= leaf;
}

static void bits_host(struct cpuid_table *t, const struct cpuid_request *r, u32 leaf, u32 subleaf,
		      enum reg reg, u32 bits)
{
	struct cpuid_values host;

	if (!host_has_leaf(r, leaf))
		return;
	host = r->host(leaf, subleaf);
	*reg_of(slot(t, leaf, subleaf), reg) |= *reg_of(&host, reg) & bits;
}

static void build_features(struct cpuid_table *t, const struct cpuid_request *r)
{
#define HOST(leaf, subleaf, reg, bits, how)   bits_host(t, r, leaf, subleaf, reg, bits);
#define ALWAYS(leaf, subleaf, reg, bits, how) *reg_of(slot(t, leaf, subleaf), reg) |= (bits);
#include "core/virt/cpuid.def"
#undef HOST
#undef ALWAYS
}

static u32 bits_for(u32 count)
{
	u32 bits = 0;

	while ((1U << bits) < count)
		bits++;
	return bits;
}

static void build_identity(struct cpuid_table *t, const struct cpuid_request *r)
{
	struct cpuid_values features = r->host(CPUID_FEATURES, 0);

	t->basic[0] = r->host(CPUID_BASIC, 0);
	if (r->extended_topology || t->basic[0].eax < CPUID_TOPOLOGY_V2)
		t->basic[0].eax = (u32)min_u64(t->basic[0].eax, CPUID_XSAVE);
	else
		t->basic[0].eax = CPUID_TOPOLOGY_V2;
	t->basic[1].eax = features.eax;
	t->basic[1].ebx = (features.ebx & CPUID_1_EBX_CLFLUSH) |
			  (u32)field_set(CPUID_1_EBX_COUNT, 0, r->cpus);
	if (r->cpus > 1)
		t->basic[1].edx |= CPUID_1_EDX_HTT;
	if (host_has_leaf(r, CPUID_DESCRIPTORS))
		t->basic[CPUID_DESCRIPTORS] = r->host(CPUID_DESCRIPTORS, 0);
	t->basic[CPUID_THERMAL].eax = CPUID_6_EAX_ARAT;
	t->extended[0] = t->basic[0];
	t->extended[0].eax =
		(u32)min_u64(r->host(CPUID_EXTENDED, 0).eax,
			     t->extended[1].ecx & CPUID_EXT1_ECX_TOPOEXT ? CPUID_EXT_TOPOLOGY
									 : CPUID_EXT_ADDRESS);
	t->extended[1].eax = r->host(CPUID_EXT_FEATURES, 0).eax;
	for (u32 leaf = 2; leaf <= 6; leaf++) { /* brand string, AMD's caches */
		if (host_has_leaf(r, CPUID_EXTENDED + leaf))
			t->extended[leaf] = r->host(CPUID_EXTENDED + leaf, 0);
	}
	t->extended[8].eax = r->host(CPUID_EXT_ADDRESS, 0).eax & 0xffff;
}

static void build_levels(struct cpuid_table *t, const struct cpuid_request *r, u32 leaf)
{
	if (t->basic[0].eax < leaf)
		return;
	t->basic[leaf] = (struct cpuid_values){ 0, 1, CPUID_B_ECX_SMT, 0 };
	*slot(t, leaf, 1) =
		(struct cpuid_values){ bits_for(r->cpus), r->cpus, CPUID_B_ECX_CORE | 1, 0 };
}

/* One package of `cpus` cores, one thread each; the MADT has the same numbers. */
static void build_topology(struct cpuid_table *t, const struct cpuid_request *r)
{
	build_levels(t, r, CPUID_TOPOLOGY);
	build_levels(t, r, CPUID_TOPOLOGY_V2);
	if (!r->extended_topology)
		return;
	if (r->cpus > 1)
		t->extended[1].ecx |= CPUID_EXT1_ECX_CMP_LEGACY;
	t->extended[8].ecx = (u32)(field_set(CPUID_EXT8_ECX_CORES, 0, r->cpus - 1) |
				   field_set(CPUID_EXT8_ECX_ID_BITS, 0, bits_for(r->cpus)));
}

/* Deterministic cache parameters: the third level is the package's, the others a core's. */
static void build_caches(struct cpuid_table *t, const struct cpuid_request *r, u32 leaf)
{
	for (u32 subleaf = 0; subleaf < CACHES && host_has_leaf(r, leaf); subleaf++) {
		struct cpuid_values v = r->host(leaf, subleaf);
		bool shared = field_get(CPUID_4_EAX_LEVEL, v.eax) >= 3;
		u64 eax = v.eax;

		if (!field_get(CPUID_4_EAX_TYPE, v.eax))
			break;
		eax = field_set(CPUID_4_EAX_THREADS, eax, shared ? r->cpus - 1 : 0);
		v.eax = (u32)field_set(CPUID_4_EAX_CORES, eax,
				       leaf == CPUID_CACHE ? r->cpus - 1 : 0);
		*slot(t, leaf, subleaf) = v;
	}
}

/* Bytes of an XSAVE area for the states of `xcr0`: at fixed offsets, or one behind the other. */
static u32 xsave_bytes(const struct cpuid_table *t, u64 xcr0, bool compacted)
{
	u32 bytes = XSAVE_LEGACY_BYTES;

	for (u32 i = 0; i < t->sub_count; i++) {
		const struct cpuid_values *v = &t->sub[i].values;

		if (t->sub[i].leaf != CPUID_XSAVE || t->sub[i].subleaf < 2 ||
		    !(xcr0 & BIT64(t->sub[i].subleaf)))
			continue;
		if (!compacted)
			bytes = (u32)max_u64(bytes, v->eax + v->ebx);
		else if (v->ecx & CPUID_D_ECX_ALIGNED)
			bytes = (u32)align_up(bytes, 64) + v->eax;
		else
			bytes += v->eax;
	}
	return bytes;
}

static void build_xsave(struct cpuid_table *t, const struct cpuid_request *r)
{
	struct cpuid_values *root = &t->basic[CPUID_XSAVE];

	if (!(t->basic[1].ecx & CPUID_1_ECX_XSAVE))
		return;
	root->eax = (u32)r->xcr0;
	root->edx = (u32)(r->xcr0 >> 32);
	for (u32 state = 2; state < XCR0_STATES; state++) {
		if (r->xcr0 & BIT64(state))
			*slot(t, CPUID_XSAVE, state) = r->host(CPUID_XSAVE, state);
	}
	root->ecx = xsave_bytes(t, r->xcr0, false);
}

static struct cpuid_values signature(u32 max, const char *text)
{
	struct cpuid_values v = { .eax = max };

	memcpy(&v.ebx, text, 4);
	memcpy(&v.ecx, text + 4, 4);
	memcpy(&v.edx, text + 8, 4);
	return v;
}

static void build_hypervisor(struct cpuid_table *t, const struct cpuid_request *r)
{
	t->hypervisor[0] = signature(LEAF_TIMING, "RingfenceHV\0");
	t->timing = (struct cpuid_values){ (u32)r->tsc_khz, (u32)(r->tsc_khz >> LAPIC_CLOCK_SHIFT),
					   0, 0 };
	/* Stock kernels know this interface: the clock, and no delay after port accesses. */
	t->kvm[0] = signature(LEAF_HYPERVISOR_KVM + 1, "KVMKVMKVM\0\0\0");
	t->kvm[1].eax = KVM_FEATURE_NOP_DELAY | KVM_FEATURE_CLOCK | KVM_FEATURE_STABLE;
}

void cpuid_table_build(struct cpuid_table *t, const struct cpuid_request *r)
{
	memset(t, 0, sizeof(*t));
	build_features(t, r);
	build_identity(t, r);
	build_topology(t, r);
	if (!r->extended_topology)
		build_caches(t, r, CPUID_CACHE);
	else if (t->extended[1].ecx & CPUID_EXT1_ECX_TOPOEXT)
		build_caches(t, r, CPUID_EXT_CACHE);
	build_xsave(t, r);
	build_hypervisor(t, r);
}

static const struct cpuid_values *find(const struct cpuid_table *t, u32 leaf, u32 subleaf)
{
	static const struct cpuid_values zero;

	if (leaf < CPUID_BASIC_LEAVES && (subleaf == 0 || !(LEAVES_WITH_SUBLEAVES & BIT32(leaf))))
		return &t->basic[leaf];
	if (leaf - CPUID_EXTENDED < CPUID_EXTENDED_LEAVES &&
	    (subleaf == 0 || leaf != CPUID_EXT_CACHE))
		return &t->extended[leaf - CPUID_EXTENDED];
	if (leaf < CPUID_BASIC_LEAVES || leaf == CPUID_EXT_CACHE) {
		u32 i = sub_index(t, leaf, subleaf);

		return i < t->sub_count ? &t->sub[i].values : &zero;
	}
	if (leaf - CPUID_HYPERVISOR < 2)
		return &t->hypervisor[leaf - CPUID_HYPERVISOR];
	if (leaf - LEAF_HYPERVISOR_KVM < 2)
		return &t->kvm[leaf - LEAF_HYPERVISOR_KVM];
	return leaf == LEAF_TIMING ? &t->timing : &zero;
}

/* Subleaf 1 counts supervisor states too, of which a guest has none. */
NOINLINE static void xsave_answer(struct vcpu *v, u64 *gpr, bool compacted)
{
	gpr[GPR_RBX] = xsave_bytes(v->cpuid, resident_xcr0(v), compacted);
}

/* What the table cannot know: it depends on the vCPU, at the moment of the instruction. */
static void answer_live(struct vcpu *v, u64 *gpr, u32 leaf, u32 subleaf)
{
	if (leaf == CPUID_FEATURES) {
		gpr[GPR_RBX] |= field_set(CPUID_1_EBX_APIC_ID, 0, v->lapic.id);
		if (!lapic_enabled(&v->lapic))
			gpr[GPR_RDX] &= ~(u64)CPUID_1_EDX_APIC;
		if (backend->register_get(v, VCPU_CR4) & CR4_OSXSAVE)
			gpr[GPR_RCX] |= CPUID_1_ECX_OSXSAVE;
	} else if ((leaf == CPUID_TOPOLOGY || leaf == CPUID_TOPOLOGY_V2) &&
		   leaf <= v->cpuid->basic[0].eax) {
		gpr[GPR_RCX] |= subleaf & 0xff;
		gpr[GPR_RDX] = v->lapic.id;
	} else if (leaf == CPUID_EXT_TOPOLOGY && leaf <= v->cpuid->extended[0].eax) {
		gpr[GPR_RAX] = v->lapic.id;
		gpr[GPR_RBX] = v->lapic.id; /* the core's number; it has one thread */
	} else if (leaf == CPUID_XSAVE && subleaf <= 1 && v->cpuid->basic[CPUID_XSAVE].eax != 0) {
		xsave_answer(v, gpr, subleaf == 1);
	}
}

enum verdict cpuid_exit(struct vcpu *v)
{
	u64 *gpr = v->page->gpr;
	u32 leaf = (u32)gpr[GPR_RAX], subleaf = (u32)gpr[GPR_RCX];
	const struct cpuid_values *values = find(v->cpuid, leaf, subleaf);

	gpr[GPR_RAX] = values->eax;
	gpr[GPR_RBX] = values->ebx;
	gpr[GPR_RCX] = values->ecx;
	gpr[GPR_RDX] = values->edx;
	answer_live(v, gpr, leaf, subleaf);
	return INSN_DONE;
}

u64 cpuid_cr4_bits(const struct cpuid_table *t)
{
	const struct cpuid_values *one = &t->basic[1], *seven = &t->basic[CPUID_STRUCTURED];
	const struct {
		u32 word, bit;
		u64 cr4;
	} rows[] = {
		{ one->edx, CPUID_1_EDX_VME, CR4_VME | CR4_PVI },
		{ one->edx, CPUID_1_EDX_TSC, CR4_TSD },
		{ one->edx, CPUID_1_EDX_DE, CR4_DE },
		{ one->edx, CPUID_1_EDX_PSE, CR4_PSE },
		{ one->edx, CPUID_1_EDX_PAE, CR4_PAE },
		{ one->edx, CPUID_1_EDX_MCE, CR4_MCE },
		{ one->edx, CPUID_1_EDX_PGE, CR4_PGE },
		{ one->edx, CPUID_1_EDX_FXSR, CR4_OSFXSR },
		{ one->edx, CPUID_1_EDX_SSE, CR4_OSXMMEXCPT },
		{ one->ecx, CPUID_1_ECX_PCID, CR4_PCIDE },
		{ one->ecx, CPUID_1_ECX_XSAVE, CR4_OSXSAVE },
		{ seven->ebx, CPUID_7_EBX_FSGSBASE, CR4_FSGSBASE },
		{ seven->ebx, CPUID_7_EBX_SMEP, CR4_SMEP },
		{ seven->ebx, CPUID_7_EBX_SMAP, CR4_SMAP },
		{ seven->ecx, CPUID_7_ECX_UMIP, CR4_UMIP },
	};
	u64 bits = CR4_PCE;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].word & rows[i].bit)
			bits |= rows[i].cr4;
	}
	return bits;
}
