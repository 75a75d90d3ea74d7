"""The processor models that the micro guests run on; the columns of docs/parity.md.

A model's `features` are what its back end can do without, in the words that the core logs at boot:
each must be used where it is there, and done without where it is not.
"""
import pathlib
import typing

GUESTS = sorted(path.parent.name for path in pathlib.Path(__file__).parent.glob("*/main.c"))


class Model(typing.NamedTuple):
    emulator: str
    vendor: str
    features: tuple


AMD_V = ("next-RIP save", "clean bits", "flush by ASID", "decode assists", "PAUSE filter")
VT_X = (
    "1 GiB pages",
    "accessed and dirty bits",
    "preemption timer",
    "PAUSE-loop exits",
    "APIC virtualization",
)
FEATURES = {"AMD-V": AMD_V, "VT-x": VT_X}

MODELS = {
    "EPYC": Model("QEMU", "AMD-V", ()),
    "max": Model("QEMU", "AMD-V", ()),
    "ryzen": Model("Bochs", "AMD-V", ("next-RIP save", "flush by ASID", "PAUSE filter")),
    "broadwell_ult": Model("Bochs", "VT-x", VT_X),
    "corei7_haswell_4770": Model("Bochs", "VT-x", VT_X),
    "corei7_ivy_bridge_3770k": Model("Bochs", "VT-x", ("preemption timer",)),
    "corei7_skylake_x": Model("Bochs", "VT-x", VT_X),
    "tigerlake": Model("Bochs", "VT-x", VT_X),
}

# Models that lack what there is no slow path for: what the core says is missing, and who has it.
REFUSED = {
    "core2_penryn_t9600": {
        "enable EPT": "2008 (Nehalem)",
        "enable VPID": "2008 (Nehalem)",
        "unrestricted guest": "2010 (Westmere)",
    },
    "corei5_lynnfield_750": {"unrestricted guest": "2010 (Westmere)"},
}
