import numpy as np
import pytest

keras = pytest.importorskip("keras")

from training.batches import Crops  # noqa: E402
from training.dataset import PixelCache  # noqa: E402
from training.encoder import load_encoder, vgg16_weights  # noqa: E402
from training.fit import MacroF1, fit, read_history, segmentation_loss  # noqa: E402
from training.metrics import Confusion  # noqa: E402
from training.recipe import TrainingRecipe  # noqa: E402
from training.segnet import VGG16_BLOCKS, segnet  # noqa: E402

RECIPE = TrainingRecipe(width=0.125, learning_rate=3e-3, batch=4, crop=(32, 32), steps=15, minutes=0.25, dice=1.0)


@pytest.fixture(scope="module")
def squares():
    """Twelve grey photographs with a bright square each: class 1."""
    random = np.random.default_rng(0)
    images = random.integers(60, 90, (12, 48, 64, 3), dtype=np.uint8)
    masks = np.zeros((12, 48, 64), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        y, x = random.integers(0, 32), random.integers(0, 48)
        image[y : y + 14, x : x + 14] += 120
        mask[y : y + 14, x : x + 14] = 1
    return PixelCache(images, masks, "digest")


def test_the_paper_s_recipe_is_the_default():
    recipe = TrainingRecipe()

    assert (recipe.learning_rate, recipe.batch, recipe.schedule, recipe.crop) == (1e-4, 4, "plateau", None)


def test_crops_repeat_for_a_seed_and_mask_follows_image(squares):
    recipe = RECIPE.model_copy(update={"flips": True, "rotation": 10.0, "scale": 0.2})

    image, mask = Crops(squares, 2, recipe, steps=3, seed=5)[1]
    again, _ = Crops(squares, 2, recipe, steps=3, seed=5)[1]

    assert image.shape == (4, 32, 32, 3)
    assert np.array_equal(image, again)
    assert image[mask == 1].mean() > 150
    assert image[mask == 0].mean() < 100


def test_every_class_is_aimed_at_equally(squares):
    _, masks = Crops(squares, 2, RECIPE.model_copy(update={"batch": 200}), steps=1, seed=0)[0]

    assert np.mean([mask.any() for mask in masks]) >= 0.5


def test_a_fit_stops_at_its_budget_and_goes_on_where_it_was(squares, tmp_path):
    keras.utils.set_random_seed(0)
    first = fit(segnet(2, 0.125, mean=(80, 80, 80), std=(40, 40, 40)), squares, squares, RECIPE, tmp_path, verbose=0)
    more = RECIPE.model_copy(update={"minutes": first.history[-1]["elapsed_s"] / 60 + 0.05})

    second = fit(segnet(2, 0.125, mean=(80, 80, 80), std=(40, 40, 40)), squares, squares, more, tmp_path, verbose=0)

    assert first.history[-1]["elapsed_s"] >= RECIPE.minutes * 60
    assert second.history[: len(first.history)] == first.history
    assert len(second.history) > len(first.history)
    assert read_history(tmp_path) == second.history


def test_two_hundred_steps_find_the_squares(squares):
    keras.utils.set_random_seed(0)
    model = segnet(2, 0.125, mean=(80, 80, 80), std=(40, 40, 40))
    model.compile(keras.optimizers.Adam(3e-3), segmentation_loss(2, dice=1.0))
    crops = Crops(squares, 2, RECIPE, steps=200, seed=0)

    for step in range(200):
        model.train_on_batch(*crops[step])

    confusion = Confusion(2)
    for truth, guess in zip(squares.masks, model.predict(squares.images, verbose=0).argmax(axis=-1), strict=True):
        confusion.add(truth, guess)
    assert confusion.f1()[1] > 0.8


def test_the_metric_of_the_trainer_equals_the_one_of_the_evaluation():
    random = np.random.default_rng(0)
    truth, guess = random.integers(0, 3, (2, 8, 8)), random.integers(0, 3, (2, 8, 8))
    metric, confusion = MacroF1(3), Confusion(3)

    metric.update_state(truth, np.eye(3)[guess])
    confusion.add(truth, guess)

    assert float(metric.result()) == pytest.approx(np.mean(confusion.f1()[1:]))


@pytest.mark.parametrize("width", [1.0, 0.25])
def test_an_encoder_of_any_width_takes_vgg16_s_filters(width, tmp_path):
    random, arrays, inputs = np.random.default_rng(0), {}, 3
    for block, (convolutions, filters) in enumerate(VGG16_BLOCKS, 1):
        for conv in range(1, convolutions + 1):
            arrays[f"block{block}_conv{conv}/kernel"] = random.normal(0, 0.1, (3, 3, inputs, filters)).astype(np.float32)
            arrays[f"block{block}_conv{conv}/bias"] = np.zeros(filters, np.float32)
            inputs = filters
    np.savez(tmp_path / "vgg.npz", **arrays)
    model = segnet(2, width)

    load_encoder(model, vgg16_weights(tmp_path / "vgg.npz"), (1.0, 1.0, 1.0))

    kernel = model.get_layer("block1_conv1").get_weights()[0]
    source = arrays["block1_conv1/kernel"][:, :, ::-1]  # VGG16 saw BGR
    normal = source / np.sqrt((source**2).sum(axis=(0, 1, 2)))
    for n in range(kernel.shape[-1]):  # each is one of VGG16's, but for its scale
        mine = kernel[..., n] / np.linalg.norm(kernel[..., n])
        assert np.isclose(np.abs((normal * mine[..., None]).sum(axis=(0, 1, 2))).max(), 1, atol=1e-4)
