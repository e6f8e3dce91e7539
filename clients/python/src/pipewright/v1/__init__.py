"""The messages of the API, as generated from its contract.

The comments in `proto/pipewright/v1` are their reference.
"""

from .admin_service_pb2 import *
from .job_pb2 import *
from .job_service_pb2 import *
from .pipeline_pb2 import *
from .pipeline_service_pb2 import *
from .project_service_pb2 import *
from .runner_service_pb2 import *
