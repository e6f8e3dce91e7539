"""The messages of the LeaseService, as generated from its contract.

The comments in `proto/pipewright/runner/v1` are their reference.
"""

from .lease_service_pb2 import *
