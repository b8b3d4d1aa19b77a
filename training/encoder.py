"""ImageNet weights for SegNet's encoder, at any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from opica.errors import ConfigurationError
from training.segnet import VGG16_BLOCKS


def vgg16_weights(file: Path | None) -> dict[str, np.ndarray]:
    """``blockB_convC/kernel`` (3, 3, in, out) and ``…/bias`` of VGG16's first four blocks.

    Args:
        file: an .npz with these keys; None downloads them through ``keras.applications``.
    """
    names = [f"block{b}_conv{c}" for b, (n, _) in enumerate(VGG16_BLOCKS, 1) for c in range(1, n + 1)]
    if file is None:
        vgg = keras.applications.VGG16(weights="imagenet", include_top=False)
        pairs = {name: vgg.get_layer(name).get_weights() for name in names}
        return {f"{n}/{part}": value for n, p in pairs.items() for part, value in zip(("kernel", "bias"), p, strict=True)}
    with np.load(file) as arrays:
        missing = [f"{n}/kernel" for n in names if f"{n}/kernel" not in arrays]
        if missing:
            raise ConfigurationError(f"{file}: no array {', '.join(missing)}; expected VGG16's blocks 1 to 4")
        return {key: arrays[key] for key in arrays.files}


def load_encoder(model: keras.Model, weights: Mapping[str, np.ndarray], std: Sequence[float]) -> None:
    """Put VGG16's filters into a SegNet of any width; a narrower one takes the filters with the largest L1 norm.

    VGG16 was trained on BGR with the mean subtracted on the 0..255 scale, SegNet here sees standardised RGB:
    the first kernels are turned round and multiplied by ``std``. Each output filter is scaled so that the kept
    inputs carry the energy of all; batch normalisation, which VGG16 lacks, takes care of what scale is left.
    """
    kept = np.array([2, 1, 0])  # RGB from BGR
    for block, (convolutions, _) in enumerate(VGG16_BLOCKS, start=1):
        for conv in range(1, convolutions + 1):
            name = f"block{block}_conv{conv}"
            layer = model.get_layer(name)
            full = weights[f"{name}/kernel"]
            kernel = full[:, :, kept, :]
            if block == conv == 1:
                kernel = kernel * np.asarray(std)[None, None, :, None]
            chosen = np.sort(np.argsort(-np.abs(full).sum(axis=(0, 1, 2)), kind="stable")[: layer.filters])
            kernel = kernel[..., chosen]
            # He-scaled, so that activations neither vanish nor explode before the batch statistics settle
            fan_in = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
            kernel = kernel * (np.sqrt(2.0 / fan_in) / kernel.std())
            layer.set_weights([kernel.astype(np.float32)])
            kept = chosen
