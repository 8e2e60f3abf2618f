"""What every test run says at its end."""

NO_SLURM = "no Slurm for the cluster tests"


def pytest_terminal_summary(terminalreporter):
    """Say in words that the cluster was not tested: a skipped test is easily overlooked."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    reasons = [reason for reason in skipped if NO_SLURM in reason]
    if reasons:
        terminalreporter.section("NOT TESTED: runs on a Slurm cluster", red=True, bold=True)
        terminalreporter.line(f"{len(reasons)} tests: {reasons[0][reasons[0].index(NO_SLURM) :].rstrip(')')}", red=True)
