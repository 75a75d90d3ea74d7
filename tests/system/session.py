"""What a user does at the shell of the default guest, and what must come of it on any machine."""
import re
from hashlib import md5

import console


def interrupt_a_command(machine):
    """Ctrl-C is the guest's."""
    # Until the command itself runs, the key is the shell's.
    machine.send("sh -c 'echo go\"\"ing; exec sleep 100000'\n")
    machine.expect("going")
    machine.send("\x03")
    machine.expect("# ")
    assert machine.run("echo alive").strip() == "alive"


def paste(machine):
    """At once, far faster than a serial line carries it."""
    lines = [f"{number:04d} " + "the quick brown fox jumps over the lazy dog " * 4 for number in range(40)]
    text = "\n".join(lines) + "\n"
    machine.send("stty -echo; echo re''ady; cat >/tmp/pasted; stty echo\n")
    machine.expect("ready")
    machine.send(text + "\x04")
    machine.expect("# ")
    assert machine.run("md5sum </tmp/pasted").split()[0] == md5(text.encode()).hexdigest()


def compare_clocks(machine):
    """Timekeeping (TSC or PM timer), the RTC chip, and the timer interrupt that ends a sleep."""
    chip = "cat /sys/class/rtc/rtc0/since_epoch"
    output = machine.run(f"{chip}; cat /proc/uptime; sleep 10; cat /proc/uptime; {chip}").split()
    rtc = int(output[-1]) - int(output[0])
    clock = float(output[3]) - float(output[1])
    assert 9.99 <= clock < 10.5
    assert 9 <= rtc <= 11


def check_calibration(machine, mhz):
    """The guest knows how fast the processor's TSC counts."""
    log = machine.run("dmesg")
    assert "timer not connected" not in log.lower()
    found = float(re.search(r"tsc: Detected ([\d.]+) MHz", log).group(1))
    assert abs(found - mhz) <= 0.02 * mhz, found
    assert not re.search(r"unstable|Marking clocksource", log)


def reboot(machine):
    """Starts the guest again, and not the machine."""
    machine.run("touch /tmp/before")
    machine.send("reboot\n")
    machine.boot_to_shell()
    assert machine.run("ls /tmp").strip() == ""
    assert len(re.findall("^ringfence: Ringfence: ", machine.log, re.M)) == 1


def power_off(machine):
    machine.send("poweroff\n")
    machine.ends(console.ALL_ENDED)
    assert re.search("^ringfence: VM debian ended: power-off", machine.log, re.M)


def check_processors(machine, cpus):
    """All run, without complaint, and the kernel knows how they belong together."""
    assert machine.run("nproc").strip() == str(cpus)
    log = machine.run("dmesg")
    assert f"smp: Brought up 1 node, {cpus} CPUs" in log
    trouble = re.findall(r"^.*(?:stall|lockup|warp|not responding|firmware bug).*$", log, re.M | re.I)
    assert not trouble, trouble
    topology = machine.run("cat /sys/devices/system/cpu/cpu*/topology/core_cpus_list").split()
    assert topology == [str(cpu) for cpu in range(cpus)], "one thread a core"
    package = machine.run("cat /sys/devices/system/cpu/cpu*/topology/package_cpus_list").split()
    assert package == [f"0-{cpus - 1}"] * cpus
