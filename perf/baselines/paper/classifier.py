"""``python -m perf.baselines.paper.classifier``: the rule-based classifier: mask file in, decision out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from opica.components import find_components, region_masks
from opica.decision import decide
from opica.products import Product, load_product
from perf.baselines.paper.queues import DECISIONS, MASKS, serve


class Classifier:
    """The rules, on masks alone: the softmax did not travel, so nothing is known of confidence."""

    def __init__(self, product: Product) -> None:
        self.product, self.regions = product, region_masks(product, product.input_size)
        self.sure = np.ones(product.input_size, np.float32)

    def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        """``{"id", "mask", "photographed"}`` to ``{"id", "decision", "reasons", "components"}``.

        Raises:
            FileNotFoundError: there is no such mask.
        """
        file, (height, width) = Path(message["mask"]), message["photographed"]
        mask = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE)
        components = find_components(mask, self.sure, self.product, (height, width), self.regions)
        return {"id": message["id"], **decide(components, self.product.recipe).model_dump(mode="json")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.baselines.paper.classifier", description=__doc__)
    parser.add_argument("--amqp", required=True)
    parser.add_argument("--product", default="te_head")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    serve(options.amqp, MASKS, DECISIONS, Classifier(load_product(options.product)))


if __name__ == "__main__":
    main()
