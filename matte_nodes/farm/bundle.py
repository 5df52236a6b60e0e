# SPDX-License-Identifier: Apache-2.0
"""A request as an Open Job Description job bundle (jobtemplate-2023-09 with TASK_CHUNKING).

A bundle is a folder: template.json (the job), parameter_values.json and asset_references.json as
`deadline bundle submit` takes them, and job_parameters.json, the same values as `openjd run` does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matte_nodes.errors import UsageError
from matte_nodes.farm.paths import FileParameter
from matte_nodes.farm.plan import Plan, Step, spelled
from matte_nodes.whole_files import prepare_folder, whole_file

ENVIRONMENT_SECONDS = 300
FRAME_SECONDS = 60
LEAST_SECONDS = 900
GRACE_SECONDS = 30


@dataclass(frozen=True)
class Job:
    """All that a bundle says.

    plan: how the range is cut. files: its PATH parameters. chunk, validate, enter: arguments of
    `matte farm chunk`, `validate` and `enter`, without what the job fills in. assets: files that a
    worker needs. gpus, gpu_memory: what a worker must have (MiB). timeout: seconds for a chunk, 0
    for one that goes by its frames.
    """

    name: str
    plan: Plan
    files: Sequence[FileParameter]
    chunk: Sequence[str]
    validate: Sequence[str]
    enter: Sequence[str]
    assets: Sequence[str]
    output_folder: str
    gpus: int = 0
    gpu_memory: int = 0
    timeout: int = 0


def write(job: Job, folder: Path) -> Path:
    """Write the bundle; answers the template. OutputError when that cannot be."""
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


def template(job: Job) -> dict[str, Any]:
    """The job template."""
    parameters: list[dict[str, Any]] = [dict(file.definition) for file in job.files]
    if len({file.name for file in job.files}) != len(job.files):
        raise UsageError("Two inputs of the job have one name.")
    parameters.append({
        "name": "MatteCommand", "type": "STRING", "default": "matte",
        "description": "The command of matte-nodes on the workers.",
        "userInterface": {"control": "LINE_EDIT", "label": "Command", "groupLabel": "Matte"},
    })  # fmt: skip
    if job.plan.handover != "exact":
        parameters.append({
            "name": "ChunkSize", "type": "INT", "default": max(s.size for s in job.plan.steps),
            "minValue": 1, "description": "Frames of a chunk.",
            "userInterface": {"control": "SPIN_BOX", "label": "Chunk size", "groupLabel": "Matte"},
        })  # fmt: skip
    steps = [_step(job, step) for step in job.plan.steps]
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": job.name,
        "parameterDefinitions": parameters,
        "steps": [*steps, _validate(job)],
    }


def _step(job: Job, step: Step) -> dict[str, Any]:
    exact = job.plan.handover == "exact"
    chunk = {
        "name": "Frame", "type": "CHUNK[INT]", "range": spelled(step.frames),
        "chunks": {
            "defaultTaskCount": step.size if exact else "{{Param.ChunkSize}}",
            "targetRuntimeSeconds": 0,
            "rangeConstraint": "CONTIGUOUS",
        },
    }  # fmt: skip
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


def _hot(job: Job) -> dict[str, Any]:
    """The model stays loaded from a worker's first chunk to its last."""
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


def _validate(job: Job) -> dict[str, Any]:
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
            "mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": GRACE_SECONDS,
        },
    }  # fmt: skip
