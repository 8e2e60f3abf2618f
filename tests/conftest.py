"""What holds for every test run, and what it says at its end."""

import os
from collections import Counter

import pytest
from hypothesis import Phase, settings

# A busy machine is no failure, and the same cases run everywhere.
settings.register_profile("here", deadline=None, derandomize=True)
settings.register_profile("unshrunk", settings.get_profile("here"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("here")

# A worker takes a file at a time, in this order: those that wait for other programs, or are long, come first, so that
# no worker is left with one of them at the end.
FIRST = ("cluster", "workflow", "page", "faults")

# Where the tests guard a branch, everything that they need has to be there.
NONE_MAY_BE_SKIPPED = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items):
    def place(item):
        folder = item.path.parent.name
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)


def skipped(terminalreporter):
    """Count the tests that were skipped for each reason."""
    reports = terminalreporter.stats.get("skipped", [])
    # Of a skipped test: path, line, reason.
    reasons = (report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reports)
    return Counter(reason.removeprefix("Skipped: ") for reason in reasons)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say last, in words, what was not tested: a skipped test is easily overlooked."""
    yield
    reasons = skipped(terminalreporter)
    if reasons:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        for reason, n in reasons.items():
            terminalreporter.line(f"{n} test{'s' * (n > 1)}: {reason}", red=True)
        if NONE_MAY_BE_SKIPPED:
            terminalreporter.line("CI=true: a test that is skipped is a failure.", red=True, bold=True)


def pytest_sessionfinish(session):
    """Make a failure of a run that may skip nothing, and did."""
    terminalreporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A worker of pytest-xdist has no terminal; the main process counts for all.
    if NONE_MAY_BE_SKIPPED and terminalreporter and skipped(terminalreporter):
        session.exitstatus = max(session.exitstatus, pytest.ExitCode.TESTS_FAILED)
