"""What a user does at the monitor and between the consoles."""
import re

import console

PROMPT = "ringfence> "


def to_monitor(machine):
    machine.send("\x01m")
    machine.expect("monitor: 'help'")
    machine.expect(PROMPT)


def do(machine, command, *patterns):
    """A command at the prompt, and what must come of it, in this order."""
    machine.send(f"{command}\r")
    return [machine.expect(pattern) for pattern in patterns]


def row(machine, name):
    """State and exits of a VM in `list`."""
    pattern = rf"\n{name} +(\w+) +\d+ +\w+ +[\d:.]+ +(\d+)\r"
    (match,) = do(machine, "list", pattern)
    return match.group(1), int(match.group(2))


def seconds(text):
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def uptime(machine):
    """Of Ringfence, in seconds of the machine's time."""
    machine.send("version\r")
    return seconds(machine.expect(r"running for ([\d:.]+)\r").group(1))


def free_memory(machine):
    return int(do(machine, "mem", r"free +(\d+) KiB")[0].group(1))


def said_behind(machine, name):
    """All that a VM has said while another was in front, without line ends: some are the console's,
    where a VM stopped in a line and another spoke."""
    return "".join(re.findall(rf"^\[{name}\] (.*)$", machine.log, re.M))


def to_shells(machine, *names):
    """Waits at the monitor until every guest has its prompt."""
    machine.expect("starting the supervisor", console.BOOT_SECONDS)
    to_monitor(machine)
    for name in names:
        machine.until(lambda name=name: "/root # " in said_behind(machine, name), console.BOOT_SECONDS)
    uptime(machine)  # behind all that


def to_console(machine, name):
    """Of a guest at its shell."""
    do(machine, f"console {name}", f"console of VM {name}")
    machine.send("stty cols 1000\n")
    machine.expect("stty cols 1000")
    machine.expect("# ")


def said(machine, command):
    """A command's last line: what another VM says comes when it comes."""
    return machine.run(command).strip().split("\n")[-1]
