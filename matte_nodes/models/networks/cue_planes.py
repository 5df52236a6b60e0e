# SPDX-License-Identifier: Apache-2.0
"""The planes of `models.cues` in torch alone, for the shipped trimap network inside a .cat file.

The library makes them with OpenCV. Here distances and nearest pixels come from jump flooding (Rong
and Tan 2006), everything works at any size and in single precision, and nothing is scripted that
torch 2.1 lacks. The two agree to about a thousandth.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from matte_nodes.models.networks.scriptable import resized


def nearest(known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distance to the nearest known pixel, and its row and column, (H, W) each; 1e6 without any."""
    height, width = known.shape[0], known.shape[1]
    ys = torch.arange(height, device=known.device).unsqueeze(1).expand(height, width).float()
    xs = torch.arange(width, device=known.device).unsqueeze(0).expand(height, width).float()
    none = torch.full_like(ys, 1e6)
    row, column = torch.where(known, ys, none), torch.where(known, xs, none)
    best = torch.where(known, torch.zeros_like(ys), torch.full_like(ys, 1e12))
    step = 1
    while step < max(height, width):
        step *= 2
    # Down to one pixel, and one pixel once more: that mends nearly all of what flooding misses.
    last = 2
    while last > 0:
        for down in range(-1, 2):
            rows = (torch.arange(height, device=known.device) + down * step).clamp(0, height - 1)
            for right in range(-1, 2):
                columns = (torch.arange(width, device=known.device) + right * step).clamp(
                    0, width - 1
                )
                other_row = row.index_select(0, rows).index_select(1, columns)
                other_column = column.index_select(0, rows).index_select(1, columns)
                away = (other_row - ys) * (other_row - ys) + (other_column - xs) * (
                    other_column - xs
                )
                nearer = away < best
                best = torch.where(nearer, away, best)
                row = torch.where(nearer, other_row, row)
                column = torch.where(nearer, other_column, column)
        if step == 1:
            last -= 1
        step = max(1, step // 2)
    return best.sqrt(), row.clamp(0, height - 1), column.clamp(0, width - 1)


def closeness(known: Tensor) -> Tensor:
    """Logarithm of the distance to a side over that of 400 pixels, 0..1; 1 without such a side."""
    return (torch.log1p(nearest(known)[0]) / 5.993961427306569).clamp(0.0, 1.0)


def shares(length: int, shorter: int, like: Tensor) -> Tensor:
    """(shorter, length): how much of each old pixel lies in each new one."""
    size = float(length) / float(shorter)
    new = torch.arange(shorter, device=like.device).float().unsqueeze(1) * size
    old = torch.arange(length, device=like.device).float().unsqueeze(0)
    covered = torch.minimum(old + 1.0, new + size) - torch.maximum(old, new)
    return covered.clamp(min=0.0) / size


def shrunk(picture: Tensor, height: int, width: int) -> Tensor:
    """Smaller, by area, exactly: adaptive pooling counts pixels on a border twice."""
    rows = shares(picture.shape[2], height, picture)
    columns = shares(picture.shape[3], width, picture)
    return torch.matmul(torch.matmul(rows, picture), columns.t())


def push_pull(picture: Tensor, known: Tensor) -> Tensor:
    """Known colours carried into all other pixels: (1, 3, H, W) and bool (H, W) to (1, 3, H, W)."""
    mask = known.float().unsqueeze(0).unsqueeze(0)
    levels = [torch.cat([picture * mask, mask], 1)]
    while max(levels[-1].shape[2], levels[-1].shape[3]) > 1:
        height, width = levels[-1].shape[2], levels[-1].shape[3]
        levels.append(shrunk(levels[-1], (height + 1) // 2, (width + 1) // 2))
    whole = levels[-1]
    filled = whole[:, :3] / whole[:, 3:].clamp(min=1e-8)
    # Without a known pixel at all: the picture's mean.
    mean = picture.mean(2, keepdim=True).mean(3, keepdim=True)
    filled = torch.where(whole[:, 3:] > 0, filled, mean)
    index = len(levels) - 2
    while index >= 0:
        level = levels[index]
        above = resized(filled, level.shape[2], level.shape[3])
        filled = level[:, :3] + (1.0 - level[:, 3:]) * above
        index -= 1
    return filled


def looked_up(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels (1, 3, H, W) at places (H, W) of a picture of that size."""
    width = picture.shape[3]
    places = (rows * width + columns).reshape(-1)
    return picture.reshape(3, -1).index_select(1, places).reshape(picture.shape)


def candidates(picture: Tensor, known: Tensor) -> list[Tensor]:
    """Known colours nearest to nine places round each pixel, (1, 3, H, W) each."""
    height, width = picture.shape[2], picture.shape[3]
    away, row, column = nearest(known)
    ys = torch.arange(height, device=known.device).unsqueeze(1).float()
    xs = torch.arange(width, device=known.device).unsqueeze(0).float()
    found = [looked_up(picture, row.long(), column.long())]
    angles = [0.3, 1.9, 3.4, 5.0, 1.1, 2.6, 4.2, 5.8]
    for index, angle in enumerate(angles):
        reach = away * (0.7 if index < 4 else 1.8)
        y = (ys + reach * math.sin(angle)).clamp(0, height - 1).long()
        x = (xs + reach * math.cos(angle)).clamp(0, width - 1).long()
        places = (y * width + x).reshape(-1)
        there = row.reshape(-1).index_select(0, places).reshape(height, width)
        beside = column.reshape(-1).index_select(0, places).reshape(height, width)
        found.append(looked_up(picture, there.long(), beside.long()))
    return found


def best_pairs(
    plate: Tensor, trimap: Tensor, near_front: Tensor, near_back: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours of both sides that explain each unknown pixel best, and the squared error left."""
    height, width = plate.shape[2], plate.shape[3]
    rows, columns = max(1, height // 2), max(1, width // 2)
    small = shrunk(plate, rows, columns)
    front = shrunk((trimap > 0.75).float(), rows, columns)[0, 0] > 0.99
    back = shrunk((trimap < 0.25).float(), rows, columns)[0, 0] > 0.99
    unknown = torch.logical_not(torch.logical_or(front, back))
    error = torch.zeros_like(small[:, :1])
    if not (bool(front.any()) and bool(back.any()) and bool(unknown.any())):
        return near_front, near_back, resized(error, height, width)
    best_front, best_back = torch.zeros_like(small), torch.zeros_like(small)
    cost = torch.full_like(error, 1e6)
    backs = candidates(small, back)
    for f in candidates(small, front):
        for b in backs:
            apart = ((f - b) * (f - b)).sum(1, keepdim=True)
            along = ((small - b) * (f - b)).sum(1, keepdim=True)
            alpha = (along / (apart + 1e-4)).clamp(0.0, 1.0)
            off = small - b - alpha * (f - b)
            left = (off * off).sum(1, keepdim=True)
            price = left + 2e-4 / (apart + 0.02)
            better = price < cost
            cost = torch.where(better, price, cost)
            error = torch.where(better, left, error)
            best_front, best_back = (
                torch.where(better, f, best_front),
                torch.where(better, b, best_back),
            )
    inside = unknown.float().unsqueeze(0).unsqueeze(0)
    error = error * inside
    weight = (torch.exp(-error / 0.003) + 1e-3) * inside
    total = F.avg_pool2d(weight, 5, 1, 2).clamp(min=1e-8)
    answers = []
    for colours, near in ((best_front, near_front), (best_back, near_back)):
        smooth = F.avg_pool2d(colours * weight, 5, 1, 2) / total
        own = torch.where(inside > 0, smooth, shrunk(near, rows, columns))
        answers.append(resized(own, height, width))
    return answers[0], answers[1], resized(error, height, width)


def planes(plate: Tensor, trimap: Tensor) -> Tensor:
    """(1, 19, H, W): the planes of `models.cues`."""
    black, white = trimap < 0.25, trimap > 0.75
    near_front, near_back = push_pull(plate, white[0, 0]), push_pull(plate, black[0, 0])
    front, back, error = best_pairs(plate, trimap, near_front, near_back)
    return torch.cat(
        [
            plate, near_front, near_back, front, back, trimap,
            closeness(white[0, 0]).unsqueeze(0).unsqueeze(0),
            closeness(black[0, 0]).unsqueeze(0).unsqueeze(0),
            error.sqrt().clamp(0.0, 1.0),
        ], 1,
    )  # fmt: skip
