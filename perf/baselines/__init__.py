"""What others would build: foreign code, faithful to its model, that calls its frameworks itself. Only ``perf`` knows it.

Beside ours they use the same photographs, the same release, the same rules (``opica.components``, ``opica.decision``).
"""
