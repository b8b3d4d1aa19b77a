import pytest

from gateway.store.filter import Filter


@pytest.fixture
def client(as_role):
    return as_role("operator")


def test_the_newest_come_first_and_a_link_leads_on(client, inspected):
    events = inspected(5)

    first = client.get("/v1/inspections", params={"limit": 2, "lot": "L-1"})
    second = client.get(first.links["next"]["url"])
    back = client.get(second.links["prev"]["url"])

    newest = [event.data.inspection_id for event in reversed(events)]
    assert [row["id"] for row in first.json()["inspections"]] == newest[:2]
    assert [row["id"] for row in second.json()["inspections"]] == newest[2:4]
    assert back.json()["inspections"] == first.json()["inspections"]
    assert "prev" not in first.links


def test_a_row_has_what_a_list_shows(client, inspected):
    inspected()

    (row,) = client.get("/v1/inspections").json()["inspections"]

    assert (row["decision"], row["reasons"], row["head_id"], row["verdict"]) == ("reject", ["CONTAM_PLACE"], "H-7", None)


def test_what_is_found_is_counted(client, inspected):
    inspected(3)

    assert client.get("/v1/inspections.count", params={"lot": "L-1"}).json() == {"count": 3, "at_least": False}
    assert client.get("/v1/inspections.count", params={"lot": "L-2"}).json() == {"count": 0, "at_least": False}


@pytest.mark.parametrize("path", ["/v1/inspections", "/v1/inspections.count", "/v1/inspections.csv"])
def test_a_filter_that_cannot_be_is_refused(client, path):
    response = client.get(path, params={"since": "yesterday"})

    assert response.status_code == 422
    assert "since: a time such as" in response.json()["detail"]


def test_a_cursor_of_another_filter_is_refused(client, inspected):
    inspected(3)
    cursor = client.get("/v1/inspections", params={"limit": 1}).json()["next"]

    response = client.get("/v1/inspections", params={"cursor": cursor, "lot": "L-1"})

    assert response.status_code == 422
    assert "the filter has changed" in response.json()["detail"]


@pytest.mark.parametrize("kind", ["csv", "json", "klarf"])
def test_what_is_found_is_exported(client, inspected, kind):
    inspected(2, lot="L-1")
    inspected(1, lot="L-2")

    response = client.get(f"/v1/inspections.{kind}", params={"lot": "L-2"})

    assert response.status_code == 200
    assert "L-2" in response.text
    assert "L-1" not in response.text


def test_no_other_kind_is_exported(client):
    assert client.get("/v1/inspections.exe").status_code == 422


def test_saved_filters_are_ones_own(client, as_role):
    assert client.put("/v1/links/my lot", params={"lot": "L-1"}).status_code == 204
    assert client.put("/v1/links/my lot", params={"lot": "L-2", "decision": "reject"}).status_code == 204

    assert client.get("/v1/links").json() == {"my lot": {"lot": "L-2", "decision": "reject"}}
    assert as_role("reviewer").get("/v1/links").json() == {}
    assert as_role("reviewer").delete("/v1/links/my lot").status_code == 404
    assert client.delete("/v1/links/my lot").status_code == 204
    assert client.get("/v1/links").json() == {}


def test_a_photograph_is_inspected_again(client, parts, inspected, inspector):
    first = inspected()[0].data

    response = client.post(
        f"/v1/inspections/{first.inspection_id}/reinspect",
        json={"release": "te_head_v2", "recipe": {"Contam": {"forbidden_regions": []}}},
    )

    made = response.json()
    assert response.status_code == 201
    assert (made["decision"], made["release"], made["reinspection_of"]) == ("accept", "te_head_v2", first.inspection_id)
    assert (made["image"], made["head_id"]) == (first.image, first.head_id)
    assert made["recipe"] == {"Contam": {"forbidden_regions": []}}
    assert client.get(response.headers["location"]).json() == made
    assert [deed.action for deed in parts.audit.of(first.inspection_id)] == ["inspection.reinspect"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"release": "te_head_v9"}, 404),
        ({"recipe": {"Dust": {}}}, 422),
        ({"recipe": []}, 422),
        ({"other": 1}, 422),
    ],
    ids=str,
)
def test_what_cannot_be_inspected_again_leaves_nothing(client, parts, inspected, body, status):
    first = inspected()[0].data

    assert client.post(f"/v1/inspections/{first.inspection_id}/reinspect", json=body).status_code == status
    assert parts.search.count(Filter()) == 1


def test_a_photograph_that_is_gone_cannot_be_inspected_again(client, parts, inspected):
    first = inspected()[0].data
    for file in parts.images.iterdir():
        file.unlink()

    assert client.post(f"/v1/inspections/{first.inspection_id}/reinspect", json={}).status_code == 410
