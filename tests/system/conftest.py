"""Fixtures: emulated machines that end with their test and leave their console's log."""
import re

import pytest

import console


@pytest.fixture(name="log_path")
def fixture_log_path(request):
    """Hands out one log file after the other, named after the test."""
    folder = console.BUILD / "test" / "system"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_,=-]+", "_", request.node.name)
    count = 0

    def next_path():
        nonlocal count
        count += 1
        return folder / f"{name}.{count}.log"

    return next_path


@pytest.fixture(name="machines")
def fixture_machines():
    """Machines to close when the test ends, however it ends."""
    running = []
    yield running
    for machine in running:
        machine.close()


@pytest.fixture
def ringfence(tmp_path, log_path, machines):
    """Boots VMs under Ringfence: ringfence(vm(...), cpu="max", firmware="uefi")."""

    def boot(*vms, **options):
        iso = console.make_iso(tmp_path, list(vms))
        machines.append(console.boot_iso(log_path(), iso, **options))
        return machines[-1]

    return boot


@pytest.fixture
def boot_iso(log_path, machines):
    """Boots an image that the test made."""

    def boot(iso, **options):
        machines.append(console.boot_iso(log_path(), iso, **options))
        return machines[-1]

    return boot


@pytest.fixture
def bare(log_path, machines):
    """Boots a kernel on the emulated machine itself, without Ringfence."""

    def boot(kernel="cloud", **options):
        machines.append(console.boot_bare(log_path(), kernel, **options))
        return machines[-1]

    return boot
