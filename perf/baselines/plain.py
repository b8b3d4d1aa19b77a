"""``python -m perf.baselines.plain``: what a user would write instead of us: FastAPI around ONNX Runtime, FP32, one process.

POST /inspect, multipart field ``image`` -> {"decision": …, "reasons": […]}.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException, UploadFile

from opica.components import find_components, region_masks
from opica.decision import decide
from opica.products import Product, load_product
from perf.baselines.photograph import pixels_of


def create_app(model: Path, product: Product) -> FastAPI:
    """Args: model: a release's model.onnx."""
    app = FastAPI()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    regions = region_masks(product, product.input_size)

    @app.get("/ready")
    def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/inspect")
    def inspect(image: UploadFile) -> dict[str, Any]:  # not async: FastAPI runs it in its thread pool
        try:
            pixels, photographed = pixels_of(image.file.read(), product.input_size)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        (planes,) = session.run(None, {"PIXELS": pixels[None]})
        mask = np.argmax(planes[0], axis=0).astype(np.uint8)
        components = find_components(mask, planes[0].max(axis=0), product, photographed, regions)
        return decide(components, product.recipe).model_dump(mode="json")

    return app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.baselines.plain", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a release's model.onnx")
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = create_app(options.model, load_product(options.product))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
