import numpy as np
import pytest

keras = pytest.importorskip("keras")

from training.segnet import PoolingPositions, Upsample, convolutions, fold, segnet  # noqa: E402


def test_unpooling_puts_each_maximum_back_where_it_came_from():
    features = np.random.default_rng(0).permutation(64).reshape(1, 4, 4, 4).astype(np.float32)
    pooled = keras.layers.MaxPooling2D(2)(features)

    positions = PoolingPositions()(features, pooled)
    unpooled = np.array(Upsample()(pooled) * positions)

    windows = features.reshape(1, 2, 2, 2, 2, 4).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
    back = unpooled.reshape(1, 2, 2, 2, 2, 4).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
    for window, result in zip(windows, back, strict=True):
        expected = np.where(np.arange(4) == window.argmax(), window, 0)
        np.testing.assert_array_equal(result, expected)


def test_full_width_has_the_filters_of_vgg16():
    model = segnet(classes=3, width=1.0)

    assert [model.get_layer(f"block{b}_conv1").filters for b in (1, 2, 3, 4)] == [64, 128, 256, 512]
    assert len(convolutions(model)) == 10 + 10 + 1  # encoder, mirrored decoder, the 1x1 to the classes


def test_probabilities_have_the_size_of_the_image_and_sum_to_one():
    model = segnet(classes=3, width=0.0625)

    probabilities = model.predict(np.random.default_rng(1).uniform(0, 255, (2, 32, 48, 3)), verbose=0)

    assert probabilities.shape == (2, 32, 48, 3)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)


def test_folding_batch_normalisation_changes_no_probability():
    model = segnet(classes=3, width=0.125, mean=(100, 110, 120), std=(40, 50, 60))
    random = np.random.default_rng(2)
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            gamma, beta, mean, variance = layer.get_weights()
            shape = gamma.shape
            layer.set_weights(
                [random.uniform(0.8, 1.2, shape), random.normal(0, 0.1, shape), mean, random.uniform(0.8, 1.2, shape)]
            )
    image = random.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)

    folded = fold(model, (32, 32))

    np.testing.assert_allclose(folded.predict(image, verbose=0), model.predict(image, verbose=0), atol=1e-4)
