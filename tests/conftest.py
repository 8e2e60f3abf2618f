"""What every test run says at its end."""


def pytest_terminal_summary(terminalreporter):
    """Say in words that the cluster was not tested: a skipped test is easily overlooked."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = [place[2] for place in skipped if isinstance(place, tuple) and "no Slurm for the cluster tests" in place[2]]
    if reasons:
        terminalreporter.section("NOT TESTED: runs on a Slurm cluster", red=True, bold=True)
        terminalreporter.line(f"{len(reasons)} tests: {reasons[0].removeprefix('Skipped: ')}", red=True)
