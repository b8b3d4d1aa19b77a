LIFTED = {"Contam": {"forbidden_regions": []}}


def test_a_version_is_saved_and_in_force(as_role, parts):
    client = as_role("engineer")

    saved = client.post("/v1/products/te_head/recipes", json={"overrides": LIFTED, "based_on": 0, "why": "ECN 4711"})
    current = client.get("/v1/products/te_head/recipes/current").json()

    assert (saved.status_code, saved.json()["version"], saved.json()["who"]) == (201, 1, "engineer")
    assert (current["version"], current["limits"]["Contam"]["forbidden_regions"]) == (1, [])
    assert [deed.action for deed in parts.audit.of("te_head")] == ["recipe.save"]


def test_the_second_of_two_editors_gets_a_conflict_and_the_first_stands(as_role):
    client = as_role("engineer")
    client.post("/v1/products/te_head/recipes", json={"overrides": LIFTED, "based_on": 0, "why": "ECN 4711"})

    late = client.post("/v1/products/te_head/recipes", json={"overrides": {}, "based_on": 0, "why": "mine"})

    assert late.status_code == 409
    assert "saved by engineer: ECN 4711" in late.json()["detail"]
    assert len(client.get("/v1/products/te_head/recipes").json()) == 1


def test_a_preview_tells_what_would_change_and_saves_nothing(as_role, inspected):
    inspected(3)
    client = as_role("engineer")

    found = client.post("/v1/products/te_head/recipes/preview", json={"overrides": LIFTED, "last": 2})

    assert (found.json()["judged"], len(found.json()["changed"])) == (2, 2)
    assert client.get("/v1/products/te_head/recipes").json() == []


def test_a_preview_reads_the_masks_where_regions_moved(as_role, inspected):
    inspected(1)
    moved = {"regions": {"writer": [[0, 0], [0.1, 0], [0.1, 0.1]]}}

    found = as_role("engineer").post("/v1/products/te_head/recipes/preview", json={"overrides": moved})

    assert (found.json()["unreadable"], len(found.json()["changed"])) == (0, 1)


def test_what_is_no_recipe_is_refused_with_the_field(as_role):
    for path in ("", "/preview"):
        wanted = {"overrides": {"Contam": {"max_length_um": -1}}, "based_on": 0, "why": "wrong"}

        answer = as_role("engineer").post(f"/v1/products/te_head/recipes{path}", json=wanted)

        assert answer.status_code == 422
        assert "recipe.Contam.max_length_um" in answer.json()["detail"]
