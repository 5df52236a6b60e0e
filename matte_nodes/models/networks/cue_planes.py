# SPDX-License-Identifier: Apache-2.0
"""Features that are computed from a trimap before the network runs: colours, distances, errors.

The trimap network takes these planes beside the plate. The algorithm is here once. What it needs
of a picture (other sizes, nearest known pixels, a blur) are its tools: OpenCV's in use and in
training (`models.cues`), torch's alone in a .cat file. The two agree to about a thousandth.

Pictures are (H, W, C) float32 here. Everything is scripted for torch 2.1, so methods name no
newer operators and constants are attributes.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from matte_nodes.models.networks.scriptable import resized

PLANES = 19
"""Plate, nearest foreground and background, best pair of foreground and background (three planes
each), trimap, closeness to both sides, and how badly the best pair explains the pixel."""
TRIMAP = 15
"""The plane that holds the trimap."""


class TorchTools(nn.Module):
    """The tools in torch alone. Distances come from jump flooding (Rong and Tan 2006)."""

    def __init__(self, multiple: int = 1) -> None:
        super().__init__()
        self.multiple = multiple
        """The multiple of the sides of the planes."""
        self.band = 65536
        """Pixels that are flooded at once."""
        self.rows = 128
        """Rows of a large picture that are worked on at once, and what is made of them kept."""
        self.reach = 7
        """How many rows the last floods look to each side."""
        self.planes = PLANES

    def shrunk(self, picture: Tensor, height: int, width: int) -> Tensor:
        """Return a picture at a smaller size, by area.

        Adaptive pooling counts border pixels twice.
        """
        if picture.shape[0] == 2 * height and picture.shape[1] == 2 * width:
            return self.halved(picture.permute(2, 0, 1)).permute(1, 2, 0)
        return self.shorter(self.shorter(picture, height, 0), width, 1)

    def halved(self, planes: Tensor) -> Tensor:
        """Return the means of 2 x 2 pixels of (C, H, W): in a quarter of the time of pooling."""
        found = planes[:, 0::2, 0::2] + planes[:, 0::2, 1::2]
        return found.add_(planes[:, 1::2, 0::2]).add_(planes[:, 1::2, 1::2]).mul_(0.25)

    def shorter(self, picture: Tensor, length: int, axis: int) -> Tensor:
        """Return a picture with one side shortened, by area: each new pixel is a few old ones."""
        old = picture.shape[axis]
        if old == length:
            return picture
        size = float(old) / float(length)
        begin = torch.arange(length, device=picture.device).float() * size
        first = begin.floor()
        total = torch.zeros(1, device=picture.device)
        for step in range(math.ceil(size) + 1):
            place = first + float(step)
            covered = torch.minimum(place + 1.0, begin + size) - torch.maximum(place, begin)
            share = (covered.clamp(min=0.0) / size).reshape(-1, 1, 1)
            if axis == 1:
                share = share.reshape(1, -1, 1)
            part = picture.index_select(axis, place.long().clamp(max=old - 1))
            total = total + part * share
        return total

    def enlarged(self, picture: Tensor, height: int, width: int) -> Tensor:
        """Return a picture at a larger size, by linear interpolation."""
        planes = picture.permute(2, 0, 1).unsqueeze(0)
        return resized(planes, height, width)[0].permute(1, 2, 0)

    def blurred(self, picture: Tensor) -> Tensor:
        """Return the mean of 5 x 5 pixels; beyond an edge the picture is reflected."""
        height, width = picture.shape[0], picture.shape[1]
        rows = self.reflected(height, picture)
        columns = self.reflected(width, picture)
        grown = picture.index_select(0, rows).index_select(1, columns)
        # Rows, then columns: pooling of 5 x 5 pixels takes longer.
        tall = grown[:height] + grown[1 : height + 1]
        for step in range(2, 5):
            tall.add_(grown[step : height + step])
        found = tall[:, :width] + tall[:, 1 : width + 1]
        for step in range(2, 5):
            found.add_(tall[:, step : width + step])
        return found.mul_(0.04)

    def reflected(self, length: int, like: Tensor) -> Tensor:
        """Return places -2..length+1 of a row, those outside reflected at the first and last pixel."""
        places = torch.arange(-2, length + 2, device=like.device).abs()
        places = (length - 1) - ((length - 1) - places).abs()
        return places.abs().clamp(0, length - 1)

    def over(self, picture: Tensor, where: Tensor, other: Tensor) -> Tensor:
        """Return the picture where `where` (H, W) is True, the other one elsewhere.

        It may change both.
        """
        return torch.where(where.unsqueeze(2), picture, other)

    def known_halved(self, picture: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return known colours at half size, black between them; their weights; the mean colour.

        At (H+1)//2 by (W+1)//2, or at the picture's own size where a side is one pixel.
        """
        height, width = picture.shape[0], picture.shape[1]
        if min(height, width) > 1 and height % 2 == 0 and width % 2 == 0:
            # Planar, as the means are made; a band at a time.
            sums = torch.empty(3, height // 2, width // 2, device=picture.device)
            weight = torch.empty(1, height // 2, width // 2, device=picture.device)
            total = torch.zeros(3, device=picture.device)
            for top in self.bands(picture):
                bottom = min(height, top + self.rows_at_once(picture))
                part = known[top:bottom].unsqueeze(0)
                first = picture[top:bottom].permute(2, 0, 1)
                first = first.masked_fill(torch.logical_not(part), 0.0)
                total += first.sum(2).sum(1)
                sums[:, top // 2 : bottom // 2] = self.halved(first)
                weight[:, top // 2 : bottom // 2] = self.halved(part.float())
            return sums.permute(1, 2, 0), weight.permute(1, 2, 0), total / known.sum()
        return self.known_shrunk(picture, known)

    def known_shrunk(self, picture: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `known_halved` returns, of any size, all rows at once."""
        height, width = picture.shape[0], picture.shape[1]
        sums, weight = self.over(picture, known, torch.zeros_like(picture)), known.float()
        weight = weight.unsqueeze(2)
        total = sums.sum(0).sum(0) / weight.sum()
        if min(height, width) > 1:
            rows, columns = (height + 1) // 2, (width + 1) // 2
            return self.shrunk(sums, rows, columns), self.shrunk(weight, rows, columns), total
        return sums, weight, total

    def stretched(self, picture: Tensor, height: int, width: int, box: list[int]) -> Tensor:
        """Return a box of a picture (C, h, w) enlarged to (C, H, W), by linear interpolation.

        box: top, bottom, left, right. As `enlarged`, of which it makes no more than it needs.
        """
        top, bottom, left, right = box[0], box[1], box[2], box[3]
        rows, columns = picture.shape[1], picture.shape[2]
        start, end = 0, columns
        if width == 2 * columns:
            # One more pixel on each side gives the enlarged picture the same numbers.
            start, end = max(0, left // 2 - 1), min(columns, right // 2 + 2)
        size = float(rows) / float(height)
        place = (torch.arange(top, bottom, device=picture.device).float() + 0.5) * size
        place = (place - 0.5).clamp(min=0.0)
        upper = place.floor()
        share = (place - upper).reshape(1, -1, 1)
        # `index_select` copies all that it may select from.
        first, last = max(0, int(top * size) - 2), min(rows, int(bottom * size) + 2)
        part = picture[:, first:last, start:end]
        found = part.index_select(1, upper.long() - first)
        lower = part.index_select(1, (upper + 1.0).long().clamp(max=rows - 1) - first)
        found = found + lower.sub_(found).mul_(share)
        wide = 2 * (end - start) if width == 2 * columns else width
        found = resized(found.unsqueeze(0), bottom - top, wide)[0]
        return found[:, :, left - 2 * start : right - 2 * start]

    def put_distance(self, found: Tensor, known: Tensor) -> None:
        """Write into `found` (H, W) how far the nearest known pixel is. known: (H, W) bool, not all False.

        Only the box of the other pixels is looked at: one more pixel round it is known.
        """
        found.zero_()
        unknown = torch.logical_not(known)
        rows, columns = unknown.any(1).nonzero(), unknown.any(0).nonzero()
        if rows.shape[0] > 0:
            top, bottom = max(0, int(rows.min()) - 1), int(rows.max()) + 2
            left, right = max(0, int(columns.min()) - 1), int(columns.max()) + 2
            part = known[top:bottom, left:right].contiguous()
            blocks = self.of_blocks(part)
            for first in self.bands(part):
                last = min(part.shape[0], first + self.rows_at_once(part))
                best, _ = self.of_rows(part, blocks, first, last)
                found[top + first : top + last, left:right] = best.sqrt_()

    def nearest(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the nearest known pixel (H, W), and its flat index, int64 (H, W).

        Blocks of 4 x 4 pixels are flooded, by one known pixel of each. Then every pixel walks from
        what it was given towards itself as far as pixels are known, and looks at its neighbours.
        """
        height, width = known.shape[0], known.shape[1]
        away = torch.empty(height, width, device=known.device)
        place = torch.empty(height, width, device=known.device, dtype=torch.int64)
        blocks = self.of_blocks(known)
        for top in self.bands(known):
            bottom = min(height, top + self.rows_at_once(known))
            best, sites = self.of_rows(known, blocks, top, bottom)
            away[top:bottom] = best.sqrt_()
            place[top:bottom] = sites[0].long() * width + sites[1].long()
        return away, place

    def rows_at_once(self, picture: Tensor) -> int:
        """Return how many rows of a picture are worked on at once: all on a card."""
        return max(1, picture.shape[0]) if picture.is_cuda else self.rows

    def bands(self, picture: Tensor) -> list[int]:
        """Return the first rows of the bands of a picture."""
        found: list[int] = []
        for top in range(0, picture.shape[0], self.rows_at_once(picture)):
            found.append(top)
        return found

    def rows_flooded(self, picture: Tensor) -> int:
        """Return how many rows are flooded at once: all on a card, else as many as fit, evenly."""
        height, width = picture.shape[0], picture.shape[1]
        count = 1 if picture.is_cuda else max(1, height * width // self.band)
        return (height + count - 1) // count

    def of_blocks(self, known: Tensor) -> Tensor:
        """Return (2, rows, columns): a near known pixel of each block of 4 x 4 pixels."""
        height, width = known.shape[0], known.shape[1]
        rows, columns = (height + 3) // 4, (width + 3) // 4
        grown = known
        if height % 4 > 0 or width % 4 > 0:
            grown = torch.zeros(4 * rows, 4 * columns, device=known.device, dtype=torch.bool)
            grown[:height, :width] = known
        # Of a block's pixels one that is known, by its place 0..15; 16 where there is none.
        place = torch.full([rows, columns], 16.0, device=known.device)
        for number in range(16):
            of_each = grown[(15 - number) // 4 :: 4, (15 - number) % 4 :: 4]
            place.masked_fill_(of_each, float(15 - number))
        middle = self.coordinates(rows, columns, 4, known)
        inside = torch.stack([(place / 4.0).floor(), place - 4.0 * (place / 4.0).floor()])
        sites = middle - 1.5 + inside
        sites = torch.where((place < 16.0).unsqueeze(0), sites, torch.full_like(sites, 1e6))
        best = (sites - middle).square().sum(0)
        step = 1
        while 2 * step < max(rows, columns):
            step *= 2
        while step > 0:
            self.flood(sites, best, middle, step)
            step = step // 2
        self.flood(sites, best, middle, 1)
        return sites

    def of_rows(
        self, known: Tensor, blocks: Tensor, first: int, last: int
    ) -> tuple[Tensor, Tensor]:
        """Return squared distances (rows, W) and nearest known pixels (2, rows, W) of some rows.

        blocks: of `of_blocks`. A band of 128 rows at 1080p takes an eighth of the memory of all.
        """
        width = known.shape[1]
        upper, lower = max(0, first - self.reach), min(known.shape[0], last + self.reach)
        own = self.coordinates(lower - upper, width, 1, known)
        own[0].add_(float(upper))
        down = torch.div(torch.arange(upper, lower, device=known.device), 4, rounding_mode="floor")
        right = torch.div(torch.arange(width, device=known.device), 4, rounding_mode="floor")
        sites = blocks.index_select(1, down).index_select(2, right)
        sites = torch.where(known[upper:lower].unsqueeze(0), own, sites)
        best = (sites - own).square_().sum(0)
        height = lower - upper
        band = self.rows_flooded(best)
        top = 0
        while top < height:
            bottom = min(height, top + band)
            for _ in range(4):
                self.walk(known, sites[:, top:bottom], best[top:bottom], own[:, top:bottom])
            top = bottom
        # Together they look over `reach` rows.
        self.flood(sites, best, own, 4)
        self.flood(sites, best, own, 2)
        self.flood(sites, best, own, 1)
        return best[first - upper : last - upper], sites[:, first - upper : last - upper]

    def coordinates(self, height: int, width: int, size: int, like: Tensor) -> Tensor:
        """Return (2, height, width): rows and columns of the middles of blocks of so many pixels."""
        ys = torch.arange(height, device=like.device).float() * size + 0.5 * (size - 1)
        xs = torch.arange(width, device=like.device).float() * size + 0.5 * (size - 1)
        return torch.stack(
            [ys.unsqueeze(1).expand(height, width), xs.unsqueeze(0).expand(height, width)]
        )

    def walk(self, known: Tensor, sites: Tensor, best: Tensor, own: Tensor) -> None:
        """Move sites by one pixel towards the pixels that they are nearest to, if that is known."""
        away = own - sites
        ahead = (sites + away / best.sqrt().clamp(min=1.0)).round()
        ahead[0].clamp_(0, known.shape[0] - 1)
        ahead[1].clamp_(0, known.shape[1] - 1)
        place = ahead[0].long() * known.shape[1] + ahead[1].long()
        is_known = known.reshape(-1).index_select(0, place.reshape(-1)).reshape(best.shape)
        left = (own - ahead).square().sum(0)
        nearer = torch.logical_and(is_known, left < best)
        sites.copy_(torch.where(nearer.unsqueeze(0), ahead, sites))
        best.copy_(torch.where(nearer, left, best))

    def flood(self, sites: Tensor, best: Tensor, own: Tensor, step: int) -> None:
        """Give every pixel the sites of pixels a step away that are nearer; changes both.

        In bands of rows on a processor, so that a band's numbers stay in its cache.
        """
        height = best.shape[0]
        before = sites.clone()
        band = self.rows_flooded(best)
        top = 0
        while top < height:
            self.flooded(before, sites, best, own, top, min(height, top + band), step)
            top += band

    def flooded(
        self, before: Tensor, sites: Tensor, best: Tensor, own: Tensor, top: int, bottom: int,
        step: int,
    ) -> None:  # fmt: skip
        """Flood rows top..bottom alone, from the sites of before."""
        height, width = best.shape[0], best.shape[1]
        for place in range(9):
            down, right = step * (place // 3 - 1), step * (place % 3 - 1)
            low, high = max(top, -down), min(bottom, height - down)
            left, end = max(0, -right), min(width, width - right)
            if low < high and left < end and place != 4:
                other = before[:, low + down : high + down, left + right : end + right]
                apart = (other - own[:, low:high, left:end]).square_()
                away = apart[0].add_(apart[1])
                mine = best[low:high, left:end]
                nearer = away < mine
                here = sites[:, low:high, left:end]
                here.copy_(torch.where(nearer.unsqueeze(0), other, here))
                torch.minimum(away, mine, out=mine)

    def started(self, height: int, width: int, like: Tensor) -> Tensor:
        """Return planes (1, PLANES, H, W) to be filled; H and W are grown to the multiple."""
        rows, columns = height + -height % self.multiple, width + -width % self.multiple
        return torch.empty(1, self.planes, rows, columns, device=like.device)

    def put(self, found: Tensor, first: int, picture: Tensor) -> None:
        """Put a picture (H, W, C) into planes, from number `first` on."""
        height, width, count = picture.shape[0], picture.shape[1], picture.shape[2]
        found[0, first : first + count, :height, :width] = picture.permute(2, 0, 1)

    def finished(self, found: Tensor, height: int, width: int) -> Tensor:
        """Repeat the edges at the bottom and right beyond the picture; returns the planes."""
        if found.shape[3] > width:
            found[:, :, :height, width:] = found[:, :, :height, width - 1 : width]
        if found.shape[2] > height:
            found[:, :, height:] = found[:, :, height - 1 : height]
        return found


class CuePlanes(nn.Module):
    """Plate and trimap to the planes.

    The nearest colours come from a push-pull pyramid (Gortler et al. 1996). The best pair is, of
    candidates on both sides in nine directions, the one whose mixture explains the pixel best
    (robust matting, Wang and Cohen 2007; shared matting, Gastal and Oliveira 2010).
    """

    def __init__(self, tools: TorchTools) -> None:
        super().__init__()
        self.tools = tools
        self.far = math.log1p(400.0)
        """The distance of closeness 1, as its logarithm."""
        self.looks: list[tuple[float, float]] = [
            (0.0, 0.0),
            *((math.sin(a) * 0.7, math.cos(a) * 0.7) for a in (0.3, 1.9, 3.4, 5.0)),
            *((math.sin(a) * 1.8, math.cos(a) * 1.8) for a in (1.1, 2.6, 4.2, 5.8)),
        ]
        """Where candidates are looked for round a pixel: rows and columns, in distances."""
        self.block = 4096
        """Pixels whose pairs are compared at once: their costs stay in the processor's cache."""

    def forward(self, plate: Tensor, trimap: Tensor) -> Tensor:
        """Return (1, 19, H, W) float32, 0..1.

        plate: (H, W, 3), display-encoded 0..1. trimap: (H, W) with 0, 0.5 (unknown) and 1.
        """
        # Each picture goes into its planes as soon as it is made: all of them take 160 MB at 1080p.
        height, width = plate.shape[0], plate.shape[1]
        front, back = trimap > 0.75, trimap < 0.25
        found: Tensor = self.tools.started(height, width, plate)
        near: list[Tensor] = []
        for known in (front, back):
            colours = self.coloured(plate, known, self.push_pull(plate, known))
            self.tools.put(found, 3 + 3 * len(near), colours)
            near.append(self.tools.shrunk(colours, max(1, height // 2), max(1, width // 2)))
        rows, columns = near[0].shape[0], near[0].shape[1]
        at, pairs = self.best_pairs(plate, front, back, rows, columns)
        if len(pairs) == 0:
            found[:, 9:15] = found[:, 3:9]
            found[:, 18:] = 0.0
        else:
            for number in range(2):
                own = near[number].reshape(-1, 3).index_copy(0, at, pairs[number])
                large = self.tools.enlarged(own.reshape(rows, columns, 3), height, width)
                self.tools.put(found, 9 + 3 * number, large)
            left = self.placed(pairs[2], at, rows, columns)
            left = self.tools.enlarged(left, height, width)
            self.tools.put(found, 18, left.sqrt().clamp(0.0, 1.0))
        self.tools.put(found, 0, plate)
        self.tools.put(found, 15, trimap.unsqueeze(2))
        self.put_closeness(found[0, 16, :height, :width], front)
        self.put_closeness(found[0, 17, :height, :width], back)
        done: Tensor = self.tools.finished(found, height, width)
        return done

    def put_closeness(self, found: Tensor, known: Tensor) -> None:
        """Write into (H, W) the logarithm of the distance to a side over that of 400 pixels, at most 1.

        It is 1 everywhere when there is no such side.
        """
        if bool(known.any()):
            self.tools.put_distance(found, known)
            found.log1p_().div_(self.far).clamp_(max=1.0)
        else:
            found.fill_(1.0)

    def coloured(self, picture: Tensor, known: Tensor, filled: Tensor) -> Tensor:
        """Return (H, W, 3): the known pixels, between them what `push_pull` filled in."""
        if not bool(known.any()):
            return filled.expand_as(picture)
        large: Tensor = filled
        if filled.shape[0] != picture.shape[0] or filled.shape[1] != picture.shape[1]:
            large = self.tools.enlarged(filled, picture.shape[0], picture.shape[1])
        found: Tensor = self.tools.over(picture, known, large)
        return found

    def push_pull(self, picture: Tensor, known: Tensor) -> Tensor:
        """Return colours of the known pixels, carried into all others, at half size.

        It is a pyramid of weighted means. A picture one pixel high or wide has no half: it comes at
        its own size. Without a known pixel it is the picture's mean, one pixel.
        """
        if not bool(known.any()):
            return picture.mean(0, keepdim=True).mean(1, keepdim=True)
        sums, weight, total = self.tools.known_halved(picture, known)
        levels = [(sums, weight)]
        while min(levels[-1][1].shape[0], levels[-1][1].shape[1]) > 1:
            sums, weight = levels[-1]
            rows, columns = (weight.shape[0] + 1) // 2, (weight.shape[1] + 1) // 2
            levels.append(
                (self.tools.shrunk(sums, rows, columns), self.tools.shrunk(weight, rows, columns))
            )
        sums, weight = levels.pop()
        filled = sums / weight.clamp(min=1e-8)
        filled = torch.where(weight > 0, filled, total.expand_as(filled))
        while len(levels) > 0:
            sums, weight = levels.pop()
            above: Tensor = self.tools.enlarged(filled, weight.shape[0], weight.shape[1])
            filled = above.mul_(1.0 - weight).add_(sums)
        return filled

    def best_pairs(
        self, plate: Tensor, front: Tensor, back: Tensor, rows: int, columns: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what explains the unknown pixels best: where, and colours of both sides, error left.

        Flat places (N) in a picture of half the size (rows, columns), and (N, 3 or 1) there.
        Colours are smoothed by how well they explain. Without any pair there are none.
        """
        small = self.tools.shrunk(plate, rows, columns)
        is_front = self.tools.shrunk(front.float().unsqueeze(2), rows, columns)[:, :, 0] > 0.99
        is_back = self.tools.shrunk(back.float().unsqueeze(2), rows, columns)[:, :, 0] > 0.99
        places = torch.nonzero(torch.logical_not(torch.logical_or(is_front, is_back)))
        at = places[:, 0] * columns + places[:, 1]
        made: list[Tensor] = []
        if places.shape[0] == 0 or not bool(is_front.any()) or not bool(is_back.any()):
            return at, made
        pixels = small.reshape(-1, 3).index_select(0, at)
        fronts = self.candidates(small, is_front, places)
        backs = self.candidates(small, is_back, places)
        best_front, best_back, error = self.chosen(pixels, fronts, backs)
        weights = torch.exp(-error / 0.003) + 1e-3
        total = self.tools.blurred(self.placed(weights.unsqueeze(1), at, rows, columns))
        total = total.reshape(-1, 1).index_select(0, at).clamp(min=1e-8)
        for colours in (best_front, best_back):
            weighed = self.placed(colours * weights.unsqueeze(1), at, rows, columns)
            smooth = self.tools.blurred(weighed).reshape(-1, 3).index_select(0, at)
            made.append(smooth / total)
        made.append(error.unsqueeze(1))
        return at, made

    def placed(self, values: Tensor, at: Tensor, rows: int, columns: int) -> Tensor:
        """Return values (N, C) at flat places of a picture (rows, columns, C) that is 0 elsewhere."""
        count = values.shape[1]
        empty = torch.zeros(rows * columns, count, device=values.device)
        return empty.index_copy(0, at, values).reshape(rows, columns, count)

    def candidates(self, small: Tensor, known: Tensor, places: Tensor) -> Tensor:
        """Return (N, looks, 3): the known colours nearest to places round each pixel."""
        height, width = small.shape[0], small.shape[1]
        away, nearest = self.tools.nearest(known)
        flat, colours = nearest.reshape(-1), small.reshape(-1, 3)
        reach = away.reshape(-1).index_select(0, places[:, 0] * width + places[:, 1])
        found: list[Tensor] = []
        for down, right in self.looks:
            y = (places[:, 0] + reach * down).long().clamp(0, height - 1)
            x = (places[:, 1] + reach * right).long().clamp(0, width - 1)
            found.append(colours.index_select(0, flat.index_select(0, y * width + x)))
        return torch.stack(found, 1)

    def chosen(
        self, pixels: Tensor, fronts: Tensor, backs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the pair whose mixture has the least error. Distant pairs are preferred."""
        chosen_fronts: list[Tensor] = []
        chosen_backs: list[Tensor] = []
        errors: list[Tensor] = []
        looks = fronts.shape[1]
        start = 0
        while start < pixels.shape[0]:
            f, b = fronts[start : start + self.block], backs[start : start + self.block]
            from_back = pixels[start : start + self.block].unsqueeze(1) - b
            squares = (f * f).sum(2).unsqueeze(2) + (b * b).sum(2).unsqueeze(1)
            apart = squares - 2.0 * torch.bmm(f, b.transpose(1, 2))
            along = torch.bmm(f, from_back.transpose(1, 2))
            along = along - (from_back * b).sum(2).unsqueeze(1)
            alpha = (along / (apart + 1e-4)).clamp(0.0, 1.0)
            left = (from_back * from_back).sum(2).unsqueeze(1)
            left = left - alpha * (2.0 * along - alpha * apart)
            cost = left + 2e-4 / (apart + 0.02)
            best = cost.flatten(1).argmin(1)
            each = torch.arange(f.shape[0], device=f.device) * looks
            first = torch.div(best, looks, rounding_mode="floor")
            chosen_fronts.append(f.reshape(-1, 3).index_select(0, each + first))
            chosen_backs.append(b.reshape(-1, 3).index_select(0, each + best - first * looks))
            errors.append(left.flatten(1).gather(1, best.unsqueeze(1))[:, 0])
            start += self.block
        return torch.cat(chosen_fronts), torch.cat(chosen_backs), torch.cat(errors).clamp(min=0.0)


class Cues(NamedTuple):
    """What planes of a part of a picture are made of: at 1080p 74 MB, the planes themselves 158."""

    plate: Tensor
    """(3, H, W)."""
    trimap: Tensor
    """(H, W)."""
    near_front: Tensor
    """(3, h, w): `push_pull` of the foreground."""
    near_back: Tensor
    """(3, h, w): `push_pull` of the background."""
    best: Tensor
    """(7, h, w): `best_pairs`; (0, 1, 1) where there are none."""
    close_front: Tensor
    """(H, W): closeness to the foreground."""
    close_back: Tensor
    """(H, W): closeness to the background."""


class CuePlanesInParts(CuePlanes):
    """The same planes by torch alone, made of a part of the picture when it is wanted."""

    def forward(self, plate: Tensor, trimap: Tensor) -> Cues:  # type: ignore[override]
        """Return what `part` needs.

        plate: (3, H, W), display-encoded 0..1. trimap: (H, W) with 0, 0.5 (unknown) and 1.
        """
        height, width = trimap.shape[0], trimap.shape[1]
        kept = self.rooms(height, width, plate)
        pixels = plate.permute(1, 2, 0)
        sides = [trimap > 0.75, trimap < 0.25]
        best = kept[2]
        for number, known in enumerate(sides):
            filled = self.push_pull(pixels, known)
            kept[number].copy_(filled.permute(2, 0, 1))
            self.put_near(best[3 * number : 3 * number + 3], pixels, known, filled)
            self.put_closeness(kept[3 + number], known)
        rows, columns = best.shape[1], best.shape[2]
        at, pairs = self.best_pairs(pixels, sides[0], sides[1], rows, columns)
        best[6].zero_()
        for number, values in enumerate(pairs):
            count = values.shape[1]
            picture = best[3 * number : 3 * number + count].reshape(count, rows * columns)
            picture.index_copy_(1, at, values.t())
        if len(pairs) == 0:
            best = best[:0]
        return Cues(plate, trimap, kept[0], kept[1], best, kept[3], kept[4])

    def rooms(self, height: int, width: int, like: Tensor) -> list[Tensor]:
        """Return empty pictures for `Cues`, from near_front on, all in one piece of memory.

        In pieces, long-lived and short-lived memory would be mixed. The process would keep the holes
        that freed memory leaves: 60 MB at 1080p.
        """
        rows, columns = max(1, height // 2), max(1, width // 2)
        more, right = (height + 1) // 2, (width + 1) // 2
        if min(height, width) == 1:
            more, right = height, width
        shapes = [[3, more, right], [3, more, right], [7, rows, columns], [height, width]]
        shapes.append([height, width])
        sizes: list[int] = []
        for shape in shapes:
            size = 1
            for side in shape:
                size *= side
            sizes.append(size)
        flat = torch.empty(sum(sizes), device=like.device).split_with_sizes(sizes)
        return [flat[number].reshape(shape) for number, shape in enumerate(shapes)]

    def put_near(self, made: Tensor, picture: Tensor, known: Tensor, filled: Tensor) -> None:
        """Write `coloured` into `made` at half size, planar: (3, H//2, W//2), at least a pixel."""
        height, width = picture.shape[0], picture.shape[1]
        if height % 2 > 0 or width % 2 > 0 or not bool(known.any()):
            colours: Tensor = self.coloured(picture, known, filled)
            made.copy_(self.tools.shrunk(colours, made.shape[1], made.shape[2]).permute(2, 0, 1))
            return
        planar, colours = picture.permute(2, 0, 1), filled.permute(2, 0, 1)
        for top in self.tools.bands(picture):
            bottom = min(height, top + self.tools.rows_at_once(picture))
            large = self.tools.stretched(colours, height, width, [top, bottom, 0, width])
            part = torch.where(known[top:bottom].unsqueeze(0), planar[:, top:bottom], large)
            made[:, top // 2 : bottom // 2] = self.tools.halved(part)

    def part(self, cues: Cues, box: list[int]) -> Tensor:
        """Return planes (1, 19, rows, columns) of a box: top, bottom, left, right.

        It may go beyond the picture at the bottom and right, where the edges are repeated.
        """
        height, width = cues.trimap.shape[0], cues.trimap.shape[1]
        rows, columns = min(box[1], height) - box[0], min(box[3], width) - box[2]
        inside = [box[0], box[0] + rows, box[2], box[2] + columns]
        plate = cues.plate[:, inside[0] : inside[1], inside[2] : inside[3]]
        trimap = cues.trimap[inside[0] : inside[1], inside[2] : inside[3]]
        found: Tensor = self.tools.started(box[1] - box[0], box[3] - box[2], plate)
        planes = found[0, :, :rows, :columns]
        planes[:3] = plate
        near = self.tools.stretched(cues.near_front, height, width, inside)
        planes[3:6] = torch.where((trimap > 0.75).unsqueeze(0), plate, near)
        near = self.tools.stretched(cues.near_back, height, width, inside)
        planes[6:9] = torch.where((trimap < 0.25).unsqueeze(0), plate, near)
        if cues.best.shape[0] == 0:
            planes[9:15] = planes[3:9]
            planes[18:] = 0.0
        else:
            best = self.tools.stretched(cues.best, height, width, inside)
            planes[9:15] = best[:6]
            planes[18:] = best[6:].sqrt().clamp(0.0, 1.0)
        planes[15] = trimap
        planes[16] = cues.close_front[inside[0] : inside[1], inside[2] : inside[3]]
        planes[17] = cues.close_back[inside[0] : inside[1], inside[2] : inside[3]]
        whole: Tensor = self.tools.finished(found, rows, columns)
        return whole
