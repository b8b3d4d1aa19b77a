from python_backends.classifier import TritonPythonModel  # noqa: F401
