# SPDX-License-Identifier: Apache-2.0
"""Losses, one function each, with the paper's equation.

Alphas are (N, 1, H, W) in 0..1, pictures (N, 3, H, W), `where` a (N, 1, H, W) mask or weight of the
pixels that count (None: all). Every loss returns a scalar tensor.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-6


def mean_where(values: Tensor, where: Tensor | None) -> Tensor:
    """Return the mean of values over the pixels that count; 0 when none does."""
    if where is None:
        return values.mean()
    weight = where.expand_as(values)
    return (values * weight).sum() / weight.sum().clamp_min(1)


def largest_within(values: Tensor, reach: int) -> Tensor:
    """The largest value of the square of `2 reach + 1` pixels round each pixel, (N, C, H, W).

    Windows grow by doubling, along each axis: the same values as a square window's, which took 88 %
    of GFM's step at 160 pixels.
    """
    found = functional.pad(values, (reach, reach, reach, reach), value=-torch.inf)
    for axis in (2, 3):
        size = 1
        while size < 2 * reach + 1:
            step = min(size, 2 * reach + 1 - size)
            length = found.shape[axis] - step
            found = torch.maximum(found.narrow(axis, 0, length), found.narrow(axis, step, length))
            size += step
    return found


def alpha_prediction(pred: Tensor, true: Tensor, where: Tensor | None = None) -> Tensor:
    """Charbonnier form: sqrt((a - a*)^2 + e^2), e = 1e-6 (Xu et al. 2017, equation 1)."""
    return mean_where(torch.sqrt((pred - true).square() + EPSILON**2), where)


def alpha_l1(pred: Tensor, true: Tensor, where: Tensor | None = None) -> Tensor:
    """|a - a*|."""
    return mean_where((pred - true).abs(), where)


def alpha_l2(pred: Tensor, true: Tensor, where: Tensor | None = None) -> Tensor:
    """Return (a - a*)^2: where nothing tells the sides apart, a grey costs less than a wrong side."""
    return mean_where((pred - true).square(), where)


def compositional(
    pred: Tensor, plate: Tensor, front: Tensor, back: Tensor, where: Tensor | None = None
) -> Tensor:
    """sqrt((c_p - c)^2 + e^2), c_p = a F + (1 - a) B of true F and B (Xu et al. 2017, 3.2).

    plate, front, back: display-encoded as the composite was made.
    """
    made = pred * front + (1 - pred) * back
    return mean_where(torch.sqrt((made - plate).square() + EPSILON**2), where)


def laplacian_pyramid(
    pred: Tensor, true: Tensor, where: Tensor | None = None, levels: int = 5
) -> Tensor:
    """Sum over levels i of 2^(i-1) |L_i(a) - L_i(a*)| (Hou and Liu 2019, equation 3).

    Means instead of sums, so that the size of a picture does not count; the error is masked by
    `where` before the pyramid is built.
    """
    error = pred - true if where is None else (pred - true) * where
    share = 1.0 if where is None else where.mean().clamp_min(1e-4)
    total = error.new_zeros(())
    for level in range(levels):
        if min(error.shape[-2:]) < 4:
            break
        small = functional.avg_pool2d(_smooth(error), 2)
        grown = functional.interpolate(
            small, size=error.shape[-2:], mode="bilinear", align_corners=False
        )
        total = total + 2**level * (error - grown).abs().mean() / 4**level * 2**level
        error = small
    coarse: Tensor = total + error.abs().mean()
    return coarse / share


def gradient(pred: Tensor, true: Tensor, where: Tensor | None = None) -> Tensor:
    """|dx a - dx a*| + |dy a - dy a*| by Sobel's filter (Seo et al. 2019, equation 5)."""
    kernel = pred.new_tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    both = torch.stack((kernel, kernel.T))[:, None]
    padded = functional.pad(pred - true, (1, 1, 1, 1), mode="replicate")
    return mean_where(functional.conv2d(padded, both).abs().sum(1, keepdim=True), where)


def trimap_adaptation(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy of the adapted trimap (Cai et al. 2019, equation 1).

    logits: (N, 3, H, W): background, unknown, foreground. classes: (N, H, W) int64, from the true
    alpha: 0 where it is 0, 2 where it is 1, else 1.
    """
    return functional.cross_entropy(logits, classes)


def fidelity(scores: Tensor, true: Tensor) -> Tensor:
    """-a* log p_1 - (1 - a*) log p_0: cross entropy with the soft alpha (Seo et al. 2019, 3.2: the
    divergence of the predicted from the true alpha, up to the true one's own entropy, which is
    taken off here, so that a perfect answer has loss 0).

    scores: (N, 2, h, w) logarithms of probabilities; the true alpha is brought to their size.
    """
    small = functional.interpolate(true, size=scores.shape[-2:], mode="area").clamp(0, 1)
    cross = -(small * scores[:, 1:] + (1 - small) * scores[:, :1])
    own = torch.special.entr(small) + torch.special.entr(1 - small)
    over: Tensor = cross - own
    return over.mean()


def task_weighted(trimap: Tensor, alpha: Tensor, log_sigmas: Tensor) -> Tensor:
    """L_t / s_t^2 + L_a / s_a + log(2 s_t s_a), both s learned (Cai et al. 2019, equation 4).

    log_sigmas: (2,), log s_t and log s_a. The paper's L_t / (2 s_t^2): the half is in `trimap`.
    """
    first, second = log_sigmas[0], log_sigmas[1]
    scaled = trimap * torch.exp(-2 * first) / 2 + alpha * torch.exp(-second)
    return scaled + first + second + float(torch.log(torch.tensor(2.0)))


def temporal_coherence(
    pred: Tensor, pred_before: Tensor, true: Tensor, true_before: Tensor
) -> Tensor:
    """Return ((a_t - a_t-1) - (a*_t - a*_t-1))^2: the change in time should equal the true change."""
    return ((pred - pred_before) - (true - true_before)).square().mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 (D(x) - 1)^2 + 1/2 D(y)^2 (Mao et al. 2017; Background Matting, equation 5)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(fake: Tensor) -> Tensor:
    """Return (D(y) - 1)^2 (Mao et al. 2017; Background Matting, equation 4)."""
    return (fake - 1).square().mean()


def teacher(
    alpha: Tensor, front: Tensor, alpha_taught: Tensor, front_taught: Tensor, plate: Tensor,
    back: Tensor,
) -> Tensor:  # fmt: skip
    """2 |a - a~| + 4 |grad a - grad a~| + |F - F~| + |I - a F - (1 - a) B|: the pseudo ground
    truth of the supervised network holds the student (Background Matting, equation 4)."""
    made = alpha * front + (1 - alpha) * back
    return (
        2 * alpha_l1(alpha, alpha_taught)
        + 4 * gradient(alpha, alpha_taught)
        + (front - front_taught).abs().mean()
        + (plate - made).abs().mean()
    )


def _smooth(values: Tensor) -> Tensor:
    row = values.new_tensor([1.0, 4, 6, 4, 1]) / 16
    padded = functional.pad(values, (2, 2, 2, 2), mode="replicate")
    across = functional.conv2d(padded, row[None, None, None])
    return functional.conv2d(across, row[None, None, :, None])
