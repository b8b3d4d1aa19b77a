from python_backends.echo import TritonPythonModel  # noqa: F401
