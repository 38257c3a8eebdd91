"""Fixtures of the tests with the public client. Run them with `make test`, or `make client-tests` after a build."""
import functools
import os

import httpx
import pytest
from computesdk import Compute, GatewayConfig

from running_system import ISOLATION, RunningSystem

# A proxy of the machine must not get between the tests and 127.0.0.1; the client under test reads these as well.
for name in [name for name in os.environ if "proxy" in name.lower()]:
    del os.environ[name]


# The API is the same whatever computes run on; once is enough.
collect_ignore = [] if ISOLATION == "process" else ["test_openapi.py", "test_hostile_input.py"]


def pytest_configure(config):
    # What belongs to another system on this machine must not reach the client under test.
    own = ("COMPUTESDK_BINARY", "COMPUTESDK_TEST_")
    for name in [name for name in os.environ if name.startswith("COMPUTESDK_") and not name.startswith(own)]:
        del os.environ[name]


def pytest_report_header(config):
    return f"isolation: {ISOLATION}"


@pytest.fixture(scope="session")
def system():
    """The system that most tests share. When it has ended, nothing of it may remain."""
    system = RunningSystem()
    try:
        system.start()
        yield system
        code = system.stop()
        processes, directories = system.remains()
        assert (code, processes, directories) == (0, {}, []), system.what_it_said()
    finally:
        system.clean_up()


@pytest.fixture
def start_system():
    """For tests that need a system of their own: `start_system(pool_size=10)`."""
    systems = []

    def start(**options):
        systems.append(RunningSystem(**options))
        return systems[-1].start()

    yield start
    for system in systems:
        system.clean_up()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the server said."""
    report = (yield).get_result()
    if report.failed:
        system = item.funcargs.get("system")
        if system is not None:
            report.sections.append(("computesdk serve", system.what_it_said()))


@pytest.fixture
def connect(system):
    """The client's entry object, configured as its documentation says: `async with connect() as compute`."""
    return functools.partial(connected, system)


def connected(system, key=None):
    return Compute(GatewayConfig(api_key=key or system.key, provider="operator", gateway_url=system.url))


@pytest.fixture
def raw(system):
    """HTTP without the client, for answers that it hides."""
    with httpx.Client(
            base_url=system.url, headers={"X-ComputeSDK-API-Key": system.key}, timeout=30, trust_env=False) as client:
        yield client
