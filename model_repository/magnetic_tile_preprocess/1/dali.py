"""Serialised by the DALI backend when it loads the model (GPU profile)."""

from nvidia.dali import pipeline_def
from nvidia.dali.plugin.triton import autoserialize

from opica.products import load_product
from python_backends.pipeline import preprocess_graph


@autoserialize
@pipeline_def(batch_size=16, num_threads=4, device_id=0)
def pipeline() -> tuple:
    return preprocess_graph(load_product("magnetic_tile"), "mixed")
