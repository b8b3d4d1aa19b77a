import os

# Read when grpc is imported. What we fork runs another program at once, so gRPC has nothing to prepare, and to warn of.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
