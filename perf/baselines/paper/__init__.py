"""The paper's pipeline (section 3.1), built faithfully.

    requests ──> worker: read, resize, standardise ──gRPC──> TensorFlow FP32: softmax channels ──> worker: arg max
             ──> mask on disk ──> masks ──> classifier: read the mask, apply the rules ──> decisions

Workers and classifiers are processes of their own and hold one message at a time; RabbitMQ is between all of them.
The inference server is the same tritonserver as ours, TensorFlow in its Python backend, one image a call, no batching.
"""
