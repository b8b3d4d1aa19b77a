"""SegNet: VGG16's first four encoders, pooling positions reused by the decoders.

Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
Image Segmentation", IEEE TPAMI 39(12), 2017; encoders from Simonyan & Zisserman, arXiv:1409.1556.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

VGG16_BLOCKS: tuple[tuple[int, int], ...] = ((2, 64), (2, 128), (3, 256), (3, 512))
"""(convolutions, filters) of VGG16's first four blocks."""

DEPTH = 2 ** len(VGG16_BLOCKS)
"""Height and width of the input must be multiples of this: four 2x2 poolings."""


@keras.saving.register_keras_serializable("opica")
class Upsample(layers.Layer):
    """Repeats every pixel 2x2. Keras' UpSampling2D does it by Tile and Reshape, which runtimes do slowly."""

    def call(self, features: keras.KerasTensor) -> keras.KerasTensor:
        _, height, width, _ = features.shape
        if height is None or width is None:  # training on crops: Resize wants to know its size
            return ops.repeat(ops.repeat(features, 2, axis=1), 2, axis=2)
        return ops.image.resize(features, (2 * height, 2 * width), interpolation="nearest")


@keras.saving.register_keras_serializable("opica")
class PoolingPositions(layers.Layer):
    """Marks which of the four pixels of every 2x2 window was the largest.

    Max-pool *indices* do not travel (TensorRT has neither MaxPool's second output nor MaxUnpool);
    equality with the upsampled maximum does, as Resize + Equal. It is taken before the activation,
    where two equal floats in one window are as good as impossible; after a ReLU every
    all-zero window would be a tie of four.
    """

    def call(self, features: keras.KerasTensor, pooled: keras.KerasTensor) -> keras.KerasTensor:
        return ops.cast(ops.equal(features, Upsample()(pooled)), features.dtype)


def segnet(
    classes: int,
    width: float = 0.25,
    size: tuple[int | None, int | None] = (None, None),
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    folded: bool = False,
) -> keras.Model:
    """Build the network.

    Args:
        classes: output channels, class 0 is "good" (background).
        width: factor on every filter count; 1.0 is VGG16.
        size: (height, width) in pixels, multiples of 16; None leaves an axis free (crops, any image).
        mean, std: of each RGB channel over all pixels of the training set, on the 0..255 scale.
        folded: build it for serving, with batch normalisation folded into biased convolutions (see ``fold``).

    Returns:
        A model from ``PIXELS`` (N, H, W, 3) RGB, 0..255, any dtype,
        to softmax probabilities (N, H, W, classes) float32.
    """

    def convolve(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=folded, kernel_initializer="he_normal", name=name)(x)
        return x if folded else layers.BatchNormalization(momentum=0.95, name=f"{name}_bn")(x)

    pixels = keras.Input((*size, 3), name="PIXELS")
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    x = layers.Rescaling([1 / s for s in std], offset, name="standardise")(pixels)

    filters = [max(1, round(width * n)) for _, n in VGG16_BLOCKS]
    positions = []
    for block, (convolutions, _) in enumerate(VGG16_BLOCKS, start=1):
        for conv in range(1, convolutions + 1):
            x = convolve(x, filters[block - 1], f"block{block}_conv{conv}")
            if conv < convolutions:
                x = layers.ReLU()(x)
        pooled = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        positions.append(PoolingPositions(name=f"block{block}_positions")(x, pooled))
        x = layers.ReLU()(pooled)  # max and ReLU commute: the same as ReLU before pooling, on a quarter of the pixels

    for block in range(len(VGG16_BLOCKS), 0, -1):
        convolutions, _ = VGG16_BLOCKS[block - 1]
        x = Upsample(name=f"decoder{block}_upsample")(x)
        x = layers.Multiply(name=f"decoder{block}_unpool")([x, positions[block - 1]])
        for conv in range(1, convolutions + 1):
            last = conv == convolutions
            x = convolve(x, filters[max(block - 2, 0)] if last else filters[block - 1], f"decoder{block}_conv{conv}")
            x = layers.ReLU()(x)

    x = layers.Conv2D(classes, 1, name="logits", dtype="float32")(x)
    probabilities = layers.Softmax(name="PROBABILITIES", dtype="float32")(x)
    return keras.Model(pixels, probabilities, name="segnet")


def fold(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The same network for inference at one size, batch normalisation folded into its convolutions, float32."""
    standardise = model.get_layer("standardise")
    std = [1 / s for s in standardise.scale]
    mean = [-o * s for o, s in zip(standardise.offset, std, strict=True)]
    filters = model.get_layer("block1_conv1").filters
    keras.mixed_precision.set_global_policy("float32")
    result = segnet(model.output_shape[-1], filters / VGG16_BLOCKS[0][1], size, mean, std, folded=True)
    for layer in convolutions(result):
        original = model.get_layer(layer.name)
        if original.use_bias:
            layer.set_weights(original.get_weights())
            continue
        gamma, beta, moving_mean, moving_variance = model.get_layer(f"{layer.name}_bn").get_weights()
        scale = gamma / np.sqrt(moving_variance + model.get_layer(f"{layer.name}_bn").epsilon)
        layer.set_weights([original.get_weights()[0] * scale, beta - moving_mean * scale])
    return result


def convolutions(model: keras.Model) -> list[layers.Conv2D]:
    """The convolutions from input to output."""
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
