"""Batches over REST: kept before they are sent, sent once the broker is there, followed until all are answered."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

from gateway.app import create_app
from gateway.line.dispatch import Dispatcher
from gateway.security.access import COOKIE
from gateway.store.schema import answers
from opica.examples import DECISION, EXPIRED, INVALID
from opica.recipes import RecipeBook

URIS = ["file:///mnt/L3_H1_top.bmp", "file:///mnt/L3_H2_top.bmp"]


@pytest.fixture
def operator(as_role) -> TestClient:
    return as_role("operator")


@pytest.fixture
def decide(parts) -> Callable[..., None]:
    """Records the line's decision on one inspection."""

    def decided(inspection_id: str, accept: bool = False) -> None:
        verdict = {"decision": "accept", "reasons": (), "components": ()} if accept else {}
        data = DECISION.data.model_copy(update={"inspection_id": inspection_id, **verdict})
        parts.inspections.add([DECISION.model_copy(update={"id": inspection_id, "time": parts.now(), "data": data})])

    return decided


@pytest.fixture
def answer(parts) -> Callable[..., None]:
    """Records that one was not decided, as the recorder does."""

    def answered(inspection_id: str, kind: str) -> None:
        event = EXPIRED if kind == "expired" else INVALID
        row = {"event_id": f"{kind}-{inspection_id}", "kind": kind, "inspection_id": inspection_id, "created": parts.now()}
        with parts.database.write() as connection:
            connection.execute(insert(answers), {**row, "event": event.encode().decode()})

    return answered


def put(client: TestClient, batch: str, number: int, photograph: bytes, name: str = "a.bmp"):
    return client.put(f"/v1/batches/{batch}/images/{number}", params={"name": name}, content=photograph)


def test_photographs_named_by_uri_are_sent_as_the_factory_sends_them(operator, sender):
    wanted = {"product": "te_head", "release": "te_head_v2", "priority": "high", "lot": "L-3", "uris": URIS}

    answered = operator.post("/v1/batches", json=wanted)

    assert answered.status_code == 201, answered.text
    batch = answered.json()
    assert batch["counts"] | {"photographs": 2, "unsent": 0, "waiting": 2} == batch["counts"]
    assert [request.data.image for request in sender.sent] == URIS
    assert [request.id for request in sender.sent] == [f"{batch['id']}-00001", f"{batch['id']}-00002"]
    data = sender.sent[0].data
    assert (data.product, data.release, data.priority, data.lot) == ("te_head", "te_head_v2", "high", "L-3")
    assert answered.headers["location"] == f"/v1/batches/{batch['id']}"


def test_lot_and_head_id_are_read_from_names_where_they_fit(operator, sender):
    uris = [*URIS, "file:///mnt/other.bmp"]
    operator.post("/v1/batches", json={"product": "te_head", "names": "{lot}_{head_id}_*", "head_id": "H-0", "uris": uris})

    told = [(request.data.lot, request.data.head_id) for request in sender.sent]

    assert told == [("L3", "H1"), ("L3", "H2"), (None, "H-0")]


def test_only_limits_that_differ_from_the_products_are_sent(operator, sender, te_head):
    same = te_head.recipe["Contam"].model_dump(mode="json")
    recipe = {"Contam": {**same, "max_length_um": 99.5, "max_total_area_um2": None}, "Wirebond": {"max_count": 0}}

    operator.post("/v1/batches", json={"product": "te_head", "recipe": recipe, "uris": URIS[:1]})

    assert sender.sent[0].data.recipe == {"Contam": {"max_length_um": 99.5, "max_total_area_um2": None}}


def test_what_is_the_same_means_the_same_as_the_recipe_in_force(operator, sender, parts):
    RecipeBook(parts.catalogue.repository).save("te_head", {"Contam": {"max_length_um": 40}}, 0, "ana", "trial")
    recipe = {"Contam": {"max_length_um": 16}, "AChipA": {"max_count": 2}}

    operator.post("/v1/batches", json={"product": "te_head", "recipe": recipe, "uris": URIS[:1]})

    assert sender.sent[0].data.recipe == {"Contam": {"max_length_um": 16}}


def test_a_folder_is_sent_whole_if_it_lies_below_an_allowed_one(operator, sender, parts, photograph):
    folder = parts.images / "lot 3"
    folder.mkdir()
    for name in ("b.bmp", "a.PNG", "notes.txt"):
        (folder / name).write_bytes(photograph)

    answered = operator.post("/v1/batches", json={"product": "te_head", "folder": str(folder)})

    assert answered.status_code == 201, answered.text
    assert [request.data.image for request in sender.sent] == [(folder / name).as_uri() for name in ("a.PNG", "b.bmp")]


@pytest.mark.parametrize("folder", ["/etc", "relative", "{images}/../..", "{images}/absent", "{images}/\0"])
def test_a_folder_elsewhere_or_absent_is_refused(operator, parts, sender, folder):
    answered = operator.post("/v1/batches", json={"product": "te_head", "folder": folder.format(images=parts.images)})

    assert answered.status_code == 422
    assert "folder" in answered.json()["detail"]
    assert sender.sent == []


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"product": "nothing"}, 404, "unknown product"),
        ({"release": "te_head_v9"}, 404, "has no 'te_head_v9'"),
        ({"recipe": {"Contam": {"max_length_um": -1}}}, 422, "recipe.Contam.max_length_um"),
        ({"recipe": {"Rust": {}}}, 422, "unknown class"),
        ({"names": "(a+)+$"}, 422, "wanted is such as"),
        ({"uris": []}, 422, "no photograph"),
        ({"uris": ["file:///a\nb"]}, 422, "uris.0"),
        ({"priority": "urgent"}, 422, "priority"),
    ],
)
def test_what_is_wrong_with_a_batch_is_told_before_anything_is_sent(operator, sender, wrong, status, told):
    answered = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS} | wrong)

    assert (answered.status_code, told in answered.json()["detail"]) == (status, True), answered.text
    assert sender.sent == []
    assert operator.get("/v1/batches").json() == []


def test_uploaded_files_lie_where_the_bridge_reads_them_and_go_once_released(operator, sender, parts, photograph):
    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True}).json()["id"]

    item = put(operator, batch, 1, photograph, "häd 1.bmp")
    assert item.status_code == 201, item.text
    assert sender.sent == []
    state = operator.post(f"/v1/batches/{batch}/send").json()

    (request,) = sender.sent
    assert request.data.model_extra == {"file": "häd 1.bmp"}
    assert asyncio.run(parts.sources.read(request.data.image)) == photograph
    assert (state["counts"]["unsent"], state["counts"]["waiting"]) == (0, 1)


def test_a_file_that_is_no_photograph_is_told_by_name_and_harms_no_other(operator, sender, parts, photograph):
    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True}).json()["id"]

    good = put(operator, batch, 1, photograph)
    cut = put(operator, batch, 2, photograph[:-100], "cut.bmp")
    empty = put(operator, batch, 3, b"", "empty.bmp")
    operator.post(f"/v1/batches/{batch}/send")

    assert (good.status_code, cut.status_code, empty.status_code) == (201, 422, 422)
    assert cut.json()["detail"].startswith("cut.bmp: image: ")
    assert len(sender.sent) == 1
    assert len([file for file in parts.images.rglob("*") if file.is_file()]) == 1, "what was refused lies about"


def test_a_file_that_is_sent_again_is_stored_once_and_another_one_under_its_number_is_refused(
    operator, photograph, encode, te_head
):

    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True}).json()["id"]
    other = encode(np.zeros((100, 324, 3), np.uint8))

    again = [put(operator, batch, 1, photograph).status_code for _ in range(2)]
    wrong = put(operator, batch, 1, other)

    assert again == [201, 201]
    assert wrong.status_code == 409
    assert operator.get(f"/v1/batches/{batch}").json()["counts"]["photographs"] == 1


def test_nothing_can_be_added_once_it_is_on_its_way(operator, photograph):
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()["id"]

    assert put(operator, batch, 3, photograph).status_code == 409


def test_an_empty_batch_is_not_sent(operator):
    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True}).json()["id"]

    assert operator.post(f"/v1/batches/{batch}/send").status_code == 422


def test_a_file_over_the_limit_is_refused(operator):
    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True}).json()["id"]

    assert put(operator, batch, 1, b"\0" * (64 * 1024 * 1024 + 1)).status_code == 413


def test_a_few_files_go_in_one_request_and_the_wrong_ones_are_named(operator, sender, photograph):
    files = [("images", (name, body)) for name, body in (("a.bmp", photograph), ("b.txt", b"hello"), ("c.bmp", photograph))]

    answered = operator.post("/v1/batches/upload", files=files, data={"batch": json.dumps({"product": "te_head"})})

    assert answered.status_code == 201, answered.text
    assert [one["name"] for one in answered.json()["refused"]] == ["b.txt"]
    assert [request.data.model_extra["file"] for request in sender.sent] == ["a.bmp", "c.bmp"]


def test_what_cannot_be_sent_is_kept_told_and_sent_by_the_next_attempt(operator, sender):
    sender.away = True
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()
    assert (batch["counts"]["unsent"], batch["problem"]) == (2, "amqp: no broker lets us in")

    sender.away = False
    batch = operator.post(f"/v1/batches/{batch['id']}/send").json()

    assert (batch["counts"]["unsent"], batch["counts"]["waiting"], batch["problem"]) == (0, 2, None)
    assert len(sender.sent) == 2


async def test_a_broker_that_comes_back_is_noticed_without_anybody(operator, sender, parts):
    sender.away = True
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()["id"]
    dispatcher = Dispatcher(parts, pauses_s=(0.01,))

    assert await dispatcher.send(batch) is not None
    sender.away = False
    async with asyncio.timeout(10):
        while len(sender.sent) < 2 or dispatcher.problems:
            await asyncio.sleep(0.01)

    assert dispatcher.batches.unfinished() == []
    await dispatcher.close()


def test_what_a_gateway_left_unsent_the_next_one_sends(operator, sender, parts):
    sender.away = True
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()["id"]
    sender.away = False

    with TestClient(create_app(replace(parts, registry=CollectorRegistry()))) as fresh:
        fresh.cookies.set(COOKIE, parts.accounts.sign_in("operator"))
        while fresh.get(f"/v1/batches/{batch}").json()["counts"]["unsent"]:
            pass

    assert {request.id for request in sender.sent} == {f"{batch}-00001", f"{batch}-00002"}


def test_without_a_broker_the_batch_is_kept_and_why_is_told(parts):
    alone = replace(parts, sender=None, registry=CollectorRegistry())
    client = TestClient(create_app(alone))
    client.headers["Authorization"] = f"Bearer {parts.accounts.create_key('operator', 'test', 'operator', 'test')}"

    batch = client.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()

    assert batch["counts"]["unsent"] == 2
    assert "AMQP_URL" in batch["problem"]
    assert "There is no broker" in client.get("/requests").text


def test_every_answer_finds_back_to_its_photograph(operator, decide, answer):
    uris = [f"file:///mnt/{number}.bmp" for number in range(5)]
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": uris}).json()["id"]

    decide(f"{batch}-00001", accept=True)
    decide(f"{batch}-00002")
    answer(f"{batch}-00003", "invalid")
    answer(f"{batch}-00004", "expired")

    state = operator.get(f"/v1/batches/{batch}").json()
    one_each = dict.fromkeys(("waiting", "accept", "reject", "invalid", "expired"), 1)
    assert state["counts"] == {"photographs": 5, "unsent": 0, **one_each}
    assert state["done"] is False
    items = operator.get(f"/v1/batches/{batch}/items").json()
    assert [item["state"] for item in items] == ["accept", "reject", "invalid", "expired", "waiting"]
    assert items[2]["problem"] == "data.image: Field required; data.product: Field required"
    assert items[3]["problem"] == "answered 2.5 s after its deadline"
    assert [item["number"] for item in operator.get(f"/v1/batches/{batch}/items?state=reject&state=waiting").json()] == [2, 5]

    decide(f"{batch}-00005")
    assert operator.get(f"/v1/batches/{batch}").json()["done"] is True


@pytest.mark.parametrize("kinds", [("invalid", "expired"), ("expired", "invalid")])
def test_of_two_answers_to_a_photograph_the_first_counts(operator, answer, kinds):
    batch = operator.post("/v1/batches", json={"product": "te_head", "uris": URIS[:1]}).json()["id"]
    for kind in kinds:
        answer(f"{batch}-00001", kind)

    (item,) = operator.get(f"/v1/batches/{batch}/items").json()

    assert operator.get(f"/v1/batches/{batch}").json()["counts"][kinds[0]] == 1
    assert item["state"] == kinds[0]
    assert item["problem"].startswith({"invalid": "data.image: ", "expired": "answered "}[kinds[0]])


def test_the_last_batches_come_newest_first_page_by_page(operator):
    made = [operator.post("/v1/batches", json={"product": "te_head", "uris": URIS}).json()["id"] for _ in range(3)]

    first = operator.get("/v1/batches?limit=2").json()
    rest = operator.get("/v1/batches", params={"before": first[-1]["created"]}).json()

    assert [batch["id"] for batch in first + rest] == made[::-1]


def test_who_made_and_released_a_batch_is_noted(operator, parts):
    batch = operator.post("/v1/batches", json={"product": "te_head", "hold": True, "uris": URIS}).json()["id"]
    operator.post(f"/v1/batches/{batch}/send")

    assert [(deed.who, deed.action) for deed in parts.audit.of(batch)] == [
        ("operator", "batch.release"),
        ("operator", "batch.create"),
    ]


def test_an_unknown_batch_is_told(operator, photograph):
    assert operator.get("/v1/batches/nothing").status_code == 404
    assert operator.get("/v1/batches/nothing/items").status_code == 404
    assert operator.post("/v1/batches/nothing/send").status_code == 404
    assert put(operator, "nothing", 1, photograph).status_code == 404
