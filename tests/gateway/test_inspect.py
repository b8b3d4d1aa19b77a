import json

import pytest

from gateway.inspect import inspect_upload
from opica.errors import BadImage, BadRecipe, Unavailable
from opica.recipes import RecipeBook


@pytest.fixture
def inspect(parts, photograph, te_head):
    async def inspected(recipe: str = ""):
        return await inspect_upload(parts, photograph, te_head, parts.catalogue.resolve("te_head"), recipe, "H-7", "L-1")

    return inspected


async def test_photograph_mask_and_row_are_there_when_it_is_answered(inspect, parts, photograph):
    data = await inspect()

    assert await parts.sources.read(data.image) == photograph
    assert (await parts.sources.read(data.mask))[:4] == b"\x89PNG"
    found = parts.inspections.get(data.inspection_id)
    assert found is not None
    assert found.event.data == data


async def test_the_recipe_in_force_decides_and_the_uploads_on_top(inspect, parts, inspector):
    RecipeBook(parts.catalogue.repository).save("te_head", {"Contam": {"max_length_um": 3}}, 0, "ana", "stricter")

    data = await inspect('{"Contam": {"forbidden_regions": []}}')

    assert data.recipe_version == 1
    assert data.recipe == {"Contam": {"max_length_um": 3, "forbidden_regions": []}}
    assert json.loads(inspector.calls[0].recipe) == data.recipe
    assert [reason.code for reason in data.reasons] == ["CONTAM_LENGTH"]


async def test_a_canary_decides_its_share_of_the_uploads_too(parts, photograph, te_head):
    parts.catalogue.promote("te_head", "canary", "te_head_v2", "ana", "a look", share=1)

    data = await inspect_upload(parts, photograph, te_head, None, "", None, None)

    assert data.release == "te_head_v2"


@pytest.mark.parametrize("failure", [Unavailable("triton: away"), BadImage("image: cannot be decoded")], ids=str)
async def test_what_could_not_be_inspected_leaves_nothing(inspect, parts, inspector, failure):
    inspector.failure = failure

    with pytest.raises(type(failure)):
        await inspect()

    assert [*parts.images.iterdir(), *parts.masks.iterdir()] == []


async def test_a_bad_recipe_is_refused_before_anything_is_done(inspect, parts, inspector):
    with pytest.raises(BadRecipe):
        await inspect('{"Dust": {}}')

    assert (inspector.calls, list(parts.images.iterdir())) == ([], [])
