from python_backends.segnet import TritonPythonModel  # noqa: F401
