"""What holds for every test run, and what it says at its end."""

from hypothesis import Phase, settings

# A busy machine is no failure, and the same cases run everywhere.
settings.register_profile("here", deadline=None, derandomize=True)
settings.register_profile("unshrunk", settings.get_profile("here"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("here")

# A worker takes a file at a time, in this order: those that wait for other programs, or are long, come first, so that
# no worker is left with one of them at the end.
FIRST = ("cluster", "workflow", "page", "faults")

NO_SLURM = "no Slurm for the cluster tests"


def pytest_collection_modifyitems(items):
    def place(item):
        folder = item.path.parent.name
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter):
    """Say in words that the cluster was not tested: a skipped test is easily overlooked."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    # Of a skipped test: path, line, reason.
    reasons = [place[2] for place in skipped if isinstance(place, tuple) and NO_SLURM in place[2]]
    if reasons:
        terminalreporter.section("NOT TESTED: runs on a Slurm cluster", red=True, bold=True)
        terminalreporter.line(f"{len(reasons)} tests: {reasons[0].removeprefix('Skipped: ')}", red=True)
