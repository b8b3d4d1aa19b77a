from python_backends.preprocess import TritonPythonModel  # noqa: F401
