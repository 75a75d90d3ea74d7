"""A bug of the core, planted on its command line, is reported so that it can be found."""
import re

import pytest

import console
from console import make_iso, tiny_vm


def panic(tmp_path, boot_iso, option, **machine_options):
    """Runs a guest that keeps exiting until the planted bug ends the machine; its report."""
    iso = make_iso(tmp_path, [tiny_vm(tmp_path, "BUSY")], f"emulator-exit {option}")
    machine = boot_iso(iso, **machine_options)
    machine.ends(console.CORE_PANICKED, console.BOOT_SECONDS)
    assert machine.log.count("PANIC") == 1, machine.log[-2000:]
    return machine.log.split("PANIC: ", 1)[1]


def backtrace(report):
    """The functions' names, the innermost first; every line has one."""
    lines = re.findall(r"^ringfence: error:   ([0-9a-f]{16}) (.*)$", report, re.M)
    names = [re.fullmatch(r"([\w.]+)\+0x[0-9a-f]+( \(perhaps\))?", text) for _, text in lines]
    assert names and all(names), report
    return [name.group(1) for name in names]


@pytest.mark.parametrize(
    "option, text, functions",
    [
        (
            "panic-test",
            r"planted by the option panic-test",
            ["plant_panic", "timer_interrupt", "trap_common"],
        ),
        (
            "assert-test",
            r"assertion failed: timer == NULL \(tests/planted/bugs\.c:\d+\)",
            ["assert_failed", "plant_assert", "timer_interrupt", "trap_common"],
        ),
        (
            "fault-test",
            r"page fault in the core at ffffffff80\w+",
            ["plant_fault", "timer_interrupt", "trap_common"],
        ),
    ],
)
def test_planted_bug(tmp_path, boot_iso, option, text, functions):
    report = panic(tmp_path, boot_iso, option)
    assert re.match(text, report), report
    assert re.search(r"cr2 [0-9a-f]{16} cr3 [0-9a-f]{16}", report)
    assert re.search(r"rip ffffffff80\w{6} rsp f{7}\w{9} rbp f{7}\w{9}", report)
    found = backtrace(report)
    assert found[: len(functions)] == functions
    # The interrupt's frame is crossed: what it interrupted is there too.
    assert found[-2:] == ["sched_run", "core_main"]
    assert re.search(rf"stopped by: {text}", report)


def test_last_exits(tmp_path, boot_iso, on):
    report = panic(tmp_path, boot_iso, "panic-test", **on)
    exits = re.findall(r"^ringfence: error: +(\d+) us ago: VM busy vCPU 0: (.*)$", report, re.M)
    assert len(exits) == 16, report
    times = [int(time) for time, _ in exits]
    assert times == sorted(times, reverse=True)
    assert times[0] < 10000
    kinds = [kind for _, kind in exits if kind != "interrupt"]
    assert set(kinds) == {"cpuid", "io out port 80, 1 bytes"}
    assert all(kinds[i] != kinds[i + 1] for i in range(len(kinds) - 1))


def test_write_to_the_code_is_the_fault(tmp_path, boot_iso):
    report = panic(tmp_path, boot_iso, "fault-test")
    # #PF: the page is present and a write is refused.
    assert "vector 14 error 3" in report


def test_stack_meets_its_guard_page(tmp_path, boot_iso):
    report = panic(tmp_path, boot_iso, "overflow-test")
    assert report.startswith("double fault in the core: its stack is exhausted"), report
    assert "vector 8 error 0" in report
    found = backtrace(report)
    assert len(found) > 4
    assert all(name.startswith("recurse") for name in found), found


def test_audit_finds_a_planted_leak(tmp_path, boot_iso, on):
    """At the next start of a VM."""
    guest = tiny_vm(tmp_path, "TRIPLE_FAULT", restart="always")
    machine = boot_iso(make_iso(tmp_path, [guest], "emulator-exit leak-test"), **on)
    machine.ends(console.CORE_PANICKED, console.BOOT_SECONDS)
    found = r"error: audit: supervisor: 00007fff80\w{6} leads to \w+ of the core; expected its own"
    assert len(re.findall(found, machine.log)) == 1, machine.log[-2000:]
    assert "PANIC: an address space leads where it must not" in machine.log
    assert "sys_vm_start" in "".join(backtrace(machine.log.split("PANIC: ", 1)[1]))
