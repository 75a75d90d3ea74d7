"""Fixtures: emulated machines that end with their test and leave their console's log."""
import os
import re
import shutil

import pytest

import console


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes a minute, and is begun early")


def pytest_collection_modifyitems(items):
    """Each worker gets as many of the long ones, and early: none is left over for one at the end."""
    long = [item for item in items if item.get_closest_marker("long")]
    short = [item for item in items if not item.get_closest_marker("long")]
    for place, item in enumerate(long):
        short.insert(4 * place, item)
    items[:] = short


def log_paths(name):
    """Makes one path of a log file after the other."""
    folder = console.BUILD / "test" / "system"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_,=-]+", "_", name)
    count = 0

    def next_path():
        nonlocal count
        count += 1
        return folder / f"{name}.{count}.log"

    return next_path


@pytest.fixture(name="log_path")
def fixture_log_path(request):
    """Hands out log files that are named after the test."""
    return log_paths(request.node.name)


@pytest.fixture(autouse=True)
def remove_images(tmp_path):
    """Images are large, and made again in seconds."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


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


@pytest.fixture(params=console.MACHINES.values(), ids=console.MACHINES)
def on(request):
    """For a test that shall run on every kind of machine: options for `ringfence`, `boot_iso`."""
    return request.param


IN_BOCHS = {name: what for name, what in console.MACHINES.items() if name != "qemu"}


@pytest.fixture(params=IN_BOCHS.values(), ids=IN_BOCHS)
def in_bochs(request):
    """The same without QEMU, for a test that is another one there."""
    return request.param


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """A guest at its shell, for all tests of a file that only look."""
    iso = console.make_iso(tmp_path_factory.mktemp("shell"), [console.vm()])
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    machine = console.boot_iso(log_paths(f"shell-{worker}")(), iso)
    machine.boot_to_shell()
    yield machine
    machine.close()
    iso.unlink()
