# SPDX-License-Identifier: Apache-2.0
"""Writes a request as an Open Job Description job bundle (jobtemplate-2023-09, TASK_CHUNKING).

A bundle is a folder. It holds template.json (the job), parameter_values.json and
asset_references.json as `deadline bundle submit` reads them, and job_parameters.json with the same
values as `openjd run` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.farm.paths import FileParameter
from matte_nodes.farm.plan import ChunkPlan, FarmStep
from matte_nodes.frame_range import spelled
from matte_nodes.whole_files import prepare_folder, whole_file

ENVIRONMENT_SECONDS = 300
FRAME_SECONDS = 60
LEAST_SECONDS = 900
GRACE_SECONDS = 30


@dataclass(frozen=True)
class FarmJob:
    """The contents of one bundle."""

    name: str
    """The job's name on the farm."""
    plan: ChunkPlan
    """How the range is cut into chunks."""
    files: Sequence[FileParameter]
    """The job's PATH parameters."""
    chunk: Sequence[str]
    """Arguments of `matte farm chunk`, without those that the job fills in."""
    validate: Sequence[str]
    """Arguments of `matte farm validate`, without those that the job fills in."""
    enter: Sequence[str]
    """Arguments of `matte farm enter`, without those that the job fills in."""
    assets: Sequence[str]
    """Files that a worker needs, absolute paths."""
    output_folder: str
    """The folder that the job writes."""
    gpus: int = 0
    """How many GPUs a worker must have."""
    gpu_memory: int = 0
    """How much GPU memory a worker must have, in MiB."""
    timeout: int = 0
    """Seconds for one chunk; 0 derives them from the number of frames."""


def write(job: FarmJob, folder: Path) -> Path:
    """Write the bundle and return the path of template.json. Raises OutputError when it cannot be
    written.
    """
    prepare_folder(folder)
    values = {file.name: file.value for file in job.files}
    assets = {
        "inputs": {"filenames": list(job.assets), "directories": []},
        "outputs": {"directories": [job.output_folder]},
        "referencedPaths": [],
    }
    contents = {
        "template.json": template(job),
        "parameter_values.json": {
            "parameterValues": [{"name": k, "value": v} for k, v in values.items()]
        },
        "job_parameters.json": values,
        "asset_references.json": {"assetReferences": assets},
    }
    for name, content in contents.items():
        with whole_file(folder / name) as part:
            part.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return folder / "template.json"


def template(job: FarmJob) -> dict[str, Any]:
    """Return the job template as JSON data."""
    parameters: list[dict[str, Any]] = [dict(file.definition) for file in job.files]
    if len({file.name for file in job.files}) != len(job.files):
        raise UsageError("Two inputs of the job have the same name. Rename one of them.")
    parameters.append(
        {
            "name": "MatteCommand",
            "type": "STRING",
            "default": "matte",
            "description": "The command of matte-nodes on the workers.",
            "userInterface": {"control": "LINE_EDIT", "label": "Command", "groupLabel": "Matte"},
        }
    )
    if job.plan.handover != "exact":
        parameters.append(
            {
                "name": "ChunkSize",
                "type": "INT",
                "default": max(s.size for s in job.plan.steps),
                "minValue": 1,
                "description": "Frames of a chunk.",
                "userInterface": {
                    "control": "SPIN_BOX",
                    "label": "Chunk size",
                    "groupLabel": "Matte",
                },
            }
        )
    steps = [_step(job, step) for step in job.plan.steps]
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": job.name,
        "parameterDefinitions": parameters,
        "steps": [*steps, _validate(job)],
    }


def _step(job: FarmJob, step: FarmStep) -> dict[str, Any]:
    exact = job.plan.handover == "exact"
    chunk = {
        "name": "Frame",
        "type": "CHUNK[INT]",
        "range": spelled(step.frames),
        "chunks": {
            "defaultTaskCount": step.size if exact else "{{Param.ChunkSize}}",
            "targetRuntimeSeconds": 0,
            "rangeConstraint": "CONTIGUOUS",
        },
    }
    seconds = job.timeout or max(LEAST_SECONDS, FRAME_SECONDS * step.size)
    found: dict[str, Any] = {"name": step.name}
    if step.after:
        found["dependencies"] = [{"dependsOn": step.after}]
    if job.gpus:
        amounts = [{"name": "amount.worker.gpu", "min": job.gpus}]
        if job.gpu_memory:
            amounts.append({"name": "amount.worker.gpu.memory", "min": job.gpu_memory})
        found["hostRequirements"] = {"amounts": amounts}
    return found | {
        "parameterSpace": {"taskParameterDefinitions": [chunk]},
        "stepEnvironments": [_hot(job)],
        "script": {
            "actions": {
                "onRun": _action(
                    ["farm", "chunk", *job.chunk, "--frames={{Task.Param.Frame}}"], seconds
                )
            }
        },
    }


def _hot(job: FarmJob) -> dict[str, Any]:
    """Return the step environment that keeps the model loaded from a worker's first chunk to its
    last.
    """
    return {
        "name": "HotModel",
        "description": "Keeps the model loaded for all chunks of one worker.",
        "script": {
            "actions": {
                "onEnter": _action(["farm", "enter", *job.enter], ENVIRONMENT_SECONDS),
                "onExit": _action(["farm", "leave"], ENVIRONMENT_SECONDS),
            }
        },
    }


def _validate(job: FarmJob) -> dict[str, Any]:
    frames = sum(len(step.frames) for step in job.plan.steps)
    seconds = max(LEAST_SECONDS, 5 * frames)
    return {
        "name": "Validate",
        "dependencies": [{"dependsOn": step.name} for step in job.plan.steps],
        "script": {"actions": {"onRun": _action(["farm", "validate", *job.validate], seconds)}},
    }


def _action(arguments: Sequence[str], seconds: int) -> dict[str, Any]:
    return {
        "command": "{{Param.MatteCommand}}",
        "args": list(arguments),
        "timeout": seconds,
        "cancelation": {
            "mode": "NOTIFY_THEN_TERMINATE",
            "notifyPeriodInSeconds": GRACE_SECONDS,
        },
    }
