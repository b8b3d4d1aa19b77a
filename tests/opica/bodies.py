"""What a factory sends, as plain data."""


def message(**changes) -> dict:
    return {
        "specversion": "1.0",
        "type": "opica.inspection.request.v1",
        "source": "line-3",
        "id": "part-7",
        "data": {"image": "file:///images/7.bmp", "product": "te_head"},
        **changes,
    }


def with_data(**changes) -> dict:
    return message(data={"image": "file:///images/7.bmp", "product": "te_head", **changes})
