import io

import pytest
from pypdf import PdfReader
from sqlalchemy import insert

from gateway.store.schema import study_appraisers
from opica.gage import analyse

GOOD, BAD = "accept", "reject"


@pytest.fixture
def database(store_database):
    """On SQLite and on PostgreSQL."""
    return store_database


@pytest.fixture
def study(as_role, inspected):
    """Two trials of four parts, by the reviewer and the engineer; odd parts are good. The model rejects them all."""
    ids = [event.data.inspection_id for event in inspected(4)]
    parts = [{"inspection_id": identity, "reference": BAD if n % 2 else GOOD} for n, identity in enumerate(ids)]
    body = {"name": "Spring", "product": "te_head", "trials": 2, "parts": parts, "appraisers": ["reviewer", "engineer"]}
    response = as_role("engineer").post("/v1/studies", json=body)
    assert response.status_code == 201, response.text
    return {**body, "id": response.json()["id"], "ids": ids}


@pytest.fixture
def judge_all(as_role, parts):
    """Has somebody judge all that lies before them; ``says`` makes a verdict of the inspection and the trial."""
    from gateway.accuracy.studies import Studies

    studies = Studies(parts.database, parts.audit, parts.now)

    def judged(study: int, role, says) -> list[tuple[int, str]]:
        client, order = as_role(role), []
        place = client.get(f"/v1/studies/{study}/place").json()
        while not place["finished"]:
            at = {"trial": place["trial"], "position": place["position"]}
            inspection = studies.shown(study, role, **at)
            order.append((place["trial"], inspection))
            response = client.post(f"/v1/studies/{study}/ratings", json={**at, "verdict": says(inspection, at["trial"])})
            assert response.status_code == 200, response.text
            place = response.json()
        return order

    return judged


def reference(study):
    return {part["inspection_id"]: part["reference"] for part in study["parts"]}


def test_a_study_shows_its_progress(as_role, study):
    told = as_role("reviewer").get(f"/v1/studies/{study['id']}").json()
    assert (told["parts"], told["good"], told["closed"]) == (4, 2, None)
    assert told["progress"] == [{"appraiser": name, "done": 0, "of": 8} for name in ("engineer", "reviewer")]


def test_every_trial_shows_every_part_once_in_an_order_of_its_own(study, judge_all):
    mine = judge_all(study["id"], "reviewer", lambda *_: GOOD)
    theirs = judge_all(study["id"], "engineer", lambda *_: GOOD)

    orders = [[part for t, part in order if t == trial] for order in (mine, theirs) for trial in (1, 2)]
    assert all(sorted(order) == sorted(study["ids"]) for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_the_report_says_what_opica_gage_says(as_role, study, judge_all):
    truth = reference(study)
    first = study["ids"][0]
    judge_all(study["id"], "reviewer", lambda part, trial: truth[part])
    judge_all(study["id"], "engineer", lambda part, trial: BAD if part == first and trial == 2 else truth[part])
    assert as_role("engineer").post(f"/v1/studies/{study['id']}/close").status_code == 200

    report = as_role("reviewer").get(f"/v1/studies/{study['id']}/report").json()
    (engineer, reviewer), model = report["analysis"]["appraisers"], report["model"]

    right = [[truth[part]] * 2 for part in study["ids"]]
    ratings = {"engineer": [[GOOD, BAD], *right[1:]], "reviewer": right}
    expected = analyse(list(truth.values()), ratings)
    assert report["analysis"]["verdict"] == "unacceptable"  # three parts of four are not 80 %
    assert [(pair["one"], pair["other"]) for pair in report["model_pairs"]] == [
        (p, model["name"]) for p in ("engineer", "reviewer")
    ]
    assert report["analysis"]["fleiss"]["value"] == pytest.approx(expected.fleiss.value)
    assert engineer["effectiveness"]["share"] == 0.75
    assert (reviewer["verdict"], reviewer["kappa"]["value"]) == ("acceptable", 1)
    assert (model["name"], model["verdict"], model["false_alarm"]["share"]) == ("model (te_head_v1)", "unacceptable", 1)
    assert {part["inspection_id"] for part in report["disputed"]} == {study["ids"][0], study["ids"][2]}
    assert report["disputed"][0]["said"]["engineer"] == [GOOD, BAD]


def test_the_pdf_opens_and_says_the_same(as_role, study, judge_all):
    truth = reference(study)
    for role in ("reviewer", "engineer"):
        judge_all(study["id"], role, lambda part, trial: truth[part])
    as_role("engineer").post(f"/v1/studies/{study['id']}/close")

    response = as_role("reviewer").get(f"/v1/studies/{study['id']}/report.pdf")

    assert response.headers["content-type"] == "application/pdf"
    assert 'filename="gage-1-Spring.pdf"' in response.headers["content-disposition"]
    pages = PdfReader(io.BytesIO(response.content)).pages
    text = " ".join("\n".join(page.extract_text() for page in pages).split())
    for words in (
        "Spring",
        "People: acceptable",
        "Model: unacceptable",
        "reviewer 100.0 % [51.0, 100.0]",
        "model (te_head_v1)",
        "Approved by, date",
    ):
        assert words in text
    # the good parts, which the model rejects, with their photographs
    assert [f"Part {number}:" in text for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert any(len(page.images) for page in pages)
    assert "no longer kept" not in text


def test_a_name_that_latin_1_lacks_makes_a_pdf_all_the_same(as_role, study, inspected, judge_all):
    body = {**study, "name": "Prüfung 検査 – κ", "appraisers": ["reviewer"]}
    made = as_role("engineer").post("/v1/studies", json=body).json()
    judge_all(made["id"], "reviewer", lambda *_: GOOD)
    as_role("engineer").post(f"/v1/studies/{made['id']}/close")

    response = as_role("reviewer").get(f"/v1/studies/{made['id']}/report.pdf")

    assert "Prüfung ??" in PdfReader(io.BytesIO(response.content)).pages[0].extract_text()


def test_who_did_not_finish_is_left_out_and_named(as_role, study, judge_all):
    judge_all(study["id"], "reviewer", lambda *_: GOOD)
    as_role("engineer").post(f"/v1/studies/{study['id']}/close")

    report = as_role("reviewer").get(f"/v1/studies/{study['id']}/report").json()

    assert report["unfinished"] == ["engineer"]
    assert [one["name"] for one in report["analysis"]["appraisers"]] == ["reviewer"]


def test_an_open_study_has_no_report_and_one_that_nobody_finished_is_not_closed(as_role, study):
    assert as_role("engineer").get(f"/v1/studies/{study['id']}/report").status_code == 409
    assert as_role("engineer").post(f"/v1/studies/{study['id']}/close").status_code == 409


def test_a_closed_study_takes_no_ratings(as_role, study, judge_all):
    judge_all(study["id"], "reviewer", lambda *_: GOOD)
    as_role("engineer").post(f"/v1/studies/{study['id']}/close")

    rating = {"trial": 1, "position": 1, "verdict": GOOD}
    assert as_role("engineer").post(f"/v1/studies/{study['id']}/ratings", json=rating).status_code == 409
    assert as_role("engineer").post(f"/v1/studies/{study['id']}/close").status_code == 409


def test_the_last_part_can_be_judged_again_but_none_before_it(as_role, study):
    client = as_role("reviewer")

    def rate(position, verdict, trial=1):
        body = {"trial": trial, "position": position, "verdict": verdict}
        return client.post(f"/v1/studies/{study['id']}/ratings", json=body)

    assert rate(1, GOOD).json()["position"] == 2
    assert rate(1, BAD).json()["done"] == 1
    assert rate(2, GOOD).json()["done"] == 2
    assert rate(1, GOOD).status_code == 409
    assert rate(4, GOOD).status_code == 409
    assert rate(1, GOOD, trial=2).status_code == 409
    assert rate(5, GOOD).status_code == 404


def test_an_appraiser_sees_the_part_before_them_and_its_neighbours_only(as_role, study, photograph):
    client = as_role("reviewer")

    def image(position, trial=1):
        return client.get(f"/v1/studies/{study['id']}/trials/{trial}/positions/{position}/image")

    assert (image(1).content, image(1).headers["content-type"]) == (photograph, "image/bmp")
    assert image(2).status_code == 200
    assert image(3).status_code == 403
    assert as_role("admin").get(f"/v1/studies/{study['id']}/place").status_code == 403  # no appraiser of it


def test_neither_place_nor_picture_tells_which_inspection_it_is(as_role, study):
    client = as_role("reviewer")
    place = client.get(f"/v1/studies/{study['id']}/place")
    picture = client.get(f"/v1/studies/{study['id']}/trials/1/positions/1/image")
    page = client.get(f"/gage/{study['id']}/rate")

    for identity in study["ids"]:
        assert identity not in place.text + page.text + str(picture.headers)
    assert "H-7" not in page.text


def test_a_photograph_that_is_gone_is_told_without_its_name(as_role, study, parts):
    for file in parts.images.iterdir():
        file.unlink()

    response = as_role("reviewer").get(f"/v1/studies/{study['id']}/trials/1/positions/1/image")

    assert response.status_code == 410
    assert not any(identity in response.text for identity in study["ids"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": "Spring"}, 409),
        ({"name": ""}, 422),
        ({"name": "line\nbreak"}, 422),
        ({"product": "nothing"}, 404),
        ({"trials": 0}, 422),
        ({"appraisers": ["operator"]}, 422),
        ({"appraisers": ["nobody"]}, 422),
        ({"parts": []}, 422),
        ({"parts": [{"inspection_id": "unknown", "reference": GOOD}] * 2}, 422),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(as_role, study, change, status):
    assert as_role("engineer").post("/v1/studies", json={**study, "name": "Summer", **change}).status_code == status


def test_candidates_are_balanced_and_say_who_decided(as_role, decided, judged):
    for n in range(6):
        judged(decided("accept"), "accepted", {"ana": GOOD, "eva!": GOOD} if n < 2 else {"ana": GOOD})
    judged(decided("reject"), "rejected", {"ana": BAD})
    decided("accept")  # nobody reviewed it

    client = as_role("engineer")
    found = client.get("/v1/studies/candidates", params={"product": "te_head", "number": 6}).json()
    by_expert = client.get("/v1/studies/candidates", params={"product": "te_head", "expert_only": True}).json()

    assert sorted(part["reference"] for part in found) == [GOOD] * 3 + [BAD]
    assert [(part["reference"], part["expert"]) for part in by_expert] == [(GOOD, True)] * 2


def test_studies_are_noted_in_the_audit_log(as_role, study, parts, judge_all):
    judge_all(study["id"], "reviewer", lambda *_: GOOD)
    as_role("engineer").post(f"/v1/studies/{study['id']}/close")

    deeds = [deed.action for deed in parts.audit.of("Spring")]
    assert deeds == ["study.close", *["study.rate"] * 8, "study.create"]


def test_a_study_outlives_a_user_who_was_renamed_away(as_role, study, parts):
    """Appraisers are names, not keys: their ratings stay when the user goes."""
    with parts.database.write() as connection:
        connection.execute(insert(study_appraisers), {"study": study["id"], "appraiser": "gone"})
    told = as_role("reviewer").get("/v1/studies").json()
    assert [one["appraiser"] for one in told[0]["progress"]] == ["engineer", "gone", "reviewer"]
