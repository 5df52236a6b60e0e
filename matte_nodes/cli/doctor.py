# SPDX-License-Identifier: Apache-2.0
"""`matte doctor`: shows what works on this machine, what does not, and what to do."""

from __future__ import annotations

import json
import sys

import click

MARKS = {"ok": "  ", "note": "- ", "problem": "! "}


def command() -> click.Command:
    """Return the verb."""
    return doctor


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="The findings, as JSON.")
def doctor(as_json: bool) -> None:
    """Looks at Python, packages, devices, weights, folders and hosts. Exit code 1: a problem."""
    from matte_nodes.diagnostics.doctor import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            click.echo(f"{MARKS[finding.state]}{finding.area:8} {finding.what}: {finding.detail}")
            if finding.advice:
                click.echo(f"             -> {finding.advice}")
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    if any(finding.state == "problem" for finding in findings):
        sys.exit(1)
